"""Hours of runs against a server that misbehaves: does every dollar stand, does anything leak?

Two long-lived processes work beside each other, each against a fault server of its own that mixes
429 (with seconds and with dates), 500, hung-up and reset connections, slow and cut bodies, half
JSON, broken UTF-8, wrong models and wrong usage:

- *runs*: one process makes `corl-bench run` after `corl-bench run`: whole, stopped by a cap,
  interrupted once and twice, live, recorded into a shared store and replayed, with errors made
  again; each is finished by the same command, and asked once more, when it must ask nothing;
- *serve*: `corl-bench serve`, whose clients read whole answers and streams, or leave early.

The wall clock of both jumps by up to a year, forth and back, every few seconds (libfaketime; the
monotonic clock goes on as Linux has it when the date is set). What must hold, or the exit code
is 1: the books of every run, see `bookkeeping.py`; no request before the time that a 429 named
(but for as many as timeouts explain, in runs); no task, thread, child process or file descriptor
more than the most of the first third, no warning of asyncio or of a resource that was not closed;
and memory that does not grow from the first third to the last.

    pip install libfaketime
    python benchmarks/soak.py --minutes 60

It is gentle: by default both together are held to about a fifth of one core.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bookkeeping import cpu_s, start_server, write_pool, write_problems
from soaking.outcome import report
from soaking.runs import TIMEOUT_S, work_on_runs
from soaking.serving import Clients, serve_watched

MIX = (
    "429:0.3=0.05,429:date2=0.02,500=0.04,503=0.02,529:0.2=0.02,refuse=0.02,cut=0.02,reset=0.03,"
    "slow:0.4=0.05,slow:9=0.01,malformed=0.02,bad_utf8=0.01,error_in_body=0.01,no_usage=0.01,"
    "bad_usage=0.01,huge_usage=0.01,wrong_model=0.01,huge:20=0.002,gzip_bomb=0.002,404=0.005"
)
PROBLEMS = 24
LATENCY_S = 0.1
JUMPS = ("+0", "+2", "-2", "+3600", "-3600", "+1d", "-1d", "+30d", "-30d", "+365d", "-365d")


def main() -> int:
    parser = argparse.ArgumentParser(description="Soak runs and a server in faults.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--share", type=float, default=0.2, help="Of a core, for all of it.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="A folder for all files; else they are removed.")
    parser.add_argument("--role", choices=("runs", "serve"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs="*", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.role == "runs":
        work_on_runs(asked.folder, asked.url, asked.seconds, asked.share, asked.seed)
        return 0
    if asked.role == "serve":
        serve_watched(asked.folder, asked.arguments)
        return 0
    if asked.keep is not None:
        asked.keep.mkdir(parents=True)
        return asyncio.run(soak(asked.keep.resolve(), asked.minutes, asked.share, asked.seed))
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(soak(Path(folder), asked.minutes, asked.share, asked.seed))


async def soak(folder: Path, minutes: float, share: float, seed: int) -> int:
    """Runs it all and prints what came of it."""
    seconds = minutes * 60
    chance = random.Random(seed)
    clock = Clock(find_faketime(), folder / "clock", chance)
    if clock.library is None:
        print("without jumps of the clock: pip install libfaketime", flush=True)
    runs_folder, serve_folder = folder / "runs", folder / "serve"
    cpu: dict[str, Callable[[], float]] = {}
    with ExitStack() as stack:
        urls = {}
        for place in (runs_folder, serve_folder):
            place.mkdir()
            pid, urls[place] = start_server(
                stack, place / "server.jsonl", f"{MIX},seed={seed}", LATENCY_S
            )
            cpu[f"the fault server of {place.name}"] = lambda pid=pid: cpu_s(pid)  # type: ignore[misc]
        write_problems(runs_folder / "problems.jsonl", PROBLEMS)
        pool = serve_folder / "pool.toml"
        write_pool(pool, urls[serve_folder], "s", timeout_s=TIMEOUT_S, in_flight=64)
        role = [sys.executable, __file__, "--role"]
        serving = subprocess.Popen(  # noqa: ASYNC220 (nothing else runs yet)
            [
                *(*role, "serve", "--folder", str(serve_folder), "--"),
                *("serve", "--system", "cascade:a>b", "--pool", str(pool), "--quiet"),
                *("--out", str(serve_folder / "served"), "--port", "0"),
            ],
            env=clock.environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(_end, serving)
        assert serving.stdout is not None
        stack.callback(serving.stdout.close)
        url = serving.stdout.readline().split()[-1]
        running = subprocess.Popen(  # noqa: ASYNC220 (nothing else runs yet)
            [
                *(*role, "runs", "--folder", str(runs_folder), "--url", urls[runs_folder]),
                *("--seconds", str(seconds), "--share", str(share * 0.5), "--seed", str(seed)),
            ],
            env=clock.environment(),
        )
        stack.callback(_end, running)
        cpu |= {"runs": lambda: cpu_s(running.pid), "serve": lambda: cpu_s(serving.pid)}
        began_s = time.monotonic()
        clients = Clients(url, every_s=0.2 / share, seed=seed)
        jumping = asyncio.create_task(clock.keep_jumping(15.0))
        looking = asyncio.create_task(_keep_looking(serving, min(20.0, seconds / 12)))
        await clients.ask(began_s + seconds)
        while running.poll() is None and not looking.done():  # noqa: ASYNC110 (a process)
            await asyncio.sleep(0.5)
        jumping.cancel()
        looking.cancel()
        await asyncio.sleep(3 * TIMEOUT_S)
        serving.send_signal(signal.SIGUSR1)
        await asyncio.sleep(2.0)
        took_s = time.monotonic() - began_s
        used = {name: read() for name, read in cpu.items() if name != "runs"}
        serving.send_signal(signal.SIGTERM)
        codes = {"runs": running.wait(), "serve": await asyncio.to_thread(serving.wait, 60)}
    return report(folder, clients, codes, clock.jumps, used, took_s)


async def _keep_looking(serving: subprocess.Popen[str], every_s: float) -> None:
    while serving.poll() is None:
        await asyncio.sleep(every_s)
        serving.send_signal(signal.SIGUSR1)


def _end(process: subprocess.Popen[Any]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()


@dataclass
class Clock:
    """The wall clock of the processes that are started with `environment`."""

    library: Path | None
    file: Path
    random: random.Random
    jumps: int = 0

    def environment(self) -> dict[str, str]:
        """For a process whose clock is to jump."""
        if self.library is None:
            return dict(os.environ)
        self.file.write_text("+0")
        return os.environ | {
            "LD_PRELOAD": str(self.library),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    async def keep_jumping(self, every_s: float) -> None:
        """Sets the clock to another time, again and again."""
        while self.library is not None:
            await asyncio.sleep(every_s * self.random.uniform(0.5, 1.5))
            beside = self.file.with_suffix(".new")
            beside.write_text(self.random.choice(JUMPS))
            beside.replace(self.file)
            self.jumps += 1


def find_faketime() -> Path | None:
    """The library that moves a process's clock, from pip's libfaketime or the system's."""
    found = importlib.util.find_spec("libfaketime")
    places = [Path(p) for p in (found.submodule_search_locations or ())] if found else []
    files = [file for place in places for file in place.rglob("libfaketime.so.1")]
    files += Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    return files[0] if files else None


if __name__ == "__main__":
    sys.exit(main())
