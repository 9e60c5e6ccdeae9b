"""Foresight: what every choice is worth to the last call, as far as cards and prices tell.

Where `warmstart.counsel` looks two calls ahead, this plans to the end, by the very recursion that
finds the optimum of a simulated pool (`corl_bench.experts.simulation.planning`), on what anyone
may know: how often each expert was right in a subject, what its calls take at today's prices, and
how experts err (`Manners`). It knows no table of a simulation, so it plans for recorded experts
as for simulated ones, and where it is wrong about them there is something left for rewards to
mend.

Invariant: money is counted in ticks, of which the largest budget has `TICKS`; costs are rounded
up to them, so a plan never counts on money that is not there.

    foresight = Foresight({"A": card, "B": other}, {"A": costs_usd, "B": dearer_usd}, ["Geometry"],
                          manners, horizon_usd=0.01, max_calls=4)
    foresight.worth("Geometry", (("A", "12"),), left_usd=0.006)    # {None: 0.7, "B": 0.82}
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from corl_bench.experts.cards import Card
from corl_bench.experts.simulation.beliefs import View
from corl_bench.experts.simulation.planning import Node, Plan
from corl_bench.experts.simulation.spending import CallCosts
from corl_bench.experts.simulation.values import view_of
from corl_train.variety.manners import Manners

Floats = NDArray[np.float64]
Seen = Sequence[tuple[str, str | None]]
"""The calls so far: expert and answer; None where there was none."""

TICKS = 200


class Foresight:
    """A plan for one pool and every budget up to a horizon.

    Args:
        cards: of the experts, by what they are called.
        costs_usd: of their typical calls, likewise.
        subjects: that can come up.
        manners: how they err.
        horizon_usd: the largest budget.
        max_calls: of one episode.
    """

    def __init__(
        self,
        cards: Mapping[str, Card],
        costs_usd: Mapping[str, Sequence[float]],
        subjects: Sequence[str],
        manners: Manners,
        *,
        horizon_usd: float,
        max_calls: int,
    ) -> None:
        self._max_calls = max_calls
        self._tick_usd = horizon_usd / TICKS
        self._numbers = {name: number for number, name in enumerate(cards)}
        self._places = {subject: place for place, subject in enumerate(subjects)}
        known = list(cards.values())
        right = np.asarray(
            [[_given_an_answer(card, subject) for subject in subjects] for card in known]
        )
        self.beliefs = _Beliefs(right, manners)
        self._plan = Plan(
            self.beliefs.weights,
            [_costs(costs_usd[name], card.silent, self._tick_usd) for name, card in cards.items()],
            len(subjects),
            horizon=TICKS,
            max_calls=max_calls,
            keeps_values=True,
        )

    def worth(self, subject: str, seen: Seen, left_usd: float) -> dict[str | None, float]:
        """Probabilities of ending with a right answer within the budget.

        Args:
            subject: of the problem.
            seen: calls so far.
            left_usd: of the budget.

        Returns:
            Of calling each expert, where a call is left, and under None of answering now.
        """
        place = self._places[subject]
        view, _ = view_of(seen, self._numbers)
        node = Node(view, len(seen))
        left = self._left(left_usd)
        group = self._plan.best_group(place, view)
        found: dict[str | None, float] = {
            None: self._plan.value_of_answer(place, view, group, left)
        }
        if len(seen) < self._max_calls:
            for name, number in self._numbers.items():
                found[name] = self._plan.value_of_call(place, node, number, left)
        return found

    def answers(self, subject: str, seen: Seen) -> dict[str, float]:
        """How probably the last answer of each expert that has given one is right."""
        view, answers = view_of(seen, self._numbers)
        place = self._places[subject]
        shares = {
            answer: self._plan.value_of_answer(place, view, group, TICKS)
            for group, answer in enumerate(answers)
        }
        return {name: shares[answer] for name, answer in seen if answer is not None}

    def _left(self, left_usd: float) -> int:
        return -1 if left_usd < 0 else min(TICKS, int(left_usd / self._tick_usd + 1e-9))


class _Beliefs:
    """Weights of views by naive Bayes: experts err one by one, wrong answers are all alike.

    As `corl_bench.experts.simulation.beliefs.Beliefs`, without a trap.
    """

    def __init__(self, right: Floats, manners: Manners) -> None:
        self._right = right
        self._wrong = (1 - right) / manners.wrong_answers
        self._steady = manners.steadiness
        self._others = manners.wrong_answers
        self._known: dict[View, Floats] = {}

    def weights(self, view: View) -> Floats:
        """(groups + 1, subjects): joint probability of the groups and of each being right."""
        if view not in self._known:
            rows = [self._world(view, group) for group in range(len(view))]
            self._known[view] = np.stack([*rows, self._world(view, None)])
        return self._known[view]

    def _world(self, view: View, right: int | None) -> Floats:
        wrong = len(view) - (right is not None)
        weight = np.full(
            self._right.shape[1],
            math.prod(max(0.0, self._others - taken) for taken in range(wrong)),
        )
        for expert, count in Counter(chain(*view)).items():
            if count == 1:
                group = next(place for place, who in enumerate(view) if expert in who)
                weight = weight * self._share(expert, group == right)
            else:
                weight = weight * self._several(view, right, expert)
        return weight

    def _share(self, expert: int, is_right: bool) -> Floats:
        return np.asarray((self._right if is_right else self._wrong)[expert])

    def _several(self, view: View, right: int | None, expert: int) -> Floats:
        """Of an expert that was asked more than once: a sum over what its opinion may be."""
        said = [
            (self._share(expert, place == right), who.count(expert))
            for place, who in enumerate(view)
            if expert in who
        ]
        total = 1 - sum(share for share, _ in said)
        fresh = 1 - self._steady
        for share, count in said:
            total = total * (fresh * share) ** count
        for opinion, (held, _) in enumerate(said):
            product = held
            for place, (share, count) in enumerate(said):
                product = product * (fresh * share + self._steady * (place == opinion)) ** count
            total = total + product
        return np.asarray(total)


def _given_an_answer(card: Card, subject: str) -> float:
    """How probably an answer is right: a share of the replies that have one."""
    return min(0.99, card.trust(subject) / max(0.01, 1 - card.silent))


def _costs(costs_usd: Sequence[float], silent: float, tick_usd: float) -> CallCosts:
    ticks = Counter(max(1, math.ceil(usd / tick_usd - 1e-9)) for usd in costs_usd)
    shares = {tick: count / len(costs_usd) for tick, count in sorted(ticks.items())}
    return CallCosts(
        answering=tuple((tick, share * (1 - silent)) for tick, share in shares.items()),
        failing=tuple((tick, share * silent) for tick, share in shares.items() if silent),
        mean_ticks=sum(tick * share for tick, share in shares.items()),
    )
