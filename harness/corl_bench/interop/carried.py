"""An episode of ours inside another format's row, so that no figure is lost on the way.

Other formats have no place for a ledger: lm-eval's samples and inspect's logs keep one score and
perhaps a token count. An export puts the episode beside it under the key `corl`, amounts as
decimal text, and an import takes it from there. What comes back is somebody's word like all else
that is imported: nothing in it is metered any more, and every value is checked as if a stranger
had written it, for a stranger may have.

    row["corl"] = carry(record, is_oracle=False, simulated=True, budgets={"low": "0.0005"})
    episode = read_carried(row["corl"], place="samples.jsonl:1", response=text)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

from corl_bench.errors import ConfigError
from corl_bench.experts.base import FinishReason
from corl_bench.experts.recording_columns import (
    RowError,
    quoted,
    read_count,
    read_flag,
    read_label,
    read_name,
    read_text,
)
from corl_bench.experts.recording_rows import read_usage
from corl_bench.interop.reported import (
    MAX_CALLS,
    MAX_EVENTS,
    ROLES,
    ReportedEpisode,
    Wanted,
    read_id,
    read_latency,
)
from corl_bench.money.amounts import parse_usd
from corl_bench.money.basis import CostBasis
from corl_bench.results import EpisodeRecord, decode_episode, encode_episode
from corl_bench.types import Budget

KEY = "corl"
MAX_ATTEMPTS = 10_000
"""Of one call."""
MAX_BUDGETS = 100
MAX_REMARK_CHARACTERS = 1_000
"""Of a line that says why or what for."""


def carry(
    record: EpisodeRecord, *, is_oracle: bool, simulated: bool, budgets: Mapping[str, str]
) -> dict[str, Any]:
    """The episode as a JSON object, but for its response, which the row itself has.

    Remarks are made the printable lines that `read_carried` takes.

    Args:
        record: the episode.
        is_oracle: whether its system saw the golds.
        simulated: whether its experts were simulated.
        budgets: of the run, dollars as text by name: those that a system is scored at which was
            told none.
    """
    row = encode_episode(record)
    del row["response"]
    row["detail"] = _printable(row["detail"])
    for call in row["calls"]:
        if "detail" in call:
            call["detail"] = _printable(call["detail"])
    if "events" in row:
        row["events"] = [_printable(event) for event in row["events"]]
    for fee in row.get("charges", ()):
        fee["what"] = _printable(fee["what"])
    return {**row, "is_oracle": is_oracle, "simulated": simulated, "budgets": dict(budgets)}


def read_carried(
    value: object,
    *,
    place: str,
    response: str | None,
    statement: str | None = None,
    gold: str | None = None,
) -> ReportedEpisode:
    """The episode that `carry` wrote, as a report.

    Args:
        value: what stands under `KEY`.
        place: file and line, for messages.
        response: the text that was graded, from the row itself.
        statement: likewise, of the problem.
        gold: likewise.

    Raises:
        RowError: it is no episode, or a value in it cannot be meant.
    """
    if not isinstance(value, dict):
        raise RowError(f"{KEY} must be an object, not {quoted(value)}")
    try:
        _check(value)
        record = decode_episode({**value, "response": response, "timings": _timings(value)})
        if record.list_cost_usd != parse_usd(value["list_cost_usd"]):
            raise RowError("list_cost_usd is not the sum of its calls and fees")
        if record.unsettled_usd != parse_usd(value["unsettled_usd"]):
            raise RowError("unsettled_usd is not the sum of its calls and fees")
        told, budgets = _told(record), _budgets(value.get("budgets", {}))
        if told is not None and any(b.name == told.name and b != told for b in budgets):
            raise RowError(f"budget {quoted(told.name)} is two amounts")
    except RowError as error:
        raise RowError(f"{KEY}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
        raise RowError(f"{KEY} is no episode ({quoted(str(error) or repr(error))})") from None
    record = replace(
        record,
        calls=tuple(replace(call, basis=believed(call.basis)) for call in record.calls),
        charges=tuple(replace(fee, basis=believed(fee.basis)) for fee in record.charges),
    )
    return ReportedEpisode(
        place=place,
        task=record.task,
        problem_id=record.problem_id,
        system=record.system,
        calls=(),
        response=response,
        correct=record.verdict == "correct",
        statement=statement,
        gold=gold,
        sample=record.sample,
        budget=told,
        scored_at=budgets,
        is_oracle=value.get("is_oracle") is True,
        simulated=value.get("simulated") is True,
        carried=record,
    )


def require_unnamed(wanted: Wanted) -> None:
    """Refuses a name for systems that have theirs.

    Raises:
        RowError: there is one.
    """
    if wanted.system is not None:
        raise RowError("an export of ours names its systems: leave out --system")


def believed(basis: CostBasis) -> CostBasis:
    """What is left of a basis in somebody else's file."""
    return "opaque" if basis == "opaque" else "self_reported"


def _check(row: Mapping[str, Any]) -> None:
    """Refuses what `decode_episode`, which trusts our own files, would let pass."""
    read_count(row["v"], "v")
    for name in ("task", "problem_id", "system"):
        read_id(row[name], name)
    if (row["budget"] is None) != (row["budget_usd"] is None):
        raise RowError("a budget has a name and an amount")
    if row["budget"] is not None:
        read_id(row["budget"], "budget")
    if row["subject"] is not None:
        read_label(row["subject"], "subject")
    if row["level"] is not None:
        read_count(row["level"], "level")
    read_count(row["sample"], "sample")
    if row["answer"] is not None:
        read_text(row["answer"], "answer")
    _check_remark(row["detail"], "detail")
    for name in ("is_oracle", "simulated"):
        read_flag(row[name], name)
    for event in _list(row.get("events", []), "events", MAX_EVENTS):
        _check_remark(event, "an event")
    for call in _list(row["calls"], "calls", MAX_CALLS):
        _check_call(call)
    for fee in _list(row.get("charges", []), "charges", MAX_CALLS):
        read_label(fee["id"], "id")
        _check_remark(fee["what"], "what")


def _check_call(call: Mapping[str, Any]) -> None:
    read_label(call["id"], "id")
    read_id(call["expert"], "expert")
    read_name(call["model"], "model")
    if call["role"] not in ROLES:
        raise RowError(f"role must be {' or '.join(ROLES)}, not {quoted(call['role'])}")
    status = read_name(call["status"], "status")
    if call["finish"] not in (None, *get_args(FinishReason)):
        raise RowError(f"finish is {quoted(call['finish'])}")
    # A call that failed before it was sent, as one that was not recorded, has no attempt.
    fewest = 1 if status == "ok" else 0
    if not fewest <= read_count(call["attempts"], "attempts") <= MAX_ATTEMPTS:
        raise RowError(f"attempts must be from {fewest} to {MAX_ATTEMPTS:,}")
    if call["usage"] is not None:
        read_usage({"input_tokens": 0, "output_tokens": 0, **call["usage"]})
    if call["text"] is not None:
        read_text(call["text"], "text")
    if call.get("source_correct") is not None:
        read_flag(call["source_correct"], "source_correct")
    _check_remark(call.get("detail", ""), "detail")


def _list(value: object, what: str, limit: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > limit:
        raise RowError(f"{what} must be a list of at most {limit:,}, not {quoted(value)}")
    return value


def _check_remark(value: object, what: str) -> None:
    if not isinstance(value, str) or not value.isprintable() or len(value) > MAX_REMARK_CHARACTERS:
        raise RowError(f"{what} must be a printable line, not {quoted(value)}")


def _printable(text: str) -> str:
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return line[:MAX_REMARK_CHARACTERS]


def _told(record: EpisodeRecord) -> Budget | None:
    if record.budget is None or record.budget_usd is None:
        return None
    return Budget(record.budget, record.budget_usd)


def _budgets(value: object) -> tuple[Budget, ...]:
    if not isinstance(value, dict) or len(value) > MAX_BUDGETS:
        raise RowError(f"budgets must be an object of at most {MAX_BUDGETS}, not {quoted(value)}")
    return tuple(Budget(read_id(name, "budget"), parse_usd(usd)) for name, usd in value.items())


def _timings(row: Mapping[str, Any]) -> dict[str, Any]:
    """Decimals of a JSON file back to the floats that readings of a clock are."""
    timings = row["timings"]
    return {
        "latency_s": read_latency(timings["latency_s"], "latency_s"),
        "calls_s": [read_latency(reading, "calls_s") for reading in timings["calls_s"]],
    }
