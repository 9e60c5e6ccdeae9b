"""`corl-bench export RUN`: a stored run in the format of another harness, or as a table.

corl-bench export runs/demo --format inspect --out logs/demo
corl-bench export runs/demo --format csv --out demo.csv
"""

from __future__ import annotations

from pathlib import Path

import click

from corl_bench.interop.formats import EXPORTS, TABLES, writer_of


@click.command(short_help="Write a stored run in another format.")
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option("--format", "form", required=True, type=click.Choice(tuple(EXPORTS)), help="Which.")
@click.option(
    "--out",
    "-o",
    required=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A file for csv and parquet, else a folder; nothing may be there yet.",
)
@click.option("--system", "systems", multiple=True, metavar="NAME", help="Only these; repeatable.")
@click.option(
    "--include-restricted",
    is_flag=True,
    help="Write protected statements, golds and replies too; for use on your own machine.",
)
def command(
    run: Path, form: str, out: Path, systems: tuple[str, ...], include_restricted: bool
) -> None:
    """Write the stored run RUN in another format.

    lm-eval, inspect and every-eval-ever bring every call of every episode along, and `corl-bench
    import` reads the first two back; csv and parquet have an episode's sums. Dollars stay exact
    decimals in text.
    """
    from corl_bench.interop.exports.stored import read_stored
    from corl_bench.interop.staging import require_free
    from corl_bench.results.manifest import intact

    require_free(out)
    stored = read_stored(run, include_restricted=include_restricted, systems=systems)
    with intact(run):
        count = writer_of(form)(stored, out)
    what = "rows" if form in TABLES else "files"
    click.echo(f"wrote {out}: {count:,} {what}")
