"""What a run costs in CPU with and without workers on a Ray cluster.

The same episodes are made in this process and by workers of a cluster that is there already, with
the simulated pool in process, so that all of the time is the bench's own. CPU seconds are the
system's, of this process and of the workers' processes on this machine (others are not counted).

    python benchmarks/cluster_load.py --ray-address 10.0.0.5:6379 --problems 500 --workers 2
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import threading
from pathlib import Path

from corl_bench.cluster.ray_engine import RayEngine
from corl_bench.experts.pools import load_pool
from corl_bench.results import read_episodes
from corl_bench.runs.engines import Engine, in_process
from corl_bench.runs.plan import make_plan
from corl_bench.runs.run import run

SYSTEMS = ("single:*", "vote:nano,mini,large")
_TICKS_S = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Prints a line for each engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ray-address")
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure("local", in_process, Path(folder) / "local", arguments.problems)
        for workers in arguments.workers:
            engine = RayEngine(arguments.ray_address, workers)
            path = Path(folder) / f"ray-{workers}"
            measure(f"ray, workers: {workers}", engine, path, arguments.problems)


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
    before_s = _cpu_s()
    with _Workers() as workers:
        run(plan, path, command=["cluster_load"], engine=engine, quiet=True)
    own_s = _cpu_s() - before_s
    episodes = read_episodes(path)
    calls = sum(len(episode.calls) for episode in episodes)
    lines = (path / "episodes.jsonl").stat().st_mtime_ns - (
        path / "manifest.json"
    ).stat().st_mtime_ns
    print(
        f"{name}: {len(episodes)} episodes, {calls} calls; CPU per call"
        f" {own_s / calls * 1e3:.2f} ms here, {workers.spent_s / calls * 1e3:.2f} ms in workers;"
        f" {lines / 1e9:.1f} s from the manifest to the last episode",
        flush=True,
    )


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class _Workers:
    """CPU seconds of Ray's processes at work for a run, read while they live."""

    def __enter__(self) -> _Workers:
        self._seen: dict[str, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def spent_s(self) -> float:
        """Of all of them, from their first connection to the run."""
        return sum(self._seen.values())

    def _watch(self) -> None:
        first: dict[str, float] = {}
        while not self._over.wait(0.5):
            for entry in Path("/proc").iterdir():
                if not entry.name.isdigit():
                    continue
                try:
                    if b"ray::_play" not in (entry / "cmdline").read_bytes():
                        continue
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue  # it has ended
                spent_s = (int(fields[11]) + int(fields[12])) / _TICKS_S
                first.setdefault(entry.name, spent_s)
                self._seen[entry.name] = spent_s - first[entry.name]


if __name__ == "__main__":
    main()
