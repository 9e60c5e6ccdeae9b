"""The optimal policy as something that can be followed, call by call.

Invariant: followed on simulated replies it earns, in expectation, exactly what
`optimum` reports. It knows the cell and so is no routing system to compare with: it is the
yardstick made to move, for checks and for looking at what it would do.

    policy = OptimalPolicy(pool, cells_of(pool, problems), budgets_of(pool))
    policy.decide(cell, seen=(), budget=budget)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from corl_bench.experts.base import Pool
from corl_bench.experts.simulation.optimum import MAX_CALLS
from corl_bench.experts.simulation.planning import STOP, Node
from corl_bench.experts.simulation.spending import make_grid
from corl_bench.experts.simulation.tables import Cell, read_simulation
from corl_bench.experts.simulation.values import numbers_of, plans_by_cell, view_of
from corl_bench.types import Budget


@dataclass(frozen=True, slots=True)
class Seen:
    """What a call brought, as a policy sees it."""

    expert: str
    answer: str | None
    """None: a visible failure."""
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class Decision:
    """The next step: call `expert`, or, where that is None, give `answer` (None: no answer)."""

    expert: str | None
    answer: str | None = None


class OptimalPolicy:
    """The best policy for a set of cells and budgets.

    Args:
        pool: with simulated experts.
        cells: those that can come up.
        budgets: those that can be asked for.
        max_calls: how many calls it may make for one problem.

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
    ) -> None:
        simulation = read_simulation(pool)
        self._grid = make_grid(simulation, pool.name, budgets, max_calls)
        self._numbers = numbers_of(simulation)
        self._names = list(self._numbers)
        self._plans = plans_by_cell(simulation, self._grid, cells, max_calls=max_calls)

    def decide(self, cell: Cell, seen: Sequence[Seen], budget: Budget | None) -> Decision:
        """What to do after some calls.

        Args:
            cell: of the problem; one of those that the policy was made for.
            seen: the calls so far; answers are equal if their text is.
            budget: one that is no larger than those that the policy was made for.
        """
        plan, place = self._plans[cell]
        view, answers = view_of(((x.expert, x.answer) for x in seen), self._numbers)
        spent_usd = sum((reply.cost_usd for reply in seen), Decimal(0))
        left = self._grid.whole_ticks(None if budget is None else budget.usd - spent_usd)
        action = plan.action(place, Node(view, len(seen)), left)
        if action != STOP:
            return Decision(expert=self._names[action])
        best = plan.best_group(place, view)
        return Decision(expert=None, answer=None if best is None else answers[best])
