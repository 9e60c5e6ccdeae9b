"""What a worker asks of a shared pool, checked: an expert, a conversation, and which draw of it.

Invariant: whatever can change a reply is in the recording's key, or it is refused. A parameter
that recordings are not told apart by (`top_k`, a penalty, tools) belongs in the pool's file,
where it holds for everybody.

The draw travels as the request's `seed`, as `ExpertSpec.send_seed` has it sent: the sample index,
and a million for each time that the episode has made this very request before. A request without
one is refused rather than taken for the first draw, since all samples of a worker that forgets it
would then be one and the same reply.

    asked = read_asked(b'{"model": "o3", "seed": 7, "messages": [{"role": "user", …}]}')
    asked.sample, asked.occurrence      # 7, 0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from corl_bench.experts.base import draw_of
from corl_bench.serve.chat import Limit, Said, read_object, refusal_of, said_in
from corl_bench.serve.refusals import Refusal
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
class Asked:
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


def read_asked(body: bytes) -> Asked:
    """Reads the body of a request.

    Raises:
        Refusal: 400, with the first thing that is wrong.
    """
    data = _asking(read_object(body))
    said = data.get("messages")
    if isinstance(said, list):
        data["messages"] = [_asking(m) if isinstance(m, dict) else m for m in said]
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
        raise refusal_of(invalid) from None
    limits = [n for n in (asked.max_completion_tokens, asked.max_tokens) if n is not None]
    stop = [asked.stop] if isinstance(asked.stop, str) else asked.stop
    sample, occurrence = draw_of(asked.seed)
    return Asked(
        expert=asked.model,
        messages=said_in(asked.messages),
        sampling={
            "max_output_tokens": min(limits, default=None),
            "temperature": asked.temperature,
            "top_p": asked.top_p,
            "reasoning_effort": asked.reasoning_effort,
            "stop": stop,
        },
        sample=sample,
        occurrence=occurrence,
    )


def _asking(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if value not in _NOTHING}


def _require_known(data: Mapping[str, Any]) -> None:
    """Refuses what would change a reply and not its recording.

    Raises:
        Refusal: 400.
    """
    unknown = [name for name in data if name not in _Body.model_fields]
    messages = data.get("messages")
    for place, message in enumerate(messages if isinstance(messages, list) else []):
        if isinstance(message, dict):
            unknown += [f"messages.{place}.{n}" for n in message if n not in Said.model_fields]
    if unknown:
        shown = unknown[0][:80]
        raise Refusal(
            400,
            f"{shown!r} is not supported: recordings are not told apart by it (what holds for"
            " every request goes into the pool file, as options.body of the expert)",
            code="unsupported_parameter",
            param=shown.partition(".")[0],
        )
