"""A chat completion as it is asked for, checked.

Invariant: what `read_chat` returns can be carried out. Parameters that would change what a
reply is and that no routing system can honour (tools, images, several choices) are refused
rather than passed over; those that shape a model's sampling (temperature, say) are the pool's
matter and are passed over.

    chat = read_chat(b'{"model": "corl-low", "messages": [{"role": "user", "content": "6·7?"}]}')
    chat.statement, chat.messages
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from corl_bench.errors import ConfigError
from corl_bench.experts.usage import MAX_TOKENS
from corl_bench.money.amounts import format_usd, parse_usd
from corl_bench.serve.refusals import Refusal
from corl_bench.text import well_formed
from corl_bench.types import Message

MODEL = "corl"
"""The model without a budget; with one it is `corl-<name of the budget>`."""

MAX_STOPS = 4

_WRITE = {
    "budget_usd": 'write dollars, 0.002 or "0.002"',
    "content": "write text; images and other parts are not supported",
    "stop": "write a text or a list of texts",
}
"""What may stand in fields of several types."""

_MOST_DIGITS = 30
"""Of a number that can be dollars; written out, 1e999999999 would fill the memory."""

_UNSUPPORTED = (
    *("tools", "functions", "logprobs", "top_logprobs", "audio", "prediction"),
    *("web_search_options", "moderation"),
)
"""Fields that ask for another kind of reply than text; empty ones ask for nothing."""

_CHOICES = ("tool_choice", "function_call")
"""Fields that ask for a tool unless they leave the choice to the model, or ask for none."""

_OF_A_CALL = ("tool_calls", "function_call", "audio")
"""What a message of the assistant's may hold beside its text, and no system would be shown."""

Limit = Annotated[int, Field(ge=1, le=MAX_TOKENS)]


class Part(BaseModel):
    type: Literal["text"]
    text: str


class Said(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part] | None = None

    def message(self) -> Message:
        content = self.content or ""
        text = content if isinstance(content, str) else "".join(part.text for part in content)
        role = "system" if self.role == "developer" else self.role
        return Message(role, well_formed(text))


class _StreamOptions(BaseModel):
    include_usage: bool | None = None


class _Format(BaseModel):
    type: Literal["text"]


class _Body(BaseModel):
    """What is read of a request."""

    model_config = ConfigDict(strict=True)

    model: str
    messages: Annotated[list[Said], Field(min_length=1)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    budget_usd: Decimal | int | str | None = None
    max_tokens: Limit | None = None
    max_completion_tokens: Limit | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    n: Literal[1] | None = None
    response_format: _Format | None = None
    modalities: list[Literal["text"]] | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """What a client wants."""

    model: str
    messages: tuple[Message, ...]
    stream: bool = False
    include_usage: bool = False
    budget_usd: Decimal | None = None
    max_output_tokens: int | None = None
    stops: tuple[str, ...] = ()
    seed: int | None = None

    @property
    def statement(self) -> str:
        """The conversation as one text, which is all that a routing system is shown.

        A single message is itself; a question with instructions before it is both, one behind
        the other; a longer conversation is told with who said what.
        """
        said = [message for message in self.messages if message.role != "system"]
        if len(said) == 1:
            return "\n\n".join(message.content for message in self.messages)
        return "\n\n".join(f"{message.role}: {message.content}" for message in self.messages)


def read_chat(body: bytes) -> Chat:
    """Reads the body of a request.

    Raises:
        Refusal: 400, with the first thing that is wrong.
    """
    data = read_object(body, parse_float=Decimal)
    _require_supported(data)
    try:
        asked = _Body.model_validate(data)
    except ValidationError as invalid:
        raise invalid_body(invalid) from None
    messages = said_in(asked.messages)
    stops = [asked.stop] if isinstance(asked.stop, str) else asked.stop or []
    if len(stops) > MAX_STOPS:
        raise Refusal(400, f"stop: at most {MAX_STOPS}", code="invalid_value", param="stop")
    limits = [n for n in (asked.max_completion_tokens, asked.max_tokens) if n is not None]
    return Chat(
        model=asked.model,
        messages=messages,
        stream=bool(asked.stream),
        include_usage=bool(asked.stream_options and asked.stream_options.include_usage),
        budget_usd=_budget(asked.budget_usd),
        max_output_tokens=min(limits, default=None),
        stops=tuple(stop for stop in stops if stop),
        seed=asked.seed,
    )


def read_object(body: bytes, *, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
        Refusal: 400, it is none.
    """
    try:
        data = json.loads(body.decode(), parse_float=parse_float, parse_constant=_no_number)
    except (ValueError, RecursionError, ArithmeticError):  # the last: 1e99999999999999999999
        raise Refusal(400, "the body is not JSON", code="invalid_json") from None
    if not isinstance(data, dict):
        raise Refusal(400, "the body is not a JSON object", code="invalid_json")
    return data


def said_in(messages: Sequence[Said]) -> tuple[Message, ...]:
    """The conversation.

    Raises:
        Refusal: 400, the user says nothing in it.
    """
    said = tuple(message.message() for message in messages)
    if not any(message.role == "user" for message in said):
        raise Refusal(
            400, "messages: there is none of the user", code="invalid_value", param="messages"
        )
    return said


def _require_supported(data: Mapping[str, Any]) -> None:
    """Refuses what would be passed over and may not be.

    Raises:
        Refusal: 400.
    """
    asked = [name for name in _UNSUPPORTED if data.get(name)]
    asked += [name for name in _CHOICES if data.get(name) not in (None, "", "none", "auto")]
    said = data.get("messages")
    for place, message in enumerate(said if isinstance(said, list) else []):
        if isinstance(message, dict):
            asked += [f"messages.{place}.{name}" for name in _OF_A_CALL if message.get(name)]
    if asked:
        raise Refusal(
            400,
            f"{asked[0]} is not supported: a routing system answers in plain text",
            code="unsupported_parameter",
            param=asked[0].partition(".")[0],
        )


def _budget(written: Decimal | int | str | None) -> Decimal | None:
    """Dollars, as a number or, lest a client's floats round them, as a text of digits.

    Raises:
        Refusal: it is no amount, or nothing.
    """
    if written is None:
        return None
    try:
        if not isinstance(written, str):
            number = Decimal(written)
            if abs(number.adjusted()) > _MOST_DIGITS:
                raise ConfigError("budget_usd has too many digits")
            written = format_usd(number)
        usd = parse_usd(written, what="budget_usd")
    except ConfigError as error:
        raise Refusal(400, str(error), code="invalid_value", param="budget_usd") from None
    if not usd:
        raise Refusal(
            400, "budget_usd: $0 allows no call", code="invalid_value", param="budget_usd"
        )
    return usd


def invalid_body(invalid: ValidationError) -> Refusal:
    """What is wrong with a body: its first mistake, with its place."""
    first = invalid.errors(include_url=False, include_input=False, include_context=False)[0]
    place = [str(part) for part in first["loc"]]
    message = first["msg"]
    for end, part in enumerate(place, start=1):
        if part in _WRITE:  # pydantic goes on with the names of the types that it has tried
            place, message = place[:end], _WRITE[part]
            break
    code = "missing_required_parameter" if first["type"] == "missing" else "invalid_value"
    return Refusal(400, f"{'.'.join(place)}: {message}", code=code, param=place[0])


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")
