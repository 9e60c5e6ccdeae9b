"""Runs, one after the other, in one process."""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from bookkeeping import Log, early_requests, faults_of, sum_of, write_pool

from corl_bench.cli.main import main as corl_bench
from corl_bench.files import read_lines
from corl_bench.results import canonical_lines
from soaking.holdings import Complaints, holdings, write_line

KINDS = ("whole", "capped", "interrupted", "dropped", "live", "recorded", "retried")
SYSTEMS = ("--system", "single:*", "--system", "vote:a,b", "--system", "cascade:a>b")
TIMEOUT_S = 4.0
FINE = (0, 4)
"""Exit codes of a run that has made all of its episodes."""
LONGEST_RUN_S = 180.0
"""By the monotonic clock; a wait that a jump of the clock had stretched would be longer."""


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
