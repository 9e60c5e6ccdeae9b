"""What the table, the charts, the pages and the files of a board show, as frozen values.

`corl_bench.leaderboard.ranking` makes them from a board; whatever renders a board reads them and
nothing else.

    for row in standings.rows:
        print(row.rank, row.rank_interval, row.label, row.accuracy, row.gain_over_coin)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path

from corl_bench.leaderboard.findings import Finding, Status
from corl_bench.leaderboard.marks import CostMark, SystemMark
from corl_bench.leaderboard.raw import read_packed
from corl_bench.metrics.assessment import Band
from corl_bench.metrics.frontier import CoinFrontier
from corl_bench.metrics.inference.estimate import Estimate
from corl_bench.results import EpisodeRecord, decode_episode
from corl_bench.types import Budget, Problem

NOT_METERED = "costs not metered"
"""Stands where a comparison at equal spend would."""


@dataclass(frozen=True, slots=True)
class Row:
    """One entry on one task at one budget that its system was told."""

    entry: str
    """Id of the entry: the permalink."""
    task: str
    system: str
    label: str
    """Unique among the rows of the task: `cascade:a>b`, `mine@low`."""
    budget: str | None
    """Name of the told budget; None for none, and for budget-blind systems."""
    budget_usd: Decimal | None
    rank: int | None
    """By accuracy; systems that are not told apart share it. None for oracles, and where the
    entry is unchecked or has costs that are not metered."""
    rank_interval: tuple[int, int] | None
    accuracy: Estimate
    """Share from 0 to 1."""
    cost_usd: Estimate
    """Mean list cost a problem, dollars."""
    gain_over_coin: Estimate | None
    """Accuracy beyond the coin between fixed experts at the same spend; None where there is
    none to compare with."""
    coin_words: str
    """The same in words."""
    area_linear: Estimate
    area_log: Estimate
    """Mean accuracy over the board's window of spends, evenly over dollars or their logarithm, of
    the system's own coin frontier over all its budgets."""
    on_frontier: bool
    violation_rates: Mapping[str, float]
    """By name of the budget: at the told one, or at each where the system was told none."""
    expert_calls: float
    """Calls to experts a problem."""
    calls_by_expert: Mapping[str, int]
    problems: int
    samples: int
    oracle: bool
    cost_mark: CostMark
    system_mark: SystemMark
    submitter: str
    date: date
    status: Status
    """Of the entry's verification: `passed`, `flagged` or `unchecked` here."""

    @property
    def why_unranked(self) -> str:
        """In words, where the row has no rank."""
        if self.oracle:
            return "it sees the gold answers"
        if self.coin_words == NOT_METERED:
            return "its costs are not metered"
        return "nobody could check it"


@dataclass(frozen=True, slots=True)
class TaskStanding:
    """One task of the board: what its chart shows."""

    name: str
    title: str
    digest: str
    licence: str
    redistributable: bool
    """False: statements, golds and replies must not be shown."""
    n_problems: int
    problems: Mapping[str, Problem] = field(repr=False)
    """By id; empty where they must not be shown or could not be loaded."""
    frontier: CoinFrontier | None
    """Of all ranked rows; None without rows."""
    band: Band | None
    coin: CoinFrontier | None
    """What a coin between the fixed experts reaches; None where the board has none."""
    coin_labels: tuple[str, ...]
    """The fixed experts, which `coin.members` index."""
    absent: str = ""
    """Why the task's rows are not here; nothing of it is graded then."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """One entry: who, what, what was found, and its episodes."""

    id: str
    system: str
    submitter: str
    url: str | None
    date: date | None
    """None where the entry's file cannot be read."""
    cost_mark: CostMark
    system_mark: SystemMark
    oracle: bool
    reads_budget: bool
    status: Status
    findings: tuple[Finding, ...]
    """Of every check and audit, in the order of docs/leaderboards.md."""
    digests: Mapping[str, str]
    """By what it is of: `task synth`, `pool`, `prices`, `grader`, `episodes`, `ledger`, …"""
    made_with: Mapping[str, str]
    """Facts about the run, for people: version, seed, mode, run id."""
    place: str
    """Where the raw episodes are: a file of the board, or the address that the entry names."""
    has_texts: bool
    """Whether `episodes` have their replies; else their digests alone are on the board."""
    file: Path | None
    """The board's own file of episodes (zstd of JSON lines), for a download."""

    def episodes(self) -> Iterator[EpisodeRecord]:
        """Episodes by key. Replies, answers and responses are None where they must not be shown.

        Raises:
            ConfigError: the file is gone or broken.
        """
        for row in () if self.file is None else read_packed(self.file):
            yield decode_episode(row)


@dataclass(frozen=True, slots=True)
class ReportedRow:
    """A figure of the literature: reported, not measured here."""

    task: str
    system: str
    accuracy: float
    source: str
    """The publication, with the place in it."""
    url: str
    date: date
    """Of the publication."""
    cost_usd: Decimal | None = None
    """Mean cost a problem, where the source states it."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Standings:
    """All that is shown of a board."""

    name: str
    """Of the board's folder."""
    title: str
    description: str
    rules: str
    simulated: bool
    price_date: date | None
    pool: str | None
    window_usd: tuple[float, float] | None
    budgets: tuple[Budget, ...]
    samples: int
    confidence: float
    digests: Mapping[str, str]
    """`task …`, `pool` and `prices` as the board pins them, `grader` as it judged today."""
    tasks: tuple[TaskStanding, ...]
    rows: tuple[Row, ...]
    """By task, then rank, then accuracy; then what is unchecked, oracles last."""
    entries: tuple[Entrant, ...]
    """All of the board, those that failed included, by id."""
    reported: tuple[ReportedRow, ...]

    def of_task(self, task: str) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.task == task)

    def entrant(self, entry: str) -> Entrant:
        """The entry with an id.

        Raises:
            KeyError: there is none.
        """
        for entrant in self.entries:
            if entrant.id == entry:
                return entrant
        raise KeyError(entry)
