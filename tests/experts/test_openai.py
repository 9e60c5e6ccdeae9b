"""The OpenAI client: what goes out as the models want it, what comes back without trust.

The openai package is the reference: it and our client talk to the same server.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool, ProviderError, Reply, Request, Sampling
from corl_bench.experts.openai import OpenAIProvider, parse_usage, takes_reasoning_parameters
from corl_bench.experts.providers import ProviderContext, make_provider
from corl_bench.experts.transport import HttpReply, Transport
from corl_bench.experts.wire import is_same_model
from corl_bench.types import Message, Usage
from servers.byte_server import ByteServer, http
from servers.experts import ENVIRONMENT, KEY, ask, expert_at
from servers.fault_server import Answer, FaultServer

EVERYTHING = Sampling(
    max_output_tokens=300, temperature=0.5, top_p=0.9, reasoning_effort="low", stop=("END",)
)
CONVERSATION = (
    Message("system", "You are terse."),
    Message("user", "Was ist 6 × 7?  ∫ 🎲"),
    Message("assistant", "42"),
    Message("user", "Sure?"),
)


def payload_of(model: str, sampling: Sampling = EVERYTHING, **changes: Any) -> dict[str, Any]:
    spec = expert_at("http://127.0.0.1:9/v1", model=model, sampling=sampling, **changes)
    payload = OpenAIProvider(spec, Transport({}), ENVIRONMENT).payload(
        ask(spec, sample=3, occurrence=2)
    )
    del payload["model"], payload["messages"]
    return payload


@contextlib.asynccontextmanager
async def answering(
    body: object, **changes: Any
) -> AsyncIterator[tuple[OpenAIProvider, Request, ByteServer]]:
    """A client whose server gives `body` as the reply."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    transport = Transport({})
    async with ByteServer([http(content)]) as server:
        spec = expert_at(f"{server.url}/v1", **changes)
        try:
            yield OpenAIProvider(spec, transport, ENVIRONMENT), ask(spec), server
        finally:
            await transport.aclose()


async def reply_to(body: object, **changes: Any) -> Reply:
    async with answering(body, **changes) as (provider, request, _):
        return await provider.send(request)


async def error_of(body: object, **changes: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await reply_to(body, **changes)
    return caught.value


def completion(message: object = None, finish: object = "stop", **changes: Any) -> dict[str, Any]:
    return {
        "model": "gpt-4.1-2025-04-14",
        "choices": [{"message": message or {"content": "42"}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        **changes,
    }


# What goes out


def test_plain_models_get_max_tokens_and_everything_declared() -> None:
    assert payload_of("gpt-4.1") == {
        "max_tokens": 300,
        "temperature": 0.5,
        "top_p": 0.9,
        "reasoning_effort": "low",
        "stop": ["END"],
    }


@pytest.mark.parametrize(
    "model", ["o1", "o3", "o4-mini-2025-04-16", "openai/o3", "gpt-5", "gpt-6-sol"]
)
def test_reasoning_models_get_max_completion_tokens_and_no_temperature(model: str) -> None:
    assert payload_of(model) == {"max_completion_tokens": 300, "reasoning_effort": "low"}


@pytest.mark.parametrize("model", ["gpt-4.1", "o3"])
def test_what_is_not_declared_is_not_sent(model: str) -> None:
    assert payload_of(model, Sampling()) == {}


def test_the_draw_is_sent_as_seed_where_the_pool_says_so() -> None:
    assert payload_of("gpt-4.1", Sampling(), send_seed=True) == {"seed": 2_000_003}


@pytest.mark.parametrize(
    ("model", "reasoning"),
    [
        ("o1-preview", True),
        ("o3-mini", True),
        ("ft:o4-mini-2025-04-16:org::id", True),
        ("GPT-5.4-nano", True),
        ("gpt-12", True),
        ("gpt-4o", False),
        ("gpt-4.1-nano", False),
        ("gpt-5-chat-latest", False),
        ("gpt-oss-120b", False),
        ("openchat/o-series-7b", False),
        ("foo3", False),
        ("my-o3", False),
        ("Qwen/Qwen2.5-7B-Instruct", False),
    ],
)
def test_which_models_take_reasoning_parameters(model: str, reasoning: bool) -> None:
    assert takes_reasoning_parameters(model) is reasoning


def test_an_alias_can_say_which_parameters_it_takes() -> None:
    assert "max_completion_tokens" in payload_of("tutor", options={"parameters": "reasoning"})
    assert "max_tokens" in payload_of("o3-lookalike", options={"parameters": "plain"})


def test_fields_of_the_pool_are_added_and_decide_the_recording() -> None:
    template = {"chat_template_kwargs": {"enable_thinking": False}}
    assert payload_of("qwen", Sampling(), options={"body": template}) == template
    plain, changed = expert_at(None), expert_at(None, options={"body": template})
    assert ask(plain).key() != ask(changed).key()


@pytest.mark.parametrize(
    "changes",
    [
        {"options": {"tempreature": 1}},
        {"options": {"body": {"n": 4}}},
        {"options": {"body": {"max_tokens": 4}}},
        {"options": {"body": "text"}},
        {"options": {"body": {"x": float("nan")}}},
        {"options": {"body": {"x": object()}}},
        {"options": {"answers_as": 4}},
        {"options": {"parameters": "fast"}},
        {"base_url": "api.openai.com/v1"},
        {"base_url": "ftp://host/v1"},
        {"base_url": "https://"},
        {"base_url": "https://host:99999/v1"},
        {"base_url": "https://me:secret@host/v1"},
        {"base_url": "https://host/v1?key=secret"},
    ],
)
def test_settings_that_cannot_work_are_named_in_one_line(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        OpenAIProvider(
            expert_at(changes.pop("base_url", None), **changes), Transport({}), ENVIRONMENT
        )
    assert str(caught.value).startswith("expert mid: ")
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_the_address_is_the_pools_and_not_the_environments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a base_url it is OpenAI, whatever a shell has left in OPENAI_BASE_URL."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/evil")
    async with ByteServer([http(status=502)]) as proxy:
        transport = Transport({"https_proxy": proxy.url})
        spec = expert_at(None)
        with pytest.raises(ProviderError):
            await OpenAIProvider(spec, transport, ENVIRONMENT).send(ask(spec))
        await transport.aclose()
    assert proxy.requests[0][0].startswith("CONNECT api.openai.com:443 ")


# Beside the openai package


async def both(server: FaultServer, sampling: Sampling, model: str, arguments: dict[str, Any]):
    """Our reply and the package's to the same question."""
    spec = expert_at(server.base_url, model=model, sampling=sampling)
    transport = Transport({})
    ours = await OpenAIProvider(spec, transport, ENVIRONMENT).send(ask(spec, *CONVERSATION))
    await transport.aclose()
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as package:
        theirs = await package.chat.completions.create(
            model=model, messages=[m.as_dict() for m in CONVERSATION], **arguments
        )
    return ours, theirs


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        (
            "gpt-4.1",
            {"max_tokens": 300, "temperature": 0.5, "top_p": 0.9, "stop": ["END"]}
            | {"reasoning_effort": "low"},
        ),
        ("o3", {"max_completion_tokens": 300, "reasoning_effort": "low"}),
    ],
)
async def test_the_request_is_the_one_that_the_package_sends(
    model: str, arguments: dict[str, Any]
) -> None:
    answer = Answer("It is 42.", reasoning_tokens=64, cached_tokens=12)
    async with FaultServer(answer=lambda _: answer) as server:
        reply, reference = await both(server, EVERYTHING, model, arguments)
        ours, theirs = server.requests
    assert ours["body"] == theirs["body"]
    assert ours["path"] == theirs["path"]
    headers, their_headers = (
        {name.lower(): value for name, value in request["headers"].items()}
        for request in (ours, theirs)
    )
    for name in ("authorization", "content-type", "accept"):
        assert headers[name] == their_headers[name]
    # … and so is what is read from the reply.
    assert reply.text == reference.choices[0].message.content
    assert reply.model == reference.model
    counts = reference.usage
    assert reply.usage.total_input_tokens == counts.prompt_tokens
    assert reply.usage.cached_input_tokens == counts.prompt_tokens_details.cached_tokens == 12
    assert reply.usage.output_tokens == counts.completion_tokens
    assert reply.usage.reasoning_tokens == counts.completion_tokens_details.reasoning_tokens == 64


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("400", openai.BadRequestError),
        ("401", openai.AuthenticationError),
        ("403", openai.PermissionDeniedError),
        ("404", openai.NotFoundError),
        ("408", openai.APIStatusError),
        ("409", openai.ConflictError),
        ("422", openai.UnprocessableEntityError),
        ("429", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("503", openai.InternalServerError),
    ],
)
async def test_what_the_package_would_try_again_is_retryable(
    status: str, kind: type[openai.APIStatusError]
) -> None:
    async with FaultServer(lambda _: f"{status}:0.001") as server:
        spec = expert_at(server.base_url)
        transport = Transport({})
        with pytest.raises(ProviderError) as ours:
            await OpenAIProvider(spec, transport, ENVIRONMENT).send(ask(spec))
        await transport.aclose()
        async with openai.AsyncOpenAI(
            base_url=server.base_url, api_key=KEY, max_retries=1
        ) as package:
            with pytest.raises(kind) as theirs:
                await package.chat.completions.create(
                    model="gpt-4.1", messages=[{"role": "user", "content": "Hi"}]
                )
    assert ours.value.retryable == (len(server.requests) == 3)
    assert theirs.value.body["message"] in ours.value.detail


async def test_a_spent_quota_is_not_tried_again() -> None:
    """The package does; it is a 429 that no waiting mends."""
    async with FaultServer(["quota"]) as server:
        spec = expert_at(server.base_url)
        transport = Transport({})
        with pytest.raises(ProviderError) as caught:
            await OpenAIProvider(spec, transport, ENVIRONMENT).send(ask(spec))
        await transport.aclose()
    assert (caught.value.status, caught.value.retryable) == ("rate_limited", False)


# What comes back


@pytest.mark.parametrize(
    ("message", "finish", "text", "ending"),
    [
        ({"content": "42"}, "stop", "42", "stop"),
        ({"content": "4"}, "length", "4", "length"),
        ({"content": None}, "length", "", "length"),
        ({"content": None, "reasoning_content": "hmm"}, "stop", "", "stop"),
        ({"content": "42", "reasoning_content": "hmm"}, "stop", "42", "stop"),
        ({"content": "No"}, "content_filter", "No", "refusal"),
        ({"content": None, "refusal": "I can't."}, "stop", "I can't.", "refusal"),
        ({"content": "4", "refusal": None}, None, "4", "stop"),
        ({"content": None, "tool_calls": [{"id": "1"}]}, "tool_calls", "", "stop"),
        ({"content": "42"}, "eos_token", "42", "stop"),
        ({"content": "42"}, ["stop"], "42", "stop"),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "4"},
                    {"type": "text", "text": "2"},
                    "?",
                ]
            },
            "stop",
            "42",
            "stop",
        ),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, "stop", "No.", "refusal"),
        ({"content": "a\ud800b"}, "stop", "a\ufffdb", "stop"),
        ({"content": {"weird": 1}}, "stop", "", "stop"),
    ],
)
async def test_text_and_ending(message: object, finish: object, text: str, ending: str) -> None:
    reply = await reply_to(completion(message, finish))
    assert (reply.text, reply.finish) == (text, ending)
    reply.text.encode()


@pytest.mark.parametrize(
    ("text", "kept", "ending"),
    [("a END b STOP", "a ", "stop"), ("a STOP b END", "a ", "stop"), ("a b", "a b", "length")],
)
async def test_stop_strings_that_a_model_refuses_are_applied_here(
    text: str, kept: str, ending: str
) -> None:
    sampling = Sampling(max_output_tokens=9, stop=("END", "STOP", ""))
    body = completion({"content": text}, "length", model="o3-2025-04-16")
    reply = await reply_to(body, model="o3", sampling=sampling)
    assert (reply.text, reply.finish) == (kept, ending)
    assert reply.usage.output_tokens == 5  # all of it was paid for


NO_COMPLETIONS = [
    *(b"", b"[]", b"null", b'"text"', b"{", b"\xff{}", b"[" * 100_000, b"9" * 5000, b"{}"),
    *(b'{"choices": []}', b'{"choices": [null]}', b'{"choices": {"message": {}}}'),
    *(b'{"choices": [{"message": null}]}', b'{"choices": [{"message": []}]}'),
]


@pytest.mark.parametrize("body", NO_COMPLETIONS, ids=range(len(NO_COMPLETIONS)))
async def test_what_is_no_completion_is_malformed(body: bytes) -> None:
    error = await error_of(body)
    assert (error.status, error.retryable, error.billing) == ("malformed", True, "unknown")


@pytest.mark.parametrize(
    ("body", "status", "billing"),
    [
        ({"error": {"message": "overloaded", "code": 503}}, "server_error", "unknown"),
        ({"error": "something"}, "server_error", "unknown"),
        ({"error": {"message": "slow down", "code": 429}}, "rate_limited", "none"),
        ({"error": {"message": "flagged", "code": 403}}, "auth", "unknown"),
        (completion(error={"code": True, "message": "x"}), "server_error", "unknown"),
        (completion({"content": "4"}, "error"), "server_error", "unknown"),
        ({"choices": [{"error": {"message": "upstream", "code": 502}}]}, "server_error", "unknown"),
    ],
)
async def test_errors_inside_a_success(body: object, status: str, billing: str) -> None:
    error = await error_of(body)
    assert (error.status, error.billing) == (status, billing)
    assert "in the body" in error.detail


@pytest.mark.parametrize("model", ["gpt-4.1-mini", "gpt-4", "", None, 7, "gpt-4.1\nx", "x" * 999])
async def test_another_model_is_an_error(model: object) -> None:
    error = await error_of(completion(model=model))
    assert (error.status, error.retryable, error.billing) == ("wrong_model", False, "unknown")
    assert "gpt-4.1" in error.detail
    assert "answers_as" in error.detail
    assert len(error.detail) < 400


async def test_a_gateways_alias_is_declared() -> None:
    options = {"answers_as": "gpt-4.1"}
    reply = await reply_to(completion(), model="our-deployment", options=options)
    assert reply.model == "gpt-4.1-2025-04-14"
    error = await error_of(completion(model="our-deployment"), options={"answers_as": "other"})
    assert error.status == "wrong_model"


@pytest.mark.parametrize(
    ("asked", "answered", "same"),
    [
        ("gpt-4.1", "gpt-4.1", True),
        ("gpt-4.1", "gpt-4.1-2025-04-14", True),
        ("gpt-4", "gpt-4-0613", True),
        ("gpt-4.1", "GPT-4.1", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o", "gpt-4o-mini-2024-07-18", False),
        ("gpt-4.1-2025-04-14", "gpt-4.1", False),
        ("gpt-4.1-2025-04-14", "gpt-4.1-2025-05-15", False),
        ("gpt-4.1", "gpt-4.10", False),
        ("gpt-4.1", "gpt-4.1-2025", False),
        ("gpt-4.1", "gpt-4.1-2025-13-01", False),
        ("gpt-4", "gpt-4-0613-preview", False),
        ("o1", "o1-2024-12-17", True),
        ("o1", "o1-mini", False),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929", True),
        ("claude-sonnet-4", "claude-sonnet-4-5-20250929", False),
        ("claude-sonnet-4-0", "claude-sonnet-4-20250514", True),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022", True),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-latest", True),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet", True),
        ("claude-3-5-sonnet-latest", "claude-3-5-haiku-20241022", False),
        ("gpt-5-chat-latest", "gpt-5-chat-latest", True),
        ("Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct", True),
        ("Qwen/Qwen2.5-7B-Instruct", "Qwen2.5-7B-Instruct", False),
        ("openai/gpt-4.1", "gpt-4.1", False),
        ("-0", "", True),
        ("", "-0613", True),
    ],
)
def test_same_model(asked: str, answered: str, same: bool) -> None:
    assert is_same_model(asked, answered) is same


# Counts


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {"prompt_tokens": 100, "completion_tokens": 40, "total_tokens": 140},
            Usage(input_tokens=100, output_tokens=40),
        ),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 40,
                "total_tokens": 140,
                "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 30},
                "completion_tokens_details": {"reasoning_tokens": 32},
            },
            Usage(6, 64, 30, 0, 40, 32),
        ),
        # vLLM: no details, or null ones.
        (
            {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": None},
            Usage(input_tokens=7, output_tokens=3),
        ),
        # xAI: reasoning is counted beside the completion; its own example, 32 + 9 + 94 = 135.
        (
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "completion_tokens_details": {"reasoning_tokens": 94},
            },
            Usage(input_tokens=32, output_tokens=103, reasoning_tokens=94),
        ),
        # Gemini: thoughts show in the total alone.
        (
            {"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623},
            Usage(input_tokens=20, output_tokens=603),
        ),
        # Read and written at once cannot be told apart; no token is billed twice.
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 50},
            },
            Usage(0, 80, 20, 0, 1),
        ),
        (None, None),
        ({}, None),
        ([], None),
        ({"prompt_tokens": 5}, None),
        ({"prompt_tokens": 5, "completion_tokens": None}, None),
    ],
)
def test_usage(usage: object, expected: Usage | None) -> None:
    assert parse_usage(usage) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt_tokens": -1},
        {"prompt_tokens": 10.0},
        {"prompt_tokens": "10"},
        {"prompt_tokens": True},
        {"completion_tokens": float("nan")},
        {"completion_tokens": 10**12},
        {"total_tokens": 11},
        {"total_tokens": -15},
        {"prompt_tokens_details": {"cached_tokens": 11}},
        {"prompt_tokens_details": {"cached_tokens": -1}},
        {"prompt_tokens_details": {"cache_write_tokens": 11}},
        {"prompt_tokens_details": [1]},
        {"completion_tokens_details": {"reasoning_tokens": 6}},
        {"completion_tokens_details": "many"},
    ],
)
async def test_impossible_counts_bill_nothing_and_are_not_asked_for_again(
    changes: dict[str, Any],
) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, **changes}
    error = await error_of(completion(usage=usage))
    assert (error.status, error.retryable, error.billing) == ("malformed", False, "unknown")
    assert "impossible usage" in error.detail


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {"prompt_tokens": 0, "completion_tokens": 5},
        {"prompt_tokens": 5, "completion_tokens": 0},
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    ],
)
async def test_zeros_are_no_counts(usage: object) -> None:
    error = await error_of(completion(usage=usage))
    assert (error.status, error.retryable, error.billing) == ("missing_usage", False, "unknown")
    reply = await reply_to(completion(usage=usage), usage="estimate")
    assert reply.usage.estimated
    assert reply.usage.input_tokens > 0
    assert reply.usage.output_tokens > 0


async def test_an_empty_reply_may_cost_no_output() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 0}
    reply = await reply_to(completion({"content": ""}, usage=usage))
    assert reply.usage == Usage(input_tokens=5)


async def test_an_estimate_counts_visible_reasoning_and_stays_within_the_limit() -> None:
    message = {"content": "42", "reasoning_content": "x" * 200}
    reply = await reply_to(completion(message, usage=None), usage="estimate")
    assert (reply.usage.output_tokens, reply.usage.reasoning_tokens) == (101, 100)
    reply = await reply_to(
        completion(message, usage=None), usage="estimate", sampling=Sampling(max_output_tokens=50)
    )
    assert (reply.usage.output_tokens, reply.usage.reasoning_tokens) == (50, 50)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2000) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
COUNT = st.integers(-2, 200) | JSON
USAGE = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": COUNT,
        "completion_tokens": COUNT,
        "total_tokens": COUNT,
        "prompt_tokens_details": st.fixed_dictionaries(
            {}, optional={"cached_tokens": COUNT, "cache_write_tokens": COUNT}
        )
        | JSON,
        "completion_tokens_details": st.fixed_dictionaries({}, optional={"reasoning_tokens": COUNT})
        | JSON,
    },
)


@settings(max_examples=200)
@given(USAGE | JSON)
def test_any_usage_gives_disjoint_counts_or_an_error(usage: Any) -> None:
    try:
        counts = parse_usage(usage)
    except ProviderError as error:
        assert error.status == "malformed"
        return
    if counts is not None:
        assert counts.total_input_tokens == usage["prompt_tokens"]
        assert counts.output_tokens >= usage["completion_tokens"]
        assert counts.output_tokens >= counts.reasoning_tokens
        assert min(counts.as_dict().values(), default=0) >= 0


CHOICE = st.fixed_dictionaries(
    {},
    optional={
        "message": st.fixed_dictionaries(
            {}, optional={"content": JSON, "refusal": JSON, "reasoning_content": JSON}
        )
        | JSON,
        "finish_reason": JSON,
        "error": JSON,
    },
)


@settings(max_examples=100, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "model": st.just("gpt-4.1") | JSON,
            "choices": st.lists(CHOICE, max_size=2) | JSON,
            "usage": USAGE | JSON,
            "error": JSON,
        },
    )
    | JSON
)
def test_any_answer_is_a_reply_or_a_provider_error(answer: Any) -> None:
    spec = expert_at(None, usage="estimate")
    provider = OpenAIProvider(spec, Transport({}), ENVIRONMENT)
    reply = HttpReply(200, {}, json.dumps(answer).encode(), 0.1)
    with contextlib.suppress(ProviderError):
        assert isinstance(provider.parse(reply, ask(spec), KEY).text, str)


def test_the_registry_makes_it() -> None:
    spec = expert_at(None)
    context = ProviderContext(pool=Pool("p", (spec,)), transport=Transport({}))
    assert isinstance(make_provider(spec, context), OpenAIProvider)
