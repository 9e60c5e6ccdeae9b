"""Options that several verbs share: one name, one help, one check of each.

Nothing here imports the bench proper, so that `--help` stays instant.

    @click.command()
    @pool_option
    @data_dir_option
    def command(pool: str, data_dir: Path | None) -> None: ...
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from corl_bench.errors import ConfigError

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class FiniteFloat(click.FloatRange):
    """A number within a range. NaN is none, though it is outside of no range, nor is infinity."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


def _existing_folder(
    context: click.Context, parameter: click.Parameter, value: Path | None
) -> Path | None:
    if value is not None and not value.is_dir():
        raise ConfigError(f"--data-dir {value} is no folder: name one with <task>.jsonl in it")
    return value


data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    callback=_existing_folder,
    envvar="CORL_DATA_DIR",
    show_envvar=True,
    metavar="DIR",
    help="Folder with <task>[_<split>].jsonl, read instead of the datasets library.",
)

known_tasks_option = click.option(
    "--task",
    "-t",
    "tasks",
    multiple=True,
    default=("synth",),
    show_default=True,
    metavar="TASK",
    help="Tasks whose problems simulated experts know; repeatable.",
)

pool_option = click.option(
    "--pool", "-p", default="sim", show_default=True, metavar="FILE|NAME", help="Experts on offer."
)


def budget_option(default: str) -> Callable[[Decorated], Decorated]:
    """The option `--budget`; what its absence means differs from verb to verb.

    Args:
        default: says so.
    """
    return click.option(
        "--budget",
        "-b",
        metavar="B",
        help="Dollars a problem: low=0.0005,high=0.01, names of the pool's budgets, an amount,"
        f" or none.  [default: {default}]",
    )
