"""`corl-train evaluate`: a trained controller against the exact optimum.

corl-train evaluate runs/quickstart-0
corl-train evaluate runs/quickstart-0 --samples 12 --json
corl-train evaluate runs/mine --mode replay --recordings replies.sqlite
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from corl_train.cli.options import chosen_experts, episodes_options, experts_options

if TYPE_CHECKING:
    from corl_train.experts import Where


@click.command()
@click.argument("controller", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--task", "-t", metavar="TASK", help="Problems to ask.  [default: the recipe's data.test]"
)
@episodes_options(samples=12)
@experts_options("evaluating this run")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def command(
    controller: Path,
    task: str | None,
    samples: int,
    limit: int | None,
    seed: int,
    mode: Where,
    recordings: Path | None,
    max_cost: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure the controller in DIR, the directory of a training run.

    Greedy episodes of every problem at every budget; on a simulated pool beside the exact
    optimum of these very problems, and what policies earn there that need no learning. Where the
    experts are recorded or live, say so as in `corl-train run`.
    """
    from corl_bench.extras import require
    from corl_train.runs.files import read_config

    read_config(controller)
    require("torch", extra="train", why="Evaluating a controller")
    from corl_train.evaluation import evaluate, open_run
    from corl_train.evaluation.table import describe

    experts = chosen_experts(mode, recordings, max_cost)
    tell = partial(click.echo, err=True)
    with open_run(
        controller, task=task, limit=limit, seed=seed, experts=experts, say=tell
    ) as opened:
        environment, budgets = opened
        total = len(environment.task.problems) * len(budgets) * samples
        shown = not quiet and sys.stderr.isatty()
        with click.progressbar(length=total, file=sys.stderr, hidden=not shown) as bar:
            evaluation = evaluate(
                environment, budgets, samples=samples, after=lambda record: bar.update(1)
            )
    if as_json:
        click.echo(json.dumps(evaluation.to_json(), indent=2))
    else:
        click.echo(describe(evaluation))
