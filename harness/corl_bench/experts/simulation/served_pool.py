"""A pool file that reaches the simulated experts over HTTP instead of in process.

Invariant: names, models, prices, limits and budgets are those of the pool that is served, so
that a run against the server differs from one in process only in the way that it takes.

    path.write_text(served_pool_toml(pool, "http://127.0.0.1:8123/v1"))
    corl-bench run --pool served.toml
"""

from __future__ import annotations

from dataclasses import replace

from corl_bench.experts.base import Pool
from corl_bench.experts.pool_text import pool_text
from corl_bench.experts.simulation.tables import read_simulation


def served_pool_toml(pool: Pool, base_url: str) -> str:
    """Writes the pool file of a served simulation.

    Args:
        pool: the pool that the server was started with.
        base_url: the address that the server printed, with its `/v1`.

    Raises:
        ConfigError: the pool has no simulated experts.
    """
    simulated = [expert.spec for expert in read_simulation(pool).experts]
    return pool_text(
        f"{pool.name}-served",
        [
            replace(spec, provider="openai", base_url=base_url, send_seed=True, options={})
            for spec in simulated
        ],
        price_date=pool.price_date,
        budgets=pool.budgets,
        note="Simulated experts behind HTTP, written by `corl-bench pool serve`.",
        simulation={"served": True},
    )
