"""Many streams at once against `corl-bench serve`, then SIGTERM: does every dollar stand?

Starts the simulated pool over HTTP, `corl-bench serve` in front of it, and clients that keep a
number of streams open. In the middle of it the server gets SIGTERM. What must hold, or the exit
code is 1: every stream that began ends in `[DONE]` with an answer; the ledger's total is the
pool's own count of its bill, to the last digit, and so is the sum of what the replies said; and
the server's memory does not grow between the first third and the end.

    python benchmarks/serve_load.py --streams 200 --seconds 60
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

COMMAND = [sys.executable, "-m", "corl_bench.cli.main"]
MOST_GROWTH = 0.10
"""Of the resident memory, from the first third of the time to its end."""


@dataclass
class Tally:
    """What the clients saw."""

    replied_usd: Decimal = Decimal(0)
    answered: int = 0
    refused: int = 0
    """Not let in: the server was stopping or gone."""
    lost: list[str] = field(default_factory=list)
    """Streams that began and did not end as they should."""
    seconds: list[float] = field(default_factory=list)


async def keep_asking(session: aiohttp.ClientSession, url: str, worker: int, tally: Tally) -> None:
    """One client: a stream after the other until the server lets it in no more."""
    number = 0
    while True:
        number += 1
        body = {
            "model": "corl-low",
            "messages": [{"role": "user", "content": f"Question {number} of client {worker}"}],
            "stream": True,
        }
        started_s = time.monotonic()
        begun = False
        try:
            async with session.post(f"{url}/chat/completions", json=body) as answer:
                if answer.status != 200:
                    tally.refused += 1
                    return
                begun = True
                raw = await answer.read()
        except aiohttp.ClientError as error:
            if begun:
                tally.lost.append(f"{type(error).__name__}: {error}")
            else:
                tally.refused += 1
            return
        events = [part for part in raw.split(b"\n\n") if part.startswith(b"data: ")]
        last = json.loads(events[-2][6:]) if len(events) > 1 else {}
        if events[-1:] != [b"data: [DONE]"] or "corl" not in last or "error" in last:
            tally.lost.append(raw[-200:].decode(errors="replace"))
            return
        tally.answered += 1
        tally.replied_usd += Decimal(last["corl"]["cost_usd"])
        tally.seconds.append(time.monotonic() - started_s)


def resident_mib(process: subprocess.Popen[str]) -> float:
    """Memory of a process, as Linux counts it."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def start(folder: Path, *arguments: str) -> tuple[subprocess.Popen[str], str]:
    """A server and the address that it prints."""
    server = subprocess.Popen([*COMMAND, *arguments], cwd=folder, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    found = re.search(r"http://\S+", server.stdout.readline())
    assert found is not None
    return server, found[0]


def start_pool(folder: Path, latency: float) -> subprocess.Popen[str]:
    """The simulated pool over HTTP, and `pool.toml`, which lets all streams ask at once."""
    server, _ = start(
        folder,
        *("pool", "serve", "sim", "--port", "0", "--latency", str(latency)),
        *("--pool-out", "pool.toml", "--log", "upstream.jsonl"),
    )
    pool = folder / "pool.toml"
    while not pool.exists():
        time.sleep(0.05)
    pool.write_text(re.sub(r"max_concurrency = \d+", "max_concurrency = 1000", pool.read_text()))
    return server


def rows(path: Path) -> list[dict[str, Any]]:
    """Lines of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


async def measure(folder: Path, streams: int, seconds: float, latency: float) -> int:
    """Runs it all and prints what came of it."""
    pool_server = start_pool(folder, latency)
    server, url = start(
        folder,
        *("serve", "--system", "cascade:nano>mini", "--pool", "pool.toml", "--quiet"),
        *("--grace", "60"),
    )
    tally, memory = Tally(), []
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            asking = [
                asyncio.create_task(keep_asking(session, url, worker, tally))
                for worker in range(streams)
            ]
            ends_s = time.monotonic() + seconds
            while time.monotonic() < ends_s:
                await asyncio.sleep(min(1.0, seconds / 10))
                memory.append(resident_mib(server))
            server.send_signal(signal.SIGTERM)
            await asyncio.gather(*asking)
        code = await asyncio.to_thread(server.wait, 120)
    finally:
        for process in (server, pool_server):
            if process.poll() is None:
                process.terminate()
                process.wait(30)
    ledger, upstream = rows(folder / "served" / "ledger.jsonl"), rows(folder / "upstream.jsonl")
    requests = rows(folder / "served" / "requests.jsonl")
    booked_usd = sum((Decimal(line["list_cost_usd"]) for line in ledger), Decimal(0))
    billed_usd = sum((Decimal(line["bill_usd"]) for line in upstream), Decimal(0))
    third, end = memory[len(memory) // 3], memory[-1]
    print(f"{streams} streams for {seconds:g} s, then SIGTERM; exit code {code}")
    print(
        f"answered {tally.answered:,} ({tally.answered / seconds:.0f} a second), refused at the"
        f" stop {tally.refused:,}, lost {len(tally.lost)}"
    )
    if tally.seconds:
        print(f"median {statistics.median(tally.seconds):.2f} s a stream")
    print(f"calls: ledger {len(ledger):,}, upstream {len(upstream):,}")
    print(f"dollars: ledger {booked_usd}, upstream {billed_usd}, replies {tally.replied_usd}")
    print(f"memory: {third:.1f} MiB after a third, {end:.1f} MiB at the end")
    for words in tally.lost[:3]:
        print(f"lost: {words}")
    holds = (
        code == 0
        and not tally.lost
        and booked_usd == billed_usd == tally.replied_usd
        and all(line["settled"] for line in ledger)
        and len(requests) == tally.answered
        and end <= third * (1 + MOST_GROWTH)
    )
    print("all of it holds" if holds else "SOMETHING DOES NOT HOLD")
    return 0 if holds else 1


def main() -> int:
    parser = argparse.ArgumentParser(description="Load `corl-bench serve` and check its books.")
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--latency", type=float, default=1.0, help="Of the experts, as a factor.")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(measure(Path(folder), asked.streams, asked.seconds, asked.latency))


if __name__ == "__main__":
    sys.exit(main())
