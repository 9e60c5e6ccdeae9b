"""Options that say where the episodes of a run are played."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corl_bench.cli.options import Decorated

if TYPE_CHECKING:
    from corl_bench.runs.engines import Engine

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Where episodes are played and graded: in this process, or by workers of a Ray"
        " cluster; docs/cluster.md.",
    ),
    click.option(
        "--ray-address",
        metavar="HOST:PORT",
        help="Ray's cluster.  [default: RAY_ADDRESS, else the one on this machine]",
    ),
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        help="Of the Ray cluster, a CPU each.  [default: all its CPUs]",
    ),
    click.option(
        "--host",
        metavar="ADDRESS",
        help="This machine as Ray's nodes reach it.  [default: as Ray knows it]",
    ),
    click.option(
        "--port",
        type=click.IntRange(0, 65535),
        help="Port that Ray's workers come to.  [default: a free one]",
    ),
    click.option(
        "--ship",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        metavar="DIR",
        help="Folder that Ray copies to its nodes, in which workers look for files of systems."
        "  [default: the same paths on all nodes]",
    ),
)


def engine_options(command: Decorated) -> Decorated:
    """The options `--engine` and those that belong to it."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def make_engine(
    name: str,
    *,
    ray_address: str | None,
    workers: int | None,
    host: str | None,
    port: int | None,
    ship: Path | None,
) -> Engine:
    """The engine of these options.

    Raises:
        ConfigError: one of them belongs to another engine.
        MissingExtraError: Ray is not installed.
    """
    from corl_bench.errors import ConfigError, MissingExtraError

    given = {
        "--ray-address": ray_address,
        "--workers": workers,
        "--host": host,
        "--port": port,
        "--ship": ship,
    }
    if name == "ray":
        from corl_bench.cluster.ray_engine import RayEngine

        if find_spec("ray") is None:  # importing it takes a second, and may not be needed
            raise MissingExtraError("ray", "--engine ray")
        return RayEngine(ray_address, workers, host, port or 0, ship)
    for option, value in given.items():
        if value is not None:
            raise ConfigError(f"{option} belongs to --engine ray")
    from corl_bench.runs.engines import in_process

    return in_process
