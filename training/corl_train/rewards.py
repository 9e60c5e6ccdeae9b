"""Rewards: one number for an episode, from its verdict, its ledger and its budget.

Every reward is a pure function, so evaluating never changes what training sees. The one that
needs a history (`Percentile`) is a value that holds it; the trainer goes on to the next value.

    >>> gate(right=True, cost_usd=Decimal("0.0006"), budget_usd=Decimal("0.0006"))
    1.0
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Protocol

import numpy as np

_PERCENTILES = (5, 95)
_NARROW = 1e-8
"""Square roots of dollars that are no wider apart are one; 10⁻⁸ is Router-R1's."""


class Reward(Protocol):
    """What an episode is worth."""

    def __call__(self, *, right: bool, cost_usd: Decimal, budget_usd: Decimal | None) -> float:
        """The reward.

        Args:
            right: the verdict is `correct`.
            cost_usd: list cost of everything the episode did.
            budget_usd: what it was given to spend; None: anything.
        """
        ...


@dataclass(frozen=True, slots=True)
class Gate:
    """CoRL's reward: 1 where the answer is right and the cost within the budget, else 0.

    right × [cost ≤ budget] − fine × [cost > budget]. Source: arXiv 2511.02755, section 3, where
    there are no fines.
    """

    fines: Mapping[Decimal, float] = field(default_factory=dict)
    """By a budget's dollars: of breaking it, beyond the answer that counts for nothing then."""

    def __call__(self, *, right: bool, cost_usd: Decimal, budget_usd: Decimal | None) -> float:
        if budget_usd is not None and cost_usd > budget_usd:
            return -self.fines.get(budget_usd, 0.0)
        return float(right)


gate = Gate()
"""As in the paper: what validation and evaluation count, whatever trains."""


@dataclass(frozen=True, slots=True)
class Soft:
    """xRouter's reward: right answers are worth less the more they cost, whatever the budget.

    right × (1 − min(λ · cost, c_max)). Source: arXiv 2510.08439.
    """

    per_usd: float
    """λ, in 1 per dollar."""
    most: float = 0.9
    """c_max: the most that cost can take away."""

    def __call__(self, *, right: bool, cost_usd: Decimal, budget_usd: Decimal | None) -> float:
        return float(right) * (1 - min(self.per_usd * float(cost_usd), self.most))


@dataclass(frozen=True, slots=True)
class Linear:
    """BaRP's reward: quality and cost weighed against each other, wrong answers cost too.

    w · right − (1 − w) · min(cost / scale, 1). Source: arXiv 2510.07429.
    """

    weight: float
    scale_usd: float

    def __call__(self, *, right: bool, cost_usd: Decimal, budget_usd: Decimal | None) -> float:
        spent = min(float(cost_usd) / self.scale_usd, 1.0)
        return self.weight * right - (1 - self.weight) * spent


@dataclass(frozen=True, slots=True)
class Mean:
    """A budget that holds on average: right − min(price · cost, most), at the budget's price.

    The Lagrangian of "as many right answers as can be had for so many dollars a problem". A
    budget that has no price is free.
    """

    per_usd: Mapping[Decimal, float]
    """By a budget's dollars: right answers that a dollar is worth there."""
    most: float = 4.0
    """The most that cost can take away, so that one episode does not outweigh all others. What
    is spent beyond it is free, so it has to lie far above what a budget is worth at its price,
    which was .02 to .25 of a right answer wherever that was looked at."""

    def __call__(self, *, right: bool, cost_usd: Decimal, budget_usd: Decimal | None) -> float:
        price = 0.0 if budget_usd is None else self.per_usd.get(budget_usd, 0.0)
        return float(right) - min(price * float(cost_usd), self.most)


@dataclass(frozen=True, slots=True)
class Percentile:
    """Router-R1's reward: a right answer is worth more, the cheaper it is among recent ones.

    right × (1 − α + α · (1 − s)), where s is the place of √cost between the 5th and the 95th
    percentile of the recent √costs, from 0 to 1, and ½ where these are one. A wrong answer is
    worth nothing, however cheap. Router-R1's punishment of malformed turns is left out: here
    they are metered events. Source: arXiv 2506.09033, and its code for the percentiles.

    The window is part of the value: nothing that asks for a reward can change it. Training puts
    `after(costs)` in its place, batch by batch, and evaluation does not.
    """

    alpha: float = 0.5
    """Weight of the cost, from 0 to 1."""
    window: int = 1000
    """How many costs are recent."""
    recent_usd: tuple[float, ...] = ()
    """Oldest first."""

    def __call__(self, *, right: bool, cost_usd: Decimal, budget_usd: Decimal | None) -> float:
        return float(right) * (1 - self.alpha + self.alpha * self._thrift(float(cost_usd)))

    def after(self, costs_usd: Iterable[Decimal]) -> Percentile:
        """The reward that has seen these costs too."""
        recent = (*self.recent_usd, *map(float, costs_usd))
        return replace(self, recent_usd=recent[-self.window :])

    def _thrift(self, cost_usd: float) -> float:
        if not self.recent_usd:
            return 0.5
        low, high = np.percentile(np.sqrt(self.recent_usd), _PERCENTILES)
        if high - low < _NARROW:
            return 0.5
        return 1 - min(max((math.sqrt(cost_usd) - float(low)) / float(high - low), 0.0), 1.0)
