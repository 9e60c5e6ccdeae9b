"""`corl-bench replay RUN FILE...`: what files of decisions would have come to, in microseconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from corl_bench.results.outcomes import Outcomes
    from corl_bench.types import Budget, Problem


@click.command()
@click.argument("run_dir", metavar="RUN", type=click.Path(path_type=Path, file_okay=False))
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
def command(run_dir: Path, files: tuple[Path, ...], as_json: bool) -> None:
    """Replay files of decisions on the recorded experts of RUN, a run with single:*.

    Nothing is asked, graded or billed: the verdicts and exact dollars of the expert that each
    row names are looked up. docs/routers.md has the files, and `corl-bench run --system
    decisions:FILE` plays one as an episode each, to the same verdicts and dollars.
    """
    import json

    outcomes = [point for file in _replayed(run_dir, files) for point in file]
    if as_json:
        click.echo(json.dumps([_row(point) for point in outcomes], ensure_ascii=False, indent=2))
    else:
        _write_table(run_dir, outcomes)


def _row(point: Outcomes) -> dict[str, Any]:
    from corl_bench.money.amounts import format_usd

    return {
        "task": point.task,
        "system": point.system,
        "budget": point.budget,
        "episodes": point.episodes,
        "accuracy": point.accuracy,
        "total_cost_usd": format_usd(point.total_cost_usd),
        "mean_cost_usd": format_usd(point.mean_cost_usd),
        "cost_basis": point.cost_basis,
        "errors": point.errors,
    }


def _write_table(run_dir: Path, outcomes: Sequence[Outcomes]) -> None:
    import sys

    from corl_bench.report.figures import SIMULATED, cost_sentences
    from corl_bench.report.plain import Block, Grid, Heading, Paragraph, write_blocks
    from corl_bench.results import read_manifest

    columns = ("system", "task", "episodes", "errors", "accuracy", "$/problem", "total $")
    cells = [_cells(point) for point in outcomes]
    blocks: list[Block] = [Heading(f"corl-bench · replay · {run_dir.resolve().name}")]
    if read_manifest(run_dir)["pool"].get("simulated"):
        blocks.append(Paragraph(SIMULATED, "bold yellow"))
    blocks.append(Grid(columns, cells, names=2))
    blocks += map(Paragraph, cost_sentences(outcomes))
    write_blocks(blocks, sys.stdout)


def _cells(point: Outcomes) -> tuple[str, ...]:
    from corl_bench.money.amounts import format_usd
    from corl_bench.report.figures import cost_words, percent

    counts = f"{point.episodes:,}", f"{point.errors:,}"
    costs = cost_words(point), format_usd(point.total_cost_usd)
    return (point.label, point.task, *counts, percent(point.accuracy), *costs)


@dataclass(frozen=True, slots=True)
class _Task:
    """A task as a run has stored it."""

    label: str
    problems: tuple[Problem, ...]


def _replayed(run_dir: Path, files: Sequence[Path]) -> Iterator[list[Outcomes]]:
    """The outcomes of each file, by task and budget."""
    from collections import Counter
    from functools import cache

    from corl_bench.errors import ConfigError
    from corl_bench.experts.recording import problem_key
    from corl_bench.files import path_of
    from corl_bench.results import read_episodes, read_manifest
    from corl_bench.results.replay import recorded_experts
    from corl_bench.routers.decision_file import name_of, read_decisions

    manifest = read_manifest(run_dir)
    try:
        pool, budgets = manifest["pool"], _budgets(manifest)
        experts_of_pool = [e["name"] for e in pool["experts"] if e["role"] == "expert"]
    except KeyError as error:
        raise ConfigError(
            f"{run_dir / 'manifest.json'} is broken (it lacks {error}): restore it, or make the"
            " run anew"
        ) from error
    episodes = read_episodes(run_dir)
    tasks = _tasks(run_dir)
    recorded = [recorded_experts(episodes, task=task.label) for task in tasks]
    for task, experts in zip(tasks, recorded, strict=True):
        if missing := len(task.problems) - len(experts.problems):
            raise ConfigError(
                f"{run_dir} lacks replies to {missing:,} of {len(task.problems):,} problems of"
                f" {task.label}: finish the run with its own command"
            )
    # As where they are played: the controller's own model is nobody who is asked.
    known = [name for name in recorded[0].experts if name in experts_of_pool]
    key_of = cache(problem_key)
    keys = [{problem.id: key_of(problem.text) for problem in task.problems} for task in tasks]
    paths = [path_of(str(file)) for file in files]
    names = Counter(path.name for path in paths)
    for path in paths:
        decided = read_decisions(path, known, str(pool["name"])).matched(tasks, budgets, key_of)
        system = name_of(path) if names[path.name] == 1 else f"decisions:{path}"
        assert decided.by_statement is not None
        found = []
        for own_keys, experts in zip(keys, recorded, strict=True):
            for budget in budgets if decided.names_budgets else (None,):
                name = None if budget is None else budget.name
                choices = {p: decided.by_statement[key, name] for p, key in own_keys.items()}
                found.append(
                    experts.replay(
                        {problem: choice.expert for problem, choice in choices.items()},
                        system=system,
                        budget=budget,
                        fees_usd={p: c.cost_usd for p, c in choices.items() if c.cost_usd},
                    )
                )
        yield found


def _tasks(run_dir: Path) -> list[_Task]:
    """The problems of a run, without golds: nobody who decides is asked here."""
    from corl_bench.errors import ConfigError
    from corl_bench.files import read_lines
    from corl_bench.types import Problem

    problems: dict[str, list[Problem]] = {}
    for row in read_lines(run_dir / "problems.jsonl"):
        match row:
            case {"task": str(task), "id": str(name), "problem": str(text)}:
                problems.setdefault(task, []).append(Problem(name, text, ""))
            case _:
                raise ConfigError(f"{run_dir / 'problems.jsonl'}: a row is no problem of a run")
    if not problems:
        raise ConfigError(f"{run_dir} has no problems.jsonl: name the directory of a run")
    return [_Task(label, tuple(own)) for label, own in problems.items()]


def _budgets(manifest: dict[str, Any]) -> list[Budget]:
    from corl_bench.money.amounts import parse_usd
    from corl_bench.types import Budget

    named = manifest["budgets"].items()
    return [Budget(name, parse_usd(usd, what=f"budget {name}")) for name, usd in named]
