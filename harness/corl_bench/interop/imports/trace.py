"""Full traces, our own format: every call of a system that ran somewhere else.

One JSON object a line; docs/interop.md has every key:

    {"task": "quiz", "problem_id": "1", "problem": "What is 2 + 2?", "gold": "4",
     "system": "mine", "calls": [{"expert": "nano", "model": "openai/gpt-4.1-nano",
     "usage": {"input_tokens": 14, "output_tokens": 3}, "text": "It is 4."}], "answer": "It is 4."}

Verdicts and costs that a trace claims are not read: its answers are graded by our grader and its
calls priced at our dated prices. The token counts are its author's word, so its costs are
self-reported all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.experts.base import FinishReason
from corl_bench.experts.recording_columns import (
    RowError,
    quoted,
    read_count,
    read_label,
    read_name,
    read_statement,
    read_text,
)
from corl_bench.experts.recording_rows import read_usage
from corl_bench.interop.imports.bounded import Reader
from corl_bench.interop.reported import (
    MAX_CALLS,
    MAX_EVENTS,
    ROLES,
    Reading,
    ReportedCall,
    ReportedEpisode,
    Wanted,
    read_id,
    read_latency,
    read_usd,
)
from corl_bench.types import ANSWER_KINDS, Budget

_KEYS = frozenset(
    {
        *("task", "problem_id", "problem", "gold", "kind", "subject", "level", "system"),
        *("budget", "budget_usd", "sample", "calls", "answer", "error", "events", "latency_s"),
    }
)
_CALL_KEYS = frozenset(
    {"expert", "model", "role", "status", "usage", "text", "finish", "latency_s", "detail"}
)
_FINISHES: tuple[FinishReason, ...] = ("stop", "length", "refusal")


def read(path: Path, wanted: Wanted) -> Reading:
    """Reads a trace.

    Raises:
        ConfigError: a row has a key that is not the format's, or a value that cannot be meant.
    """
    reader = Reader()
    episodes = []
    for place, row in reader.rows(path):
        try:
            episodes.append(_episode(row, wanted, place))
        except RowError as error:
            raise ConfigError(f"{place}: {error}") from None
    if not episodes:
        raise ConfigError(f"{path} is empty")
    return Reading("trace", episodes, reader.digest)


def _episode(row: Mapping[str, Any], wanted: Wanted, place: str) -> ReportedEpisode:
    if unknown := sorted(row.keys() - _KEYS):
        raise RowError(f"{quoted(unknown[0])} is no key of a trace")
    calls = row.get("calls")
    if not isinstance(calls, list) or len(calls) > MAX_CALLS:
        raise RowError(f"calls must be a list of at most {MAX_CALLS:,}, not {quoted(calls)}")
    statement = row.get("problem")
    gold = row.get("gold")
    kind = row.get("kind")
    if kind is not None and kind not in ANSWER_KINDS:
        raise RowError(f"kind must be one of {', '.join(ANSWER_KINDS)}, not {quoted(kind)}")
    answer = row.get("answer")
    events = row.get("events") or []
    if not isinstance(events, list) or len(events) > MAX_EVENTS:
        raise RowError(f"events must be a list of at most {MAX_EVENTS} lines, not {quoted(events)}")
    latency = row.get("latency_s")
    level = row.get("level")
    subject = row.get("subject")
    error = row.get("error")
    return ReportedEpisode(
        place=place,
        task=read_id(row.get("task"), "task"),
        problem_id=read_id(row.get("problem_id"), "problem_id"),
        system=read_id(row.get("system") or wanted.system, "system"),
        calls=tuple(_call(call) for call in calls),
        response=None if answer is None else read_text(answer, "answer"),
        statement=None if statement is None else read_statement(statement),
        gold=None if gold is None else read_name(gold, "gold"),
        kind=kind,
        sample=read_count(row.get("sample", 0), "sample"),
        budget=_budget(row),
        error="" if error is None else read_label(error, "error") or "no reason given",
        subject=None if subject is None else read_label(subject, "subject"),
        level=None if level is None else read_count(level, "level"),
        events=tuple(read_label(event, "an event") for event in events),
        latency_s=None if latency is None else read_latency(latency, "latency_s"),
    )


def _budget(row: Mapping[str, Any]) -> Budget | None:
    name, usd = row.get("budget"), read_usd(row.get("budget_usd"), "budget_usd")
    if name is None and usd is None:
        return None
    if name is None or not usd:
        raise RowError("budget and budget_usd: a budget has a name and an amount above 0")
    return Budget(read_id(name, "budget"), usd)


def _call(value: object) -> ReportedCall:
    if not isinstance(value, dict):
        raise RowError(f"a call must be an object, not {quoted(value)}")
    if unknown := sorted(value.keys() - _CALL_KEYS):
        raise RowError(f"{quoted(unknown[0])} is no key of a call")
    expert = read_id(value.get("expert"), "expert")
    role = value.get("role", "expert")
    if role not in ROLES:
        raise RowError(f"role must be {' or '.join(ROLES)}, not {quoted(role)}")
    status = read_name(value.get("status", "ok"), "status")
    usage = value.get("usage")
    if usage is None and status == "ok":
        raise RowError("a call that is ok has usage: without token counts it has no cost")
    finish = value.get("finish", "stop" if status == "ok" else None)
    if finish is not None and finish not in _FINISHES:
        raise RowError(f"finish must be one of {', '.join(_FINISHES)}, not {quoted(finish)}")
    text = value.get("text")
    return ReportedCall(
        expert,
        read_name(value.get("model", expert), "model"),
        text=None if text is None else read_text(text, "text"),
        usage=None if usage is None else read_usage(usage),
        status=status,
        role=role,
        finish=finish,
        latency_s=read_latency(value.get("latency_s"), "latency_s"),
        detail=read_label(value.get("detail", ""), "detail"),
    )
