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


host_option = click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on."
)

port_option = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port to listen on.  [default: a free one, which is printed]",
)

max_cost_option = click.option(
    "--max-cost", metavar="USD", help="Spending cap over all servers in this directory."
)

max_body_option = click.option(
    "--max-body-bytes",
    type=click.IntRange(min=1),
    default=1 << 20,
    show_default=True,
    help="Size of a request.",
)

seed_option = click.option(
    "--seed", type=int, default=0, show_default=True, help="Of simulated experts."
)

price_date_option = click.option(
    "--price-date", metavar="DATE", help="Prices of this day.  [default: the pool's]"
)


def books_option(default: str) -> Callable[[Decorated], Decorated]:
    """The option `--out` of a server.

    Args:
        default: its directory.
    """
    return click.option(
        "--out",
        "-o",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(default),
        show_default=True,
        help="Directory of the ledger; a server goes on with what was spent in it.",
    )


def max_in_flight_option(default: int) -> Callable[[Decorated], Decorated]:
    """The option `--max-in-flight`.

    Args:
        default: how many.
    """
    return click.option(
        "--max-in-flight",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        help="Requests under way at a time.",
    )


def grace_option(default_s: float, what: str) -> Callable[[Decorated], Decorated]:
    """The option `--grace`.

    Args:
        default_s: seconds.
        what: they are for.
    """
    return click.option(
        "--grace",
        "grace_s",
        type=FiniteFloat(min=0),
        default=default_s,
        show_default=True,
        help=f"At a stop: seconds for {what}.",
    )
