"""The best plan against a jury: whom to ask next or what to answer, at a price of dollars.

A state is who was asked and who agrees with whom. Its probability and that of its best answer
being right come from the jury (`difficulty`), so values need no division on the way: with V the
value of a state times its probability,

    V(s) = max(P(s and its best group right), max over j of Σ V(s') − price · cost_j · P(s)),

s' being what the reply of expert j can make of s. All states are worked out, from the last call
to the first: with eight experts 94,828 of them.

    plan = Plan(jury, costs_usd=[0.0001, 0.0004], most_calls=2)
    plan.priced(300.0).worth((2, 0))          # {None: 0.6, 1: 0.55}
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corl_bench.errors import ConfigError
from corl_train.warmstart.difficulty import FIRST_GROUP, SILENT, UNASKED, Jury, Sighting, State

MOST_STATES = 400_000
"""More of them take minutes."""
_PRICES = (0.1, 100_000.0)
"""Between which the price of a mean spend is looked for, in right answers a dollar."""
_HALVINGS = 14
"""Of their ratio; the price is then known to less than a thousandth."""


def ordered(codes: Sequence[int]) -> State:
    """Codes with groups numbered by first appearance."""
    numbers: dict[int, int] = {UNASKED: UNASKED, SILENT: SILENT}
    return tuple(numbers.setdefault(code, len(numbers)) for code in codes)


@dataclass(frozen=True, slots=True, eq=False)
class _Graph:
    states: list[State]
    places: dict[State, int]
    asked: NDArray[Any]
    """How many have been, by state."""
    before: NDArray[Any]
    """For each reply that there can be: the state that it comes to, ..."""
    expert: NDArray[Any]
    """... whose it is, ..."""
    behind: NDArray[Any]
    """... and what it makes of it."""


@cache
def _graph(experts: int, most_calls: int) -> _Graph:
    states = list(_states(experts, most_calls))
    places = {state: place for place, state in enumerate(states)}
    asked = np.array([sum(code != UNASKED for code in state) for state in states])
    edges = [
        (place, expert, places[ordered((*state[:expert], code, *state[expert + 1 :]))])
        for place, state in enumerate(states)
        if asked[place] < most_calls
        for expert in range(experts)
        if state[expert] == UNASKED
        for code in range(SILENT, max(*state, SILENT) + 2)
    ]
    before, expert, behind = np.array(edges).T
    return _Graph(states, places, asked, before, expert, behind)


def _states(experts: int, most_calls: int) -> Iterator[State]:
    """All states, expert by expert."""
    found: list[tuple[State, int, int]] = [((), 0, SILENT)]
    for _ in range(experts):
        longer = []
        for state, asked, highest in found:
            longer.append(((*state, UNASKED), asked, highest))
            if asked < most_calls:
                longer += [
                    ((*state, code), asked + 1, max(highest, code))
                    for code in range(SILENT, highest + 2)
                ]
        found = longer
        if len(found) > MOST_STATES:
            raise ConfigError(
                f"{experts} experts and {most_calls} calls are more than the warm start can plan"
                " for: take a protocol with fewer max_calls, or warm_start.counsel = 'calls'"
            )
    return (state for state, _, _ in found)


class Plan:
    """Every state that a conversation can come to.

    Args:
        jury: what is known of the experts.
        costs_usd: of a call to each.
        most_calls: of a conversation.

    Raises:
        ConfigError: there are too many states.
    """

    def __init__(self, jury: Jury, costs_usd: Sequence[float], most_calls: int) -> None:
        self.costs_usd = np.array(costs_usd)
        self.graph = _graph(len(costs_usd), min(most_calls, len(costs_usd)))
        self.chance, self.right = jury.tables(self.graph.states)

    def priced(self, price: float) -> PricedPlan:
        """The best plan where a dollar is worth `price` right answers."""
        graph, experts = self.graph, len(self.costs_usd)
        value = self.right.max(axis=1)
        calls = np.full((len(value), experts), -np.inf)
        for asked in range(int(graph.asked.max()) - 1, -1, -1):
            own = graph.asked[graph.before] == asked
            before, expert = graph.before[own], graph.expert[own]
            sums = np.bincount(
                before * experts + expert,
                weights=value[graph.behind[own]],
                minlength=len(value) * experts,
            ).reshape(-1, experts)
            spend = price * self.costs_usd * self.chance[:, None]
            calls[before, expert] = (sums - spend)[before, expert]
            here = graph.asked == asked
            value[here] = np.maximum(value[here], calls[here].max(axis=1))
        return PricedPlan(self, price, calls)

    def price_for(self, budget_usd: float, sightings: Sequence[Sighting]) -> PricedPlan:
        """The plan with the lowest price that spends no more than a budget on average.

        Args:
            budget_usd: mean dollars a problem.
            sightings: of training problems, whose real costs count.
        """
        low, high = _PRICES
        found = self.priced(high)
        for _ in range(_HALVINGS):
            price = math.sqrt(low * high)
            plan = self.priced(price)
            if plan.mean_spend_usd(sightings) <= budget_usd:
                high, found = price, plan
            else:
                low = price
        return found


@dataclass(frozen=True, slots=True, eq=False)
class PricedPlan:
    """What every choice is worth at one price."""

    plan: Plan
    price: float
    """Right answers a dollar."""
    calls: NDArray[Any]
    """(states, experts): what a call is worth, times the probability of the state."""

    def worth(self, state: State) -> dict[int | None, float]:
        """What every choice is worth in a state: of being right in the end, less what is spent.

        Returns:
            Of each call, by the expert's place, and under None of answering now.
        """
        place = self.plan.graph.places[state]
        chance = max(float(self.plan.chance[place]), 1e-300)
        found: dict[int | None, float] = {None: float(self.plan.right[place].max()) / chance}
        for expert, value in enumerate(self.calls[place].tolist()):
            if value > -np.inf:
                found[expert] = value / chance
        return found

    def believed(self, state: State) -> list[int]:
        """The experts, by place, who stand behind the likeliest answer; nobody before any."""
        right = self.plan.right[self.plan.graph.places[state]]
        if not right.max() > 0:
            return []
        code = int(right.argmax()) + FIRST_GROUP
        return [expert for expert, own in enumerate(state) if own == code]

    def follow(self, seen: Sighting) -> Iterator[int]:
        """Whom the plan asks in turn about a problem of which all replies are known."""
        known = [UNASKED] * len(seen.state)
        while True:
            worth = self.worth(ordered(known))
            best = max(worth, key=lambda choice: (worth[choice], choice is None))
            if best is None or seen.state[best] == UNASKED:
                return
            known[best] = seen.state[best]
            yield best

    def mean_spend_usd(self, sightings: Sequence[Sighting]) -> float:
        """What the plan spends on a problem."""
        spends = (sum(seen.costs_usd[expert] for expert in self.follow(seen)) for seen in sightings)
        return math.fsum(spends) / len(sightings)
