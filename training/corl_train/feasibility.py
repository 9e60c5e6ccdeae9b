"""Which calls a budget allows, known before anything is trained.

A reward that is zero whatever the controller does teaches nothing, so a budget is looked at
first: how often would one call, two calls, … of each expert fit into it? The costs are those
of stored replies, or the declared ones of a simulated expert.

    rows = feasibility(pool, costs_of_simulation(pool), max_calls=3)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.experts.simulation.draws import outcomes
from corl_bench.experts.simulation.optimum import declared_cells
from corl_bench.experts.simulation.spending import outcome_cost_usd
from corl_bench.experts.simulation.tables import read_simulation
from corl_bench.experts.store import RecordingStore
from corl_bench.types import Budget

Costs = Sequence[tuple[Decimal, float]]
"""What one call costs in dollars, and how often it costs that."""


@dataclass(frozen=True, slots=True)
class Feasible:
    """How often calls of one expert fit into one budget."""

    budget: Budget
    expert: str
    shares: tuple[float, ...]
    """For one call, two calls, …: the share of calls whose cost, so many times, fits."""


def costs_of_simulation(pool: Pool) -> dict[str, Costs]:
    """Declared costs of simulated experts, every subject and level alike.

    Raises:
        ConfigError: the pool has no simulated experts.
    """
    simulation = read_simulation(pool)
    cells = declared_cells(pool)
    weight = sum(cells.values())
    return {
        expert.name: [
            (outcome_cost_usd(expert, outcome), outcome.probability * share / weight)
            for cell, share in cells.items()
            for outcome in outcomes(expert, cell.level, simulation.token_quantum)
        ]
        for expert in simulation.experts
    }


def costs_of_recordings(pool: Pool, store_path: Path) -> dict[str, Costs]:
    """Costs of stored replies at the pool's prices.

    Raises:
        ConfigError: there is no store, or it has no reply of an expert.
    """
    costs: dict[str, list[Decimal]] = {expert.name: [] for expert in pool.experts}
    by_model = {expert.model: expert.name for expert in pool.experts}
    with RecordingStore.open(store_path, create=False, read_only=True) as store:
        for call in store.calls():
            name = call.expert if call.expert in costs else by_model.get(call.model)
            if name is not None and call.reply is not None:
                costs[name].append(pool[name].price.cost_usd(call.reply.usage))
    for name, known in costs.items():
        if not known:
            raise ConfigError(f"{store_path} has no reply of expert {name!r}: record some first")
    return {name: [(cost, 1 / len(known)) for cost in known] for name, known in costs.items()}


def feasibility(
    budgets: Sequence[Budget], costs: Mapping[str, Costs], *, max_calls: int = 3
) -> list[Feasible]:
    """The table: for each budget and expert, how often 1 … `max_calls` calls fit.

    Calls on one problem are taken to cost alike, which real replies to one problem nearly do.
    """
    return [
        Feasible(
            budget,
            expert,
            tuple(
                sum(share for cost, share in known if cost * calls <= budget.usd)
                for calls in range(1, max_calls + 1)
            ),
        )
        for budget in budgets
        for expert, known in costs.items()
    ]


def render(rows: Sequence[Feasible], *, simulated: bool) -> str:
    """The table as text; a budget that nothing fits is named."""
    heads = {row.budget: f"{row.budget.name} (${row.budget.usd:f})" for row in rows}
    width = max(*(len(row.expert) + 2 for row in rows), *map(len, heads.values()))
    calls = range(1, len(rows[0].shares) + 1)
    header = "  ".join(f"{f'{n} call' if n == 1 else f'{n} calls':>7}" for n in calls)
    lines = ["simulated costs"] if simulated else []
    for budget, head in heads.items():
        of_budget = [row for row in rows if row.budget == budget]
        lines.append(f"{head:<{width}}  {header}")
        lines += [
            f"{'  ' + row.expert:<{width}}  " + "  ".join(f"{share:7.1%}" for share in row.shares)
            for row in of_budget
        ]
        if not any(row.shares[0] for row in of_budget):
            lines.append("  nothing fits: every reward would be zero at this budget")
    return "\n".join(lines)
