"""Running the bench as a user does: as a process, in a folder of its own, without keys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.results import canonical_lines

COMMAND = [sys.executable, "-m", "corl_bench.cli.main"]


def _environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in kept if name in os.environ}


@dataclass(frozen=True)
class Corl:
    """The command line in one folder."""

    folder: Path

    def __call__(self, *arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env=_environment(),
            text=True,
            capture_output=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def refused(self, *arguments: str | Path) -> str:
        """The one line that a mistake is answered with."""
        error = self(*arguments, code=2).stderr.strip()
        assert len(error.splitlines()) == 1, error
        return error

    def start_and_wait(self, made: Path, *arguments: str | Path, **options: Any) -> Any:
        """Starts a command that goes on working once it has made a file."""
        process = self.start(*arguments, **options)
        wait_for(made, process)
        return process

    def start(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env=_environment(),
            text=True,
            **options,
        )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Waits until a process has made a file."""
    while not path.exists():
        assert process.poll() is None, f"exit {process.returncode} without {path}"
        time.sleep(0.01)


@dataclass(frozen=True)
class Served:
    """A simulated pool behind HTTP on loopback."""

    pool: Path
    log: Path

    def requests(self) -> list[dict[str, Any]]:
        # The server may be writing one more: what has no newline yet has not been logged.
        logged, _, _ = self.log.read_text().rpartition("\n")
        return [json.loads(line) for line in logged.splitlines()]

    def bill_usd(self) -> Decimal:
        return sum((Decimal(row["bill_usd"]) for row in self.requests()), Decimal(0))


@pytest.fixture
def corl(tmp_path: Path) -> Corl:
    return Corl(tmp_path)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts `corl-bench pool serve sim` and stops it again."""

    @contextmanager
    def serving(*arguments: str | Path) -> Iterator[Served]:
        pool, log = tmp_path / "served.toml", tmp_path / "requests.jsonl"
        server = Corl(tmp_path).start(
            *("pool", "serve", "sim", "--port", "0", "--pool-out", pool, "--log", log),
            *arguments,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            assert server.stdout is not None
            ready = server.stdout.readline()
            assert "http://127.0.0.1" in ready, ready + server.stdout.read()
            wait_for(pool, server)
            yield Served(pool, log)
        finally:
            server.terminate()
            server.wait(20)

    yield serving


def episode_rows(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "episodes.jsonl").read_text().splitlines()]


@pytest.fixture(scope="session")
def canonical() -> Callable[[Path], list[str]]:
    """Episodes of a run, sorted and without timings."""
    return lambda run_dir: canonical_lines(episode_rows(run_dir))


@pytest.fixture(scope="session")
def money() -> Callable[[Path], dict[str, Decimal]]:
    """Sums over a run's ledger, which must be those of its summary to the last digit."""

    def add_up(run_dir: Path) -> dict[str, Decimal]:
        lines = [json.loads(line) for line in (run_dir / "ledger.jsonl").read_text().splitlines()]
        sums = {
            name: sum((Decimal(line.get(name, "0")) for line in lines), Decimal(0))
            for name in ("list_cost_usd", "billed_cost_usd", "unsettled_usd")
        }
        totals = json.loads((run_dir / "summary.json").read_text())["totals"]
        assert {name: Decimal(totals[name]) for name in sums} == sums
        assert totals["attempts"] == sum(not line["stored"] for line in lines)
        assert totals["unsettled_attempts"] == sum(not line["settled"] for line in lines)
        return sums

    return add_up
