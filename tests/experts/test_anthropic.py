"""The Anthropic client, beside the anthropic package at the same server."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import anthropic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corl_bench.errors import ConfigError
from corl_bench.experts.anthropic import AnthropicProvider, parse_usage
from corl_bench.experts.base import Pool, ProviderError, Reply, Sampling
from corl_bench.experts.providers import ProviderContext, make_provider
from corl_bench.experts.transport import HttpReply, Transport
from corl_bench.types import Message, Usage
from servers.byte_server import ByteServer, http
from servers.experts import ENVIRONMENT, KEY, ask, expert_at
from servers.fault_server import Answer, FaultServer

MODEL = "claude-haiku-4-5"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2000) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
CONVERSATION = (
    Message("system", "You are terse."),
    Message("user", "Was ist 6 × 7?  ∫ 🎲"),
    Message("assistant", "42"),
    Message("system", "Answer in English."),
    Message("user", "Sure?"),
)


def payload_of(sampling: Sampling, *messages: Message, **changes: Any) -> dict[str, Any]:
    spec = expert_at(None, provider="anthropic", model=MODEL, sampling=sampling, **changes)
    return AnthropicProvider(spec, Transport({}), ENVIRONMENT).payload(ask(spec, *messages))


async def reply_to(body: object, **changes: Any) -> Reply:
    transport = Transport({})
    async with ByteServer([http(json.dumps(body))]) as server:
        spec = expert_at(server.url, provider="anthropic", model=MODEL, **changes)
        try:
            return await AnthropicProvider(spec, transport, ENVIRONMENT).send(ask(spec))
        finally:
            await transport.aclose()


async def error_of(body: object, **changes: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await reply_to(body, **changes)
    return caught.value


def message(content: object = None, reason: object = "end_turn", **changes: Any) -> dict[str, Any]:
    return {
        "type": "message",
        "model": f"{MODEL}-20251001",
        "content": [{"type": "text", "text": "42"}] if content is None else content,
        "stop_reason": reason,
        "usage": {"input_tokens": 10, "output_tokens": 5},
        **changes,
    }


def test_an_output_limit_is_required() -> None:
    with pytest.raises(ConfigError, match=r"expert mid: .* set max_output_tokens"):
        payload_of(Sampling())


def test_system_messages_are_lifted_out() -> None:
    payload = payload_of(Sampling(max_output_tokens=9), *CONVERSATION)
    assert payload == {
        "model": MODEL,
        "max_tokens": 9,
        "system": "You are terse.\n\nAnswer in English.",
        "messages": [m.as_dict() for m in CONVERSATION if m.role != "system"],
    }
    assert "system" not in payload_of(Sampling(max_output_tokens=9), Message("user", "Hi"))


def test_sampling_is_sent_under_anthropics_names() -> None:
    sampling = Sampling(max_output_tokens=9, temperature=0.5, top_p=0.9, stop=("END",))
    payload = payload_of(sampling)
    del payload["model"], payload["messages"]
    assert payload == {
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop_sequences": ["END"],
    }


def test_effort_asks_for_adaptive_thinking_and_none_for_no_thinking() -> None:
    high = payload_of(Sampling(max_output_tokens=9, reasoning_effort="high"))
    assert high["thinking"] == {"type": "adaptive"}
    assert high["output_config"] == {"effort": "high"}
    none = payload_of(Sampling(max_output_tokens=9, reasoning_effort="none"))
    assert none["thinking"] == {"type": "disabled"}
    assert "output_config" not in none
    budget = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    declared = payload_of(Sampling(max_output_tokens=2000), options={"body": budget})
    assert declared["thinking"] == budget["thinking"]


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
async def test_the_address_may_end_in_v1_or_not(path: str) -> None:
    async with FaultServer() as server:
        spec = expert_at(server.url + path, provider="anthropic", model=MODEL)
        transport = Transport({})
        await AnthropicProvider(spec, transport, ENVIRONMENT).send(ask(spec))
        await transport.aclose()
    assert server.requests[0]["path"] == "/v1/messages"


async def test_the_request_is_the_one_that_the_package_sends() -> None:
    answer = Answer("It is 42.", reasoning_tokens=64, cached_tokens=12)
    sampling = Sampling(max_output_tokens=300, reasoning_effort="low", stop=("END",))
    async with FaultServer(answer=lambda _: answer) as server:
        spec = expert_at(server.url, provider="anthropic", model=MODEL, sampling=sampling)
        transport = Transport({})
        reply = await AnthropicProvider(spec, transport, ENVIRONMENT).send(ask(spec, *CONVERSATION))
        await transport.aclose()
        async with anthropic.AsyncAnthropic(
            base_url=server.anthropic_url, api_key=KEY, max_retries=0
        ) as package:
            reference = await package.messages.create(
                model=MODEL,
                system="You are terse.\n\nAnswer in English.",
                messages=[m.as_dict() for m in CONVERSATION if m.role != "system"],
                max_tokens=300,
                stop_sequences=["END"],
                thinking={"type": "adaptive"},
                output_config={"effort": "low"},
            )
        ours, theirs = server.requests
    assert ours["body"] == theirs["body"]
    assert ours["path"] == theirs["path"] == "/v1/messages"
    headers, their_headers = (
        {name.lower(): value for name, value in request["headers"].items()}
        for request in (ours, theirs)
    )
    for name in ("content-type", "accept"):
        assert headers[name] == their_headers[name]
    # The package has moved on to a version that knows no temperature; ours still does.
    assert headers["anthropic-version"] == "2023-06-01" <= their_headers["anthropic-version"]
    # It also sends a bearer token now and sent x-api-key before; the API takes both.
    assert headers["x-api-key"] == KEY
    assert "authorization" not in headers
    assert KEY in " ".join(their_headers.values()).split()
    assert reply.text == reference.content[0].text
    assert reply.model == reference.model
    assert reply.usage == Usage(
        input_tokens=reference.usage.input_tokens,
        cached_input_tokens=reference.usage.cache_read_input_tokens,
        cache_write_tokens=reference.usage.cache_creation_input_tokens,
        output_tokens=reference.usage.output_tokens,
        reasoning_tokens=reference.usage.output_tokens_details.thinking_tokens,
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("400", anthropic.BadRequestError),
        ("401", anthropic.AuthenticationError),
        ("403", anthropic.PermissionDeniedError),
        ("404", anthropic.NotFoundError),
        ("409", anthropic.ConflictError),
        ("413", anthropic.APIStatusError),
        ("429", anthropic.RateLimitError),
        ("500", anthropic.InternalServerError),
        ("529", anthropic.APIStatusError),
    ],
)
async def test_what_the_package_would_try_again_is_retryable(
    status: str, kind: type[anthropic.APIStatusError]
) -> None:
    async with FaultServer(lambda _: f"{status}:0.001") as server:
        spec = expert_at(server.url, provider="anthropic", model=MODEL)
        transport = Transport({})
        with pytest.raises(ProviderError) as ours:
            await AnthropicProvider(spec, transport, ENVIRONMENT).send(ask(spec))
        await transport.aclose()
        async with anthropic.AsyncAnthropic(
            base_url=server.anthropic_url, api_key=KEY, max_retries=1
        ) as package:
            with pytest.raises(kind):
                await package.messages.create(
                    model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
                )
    assert ours.value.retryable == (len(server.requests) == 3)
    assert f"injected {status}" in ours.value.detail


@pytest.mark.parametrize(
    ("content", "reason", "text", "ending"),
    [
        (None, "end_turn", "42", "stop"),
        (None, "stop_sequence", "42", "stop"),
        (None, "max_tokens", "42", "length"),
        (None, "model_context_window_exceeded", "42", "length"),
        ([], "refusal", "", "refusal"),
        ([], "end_turn", "", "stop"),
        ([{"type": "tool_use", "id": "1"}], "tool_use", "", "stop"),
        (
            [
                {"type": "thinking", "thinking": "hm", "signature": "x"},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "text", "text": "4"},
                {"type": "text", "text": "2"},
                "?",
            ],
            "end_turn",
            "42",
            "stop",
        ),
    ],
)
async def test_text_and_ending(content: object, reason: str, text: str, ending: str) -> None:
    reply = await reply_to(message(content, reason))
    assert (reply.text, reply.finish) == (text, ending)


@pytest.mark.parametrize(
    ("kind", "status", "retryable"),
    [
        ("overloaded_error", "server_error", True),
        ("rate_limit_error", "rate_limited", True),
        ("api_error", "server_error", True),
        ("authentication_error", "auth", False),
        ("invalid_request_error", "bad_request", False),
        ("new_error", "server_error", True),
    ],
)
async def test_errors_inside_a_success(kind: str, status: str, retryable: bool) -> None:
    error = await error_of({"type": "error", "error": {"type": kind, "message": "because"}})
    assert (error.status, error.retryable) == (status, retryable)
    assert "because" in error.detail


@pytest.mark.parametrize("body", [{}, {"content": None}, {"content": "text"}, [], None])
async def test_what_is_no_message_is_malformed(body: object) -> None:
    error = await error_of(body)
    assert (error.status, error.retryable, error.billing) == ("malformed", True, "unknown")


async def test_another_model_is_an_error() -> None:
    error = await error_of(message(model="claude-sonnet-4-5-20250929"))
    assert (error.status, error.billing) == ("wrong_model", "unknown")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 10, "output_tokens": 5}, Usage(10, 0, 0, 0, 5)),
        # Cache reads and writes lie outside input_tokens.
        (
            {
                "input_tokens": 10,
                "cache_read_input_tokens": 2000,
                "cache_creation_input_tokens": 300,
                "output_tokens": 5,
            },
            Usage(10, 2000, 300, 0, 5),
        ),
        (
            {
                "input_tokens": 10,
                "cache_creation_input_tokens": 300,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 100,
                    "ephemeral_1h_input_tokens": 200,
                },
                "output_tokens": 50,
                "output_tokens_details": {"thinking_tokens": 40},
            },
            Usage(10, 0, 100, 200, 50, 40),
        ),
        (
            {
                "input_tokens": 10,
                "output_tokens": 5,
                "cache_read_input_tokens": None,
                "cache_creation_input_tokens": None,
                "cache_creation": None,
                "output_tokens_details": None,
            },
            Usage(10, 0, 0, 0, 5),
        ),
        (None, None),
        ({"input_tokens": 10}, None),
    ],
)
def test_usage(usage: object, expected: Usage | None) -> None:
    assert parse_usage(usage) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"input_tokens": -1},
        {"input_tokens": 1.5},
        {"output_tokens": True},
        {"cache_read_input_tokens": "9"},
        {"cache_creation": {"ephemeral_5m_input_tokens": 1}},
        {"cache_creation_input_tokens": 5, "cache_creation": {"ephemeral_1h_input_tokens": 4}},
        {"output_tokens_details": {"thinking_tokens": 6}},
        {"cache_creation": 5},
    ],
)
async def test_impossible_counts_bill_nothing(changes: dict[str, Any]) -> None:
    error = await error_of(message(usage={"input_tokens": 10, "output_tokens": 5, **changes}))
    assert (error.status, error.retryable, error.billing) == ("malformed", False, "unknown")
    assert "impossible usage" in error.detail


async def test_a_prompt_that_is_all_cache_has_counts() -> None:
    usage = {"input_tokens": 0, "cache_read_input_tokens": 500, "output_tokens": 5}
    assert (await reply_to(message(usage=usage))).usage.total_input_tokens == 500
    zeros = {"input_tokens": 0, "output_tokens": 5}
    assert (await error_of(message(usage=zeros))).status == "missing_usage"


async def test_a_key_can_go_as_a_bearer_token() -> None:
    async with FaultServer(key=KEY) as server:
        options = {"auth": "bearer"}
        spec = expert_at(server.url, provider="anthropic", model=MODEL, options=options)
        transport = Transport({})
        await AnthropicProvider(spec, transport, ENVIRONMENT).send(ask(spec))
        await transport.aclose()
    headers = {name.lower(): value for name, value in server.requests[0]["headers"].items()}
    assert headers["authorization"] == f"Bearer {KEY}"
    assert "x-api-key" not in headers
    with pytest.raises(ConfigError, match="option auth"):
        payload_of(Sampling(max_output_tokens=9), options={"auth": "basic"})


@settings(max_examples=100)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "model": st.just(MODEL) | JSON,
            "content": st.lists(
                st.fixed_dictionaries({"type": st.just("text"), "text": JSON}) | JSON, max_size=3
            )
            | JSON,
            "stop_reason": JSON,
            "usage": st.fixed_dictionaries({"input_tokens": JSON, "output_tokens": JSON}) | JSON,
            "error": JSON,
        },
    )
    | JSON
)
def test_any_answer_is_a_reply_or_a_provider_error(answer: Any) -> None:
    spec = expert_at(None, provider="anthropic", model=MODEL)
    provider = AnthropicProvider(spec, Transport({}), ENVIRONMENT)
    reply = HttpReply(200, {}, json.dumps(answer).encode(), 0.1)
    with contextlib.suppress(ProviderError):
        assert isinstance(provider._parse(reply, ask(spec), KEY).text, str)


def test_the_registry_makes_it() -> None:
    spec = expert_at(None, provider="anthropic")
    context = ProviderContext(pool=Pool("p", (spec,)), transport=Transport({}))
    assert isinstance(make_provider(spec, context), AnthropicProvider)
