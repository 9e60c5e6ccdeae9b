"""Experts behind Anthropic's Messages API.

One `send` is one POST to `{base_url}/v1/messages`. System messages become the `system` field;
an output limit is required, as the API requires it. `reasoning_effort` asks for adaptive
thinking at that effort, the form that models from 4.6 on take; `none` switches thinking off.
For an older model leave it out and declare a budget: `body.thinking = {type = "enabled",
budget_tokens = 8000}`. Thinking counts against the output limit, so the limit stays a bound.

    provider = AnthropicProvider(spec, transport, environment)
    reply = await provider.send(request)

`ANTHROPIC_BASE_URL` is not looked at: where keys and dollars go is written in the pool file.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from corl_bench.types import Usage

if TYPE_CHECKING:
    from corl_bench.experts.providers import ProviderContext

DEFAULT_BASE_URL = "https://api.anthropic.com"

# 2026-10-21 takes no temperature and no top_p any more, and changes nothing that we need; see
# https://platform.claude.com/docs/en/api/versioning.
API_VERSION = "2023-06-01"

# Any other reason (`end_turn`, `stop_sequence`, a tool that nobody offered) ends a reply that
# is complete for all we can know, and whose bill is exact: `stop`.
_FINISH: dict[str, FinishReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}

# https://platform.claude.com/docs/en/api/errors, for an error that arrives inside a 200.
_ERROR_STATUS: dict[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def make(spec: ExpertSpec, context: ProviderContext) -> Provider:
    """The factory that `corl_bench.experts.providers` registers."""
    return AnthropicProvider(spec, context.transport, context.environment)


class AnthropicProvider:
    """One expert behind the Messages API.

    Options of the expert: `answers_as` and `body` (see `endpoint.HttpOptions`), and `auth`:
    `bearer` sends the key as a bearer token, as some compatible servers want it, instead of
    in `x-api-key`.
    """

    def __init__(
        self, spec: ExpertSpec, transport: Transport, environment: Mapping[str, str]
    ) -> None:
        if spec.sampling.max_output_tokens is None:
            raise ConfigError(
                f"expert {spec.name}: provider anthropic needs an output limit; "
                "set max_output_tokens"
            )
        self._spec = spec
        self._transport = transport
        self._environment = environment
        self._options = read_options(spec, known=("auth",))
        auth = self._options.extra.get("auth", "x-api-key")
        if auth not in ("x-api-key", "bearer"):
            raise ConfigError(f"expert {spec.name}: option auth must be 'x-api-key' or 'bearer'")
        self._bearer = auth == "bearer"
        self._base_url = read_base_url(spec, DEFAULT_BASE_URL).removesuffix("/v1")

    async def send(self, request: Request) -> Reply:
        """Asks once; see `corl_bench.experts.base.Provider`."""
        key = read_key(self._spec, self._environment)
        reply = await self._transport.exchange(
            "POST",
            f"{self._base_url}/v1/messages",
            headers=self._headers(key),
            body=encode(self.payload(request)),
            timeout_s=self._spec.timeout_s,
        )
        if reply.status >= 300:
            raise status_error(reply, self._spec, key)
        return self._parse(reply, request, key)

    async def check(self) -> CheckResult:
        """Asks for the list of models, which costs nothing."""
        try:
            key = read_key(self._spec, self._environment)
        except ProviderError as error:
            return CheckResult(reachable=None, detail=error.detail, ready=False)
        url = f"{self._base_url}/v1/models?limit=1000"
        return await check_listing(self._transport, url, self._headers(key), self._spec, key)

    async def aclose(self) -> None:
        """Nothing: the transport belongs to the run."""

    def payload(self, request: Request) -> dict[str, Any]:
        """The body of the request, as a table."""
        sampling = request.sampling
        limit = sampling.max_output_tokens or self._spec.sampling.max_output_tokens
        payload: dict[str, Any] = {
            "model": self._spec.model,
            "max_tokens": limit,
            "messages": [m.as_dict() for m in request.messages if m.role != "system"],
        }
        if system := [m.content for m in request.messages if m.role == "system"]:
            payload["system"] = "\n\n".join(system)
        if sampling.temperature is not None:
            payload["temperature"] = sampling.temperature
        if sampling.top_p is not None:
            payload["top_p"] = sampling.top_p
        if sampling.stop:
            payload["stop_sequences"] = list(sampling.stop)
        if sampling.reasoning_effort == "none":
            payload["thinking"] = {"type": "disabled"}
        elif sampling.reasoning_effort is not None:
            payload["thinking"] = {"type": "adaptive"}
            payload["output_config"] = {"effort": sampling.reasoning_effort}
        return {**payload, **self._options.body}

    def _headers(self, key: str | None) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "anthropic-version": API_VERSION}
        if key is not None and self._bearer:
            headers["Authorization"] = f"Bearer {key}"
        elif key is not None:
            headers["x-api-key"] = key
        return headers

    def _parse(self, reply: HttpReply, request: Request, key: str | None) -> Reply:
        answer = read_object(reply)
        if error := answer.get("error"):
            kind = error.get("type") if isinstance(error, dict) else None
            raise status_error(reply, self._spec, key, status=_ERROR_STATUS.get(str(kind), 500))
        blocks = answer.get("content")
        if not isinstance(blocks, list):
            raise malformed("the reply has no content")
        model = check_model(answer.get("model"), self._spec, self._options)
        text = _join(blocks, "text", "text")
        usage = settle_usage(
            parse_usage(answer.get("usage")), request, text, _join(blocks, "thinking", "thinking")
        )
        return Reply(
            text=text,
            usage=usage,
            finish=_FINISH.get(str(answer.get("stop_reason")), "stop"),
            model=model,
            latency_s=reply.latency_s,
        )


def parse_usage(usage: object) -> Usage | None:
    """The counts of a message: cache reads and writes lie outside `input_tokens`.

    Writes are told apart by how long they live where the reply does so; without that they
    count as the five-minute kind, the API's default.

    Returns:
        None where there are no counts.

    Raises:
        ProviderError: `malformed`, billing unknown: the counts are impossible.
    """
    if not isinstance(usage, Mapping):
        return None
    if usage.get("input_tokens") is None or usage.get("output_tokens") is None:
        return None
    output = read_count(usage, "output_tokens")
    written = read_count(usage, "cache_creation_input_tokens")
    written_1h = 0
    if kinds := read_table(usage, "cache_creation"):
        written_5m = read_count(kinds, "ephemeral_5m_input_tokens")
        written_1h = read_count(kinds, "ephemeral_1h_input_tokens")
        if written_5m + written_1h != written:
            raise impossible_usage(f"{written_5m} + {written_1h} cache writes of {written}")
    reasoning = read_count(read_table(usage, "output_tokens_details"), "thinking_tokens")
    if reasoning > output:
        raise impossible_usage(f"{reasoning} thinking tokens of {output}")
    return Usage(
        input_tokens=read_count(usage, "input_tokens"),
        cached_input_tokens=read_count(usage, "cache_read_input_tokens"),
        cache_write_tokens=written - written_1h,
        cache_write_1h_tokens=written_1h,
        output_tokens=output,
        reasoning_tokens=reasoning,
    )


def _join(blocks: list[Any], kind: str, name: str) -> str:
    return "".join(
        clean_text(block.get(name))
        for block in blocks
        if isinstance(block, dict) and block.get("type") == kind
    )
