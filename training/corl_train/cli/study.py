"""`corl-train study`: what a trained controller does where it was not trained.

corl-train study transfer runs/quickstart
corl-train study transfer runs/quickstart --samples 12 --json
corl-train study pool-shift runs/mine --pool larger.toml --mode replay --recordings replies.sqlite
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from corl_train.cli.options import chosen_experts, episodes_options, experts_options
from corl_train.studies import STUDIES

if TYPE_CHECKING:
    from corl_train.experts import Where


@click.command()
@click.argument("name", type=click.Choice(list(STUDIES)))
@click.argument("controller", type=click.Path(path_type=Path), metavar="RUN")
@click.option(
    "--task",
    "-t",
    "tasks",
    multiple=True,
    metavar="TASK",
    help="Problems to ask; repeatable.  [default: the study's own]",
)
@click.option(
    "--budget", "-b", "budgets", metavar="B", help="Budgets to play.  [default: the study's own]"
)
@click.option("--only", multiple=True, metavar="NAME", help="What begins so alone; repeatable.")
@click.option(
    "--pool",
    "pools",
    multiple=True,
    metavar="FILE",
    help="A pool with newcomers, whose replies are recorded; repeatable.",
)
@episodes_options(samples=4)
@experts_options("evaluating this run")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The page to write.  [default: study-NAME.html in the run's directory]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of tables.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def command(
    name: str,
    controller: Path,
    tasks: tuple[str, ...],
    budgets: str | None,
    only: tuple[str, ...],
    pools: tuple[str, ...],
    samples: int,
    limit: int | None,
    seed: int,
    mode: Where,
    recordings: Path | None,
    max_cost: str | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Study the controller in RUN, the directory of a training run, without training it further.

    NAME is budget-sweep (dollars that it was never trained on), pool-shift (experts added,
    removed, renamed, re-priced) or transfer (subjects that it was not trained on, and questions
    that are no mathematics).
    On a simulated pool every row stands beside the exact optimum of the very problems, pool and
    budget. Prints tables and writes a page.
    """
    from corl_bench.extras import require
    from corl_train.runs.files import read_config

    config = read_config(controller)
    require("torch", extra="train", why="Studying a controller")
    from corl_bench.report.plain import write_blocks
    from corl_train.studies import run_study
    from corl_train.studies.page import write_page
    from corl_train.studies.study import Options
    from corl_train.studies.table import describe

    experts = chosen_experts(mode, recordings, max_cost)
    # Tables, or JSON, are all that stands on standard output.
    say = (lambda line: None) if quiet else (lambda line: click.echo(line, err=True))
    options = Options(tasks, budgets, only, pools, samples, limit, seed, experts, say)
    study = run_study(name, controller, options)
    page = write_page(study, config, out or controller / f"study-{name}.html")
    if as_json:
        click.echo(json.dumps(study.to_json(), indent=2))
    else:
        write_blocks(describe(study), sys.stdout)
        click.echo(f"\n{page}")
