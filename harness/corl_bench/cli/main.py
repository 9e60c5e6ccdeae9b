"""The console script `corl-bench`: a verb a module, loaded when it is used.

Mistakes that the user can mend end in one line and the exit code of their `CorlError`; nothing
but a defect of the bench itself shows a traceback.
"""

from __future__ import annotations

import errno
import gc
import importlib
import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import click

from corl_bench import __version__
from corl_bench.errors import ConfigError, CorlError

VERBS: dict[str, str] = {
    "run": "Score routing systems on a task, from problems to a table in dollars.",
    "fit": "Learn a routing system from recorded replies.",
    "compare": "Compare the systems of runs, with error bars: do they beat the coin?",
    "replay": "Replay files of decisions on the recorded experts of a run.",
    "frontier": "Show the frontier of cost and accuracy, with its band and areas.",
    "gate": "Fail on a regression of a run against its baseline.",
    "baseline": "Keep a run as the baseline of later ones.",
    "report": "Write the HTML report of a stored run again.",
    "reprice": "Show what a stored run costs at the prices of another day.",
    "regrade": "Judge a stored run again, after a change of grader.",
    "grade": "Judge a file of answers, and compare with its labels.",
    "leaderboard": "Put runs on boards, verify boards, build their sites.",
    "tasks": "List, show and validate tasks.",
    "serve": "Serve a routing system as an OpenAI-compatible endpoint.",
    "pool": "Look at pools of experts: prices, keys, simulation, optimum.",
    "prices": "Look up dated prices of models.",
    "recordings": "Import, export and count recorded replies.",
    "import": "Take in results of others: RouterBench, lm-eval, inspect, traces, and more.",
    "export": "Write a stored run as lm-eval, inspect, Every Eval Ever, CSV or Parquet.",
}

_MODULES = {"import": "import_results"}
"""Modules of verbs that Python cannot name so."""

_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""Errors of writing, which name no file. Those of the bench's own files are made into a
`StorageError` where they are written, so what is left of them is standard output's."""


class Verbs(click.Group):
    """Commands that are imported when they are called, so that `--help` stays instant.

    Args:
        package: holds a module for each verb, whose `command` it is.
        verbs: what each does, in the order of the help.
    """

    def __init__(
        self, *arguments: Any, package: str, verbs: Mapping[str, str], **more: Any
    ) -> None:
        super().__init__(*arguments, **more)
        self.package, self.verbs = package, verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.verbs:
            return None
        module = _MODULES.get(cmd_name, cmd_name)
        command: click.Command = importlib.import_module(f"{self.package}.{module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self.verbs.items()))


@click.command(
    cls=Verbs,
    package="corl_bench.cli",
    verbs=VERBS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="corl-bench")
def cli() -> None:
    """Measure systems that decide which LLM answers, for how many dollars.

    Without keys and without a network, `corl-bench run` scores every baseline on the
    generated task `synth` with the simulated pool `sim`.

    Exit codes: 0 fine; 1 regression or failed verification; 2 usage or configuration;
    3 stopped by the spending cap; 4 finished with some episodes in error; 130 interrupted.
    """


_OBJECTS_BETWEEN_COLLECTIONS = 20_000
"""Python looks for cycles after every 700 new objects. A run makes millions of them, and next to
no cycles: looking took a twentieth of its CPU time."""


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line; always leaves through `SystemExit`."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    leave_with(cli, "corl-bench", arguments)


def leave_with(command: click.Command, name: str, arguments: list[str] | None) -> NoReturn:
    """Runs a command and exits with its code; a user's mistake is one line on standard error.

    Where the reader of standard output (`head`, a pager) has enough, the exit code is 0.
    """
    _open_streams()
    try:
        code = _invoke(command, name, sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except click.UsageError as error:
        # Click 8.1 has no such error: it prints the help and exits.
        if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
            error.show()
        else:
            hint = f"; see {error.ctx.command_path} --help" if error.ctx else ""
            _say(name, error.format_message().rstrip(".") + hint)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except CorlError as error:
        _say(name, str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        _swallow_output()
        sys.exit(0)
    except OSError as error:
        if error.filename is not None:
            _say(name, f"{error.filename}: {error.strerror}")
        elif error.errno in _UNWRITABLE:
            _say(name, f"standard output: {error.strerror}")
            _swallow_output()
        else:
            raise
        sys.exit(ConfigError.exit_code)
    sys.exit(code)


def _invoke(command: click.Command, name: str, arguments: list[str]) -> int:
    """What `command.main` does, but for a closed pipe, which ends there in exit code 1."""
    completion = f"_{name.replace('-', '_').upper()}_COMPLETE"
    if completion in os.environ:
        command.main(arguments, prog_name=name)
    try:
        with command.make_context(name, list(arguments)) as context:
            result = command.invoke(context)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    return result if isinstance(result, int) else 0


def _say(name: str, text: str) -> None:
    # Names and values in it may be a stranger's: nothing in a message acts on the terminal.
    from corl_bench.report.screen import visible

    print(f"{name}: {visible(' '.join(text.split()))}", file=sys.stderr)


def _open_streams() -> None:
    """Makes both output streams usable: a closed one swallows, none fails at a character."""
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:
            setattr(sys, stream, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    for opened in (sys.stdout, sys.stderr):
        if isinstance(opened, io.TextIOWrapper):
            opened.reconfigure(errors="replace")


def _swallow_output() -> None:
    """Points standard output nowhere: Python flushes it once more at exit, and would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
