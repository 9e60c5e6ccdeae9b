"""What verbs that start a server have in common: the pool, its problems, and what can go wrong.

loaded = pool_of(pool, price_date)
problems = known_problems(loaded, tasks, data_dir)
with place_errors(host, port):
    serve(loaded, …)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corl_bench.experts.base import Pool
    from corl_bench.types import Problem


def pool_of(pool: str, price_date: str | None, option: str = "--price-date") -> Pool:
    """The pool that a verb names, with the prices of the day that it names.

    Raises:
        ConfigError: there is no such pool or day, or a price is missing.
    """
    from corl_bench.cli.dates import read_day
    from corl_bench.experts.pools import load_pool

    day = None if price_date is None else read_day(price_date, option)
    return load_pool(pool, price_date=day)


def known_problems(pool: Pool, tasks: Sequence[str], data_dir: Path | None) -> Iterator[Problem]:
    """Those that simulated experts are to know; no task is loaded where there are none here.

    Raises:
        ConfigError: there is no such task.
    """
    from corl_bench.tasks import load_task

    in_process = any(e.provider == "simulated" and e.shared is None for e in pool.experts)
    known = [load_task(task, data_dir=data_dir) for task in tasks] if in_process else []
    return (problem for task in known for problem in task.problems)


def require_folder(path: Path) -> None:
    """Refuses a file that could not be written later, when the server is at work already.

    Raises:
        ConfigError: its folder is missing, or is not ours to write.
    """
    import os

    from corl_bench.errors import ConfigError

    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ConfigError(f"cannot write {path}: {path.parent} is no folder that can be written")


@contextmanager
def place_errors(host: str, port: int) -> Iterator[None]:
    """Says in one line what the system has against a file or an address.

    Raises:
        ConfigError: in the place of an `OSError`.
    """
    from corl_bench.errors import ConfigError

    try:
        yield
    except OSError as error:
        place = error.filename or f"{host}:{port}"
        raise ConfigError(f"cannot serve, {place}: {error.strerror or error}") from error
