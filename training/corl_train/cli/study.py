"""`corl-train study`: what a trained controller does where it was not trained.

corl-train study budget-sweep runs/general-0
corl-train study pool-shift runs/general-0 --samples 2
"""

from __future__ import annotations

from pathlib import Path

import click

_run = click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
_samples = click.option(
    "--samples",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Episodes of each problem at each budget.",
)
_limit = click.option("--limit", type=click.IntRange(1), help="The first so many problems only.")
_seed = click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of replies and newcomers."
)


@click.group()
def command() -> None:
    """Measure a controller where it was not trained: a study each, which ends in a report."""


@command.command("budget-sweep")
@_run
@click.option(
    "--usd", metavar="USD[,USD]", help="Budgets.  [default: those that the recipe holds out]"
)
@_samples
@_limit
@_seed
def budget_sweep(run: Path, usd: str | None, samples: int, limit: int | None, seed: int) -> None:
    """Play dollar budgets that RUN was never trained on, against the exact optimum."""
    from corl_bench.extras import require

    require("torch", extra="train", why="Playing a controller")
    from corl_train.studies.budget_sweep import sweep, write_report
    from corl_train.studies.fractions import table_of

    amounts = [amount.strip() for amount in usd.split(",")] if usd else ()
    found = sweep(run, usd=amounts, samples=samples, limit=limit, seed=seed)
    click.echo(table_of(found))
    click.echo(write_report(run, "budget-sweep", "Budgets that were never trained on", found))


@command.command("pool-shift")
@_run
@click.option("--budget", "budgets", metavar="LIST", help="Budgets.  [default: the recipe's]")
@click.option("--only", multiple=True, metavar="NAME", help="Changes that begin so; repeatable.")
@_samples
@_limit
@_seed
def pool_shift(
    run: Path,
    budgets: str | None,
    only: tuple[str, ...],
    samples: int,
    limit: int | None,
    seed: int,
) -> None:
    """Change the pool of RUN without training again, against each new pool's optimum."""
    from corl_bench.extras import require

    require("torch", extra="train", why="Playing a controller")
    from corl_train.studies.budget_sweep import write_report
    from corl_train.studies.fractions import table_of
    from corl_train.studies.pool_shift import shift

    found = []
    for fractions in shift(
        run, budgets=budgets, samples=samples, limit=limit, seed=seed, only=only
    ):
        found += fractions
        mean = sum(fraction.fraction for fraction in fractions) / len(fractions)
        click.echo(f"{fractions[0].pool}: {mean:.1%}", err=True)
    click.echo(table_of(found))
    click.echo(write_report(run, "pool-shift", "Pools that changed without training", found))
