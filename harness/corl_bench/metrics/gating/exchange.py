"""What a dollar is worth in accuracy, and accuracy in dollars: read off a baseline's frontier.

Two runs rarely spend the same, so comparing their accuracy needs a rate of exchange. The
baseline has one: its own coins. Between two of its systems a coin turns dollars into accuracy
at the slope of the frontier, and a change along that line is neither gain nor loss.

A rate is used only where it cannot excuse more than the baseline shows:

- *Savings* are credited between real systems alone. Below the cheapest system of the frontier
  there is only the one that answers nothing, and half the answers for half the price is no
  bargain: there the frontier is taken as level, and accuracy has to hold as it is. A baseline
  of one system credits no saving at all.
- *Gains* beyond the best system are credited at the price of the frontier's last piece (of the
  line from the origin, where there is one system). Frontiers bend down, so what lies beyond
  can only be dearer.

    exchange = Exchange.of(make_panel(baseline.of_task("synth")))
    exchange.accuracy_at(0.002) - exchange.accuracy_at(0.001)   # what a tenth of a cent buys
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from corl_bench.metrics.arrays import Array
from corl_bench.metrics.frontier import CoinFrontier
from corl_bench.metrics.panel import Panel

_MEAN_DEVIATION = math.sqrt(2 / math.pi)
"""Of a normal deviate, in standard deviations."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """The rates that a baseline's frontier gives, and each problem's part in them."""

    frontier: CoinFrontier
    labels: tuple[str, ...]
    """Of the real systems that are its vertices, by rising cost."""
    costs_usd: Array = field(repr=False)
    """(vertices,) of those: mean dollars a problem."""
    accuracies: Array = field(repr=False)
    """(vertices,)."""
    problem_costs_usd: Array = field(repr=False)
    """(problems, vertices)."""
    problem_accuracies: Array = field(repr=False)
    """(problems, vertices)."""

    @classmethod
    def of(cls, panel: Panel) -> Exchange:
        """The rates of a panel of the baseline's systems that have a rank."""
        rivals = [index for index, point in enumerate(panel.points) if point.is_ranked]
        costs, scores = panel.cost_usd[:, rivals], panel.accuracy[:, rivals]
        frontier = CoinFrontier.of(costs.mean(axis=0), scores.mean(axis=0))
        members = [member for member in frontier.members if member >= 0]
        return cls(
            frontier=frontier,
            labels=tuple(panel.labels[rivals[member]] for member in members),
            costs_usd=costs[:, members].mean(axis=0),
            accuracies=scores[:, members].mean(axis=0),
            problem_costs_usd=costs[:, members],
            problem_accuracies=scores[:, members],
        )

    @property
    def has_rate(self) -> bool:
        """Whether any saving can be credited: two real systems are on the frontier."""
        return len(self.labels) > 1

    def accuracy_at(self, cost_usd: float) -> float:
        """Accuracy of coins between real systems at a spend; level on either side of them."""
        if not self.labels:
            return 0.0
        return float(np.interp(cost_usd, self.costs_usd, self.accuracies))

    def accuracy_terms(self, costs_usd: Array) -> Array:
        """Each problem's part in `accuracy_at` of a mean spend; their mean is that accuracy.

        The straight piece at the spend, with the two systems that it joins taken problem by
        problem. So the terms carry the chance in the spend and the chance in the rate, too (the
        delta method).

        Args:
            costs_usd: (problems,), dollars that were spent on each.
        """
        if not self.labels:
            return np.zeros(len(costs_usd))
        spend = float(costs_usd.mean())
        right = int(np.searchsorted(self.costs_usd, spend))
        if right == 0 or right == len(self.costs_usd):
            return self.problem_accuracies[:, min(right, len(self.costs_usd) - 1)]
        left = right - 1
        width = self.costs_usd[right] - self.costs_usd[left]
        slope = (self.accuracies[right] - self.accuracies[left]) / width
        share = (spend - self.costs_usd[left]) / width
        levels = self.problem_accuracies - slope * self.problem_costs_usd
        terms: Array = (1 - share) * levels[:, left] + share * levels[:, right] + slope * costs_usd
        return terms

    def bend_at(self, cost_usd: float, noise_usd: float) -> float:
        """What noise in a spend takes from the frontier's accuracy there, on average.

        Where the frontier bends, spending a little less by chance is credited more than spending
        a little more is charged. At a corner this is 0.4 times noise times the change of slope.

        Args:
            cost_usd: mean spend.
            noise_usd: standard error of it.
        """
        step = _MEAN_DEVIATION * noise_usd
        around = self.accuracy_at(cost_usd - step) + self.accuracy_at(cost_usd + step)
        return max(0.0, self.accuracy_at(cost_usd) - around / 2)

    def price_of_gain_usd(self, accuracy: float, gain: float) -> float:
        """Dollars a problem that the frontier asks for a gain in accuracy; 0 for no gain.

        Args:
            accuracy: from where.
            gain: by how much.
        """
        if gain <= 0:
            return 0.0
        return self._cost_at(accuracy + gain) - self._cost_at(accuracy)

    def _cost_at(self, accuracy: float) -> float:
        costs, scores = self.frontier.costs_usd, self.frontier.accuracies
        if accuracy <= scores[-1] or len(scores) == 1:
            return self.frontier.cost_at(min(accuracy, float(scores[-1])))
        price = (costs[-1] - costs[-2]) / (scores[-1] - scores[-2])
        return float(costs[-1] + price * (accuracy - scores[-1]))
