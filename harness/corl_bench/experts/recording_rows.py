"""One line of a recordings file as a call, and back.

A line has one of two forms. An *answer* says what an expert replied to a problem; whoever has
answers of a model can write it. A *recorded* call (`"origin": "recorded"`) is what an export of
a run's recordings holds: its request and every attempt as well. `docs/recordings.md` describes
both. Nothing is guessed: what is missing or odd is a `RowError`, and columns that were not
needed are reported, so that a misspelt one is seen.

    {"problem": "What is 2 + 2?", "expert": "small", "response": "4",
     "usage": {"input_tokens": 14, "output_tokens": 1}}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.experts.base import CANONICAL_PARTS, FinishReason, Reply
from corl_bench.experts.recording import Attempt, RecordedCall, problem_key
from corl_bench.experts.recording_columns import (
    Row,
    RowError,
    parse_object,
    quoted,
    read_count,
    read_digest,
    read_flag,
    read_label,
    read_name,
    read_problem_id,
    read_seconds,
    read_statement,
    read_text,
)
from corl_bench.experts.store import attempts_as_list, usage_as_dict
from corl_bench.experts.tariff import RoutedCall
from corl_bench.money.amounts import parse_usd
from corl_bench.text import is_well_formed
from corl_bench.types import Usage

DEFAULT_LABEL = "import"

_OPENAI_COUNTS = ("prompt_tokens", "completion_tokens")
_FLAT_USAGE = (*Usage.__slots__, *_OPENAI_COUNTS)

COLUMNS = (
    *("problem", "problem_key", "problem_id", "expert", "model", "response", "usage"),
    *("sample", "finish", "correct", "latency_s", "reply_model", "label", "token_source"),
    *_FLAT_USAGE,
)
"""Columns of an answer that may have another name in a file."""

_FINISHES: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "refusal": "refusal",
    "content_filter": "refusal",
}


@dataclass(frozen=True, slots=True)
class RowRules:
    """How the rows of an import are to be understood."""

    statements: Mapping[str, str] = field(default_factory=dict)
    """Problem ids and the statements they stand for."""
    expert: str | None = None
    """Name of the expert where a row has no column `expert`; None: its model's."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Our names of columns and those of the file."""
    label: str = DEFAULT_LABEL
    """Says where the answers come from, where they do not say so themselves."""


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row as a call."""

    call: RecordedCall
    statement: str | None
    """The problem's text; None where only its key is given."""
    ignored: frozenset[str]
    """Columns that nothing was read from."""


def read_row(line: str, rules: RowRules) -> ReadRow:
    """Reads one line.

    Raises:
        RowError: it is no JSON object of either form.
    """
    row = Row(parse_object(line), rules.columns)
    recorded = row.take("origin") == "recorded"
    call, statement = _recorded(row) if recorded else _answer(row, rules)
    return ReadRow(call, statement, row.ignored())


def write_row(call: RecordedCall, statement: str | None) -> str:
    """Writes a call as one line that `read_row` reads back as the same call.

    Args:
        call: any stored call.
        statement: the problem's text where it is known; it replaces the key.
    """
    reply = call.reply
    recorded = call.origin == "recorded"
    row: dict[str, Any] = {"origin": "recorded"} if recorded else {}
    if statement is None:
        row["problem_key"] = call.problem_key
    else:
        row["problem"] = statement
    row |= {"expert": call.expert, "model": call.model, "sample": call.sample}
    if recorded:
        row |= {
            "occurrence": call.occurrence,
            "episode": call.episode,
            "run_id": call.run_id,
            "request_key": call.request_key,
            "request": json.loads(call.request) if call.request else None,
            "attempts": attempts_as_list(call.attempts),
        }
    else:
        row["label"] = call.run_id
    if reply is not None:
        row |= {"response": reply.text, "usage": usage_as_dict(reply.usage), "finish": reply.finish}
        if reply.model != call.model:
            row["reply_model"] = reply.model
        if reply.latency_s:
            row["latency_s"] = reply.latency_s
        if reply.source_correct is not None:
            row["correct"] = reply.source_correct
    line = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate has no UTF-8; as an escape it passes.
    return line if is_well_formed(line) else json.dumps(row, separators=(",", ":"))


def read_problem(line: str) -> tuple[str, str]:
    """Reads (id, statement) from a line of a problems file: `problem_id` or `id`, `problem`.

    Raises:
        RowError: one of them is missing or of another type.
    """
    row = Row(parse_object(line))
    return read_problem_id(row.need("problem_id", "id")), read_statement(row.need("problem"))


def _answer(row: Row, rules: RowRules) -> tuple[RecordedCall, str | None]:
    key, statement = _problem(row, rules.statements)
    model = row.take("model")
    expert = row.take("expert")
    if expert is None:
        expert = model if rules.expert is None else rules.expert
    if expert is None:
        raise RowError("no expert or model: add a column, or name the expert with --expert")
    expert = read_name(expert, "expert")
    model = expert if model is None else read_name(model, "model")
    reply = _reply(row, model)
    if reply is None:
        raise RowError("no response")
    label = row.take("label")
    call = RecordedCall(
        request_key="",
        sample=row.index("sample"),
        occurrence=0,
        expert=expert,
        model=model,
        problem_key=key,
        attempts=(Attempt("ok", reply.usage, latency_s=reply.latency_s),),
        reply=reply,
        run_id=rules.label if label is None else read_label(label, "label"),
        origin="imported",
    )
    return call, statement


def _recorded(row: Row) -> tuple[RecordedCall, str | None]:
    key, statement = _problem(row, {})
    model = read_name(row.need("model"), "model")
    request_key, request = _request(row)
    attempts = row.need("attempts")
    if not isinstance(attempts, list) or not attempts:
        raise RowError("attempts must be a list of at least one")
    call = RecordedCall(
        request_key=request_key,
        sample=row.index("sample"),
        occurrence=row.index("occurrence"),
        expert=read_name(row.need("expert"), "expert"),
        model=model,
        problem_key=key,
        attempts=tuple(_attempt(attempt) for attempt in attempts),
        reply=_reply(row, model),
        episode=read_label(row.need("episode"), "episode"),
        run_id=read_label(row.need("run_id"), "run_id"),
        request=request,
    )
    return call, statement


def _problem(row: Row, statements: Mapping[str, str]) -> tuple[str, str | None]:
    """The problem's key and, where the row leads to it, its statement."""
    text = row.take("problem")
    if text is not None:
        statement = read_statement(text)
        return problem_key(statement), statement
    key = row.take("problem_key")
    if key is not None:
        return read_digest(key, "problem_key"), None
    name = row.take("problem_id", "id")
    if name is None:
        raise RowError("no problem, problem_key or problem_id")
    name = read_problem_id(name)
    if name not in statements:
        raise RowError(f"no statement of problem {quoted(name)}: give its file with --problems")
    return problem_key(statements[name]), statements[name]


def _reply(row: Row, model: str) -> Reply | None:
    text = row.take("response", "response_text")
    if text is None:
        return None
    finish = row.take("finish", "finish_reason") or "stop"
    if not isinstance(finish, str) or finish not in _FINISHES:
        raise RowError(f"finish must be one of {', '.join(_FINISHES)}, not {quoted(finish)}")
    correct = row.take("correct", "correct_by_source_grader")
    reply_model = row.take("reply_model")
    return Reply(
        text=read_text(text, "response"),
        usage=_row_usage(row),
        finish=_FINISHES[finish],
        model=model if reply_model is None else read_label(reply_model, "reply_model"),
        latency_s=read_seconds(row.take("latency_s"), "latency_s"),
        source_correct=None if correct is None else read_flag(correct, "correct"),
    )


def _row_usage(row: Row) -> Usage:
    """The object `usage`, or its counts as columns of their own."""
    source = row.take("token_source")
    guessed = isinstance(source, str) and source.startswith("estimated")
    counts = row.take("usage")
    if counts is None:
        flat = {name: row.take(name) for name in _FLAT_USAGE}
        counts = {name: value for name, value in flat.items() if value is not None}
        if not counts:
            raise RowError("no usage: without token counts a reply has no cost")
    usage = read_usage(counts)
    return replace(usage, estimated=True) if guessed else usage


def read_usage(value: object) -> Usage:
    """Tokens in our spelling, or in OpenAI's, which counts cached tokens inside its input.

    Raises:
        RowError: a count is no whole number from 0, or a part is more than its whole.
    """
    if not isinstance(value, dict):
        raise RowError(f"usage must be an object, not {quoted(value)}")
    if any(name in value for name in _OPENAI_COUNTS):
        usage = _openai_usage(value)
    else:
        unknown = sorted(set(value) - set(Usage.__slots__))
        if unknown:
            raise RowError(f"usage has {quoted(unknown[0])}, which is no class of tokens")
        names = {*value, "input_tokens", "output_tokens"} - {"estimated"}
        counts: dict[str, Any] = {name: _tokens(value, name) for name in sorted(names)}
        usage = Usage(**counts)
    if usage.reasoning_tokens > usage.output_tokens:
        raise RowError("usage has more reasoning_tokens than output tokens, of which they are part")
    return replace(usage, estimated=read_flag(value.get("estimated", False), "usage.estimated"))


def _openai_usage(value: dict[str, Any]) -> Usage:
    prompt, output = (_tokens(value, name) for name in _OPENAI_COUNTS)
    cached = _detail(value, "prompt_tokens_details", "cached_tokens")
    if cached > prompt:
        raise RowError("usage has more cached_tokens than prompt_tokens, of which they are part")
    return Usage(
        input_tokens=prompt - cached,
        cached_input_tokens=cached,
        output_tokens=output,
        reasoning_tokens=_detail(value, "completion_tokens_details", "reasoning_tokens"),
    )


def _tokens(counts: dict[str, Any], name: str) -> int:
    return read_count(counts.get(name), f"usage.{name}")


def _detail(usage: dict[str, Any], table: str, name: str) -> int:
    details = usage.get(table)
    if details is None:
        return 0
    if not isinstance(details, dict):
        raise RowError(f"usage.{table} must be an object, not {quoted(details)}")
    return 0 if details.get(name) is None else _tokens(details, name)


def _attempt(value: object) -> Attempt:
    if not isinstance(value, dict):
        raise RowError(f"an attempt must be an object, not {quoted(value)}")
    unknown = sorted(set(value) - set(Attempt.__slots__))
    if unknown:
        raise RowError(f"an attempt has {quoted(unknown[0])}, which is unknown")
    usage = value.get("usage")
    return Attempt(
        status=read_name(value.get("status"), "an attempt's status"),
        usage=None if usage is None else read_usage(usage),
        settled=read_flag(value.get("settled", True), "an attempt's settled"),
        latency_s=read_seconds(value.get("latency_s"), "an attempt's latency_s"),
        detail=read_text(value.get("detail", ""), "an attempt's detail"),
        routed=_routed(value.get("routed", [])),
    )


def _routed(value: object) -> tuple[RoutedCall, ...]:
    if not isinstance(value, list) or not all(isinstance(call, dict) for call in value):
        raise RowError("an attempt's routed must be a list of objects")
    calls = []
    for call in value:
        if unknown := sorted(set(call) - set(RoutedCall.__slots__)):
            raise RowError(f"a routed call has {quoted(unknown[0])}, which is unknown")
        usage, reported = call.get("usage"), call.get("reported_usd")
        calls.append(
            RoutedCall(
                read_label(call.get("model"), "a routed call's model"),
                None if usage is None else read_usage(usage),
                None if reported is None else _reported(reported),
            )
        )
    return tuple(calls)


def _reported(value: object) -> Decimal:
    try:
        return parse_usd(value if isinstance(value, str) else "", what="a routed call's cost")
    except ConfigError as error:
        raise RowError(str(error)) from None


def _request(row: Row) -> tuple[str, str]:
    """The request's key and its canonical text, which must belong together."""
    key = read_digest(row.need("request_key"), "request_key")
    value = row.take("request")
    if value is None:
        return key, ""
    if not isinstance(value, dict):
        raise RowError(f"request must be an object, not {quoted(value)}")
    foreign = sorted(set(value) - CANONICAL_PARTS)
    if foreign:
        raise RowError(f"request holds {quoted(foreign[0])}, which is no part of a canonical one")
    canonical = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    if not is_well_formed(canonical) or hashlib.sha256(canonical.encode()).hexdigest() != key:
        raise RowError("request is not the one that request_key stands for: was it edited?")
    return key, canonical
