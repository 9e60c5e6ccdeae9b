"""What a worker asks of a shared pool, checked: an expert, a conversation, and which draw of it.

Invariant: whatever can change a reply is in the recording's key, or it is refused. A parameter
that recordings are not told apart by (`top_k`, a penalty, tools) belongs in the pool's file,
where it holds for everybody.

The draw travels as the request's `seed`, as `ExpertSpec.send_seed` has it sent: the sample index,
and a million for each time that the episode has made this very request before. A request without
one is refused rather than taken for the first draw, since all samples of a worker that forgets it
would then be one and the same reply.

    asked = read_draw_request(b'{"model": "o3", "seed": 7, "messages": [{"role": "user", …}]}')
    asked.sample, asked.occurrence      # 7, 0
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from corl_bench.experts.base import draw_of
from corl_bench.serve.chat import Limit, Part, Said, invalid_body, read_object, said_in
from corl_bench.serve.refusals import Refusal
from corl_bench.text import well_formed
from corl_bench.types import Message

LARGEST_SEED = 2**53 - 1
"""The largest whole number that every JSON reader takes exactly."""

_NOTHING: tuple[object, ...] = (None, [], {})
"""Values of a field that ask for nothing; clients send back what they were sent, with these."""


class _Body(BaseModel):
    """What is read of a request; there may be no more in it."""

    model_config = ConfigDict(strict=True)

    model: str
    messages: Annotated[list[Said], Field(min_length=1)]
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)]
    max_tokens: Limit | None = None
    max_completion_tokens: Limit | None = None
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    reasoning_effort: str | None = None
    stop: str | list[str] | None = None
    n: Literal[1] | None = None
    stream: Literal[False] | None = None
    user: str | None = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class DrawRequest:
    """One draw of one reply."""

    expert: str
    """Alias in the pool."""
    messages: tuple[Message, ...]
    sampling: Mapping[str, Any]
    """Fields of `Sampling` that differ from the expert's own; None leaves it."""
    sample: int
    occurrence: int

    @property
    def problem_text(self) -> str:
        """What the user said last; simulated experts look for their problem in it."""
        return next(m.content for m in reversed(self.messages) if m.role == "user")


def read_draw_request(body: bytes) -> DrawRequest:
    """Reads the body of a request.

    Raises:
        Refusal: 400, with the first thing that is wrong.
    """
    data = _without_empty(read_object(body), "messages", "content")
    _require_known(data)
    if "seed" not in data:
        raise Refusal(
            400,
            "seed: say which draw of the reply is wanted, 0 for the first; the same request with"
            " the same seed is one reply, recorded once (send_seed = true in a pool file)",
            code="missing_required_parameter",
            param="seed",
        )
    try:
        asked = _Body.model_validate(data)
    except ValidationError as invalid:
        raise invalid_body(invalid) from None
    limits = [n for n in (asked.max_completion_tokens, asked.max_tokens) if n is not None]
    stop = [asked.stop] if isinstance(asked.stop, str) else asked.stop
    sample, occurrence = draw_of(asked.seed)
    return DrawRequest(
        expert=asked.model,
        messages=said_in(asked.messages),
        sampling={
            "max_output_tokens": min(limits, default=None),
            # Zero has two signs in JSON, and is one temperature.
            "temperature": None if asked.temperature is None else abs(asked.temperature),
            "top_p": asked.top_p,
            "reasoning_effort": asked.reasoning_effort,
            "stop": stop,
        },
        sample=sample,
        occurrence=occurrence,
    )


def _without_empty(table: Mapping[str, Any], *lists: str) -> dict[str, Any]:
    """A table without the fields that ask for nothing.

    Args:
        table: as it was sent.
        lists: the field that holds a list of such tables, then the field of these, and so on.
    """
    kept = {name: value for name, value in table.items() if value not in _NOTHING}
    if lists and isinstance(rows := kept.get(lists[0]), list):
        kept[lists[0]] = [
            _without_empty(row, *lists[1:]) if isinstance(row, dict) else row for row in rows
        ]
    return kept


def _unknown_fields(data: Mapping[str, Any]) -> Iterator[str]:
    """Places of fields that would change a reply and not its recording."""
    yield from (name for name in data if name not in _Body.model_fields)
    for place, message in _tables(data.get("messages"), "messages"):
        yield from (f"{place}.{name}" for name in message if name not in Said.model_fields)
        for inner, part in _tables(message.get("content"), f"{place}.content"):
            yield from (f"{inner}.{name}" for name in part if name not in Part.model_fields)


def _tables(rows: object, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects in what may be a list, with their places."""
    for number, row in enumerate(rows if isinstance(rows, list) else ()):
        if isinstance(row, dict):
            yield f"{place}.{number}", row


def _require_known(data: Mapping[str, Any]) -> None:
    """Refuses what would change a reply and not its recording.

    Raises:
        Refusal: 400.
    """
    if (unknown := next(_unknown_fields(data), None)) is None:
        return
    shown = well_formed(unknown[:80])
    raise Refusal(
        400,
        f"{shown!r} is not supported: recordings are not told apart by it (what holds for"
        " every request goes into the pool file, as options.body of the expert)",
        code="unsupported_parameter",
        param=shown.partition(".")[0],
    )
