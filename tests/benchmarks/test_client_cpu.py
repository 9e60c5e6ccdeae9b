"""CPU of one call by our OpenAI client, as a ratio to the openai package's async client.

Both ask the same loopback server (another process, so that its work is not counted) the same
question, in turns, with several numbers of requests in flight. Times differ from machine to
machine; the ratio travels.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.experts.base import ExpertSpec, Request, Sampling
from corl_bench.experts.limits import AdaptiveLimiter
from corl_bench.experts.openai import OpenAIProvider
from corl_bench.experts.transport import Transport
from corl_bench.money.prices import Price
from corl_bench.types import Message

openai = pytest.importorskip("openai")

SERVER = Path(__file__).resolve().parents[1] / "servers" / "fault_server.py"
QUESTION = "Find the number of ordered pairs of integers with x^2 + y^2 <= 50. " * 8
CALLS = 600
ROUNDS = 3

Ask = Callable[[], Awaitable[object]]


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """The address of a server that lives as long as this module's tests."""
    process = subprocess.Popen(
        [sys.executable, str(SERVER), "--log", os.devnull],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(timeout=10)


@pytest.mark.parametrize("in_flight", [16, 64, 512])
@pytest.mark.benchmark(timer=time.process_time)
def test_a_call(benchmark: Any, capsys: Any, base_url: str, in_flight: int) -> None:
    """Each round of ours is preceded by one of theirs; the rounds before warm both up."""
    transport = Transport()
    package = openai.AsyncOpenAI(base_url=base_url, api_key="k", max_retries=0)
    ask_ours, ask_theirs = our_client(base_url, transport, in_flight), their_client(package)
    theirs_s: list[float] = []
    with asyncio.Runner() as runner:

        def measure_theirs() -> None:
            started_s = time.process_time()
            runner.run(ask_many(ask_theirs, in_flight))
            theirs_s.append(time.process_time() - started_s)

        benchmark.pedantic(
            lambda: runner.run(ask_many(ask_ours, in_flight)),
            setup=measure_theirs,
            rounds=ROUNDS,
            warmup_rounds=1,
        )
        runner.run(package.close())
        runner.run(transport.aclose())
    if benchmark.stats is None:  # --benchmark-disable
        return
    ours_ms = 1000 * benchmark.stats.stats.median / CALLS
    theirs_ms = 1000 * statistics.median(theirs_s[-ROUNDS:]) / CALLS
    ratio = theirs_ms / ours_ms
    benchmark.extra_info |= {
        "corl_bench_ms": round(ours_ms, 3),
        "openai_ms": round(theirs_ms, 3),
        "ratio": round(ratio, 1),
    }
    with capsys.disabled():
        print(
            f"\n{in_flight} in flight: {ours_ms:.3f} ms CPU a call,"
            f" openai {openai.__version__} {theirs_ms:.3f} ms: {ratio:.1f} times as much"
        )


async def ask_many(ask: Ask, in_flight: int) -> None:
    """`CALLS` calls, `in_flight` at a time."""
    todo = iter(range(CALLS))

    async def worker() -> None:
        for _ in todo:
            await ask()

    await asyncio.gather(*(worker() for _ in range(in_flight)))


def our_client(base_url: str, transport: Transport, in_flight: int) -> Ask:
    price = Price("m", date(2025, 4, 14), "benchmark", Decimal(2), Decimal(8))
    spec = ExpertSpec("e", "openai", "gpt-4.1", price, base_url=base_url, key_env="KEY")
    sampling = Sampling(max_output_tokens=500, temperature=0.5)
    request = Request(spec, (Message("user", QUESTION),), sampling, QUESTION)
    provider = OpenAIProvider(spec, transport, {"KEY": "k"})
    limiter = AdaptiveLimiter(in_flight)

    async def ask() -> None:
        async with limiter.slot():
            await provider.send(request)
            limiter.report("ok")

    return ask


def their_client(package: Any) -> Ask:
    async def ask() -> None:
        await package.chat.completions.create(
            model="gpt-4.1",
            messages=[{"role": "user", "content": QUESTION}],
            max_tokens=500,
            temperature=0.5,
        )

    return ask
