"""Decisions that were made elsewhere, played against a pool: `decisions:FILE`.

A JSONL or CSV file says for each problem which expert answers it: by the problem's id in its task,
by the sha256 of its statement (`problem_key`, as in recordings) or by the statement itself. This
is a player, not a router: the run, which knows the problems, matches rows to statements before
the first call, and refuses a file that does not fit. Nothing that decides ever sees an id.

    {"problem_id": "algebra/17", "expert": "small"}
    {"problem_id": "algebra/18", "expert": "large", "budget": "high", "cost_usd": "0.00001"}
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.experts.recording import problem_key
from corl_bench.experts.recording_columns import (
    RowError,
    parse_object,
    quoted,
    read_digest,
    read_name,
    read_problem_id,
    read_statement,
)
from corl_bench.files import path_of
from corl_bench.money.amounts import parse_json_usd
from corl_bench.routers.base import Router
from corl_bench.routers.decisions import Choice, Deciding, DecisionError, Question
from corl_bench.tasks import LoadedTask
from corl_bench.types import Budget, Problem

SIZE_LIMIT_BYTES = 64 << 20
"""A larger file is refused; a decision has a hundred bytes."""

COLUMNS = frozenset(
    {"problem_id", "problem_key", "problem", "expert", "task", "budget", "cost_usd"}
)


class Decision(NamedTuple):
    """One row. Files are long, and a frozen dataclass takes nearly twice as long to make."""

    line: int
    """In the file, from 1."""
    reference: str
    """The problem's id, or the key of its statement."""
    task: str | None
    """Label of the task; None: whichever has the problem."""
    budget: str | None
    choice: Choice


class HasProblems(Protocol):
    """A loaded task, or what a stored run says of one."""

    @property
    def label(self) -> str: ...

    @property
    def problems(self) -> Sequence[Problem]: ...


@dataclass(frozen=True, slots=True)
class DecisionFile:
    """A decider that looks up what was decided.

    Args:
        path: for messages.
        rows: in the order of the file.
        by_statement: choices by the key of the statement and the budget's name, once matched.
    """

    path: Path
    rows: tuple[Decision, ...]
    by_statement: Mapping[tuple[str, str | None], Choice] | None = None

    @property
    def names_budgets(self) -> bool:
        return self.rows[0].budget is not None

    async def decide(self, question: Question) -> Choice:
        """The choice that the file has for this statement and budget.

        Raises:
            DecisionError: no run has matched the file to problems, or this is none of them.
        """
        if self.by_statement is None:
            raise DecisionError(f"{self.path}: decisions are played by runs, which know problems")
        budget = question.budget.name if question.budget and self.names_budgets else None
        choice = self.by_statement.get((problem_key(question.text), budget))
        if choice is None:
            raise DecisionError(f"{self.path} has no decision on this problem")
        return choice

    def matched(
        self,
        tasks: Iterable[HasProblems],
        budgets: Sequence[Budget],
        key_of: Callable[[str], str] = problem_key,
    ) -> DecisionFile:
        """The file with each decision at the statement that it is on.

        Rows on other problems are left alone: a file may have decisions on more than is run.

        Args:
            tasks: that are run.
            budgets: of the run; each needs its decisions where the file names budgets.
            key_of: `problem_key`, or what remembers the keys of many files' problems.

        Raises:
            ConfigError: a problem without a decision, or with two.
        """
        names = [budget.name for budget in budgets] if self.names_budgets else [None]
        if not names:
            raise ConfigError(f"{self.path} decides by budget: name budgets with --budget")
        rows = {(row.task, row.reference, row.budget): row for row in self.rows}
        labels = {row.task for row in self.rows}
        found: dict[tuple[str, str | None], Decision] = {}
        used: dict[int, tuple[str, str]] = {}
        for task in tasks:
            own = [label for label in (task.label, None) if label in labels]
            for problem in task.problems:
                key = key_of(problem.text)
                for budget in names:
                    fitting = [
                        row
                        for label in own
                        for reference in (problem.id, key)
                        if (row := rows.get((label, reference, budget)))
                    ]
                    if not fitting:
                        which = _named(problem.id, task.label, budget)
                        raise ConfigError(f"{self.path} has no decision on {which}: add a row")
                    first = found.setdefault((key, budget), fitting[0])
                    for row in fitting:
                        task_key = used.setdefault(row.line, (task.label, key))
                        if task_key[1] != key:
                            raise ConfigError(
                                f"{self.path}:{row.line}: {task_key[0]} and {task.label} both have"
                                f" a problem {quoted(problem.id)}: say which is meant in a column"
                                " task"
                            )
                        if row.choice != first.choice:
                            which = _named(problem.id, task.label, budget)
                            raise ConfigError(
                                f"{self.path}:{row.line}: {which} goes to {row.choice.expert!r},"
                                f" and {self.path}:{first.line} sends the same statement to"
                                f" {first.choice.expert!r}: keep one"
                            )
        return replace(self, by_statement={at: row.choice for at, row in found.items()})


def _named(problem: str, task: str, budget: str | None) -> str:
    """A problem as messages name it."""
    at = f" at budget {quoted(budget)}" if budget else ""
    return f"problem {quoted(problem)} of {task}{at}"


def match_decisions(
    system: Router, tasks: Sequence[LoadedTask], budgets: Sequence[Budget]
) -> Router:
    """A player of decisions with its file matched to the problems; other systems as they are.

    Raises:
        ConfigError: the file does not fit the problems.
    """
    if isinstance(system, Deciding) and isinstance(system.decider, DecisionFile):
        return replace(system, decider=system.decider.matched(tasks, budgets))
    return system


def make_players(rest: str, pool: Pool) -> list[Router]:
    """The player of a file.

    Raises:
        ConfigError: the file is not usable, or names an expert that the pool has not.
    """
    if not rest:
        raise ConfigError("'decisions:': write decisions:FILE, a JSONL or CSV file")
    path = path_of(rest)
    data = _read(path)
    known = [expert.name for expert in pool.experts if expert.role == "expert"]
    player = DecisionFile(path, tuple(_decisions(path, data, known, pool.name)))
    return [
        Deciding(
            name=name_of(path),
            decider=player,
            reads_budget=player.names_budgets,
            digest=hashlib.sha256(data).hexdigest(),
        )
    ]


def read_decisions(path: Path, experts: Sequence[str], pool: str) -> DecisionFile:
    """The decisions of a file, not yet matched to problems.

    Args:
        path: the file, JSONL or CSV.
        experts: aliases that it may name.
        pool: name of the pool that has them, for messages.

    Raises:
        ConfigError: the file is not usable, or names another expert.
    """
    return DecisionFile(path, tuple(_decisions(path, _read(path), experts, pool)))


def name_of(path: Path) -> str:
    """The system that plays a file of decisions."""
    return f"decisions:{path.name}"


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(SIZE_LIMIT_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > SIZE_LIMIT_BYTES:
        raise ConfigError(
            f"{path} has more than {SIZE_LIMIT_BYTES >> 20} MiB: that is no decisions"
        )
    return data


def _decisions(path: Path, data: bytes, known: Sequence[str], pool: str) -> Iterator[Decision]:
    """Rows, each checked by itself and for standing there once.

    Raises:
        ConfigError: a row that cannot be used, or no row at all; it begins with `file:line`.
    """
    choices = {expert: Choice(expert) for expert in known}
    seen: dict[tuple[str | None, ...], Decision] = {}
    by_budget: bool | None = None
    for number, values in _values(path, data):
        try:
            row = _decision(number, values, choices, pool)
            by_budget = row.budget is not None if by_budget is None else by_budget
            if (row.budget is not None) != by_budget:
                raise RowError("rows with a budget and rows without one; give all of them one")
        except RowError as error:
            raise ConfigError(f"{path}:{number}: {error}") from None
        first = seen.setdefault((row.task, row.reference, row.budget), row)
        if first is not row:
            raise ConfigError(
                f"{path}:{number} decides on the problem of {path}:{first.line} again: keep one"
            )
        yield row
    if not seen:
        raise ConfigError(f"{path} holds no decision")


def _decision(
    line: int, values: Mapping[str, Any], choices: Mapping[str, Choice], pool: str
) -> Decision:
    """The decision of a row.

    Args:
        line: of the file.
        values: the row.
        choices: by alias, the experts that it may name.
        pool: that has these, for messages.

    Raises:
        RowError: it is none.
    """
    if not values.keys() <= COLUMNS:
        odd = min(values.keys() - COLUMNS)
        near = get_close_matches(odd, COLUMNS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(COLUMNS))}"
        raise RowError(f"no column {quoted(odd)}; {hint}")
    get = values.get
    problem_id, digest, statement = get("problem_id"), get("problem_key"), get("problem")
    if (problem_id is None) + (digest is None) + (statement is None) != 2:
        raise RowError("name the problem by one of problem_id, problem_key and problem")
    if problem_id is not None:
        reference = read_problem_id(problem_id)
    elif digest is not None:
        reference = read_digest(digest, "problem_key")
    else:
        reference = problem_key(read_statement(statement))
    expert, task, budget, cost = get("expert"), get("task"), get("budget"), get("cost_usd")
    if expert is None:
        raise RowError("no expert")
    choice = choices.get(expert) if isinstance(expert, str) else None
    if choice is None:
        near = get_close_matches(read_name(expert, "expert"), choices, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(choices)}"
        raise RowError(f"no expert {quoted(expert)} in pool {pool!r}; {hint}")
    if cost is not None:
        try:
            choice = replace(choice, cost_usd=parse_json_usd(cost, what="cost_usd"))
        except ConfigError as error:
            raise RowError(str(error)) from None
    return Decision(
        line,
        reference,
        task=None if task is None else read_name(task, "task"),
        budget=None if budget is None else read_name(budget, "budget"),
        choice=choice,
    )


def _values(path: Path, data: bytes) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Line numbers and rows of either format; which it is shows in the file's name."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    if path.suffix == ".csv":
        return _csv_values(path, text)
    if path.suffix == ".jsonl":
        return _json_values(path, text)
    raise ConfigError(f"{path}: decisions are a file .jsonl or .csv")


def _json_values(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, parse_object(line)
            except RowError as error:
                raise ConfigError(f"{path}:{number}: {error}") from None


def _csv_values(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        head = next(rows, [])
        if len(set(head)) < len(head):
            raise ConfigError(f"{path}:1: two columns have one name")
        for cells in rows:
            if not cells:  # a blank line
                continue
            if len(cells) != len(head):
                raise ConfigError(
                    f"{path}:{rows.line_num}: {len(cells)} cells under {len(head)} columns"
                )
            # A cell that is empty says nothing, as a key that is missing does in JSON.
            yield rows.line_num, {n: c or None for n, c in zip(head, cells, strict=True)}
    except csv.Error as error:
        raise ConfigError(f"{path}:{rows.line_num}: no CSV ({error})") from None
