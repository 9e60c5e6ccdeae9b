"""Experts behind the chat-completions API: OpenAI's own, vLLM's and every compatible server's.

One `send` is one POST to `{base_url}/chat/completions`. The parameters go out as the model
takes them: the o-series and gpt-5 and later get `max_completion_tokens` and no temperature,
top_p or stop (they refuse those); everything else gets `max_tokens`. Tokens are brought to the
bench's classes, which do not overlap.

    provider = OpenAIProvider(spec, transport, environment)
    reply = await provider.send(request)

The address is the pool's `base_url` or OpenAI's own. `OPENAI_BASE_URL` is not looked at: where
keys and dollars go is written in the pool file, not left over in a shell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from corl_bench.errors import ConfigError
from corl_bench.experts.base import (
    CheckResult,
    ExpertSpec,
    FinishReason,
    Provider,
    ProviderError,
    Reply,
    Request,
)
from corl_bench.experts.endpoint import (
    check_listing,
    check_model,
    read_base_url,
    read_key,
    read_options,
)
from corl_bench.experts.transport import HttpReply, Transport
from corl_bench.experts.usage import impossible_usage, read_count, read_table, settle_usage
from corl_bench.experts.wire import clean_text, encode, malformed, read_object, status_error
from corl_bench.text import cut_at
from corl_bench.types import Usage

if TYPE_CHECKING:
    from corl_bench.experts.providers import ProviderContext

DEFAULT_BASE_URL = "https://api.openai.com/v1"

# o1, o3-mini, gpt-5, gpt-5.4-nano, gpt-6-sol, …; not gpt-4.1, gpt-oss-20b.
_REASONING_MODEL = re.compile(r"(?:o[1-9]\d*|gpt-(?:[5-9]|[1-9]\d)(?:\.\d+)?)(?:[-:].*)?")

# A model that was offered no tool and calls one all the same, or a word that nobody knows,
# still has said all that it is going to say, and its bill is exact: `stop`.
_FINISH: dict[str, FinishReason] = {
    "length": "length",
    "max_tokens": "length",
    "content_filter": "refusal",
}


def make(spec: ExpertSpec, context: ProviderContext) -> Provider:
    """The factory that `corl_bench.experts.providers` registers."""
    return OpenAIProvider(spec, context.transport, context.environment)


def takes_reasoning_parameters(model: str) -> bool:
    """Whether OpenAI's reasoning models' parameters fit, by the model's id.

    A vendor before a slash (`openai/o3`) and `ft:` are passed over. `gpt-5-chat` is no
    reasoning model in spite of its name.
    """
    name = model.rsplit("/", 1)[-1].removeprefix("ft:").casefold()
    return _REASONING_MODEL.fullmatch(name) is not None and not name.startswith("gpt-5-chat")


class OpenAIProvider:
    """One expert behind one OpenAI-compatible address.

    Options of the expert: `answers_as` and `body` (see `endpoint.HttpOptions`), and `parameters`,
    `reasoning` or `plain`, where the model's id does not tell which it takes (an alias).
    """

    known_options: tuple[str, ...] = ("parameters",)

    def __init__(
        self, spec: ExpertSpec, transport: Transport, environment: Mapping[str, str]
    ) -> None:
        self._spec = spec
        self._transport = transport
        self._environment = environment
        self._options = read_options(spec, known=self.known_options)
        self._base_url = read_base_url(spec, DEFAULT_BASE_URL)
        self._url = f"{self._base_url}/chat/completions"
        parameters = self._options.extra.get("parameters")
        if parameters not in (None, "reasoning", "plain"):
            raise ConfigError(
                f"expert {spec.name}: option parameters must be 'reasoning' or 'plain'"
            )
        self._reasoning = (
            takes_reasoning_parameters(spec.model)
            if parameters is None
            else parameters == "reasoning"
        )

    async def send(self, request: Request) -> Reply:
        """Asks once; see `corl_bench.experts.base.Provider`."""
        key = read_key(self._spec, self._environment)
        reply = await self._transport.exchange(
            "POST",
            self._url,
            headers=_headers(key),
            body=encode(self.payload(request)),
            timeout_s=self._spec.timeout_s,
        )
        if reply.status >= 300:
            raise status_error(reply, self._spec, key)
        return self.parse(reply, request, key)

    async def check(self) -> CheckResult:
        """Asks for the list of models, which costs nothing."""
        try:
            key = read_key(self._spec, self._environment)
        except ProviderError as error:
            return CheckResult(reachable=None, detail=error.detail, ready=False)
        return await check_listing(
            self._transport, f"{self._base_url}/models", _headers(key), self._spec, key
        )

    async def aclose(self) -> None:
        """Nothing: the transport belongs to the run."""

    def payload(self, request: Request) -> dict[str, Any]:
        """The body of the request, as a table."""
        sampling = request.sampling
        payload: dict[str, Any] = {
            "model": self._spec.model,
            "messages": [message.as_dict() for message in request.messages],
        }
        if sampling.max_output_tokens is not None:
            limit = "max_completion_tokens" if self._reasoning else "max_tokens"
            payload[limit] = sampling.max_output_tokens
        if sampling.reasoning_effort is not None:
            payload["reasoning_effort"] = sampling.reasoning_effort
        if not self._reasoning:
            if sampling.temperature is not None:
                payload["temperature"] = sampling.temperature
            if sampling.top_p is not None:
                payload["top_p"] = sampling.top_p
            if sampling.stop:
                payload["stop"] = list(sampling.stop)
        if self._spec.send_seed:
            payload["seed"] = request.draw_seed
        return {**payload, **self._options.body}

    def parse(self, reply: HttpReply, request: Request, key: str | None) -> Reply:
        """The answer to a request, of status 2xx.

        Raises:
            ProviderError: there is no usable reply in it.
        """
        said = read_completion(reply, self._spec, key)
        model = check_model(said.answer.get("model"), self._spec, self._options)
        usage = settle_usage(parse_usage(said.answer.get("usage")), request, said.text, said.hidden)
        text, finish = said.text, said.finish
        if self._reasoning:
            # These models take no stop strings, so we do for them what others do themselves.
            cut = cut_at(text, request.sampling.stop)
            text, finish = cut, finish if cut == text else "stop"
        return Reply(
            text=text,
            usage=usage,
            finish="refusal" if said.refused else finish,
            model=model,
            latency_s=reply.latency_s,
        )


@dataclass(frozen=True, slots=True)
class Completion:
    """What a chat completion says, whoever has answered and whatever it cost."""

    answer: Mapping[str, Any]
    """The whole object."""
    text: str
    hidden: str
    """Reasoning that came beside the text."""
    finish: FinishReason
    refused: bool


def read_completion(reply: HttpReply, spec: ExpertSpec, key: str | None) -> Completion:
    """The completion in a reply of status 2xx.

    Raises:
        ProviderError: there is none, or it reports an error.
    """
    answer = read_object(reply)
    choice = _first_choice(answer)
    error = answer.get("error") or choice.get("error")
    if error or choice.get("finish_reason") == "error":
        # Gateways report what went wrong behind them inside a 200.
        code = error.get("code") if isinstance(error, dict) else None
        status = code if type(code) is int and 400 <= code < 600 else 500
        raise status_error(reply, spec, key, status=status)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise malformed("the reply has no message")
    text, refused = _read_text(message)
    return Completion(
        answer=answer,
        text=text,
        hidden=clean_text(message.get("reasoning_content") or message.get("reasoning")),
        finish=_FINISH.get(str(choice.get("finish_reason")), "stop"),
        refused=refused,
    )


def parse_usage(usage: object) -> Usage | None:
    """The counts of a chat completion in classes that do not overlap.

    Cached and cache-written tokens lie inside `prompt_tokens`. Reasoning lies inside
    `completion_tokens` at OpenAI, but beside them at xAI and Gemini, whose totals are then
    larger than prompt and completion together: what a total holds beyond the prompt is output.
    (Tokens that are both read and written count as read, since they cannot be told apart.)

    Returns:
        None where there are no counts.

    Raises:
        ProviderError: `malformed`, billing unknown: the counts are impossible.
    """
    if not isinstance(usage, Mapping):
        return None
    if usage.get("prompt_tokens") is None or usage.get("completion_tokens") is None:
        return None
    prompt = read_count(usage, "prompt_tokens")
    output = read_count(usage, "completion_tokens")
    if usage.get("total_tokens") is not None:
        total = read_count(usage, "total_tokens")
        if total < prompt + output:
            raise impossible_usage(f"total_tokens is {total}, less than {prompt} + {output}")
        output = total - prompt
    inputs = read_table(usage, "prompt_tokens_details")
    cached = read_count(inputs, "cached_tokens")
    written = read_count(inputs, "cache_write_tokens")
    reasoning = read_count(read_table(usage, "completion_tokens_details"), "reasoning_tokens")
    if cached > prompt or written > prompt:
        raise impossible_usage(f"{max(cached, written)} cached tokens of {prompt}")
    if reasoning > output:
        raise impossible_usage(f"{reasoning} reasoning tokens of {output}")
    written = min(written, prompt - cached)
    return Usage(
        input_tokens=prompt - cached - written,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        output_tokens=output,
        reasoning_tokens=reasoning,
    )


def _headers(key: str | None) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    return headers


def _first_choice(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = answer.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    return {}


def _read_text(message: Mapping[str, Any]) -> tuple[str, bool]:
    """The visible text, and whether it is a refusal. Reasoning beside it is passed over."""
    refusal = clean_text(message.get("refusal"))
    content = message.get("content")
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict)]
        text = "".join(clean_text(p.get("text")) for p in parts if p.get("type") == "text")
        refusal = refusal or "".join(
            clean_text(p.get("refusal")) for p in parts if p.get("type") == "refusal"
        )
    else:
        text = clean_text(content)
    return text or refusal, bool(refusal)
