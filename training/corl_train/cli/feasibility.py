"""`corl-train feasibility`: which calls a budget allows, before anything is trained.

corl-train feasibility --pool sim --budget tight=0.0001
"""

from __future__ import annotations

from pathlib import Path

import click

from corl_bench.cli.options import budget_option, pool_option


@click.command()
@pool_option
@budget_option("all that the pool names")
@click.option(
    "--recordings",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Take costs from stored replies; needed where the pool is not simulated.",
)
@click.option("--max-calls", type=click.IntRange(1, 8), default=3, show_default=True)
def command(pool: str, budget: str | None, recordings: Path | None, max_calls: int) -> int:
    """Show how often one call, two calls, … of each expert fit into each budget.

    Exit code 1 where a budget fits nothing: no controller can earn a reward at it.
    """
    from corl_bench.errors import ConfigError
    from corl_bench.experts.pools import load_pool
    from corl_bench.runs.plan import parse_budgets
    from corl_train.feasibility import InfeasibleError, require_feasible

    loaded = load_pool(pool)
    budgets = parse_budgets(budget, loaded)
    if not budgets:
        raise ConfigError("name a budget: --budget low=0.0005,high=0.01")
    try:
        require_feasible(
            loaded, budgets, recordings=recordings, max_calls=max_calls, say=click.echo
        )
    except InfeasibleError as infeasible:
        click.echo(f"corl-train: {infeasible}", err=True)
        return 1
    return 0
