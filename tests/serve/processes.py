"""Servers as processes, each at the address that it prints: `corl-bench serve`, a served pool."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "corl_bench.cli.main"]


def environment(**more: str) -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in kept if name in os.environ} | more


@contextmanager
def process(folder: Path, *arguments: str | Path, **more: str) -> Iterator[tuple[Any, str]]:
    """A server and its address, as it prints it; ended with SIGTERM, and killed in the end."""
    with (folder / f"{arguments[0]}.log").open("ab") as log:
        server = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=folder,
            env=environment(**more),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found is not None, f"{line}{(folder / f'{arguments[0]}.log').read_text()}"
        yield server, found[0]
    finally:
        if server.poll() is None:
            server.terminate()
            try:
                server.wait(30)
            finally:
                server.kill()
        if server.stdout is not None:
            server.stdout.close()


@contextmanager
def simulated_pool(folder: Path, *arguments: str) -> Iterator[tuple[Path, str]]:
    """The simulated pool over HTTP: the file that reaches it, and its address."""
    pool = folder / "pool.toml"
    options = ("--port", "0", "--pool-out", pool, "--log", folder / "upstream.jsonl")
    with process(folder, "pool", "serve", "sim", *options, *arguments) as (_, url):
        while not pool.exists():
            time.sleep(0.01)
        yield pool, url
