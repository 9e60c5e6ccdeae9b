"""Counsel: what a choice would be worth if experts were as good and as dear as they have been.

Rules of thumb for a demonstrator, from nothing but the demonstrations themselves: how often each
expert was right in a subject, and what its calls have cost. Experts are taken to err one by one,
and wrong answers to spread; how the pool really works is not known here.

    counsel = Counsel({"nano": 0.6, "large": 0.9}, {"nano": (0.0001,), "large": (0.004, 0.006)})
    counsel.worth([{"nano"}], left_usd=0.005, calls=3)      # {None: 0.6, "large": 0.45}
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate, chain

Trust = Mapping[str, float]
"""By expert: how probably it is right, from 0 to 1 and neither of them."""
Groups = tuple[tuple[str, ...], ...]
"""Who stands behind which answer: names in order, groups in order."""

WRONG_ANSWERS = 5
"""Over how many answers replies that are wrong are taken to spread: they seldom agree."""
AHEAD = 2
"""Calls that are looked ahead."""


@dataclass(frozen=True, slots=True)
class Counsel:
    """What is known of the experts in one subject."""

    trust: Trust
    costs_usd: Mapping[str, tuple[float, ...]]
    """Of each expert's calls, from cheap to dear; whoever has none is never called."""
    caution: float = 0.0
    """What breaking the budget takes away, beside the answer that then counts for nothing."""
    _means: dict[str, list[float]] = field(init=False)
    """Of each expert's cheapest calls, by how many of them."""
    _beliefs: dict[Groups, tuple[float, ...]] = field(init=False, default_factory=dict)
    _worth: dict[tuple[Groups, float, int, int], float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        means = {
            name: [total / n for n, total in enumerate(accumulate(costs), start=1)]
            for name, costs in self.costs_usd.items()
        }
        object.__setattr__(self, "_means", means)

    def worth(
        self, groups: Iterable[Collection[str]], *, left_usd: float, calls: int
    ) -> dict[str | None, float]:
        """Probabilities of ending with a right answer within the budget.

        Args:
            groups: who stands behind which answer so far.
            left_usd: of the budget; infinite where there is none.
            calls: how many may still be made.

        Returns:
            Of calling each expert that has not answered, and under None of answering now; less
            the caution where a call may break the budget.
        """
        known = _ordered(groups)
        found: dict[str | None, float] = {None: self._stop(known, left_usd)}
        if calls:
            for expert in self._others(known):
                found[expert] = self._call(expert, known, left_usd, calls, AHEAD)
        return found

    def beliefs(self, groups: Groups) -> tuple[float, ...]:
        """How probably each group is right; what is missing to 1 is that none of them is.

        Naive Bayes: whoever is wrong has said any of `WRONG_ANSWERS` answers alike.
        """
        if groups not in self._beliefs:
            wrong = {name: (1 - self.trust[name]) / WRONG_ANSWERS for name in chain(*groups)}
            all_wrong = 1.0
            for chance in wrong.values():
                all_wrong *= chance
            odds = []
            for group in groups:
                share = all_wrong
                for name in group:
                    share *= self.trust[name] / wrong[name]
                odds.append(share)
            total = sum(odds) + max(0, WRONG_ANSWERS + 1 - len(groups)) * all_wrong
            self._beliefs[groups] = tuple(share / total for share in odds)
        return self._beliefs[groups]

    def _best(self, groups: Groups, left_usd: float, calls: int, ahead: int) -> float:
        stop = self._stop(groups, left_usd)
        if not (calls and ahead):
            return stop
        key = (groups, left_usd, calls, ahead)
        if key not in self._worth:
            choices = (
                self._call(expert, groups, left_usd, calls, ahead)
                for expert in self._others(groups)
            )
            self._worth[key] = max(stop, *choices, 0.0)
        return self._worth[key]

    def _stop(self, groups: Groups, left_usd: float) -> float:
        return max(self.beliefs(groups), default=0.0) if left_usd >= 0 else 0.0

    def _call(self, expert: str, groups: Groups, left_usd: float, calls: int, ahead: int) -> float:
        costs = self.costs_usd[expert]
        fitting = bisect_right(costs, left_usd)
        if not fitting:
            return -self.caution
        left_usd -= self._means[expert][fitting - 1]
        right, wrong = self.trust[expert], (1 - self.trust[expert]) / WRONG_ANSWERS
        total, rest = 0.0, 1.0
        for place, belief in enumerate(self.beliefs(groups)):
            chance = belief * right + (1 - belief) * wrong
            rest -= chance
            joined = _ordered([*groups[:place], (*groups[place], expert), *groups[place + 1 :]])
            total += chance * self._best(joined, left_usd, calls - 1, ahead - 1)
        alone = _ordered([*groups, (expert,)])
        total += rest * self._best(alone, left_usd, calls - 1, ahead - 1)
        fits = fitting / len(costs)
        return total * fits - self.caution * (1 - fits)

    def _others(self, groups: Groups) -> list[str]:
        answered = set(chain(*groups))
        return [name for name, costs in self.costs_usd.items() if costs and name not in answered]


def _ordered(groups: Iterable[Collection[str]]) -> Groups:
    return tuple(sorted(tuple(sorted(group)) for group in groups))
