"""kill -9 at any moment: nothing that was paid for is lost, or asked for a second time."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

ARGUMENTS = (
    *("run", "--task", "synth", "--limit", "60", "--out", "run", "--concurrency", "16"),
    *("--system", "single:*", "--system", "vote:nano,mini,large", "--system", "oracle"),
    "--quiet",
)
KILLS = 20


def test_killed_at_twenty_random_moments(
    corl: Any,
    serve: Callable[..., Any],
    canonical: Callable[[Path], list[str]],
    money: Callable[[Path], dict[str, Any]],
    tmp_path: Path,
) -> None:
    moments = random.Random(20)
    with serve("--task", "synth", "--latency", "0.02") as served:
        run = (*ARGUMENTS, "--pool", served.pool)
        whole = tmp_path / "whole"
        corl(*run[:5], "--out", "whole", *run[7:])
        before = len(served.requests())
        bill_before = served.bill_usd()

        killed = 0
        for _ in range(KILLS):
            process = corl.start(*run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            # After so many more requests and a little longer, however fast the machine is; none
            # more is a moment in which the run is still getting ready.
            asked = len(served.requests()) + moments.randrange(10)
            while process.poll() is None and len(served.requests()) < asked:
                time.sleep(0.005)
            time.sleep(moments.uniform(0.0, 0.1))
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
        corl(*run)
        run_dir = tmp_path / "run"
        requests = served.requests()[before:]
        bill = served.bill_usd() - bill_before

    assert killed == KILLS
    assert canonical(run_dir) == canonical(whole)

    sums = money(run_dir)
    ledger = [json.loads(line) for line in (run_dir / "ledger.jsonl").read_text().splitlines()]
    made = [line for line in ledger if not line["stored"]]
    interrupted = [line for line in made if line["status"] == "interrupted"]
    # A request that was journalled and killed before it left never reached the server.
    assert len(made) - len(interrupted) <= len(requests) <= len(made)
    assert sums["billed_cost_usd"] <= bill <= sums["billed_cost_usd"] + sums["unsettled_usd"]

    # Whoever was asked twice was in flight at a kill, and is on the ledger as such.
    asked = Counter((row["expert"], row["problem"], row["draw"]) for row in requests)
    assert sum(count - 1 for count in asked.values()) <= len(interrupted)
    finished = len(served_requests_after(run_dir, corl, run))
    assert finished == 0


def served_requests_after(run_dir: Path, corl: Any, run: tuple[Any, ...]) -> list[str]:
    """A finished run makes no request at all: its server is gone, and nothing changes."""
    before = (run_dir / "ledger.jsonl").read_bytes()
    corl(*run)
    after = (run_dir / "ledger.jsonl").read_bytes()
    return after[len(before) :].decode().splitlines()
