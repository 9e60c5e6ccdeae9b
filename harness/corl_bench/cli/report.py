"""`corl-bench report RUN`: renders the report of a stored run again."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run_dir", metavar="RUN", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; by default report.html in the run's directory.",
)
@click.option(
    "--include-restricted",
    is_flag=True,
    help="Show protected statements, golds and replies too; for use on your own machine.",
)
def command(run_dir: Path, out: Path | None, include_restricted: bool) -> None:
    """Render RUN's report.html from its stored files; nothing is run or billed."""
    from corl_bench.report.html import write_report

    path = write_report(run_dir, out=out, include_restricted=include_restricted)
    click.echo(f"Report: {path}")
