"""The simulated pool over real sockets, with the openai package, aiohttp and our own client."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from corl_bench.experts.base import Pool, Reply, Request
from corl_bench.experts.pools import load_pool
from corl_bench.experts.providers import ProviderContext, make_provider
from corl_bench.experts.simulation.book import ProblemBook
from corl_bench.experts.simulation.provider import SimulatedProvider
from corl_bench.experts.simulation.served_pool import served_pool_toml
from corl_bench.experts.simulation.server import build_app
from corl_bench.experts.transport import Transport
from corl_bench.serving import MAX_BODY_BYTES, listening
from corl_bench.types import Message, Problem

SEED = 5
PROMPT = "Solve.\n\n{}\n\nPut the answer into a box."


@dataclass(frozen=True)
class Served:
    base_url: str
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
async def served(sim_pool: Pool, problems: list[Problem], tmp_path: Path) -> AsyncIterator[Served]:
    log = tmp_path / "requests.jsonl"
    app = build_app(sim_pool, ProblemBook(problems), seed=SEED, log_path=log)
    async with listening(app) as base_url:
        yield Served(base_url, log)


def _request(pool: Pool, name: str, problem: Problem, sample: int, occurrence: int = 0) -> Request:
    spec = pool[name]
    messages = (Message("user", PROMPT.format(problem.text)),)
    return Request(spec, messages, spec.sampling, problem.text, sample, occurrence)


async def test_the_openai_package_gets_the_replies_of_the_pool_in_process(
    sim_pool: Pool, problems: list[Problem], served: Served
) -> None:
    local = SimulatedProvider(sim_pool, ProblemBook(problems), seed=SEED)
    finishes = set()
    async with openai.AsyncOpenAI(
        base_url=served.base_url, api_key="none", max_retries=0
    ) as client:
        for n, problem in enumerate(problems[::30]):
            name = sim_pool.experts[n % 5].name
            asked = _request(sim_pool, name, problem, sample=n, occurrence=n % 2)
            completion = await client.chat.completions.create(
                model=name,
                messages=[{"role": "user", "content": PROMPT.format(problem.text)}],
                seed=asked.draw_seed,
                max_completion_tokens=sim_pool[name].sampling.max_output_tokens,
            )
            expected = await local.send(asked)
            choice, usage = completion.choices[0], completion.usage
            assert usage is not None and usage.completion_tokens_details is not None
            assert usage.prompt_tokens_details is not None
            assert completion.model == name
            assert (choice.message.content or choice.message.refusal or "") == expected.text
            assert (choice.message.refusal is not None) == (expected.finish == "refusal")
            assert (choice.finish_reason == "length") == (expected.finish == "length")
            assert usage.prompt_tokens == expected.usage.input_tokens
            assert usage.completion_tokens == expected.usage.output_tokens
            details = usage.completion_tokens_details
            assert details.reasoning_tokens == expected.usage.reasoning_tokens
            assert usage.prompt_tokens_details.cached_tokens == 0
            finishes.add(expected.finish)
        listed = [model.id async for model in client.models.list()]
    assert len(finishes) > 1
    assert {"nano", "simulated-gpt-4.1-nano", "simulated-o3"} <= set(listed)


async def test_errors_have_openais_form(served: Served) -> None:
    async with openai.AsyncOpenAI(
        base_url=served.base_url, api_key="none", max_retries=0
    ) as client:
        with pytest.raises(openai.NotFoundError) as unknown:
            await client.chat.completions.create(
                model="gpt-9", messages=[{"role": "user", "content": "?"}]
            )
        assert unknown.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError, match="messages"):
            await client.chat.completions.create(model="nano", messages=[])
        with pytest.raises(openai.BadRequestError, match="stream"):
            await client.chat.completions.create(
                model="nano", messages=[{"role": "user", "content": "?"}], stream=True
            )
    url = f"{served.base_url}/chat/completions"
    async with aiohttp.ClientSession() as session:
        for body, status in (
            (b"{", 400),
            (b"[]", 400),
            (b'{"model": "nano", "messages": "hi"}', 400),
            (b'{"model": "nano", "messages": [{"role": "user"}], "seed": "1"}', 400),
            (b'{"model": "nano", "messages": [{"role": "user"}], "max_tokens": 0}', 400),
            (b"x" * (MAX_BODY_BYTES + 1), 413),
        ):
            async with session.post(url, data=body) as response:
                assert response.status == status
                error = (await response.json())["error"]
                assert error["type"] == "invalid_request_error" and error["message"]
        async with session.get(f"{served.base_url}/nothing") as response:
            assert response.status == 404 and "error" in await response.json()
        async with session.get(url) as response:
            assert response.status == 405 and "error" in await response.json()
    assert served.lines() == []


async def test_64_at_once_are_answered_logged_and_billed_to_the_last_digit(
    sim_pool: Pool, problems: list[Problem], served: Served
) -> None:
    local = SimulatedProvider(sim_pool, ProblemBook(problems), seed=SEED)
    asked = [
        _request(sim_pool, sim_pool.experts[n % 5].name, problems[n % 90], sample=n)
        for n in range(320)
    ]
    slots = asyncio.Semaphore(64)

    async def post(session: aiohttp.ClientSession, request: Request) -> dict[str, Any]:
        body = {
            "model": request.expert.model,
            "messages": [m.as_dict() for m in request.messages],
            "seed": request.draw_seed,
        }
        async with (
            slots,
            session.post(f"{served.base_url}/chat/completions", json=body) as response,
        ):
            assert response.status == 200
            answer: dict[str, Any] = await response.json()
            return answer

    async with aiohttp.ClientSession() as session:
        answers = await asyncio.gather(*(post(session, request) for request in asked))
        health = await (await session.get(served.base_url.removesuffix("/v1") + "/health")).json()
    replies = [await local.send(request) for request in asked]
    texts = [a["choices"][0]["message"] for a in answers]
    assert [t["content"] or t["refusal"] or "" for t in texts] == [r.text for r in replies]
    expected_usd = sum(
        (q.expert.price.cost_usd(r.usage) for q, r in zip(asked, replies, strict=True)), Decimal(0)
    )
    lines = served.lines()
    assert [line["count"] for line in lines] == list(range(1, 321))
    assert sum((Decimal(line["bill_usd"]) for line in lines), Decimal(0)) == expected_usd
    assert Decimal(health["bill_usd"]) == expected_usd
    assert health["requests"] == 320 and health["simulated"] is True
    assert {line["draw"] for line in lines} == set(range(320))


async def test_a_conversation_is_about_what_the_user_asked_last(
    problems: list[Problem], served: Served
) -> None:
    first, last = problems[10].text, problems[500].text
    conversations = (
        [{"role": "user", "content": first}, {"role": "user", "content": last}],
        [{"role": "user", "content": [{"type": "text", "text": last}]}],
        [{"role": "user", "content": last}, {"role": "user", "content": "Are you sure?"}],
    )
    async with aiohttp.ClientSession() as session:
        for messages in conversations:
            body = {"model": "mini", "messages": messages}
            await (await session.post(f"{served.base_url}/chat/completions", json=body)).json()
        body = {"model": "mini", "messages": [{"role": "user", "content": "Who are you?"}]}
        response = await session.post(f"{served.base_url}/chat/completions", json=body)
        text = (await response.json())["choices"][0]["message"]["content"]
    assert "not known" in text
    found = [line["problem"] for line in served.lines()]
    assert len(set(found[:3])) == 1 and found[0] is not None
    assert found[3] is None


async def test_the_served_pool_reaches_the_same_experts_through_our_own_client(
    sim_pool: Pool, problems: list[Problem], served: Served, tmp_path: Path
) -> None:
    path = tmp_path / "served.toml"
    path.write_text(served_pool_toml(sim_pool, served.base_url), encoding="utf-8")
    pool = load_pool(str(path))
    assert pool.simulated
    assert pool.budgets == sim_pool.budgets
    for spec, original in zip(pool.experts, sim_pool.experts, strict=True):
        assert spec.price.figures() == original.price.figures()
        assert (spec.name, spec.model, spec.role, spec.sampling, spec.description) == (
            original.name,
            original.model,
            original.role,
            original.sampling,
            original.description,
        )
    local = SimulatedProvider(sim_pool, ProblemBook(problems), seed=SEED)
    transport = Transport()
    context = ProviderContext(pool=pool, transport=transport)
    try:
        finishes = set()
        for n, problem in enumerate(problems[::12]):
            name = pool.experts[n % 5].name
            request = _request(pool, name, problem, sample=n, occurrence=n % 3)
            reply = await make_provider(pool[name], context).send(request)
            expected = await local.send(replace(request, expert=sim_pool[name]))
            finishes.add(reply.finish)
            assert _told(reply) == _told(expected)
        assert finishes == {"stop", "length", "refusal"}
    finally:
        await transport.aclose()


def _told(reply: Reply) -> Reply:
    return replace(reply, latency_s=0.0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_says_where_it_is_and_ends_gracefully(
    number: signal.Signals, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    script = (
        "import sys; from pathlib import Path\n"
        "from corl_bench.experts.pools import load_pool\n"
        "from corl_bench.experts.simulation.book import ProblemBook\n"
        "from corl_bench.experts.simulation.server import serve\n"
        "from corl_bench.types import Problem\n"
        "book = ProblemBook([Problem(id='1', text='What is 20 + 22?', answer='42')])\n"
        "serve(load_pool('sim'), book, log_path=Path(sys.argv[1]), latency_scale=0.05)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(log)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "simulated" in line
        base_url = line.split()[-1]

        async def ask_while_it_ends() -> int:
            async with aiohttp.ClientSession() as session:
                body = {
                    "model": "large",
                    "messages": [{"role": "user", "content": "What is 20 + 22?"}],
                }
                url = f"{base_url}/chat/completions"
                waiting = asyncio.create_task(session.post(url, json=body))
                while not (log.exists() and log.read_text()):  # noqa: ASYNC110 (another process)
                    await asyncio.sleep(0.01)
                process.send_signal(number)
                response = await waiting
                await response.json()
                return response.status

        assert asyncio.run(asyncio.wait_for(ask_while_it_ends(), 20)) == 200
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    assert len(log.read_text().splitlines()) == 1
