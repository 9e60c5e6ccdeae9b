"""What a request to `corl-bench pool share` costs its server, asked for and from the store.

Starts the simulated pool over HTTP, `corl-bench pool share` in front of it, and a client that
wants the same draws twice with a number of them in flight. The server's CPU time is read from
the system, so what else the machine does hardly matters; its memory is read when it has begun and
after each of the two. What must hold, or the exit code is 1:
every request is answered, and the pool was asked for each draw once.

    python benchmarks/share_load.py --requests 2000 --in-flight 64
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp

COMMAND = [sys.executable, "-m", "corl_bench.cli.main"]
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def start(stack: ExitStack, folder: Path, *arguments: str) -> tuple[int, str]:
    """A server's process and the address that it prints; ended with the stack."""
    server = subprocess.Popen([*COMMAND, *arguments], cwd=folder, stdout=subprocess.PIPE, text=True)
    stack.callback(server.wait)
    stack.callback(server.terminate)
    assert server.stdout is not None
    found = re.search(r"http://\S+", server.stdout.readline())
    assert found is not None
    return server.pid, found[0]


def cpu_s(pid: int) -> float:
    """CPU time of a process so far, its own and the system's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


async def ask_all(url: str, requests: int, in_flight: int) -> int:
    """Wants each draw once; how many came."""
    places = asyncio.Semaphore(in_flight)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(number: int) -> bool:
            said = [{"role": "user", "content": f"What is {number} + {number}? Explain."}]
            body: dict[str, Any] = {"model": "nano", "seed": number % 4, "messages": said}
            async with places, session.post(f"{url}/chat/completions", json=body) as answer:
                return answer.status == 200 and "corl" in await answer.json()

        return sum(await asyncio.gather(*map(ask, range(requests))))


def main() -> int:
    """Runs the load; the exit code says whether all of it held."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--in-flight", type=int, default=64)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        log = ("--log", "upstream.jsonl", "--pool-out", "pool.toml", "--latency", "0")
        start(stack, folder, "pool", "serve", "sim", *log)
        share = ("pool", "share", "pool.toml", "--max-cost", "1000")
        pid, url = start(stack, folder, *share)
        shown = {"begun_mb": round(memory_mb(pid), 1)}
        answered = 0
        for word in ("asked", "stored"):
            before_s = cpu_s(pid)
            answered += asyncio.run(ask_all(url, wanted.requests, wanted.in_flight))
            shown[f"{word}_ms"] = round(1000 * (cpu_s(pid) - before_s) / wanted.requests, 3)
            shown[f"{word}_mb"] = round(memory_mb(pid), 1)
        asked = len((folder / "upstream.jsonl").read_text().splitlines())
    print(json.dumps(shown))
    return 0 if (answered, asked) == (2 * wanted.requests, wanted.requests) else 1


if __name__ == "__main__":
    sys.exit(main())
