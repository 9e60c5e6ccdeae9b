"""The console script `corl-bench`: a verb a module, loaded when it is used.

Mistakes that the user can mend end in one line and the exit code of their `CorlError`; nothing
but a defect of the bench itself shows a traceback.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import NoReturn

import click

from corl_bench import __version__
from corl_bench.errors import CorlError

VERBS: dict[str, str] = {
    "run": "Score routing systems on a task, from problems to a table in dollars.",
    "report": "Write the HTML report of a stored run again.",
    "reprice": "Show what a stored run costs at the prices of another day.",
    "regrade": "Judge a stored run again, after a change of grader.",
    "grade": "Judge a file of answers, and compare with its labels.",
    "tasks": "List, show and validate tasks.",
    "pool": "Look at pools of experts: prices, keys, simulation, optimum.",
    "prices": "Look up dated prices of models.",
    "recordings": "Import, export and count recorded replies.",
}


class Verbs(click.Group):
    """Commands that are imported when they are called, so that `--help` stays instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"corl_bench.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="corl-bench")
def cli() -> None:
    """Measure systems that decide which LLM answers, for how many dollars.

    Without keys and without a network, `corl-bench run` scores every baseline on the
    generated task `synth` with the simulated pool `sim`.

    Exit codes: 0 fine; 1 regression or failed verification; 2 usage or configuration;
    3 stopped by the spending cap; 4 finished with some episodes in error; 130 interrupted.
    """


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line; always leaves through `SystemExit`."""
    leave_with(cli, "corl-bench", arguments)


def leave_with(command: click.Command, name: str, arguments: list[str] | None) -> NoReturn:
    """Runs a command and exits with its code; a user's mistake is one line on standard error."""
    try:
        result = command.main(arguments, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # The reader (`head`, a pager) has enough; Python must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except CorlError as error:
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code)
    sys.exit(result if isinstance(result, int) else 0)


if __name__ == "__main__":
    main()
