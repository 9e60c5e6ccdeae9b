"""The console script `corl-lm-eval`: lm-eval's own command line, with the model `corl`.

Everything after the name is lm-eval's; our tasks are found beside those of `--include_path`.
Below lm-eval's table stand the dollars, below its help the arguments of the model.
"""

from __future__ import annotations

import sys
from functools import partial
from types import TracebackType
from typing import NoReturn

import click

from corl_bench.cli.main import leave_with
from corl_bench.errors import ConfigError

_READS_THE_COMMAND = "lm_eval.config.evaluate_config"
"""lm-eval's module whose errors are about what the user wrote: tasks that are not there, options
that contradict each other, files of settings. lm-eval shows them as tracebacks."""


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
    from corl_bench.interop.lm_eval.task_folders import open_tasks

    lm_eval.tasks.TaskManager = partial(open_tasks, named=_named_tasks(arguments))
    sys.argv = ["corl-lm-eval", *arguments]  # where lm-eval reads them
    try:
        cli_evaluate()
    except (OSError, TypeError, ValueError) as error:
        if _raised_in(error.__traceback__) != _READS_THE_COMMAND:
            raise
        raise ConfigError(f"{error}; see corl-lm-eval run --help") from error
    finally:
        if not arguments or {"-h", "--help"} & set(arguments) or arguments == ("run",):
            click.echo(_help_of_the_model())
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


def _named_tasks(arguments: tuple[str, ...]) -> list[str]:
    """What stands behind `--tasks`, as far as it stands there in full."""
    named: list[str] = []
    is_named = False
    for argument in arguments:
        if argument.startswith("-"):
            option, _, value = argument.partition("=")
            is_named = option in ("--tasks", "-t")
            named += value.split(",") if is_named and value else []
        elif is_named:
            named += argument.split(",")
    return named


def _raised_in(trace: TracebackType | None) -> str:
    """The module whose line raised an error."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else str(trace.tb_frame.f_globals.get("__name__"))


def _help_of_the_model() -> str:
    from corl_bench.cli.columns import align
    from corl_bench.interop.lm_eval.settings import ARGUMENTS

    rows = [
        (
            f"  {name}",
            f"{argument.help}  [{argument.default}]" if argument.default else argument.help,
        )
        for name, argument in ARGUMENTS.items()
    ]
    return (
        "\ncorl-lm-eval is lm-eval with one more model, corl: a routing system whose every dollar"
        " is on a ledger.\n"
        "  corl-lm-eval --model corl --model_args system=random,pool=sim --tasks corl_synth\n"
        f"Its --model_args:\n{align(rows)}"
    )


if __name__ == "__main__":
    main()
