"""What somebody else's file reports: replies, verdicts and costs that this bench did not see.

Every importer gives a `Reading` of these, and everything that is written from them is marked:
costs are `self_reported`, or `opaque` where the file names none, and are never ranked as
metered. Values that cannot be meant (negative tokens, an id that is a path, one episode twice)
are refused with their place; nothing is repaired in silence.

    reading = Reading("omnisbench", episodes, digest="sha256:…")
    reading.check()
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.experts.base import FinishReason
from corl_bench.experts.recording_columns import RowError, quoted, read_label, read_name
from corl_bench.money.amounts import DECIMALS, INTEGER_DIGITS
from corl_bench.results import EpisodeRecord, episode_key
from corl_bench.types import AnswerKind, Budget, Usage

EPISODE_LIMIT = 5_000_000
"""Of one import."""
MAX_CALLS = 10_000
"""Of one episode."""
MAX_EVENTS = 100
"""Of one episode."""

ROLES = ("expert", "self")
"""Who a call was made to: an expert, or a controller's own model."""

_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{0,30})?(?:[eE][-+]?[0-9]{1,2})?", re.ASCII)
_STEP = Decimal(1).scaleb(-DECIMALS)


@dataclass(frozen=True, slots=True)
class ReportedCall:
    """One call to a model, as far as the file tells."""

    expert: str
    model: str
    text: str | None = None
    usage: Usage | None = None
    cost_usd: Decimal | None = None
    """What the file says that it cost; None where it says nothing that can be believed."""
    status: str = "ok"
    role: str = "expert"
    finish: FinishReason | None = "stop"
    latency_s: float = 0.0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ReportedEpisode:
    """One system on one problem, as far as the file tells."""

    place: str
    """File and line, for messages."""
    task: str
    problem_id: str
    system: str
    calls: tuple[ReportedCall, ...]
    response: str | None = None
    """The text that was, or is to be, graded."""
    correct: bool | None = None
    """The file's own verdict; None where it has none."""
    score: Decimal | None = None
    """What the verdict was made of, where the file has scores."""
    answer: str | None = None
    """As the file's grader extracted it."""
    statement: str | None = None
    gold: str | None = None
    kind: AnswerKind | None = None
    sample: int = 0
    budget: Budget | None = None
    error: str = ""
    """Why there is no answer, where the source failed: the episode is in error."""
    detail: str = ""
    subject: str | None = None
    level: int | None = None
    events: tuple[str, ...] = ()
    latency_s: float | None = None
    """Of the episode; None where it is that of its calls, one after the other."""
    scored_at: tuple[Budget, ...] = ()
    """Budgets that its system is scored at without being told, as an export of ours says."""
    is_oracle: bool = False
    """The system saw the golds."""
    simulated: bool = False
    """Its experts were simulated, as an export of ours says."""
    carried: EpisodeRecord | None = None
    """The episode itself, where an export of ours brought it along: its calls, fees, verdict and
    times are what counts."""

    @property
    def is_partial(self) -> bool:
        """Whether its score is neither none nor full, so that it is not called correct."""
        return self.score is not None and 0 < self.score < 1

    @property
    def key(self) -> str:
        return episode_key(
            self.task,
            self.problem_id,
            self.system,
            None if self.budget is None else self.budget.name,
            self.sample,
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user says about a file that does not say it itself."""

    system: str | None = None
    """Name of the system, where the file has one and no name for it."""
    scorers: tuple[str, ...] = ()
    """Which of several scorers, filters or metrics gives the verdict: the first of these that a
    file or sample has."""

    def scorer(self, known: Iterable[str]) -> str:
        """The score that counts of those that a file or sample has.

        Raises:
            RowError: it has several and none is named, or none of those that are named.
        """
        names = sorted(known)
        if not self.scorers and len(names) == 1:
            return names[0]
        for name in self.scorers:
            if name in names:
                return name
        wanted = " or ".join(map(quoted, self.scorers))
        said = f"no score {wanted}" if wanted else "several scores"
        listed = ", ".join(map(quoted, names[:12])) or "none"
        raise RowError(f"{said}: name one of {listed} with --scorer")


@dataclass(slots=True)
class Reading:
    """What was read of one file or folder."""

    format: str
    episodes: Sequence[ReportedEpisode]
    digest: str
    """`sha256:<hex>` over all files that were read."""
    notes: list[str] = field(default_factory=list)
    """What whoever reads the figures must know."""

    def check(self) -> None:
        """Refuses what cannot be written as results.

        Raises:
            ConfigError: there is no episode, one is there twice, or one problem of a task has
                two statements or golds.
        """
        if not self.episodes:
            raise ConfigError(f"nothing to import: no row of format {self.format}")
        if len(self.episodes) > EPISODE_LIMIT:
            raise ConfigError(f"more than {EPISODE_LIMIT:,} rows: import in parts")
        places: dict[str, str] = {}
        problems: dict[tuple[str, str], ReportedEpisode] = {}
        for episode in self.episodes:
            first = places.setdefault(episode.key, episode.place)
            if first != episode.place:
                raise ConfigError(
                    f"{episode.place}: {quoted(episode.problem_id)} of {quoted(episode.system)} is"
                    f" there twice, first at {first}"
                )
            known = problems.setdefault((episode.task, episode.problem_id), episode)
            if (known.statement, known.gold) != (episode.statement, episode.gold):
                raise ConfigError(
                    f"{episode.place}: id {quoted(episode.problem_id)} stands for another problem"
                    f" than at {known.place}"
                )


def read_id(value: object, what: str) -> str:
    """An id: a short printable text or whole number that leads nowhere in a file system.

    Raises:
        RowError: it is none, or one of its parts between slashes is `.`, `..` or empty.
    """
    if type(value) is int:
        return str(value)
    name = read_name(value, what)
    if any(part in ("", ".", "..") for part in name.replace("\\", "/").split("/")):
        raise RowError(f"{what} {quoted(name)} is a path, not a name")
    return name


def read_decimal(text: str) -> Decimal | str:
    """A text as the number that it writes, or as it is."""
    return Decimal(text) if _NUMBER.fullmatch(text) else text


def read_usd(value: object, what: str) -> Decimal | None:
    """Dollars from a number, or from its plain digits; None for null.

    Figures that a float left with more decimals than money has here are rounded to them, half
    to even: 0.00023725000000000002 is 0.00023725.

    Raises:
        RowError: it is negative, no number, or beyond reason.
    """
    if value is None:
        return None
    if isinstance(value, str):
        value = read_decimal(value)
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise RowError(f"{what} must be an amount of dollars, not {quoted(value)}")
    amount = Decimal(value)
    if not amount.is_finite() or (amount.is_signed() and amount):
        raise RowError(f"{what} must be an amount from 0, not {quoted(str(value))}")
    if amount and amount.adjusted() >= INTEGER_DIGITS:
        raise RowError(f"{what} {quoted(str(value))} is beyond reason")
    rounded = abs(amount).quantize(_STEP, rounding=ROUND_HALF_EVEN)
    return rounded.normalize() if rounded else Decimal(0)


def read_score(value: object, what: str) -> Decimal | None:
    """A score from 0 to 1, or a truth value as 1 or 0; None for null.

    Raises:
        RowError: it is anything else.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        return Decimal(int(value))
    if isinstance(value, float):
        value = Decimal(repr(value))
    if not isinstance(value, int | Decimal) or not Decimal(value).is_finite():
        raise RowError(f"{what} must be a score from 0 to 1, not {quoted(value)}")
    if not 0 <= value <= 1:
        raise RowError(f"{what} must be a score from 0 to 1, not {quoted(str(value))}")
    return Decimal(value)


def judge(score: Decimal | None) -> tuple[bool | None, str]:
    """The verdict that a score amounts to, and what to say of a partial one.

    Only a full score is correct: half an answer is no answer.
    """
    if score is None:
        return None, ""
    if 0 < score < 1:
        return False, f"graded {score.normalize():f} by the source, which is not correct"
    return score == 1, ""


def note_partial(episodes: Iterable[ReportedEpisode]) -> list[str]:
    """The note that counts replies which a source graded between 0 and 1, if there are any."""
    count = sum(episode.is_partial and not episode.error for episode in episodes)
    return [f"{count:,} replies graded between 0 and 1 are not called correct"] if count else []


def read_latency(value: object, what: str) -> float:
    """Seconds from 0; 0 for null.

    Raises:
        RowError: it is anything else.
    """
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise RowError(f"{what} must be a number from 0, not {quoted(value)}")
    if not 0 <= value < 10**12:  # as it is: a float cannot hold just any whole number
        raise RowError(f"{what} must be a number from 0, not {quoted(value)}")
    return float(value)


def text_of(value: Any) -> str | None:
    """Any value as text: itself, JSON of what is none, None for null."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def read_detail(value: object) -> str:
    """A remark of the file in one printable line, or nothing."""
    if not isinstance(value, str):
        return ""
    line = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return read_label(line[:200], "detail")
