"""Options that several verbs of `corl-train` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from corl_train.experts import Experts, Where

Decorated = TypeVar("Decorated", bound=Callable[..., object])


def experts_options(what: str) -> Callable[[Decorated], Decorated]:
    """The options `--mode`, `--recordings` and `--max-cost`; `chosen_experts` reads them.

    Args:
        what: what the replies are for, and the cap is over.
    """

    def decorate(command: Decorated) -> Decorated:
        for option in (
            click.option(
                "--max-cost",
                metavar="USD",
                help=f"Spending cap over everything that live experts ever bill {what}; they need"
                " one.",
            ),
            click.option(
                "--recordings",
                type=click.Path(path_type=Path, dir_okay=False),
                metavar="FILE",
                help="Stored replies to take, without a key and for nothing.",
            ),
            click.option(
                "--mode",
                type=click.Choice(["auto", "live", "replay"]),
                default="auto",
                show_default=True,
                help="Where replies come from: recordings if named, else simulated or live"
                " experts.",
            ),
        ):
            command = option(command)
        return command

    return decorate


def episodes_options(*, samples: int) -> Callable[[Decorated], Decorated]:
    """The options `--samples`, `--limit` and `--seed`: which episodes a controller is asked for.

    Args:
        samples: the default.
    """

    def decorate(command: Decorated) -> Decorated:
        for option in (
            click.option(
                "--seed",
                type=click.IntRange(0),
                default=0,
                show_default=True,
                help="Of the replies.",
            ),
            click.option(
                "--limit", type=click.IntRange(1), help="The first so many problems of a task only."
            ),
            click.option(
                "--samples",
                type=click.IntRange(1),
                default=samples,
                show_default=True,
                help="Episodes of each problem at each budget.",
            ),
        ):
            command = option(command)
        return command

    return decorate


def chosen_experts(mode: Where, recordings: Path | None, max_cost: str | None) -> Experts:
    """What the options of `experts_options` say.

    Raises:
        ConfigError: the cap is no amount.
    """
    from corl_bench.money.amounts import parse_usd
    from corl_train.experts import Experts

    cap = None if max_cost is None else parse_usd(max_cost, what="--max-cost")
    return Experts(mode, recordings, max_cost_usd=cap)
