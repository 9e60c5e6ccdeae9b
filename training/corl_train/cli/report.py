"""`corl-train report`: a training run as one self-contained HTML page.

corl-train report runs/quickstart-0 --out quickstart.html
"""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where the page goes.  [default: RUN/report.html]",
)
@click.option(
    "--include-restricted",
    is_flag=True,
    help="Show rollouts of tasks whose statements may not be passed on.",
)
def command(run: Path, out: Path | None, include_restricted: bool) -> None:
    """Write RUN as a page: curves, findings, settings, and rollouts with their masks."""
    from corl_train.report.html import report_run

    click.echo(report_run(run, out, include_restricted=include_restricted))
