"""Workers that an existing Ray cluster starts, and starts again when they die.

Each is a Ray task with one CPU that comes to the run's address and stays until it is sent home;
Ray repeats a task whose process or node has died, wherever there is room. Nothing else of Ray is
relied on: problems, calls and results go over the worker's own connection (`crew.py`).

    engine = RayEngine(address="10.0.0.5:6379", workers=8)
    run(plan, path, command=sys.argv, engine=engine)
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import socket
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corl_bench.cluster.crew import Crew, open_crew
from corl_bench.errors import ConfigError
from corl_bench.experts.caller import Answering
from corl_bench.extras import require
from corl_bench.runs.execute import Make
from corl_bench.runs.plan import Plan

START_S = 300.0
"""How long the first worker is waited for."""
GATHER_S = 20.0
"""How long all are; those that come later are welcome. Ray counts a node that has died for a
while, so that some may never come."""
KNOCKING_S = 10.0
"""How long the cluster's address may take to be reached."""
LEAVING_S = 5.0
"""How long workers may take to go home."""
_SHOWN_CHARS = 300


@dataclass(frozen=True, slots=True)
class RayEngine:
    """Plays the episodes of a run on a Ray cluster; see `corl_bench.runs.engines.Engine`."""

    address: str | None = None
    """Of the cluster; None: what RAY_ADDRESS says, else the cluster that runs on this machine."""
    workers: int | None = None
    """One CPU each; None: as many as the cluster has CPUs."""
    host: str | None = None
    """This machine's address as the nodes reach it; None: as Ray knows it."""
    port: int = 0
    """0 takes a free one."""
    ship: Path | None = None
    """A folder that Ray copies to every node, in which workers are started."""
    start_s: float = START_S

    def __call__(
        self, plan: Plan, caller: Answering, say: Callable[[str], None]
    ) -> AbstractAsyncContextManager[Make]:
        return self._open(plan, caller, say)

    @asynccontextmanager
    async def _open(
        self, plan: Plan, caller: Answering, say: Callable[[str], None]
    ) -> AsyncIterator[Make]:
        ray = require("ray", extra="ray", why="--engine ray")
        with _connected(ray, self.address, self.ship):
            wanted = _wanted(ray, self.workers)
            host = self.host or ray.util.get_node_ip_address()
            folder = None if self.ship or _is_shipped(ray) else str(Path.cwd())
            async with open_crew(
                plan, caller, say, host=host, port=self.port, folder=folder
            ) as crew:
                hired = _hire(ray, crew, wanted)
                following = asyncio.create_task(_follow(ray, crew, hired))
                try:
                    await self._gather(crew, wanted, say)
                    yield crew.make
                finally:
                    following.cancel()
                    await crew.dismiss()
                    await asyncio.to_thread(_let_go, ray, hired)

    async def _gather(self, crew: Crew, wanted: int, say: Callable[[str], None]) -> None:
        """Waits for the workers.

        Raises:
            ConfigError: none has come, or one that cannot play the plan.
        """
        there = await crew.wait_for(wanted, within_s=min(GATHER_S, self.start_s))
        if not there and self.start_s > GATHER_S:
            say(f"waiting for {wanted} workers")
            there = await crew.wait_for(1, within_s=self.start_s - GATHER_S)
        if not there:
            raise ConfigError(
                f"no worker has come within {self.start_s:.0f} s: `ray status` says whether others"
                " hold the cluster's CPUs, and its nodes must have corl-bench"
            )
        crew.begin()
        if there < wanted:
            say(f"{there} of {wanted} workers are there; the others join when they come")


def _play(url: str, token: str, data: bytes) -> str:
    """What a worker does, on its node; the line that it comes back with."""
    import ray

    from corl_bench.cluster.worker import work

    return work(url, token, data, ray.util.get_node_ip_address())


@contextmanager
def _connected(ray: Any, address: str | None, ship: Path | None) -> Iterator[None]:
    """A connection to the cluster, unless this process has one.

    The folder that is shipped belongs to it: Ray copies none for a single task.

    Raises:
        ConfigError: there is no cluster, or it is of another Ray or Python.
    """
    if ray.is_initialized():
        if ship is not None:
            raise ConfigError("--ship: this process has connected to Ray before and without it")
        yield
        return
    named = None if address == "auto" else address
    where = named or os.environ.get("RAY_ADDRESS") or "auto"
    if "://" in where:
        raise ConfigError(
            f"--ray-address {where}: Ray Client is not supported; run this on a node of the cluster"
            " with its HOST:PORT, or submit it with `ray job submit`"
        )
    environment = None if ship is None else {"working_dir": str(ship.resolve())}
    try:
        _knock(where)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # on accelerators, which we use none of
            ray.init(
                address=where,
                runtime_env=environment,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except ray.exceptions.RuntimeEnvSetupError as error:
        raise ConfigError(f"--ship {ship}: Ray cannot copy it: {_shown(error)}") from error
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise ConfigError(_no_cluster(where, error)) from error
    try:
        yield
    finally:
        ray.shutdown()


def _knock(where: str) -> None:
    """Has an address refused at once at which nobody listens: Ray tries it for minutes.

    Raises:
        OSError: nobody does.
    """
    host, _, port = where.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), KNOCKING_S).close()


def _shown(error: Exception) -> str:
    return " ".join(str(error).split())[:_SHOWN_CHARS]


def _no_cluster(where: str, error: Exception) -> str:
    said = _shown(error)
    if "ersion mismatch" in said:
        return f"the Ray cluster is another one than this environment is made for: {said}"
    named = "" if where == "auto" else f" at {where}"
    return (
        f"no Ray cluster{named}: start one (`ray start --head`), or name its address with"
        f" --ray-address HOST:PORT ({said})"
    )


def _wanted(ray: Any, workers: int | None) -> int:
    """How many workers.

    Raises:
        ConfigError: the cluster has not so many CPUs.
    """
    cpus = int(ray.cluster_resources().get("CPU", 0))
    if not cpus:
        raise ConfigError("the Ray cluster has no CPUs: add a node to it (`ray start --address`)")
    if workers is not None and workers > cpus:
        raise ConfigError(
            f"--workers {workers}: the Ray cluster has {cpus} CPUs, and a worker takes one"
        )
    return workers or cpus


def _is_shipped(ray: Any) -> bool:
    """Whether this process is a job whose files Ray has copied to the nodes."""
    return bool(ray.get_runtime_context().runtime_env.get("working_dir"))


def _hire(ray: Any, crew: Crew, workers: int) -> list[Any]:
    play = ray.remote(num_cpus=1, max_retries=-1, scheduling_strategy="SPREAD")(_play)
    data = ray.put(crew.data)
    return [play.remote(crew.url, crew.token, data) for _ in range(workers)]


async def _follow(ray: Any, crew: Crew, hired: list[Any]) -> None:
    """Tells the crew of workers that will not come back; Ray repeats those that have died."""

    async def follow(task: Any) -> None:
        try:
            reason = await task
        except Exception as error:  # whatever it is, nobody else would hear of it
            reason = _why(error)
        if reason:
            await crew.turn_away(reason)

    await asyncio.gather(*map(follow, hired))
    await crew.give_up(ConfigError("all workers have ended; the same command goes on"))


def _why(error: Exception) -> str:
    """A failed task in one line."""
    cause = getattr(error, "cause", None) or error
    said = " ".join(str(cause).split())
    if match := re.search(r"No module named ['\"]?([\w.]+)", said):
        missing = match[1].rstrip(".")
        return f"a node of the Ray cluster lacks {missing}: install corl-bench[ray] on all of them"
    return f"a worker could not be started: {said[-_SHOWN_CHARS:]}"


def _let_go(ray: Any, hired: list[Any]) -> None:
    """Waits for the workers to go home, and ends those that do not."""
    with contextlib.suppress(ray.exceptions.RayError):
        _, busy = ray.wait(hired, num_returns=len(hired), timeout=LEAVING_S)
        for task in busy:
            ray.cancel(task, force=True)
