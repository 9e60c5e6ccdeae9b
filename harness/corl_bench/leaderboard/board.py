"""A board: the rules under which entries are comparable, as `board.toml` states them.

Invariant: a board that could be read is complete. Either it measures (a pool with its digest, a
price date, tasks with their digests, a window for areas), or it only reports figures of the
literature and takes no entries. docs/leaderboards.md describes every key.

    board = read_board(Path("leaderboards/sim"))
    board.budgets, board.window_usd, board.entry_files()
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.experts.pool_file import NAME
from corl_bench.experts.pools import builtin_pools, load_pool
from corl_bench.leaderboard.edges import (
    Count,
    Day,
    Digest,
    HexDigest,
    Text,
    Usd,
    Web,
    validate,
)
from corl_bench.leaderboard.marks import COST_MARKS, SYSTEM_MARKS, CostMark, SystemMark
from corl_bench.money.amounts import parse_usd
from corl_bench.toml import parse_toml
from corl_bench.types import Budget

BOARD_NAME = "board.toml"
ENTRIES = "entries"


@dataclass(frozen=True, slots=True)
class Reported:
    """A figure that a publication states; nobody measured it here."""

    task: str
    system: str
    accuracy: float
    source: str
    url: str
    date: date
    cost_usd: Decimal | None
    note: str


@dataclass(frozen=True)
class Board:
    """The rules of one board."""

    folder: Path
    title: str
    description: str
    rules: str
    tasks: Mapping[str, str]
    """Digest of its rows by the name of each task."""
    task_files: Mapping[str, Path]
    """By name, for tasks that are files in the board's folder rather than built in."""
    pool_name: str | None
    """A built-in pool, or a pool file in the board's folder; None: figures are only reported."""
    pool_digest: str | None
    price_date: date | None
    budgets: tuple[Budget, ...]
    samples: int
    seed: int
    """Of every run: whoever may choose a seed may choose a lucky one."""
    window_usd: tuple[float, float] | None
    """Spends over which areas are taken, dollars a problem."""
    rank: Literal["accuracy"]
    cost_marks: tuple[CostMark, ...]
    """Which are admitted."""
    system_marks: tuple[SystemMark, ...]
    reported: tuple[Reported, ...]

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def entries(self) -> Path:
        return self.folder / ENTRIES

    def entry_files(self) -> list[Path]:
        """The entries' JSON files, by id."""
        return sorted(self.entries.glob("*.json"))

    @cached_property
    def pool(self) -> Pool:
        """The board's pool with the prices of its price date.

        Raises:
            ConfigError: the board has none, or it is another one than the board pins.
        """
        if self.pool_name is None:
            raise ConfigError(f"{self.folder}: a board of reported figures takes no entries")
        file = self.folder / self.pool_name
        named = str(file) if self.pool_name not in builtin_pools() else self.pool_name
        pool = load_pool(named, price_date=self.price_date)
        if pool.digest != self.pool_digest:
            raise ConfigError(
                f"{self.folder / BOARD_NAME}: pool_digest: {self.pool_name} has digest"
                f" {pool.digest} at the prices of {self.price_date}; a pool that changes is a"
                " new board"
            )
        return pool


def read_board(folder: Path) -> Board:
    """Reads and validates `board.toml` in a folder.

    Raises:
        ConfigError: there is none, or it is not usable; one line that names the key.
    """
    path = folder / BOARD_NAME
    try:
        data = parse_toml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{folder} is no board: it has no {BOARD_NAME}") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: no TOML: {error}") from None
    table = validate(TypeAdapter(_BoardTable), data, str(path))
    window = table.window_usd
    return Board(
        folder=folder,
        title=table.title,
        description=table.description,
        rules=table.rules,
        tasks={name: task.digest for name, task in table.tasks.items()},
        task_files={name: folder / task.file for name, task in table.tasks.items() if task.file},
        pool_name=table.pool,
        pool_digest=table.pool_digest,
        price_date=table.price_date,
        budgets=tuple(Budget(name, parse_usd(usd)) for name, usd in table.budgets.items()),
        samples=table.samples,
        seed=table.seed,
        window_usd=None if window is None else (float(window[0]), float(window[1])),
        rank=table.rank,
        cost_marks=tuple(mark for mark in COST_MARKS if mark in table.costs),
        system_marks=tuple(mark for mark in SYSTEM_MARKS if mark in table.systems),
        reported=tuple(figure.frozen() for figure in table.reported),
    )


BudgetName = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
"""The rule of pool files: a name stands in `--budget low=0.01` and in labels."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Task(_Table):
    digest: Digest
    file: Text | None = None


class _Figure(_Table):
    task: Text
    system: Text
    accuracy: Annotated[float, Field(ge=0, le=1)]
    source: Text
    url: Web
    date: Day
    cost_usd: Usd | None = None
    note: str = ""

    def frozen(self) -> Reported:
        cost_usd = None if self.cost_usd is None else parse_usd(self.cost_usd)
        return Reported(**{**self.model_dump(), "cost_usd": cost_usd})


class _BoardTable(_Table):
    title: Text
    description: Text
    rules: Text
    pool: Text | None = None
    pool_digest: HexDigest | None = None
    price_date: Day | None = None
    window_usd: Annotated[list[Usd], Field(min_length=2, max_length=2)] | None = None
    samples: Count = 1
    seed: int = 0
    rank: Literal["accuracy"] = "accuracy"
    costs: Annotated[list[CostMark], Field(min_length=1)] = ["metered"]
    systems: Annotated[list[SystemMark], Field(min_length=1)] = list(SYSTEM_MARKS)
    budgets: dict[BudgetName, Usd] = {}
    tasks: dict[str, _Task] = {}
    reported: list[_Figure] = []

    @model_validator(mode="after")
    def _complete(self) -> _BoardTable:
        measuring = {
            "pool_digest": self.pool_digest,
            "price_date": self.price_date,
            "window_usd": self.window_usd,
            "tasks": self.tasks,
        }
        if self.pool is None:
            for name, value in {**measuring, "budgets": self.budgets}.items():
                if value:
                    raise ValueError(f"`{name}` is of a board that measures: name its `pool`")
            if not self.reported:
                raise ValueError("name a `pool`, or figures to report: [[reported]]")
            return self
        for name, value in measuring.items():
            if not value:
                raise ValueError(f"a board with a pool needs `{name}`")
        assert self.window_usd is not None
        low, high = map(parse_usd, self.window_usd)
        if not 0 < low < high:
            raise ValueError("window_usd: the first amount is above zero and below the second")
        if zero := [name for name, usd in self.budgets.items() if not parse_usd(usd)]:
            raise ValueError(f"budgets.{zero[0]}: a budget of $0 allows no call")
        folded = [name.casefold() for name in self.budgets]
        if twice := [name for name in self.budgets if folded.count(name.casefold()) > 1]:
            raise ValueError(f"budgets.{twice[1]}: another name differs from it in case alone")
        if self.budgets and low >= max(map(parse_usd, self.budgets.values())):
            raise ValueError("window_usd: it begins above the largest budget")
        return self
