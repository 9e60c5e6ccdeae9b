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
from decimal import ROUND_CEILING, Decimal

from corl_bench.experts.base import Pool
from corl_bench.experts.simulation.beliefs import Beliefs
from corl_bench.experts.simulation.optimum import MAX_CALLS
from corl_bench.experts.simulation.planning import STOP, Node, Plan
from corl_bench.experts.simulation.spending import make_grid
from corl_bench.experts.simulation.tables import LEVELS, Cell, read_simulation
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
        self._names = [expert.name for expert in simulation.experts]
        self._plans: dict[Cell, tuple[Plan, int]] = {}
        for level in LEVELS:
            inside = sorted({cell for cell in cells if cell.level == level})
            if not inside:
                continue
            plan = Plan(
                Beliefs(simulation.experts, inside).weights,
                self._grid.costs[level],
                len(inside),
                horizon=self._grid.horizon,
                max_calls=max_calls,
            )
            self._plans.update({cell: (plan, place) for place, cell in enumerate(inside)})

    def decide(self, cell: Cell, seen: Sequence[Seen], budget: Budget | None) -> Decision:
        """What to do after some calls.

        Args:
            cell: of the problem; one of those that the policy was made for.
            seen: the calls so far; answers are equal if their text is.
            budget: one that is no larger than those that the policy was made for.
        """
        plan, place = self._plans[cell]
        by_answer: dict[str, list[int]] = {}
        for reply in seen:
            if reply.answer is not None:
                by_answer.setdefault(reply.answer, []).append(self._names.index(reply.expert))
        ranked = sorted((tuple(sorted(who)), answer) for answer, who in by_answer.items())
        view = tuple(who for who, _ in ranked)
        left = self._grid.ticks(budget)
        if left is not None:
            spent_usd = sum((reply.cost_usd for reply in seen), Decimal(0))
            spent = (spent_usd / self._grid.tick_usd).to_integral_value(ROUND_CEILING)
            left -= int(spent)
        action = plan.action(place, Node(view, len(seen)), left)
        if action != STOP:
            return Decision(expert=self._names[action])
        best = plan.best_group(place, view)
        return Decision(expert=None, answer=None if best is None else ranked[best][1])
