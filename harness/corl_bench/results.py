"""Result files of a run: `episodes.jsonl`, `summary.json` and their schemas.

`episodes.jsonl` is append-only and the truth for verdicts: one line an episode, in the order
in which they finished. Whatever depends on the clock stands under `timings`, so that two runs
can be compared byte for byte after `canonical_lines`. Dollars are strings of exact decimals.
A last line that a kill cut short is not an episode; readers skip it and the next run cuts it off.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from corl_bench.appending import read_lines
from corl_bench.errors import ConfigError
from corl_bench.money.amounts import format_usd
from corl_bench.types import Usage, VerdictStatus

EPISODE_SCHEMA = 1
SUMMARY_SCHEMA = 1


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

    @property
    def key(self) -> str:
        return episode_key(self.task, self.problem_id, self.system, self.budget, self.sample)

    @property
    def list_cost_usd(self) -> Decimal:
        return sum((call.list_cost_usd for call in self.calls), Decimal(0))

    @property
    def unsettled_usd(self) -> Decimal:
        return sum((call.unsettled_usd for call in self.calls), Decimal(0))

    @property
    def expert_calls(self) -> int:
        return sum(call.role == "expert" for call in self.calls)


def episode_key(task: str, problem_id: str, system: str, budget: str | None, sample: int) -> str:
    """Identifies an episode within its run; the same in ledger, journal and recordings."""
    parts = (task, problem_id, system, budget or "-", str(sample))
    return "|".join(part.replace("|", "%7C") for part in parts)


def encode_episode(record: EpisodeRecord) -> dict[str, Any]:
    """The JSON object of one line; keys without information are left out of calls."""
    return {
        "v": EPISODE_SCHEMA,
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


def _encode_call(call: CallRecord) -> dict[str, Any]:
    row: dict[str, Any] = {
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
    return row


def decode_episode(row: Mapping[str, Any]) -> EpisodeRecord:
    """The inverse of `encode_episode`.

    Raises:
        ConfigError: the row was written by a newer version.
        KeyError: a field is missing.
    """
    if row["v"] > EPISODE_SCHEMA:
        raise ConfigError(
            f"episodes are of schema {row['v']}, this version reads up to {EPISODE_SCHEMA}:"
            " upgrade corl-bench"
        )
    timings = row["timings"]
    calls = tuple(
        CallRecord(
            expert=call["expert"],
            model=call["model"],
            role=call["role"],
            status=call["status"],
            finish=call["finish"],
            text=call["text"],
            usage=None if call["usage"] is None else Usage(**call["usage"]),
            list_cost_usd=Decimal(call["list_cost_usd"]),
            unsettled_usd=Decimal(call.get("unsettled_usd", "0")),
            attempts=call["attempts"],
            latency_s=latency_s,
            source_correct=call.get("source_correct"),
            detail=call.get("detail", ""),
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
        budget_usd=None if row["budget_usd"] is None else Decimal(row["budget_usd"]),
        sample=row["sample"],
        verdict=row["verdict"],
        answer=row["answer"],
        detail=row["detail"],
        response=row["response"],
        calls=calls,
        latency_s=timings["latency_s"],
    )


def read_episodes(run_dir: Path) -> list[EpisodeRecord]:
    """Episodes of a run; of several with one key (errors that were retried) the last counts."""
    episodes: dict[str, EpisodeRecord] = {}
    for row in read_lines(run_dir / "episodes.jsonl"):
        record = decode_episode(row)
        episodes[record.key] = record
    return list(episodes.values())


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


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One operating point: a system on a task, scored at a budget.

    Budget-blind systems have one row for each budget, over the same episodes.
    """

    task: str
    system: str
    budget: str | None
    budget_usd: Decimal | None
    told_budget: bool
    """Whether the system saw the budget, or is only scored at it."""
    oracle: bool
    problems: int
    samples: int
    """Samples of each problem; accuracy is the mean over them (pass@1)."""
    episodes: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    """95 %, see `corl_bench.metrics.accuracy`."""
    accuracy_as_recorded: float | None
    """By the verdicts that came with imported recordings, where all episodes have one."""
    verdicts: Mapping[str, int]
    mean_cost_usd: Decimal
    """List cost per episode, rounded to 12 decimals; `total_cost_usd` is exact."""
    total_cost_usd: Decimal
    unsettled_usd: Decimal
    calls: int
    expert_call_ratio: float
    """Calls to experts per episode; calls to the controller's own model are left out."""
    calls_by_expert: Mapping[str, int]
    violations: int
    violation_rate: float | None
    """Share of episodes whose list cost is above the budget; None without a budget."""
    truncated: int
    """Calls whose reply was cut at its output limit."""
    refused: int
    errors: int
    """Episodes with the verdict `error`."""
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    estimated_calls: int
    """Calls whose usage is an estimate."""
    latency_p50_s: float
    latency_p95_s: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What `summary.json` holds."""

    run_id: str
    simulated: bool
    """True where any expert is simulated; everything that prints figures says so."""
    finished: bool
    tasks: Mapping[str, Mapping[str, Any]]
    """By task: title, digest, digest_status, problems, redistributable."""
    rows: tuple[SummaryRow, ...]
    list_cost_usd: Decimal
    billed_cost_usd: Decimal
    """What this run paid: calls that were replayed cost nothing."""
    unsettled_usd: Decimal
    unsettled_attempts: int
    attempts: int
    notes: tuple[str, ...] = field(default_factory=tuple)


_ROW_TIMINGS = ("latency_p50_s", "latency_p95_s")


def encode_summary(summary: Summary) -> dict[str, Any]:
    """The JSON object of `summary.json`; costs are strings, clock readings under `timings`."""
    return {
        "schema": f"corl-bench/summary@{SUMMARY_SCHEMA}",
        "run_id": summary.run_id,
        "simulated": summary.simulated,
        "finished": summary.finished,
        "totals": {
            "list_cost_usd": format_usd(summary.list_cost_usd),
            "billed_cost_usd": format_usd(summary.billed_cost_usd),
            "unsettled_usd": format_usd(summary.unsettled_usd),
            "unsettled_attempts": summary.unsettled_attempts,
            "attempts": summary.attempts,
        },
        "notes": list(summary.notes),
        "tasks": {name: dict(task) for name, task in summary.tasks.items()},
        "rows": [_encode_row(row) for row in summary.rows],
    }


def _encode_row(row: SummaryRow) -> dict[str, Any]:
    encoded: dict[str, Any] = {}
    for name in row.__slots__:
        value = getattr(row, name)
        if name in _ROW_TIMINGS:
            continue
        if isinstance(value, Decimal):
            value = format_usd(value)
        elif isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, Mapping):
            value = dict(value)
        encoded[name] = value
    encoded["timings"] = {name: round(getattr(row, name), 6) for name in _ROW_TIMINGS}
    return encoded


def decode_summary(data: Mapping[str, Any]) -> Summary:
    """The inverse of `encode_summary`.

    Raises:
        ConfigError: not a summary, or one of another schema.
    """
    schema = data.get("schema")
    if schema != f"corl-bench/summary@{SUMMARY_SCHEMA}":
        raise ConfigError(f"summary of schema {schema!r} cannot be read by this version")
    totals = data["totals"]
    rows = []
    for row in data["rows"]:
        fields = {name: value for name, value in row.items() if name != "timings"}
        for name in ("budget_usd", "mean_cost_usd", "total_cost_usd", "unsettled_usd"):
            if fields[name] is not None:
                fields[name] = Decimal(fields[name])
        low, high = fields["accuracy_interval"]
        fields["accuracy_interval"] = (low, high)
        rows.append(SummaryRow(**fields, **row["timings"]))
    return Summary(
        run_id=data["run_id"],
        simulated=data["simulated"],
        finished=data["finished"],
        tasks=data["tasks"],
        rows=tuple(rows),
        list_cost_usd=Decimal(totals["list_cost_usd"]),
        billed_cost_usd=Decimal(totals["billed_cost_usd"]),
        unsettled_usd=Decimal(totals["unsettled_usd"]),
        unsettled_attempts=totals["unsettled_attempts"],
        attempts=totals["attempts"],
        notes=tuple(data["notes"]),
    )


def read_summary(run_dir: Path) -> Summary:
    """The summary of a run directory.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    path = run_dir / "summary.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{run_dir} holds no run: {path.name} is missing") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON ({error})") from error
    return decode_summary(data)
