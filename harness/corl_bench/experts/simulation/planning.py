"""The best policy for every budget at once, by exact dynamic programming.

A policy knows the cell, the view (`beliefs`), the number of calls made and the money left; it
calls an expert or answers with one of the groups it has seen. The reward is 1 if the answer is
right and the list cost lies within the budget, else 0. Visible failures tell nothing about the
answers, and cost and correctness of a call are independent, so (view, calls made, money left)
is all that matters: the state is complete and the recursion is exact.

Invariant: money is counted in whole ticks (`spending`), so nothing is rounded.

    plan = Plan(beliefs.weights, costs, n_cells, horizon=5000, max_calls=4, keeps_values=True)
    plan.evaluate(budget=1500).right
    start = Node((), 0)
    plan.value(0, start, 1500) - plan.value_of_call(0, start, 2, 1500)    # what calling 2 loses
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corl_bench.experts.simulation.beliefs import Floats, View, children
from corl_bench.experts.simulation.spending import CallCosts

Actions = NDArray[np.int8]
Places = NDArray[np.intp]
STOP = -1
_COLUMNS = 60_000
"""Cells times ticks that one plan holds at a time, which bounds memory to about 150 MB."""
_TIE = 1e-12
"""Gains below it are rounding: the policy then prefers to stop, and else the cheaper call."""


def cells_a_plan(horizon: int) -> int:
    """How many cells one plan may have at a time, so that its arrays stay small.

    Args:
        horizon: in ticks.
    """
    return max(1, _COLUMNS // max(horizon, 1))


@dataclass(frozen=True, slots=True)
class Node:
    """A view after some calls, as the recursion visits it."""

    view: View
    calls: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a policy does to one level's cells when it starts with a given budget.

    `right[c, s]` and `stopped[c, s]` are the probabilities to end with a spend of s ticks and a
    right answer, and to end there at all; the last column gathers all spends beyond the horizon.
    """

    right: Floats
    stopped: Floats
    calls: Floats
    """Mean number of calls, (cells, experts)."""
    mean_ticks: Floats


class Plan:
    """An optimal policy for cells of one level, for every budget up to a horizon and for none.

    Args:
        weights: of a view for these cells, as `Beliefs.weights` gives them.
        costs: of a call, by expert and of the cells' level.
        n_cells: number of cells.
        horizon: the largest budget in ticks.
        max_calls: calls that a policy may make; repeated calls of an expert are fresh draws.
        may_call: the experts that it may call; None: all.
        keeps_values: whether it can be asked for values afterwards, which takes 8 bytes a cell
            and tick for every view of at most `max_calls` - 2 calls.
    """

    def __init__(
        self,
        weights: Callable[[View], Floats],
        costs: Sequence[CallCosts],
        n_cells: int,
        *,
        horizon: int,
        max_calls: int,
        may_call: Iterable[int] | None = None,
        keeps_values: bool = False,
    ) -> None:
        self.horizon = horizon
        self.max_calls = max_calls
        self._weights = weights
        self._costs = tuple(costs)
        self._n_cells = n_cells
        chosen = range(len(costs)) if may_call is None else may_call
        self._cheapest_first = sorted(chosen, key=lambda e: costs[e].mean_ticks)
        self._within = [
            (self._affordable(cost.answering), self._affordable(cost.failing)) for cost in costs
        ]
        self._actions: dict[Node, Actions] = {}
        self._values: dict[Node, Floats] = {}
        self.best_reward: Floats = self._solve(Node((), 0))
        """Expected reward of the best policy, (cells, ticks 0 … horizon and, last, no budget)."""
        if keeps_values:
            # Of the last call's nodes there are most, and they are quickly computed again.
            kept = range(max_calls - 1)
            self._values = {node: v for node, v in self._values.items() if node.calls in kept}
        else:
            self._values.clear()

    def action(self, cell: int, node: Node, ticks_left: int | None) -> int:
        """The expert to call, or `STOP`. `ticks_left` None: no budget; below zero: it is lost."""
        if node.calls >= self.max_calls or (ticks_left is not None and ticks_left < 0):
            return STOP
        column = self.horizon + 1 if ticks_left is None else min(ticks_left, self.horizon)
        return int(self._actions[node][cell, column])

    def best_group(self, cell: int, view: View) -> int | None:
        """The group with the highest posterior; None: nothing was answered."""
        if not view:
            return None
        return int(np.argmax(self._weights(view)[:-1, cell]))

    def value(self, cell: int, node: Node, ticks_left: int | None) -> float:
        """Expected reward of the best policy from here on; needs `keeps_values`.

        Args:
            cell: its number.
            node: what was seen. Behind `max_calls` calls there is nothing left but to answer.
            ticks_left: None: no budget; below zero: it is lost.
        """
        if ticks_left is not None and ticks_left < 0:
            return 0.0
        column = np.asarray([self._column(ticks_left)])
        return self._given(cell, node.view, float(self._best(cell, node, column)[0]))

    def value_of_call(self, cell: int, node: Node, expert: int, ticks_left: int | None) -> float:
        """Expected reward of calling an expert now and of the best policy behind that call.

        Arguments and needs are as of `value`. It is no more than that, but for the rounding of
        floats, as long as the plan has a call left.
        """
        if ticks_left is not None and ticks_left < 0:
            return 0.0
        column = np.asarray([self._column(ticks_left)])
        return self._given(cell, node.view, float(self._calling(cell, node, expert, column)[0]))

    def value_of_answer(
        self, cell: int, view: View, group: int | None, ticks_left: int | None
    ) -> float:
        """Probability that a group's answer is right, 0 where the budget is broken.

        Args:
            cell: its number.
            view: what was seen.
            group: place in the view; None: no answer.
            ticks_left: as of `value`.
        """
        if group is None or (ticks_left is not None and ticks_left < 0):
            return 0.0
        return self._given(cell, view, float(self._weights(view)[group, cell]))

    def _column(self, ticks_left: int | None) -> int:
        return self.horizon + 1 if ticks_left is None else min(ticks_left, self.horizon)

    def _given(self, cell: int, view: View, joint: float) -> float:
        """A weight as a probability, given the view."""
        whole = float(self._weights(view)[:, cell].sum())
        return joint / whole if whole > 0 else 0.0

    def _best(self, cell: int, node: Node, columns: Places) -> Floats:
        """As `_solve`, of one cell and at some columns, from what was kept."""
        known = self._values.get(node)
        if known is not None:
            return np.asarray(known[cell, columns])
        best = np.full(len(columns), self._right_weight(node.view)[cell])
        if node.calls < self.max_calls:
            for expert in self._cheapest_first:
                best = np.maximum(best, self._calling(cell, node, expert, columns))
        return best

    def _calling(self, cell: int, node: Node, expert: int, columns: Places) -> Floats:
        """As `_call`, of one cell and at some columns."""
        if node.calls + 1 >= self.max_calls:
            answering, failing = self._within[expert]
            gained = self._answered(node.view, expert)[cell]
            stop = self._right_weight(node.view)[cell]
            return np.asarray(gained * answering[columns] + stop * failing[columns])
        costs = self._costs[expert]
        value = np.zeros(len(columns))
        for child, number in children(node.view, expert).items():
            value += number * self._behind(cell, child, node.calls + 1, costs.answering, columns)
        value += self._behind(cell, node.view, node.calls + 1, costs.failing, columns)
        return value

    def _behind(
        self,
        cell: int,
        view: View,
        calls: int,
        atoms: Sequence[tuple[int, float]],
        columns: Places,
    ) -> Floats:
        """Best behind a call that brings a view and costs one of these: a mean over them."""
        if not atoms:
            return np.zeros(len(columns))
        ticks, shares = (np.asarray(part) for part in zip(*atoms, strict=True))
        is_free = columns[:, None] > self.horizon
        left = np.where(is_free, columns[:, None], columns[:, None] - ticks)
        best = self._best(cell, Node(view, calls), np.maximum(left, 0).ravel())
        return np.asarray(np.where(left >= 0, best.reshape(left.shape), 0) @ shares)

    def _affordable(self, atoms: Sequence[tuple[int, float]]) -> Floats:
        """Probability that a call costs one of these and no more than is left, by column."""
        within = np.zeros(self.horizon + 2)
        for ticks, share in atoms:
            within[ticks:-1] += share
            within[-1] += share
        return within

    def _solve(self, node: Node) -> Floats:
        """Weight of the view times the best expected reward, by cell and ticks left.

        Column t is a remainder of t ticks; the last column is no budget at all.
        """
        if node in self._values:
            return self._values[node]
        shape = (self._n_cells, self.horizon + 2)
        stop = self._right_weight(node.view)[:, None]
        if node.calls >= self.max_calls:
            return np.broadcast_to(stop, shape)
        best = np.repeat(stop, shape[1], axis=1)
        actions = np.full(shape, STOP, dtype=np.int8)
        margin = _TIE * self._weight(node.view)[:, None]
        for expert in self._cheapest_first:
            value = self._call(node, expert)
            better = value > best + margin
            best = np.where(better, value, best)
            actions[better] = expert
        self._actions[node] = actions
        self._values[node] = best
        return best

    def _call(self, node: Node, expert: int) -> Floats:
        costs = self._costs[expert]
        if node.calls + 1 >= self.max_calls:
            # What is left of the money buys nothing more: an outer product.
            answering, failing = self._within[expert]
            gained, stop = self._answered(node.view, expert), self._right_weight(node.view)
            return np.asarray(gained[:, None] * answering + stop[:, None] * failing)
        answered = np.zeros((self._n_cells, self.horizon + 2))
        for child, number in children(node.view, expert).items():
            answered += number * self._solve(Node(child, node.calls + 1))
        silent = self._solve(Node(node.view, node.calls + 1))
        value = np.zeros_like(answered)
        for after, atoms in ((answered, costs.answering), (silent, costs.failing)):
            for ticks, share in atoms:
                if ticks <= self.horizon:
                    value[:, ticks:-1] += share * after[:, : self.horizon + 1 - ticks]
                value[:, -1] += share * after[:, -1]
        return value

    def _answered(self, view: View, expert: int) -> Floats:
        """Weight of the view times the probability to be right after one more answer."""
        return np.asarray(
            sum(
                number * self._right_weight(child)
                for child, number in children(view, expert).items()
            )
        )

    def _weight(self, view: View) -> Floats:
        return np.asarray(self._weights(view).sum(axis=0))

    def _right_weight(self, view: View) -> Floats:
        rows = self._weights(view)[:-1]
        return np.asarray(rows.max(axis=0)) if len(rows) else np.zeros(self._n_cells)

    def evaluate(self, budget: int | None) -> Outlook:
        """Follows the policy for a budget (in ticks, or none) through all it can meet."""
        n_cells, width = self._n_cells, self.horizon + 2
        out = Outlook(
            right=np.zeros((n_cells, width)),
            stopped=np.zeros((n_cells, width)),
            calls=np.zeros((n_cells, len(self._costs))),
            mean_ticks=np.zeros(n_cells),
        )
        start = np.zeros((n_cells, 1))
        start[:, 0] = 1
        layer: dict[View, Floats] = {(): start}
        for calls in range(self.max_calls + 1):
            following: dict[View, Floats] = {}
            for view in sorted(layer):
                self._step(Node(view, calls), layer[view], budget, following, out)
            layer = following
        return out

    def _step(
        self,
        node: Node,
        mass: Floats,
        budget: int | None,
        following: dict[View, Floats],
        out: Outlook,
    ) -> None:
        chosen = self._chosen(node, mass.shape[1], budget)
        weight = self._weight(node.view)
        stopping = np.where(chosen == STOP, mass, 0)
        posterior = _ratio(self._right_weight(node.view), weight)
        _add(out.stopped, stopping, 0)
        _add(out.right, stopping * posterior[:, None], 0)
        for expert, costs in enumerate(self._costs):
            calling = np.where(chosen == expert, mass, 0)
            share_calling = calling.sum(axis=1)
            if not share_calling.any():
                continue
            calling = calling[:, : int(np.flatnonzero(calling.any(axis=0))[-1]) + 1]
            out.calls[:, expert] += share_calling
            out.mean_ticks[:] += share_calling * costs.mean_ticks
            width = min(calling.shape[1] + costs.largest, self.horizon + 2)
            silent = _spread(calling, costs.failing, width)
            answered = _spread(calling, costs.answering, width)
            _gather(following, node.view, silent)
            for child, number in children(node.view, expert).items():
                odds = number * _ratio(self._weight(child), weight)
                _gather(following, child, answered * odds[:, None])

    def _chosen(self, node: Node, width: int, budget: int | None) -> Actions:
        """The action for each spend of 0 … width-1 ticks."""
        shape = (self._n_cells, width)
        if node.calls == self.max_calls:
            return np.full(shape, STOP, dtype=np.int8)
        actions = self._actions[node]
        if budget is None:
            return np.broadcast_to(actions[:, -1:], shape)
        chosen = np.full(shape, STOP, dtype=np.int8)
        inside = min(width, budget + 1)
        left = np.minimum(budget - np.arange(inside), self.horizon)
        chosen[:, :inside] = actions[:, left]
        return chosen


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _add(target: Floats, mass: Floats, shift: int, share: float = 1.0) -> None:
    """Adds mass, moved to the right; what leaves the array gathers in its last column."""
    last = target.shape[1] - 1
    room = max(0, min(mass.shape[1], last - shift))
    target[:, shift : shift + room] += share * mass[:, :room]
    if room < mass.shape[1]:
        target[:, last] += share * mass[:, room:].sum(axis=1)


def _spread(mass: Floats, atoms: Sequence[tuple[int, float]], width: int) -> Floats:
    out = np.zeros((mass.shape[0], width))
    for ticks, share in atoms:
        _add(out, mass, ticks, share)
    return out


def _gather(layer: dict[View, Floats], view: View, mass: Floats) -> None:
    known = layer.get(view)
    if known is None:
        layer[view] = mass.copy()
    elif known.shape[1] >= mass.shape[1]:
        known[:, : mass.shape[1]] += mass
    else:
        mass = mass.copy()
        mass[:, : known.shape[1]] += known
        layer[view] = mass
