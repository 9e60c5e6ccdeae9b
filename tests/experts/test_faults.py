"""Both clients against the fault server: one request each, and its bill lies where we say."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Literal

import pytest

from corl_bench.experts.anthropic import AnthropicProvider
from corl_bench.experts.base import Provider, ProviderError, Reply, Request
from corl_bench.experts.openai import OpenAIProvider
from corl_bench.experts.transport import HttpReply, Transport
from corl_bench.experts.wire import status_error
from servers.experts import ENVIRONMENT, KEY, KEY_ENV, PRICE, ask, expert_at
from servers.fault_server import FAULTS, Answer, FaultServer, Rate

Protocol = Literal["openai", "anthropic"]
BOTH = pytest.mark.parametrize("protocol", ["openai", "anthropic"])

# fault: (status, retryable, billing, retry_after_s)
EXPECTED = {
    "400": ("bad_request", False, "none", None),
    "401": ("auth", False, "none", None),
    "403": ("auth", False, "none", None),
    "404": ("bad_request", False, "none", None),
    "408": ("timeout", True, "none", None),
    "409": ("server_error", True, "none", None),
    "422": ("bad_request", False, "none", None),
    "429": ("rate_limited", True, "none", None),
    "429:0.5": ("rate_limited", True, "none", 0.5),
    "500": ("server_error", True, "none", None),
    "503:7": ("server_error", True, "none", 7.0),
    "504": ("server_error", True, "unknown", None),
    "529": ("server_error", True, "none", None),
    "too_long": ("too_long", False, "none", None),
    "redirect": ("bad_request", False, "none", None),
    "refuse": ("cut", True, "unknown", None),
    "slow": ("timeout", True, "unknown", None),
    "cut": ("cut", True, "unknown", None),
    "reset": ("cut", True, "unknown", None),
    "malformed": ("malformed", True, "unknown", None),
    "no_usage": ("missing_usage", False, "unknown", None),
    "bad_usage": ("malformed", False, "unknown", None),
    "wrong_model": ("wrong_model", False, "unknown", None),
    "huge": ("malformed", False, "unknown", None),
    "bad_utf8": ("malformed", True, "unknown", None),
    "gzip_bomb": ("malformed", False, "unknown", None),
    "error_in_body": ("server_error", True, "unknown", None),
}


@contextlib.asynccontextmanager
async def client(
    server: FaultServer, protocol: Protocol, **changes: object
) -> AsyncIterator[tuple[Provider, Request]]:
    spec = expert_at(
        server.base_url if protocol == "openai" else server.anthropic_url,
        provider=protocol,
        **changes,
    )
    transport = Transport({})
    kind = OpenAIProvider if protocol == "openai" else AnthropicProvider
    try:
        yield kind(spec, transport, ENVIRONMENT), ask(spec)
    finally:
        await transport.aclose()


async def outcome(provider: Provider, request: Request) -> Reply | ProviderError:
    try:
        return await provider.send(request)
    except ProviderError as error:
        return error


def test_every_fault_of_the_server_is_expected_here() -> None:
    replies = {"ok", "quota", "huge_usage"}
    assert {name.partition(":")[0] for name in EXPECTED} >= set(FAULTS) - replies


async def test_a_bill_beyond_belief_is_a_bill_unless_it_contradicts_itself() -> None:
    """OpenAI's total says otherwise here; Anthropic's replies have none."""
    told = {}
    for protocol in ("openai", "anthropic"):
        async with (
            FaultServer(["huge_usage"]) as server,
            client(server, protocol) as (provider, request),
        ):
            told[protocol] = await outcome(provider, request)
    refused, reply = told["openai"], told["anthropic"]
    assert isinstance(refused, ProviderError)
    assert (refused.status, refused.billing) == ("malformed", "unknown")
    assert isinstance(reply, Reply)
    assert reply.usage is not None
    assert reply.usage.output_tokens == 10**9


@pytest.mark.parametrize(
    ("status", "message", "code", "expected"),
    [
        (400, "This model's maximum context length is 4096 tokens.", 400, "too_long"),
        (400, "The prompt is longer than the maximum model length of 4096.", None, "too_long"),
        (400, "The input is longer than the model's context length (4096).", None, "too_long"),
        (400, "injected", "exceed_context_size_error", "too_long"),
        (413, "Prompt is too long", None, "too_long"),
        (400, "max_tokens must be positive", "invalid_request_error", "bad_request"),
        (422, "The model's context length is fine", None, "bad_request"),
    ],
)
def test_a_prompt_beyond_the_context_is_told_apart(
    status: int, message: str, code: object, expected: str
) -> None:
    body = json.dumps({"error": {"message": message, "code": code}}).encode()
    error = status_error(HttpReply(status, {}, body, 0.1), expert_at(None), None)
    assert (error.status, error.retryable, error.billing) == (expected, False, "none")


@BOTH
@pytest.mark.parametrize("fault", EXPECTED)
async def test_a_fault_is_one_attempt_and_one_error(protocol: Protocol, fault: str) -> None:
    timeout_s = 0.3 if fault == "slow" else 10.0
    async with (
        FaultServer([fault]) as server,
        client(server, protocol, timeout_s=timeout_s) as (provider, request),
    ):
        error = await outcome(provider, request)
        assert isinstance(error, ProviderError)
        got = (error.status, error.retryable, error.billing, error.retry_after_s)
        assert got == EXPECTED[fault]
        assert error.detail == " ".join(error.detail.split())
        assert KEY not in error.detail
        # Exactly one request, and it was billed only if we do not say that it was not.
        assert len(server.requests) == 1
        assert error.billing == "unknown" or server.bill_usd == 0
        # The provider is as good as new afterwards.
        assert isinstance(await outcome(provider, request), Reply)
        assert len(server.requests) == 2


@BOTH
async def test_the_reply_settles_to_the_servers_bill(protocol: Protocol) -> None:
    """Cached and reasoning tokens are billed once each, by two independent calculations."""
    rate = Rate(Decimal("2"), Decimal("0.5"), Decimal("8"))
    answers = [Answer("forty-two " * 9, reasoning_tokens=37, cached_tokens=6), Answer("42")]
    async with (
        FaultServer(answer=lambda _: answers.pop(), rates={"gpt-4.1": rate}) as server,
        client(server, protocol) as (provider, request),
    ):
        for number in range(2):
            reply = await provider.send(request)
            bill_usd = Decimal(server.requests[number]["bill_usd"])
            assert PRICE.cost_usd(reply.usage) == bill_usd > 0
        assert reply.usage.cached_input_tokens == 6
        assert reply.usage.reasoning_tokens == 37
        assert reply.usage.total_input_tokens == server.requests[1]["input_tokens"]
        assert reply.usage.output_tokens == server.requests[1]["output_tokens"]


@BOTH
async def test_a_reply_at_the_limit_is_truncated(protocol: Protocol) -> None:
    async with (
        FaultServer(answer=lambda _: "digits " * 1000) as server,
        client(server, protocol) as (provider, request),
    ):
        reply = await provider.send(request)
    assert reply.finish == "length"
    assert reply.usage.output_tokens == 400
    assert len(reply.text) == 1600


@BOTH
async def test_missing_usage_is_estimated_where_the_pool_says_so(protocol: Protocol) -> None:
    async with (
        FaultServer(["no_usage"], answer=lambda _: "x" * 101) as server,
        client(server, protocol, usage="estimate") as (provider, request),
    ):
        usage = (await provider.send(request)).usage
    assert usage.estimated
    # Twice as many tokens as a usual tokeniser makes of it: never below the server's count.
    assert usage.output_tokens == 51 >= server.requests[0]["output_tokens"]
    assert usage.input_tokens >= server.requests[0]["input_tokens"]


@BOTH
async def test_a_key_is_sent_in_its_header_only_and_never_told(protocol: Protocol) -> None:
    async with FaultServer([], key=KEY, models=["gpt-4.1"]) as server:
        async with client(server, protocol) as (provider, request):
            await provider.send(request)
            assert KEY not in repr(server.requests[0]["body"])
            check = await provider.check()
            assert (check.reachable, check.ready) == (True, True)
            assert "model listed" in check.detail
        async with client(server, protocol, model="gpt-5") as (provider, request):
            check = await provider.check()
            assert (check.reachable, check.ready) == (True, False)
            assert "gpt-5 is not among 1 models listed" in check.detail
    async with FaultServer(key="another") as server:
        async with client(server, protocol) as (provider, request):
            error = await outcome(provider, request)
            assert isinstance(error, ProviderError)
            assert error.status == "auth"
            assert KEY_ENV in error.detail
            check = await provider.check()
            assert (check.reachable, check.ready) == (True, False)
            assert KEY_ENV in check.detail
        async with client(server, protocol, key_env=None) as (provider, request):
            error = await outcome(provider, request)
            assert "key_env" in str(error)
            headers = {name.lower() for name in server.requests[-1]["headers"]}
            assert not headers & {"authorization", "x-api-key"}


@BOTH
@pytest.mark.parametrize("key", [None, "", "  \n"], ids=["unset", "empty", "blank"])
async def test_without_its_key_an_expert_is_not_asked(protocol: Protocol, key: str | None) -> None:
    async with FaultServer() as server:
        spec = expert_at(server.url, provider=protocol)
        environment = {} if key is None else {KEY_ENV: key}
        kind = OpenAIProvider if protocol == "openai" else AnthropicProvider
        provider = kind(spec, Transport({}), environment)
        error = await outcome(provider, ask(spec))
        assert isinstance(error, ProviderError)
        assert (error.status, error.retryable, error.billing) == ("auth", False, "none")
        assert KEY_ENV in error.detail
        check = await provider.check()
        assert (check.reachable, check.ready) == (None, False)
        assert server.requests == []


@BOTH
async def test_a_line_break_around_a_key_is_no_part_of_it(protocol: Protocol) -> None:
    """Keys read from a file often end in one, and a header with one would be refused."""
    async with FaultServer(key=KEY) as server:
        spec = expert_at(server.base_url if protocol == "openai" else server.url, provider=protocol)
        kind = OpenAIProvider if protocol == "openai" else AnthropicProvider
        transport = Transport({})
        reply = await kind(spec, transport, {KEY_ENV: f"{KEY}\n"}).send(ask(spec))
        inside = await outcome(kind(spec, transport, {KEY_ENV: "a\r\nX-Evil: 1"}), ask(spec))
        await transport.aclose()
    assert reply.text
    assert isinstance(inside, ProviderError)
    assert inside.status == "auth"
    assert "X-Evil" not in inside.detail
    assert len(server.requests) == 1


@BOTH
async def test_nobody_there_is_not_ready(protocol: Protocol) -> None:
    async with FaultServer() as server:
        pass
    async with client(server, protocol) as (provider, _):
        check = await provider.check()
    assert (check.reachable, check.ready) == (False, False)
