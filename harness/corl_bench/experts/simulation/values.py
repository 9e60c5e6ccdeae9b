"""What every decision is worth on the simulated pool: the optimum's plan, asked.

What a policy loses against the optimum is the sum of what its decisions lose, and each of these
losses is known exactly: the best value of the state less the value of what was done there. So a
policy can be measured without the luck of verdicts (`corl_train.evaluation.regret`).

Invariant: values are expectations under the distribution that the simulated replies are drawn
from, given what a policy can see. They hold for policies that know of the right answer no more
than replies tell them: one that works problems out by itself may earn more than any value here.

    for values in values_by_part(pool, cells, budgets):
        state = State(values.cells[0], seen=(), left_usd=Decimal("0.007"))
        lost = values.best(state) - values.of_call(state, "nano")
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from corl_bench.experts.base import Pool
from corl_bench.experts.simulation.beliefs import Beliefs, Floats, View
from corl_bench.experts.simulation.optimum import MAX_CALLS
from corl_bench.experts.simulation.planning import Node, Plan, cells_a_plan
from corl_bench.experts.simulation.spending import Grid, make_grid
from corl_bench.experts.simulation.tables import LEVELS, Cell, Simulation, read_simulation
from corl_bench.types import Budget


@dataclass(frozen=True, slots=True)
class State:
    """What a policy knows when it decides."""

    cell: Cell
    seen: tuple[tuple[str, str | None], ...]
    """The calls so far: expert and answer; None for a visible failure. Answers are equal if their
    text is."""
    left_usd: Decimal | None
    """None: no budget; below zero: it is broken, and nothing is worth anything."""


class Values:
    """The best policy's value of states, and of what can be done there.

    Args:
        pool: with simulated experts.
        cells: those that can come up; each takes 2 MB at the budgets of `sim` and four calls.
        budgets: those that can be asked for.
        max_calls: how many calls a policy may make for one problem.
        beliefs: of these cells and maybe others, where they are there already.

    Raises:
        ConfigError: as `optimum`.
    """

    def __init__(
        self,
        pool: Pool,
        cells: Collection[Cell],
        budgets: Iterable[Budget | None],
        *,
        max_calls: int = MAX_CALLS,
        beliefs: Beliefs | None = None,
    ) -> None:
        simulation = read_simulation(pool)
        self.cells = tuple(sorted(set(cells)))
        self._grid = make_grid(simulation, pool.name, budgets, max_calls)
        self._numbers = numbers_of(simulation)
        self._plans = plans_by_cell(
            simulation,
            self._grid,
            self.cells,
            max_calls=max_calls,
            keeps_values=True,
            beliefs=beliefs,
        )
        self._known: dict[tuple[Cell, Node, int | None, int | None], float] = {}

    def best(self, state: State) -> float:
        """Expected reward of the best policy from here on."""
        plan, place = self._plans[state.cell]
        node = Node(view_of(state.seen, self._numbers)[0], len(state.seen))
        left = self._grid.whole_ticks(state.left_usd)
        key = (state.cell, node, None, left)
        if key not in self._known:
            self._known[key] = plan.value(place, node, left)
        return self._known[key]

    def of_call(self, state: State, expert: str) -> float:
        """Expected reward of calling an expert and of the best policy behind it.

        Never more than `best` by more than the rounding of floats (10⁻¹²), as long as there is a
        call left.
        """
        plan, place = self._plans[state.cell]
        node = Node(view_of(state.seen, self._numbers)[0], len(state.seen))
        left = self._grid.whole_ticks(state.left_usd)
        key = (state.cell, node, self._numbers[expert], left)
        if key not in self._known:
            self._known[key] = plan.value_of_call(place, node, self._numbers[expert], left)
        return self._known[key]

    def of_answer(self, state: State, answer: str | None) -> float:
        """Probability that an answer is right, 0 where the budget is broken.

        Args:
            state: where it is given.
            answer: that of a reply; None: no answer.

        Raises:
            ValueError: no reply has given it, so nothing is known of it.
        """
        plan, place = self._plans[state.cell]
        view, answers = view_of(state.seen, self._numbers)
        if answer is not None and answer not in answers:
            raise ValueError(f"no reply has answered {answer!r}")
        group = None if answer is None else answers.index(answer)
        left = self._grid.whole_ticks(state.left_usd)
        return plan.value_of_answer(place, view, group, left)

    def of_stopping(self, state: State) -> float:
        """Expected reward of answering with what is most probably right."""
        _, answers = view_of(state.seen, self._numbers)
        return max((self.of_answer(state, answer) for answer in answers), default=0.0)


def values_by_part(
    pool: Pool,
    cells: Collection[Cell],
    budgets: Sequence[Budget | None],
    *,
    max_calls: int = MAX_CALLS,
) -> Iterator[Values]:
    """`Values` of all cells, a few of one level at a time, so that memory stays bounded.

    Arguments and errors are as of `Values`.
    """
    simulation = read_simulation(pool)
    beliefs = Beliefs(simulation.experts, sorted(set(cells)))
    step = cells_a_plan(make_grid(simulation, pool.name, budgets, max_calls).horizon)
    for level in LEVELS:
        inside = sorted({cell for cell in cells if cell.level == level})
        for first in range(0, len(inside), step):
            part = inside[first : first + step]
            yield Values(pool, part, budgets, max_calls=max_calls, beliefs=beliefs)


def numbers_of(simulation: Simulation) -> dict[str, int]:
    """The experts' numbers in views, by name."""
    return {expert.name: number for number, expert in enumerate(simulation.experts)}


def plans_by_cell(
    simulation: Simulation,
    grid: Grid,
    cells: Collection[Cell],
    *,
    max_calls: int,
    keeps_values: bool = False,
    beliefs: Beliefs | None = None,
) -> dict[Cell, tuple[Plan, int]]:
    """For each cell the plan of its level, and its number there; arguments as of `Values`."""
    if beliefs is None:
        beliefs = Beliefs(simulation.experts, sorted(set(cells)))
    plans: dict[Cell, tuple[Plan, int]] = {}
    for level in LEVELS:
        inside = sorted({cell for cell in cells if cell.level == level})
        if not inside:
            continue
        plan = Plan(
            partial(_weights, beliefs, [beliefs.cells.index(cell) for cell in inside]),
            grid.costs[level],
            len(inside),
            horizon=grid.horizon,
            max_calls=max_calls,
            keeps_values=keeps_values,
        )
        plans.update({cell: (plan, place) for place, cell in enumerate(inside)})
    return plans


def _weights(beliefs: Beliefs, places: list[int], view: View) -> Floats:
    """Of some of the cells."""
    return beliefs.weights(view)[:, places]


def view_of(
    seen: Iterable[tuple[str, str | None]], numbers: dict[str, int]
) -> tuple[View, list[str]]:
    """The view of some replies, and the answer of each of its groups.

    Args:
        seen: expert and answer, None for a visible failure; equal answers are equal texts.
        numbers: of the experts, by name.
    """
    by_answer: dict[str, list[int]] = {}
    for expert, answer in seen:
        if answer is not None:
            by_answer.setdefault(answer, []).append(numbers[expert])
    ranked = sorted((tuple(sorted(who)), answer) for answer, who in by_answer.items())
    return tuple(who for who, _ in ranked), [answer for _, answer in ranked]
