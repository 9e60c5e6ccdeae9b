"""kill -9 at random points of everything that writes: is anything lost, paid twice, unreadable?

Every command is killed at its n-th change of a file (a write, half of one, a truncation, a rename,
…), n drawn at random, by `crash/kill_at_write.c`; and then again, until it has been killed often
enough in this folder and may end. After each kill a copy of the folder is read as the next command
would read it. A command is a fork of this process, so that nothing is imported two hundred times.
What must hold, or the exit code is 1:

- every file can be read, and nothing that was in it at an earlier kill is gone;
- no reply that is stored is asked for again, by the server's own count;
- every attempt that was in flight is settled by its stored reply or stands as unsettled at its
  worst case, once; dollars bracket the server's bill;
- in the end there is what an uninterrupted command leaves, byte for byte but for times.

    python benchmarks/crash_points.py                      # 200 kills
    python benchmarks/crash_points.py --kills 10 --only run,serve

Needs Linux and a C compiler (`cc`); training needs torch, and is left out without it.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import importlib.util
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bookkeeping import COMMAND, Log
from crash.bench import Bench
from crash.files import kill_grades, kill_imports
from crash.runs import kill_regrades, kill_runs
from crash.servers import kill_servers
from crash.trainings import kill_trainings

from corl_bench.errors import ConfigError

COMMANDS: dict[str, tuple[int, Callable[[Bench, int], None]]] = {
    "run": (45, partial(kill_runs, kind="run")),
    "record": (35, partial(kill_runs, kind="record")),
    "live": (20, partial(kill_runs, kind="live")),
    "regrade": (20, kill_regrades),
    "grade": (10, kill_grades),
    "import": (10, kill_imports),
    "train": (30, kill_trainings),
    "serve": (30, kill_servers),
}
"""What is killed: its kills of 200, and what makes them."""
LATENCY = "0.02"
FOLDER = "CORL_CRASH_FOLDER"
"""Environment variable of this script when it has been started with the library."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill everything that writes, at random points.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--only", default=",".join(COMMANDS), help="Commands; %(default)s.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="A folder for all files; else they are removed.")
    asked = parser.parse_args()
    kinds = asked.only.split(",")
    if unknown := set(kinds) - set(COMMANDS):
        parser.error(f"no such command: {', '.join(sorted(unknown))}")
    if "train" in kinds and importlib.util.find_spec("torch") is None:
        kinds.remove("train")
        if not kinds:
            parser.error("training needs torch, which is not installed")
        if FOLDER not in os.environ:  # said once, before this script starts itself again
            print("without training: torch is not installed", flush=True)
    if FOLDER not in os.environ:
        if asked.keep is not None:
            asked.keep.mkdir(parents=True)
        preload(Path(tempfile.mkdtemp()) if asked.keep is None else asked.keep.resolve())
    folder = Path(os.environ[FOLDER])
    del os.environ["LD_PRELOAD"]  # not for the children of children
    try:
        return crash(folder, asked.kills, kinds, asked.seed)
    finally:
        if asked.keep is None:
            shutil.rmtree(folder)


def crash(folder: Path, kills: int, kinds: Sequence[str], seed: int) -> int:
    """Kills everything, and prints what came of it; the exit code."""
    library = ctypes.CDLL(str(folder / "kill_at_write.so"))
    library.kill_at_change.argtypes = [ctypes.c_char_p, ctypes.c_long]
    library.changes_so_far.restype = ctypes.c_long
    import_all(kinds)
    whole = sum(COMMANDS[kind][0] for kind in kinds)
    with served_pool(folder) as (pool, log):
        bench = Bench(folder, library, pool, Log(log), random.Random(seed))
        for place, kind in enumerate(kinds):
            # Shares that add up to the kills asked for.
            before, after = (sum(COMMANDS[k][0] for k in kinds[:n]) for n in (place, place + 1))
            share = kills * after // whole - kills * before // whole
            began_s = time.monotonic()
            with noting(bench, kind):
                COMMANDS[kind][1](bench, share)
            print(
                f"{kind}: {bench.kills[kind]} kills, {time.monotonic() - began_s:.0f} s", flush=True
            )
    print(
        f"{bench.kills.total()} kills; left behind by them: "
        + ", ".join(f"{n} {what}" for what, n in bench.cut_short.items())
    )
    for fault in bench.faults[:20]:
        print(f"FAULT {fault}")
    print("all of it holds" if not bench.faults else f"{len(bench.faults)} FAULTS")
    return 1 if bench.faults else 0


@contextmanager
def noting(bench: Bench, kind: str) -> Iterator[None]:
    """A file that cannot be read is a finding, and the end of this command's kills."""
    try:
        yield
    except (
        ConfigError,
        AssertionError,
        LookupError,
        OSError,
        TypeError,
        ValueError,
        sqlite3.Error,
    ) as error:
        bench.faults.append(f"{kind}: {type(error).__name__}: {error}")


def import_all(kinds: Sequence[str]) -> None:
    """Once, for all commands that are forked."""
    names = ["runs.run", "runs.plan", "report.html", "report.terminal", "report.analysis"]
    names += ["grading", "serve.server", "runs.regrading", "answer_files", "experts.openai"]
    names += ["experts.recording_files", "experts.transport", "experts.simulation.provider"]
    for name in names:
        importlib.import_module(f"corl_bench.{name}")
    if "train" in kinds:
        importlib.import_module("corl_train.trainer")


def preload(folder: Path) -> None:
    """Starts this script again with what kills at a write, which it compiles.

    Raises:
        SystemExit: there is no compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        sys.exit("crash_points.py needs Linux and a C compiler on PATH (cc)")
    library = folder / "kill_at_write.so"
    source = Path(__file__).parent / "crash" / "kill_at_write.c"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    variables = {"LD_PRELOAD": str(library), FOLDER: str(folder), "OMP_NUM_THREADS": "1"}
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | variables)


@contextmanager
def served_pool(folder: Path) -> Iterator[tuple[Path, Path]]:
    """The simulated pool over HTTP: its file, and the server's log."""
    pool, log = folder / "pool.toml", folder / "server.jsonl"
    log.touch()
    server = subprocess.Popen(
        [
            *(*COMMAND, "pool", "serve", "sim", "--port", "0", "--latency", LATENCY),
            *("--task", "synth", "--pool-out", str(pool), "--log", str(log)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        server.stdout.readline()
        while not pool.exists():
            time.sleep(0.01)
        yield pool, log
    finally:
        server.terminate()
        server.wait(30)
        server.stdout.close()


if __name__ == "__main__":
    sys.exit(main())
