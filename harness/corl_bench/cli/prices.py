"""`corl-bench prices`: the price library, which models it knows and since when.

corl-bench prices list
corl-bench prices show openai/o3 --date 2025-06-01
"""

from __future__ import annotations

import click


@click.group()
def command() -> None:
    """List and show dated prices of models."""


@command.command("list")
@click.option("--date", metavar="DATE", help="Prices of this day.  [default: today]")
def list_(date: str | None) -> None:
    """List the models that have a price on a day."""
    import datetime

    from corl_bench.cli.columns import align
    from corl_bench.cli.dates import read_day
    from corl_bench.errors import UnpricedModelError
    from corl_bench.money.price_library import library, library_digest, price_at

    on = datetime.date.today() if date is None else read_day(date, "--date")
    rows = [["model", "input", "cached", "output", "since", "also known as"]]
    for model in library().values():
        try:
            price = price_at(model.id, on)
        except UnpricedModelError:
            continue
        aliases = " ".join(model.aliases)
        since = price.effective_from.isoformat()
        figures = price.figures()
        rows.append(
            [
                model.id,
                figures["input_usd_per_mtok"],
                figures.get("cached_input_usd_per_mtok", "–"),
                figures["output_usd_per_mtok"],
                since,
                aliases,
            ]
        )
    click.echo(align(rows, right=(1, 2, 3)))
    click.echo(
        f"\n{len(rows) - 1} of {len(library())} models have a price on {on}; dollars per million "
        f"tokens; library {library_digest()[:12]}"
    )


@command.command()
@click.argument("model")
@click.option("--date", metavar="DATE", help="Only the price in force on this day.")
def show(model: str, date: str | None) -> None:
    """Show all prices of MODEL with their dates and sources."""
    from corl_bench.cli.dates import read_day
    from corl_bench.money.price_library import price_at, price_history

    prices = price_history(model)
    if date is not None:
        prices = (price_at(model, read_day(date, "--date")),)
    click.echo(f"{prices[0].model}, dollars per million tokens")
    for price in prices:
        click.echo(f"\nfrom {price.effective_from}  ({price.source})")
        for name, amount in price.figures().items():
            click.echo(f"  {name.removesuffix('_usd_per_mtok').replace('_', ' '):15} {amount}")
