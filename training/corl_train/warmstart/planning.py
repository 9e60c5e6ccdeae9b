"""The best plan against a jury: whom to ask next or what to answer, at a price of dollars.

A state is who was asked and who agrees with whom. Its probability and that of its best answer
being right come from the jury (`difficulty`), so values need no division on the way: with V the
value of a state times its probability,

    V(s) = max(P(s and its best group right), max over j of Σ V(s') − price · cost_j · P(s)),

s' being what the reply of expert j can make of s. All states are worked out, from the last call
to the first: with eight experts 94,828 of them. Nine that may all be asked have half a million,
so of a larger pool a plan counts on some members only, a panel (see `panel`): who else has
answered is nothing to it.

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

from corl_train.warmstart.difficulty import FIRST_GROUP, SILENT, UNASKED, Jury, Sighting, State

MOST_STATES = 100_000
"""Of a plan: some seconds and some hundred megabytes. Eight experts who may all be asked fit."""
_PRICES = (0.1, 100_000.0)
"""Between which the price of a mean spend is looked for, in right answers a dollar."""
_LEAST_WORTH = 0.01
"""Of a whole budget, in right answers, at its price: what is worth less is noise, and a policy
that learns what choices are worth would as soon spend it as not."""
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
    return (state for state, _, _ in found)


def count_states(experts: int, most_calls: int) -> int:
    """How many states there are: Σ C(experts, k) · B(k + 1) over the numbers k of calls.

    Whoever is asked is silent or in a group, which are the partitions of a set of k + 1: B are the
    Bell numbers.
    """
    row, count = [1], 0
    for calls in range(min(experts, most_calls) + 1):
        count += math.comb(experts, calls) * row[-1]
        following = [row[-1]]
        for number in row:
            following.append(following[-1] + number)
        row = following
    return count


def largest_panel(experts: int, most_calls: int) -> int:
    """Of how many of some experts all states can be worked out."""
    return max(n for n in range(1, experts + 1) if count_states(n, most_calls) <= MOST_STATES)


class Plan:
    """Every state that a conversation with a panel can come to.

    Args:
        jury: what is known of the experts.
        costs_usd: of a call to each.
        most_calls: of a conversation.
        panel: places of the experts that the plan counts on, no more than `largest_panel` says;
            None: all of them.
    """

    def __init__(
        self,
        jury: Jury,
        costs_usd: Sequence[float],
        most_calls: int,
        panel: Sequence[int] | None = None,
    ) -> None:
        self.panel = tuple(range(len(costs_usd)) if panel is None else panel)
        self.costs_usd = np.array([costs_usd[expert] for expert in self.panel])
        self.graph = _graph(len(self.panel), min(most_calls, len(self.panel)))
        self.chance, self.right = jury.of(self.panel).tables(self.graph.states)

    def place_of(self, state: State) -> int:
        """Where a state of all experts stands, as far as the panel is concerned."""
        return self.graph.places[ordered([state[expert] for expert in self.panel])]

    def priced(self, price: float) -> PricedPlan:
        """The best plan where a dollar is worth `price` right answers."""
        graph, experts = self.graph, len(self.panel)
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
            sightings: of training problems, whose real costs count; of all experts.

        Returns:
            One that spends less where a dollar more would buy next to nothing.
        """
        low, high = _PRICES
        low = max(low, _LEAST_WORTH / budget_usd)
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
    """(states, panel): what a call is worth, times the probability of the state."""

    @property
    def value(self) -> float:
        """What it is worth before anybody was asked."""
        return max(self.worth((UNASKED,) * (max(self.plan.panel) + 1)).values())

    def worth(self, state: State) -> dict[int | None, float]:
        """What every choice is worth in a state: of being right in the end, less what is spent.

        Returns:
            Of each call, by the expert's place, and under None of answering now.
        """
        place = self.plan.place_of(state)
        chance = max(float(self.plan.chance[place]), 1e-300)
        found: dict[int | None, float] = {None: float(self.plan.right[place].max()) / chance}
        for expert, value in zip(self.plan.panel, self.calls[place].tolist(), strict=True):
            if value > -np.inf:
                found[expert] = value / chance
        return found

    def believed(self, state: State) -> list[int]:
        """The experts, by place, who stand behind the likeliest answer; nobody before any."""
        place = self.plan.place_of(state)
        right = self.plan.right[place]
        if not right.max() > 0:
            return []
        code = int(right.argmax()) + FIRST_GROUP
        own = zip(self.plan.panel, self.plan.graph.states[place], strict=True)
        return [expert for expert, group in own if group == code]

    def rights(self, state: State) -> dict[int, float]:
        """How probably the answer of each expert of the panel that has given one is right."""
        place = self.plan.place_of(state)
        chance = max(float(self.plan.chance[place]), 1e-300)
        right = self.plan.right[place].tolist()
        own = zip(self.plan.panel, self.plan.graph.states[place], strict=True)
        return {
            expert: right[group - FIRST_GROUP] / chance
            for expert, group in own
            if group >= FIRST_GROUP
        }

    def follow(self, seen: Sighting) -> Iterator[int]:
        """Whom the plan asks in turn about a problem of which all replies are known.

        Raises:
            ValueError: one that it asks for is not.
        """
        known = [UNASKED] * len(seen.state)
        while True:
            worth = self.worth(ordered(known))
            best = max(worth, key=lambda choice: (worth[choice], choice is None))
            if best is None:
                return
            if seen.state[best] == UNASKED:
                raise ValueError(f"expert {best} was not asked about problem {seen.problem!r}")
            known[best] = seen.state[best]
            yield best

    def mean_spend_usd(self, sightings: Sequence[Sighting]) -> float:
        """What the plan spends on a problem."""
        spends = (sum(seen.costs_usd[expert] for expert in self.follow(seen)) for seen in sightings)
        return math.fsum(spends) / len(sightings)
