"""CPU of one call by our OpenAI client, beside the openai package's async client.

Both ask the same loopback server (another process, so its work is not counted) the same
questions in the same run, in turns, at several numbers of requests in flight; the figure that
travels between machines is the ratio.

    python benchmarks/client_cpu.py [--calls 600] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path

import openai

from corl_bench.experts.base import ExpertSpec, Request, Sampling
from corl_bench.experts.limits import AdaptiveLimiter
from corl_bench.experts.openai import OpenAIProvider
from corl_bench.experts.transport import Transport
from corl_bench.money.prices import Price
from corl_bench.types import Message

SERVER = Path(__file__).resolve().parents[1] / "tests" / "servers" / "fault_server.py"
QUESTION = "Find the number of ordered pairs of integers with x^2 + y^2 <= 50. " * 8
IN_FLIGHT = (16, 64, 512)
ROUNDS = 3


@contextmanager
def serve() -> Iterator[str]:
    """The address of a server that lives as long as the block."""
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


async def cpu_ms(ask: Callable[[], Awaitable[object]], calls: int, in_flight: int) -> float:
    """CPU milliseconds of this process for each of `calls` calls."""
    todo = iter(range(calls))

    async def worker() -> None:
        for _ in todo:
            await ask()

    started = time.process_time()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return (time.process_time() - started) / calls * 1000


async def compare(base_url: str, calls: int) -> list[dict[str, float]]:
    price = Price("m", date(2025, 4, 14), "benchmark", Decimal(2), Decimal(8))
    spec = ExpertSpec("e", "openai", "gpt-4.1", price, base_url=base_url, key_env="KEY")
    sampling = Sampling(max_output_tokens=500, temperature=0.5)
    request = Request(spec, (Message("user", QUESTION),), sampling, QUESTION)
    transport = Transport()
    provider = OpenAIProvider(spec, transport, {"KEY": "k"})
    package = openai.AsyncOpenAI(base_url=base_url, api_key="k", max_retries=0)
    limiter = AdaptiveLimiter(max(IN_FLIGHT))

    async def ours() -> None:
        async with limiter.slot():
            await provider.send(request)
            limiter.report("ok")

    async def theirs() -> None:
        await package.chat.completions.create(
            model="gpt-4.1",
            messages=[{"role": "user", "content": QUESTION}],
            max_tokens=500,
            temperature=0.5,
        )

    rows = []
    for in_flight in IN_FLIGHT:
        # Connections are opened and code is imported before the clock runs.
        await cpu_ms(ours, in_flight, in_flight)
        await cpu_ms(theirs, in_flight, in_flight)
        pairs = [
            (await cpu_ms(ours, calls, in_flight), await cpu_ms(theirs, calls, in_flight))
            for _ in range(ROUNDS)
        ]
        ours_ms = statistics.median(pair[0] for pair in pairs)
        theirs_ms = statistics.median(pair[1] for pair in pairs)
        rows.append(
            {
                "in_flight": in_flight,
                "corl_bench_ms": round(ours_ms, 3),
                "openai_ms": round(theirs_ms, 3),
                "ratio": round(theirs_ms / ours_ms, 1),
            }
        )
    await package.close()
    await transport.aclose()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU a call of our client and of openai's")
    parser.add_argument("--calls", type=int, default=600, help="in each of three rounds")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with serve() as base_url:
        rows = asyncio.run(compare(base_url, options.calls))
    if options.json:
        print(json.dumps(rows))
        return
    print(
        f"{'in flight':>9}  {'corl-bench':>10}  {f'openai {openai.__version__}':>14}  {'ratio':>5}"
    )
    for row in rows:
        print(
            f"{row['in_flight']:>9}  {row['corl_bench_ms']:>7.3f} ms"
            f"  {row['openai_ms']:>11.3f} ms  {row['ratio']:>5}"
        )


if __name__ == "__main__":
    main()
