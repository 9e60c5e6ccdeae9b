"""`corl-bench reprice`: a stored run at the prices of another day."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option("--price-date", required=True, metavar="DATE", help="Day whose prices hold.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Also write the summary at these prices, as JSON.",
)
def command(run: Path, price_date: str, as_json: bool, out: Path | None) -> None:
    """Show what the stored run RUN costs at the prices of another day.

    Token counts are facts and stay. Prices that the pool file gave itself are known for no
    other day and stay as well. Nothing in RUN is changed.
    """
    import json
    import sys

    from corl_bench.cli.dates import read_day
    from corl_bench.errors import ConfigError
    from corl_bench.files import write_json
    from corl_bench.money.price_library import price_at
    from corl_bench.money.prices import price_from_dict
    from corl_bench.report.terminal import write_table
    from corl_bench.results import encode_summary, read_manifest
    from corl_bench.results.manifest import intact
    from corl_bench.runs.repricing import reprice

    day = read_day(price_date, "--price-date")
    manifest = read_manifest(run)
    if "imported" in manifest:
        raise ConfigError(
            f"{run} was imported: import its source again with --costs prices --price-date {day}"
        )
    prices, fixed = {}, []
    with intact(run):
        for expert in manifest["pool"]["experts"]:
            price = price_from_dict(expert["price"])
            if price.from_library:
                price = price_at(price.model, day)
            else:
                fixed.append(expert["name"])
            prices[expert["name"]] = price
    note = f"list costs at the prices of {day.isoformat()}"
    if fixed:
        note += f"; {', '.join(fixed)} as the pool file gave them"
    with intact(run):
        summary = reprice(run, prices, note)
    if out is not None:
        write_json(out, encode_summary(summary))
    if as_json:
        click.echo(json.dumps(encode_summary(summary), ensure_ascii=False, indent=2))
    else:
        write_table(summary, sys.stdout)
