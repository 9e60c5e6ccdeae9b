"""What a call costs in CPU when its episode is played by a worker, beside the local engine.

The same episodes are made in this process and by worker processes that are started without Ray,
which starts workers and carries no call. The simulated pool is asked in process, so that all of
the time is the bench's own. Workers say what they took from their first connection on: what came
before is Python's and ours to be imported, once a worker.

    python benchmarks/cluster_load.py --problems 500 --workers 1 2
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from corl_bench.cluster.crew import Crew, open_crew
from corl_bench.experts.caller import Answering
from corl_bench.experts.pools import load_pool
from corl_bench.results import read_episodes
from corl_bench.runs.engines import Engine, in_process
from corl_bench.runs.execute import Make
from corl_bench.runs.plan import Plan, make_plan
from corl_bench.runs.run import run

SYSTEMS = ("single:*", "vote:nano,mini,large")

_WORKER = """
import sys, time
from pathlib import Path
from corl_bench.cluster.worker import work
url, token, data = sys.argv[1:]
begun_s = time.process_time()
work(url, token, Path(data).read_bytes(), "here")
print(time.process_time() - begun_s)
"""


@dataclass
class Processes:
    """An engine of so many worker processes."""

    count: int
    spent_s: list[float] = field(default_factory=list)

    @asynccontextmanager
    async def __call__(
        self, plan: Plan, caller: Answering, say: Callable[[str], None]
    ) -> AsyncIterator[Make]:
        with tempfile.TemporaryDirectory() as folder:
            async with open_crew(plan, caller, say, host="127.0.0.1") as crew:
                data = Path(folder) / "data"
                data.write_bytes(crew.data)
                workers = [_start(crew, data) for _ in range(self.count)]
                await crew.wait_for(self.count, within_s=600)
                crew.begin()
                yield crew.make
                await crew.dismiss()
                said = await asyncio.gather(*(asyncio.to_thread(w.communicate) for w in workers))
                self.spent_s += [float(out) for out, _ in said]


def _start(crew: Crew, data: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WORKER, crew.url, crew.token, str(data)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def measure(name: str, engine: Engine, path: Path, problems: int) -> None:
    """Makes the run and prints what it took."""
    plan = make_plan(
        tasks=("synth",),
        pool=load_pool("sim"),
        systems=SYSTEMS,
        budget="none",
        samples=1,
        seed=0,
        limit=problems,
        mode="live",
        data_dir=None,
    )
    before_s = time.process_time()
    run(plan, path, command=["cluster_load"], engine=engine, quiet=True)
    own_s = time.process_time() - before_s
    theirs_s = sum(engine.spent_s) if isinstance(engine, Processes) else 0.0
    calls = sum(len(episode.calls) for episode in read_episodes(path))
    print(
        f"{name}: {calls} calls; CPU a call: {own_s / calls * 1e3:.2f} ms in the run's process,"
        f" {theirs_s / calls * 1e3:.2f} ms in workers",
        flush=True,
    )


def main() -> None:
    """Prints a line for each engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure("local", in_process, Path(folder) / "local", arguments.problems)
        for workers in arguments.workers:
            path = Path(folder) / f"workers-{workers}"
            measure(f"workers: {workers}", Processes(workers), path, arguments.problems)


if __name__ == "__main__":
    main()
