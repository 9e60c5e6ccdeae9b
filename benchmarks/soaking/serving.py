"""A server, and those who ask it."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from corl_bench.cli.main import main as corl_bench
from soaking.holdings import Complaints, holdings, write_line

PATIENCE_S = 120.0
"""Of a client; the server is asked far less than it can answer."""
MOST_IN_FLIGHT = 24
"""Clients at a time."""


def serve_watched(folder: Path, arguments: Sequence[str]) -> None:
    """`corl-bench serve` in this process, which writes down what it holds at SIGUSR1."""
    complaints = Complaints()
    complaints.listen()

    def look(*_: object) -> None:
        row = holdings()
        # This very handler may run within a task of its own; those of requests are what counts.
        row["complaints"] = complaints.texts[:5]
        complaints.texts.clear()
        write_line(folder / "serve.jsonl", row)

    signal.signal(signal.SIGUSR1, look)
    corl_bench(list(arguments))


@dataclass
class Clients:
    """Those who ask the server, at a steady pace.

    Args:
        url: of the server.
        every_s: mean time between two requests, of all clients together.
        seed: of what they do, and when.
    """

    url: str
    every_s: float
    seed: int
    in_flight: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    async def ask(self, ends_s: float) -> None:
        """Asks until the time is over, and waits for the answers."""
        chance = random.Random(self.seed)
        number = 0
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
            while time.monotonic() < ends_s:
                if self.in_flight >= MOST_IN_FLIGHT:
                    await asyncio.sleep(0.1)  # a machine that is busy with other things
                    continue
                number += 1
                leaves_s = chance.uniform(0.0, 0.5) if chance.random() < 0.1 else None
                group.create_task(self._one(session, number, chance.random() < 0.5, leaves_s))
                await asyncio.sleep(chance.expovariate(1.0 / self.every_s))

    async def _one(
        self, session: aiohttp.ClientSession, number: int, streams: bool, leaves_s: float | None
    ) -> None:
        body = {
            "model": "corl",
            "messages": [{"role": "user", "content": f"Request {number}: what is {number} + 1?"}],
            "stream": streams,
        }
        self.in_flight += 1
        try:
            async with asyncio.timeout(leaves_s):
                async with session.post(f"{self.url}/chat/completions", json=body) as answer:
                    text = await answer.read()
        except TimeoutError:
            if leaves_s is None:
                self.faults.append(f"request {number}: no answer within {PATIENCE_S:g} s")
            self.statuses["left early"] += 1
            return
        except aiohttp.ClientError as error:
            self.faults.append(f"request {number}: {type(error).__name__}: {error}")
            return
        finally:
            self.in_flight -= 1
        self.statuses[str(answer.status)] += 1
        if streams and answer.status == 200 and not text.endswith(b"data: [DONE]\n\n"):
            self.faults.append(f"request {number}: a stream without its end: {text[-100:]!r}")
        if answer.status not in (200, 502):
            self.faults.append(f"request {number}: status {answer.status}: {text[:200]!r}")
