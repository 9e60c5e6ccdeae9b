"""The console script `corl-lm-eval`: lm-eval's own command line, with the model `corl`.

Everything after the name is lm-eval's; our tasks are found without `--include_path` unless one
is given. Below lm-eval's table stand the dollars.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import NoReturn

import click

from corl_bench.cli.main import leave_with


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Hands the arguments to lm-eval."""
    from corl_bench.extras import require

    require("lm_eval", extra="lm-eval", why="corl-lm-eval")
    import lm_eval.tasks
    from lm_eval.__main__ import cli_evaluate

    from corl_bench.interop.lm_eval.costs import cost_lines
    from corl_bench.interop.lm_eval.model import CorlModel

    if _names_only_ours(arguments):
        # lm-eval lists its own fourteen thousand tasks first, which takes up to half a minute.
        lm_eval.tasks.TaskManager = partial(lm_eval.tasks.TaskManager, include_defaults=False)
    sys.argv = ["corl-lm-eval", *_with_our_tasks(arguments)]  # where lm-eval reads them
    cli_evaluate()
    model = CorlModel.last
    if model is None or not model.costs:
        return 0
    for line in cost_lines(model.costs):
        click.echo(line)
    for reason, count in model.costs["failures"].items():
        click.echo(f"{count:,} failed: {reason}", err=True)
    return 4 if model.costs["failures"] else 0


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs the command line; always leaves through `SystemExit`."""
    leave_with(command, "corl-lm-eval", arguments)


def _with_our_tasks(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The arguments, with the folder of our tasks where no other is named."""
    from corl_bench.tasks.locate import task_files

    named = any(a.startswith(("--include_path", "--config", "-C")) for a in arguments)
    asks_for_help = not arguments or any(a in ("-h", "--help") for a in arguments)
    if named or asks_for_help:
        return arguments
    folder = next(iter(task_files().values())).parents[1]
    return (*arguments, "--include_path", str(folder))


def _names_only_ours(arguments: tuple[str, ...]) -> bool:
    """Whether every task that is named behind `--tasks` is one of ours, word for word."""
    from corl_bench.tasks.locate import task_files

    ours = {f"corl_{name}" for name in task_files()}
    named: list[str] = []
    is_named = False
    for argument in arguments:
        if argument.startswith("-"):
            option, _, value = argument.partition("=")
            is_named = option in ("--tasks", "-t")
            named += value.split(",") if is_named and value else []
        elif is_named:
            named += argument.split(",")
    return bool(named) and ours.issuperset(named)


if __name__ == "__main__":
    main()
