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
import gc
import importlib.util
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from bookkeeping import (
    Log,
    cpu_s,
    early_requests,
    faults_of,
    ledger_faults,
    memory_mib,
    start_server,
    sum_of,
    write_pool,
    write_problems,
)

from corl_bench.cli.main import main as corl_bench
from corl_bench.files import read_lines
from corl_bench.results import canonical_lines

MIX = (
    "429:0.3=0.05,429:date2=0.02,500=0.04,503=0.02,529:0.2=0.02,refuse=0.02,cut=0.02,reset=0.03,"
    "slow:0.4=0.05,slow:9=0.01,malformed=0.02,bad_utf8=0.01,error_in_body=0.01,no_usage=0.01,"
    "bad_usage=0.01,huge_usage=0.01,wrong_model=0.01,huge:20=0.002,gzip_bomb=0.002,404=0.005"
)
KINDS = ("whole", "capped", "interrupted", "dropped", "live", "recorded", "retried")
SYSTEMS = ("--system", "single:*", "--system", "vote:a,b", "--system", "cascade:a>b")
PROBLEMS = 24
TIMEOUT_S = 4.0
LATENCY_S = 0.1
PATIENCE_S = 120.0
"""Of a client; the server is asked far less than it can answer."""
MOST_IN_FLIGHT = 24
"""Clients at a time."""
FINE = (0, 4)
"""Exit codes of a run that has made all of its episodes."""
MOST_GROWTH = 0.05
"""Of the resident memory, from the first third to the last."""
LONGEST_RUN_S = 180.0
"""By the monotonic clock; a wait that a jump of the clock had stretched would be longer."""
JUMPS = ("+0", "+2", "-2", "+3600", "-3600", "+1d", "-1d", "+30d", "-30d", "+365d", "-365d")


# --- what a process holds --------------------------------------------------------------------


@dataclass
class Complaints:
    """What asyncio, garbage and threads say when something was not put away."""

    texts: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """From now on, and for the rest of the process."""
        warnings.simplefilter("always", ResourceWarning)
        shown = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
            if issubclass(category, ResourceWarning):
                self.texts.append(f"{category.__name__}: {message}")
            shown(message, category, *rest, **named)

        warnings.showwarning = show
        sys.unraisablehook = lambda told: self.texts.append(f"unraisable: {told.exc_value!r}")
        threading.excepthook = lambda told: self.texts.append(f"in a thread: {told.exc_value!r}")
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record: self.texts.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("asyncio").addHandler(handler)


def holdings() -> dict[str, Any]:
    """What this process holds now: memory, descriptors, threads, children, unfinished tasks.

    Threads of asyncio's own pool stand apart: it adds one whenever none is idle, keeps them, and
    ends at four more than there are cores, so they come late and are no leak.
    """
    gc.collect()
    tasks = [o for o in gc.get_objects() if isinstance(o, asyncio.Task) and not o.done()]
    pooled = sum(thread.name.startswith("asyncio_") for thread in threading.enumerate())
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {
        "memory_mib": round(memory_mib(), 1),
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 (what it holds itself too)
        "threads": len(threading.enumerate()) - pooled,
        "pooled_threads": pooled,
        "children": len(children),
        "tasks": len(tasks),
    }


def write_line(path: Path, row: dict[str, Any]) -> None:
    """Appends it."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


# --- runs, one after the other, in one process -----------------------------------------------


class Runs:
    """Makes runs in this process.

    Args:
        folder: where they are made.
        url: of the fault server.
        seed: of what happens to them, and when.
    """

    def __init__(self, folder: Path, url: str, seed: int) -> None:
        self.folder = folder
        self.url = url
        self.random = random.Random(seed)
        self.log = Log(folder / "server.jsonl")
        self.faults: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self.early = 0
        self.codes: Counter[int] = Counter()

    def make(self, number: int) -> dict[str, Any]:
        """One run from its beginning to its second end; its directory is removed if it is right."""
        kind = KINDS[number % len(KINDS)]
        self.faults, self.requests, self.early = [], [], 0
        self.codes.clear()
        run_dir, pool = self.folder / f"run-{number}", self.folder / "pool.toml"
        write_pool(pool, self.url, f"r{number}", timeout_s=TIMEOUT_S, in_flight=16)
        shared = self.folder / "shared.sqlite" if kind == "recorded" else None
        command = [
            *("run", "--task", str(self.folder / "problems.jsonl"), "--pool", str(pool)),
            *("--out", str(run_dir), "--quiet", "--concurrency", "16"),
            *(SYSTEMS[:2] if kind == "live" else SYSTEMS),
            *(("--mode", "live") if kind == "live" else ()),
            *(("--mode", "record", "--recordings", str(shared)) if shared else ()),
        ]
        began_s = time.monotonic()
        first = command
        if kind == "capped":
            first = [*command, "--max-cost", f"0.00{self.random.randrange(5, 10)}"]
        signals = {"interrupted": 1, "dropped": 2, "live": 2}.get(kind, 0)
        code = self.command(first, signals=signals)
        if kind == "capped" and code != 3:
            self.faults.append(f"exit code {code} of a run with a cap")
        if code not in FINE:
            code = self.command(command)
        if kind == "retried":
            code = self.command([*command, "--retry-errors"])
        if code not in FINE:
            self.faults.append(f"exit code {code}")
        before = (run_dir / "ledger.jsonl").read_bytes()
        asked = len(self.requests)
        self.command(command)
        if (run_dir / "ledger.jsonl").read_bytes() != before or len(self.requests) != asked:
            self.faults.append("a finished run has asked or booked something")
        if shared:
            self.replay(run_dir, command, shared)
        self.faults += faults_of(run_dir, self.requests, store=shared, shares=kind != "live")
        took_s = time.monotonic() - began_s
        if took_s > LONGEST_RUN_S:
            self.faults.append(f"it took {took_s:.0f} s")
        ledger = list(read_lines(run_dir / "ledger.jsonl"))
        # Whoever had given up a call has not heard what the server said to it.
        if self.early > sum(line["status"] == "timeout" for line in ledger):
            self.faults.append(f"{self.early} requests before their time")
        if not self.faults:
            shutil.rmtree(run_dir)
        return {
            "run": number,
            "kind": kind,
            "seconds": round(took_s, 2),
            "exit_codes": dict(self.codes),
            "requests": len(self.requests),
            "faults_met": Counter(row["fault"] for row in self.requests),
            "lines": len(ledger),
            "unsettled": sum(not line["settled"] for line in ledger),
            "interrupted": sum(line["status"] == "interrupted" for line in ledger),
            "server_usd": str(sum_of(self.requests, "bill_usd")),
            "billed_usd": str(sum_of(ledger, "billed_cost_usd")),
            "unsettled_usd": str(sum_of(ledger, "unsettled_usd")),
            "faults": self.faults,
        }

    def replay(self, run_dir: Path, command: Sequence[str], shared: Path) -> None:
        """A replay from the shared store asks nothing and comes to the same episodes."""
        out = self.folder / "replayed"
        asked = len(self.requests)
        arguments = list(command)
        arguments[arguments.index("record")] = "replay"
        arguments[arguments.index(str(run_dir))] = str(out)
        self.command(arguments)
        lines = [canonical_lines(read_lines(d / "episodes.jsonl")) for d in (run_dir, out)]
        if lines[0] != lines[1] or len(self.requests) != asked:
            self.faults.append("a replay is not what was recorded")
        shutil.rmtree(out)

    def command(self, arguments: Sequence[str], *, signals: int = 0) -> int:
        """`corl-bench` in this process: its exit code.

        Args:
            arguments: of the command line.
            signals: how often it is interrupted, at some moment of its asking.
        """
        code = -1
        sink = (self.folder / "output.txt").open("w+", encoding="utf-8")
        with sink, redirect_stdout(sink), redirect_stderr(sink):  # noqa: SIM117 (the comment)
            # A signal that comes when the run is through is Ctrl-C at some other moment.
            with suppress(KeyboardInterrupt), self.interrupting(signals):
                try:
                    corl_bench(list(arguments))
                except SystemExit as ending:
                    code = int(ending.code or 0)
        news = self.log.news()
        self.early += early_requests(news)
        ours = Path(arguments[arguments.index("--out") + 1]).name.replace("run-", "r")
        strangers = [row for row in news if not row["model"].startswith(f"{ours}-")]
        if strangers:
            self.faults.append(f"{len(strangers)} requests of another run came late")
        self.requests += news
        self.codes[code] += 1
        if code not in (0, 3, 4, 130, -1):
            self.faults.append((self.folder / "output.txt").read_text(errors="replace")[-300:])
        return code

    @contextmanager
    def interrupting(self, signals: int) -> Iterator[None]:
        """Sends SIGINT to this process once it has asked a few times more."""
        enough, over = self.log.size() + self.random.randrange(400, 8000), threading.Event()
        pause_s = self.random.uniform(0.02, 0.06)

        def watch() -> None:
            while self.log.size() < enough:
                if over.wait(0.005):
                    return
            for _ in range(signals):
                if over.wait(pause_s):
                    return
                os.kill(os.getpid(), signal.SIGINT)

        watcher = threading.Thread(target=watch)
        if signals:
            watcher.start()
        try:
            yield
        finally:
            over.set()
            if signals:
                watcher.join()


def work_on_runs(folder: Path, url: str, seconds: float, share: float, seed: int) -> None:
    """Makes runs until the time is over, and writes a line of `runs.jsonl` for each."""
    complaints = Complaints()
    complaints.listen()
    runs = Runs(folder, url, seed)
    began_s = time.monotonic()
    number = 0
    while time.monotonic() - began_s < seconds:
        used_s = time.process_time()
        row = runs.make(number)
        row |= holdings() | {
            "at_s": round(time.monotonic() - began_s, 1),
            "complaints": complaints.texts[:5],
        }
        complaints.texts.clear()
        write_line(folder / "runs.jsonl", row)
        number += 1
        used_s = time.process_time() - used_s
        time.sleep(max(0.0, used_s / share - row["seconds"]))


# --- a server and its clients ----------------------------------------------------------------


def serve_watched(folder: Path, arguments: Sequence[str]) -> None:
    """`corl-bench serve` in this process, which writes down what it holds at SIGUSR1."""
    complaints = Complaints()
    complaints.listen()

    def look(*_: object) -> None:
        row = holdings()
        # This very handler may run within a task of its own; those of requests are what counts.
        row["complaints"] = complaints.texts[:5]
        complaints.texts.clear()
        write_line(folder / "serve.jsonl", row)

    signal.signal(signal.SIGUSR1, look)
    corl_bench(list(arguments))


@dataclass
class Clients:
    """Those who ask the server, at a steady pace.

    Args:
        url: of the server.
        every_s: mean time between two requests, of all clients together.
        seed: of what they do, and when.
    """

    url: str
    every_s: float
    seed: int
    in_flight: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    async def ask(self, ends_s: float) -> None:
        """Asks until the time is over, and waits for the answers."""
        chance = random.Random(self.seed)
        number = 0
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
            while time.monotonic() < ends_s:
                if self.in_flight >= MOST_IN_FLIGHT:
                    await asyncio.sleep(0.1)  # a machine that is busy with other things
                    continue
                number += 1
                leaves_s = chance.uniform(0.0, 0.5) if chance.random() < 0.1 else None
                group.create_task(self._one(session, number, chance.random() < 0.5, leaves_s))
                await asyncio.sleep(chance.expovariate(1.0 / self.every_s))

    async def _one(
        self, session: aiohttp.ClientSession, number: int, streams: bool, leaves_s: float | None
    ) -> None:
        body = {
            "model": "corl",
            "messages": [{"role": "user", "content": f"Request {number}: what is {number} + 1?"}],
            "stream": streams,
        }
        self.in_flight += 1
        try:
            async with asyncio.timeout(leaves_s):
                async with session.post(f"{self.url}/chat/completions", json=body) as answer:
                    text = await answer.read()
        except TimeoutError:
            if leaves_s is None:
                self.faults.append(f"request {number}: no answer within {PATIENCE_S:g} s")
            self.statuses["left early"] += 1
            return
        except aiohttp.ClientError as error:
            self.faults.append(f"request {number}: {type(error).__name__}: {error}")
            return
        finally:
            self.in_flight -= 1
        self.statuses[str(answer.status)] += 1
        if streams and answer.status == 200 and not text.endswith(b"data: [DONE]\n\n"):
            self.faults.append(f"request {number}: a stream without its end: {text[-100:]!r}")
        if answer.status not in (200, 502):
            self.faults.append(f"request {number}: status {answer.status}: {text[:200]!r}")


# --- all of it -------------------------------------------------------------------------------


def find_faketime() -> Path | None:
    """The library that moves a process's clock, from pip's libfaketime or the system's."""
    found = importlib.util.find_spec("libfaketime")
    places = [Path(p) for p in (found.submodule_search_locations or ())] if found else []
    files = [file for place in places for file in place.rglob("libfaketime.so.1")]
    files += Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    return files[0] if files else None


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


def report(
    folder: Path,
    clients: Clients,
    codes: dict[str, int],
    jumps: int,
    used: dict[str, float],
    took_s: float,
) -> int:
    """Prints what came of it; the exit code."""
    faults = [f"{name} ended with {code}" for name, code in codes.items() if code]
    faults += clients.faults
    rows = list(read_lines(folder / "runs" / "runs.jsonl"))
    looks = list(read_lines(folder / "serve" / "serve.jsonl"))
    faults += [f"run {row['run']} ({row['kind']}): {f}" for row in rows for f in row["faults"]]
    for name, samples in (("runs", rows), ("serve", looks)):
        faults += leaks_of(name, samples)
    met: Counter[str] = Counter()
    for row in rows:
        met.update(row["faults_met"])
    served = folder / "serve" / "served"
    ledger = list(read_lines(served / "ledger.jsonl"))
    upstream = list(read_lines(folder / "serve" / "server.jsonl"))
    asked = list(read_lines(served / "requests.jsonl"))
    faults += [f"serve: {fault}" for fault in ledger_faults(ledger, upstream)]
    if sum_of(asked, "list_cost_usd") != sum_of(ledger, "list_cost_usd"):
        faults.append("serve: requests and ledger differ")
    if too_early := early_requests(upstream):
        faults.append(f"serve: {too_early} requests before the time that a 429 had named")
    answers = sum(clients.statuses.values()) - clients.statuses["left early"]
    if not answers <= len(asked) <= sum(clients.statuses.values()):
        faults.append(f"serve: {len(asked)} requests on the books, {clients.statuses} asked")
    print(f"{took_s / 60:.1f} minutes, {jumps} jumps of the wall clock")
    kinds = Counter(row["kind"] for row in rows)
    exits: Counter[str] = Counter()
    for row in rows:
        exits.update(row["exit_codes"])
    print(
        f"runs: {len(rows)} ({', '.join(f'{n} {kind}' for kind, n in kinds.items())}); exit codes"
        f" {', '.join(f'{code} {n} times' for code, n in exits.most_common())}"
    )
    print(
        f"  {sum(row['requests'] for row in rows):,} requests,"
        f" {sum(n for fault, n in met.items() if fault != 'ok'):,} of them with a fault:"
        f" {', '.join(f'{fault} {n}' for fault, n in met.most_common() if fault != 'ok')}"
    )
    print(
        f"  ledger lines {sum(row['lines'] for row in rows):,},"
        f" unsettled {sum(row['unsettled'] for row in rows):,},"
        f" interrupted {sum(row['interrupted'] for row in rows):,}"
    )
    billed, server, unsettled = (
        sum_of(rows, name) for name in ("billed_usd", "server_usd", "unsettled_usd")
    )
    print(
        f"  dollars: booked {billed}, the server's {server}, booked and unsettled"
        f" {billed + unsettled}"
    )
    print(
        f"serve: {len(asked):,} requests"
        f" ({', '.join(f'{s} {n}' for s, n in clients.statuses.most_common())}),"
        f" {len(upstream):,} calls upstream; dollars: booked {sum_of(ledger, 'billed_cost_usd')},"
        f" the server's {sum_of(upstream, 'bill_usd')}, booked and unsettled"
        f" {sum_of(ledger, 'billed_cost_usd') + sum_of(ledger, 'unsettled_usd')}"
    )
    for name, samples in (("runs", rows), ("serve", looks)):
        if samples:
            early, late = memory_of(samples)
            last = samples[-1]
            print(
                f"{name}: at most {early:.1f} MiB in the first third, {late:.1f} in the last; in"
                f" the end descriptors {last['descriptors']}, threads {last['threads']} and"
                f" {last['pooled_threads']} of asyncio's pool, children {last['children']},"
                f" unfinished tasks {last['tasks']}"
            )
    print("CPU: " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in used.items()))
    for fault in faults[:20]:
        print(f"FAULT {fault}")
    print("all of it holds" if not faults else f"{len(faults)} FAULTS")
    return 1 if faults else 0


def memory_of(samples: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """The most memory in the first third, and in the last.

    The most, for what one huge answer has taken is given back at some later moment or kept.
    """
    third = max(1, len(samples) // 3)
    early, late = samples[:third], samples[-third:]
    return max(row["memory_mib"] for row in early), max(row["memory_mib"] for row in late)


def leaks_of(name: str, samples: Sequence[dict[str, Any]]) -> list[str]:
    """What a process holds in the end that it did not hold in its first third."""
    if len(samples) < 3:
        return [f"{name}: only {len(samples)} looks at it"]
    faults = [f"{name}: {text}" for row in samples for text in row["complaints"]]
    early, late = memory_of(samples)
    if late > early * (1 + MOST_GROWTH):
        faults.append(f"{name}: memory has grown from {early:.1f} to {late:.1f} MiB")
    for what in ("descriptors", "threads", "children", "tasks"):
        most = max(row[what] for row in samples[: max(1, len(samples) // 3)])
        if samples[-1][what] > most:
            faults.append(f"{name}: {samples[-1][what]} {what}, at most {most} in the first third")
    pooled = max(row["pooled_threads"] for row in samples)
    if pooled > (os.cpu_count() or 1) + 4:
        faults.append(f"{name}: {pooled} threads in asyncio's pool")
    if name == "runs" and any(row["tasks"] for row in samples):
        faults.append("runs: tasks are left when a run is over")
    return faults


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


if __name__ == "__main__":
    sys.exit(main())
