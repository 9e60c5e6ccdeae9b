"""What simulated calls can cost, on a grid on which every spend lies exactly.

Invariant: a *tick* divides every cost that can occur, so sums of costs are whole numbers of
ticks and the probability of each spend can be computed without rounding money.

    grid = make_grid(simulation, pool.name, budgets, max_calls=4)
    grid.ticks(budget)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from corl_bench.errors import ConfigError
from corl_bench.experts.simulation.draws import Outcome, outcomes
from corl_bench.experts.simulation.tables import LEVELS, SimulatedExpert, Simulation
from corl_bench.types import Budget, Usage

MAX_HORIZON = 100_000
"""Ticks that a budget may have; beyond it the enumeration would take minutes."""


@dataclass(frozen=True, slots=True)
class CallCosts:
    """What one call of one expert can cost at one level, in ticks."""

    answering: tuple[tuple[int, float], ...]
    """(ticks, probability) of the outcomes with an answer."""
    failing: tuple[tuple[int, float], ...]
    """(ticks, probability) of the outcomes without one."""
    mean_ticks: float

    @property
    def largest(self) -> int:
        return max(ticks for ticks, _ in (*self.answering, *self.failing))


@dataclass(frozen=True, slots=True)
class Grid:
    """Ticks of a pool, and its costs in them."""

    tick_usd: Decimal
    horizon: int
    """The largest budget in ticks, or all that the calls of one problem can cost if less."""
    costs: Mapping[int, tuple[CallCosts, ...]]
    """By level; one entry an expert."""

    def ticks(self, budget: Budget | None) -> int | None:
        """Whole ticks that a budget allows; None: there is no budget."""
        return self.whole_ticks(None if budget is None else budget.usd)

    def whole_ticks(self, left_usd: Decimal | None) -> int | None:
        """Whole ticks in what is left of a budget; None: there is none; below zero: it is lost.

        Every cost is whole ticks, so what is left beside them buys nothing, and no value changes
        by it. Beyond the horizon more is worth nothing more.
        """
        if left_usd is None:
            return None
        return -1 if left_usd < 0 else min(int(left_usd // self.tick_usd), self.horizon)


def make_grid(
    simulation: Simulation, pool_name: str, budgets: Iterable[Budget | None], max_calls: int
) -> Grid:
    """Finds the tick of a pool and counts its costs in it.

    Raises:
        ConfigError: the costs have no common measure that is large enough to enumerate them.
    """
    tick = _tick_usd(simulation)
    costs = {
        level: tuple(
            _call_costs(expert, level, simulation.token_quantum, tick)
            for expert in simulation.experts
        )
        for level in LEVELS
    }
    dearest = max(cost.largest for row in costs.values() for cost in row)
    given = [int(budget.usd / tick) for budget in budgets if budget is not None]
    # More than all calls can cost together is as good as any larger budget.
    horizon = min(max(given, default=0), max_calls * dearest)
    if horizon > MAX_HORIZON:
        raise ConfigError(
            f"pool {pool_name}: costs are multiples of ${tick:f}, too fine to enumerate up to the"
            f" largest budget; raise [simulation] token_quantum or keep budgets below"
            f" ${tick * MAX_HORIZON:f}"
        )
    return Grid(tick, horizon, costs)


def outcome_cost_usd(expert: SimulatedExpert, outcome: Outcome) -> Decimal:
    """List cost of a call that ends so."""
    usage = Usage(input_tokens=expert.input_tokens, output_tokens=outcome.output_tokens)
    return expert.spec.price.cost_usd(usage)


def _tick_usd(simulation: Simulation) -> Decimal:
    """The greatest amount that every possible cost is a whole multiple of."""
    costs = [
        outcome_cost_usd(expert, outcome)
        for expert in simulation.experts
        for level in LEVELS
        for outcome in outcomes(expert, level, simulation.token_quantum)
    ]
    exponent = min(0, *(int(cost.normalize().as_tuple().exponent) for cost in costs))
    unit = Decimal(1).scaleb(exponent)
    divisor = math.gcd(*(int(cost / unit) for cost in costs))
    return max(divisor, 1) * unit


def _call_costs(
    expert: SimulatedExpert, level: int, token_quantum: int, tick_usd: Decimal
) -> CallCosts:
    """Gathers the outcomes of a call by what they cost."""
    answering: dict[int, float] = {}
    failing: dict[int, float] = {}
    for outcome in outcomes(expert, level, token_quantum):
        ticks = int(outcome_cost_usd(expert, outcome) / tick_usd)
        side = answering if outcome.kind == "answer" else failing
        side[ticks] = side.get(ticks, 0.0) + outcome.probability
    mean = sum(ticks * share for side in (answering, failing) for ticks, share in side.items())
    return CallCosts(tuple(sorted(answering.items())), tuple(sorted(failing.items())), mean)
