"""Routing systems for tests of the server."""

from __future__ import annotations

import asyncio
from typing import Any


class Twice:
    """Asks `a`, then `b`, and answers with both."""

    name = "twice"
    reads_budget = False
    is_oracle = False

    async def solve(self, problem: str, budget: Any, episode: Any) -> str | None:
        first = await episode.call("a")
        second = await episode.call("b")
        return f"{first.text}|{second.text}"


class Frugal:
    """Says what it was told, and tosses a coin."""

    name = "frugal"
    reads_budget = True
    is_oracle = False

    async def solve(self, problem: str, budget: Any, episode: Any) -> str | None:
        reply = await episode.call("b")
        told = "no budget" if budget is None else f"{budget.name}={budget.usd}"
        return f"{told} {reply.text} {episode.rng.random()}"


class Stubborn:
    """Swallows every refusal, and will not be told that its episode is over."""

    name = "stubborn"
    reads_budget = False
    is_oracle = False

    async def solve(self, problem: str, budget: Any, episode: Any) -> str | None:
        while True:
            try:
                await episode.call("a")
            except Exception:
                await asyncio.sleep(0.01)


class Broken:
    """Fails with a secret on its lips."""

    name = "broken"
    reads_budget = False
    is_oracle = False

    async def solve(self, problem: str, budget: Any, episode: Any) -> str | None:
        await episode.call("b")
        raise ValueError(f"cannot route {problem} with sk-proj-0123456789")


class Charging:
    """Decides for a fee."""

    name = "charging"
    reads_budget = False
    is_oracle = False

    async def solve(self, problem: str, budget: Any, episode: Any) -> str | None:
        from decimal import Decimal

        episode.charge(Decimal("0.001"), "the decision")
        return str((await episode.call("b")).text)
