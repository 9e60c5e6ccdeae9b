"""The schema of the lines beside an entry: what may stand in an episode and in a ledger line.

Invariant: a line that passes holds values that a run writes, each of its type and within its
bounds, and no key beyond them. A line without texts passes only if nothing in it could be one.

    rows = episode_rows(unpack(path), path.name)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from corl_bench.episode import MAX_CHARGE_CHARS, MAX_EVENTS
from corl_bench.errors import ConfigError
from corl_bench.experts.base import ErrorStatus, FinishReason
from corl_bench.leaderboard.edges import Usd, validate
from corl_bench.leaderboard.raw import canonical
from corl_bench.money.basis import CostBasis
from corl_bench.money.ledger import INTERRUPTED
from corl_bench.types import VerdictStatus

LONGEST_LINE_BYTES = 4 << 20
"""One episode with all its replies; what is longer is not parsed."""


def _status(value: str) -> str:
    if value not in _STATUSES:
        raise ValueError("no call ends in this status")
    return value


_STATUSES = frozenset({"ok", INTERRUPTED, *get_args(ErrorStatus)})

Name = Annotated[str, Field(max_length=1000)]
"""Held against the board, the task or the pool; its length alone is bounded here."""
Tokens = Annotated[int, Field(ge=0, le=10**12)]
Seconds = Annotated[float, Field(ge=0, le=10**9, allow_inf_nan=False)]
Event = Annotated[str, Field(max_length=500)]
CallStatus = Annotated[str, AfterValidator(_status)]
CallId = Annotated[str, Field(pattern=r"^[0-9a-f]{12}\.(0|[1-9][0-9]{0,5})$")]

ChargeId = Annotated[str, Field(pattern=r"^fee-[0-9a-f]{12}\.(0|[1-9][0-9]{0,5})$")]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Usage(_Line):
    input_tokens: Tokens = 0
    cached_input_tokens: Tokens = 0
    cache_write_tokens: Tokens = 0
    cache_write_1h_tokens: Tokens = 0
    output_tokens: Tokens = 0
    reasoning_tokens: Tokens = 0
    estimated: bool = False


class _Stamp(_Line):
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]


class _Timings(_Line):
    latency_s: Seconds
    calls_s: list[Seconds]


class _Charge(_Line):
    id: ChargeId
    what: Annotated[str, Field(max_length=MAX_CHARGE_CHARS)]
    basis: CostBasis
    list_cost_usd: Usd
    unsettled_usd: Usd = "0"


class _AnyCall(_Line):
    id: CallId
    expert: Name
    model: Name
    role: Literal["expert", "self"]
    status: CallStatus
    finish: FinishReason | None
    attempts: Annotated[int, Field(ge=0, le=10**6)]
    usage: _Usage | None
    list_cost_usd: Usd
    unsettled_usd: Usd = "0"
    source_correct: bool = False
    basis: CostBasis = "metered"


class _Call(_AnyCall):
    text: str | None
    detail: str = ""
    request: str = ""


class _StampedCall(_AnyCall):
    text: None
    text_is: _Stamp | None


class _AnyEpisode(_Line):
    v: Literal[1, 2]
    task: Name
    problem_id: Name
    subject: Name | None
    level: int | None
    system: Name
    budget: Name | None
    budget_usd: Usd | None
    sample: Annotated[int, Field(ge=0)]
    verdict: VerdictStatus
    list_cost_usd: Usd
    unsettled_usd: Usd
    events: Annotated[list[Event], Field(max_length=MAX_EVENTS)] = []
    charges: Annotated[list[_Charge], Field(max_length=10**4)] = []
    timings: _Timings


class _Episode(_AnyEpisode):
    answer: str | None
    detail: str
    response: str | None
    calls: list[_Call]


class _StampedEpisode(_AnyEpisode):
    answer: None
    detail: Literal[""]
    response: None
    response_is: _Stamp | None
    calls: list[_StampedCall]


class _LedgerLine(_Line):
    v: Literal[1, 2]
    call: Annotated[str, Field(max_length=4000)]
    attempt: Annotated[int, Field(ge=1, le=10**6)]
    expert: Name
    model: Name
    price: Name
    status: CallStatus
    settled: bool
    usage: _Usage | None
    list_cost_usd: Usd
    unsettled_usd: Usd = "0"
    basis: CostBasis = "metered"
    fee: Literal["", "fee"] = ""


_EPISODE: TypeAdapter[_Episode] = TypeAdapter(_Episode)
_STAMPED: TypeAdapter[_StampedEpisode] = TypeAdapter(_StampedEpisode)
_LEDGER: TypeAdapter[_LedgerLine] = TypeAdapter(_LedgerLine)


def episode_rows(data: bytes, name: str) -> list[dict[str, Any]]:
    """Rows of episodes, each with its texts or with their digests alone.

    Raises:
        ConfigError: a line is not of its schema, or not as `canonical` writes it; `name:line`.
    """
    return _rows(data, name, ledger=False)


def ledger_rows(data: bytes, name: str) -> list[dict[str, Any]]:
    """Rows of ledger lines.

    Raises:
        ConfigError: as `episode_rows`.
    """
    return _rows(data, name, ledger=True)


def is_withheld(row: Mapping[str, Any]) -> bool:
    """Whether a row of the schema has the digests of its texts in their place."""
    return "response_is" in row


def _rows(data: bytes, name: str, *, ledger: bool) -> list[dict[str, Any]]:
    rows = []
    # Line by line: what is no row ends the reading before it has filled the memory.
    for number, line in enumerate(_lines(data), 1):
        place = f"{name}:{number}"
        row = _object(line, place)
        schema: TypeAdapter[Any] = _LEDGER if ledger else _STAMPED if is_withheld(row) else _EPISODE
        validate(schema, row, place)
        if not ledger and len(row["calls"]) != len(row["timings"]["calls_s"]):
            raise ConfigError(f"{place}: as many calls as times of calls are needed")
        if ledger and ("unsettled_usd" in row) == row["settled"]:
            raise ConfigError(f"{place}: what is settled has no `unsettled_usd`, what is not has")
        rows.append(row)
    try:
        same = canonical(rows) == data
    except UnicodeEncodeError:
        same = False
    if not same:
        raise ConfigError(f"{name}: its lines are not sorted, canonical JSON with each key once")
    return rows


def _lines(data: bytes) -> Iterable[bytes]:
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        yield data[start:end]
        start = end + 1


def _object(line: bytes, place: str) -> dict[str, Any]:
    if len(line) > LONGEST_LINE_BYTES:
        raise ConfigError(f"{place}: more than {LONGEST_LINE_BYTES:,} bytes are no line")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{place}: no JSON: {error}") from None
    if not isinstance(row, dict):
        raise ConfigError(f"{place}: a line is a JSON object")
    return row
