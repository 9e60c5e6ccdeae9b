"""The rows that OpenRLHF trains on: problems apart from every test set, each at a budget.

Invariants: a problem that stands in a task that results are reported on, or among those held out
for validation, in the same words or in others (`corl_bench.tasks.overlap`), is never trained on;
the rows fill whole steps, for OpenRLHF makes a last one of what is left over, which fewer GPUs
than it waits for then get; and the same recipe, problems and seed give the same bytes.

A row is one line of JSON, `{"input": statement, "label": …, "datasource": …}`; the label is that
of `corl_train.openrlhf.label`, and holds the gold answer and the budget.

    prepared = prepare_rows(recipe, budgets, seed=0, data_dir=None)
    write_rows(prepared, Path("runs/corl-paper/data"))
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from corl_bench.errors import ConfigError, StorageError
from corl_bench.files import write_json, write_text
from corl_bench.tasks import LoadedTask, load_task
from corl_bench.tasks.overlap import Kind, count_kinds, find_overlap, without
from corl_bench.tasks.statements import read_statement
from corl_bench.types import Budget, Problem
from corl_train.material import keep_apart
from corl_train.openrlhf.label import label_of
from corl_train.openrlhf.recipe import JobRecipe

TRAIN_NAME = "train.jsonl"
VALIDATION_NAME = "validation.jsonl"
REPORT_NAME = "data.json"

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the problems; kept as `data.json`."""

    task: str
    source: str
    digest: str
    """Of all problems of the task, as `corl-bench tasks` shows it."""
    loaded: int
    overlapping: dict[str, dict[Kind, int]]
    """By task and kind of `corl_bench.tasks.overlap`: how many stand in it. One may stand in
    several tasks."""
    repeated: int
    """Say the same in the same words as an earlier one."""
    validation: int
    """Problems that are held out."""
    like_validation: dict[Kind, int]
    """How many of the others stand among these, and are left out."""
    unused: int
    """Beyond the limit of the recipe, or of the last step."""
    trained: int
    by_budget: dict[str, int]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows of both files, and the problems behind them."""

    task: LoadedTask
    """With the problems that are trained on."""
    train: tuple[Row, ...]
    validation: tuple[Row, ...]
    report: Report


def prepare_rows(
    recipe: JobRecipe, budgets: Sequence[Budget], *, seed: int, data_dir: Path | None = None
) -> Prepared:
    """Loads, decontaminates and splits the problems of a recipe.

    Args:
        recipe: its tables `data` and `training`.
        budgets: what it trains for, in order.
        seed: of the split, of the sample that a limit takes, and of who gets which budget.
        data_dir: as of `load_task`: local files instead of the `datasets` library.

    Raises:
        ConfigError: a task cannot be loaded, too little is left of the problems, or there are more
            weights than budgets.
        DigestMismatchError: the rows are not those that a task pins.
        MissingExtraError: the `datasets` library is needed and not installed.
    """
    table = recipe.data
    turns = _turns(budgets, table.budget_weights)
    task = load_task(table.train, data_dir=data_dir)
    tests = [load_task(name, data_dir=data_dir) for name in table.apart_from]
    apart, found = keep_apart(task.problems, tests)
    kept = _once(apart)
    shuffled = _shuffled(kept, seed)
    held_out = shuffled[: table.validation_problems]
    others = shuffled[table.validation_problems :]
    like_held_out = find_overlap(others, held_out)
    rest = without(others, like_held_out)[: table.limit]
    rest = rest[: len(rest) - len(rest) % recipe.training.prompts]
    if not rest:
        prompts = recipe.training.prompts
        if table.limit is not None and table.limit < prompts:
            raise ConfigError(
                f"data.limit {table.limit} is less than the {prompts} problems of one step: raise"
                " it, or lower training.prompts"
            )
        raise ConfigError(
            f"{task.label}: {len(kept)} problems are left of {len(task.problems)}, and a step"
            f" takes {recipe.training.prompts} beside {table.validation_problems} for validation:"
            " lower training.prompts or data.validation_problems"
        )
    # As many as OpenRLHF asks one worker for at a time, so that each pass meets the same draws
    # whichever worker has a problem then.
    draws = recipe.training.samples
    given = [(p, turns[place % len(turns)]) for place, p in enumerate(rest)]
    train = [_row(task.label, p, budget, "train", draws=draws) for p, budget in given]
    # One name for all budgets: OpenRLHF chooses its best checkpoint by the first name's rewards.
    validation = [
        _row(task.label, p, budget, "validation", draws=1) for p in held_out for budget in budgets
    ]
    report = Report(
        task=task.label,
        source=task.source,
        digest=task.digest,
        loaded=len(task.problems),
        overlapping={
            name: count_kinds(matches)
            for name, matches in zip(table.apart_from, found, strict=True)
        },
        repeated=len(apart) - len(kept),
        validation=len(held_out),
        like_validation=count_kinds(like_held_out),
        unused=len(others) - len(like_held_out) - len(rest),
        trained=len(rest),
        by_budget=dict(Counter(budget.name for _, budget in given)),
    )
    return Prepared(replace(task, problems=rest), tuple(train), tuple(validation), report)


def write_rows(prepared: Prepared, folder: Path) -> None:
    """Writes `train.jsonl`, `validation.jsonl` and `data.json`.

    Raises:
        StorageError: they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror}") from error
    for name, rows in ((TRAIN_NAME, prepared.train), (VALIDATION_NAME, prepared.validation)):
        lines = [json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows]
        write_text(folder / name, "".join(lines))
    write_json(folder / REPORT_NAME, asdict(prepared.report))


def describe_rows(report: Report) -> str:
    """What became of the problems, as a line for a terminal."""
    left_out = [
        f"{sum(kinds.values())} of {task}"
        for task, kinds in report.overlapping.items()
        if any(kinds.values())
    ]
    if report.repeated:
        left_out.append(f"{report.repeated} said twice")
    if like := sum(report.like_validation.values()):
        left_out.append(f"{like} like those for validation")
    if report.unused:
        left_out.append(f"{report.unused} beyond limit and last step")
    budgets = ", ".join(f"{count} at {name}" for name, count in report.by_budget.items())
    without = f" (without {', '.join(left_out)})" if left_out else ""
    return (
        f"{report.task}: {report.loaded} problems, {report.trained} to train on{without},"
        f" {report.validation} for validation; {budgets}"
    )


def _once(problems: Sequence[Problem]) -> list[Problem]:
    """The first of all that say the same in the same words and figures."""
    first: dict[object, Problem] = {}
    for problem in problems:
        first.setdefault(read_statement(problem.text), problem)
    return list(first.values())


def _shuffled(problems: Sequence[Problem], seed: int) -> list[Problem]:
    """In an order that depends on the ids and the seed alone, not on that of the rows."""

    def rank(problem: Problem) -> bytes:
        return hashlib.sha256(f"{seed}\n{problem.id}".encode()).digest()

    return sorted(problems, key=rank)


def _turns(budgets: Sequence[Budget], weights: Sequence[int]) -> list[Budget]:
    """Budgets in turn, each as often as its weight."""
    if len(weights) > len(budgets):
        raise ConfigError(
            f"data.budget_weights says {len(weights)} numbers, and there are {len(budgets)} budgets"
            f" ({', '.join(budget.name for budget in budgets)}): leave out those without a budget"
        )
    often = [*weights, *[1] * len(budgets)]
    return [b for b, weight in zip(budgets, often, strict=False) for _ in range(weight)]


def _row(task: str, problem: Problem, budget: Budget, source: str, *, draws: int) -> Row:
    label = label_of(task, problem, budget, draws=draws)
    return {"input": problem.text, "label": label.to_text(), "datasource": source}
