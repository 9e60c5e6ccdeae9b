"""Routers in Python, one for each shape; `docs/routers.md` walks through them.

In this folder:

    corl-bench run --task synth -s python:lengths:by_length -s python:lengths:by_budget
    corl-bench run --task synth -s python:lengths:win_rate@threshold=0.5
    corl-bench run --task synth -s python:lengths:WinRates@share=0.3 --train synth:train
    corl-bench run --task synth -s python:lengths:LeastRegret --train synth:train
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any


def by_length(prompt: str, experts: Sequence[Any]) -> str:
    """Decides: short questions go to the cheapest expert, long ones to the dearest."""
    return str(experts[0].name if len(prompt) < 150 else experts[-1].name)


async def by_budget(prompt: str, experts: Sequence[Any], budget: Any) -> str:
    """Decides with the budget: the dearest expert of which 500 tokens are within it."""
    await asyncio.sleep(0)  # stands for a request to a model of one's own
    if budget is None:
        return str(experts[-1].name)
    affordable = [e for e in experts if e.price.output_usd_per_mtok * 500 <= budget.usd * 10**6]
    return str((affordable or experts)[-1 if affordable else 0].name)


def win_rate(prompt: str) -> float:
    """Scores: from 0, how much the question wants the strong expert."""
    return min(len(prompt) / 400, 1.0)


class WinRates:
    """Scores many questions at once, as a model on an accelerator would."""

    name = "win-rates"

    def score_batch(self, prompts: Sequence[str]) -> list[float]:
        """As many scores as there are prompts, in their order."""
        return [win_rate(prompt) for prompt in prompts]


class LeastRegret:
    """Decides and learns: a bandit that tries each expert `tries` times and keeps the best.

    An expert is worth its share of correct answers less what it costs, with a correct answer at
    `worth_usd`. Choices while learning take turns, so that no randomness is needed.
    """

    name = "least-regret"
    tries = 20
    worth_usd = Decimal("0.01")

    def __init__(self, experts: Sequence[Any]) -> None:
        self._gains: dict[str, list[Decimal]] = {expert.name: [] for expert in experts}

    def decide(self, prompt: str) -> str:
        """The expert tried least while some want trying, then the one with the best mean."""
        rarest = min(self._gains, key=lambda name: len(self._gains[name]))
        if len(self._gains[rarest]) < self.tries:
            return rarest
        return max(self._gains, key=lambda name: sum(self._gains[name]) / len(self._gains[name]))

    def learn(self, prompt: str, expert: str, reward: float, cost_usd: Decimal) -> None:
        """What came of the last decision."""
        self._gains[expert].append(self.worth_usd * int(reward) - cost_usd)
