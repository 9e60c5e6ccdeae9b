"""`episodes.jsonl`: append-only, a line an episode, and the truth for verdicts.

Lines stand in the order in which episodes finished. Whatever depends on the clock stands under
`timings`, so that two runs can be compared byte for byte after `canonical_lines`. Dollars are
strings of exact decimals. A last line that a kill cut short is not an episode; readers skip it
and the next run cuts it off.

    episodes = read_episodes(Path("runs/demo"))
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError, StorageError
from corl_bench.files import Record, read_records
from corl_bench.money.amounts import format_usd, parse_usd
from corl_bench.money.basis import CostBasis, read_basis, weakest
from corl_bench.shapes import Shape
from corl_bench.types import VERDICT_STATUSES, Usage, VerdictStatus

EPISODE_SCHEMA = 1
"""The form of an episode all of whose costs are metered calls, as nearly all are."""
NEWEST_SCHEMA = 2
"""The form of one with fees or other costs, which older versions would not add up."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One metered call of an episode, all its attempts together."""

    expert: str
    model: str
    status: str
    """`ok`, or what the last attempt failed with."""
    role: str = "expert"
    finish: str | None = None
    """`stop`, `length` (truncated) or `refusal`; None without a reply."""
    text: str | None = None
    usage: Usage | None = None
    """Of the reply; failed attempts that were billed are in the cost and in the ledger."""
    list_cost_usd: Decimal = Decimal(0)
    """Settled list cost of all attempts."""
    unsettled_usd: Decimal = Decimal(0)
    """Worst case of the attempts whose bill nobody knows."""
    attempts: int = 1
    latency_s: float = 0.0
    source_correct: bool | None = None
    """The verdict that an imported recording came with."""
    detail: str = ""
    id: str = ""
    """Behind the episode's key and a `#` it names the call's lines in the ledger."""
    basis: CostBasis = "metered"
    """Where the list cost comes from."""


@dataclass(frozen=True, slots=True)
class ChargeRecord:
    """A fee of an episode: what something beside its calls cost, a routing decision say."""

    what: str
    list_cost_usd: Decimal
    basis: CostBasis
    unsettled_usd: Decimal = Decimal(0)
    """Worst case of an opaque fee."""
    id: str = ""
    """As that of a call."""


@dataclass(frozen=True, slots=True)
class EpisodeRecord:
    """One system on one problem at one budget, once."""

    task: str
    problem_id: str
    system: str
    budget: str | None
    """Name of the budget that the system was told; None for none and for budget-blind ones."""
    budget_usd: Decimal | None
    sample: int
    verdict: VerdictStatus
    answer: str | None
    """The answer as extracted from `response`."""
    response: str | None
    """The text that was graded."""
    calls: tuple[CallRecord, ...] = ()
    detail: str = ""
    latency_s: float = 0.0
    subject: str | None = None
    level: int | None = None
    events: tuple[str, ...] = ()
    """What the system noted: turns of a controller that could not be read, say."""
    charges: tuple[ChargeRecord, ...] = ()
    """Fees, in the order in which they were charged."""

    @property
    def key(self) -> str:
        return episode_key(self.task, self.problem_id, self.system, self.budget, self.sample)

    @property
    def costs(self) -> tuple[CallRecord | ChargeRecord, ...]:
        """Whatever was paid for."""
        return (*self.calls, *self.charges)

    @property
    def list_cost_usd(self) -> Decimal:
        """Of all calls and fees."""
        return sum((cost.list_cost_usd for cost in self.costs), Decimal(0))

    @property
    def unsettled_usd(self) -> Decimal:
        return sum((cost.unsettled_usd for cost in self.costs), Decimal(0))

    @property
    def cost_basis(self) -> CostBasis:
        """That of the least sure of its costs."""
        return weakest(cost.basis for cost in self.costs)

    @property
    def expert_calls(self) -> int:
        return sum(call.role == "expert" for call in self.calls)


def episode_key(task: str, problem_id: str, system: str, budget: str | None, sample: int) -> str:
    """Identifies an episode within its run; the same in ledger, journal and recordings."""
    parts = (task, problem_id, system, budget or "-", str(sample))
    return "|".join(part.replace("|", "%7C") for part in parts)


def encode_episode(record: EpisodeRecord) -> dict[str, Any]:
    """The JSON object of one line; keys without information are left out of calls."""
    is_plain = not record.charges and record.cost_basis == "metered"
    row: dict[str, Any] = {
        "v": EPISODE_SCHEMA if is_plain else NEWEST_SCHEMA,
        "task": record.task,
        "problem_id": record.problem_id,
        "subject": record.subject,
        "level": record.level,
        "system": record.system,
        "budget": record.budget,
        "budget_usd": None if record.budget_usd is None else format_usd(record.budget_usd),
        "sample": record.sample,
        "verdict": record.verdict,
        "answer": record.answer,
        "detail": record.detail,
        "list_cost_usd": format_usd(record.list_cost_usd),
        "unsettled_usd": format_usd(record.unsettled_usd),
        "response": record.response,
        "calls": [_encode_call(call) for call in record.calls],
        "timings": {
            "latency_s": round(record.latency_s, 6),
            "calls_s": [round(call.latency_s, 6) for call in record.calls],
        },
    }
    if record.events:
        row["events"] = list(record.events)
    if record.charges:
        row["charges"] = [_encode_charge(charge) for charge in record.charges]
    return row


def _encode_call(call: CallRecord) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": call.id,
        "expert": call.expert,
        "model": call.model,
        "role": call.role,
        "status": call.status,
        "finish": call.finish,
        "attempts": call.attempts,
        "usage": None if call.usage is None else call.usage.as_dict(),
        "list_cost_usd": format_usd(call.list_cost_usd),
        "text": call.text,
    }
    if call.unsettled_usd:
        row["unsettled_usd"] = format_usd(call.unsettled_usd)
    if call.source_correct is not None:
        row["source_correct"] = call.source_correct
    if call.detail:
        row["detail"] = call.detail
    if call.basis != "metered":
        row["basis"] = call.basis
    return row


def _encode_charge(charge: ChargeRecord) -> dict[str, Any]:
    row = {
        "id": charge.id,
        "what": charge.what,
        "basis": charge.basis,
        "list_cost_usd": format_usd(charge.list_cost_usd),
    }
    if charge.unsettled_usd:
        row["unsettled_usd"] = format_usd(charge.unsettled_usd)
    return row


def decode_episode(row: Mapping[str, Any]) -> EpisodeRecord:
    """The inverse of `encode_episode`.

    Raises:
        ConfigError: the row was written by a newer version.
        KeyError: a field is missing.
        TypeError: a field is of another kind.
        ValueError: its key, its verdict, an amount or the basis of one is none.
    """
    if row["v"] > NEWEST_SCHEMA:
        raise ConfigError(
            f"episodes are of schema {row['v']}, this version reads up to {NEWEST_SCHEMA}:"
            " upgrade corl-bench"
        )
    if fault := _SHAPE.find_fault(row):
        raise ValueError(fault)
    _check_key(row)
    if row["verdict"] not in VERDICT_STATUSES:
        raise ValueError(f"verdict {row['verdict']!r} is none of {', '.join(VERDICT_STATUSES)}")
    timings = row["timings"]
    calls = tuple(
        CallRecord(
            id=call["id"],
            expert=call["expert"],
            model=call["model"],
            role=call["role"],
            status=call["status"],
            finish=call["finish"],
            text=call["text"],
            usage=None if call["usage"] is None else Usage(**call["usage"]),
            list_cost_usd=_amount(call["list_cost_usd"]),
            unsettled_usd=_amount(call.get("unsettled_usd", "0")),
            attempts=call["attempts"],
            latency_s=latency_s,
            source_correct=call.get("source_correct"),
            detail=call.get("detail", ""),
            basis=read_basis(call.get("basis", "metered")),
        )
        for call, latency_s in zip(row["calls"], timings["calls_s"], strict=True)
    )
    return EpisodeRecord(
        task=row["task"],
        problem_id=row["problem_id"],
        subject=row["subject"],
        level=row["level"],
        system=row["system"],
        budget=row["budget"],
        budget_usd=None if row["budget_usd"] is None else _amount(row["budget_usd"]),
        sample=row["sample"],
        verdict=row["verdict"],
        answer=row["answer"],
        detail=row["detail"],
        response=row["response"],
        calls=calls,
        latency_s=timings["latency_s"],
        events=tuple(row.get("events", ())),
        charges=tuple(map(_decode_charge, row.get("charges", ()))),
    )


def _decode_charge(row: Mapping[str, Any]) -> ChargeRecord:
    return ChargeRecord(
        what=row["what"],
        list_cost_usd=_amount(row["list_cost_usd"]),
        basis=read_basis(row["basis"]),
        unsettled_usd=_amount(row.get("unsettled_usd", "0")),
        id=row["id"],
    )


_SHAPE = Shape(
    {
        "subject": (str, None),
        "level": (int, None),
        "answer": (str, None),
        "detail": str,
        "response": (str, None),
        "events?": [str],
        "timings": {"latency_s": float, "calls_s": [float]},
        "calls": [
            {
                "id": str,
                "expert": str,
                "model": str,
                "role": str,
                "status": str,
                "finish": (str, None),
                "text": (str, None),
                "attempts": int,
                "detail?": str,
                "usage": ({str: (int, bool)}, None),
                "source_correct?": (bool, None),
            }
        ],
        "charges?": [{"what": str, "id": str}],
    }
)
"""Beside what is checked as it is decoded."""


def _check_key(row: Mapping[str, Any]) -> None:
    """Raises ValueError where what names an episode would not sort or compare."""
    for name in ("task", "problem_id", "system"):
        if not isinstance(row[name], str):
            raise ValueError(f"{name} {row[name]!r} is no text")
    if not isinstance(row["budget"], str | None):
        raise ValueError(f"budget {row['budget']!r} is no text")
    if type(row["sample"]) is not int or row["sample"] < 0:
        raise ValueError(f"sample {row['sample']!r} is no whole number from 0")


def _amount(text: str) -> Decimal:
    """Dollars; raises ValueError where a text is no plain amount of them."""
    try:
        return parse_usd(text)
    except ConfigError as error:
        raise ValueError(str(error)) from error


def read_episodes(run_dir: Path) -> list[EpisodeRecord]:
    """Episodes of a run; of several with one key (errors that were retried) the last counts.

    Raises:
        StorageError: a line is no episode; the message names file and line.
    """
    path = run_dir / "episodes.jsonl"
    episodes = {record.key: record for record in read_episode_lines(path, decode_episode)}
    if not episodes:
        _check_start(path)
    return list(episodes.values())


def read_episode_lines(path: Path, decode: Callable[[dict[str, Any]], Record]) -> Iterator[Record]:
    """All lines of a file of episodes, or what is wanted of them.

    Args:
        path: of the file.
        decode: `decode_episode`, or less of it.

    Raises:
        StorageError: a line is no episode; the message names file and line.
    """
    advice = "take the line out, and the run's own command makes it anew"
    return read_records(path, decode, what="episode", advice=advice)


def _check_start(path: Path) -> None:
    """Tells a file of something else from one whose only line was cut short by a kill.

    Raises:
        StorageError: it does not begin as an episode does.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        if file.read(1) not in (b"", b"{"):
            raise StorageError(f"{path} holds no episodes: restore it, or make the run anew")


def canonical_lines(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Episode rows in a form that depends on neither clock nor scheduling, sorted."""
    return sorted(
        json.dumps(
            {name: value for name, value in row.items() if name != "timings"},
            ensure_ascii=False,
            separators=(",", ":"),
            sort_keys=True,
        )
        for row in rows
    )
