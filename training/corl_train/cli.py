"""The console script `corl-train`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from corl_bench import __version__
from corl_bench.cli.main import leave_with
from corl_bench.cli.options import budget_option, pool_option


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="corl-train")
def cli() -> None:
    """Prepare the training of a controller for corl-bench's routing problem."""


@cli.command()
@pool_option
@budget_option("all that the pool names")
@click.option(
    "--recordings",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Take costs from stored replies; needed where the pool is not simulated.",
)
@click.option("--max-calls", type=click.IntRange(1, 8), default=3, show_default=True)
def feasibility(pool: str, budget: str | None, recordings: Path | None, max_calls: int) -> int:
    """Show how often one call, two calls, … of each expert fit into each budget.

    Exit code 1 where a budget fits nothing: no controller can earn a reward at it.
    """
    from corl_bench.errors import ConfigError
    from corl_bench.experts.pools import load_pool
    from corl_bench.runs.plan import parse_budgets
    from corl_train.feasibility import (
        costs_of_recordings,
        costs_of_simulation,
        feasibility,
        render,
    )

    loaded = load_pool(pool)
    budgets = parse_budgets(budget, loaded)
    if not budgets:
        raise ConfigError("name a budget: --budget low=0.0005,high=0.01")
    if recordings is not None:
        costs = costs_of_recordings(loaded, recordings)
    elif loaded.simulated:
        costs = costs_of_simulation(loaded)
    else:
        raise ConfigError(
            f"pool {loaded.name!r} is not simulated: name stored replies with --recordings"
        )
    rows = feasibility(budgets, costs, max_calls=max_calls)
    click.echo(render(rows, simulated=recordings is None))
    possible = {row.budget for row in rows if row.shares[0]}
    return 0 if possible == set(budgets) else 1


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line; always leaves through `SystemExit`."""
    leave_with(cli, "corl-train", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
