"""The file of a baseline: what a run came to, kept so that later runs can be held against it.

It is a `ResultSet` as JSON: digests, budgets, and for each system and budget a line a problem
with the verdict (1 right, 0 not) and the exact list cost of every sample. The same run gives the
same bytes, and a diff of two baselines shows which problems turned. Nothing of texts, replies or
calls is in it, so it can be committed where statements are protected. Only
`corl-bench baseline set` writes one.

    write_baseline(Path("baseline.json"), read_result_set(Path("runs/demo")))
    read_results(Path("baseline.json")) == read_results(Path("runs/demo"))
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.files import write_text
from corl_bench.money.amounts import format_usd, parse_usd
from corl_bench.money.basis import read_basis
from corl_bench.results.decisions import read_decisions
from corl_bench.results.documents import read_document
from corl_bench.results.outcomes import Outcomes, ResultSet, read_result_set, texts
from corl_bench.results.summary import read_summary
from corl_bench.types import Budget

BASELINE_SCHEMA = "corl-bench/baseline@1"

_RIGHT, _WRONG = "1", "0"
_BROKEN = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


def read_results(path: Path) -> ResultSet:
    """The result set of a run's directory or of a baseline file.

    Raises:
        ConfigError: neither is there, or it is broken.
        StorageError: it cannot be read.
    """
    if path.is_dir():
        return read_result_set(path)
    if not path.exists():
        raise ConfigError(f"{path} is neither a run's directory nor a baseline file")
    return read_baseline(path)


def read_reference(path: Path) -> ResultSet:
    """What a candidate is held against: a baseline file, or a run that could become one.

    Raises:
        ConfigError: neither is there, it is broken, or the run is not whole.
        StorageError: it cannot be read.
    """
    return read_whole_run(path) if path.is_dir() else read_results(path)


def read_whole_run(run_dir: Path) -> ResultSet:
    """The result set of a run that has all its episodes.

    What was left out cannot be missed later: a gate asks of a candidate what its baseline has.

    Raises:
        ConfigError: no run is there, it is not finished, it stopped when it was decided, or its
            episodes are not those that its summary counts.
        StorageError: one of its files cannot be read.
    """
    results, summary = read_result_set(run_dir), read_summary(run_dir)
    if not summary.finished:
        raise ConfigError(f"{run_dir} is not finished: its own command goes on where it stopped")
    decisions = read_decisions(run_dir)
    if decisions is not None and decisions.stopped_early:
        raise ConfigError(
            f"{run_dir} stopped when it was decided, when its figures stood at an extreme: make a"
            " run without --until-decided for a baseline"
        )
    there = {
        (point.task, point.system, point.budget): (len(point.right), point.episodes)
        for point in results.outcomes
    }
    counted = {
        (row.task, row.system, row.budget if row.told_budget else None): (
            row.problems,
            row.episodes,
        )
        for row in summary.rows
    }
    if not there:
        raise ConfigError(f"{run_dir} has no episode: its own command makes them")
    if there != counted:
        episodes, expected = (
            sum(count for _, count in counts.values()) for counts in (there, counted)
        )
        raise ConfigError(
            f"{run_dir} is not whole: its summary counts {expected:,} episodes, its file has"
            f" {episodes:,}; its own command makes what is missing"
        )
    return results


def read_baseline(path: Path) -> ResultSet:
    """The result set that a baseline file holds.

    Raises:
        ConfigError: the file is no baseline, or it is broken.
        StorageError: it cannot be read.
    """
    document = read_document(path.parent, path.name, BASELINE_SCHEMA)
    try:
        return decode_baseline(document)
    except (*_BROKEN, ConfigError) as error:
        raise ConfigError(
            f"{path} is broken ({error!r}): `corl-bench baseline set RUN --to {path}` makes it anew"
        ) from error


def write_baseline(path: Path, results: ResultSet) -> None:
    """Writes a baseline file, in place of an older one if there is one.

    Raises:
        StorageError: it cannot be written.
    """
    write_text(path, baseline_text(results))


def baseline_text(results: ResultSet) -> str:
    """The text of a baseline file: JSON with a line for each problem of each point."""
    head = {
        "schema": BASELINE_SCHEMA,
        "name": results.name,
        "run_id": results.run_id,
        "simulated": results.simulated,
        "tasks": dict(results.task_digests),
        "pool": {"digest": results.pool_digest, "prices": dict(sorted(results.prices.items()))},
        "grader": results.grader,
        "budgets": {budget.name: format_usd(budget.usd) for budget in results.budgets},
    }
    opened = json.dumps(head, ensure_ascii=False, indent=2).removesuffix("\n}")
    points = ",\n".join(_point_text(point) for point in results.outcomes)
    return f'{opened},\n  "points": [\n{points}\n  ]\n}}\n'


def _point_text(point: Outcomes) -> str:
    facts = {
        "task": point.task,
        "system": point.system,
        "budget": point.budget,
        "budget_usd": None if point.budget_usd is None else format_usd(point.budget_usd),
        "is_oracle": point.is_oracle,
        "errors": point.errors,
    }
    if point.cost_basis != "metered":
        facts["cost_basis"] = point.cost_basis
    opened = json.dumps(facts, ensure_ascii=False).removesuffix("}")
    rows = ",\n".join(
        f"      {json.dumps(problem, ensure_ascii=False)}: "
        + json.dumps(
            [
                "".join(_RIGHT if right else _WRONG for right in point.right[problem]),
                *map(format_usd, point.costs_usd[problem]),
            ]
        )
        for problem in point.right
    )
    return f'    {opened}, "problems": {{\n{rows}\n    }}}}'


def decode_baseline(document: Mapping[str, Any]) -> ResultSet:
    """The result set in the JSON object of a baseline file.

    Raises:
        ConfigError: an amount is no amount of dollars.
        KeyError: a field is missing.
        ValueError: verdicts and costs of a problem do not belong together.
    """
    return ResultSet(
        name=str(document["name"]),
        run_id=str(document["run_id"]),
        task_digests=texts(document["tasks"]),
        pool_digest=str(document["pool"]["digest"]),
        prices=texts(document["pool"]["prices"]),
        grader=str(document["grader"]),
        budgets=tuple(Budget(name, parse_usd(usd)) for name, usd in document["budgets"].items()),
        simulated=bool(document["simulated"]),
        outcomes=tuple(_decode_point(point) for point in document["points"]),
    )


def _decode_point(point: Mapping[str, Any]) -> Outcomes:
    problems = point["problems"]
    usd = point["budget_usd"]
    return Outcomes(
        task=str(point["task"]),
        system=str(point["system"]),
        budget=point["budget"],
        budget_usd=None if usd is None else parse_usd(usd),
        is_oracle=bool(point["is_oracle"]),
        right={problem: _verdicts(problem, *problems[problem]) for problem in sorted(problems)},
        costs_usd={
            problem: tuple(parse_usd(cost) for cost in problems[problem][1:])
            for problem in sorted(problems)
        },
        errors=int(point["errors"]),
        cost_basis=read_basis(point.get("cost_basis", "metered")),
    )


def _verdicts(problem: str, verdicts: str, *costs: str) -> tuple[bool, ...]:
    if len(verdicts) != len(costs) or not verdicts or set(verdicts) - {_RIGHT, _WRONG}:
        raise ValueError(f"{problem}: verdicts {verdicts!r} with {len(costs)} costs")
    return tuple(verdict == _RIGHT for verdict in verdicts)


def changes(before: ResultSet, after: ResultSet) -> Iterable[str]:
    """What a new baseline changes against the one that it replaces, a line each."""
    for what, old, new in (
        ("run", before.run_id, after.run_id),
        ("pool", before.pool_digest[:12], after.pool_digest[:12]),
        ("grader", before.grader, after.grader),
        ("prices", _listed(before.prices), _listed(after.prices)),
        ("tasks", _listed(before.task_digests), _listed(after.task_digests)),
        ("budgets", _budgets(before), _budgets(after)),
    ):
        if old != new:
            yield f"{what}: {old} → {new}"
    old_points = {(point.task, point.label): point for point in before.outcomes}
    new_points = {(point.task, point.label): point for point in after.outcomes}
    for key in dict.fromkeys((*old_points, *new_points)):
        name = " ".join(key)
        if key not in new_points:
            yield f"{name}: no longer there"
        elif key not in old_points:
            yield f"{name}: new, {_figures(new_points[key])}"
        elif moved := _moved(old_points[key], new_points[key]):
            turned, priced = moved
            yield (
                f"{name}: {_figures(old_points[key])} → {_figures(new_points[key])}"
                f" (verdicts of {turned:,} and costs of {priced:,} problems)"
            )


def _moved(old: Outcomes, new: Outcomes) -> tuple[int, int] | None:
    """How many problems have other verdicts and how many other costs; None where none has."""
    problems = old.right.keys() | new.right.keys()
    turned = sum(old.right.get(problem) != new.right.get(problem) for problem in problems)
    priced = sum(old.costs_usd.get(problem) != new.costs_usd.get(problem) for problem in problems)
    return (turned, priced) if turned or priced else None


def _figures(point: Outcomes) -> str:
    return f"{100 * point.accuracy:.1f}% at ${format_usd(point.mean_cost_usd)}"


def _listed(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(values.items())) or "none"


def _budgets(results: ResultSet) -> str:
    return ", ".join(f"{budget.name} ${format_usd(budget.usd)}" for budget in results.budgets)
