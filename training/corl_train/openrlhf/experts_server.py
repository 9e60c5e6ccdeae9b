"""The experts' server of a job: `corl-bench pool share`, in a process of its own.

It holds the providers' keys, one recording store and one cap for all workers, and outlives the
command that has started it as the job does. Workers have a key of their own, which is good for
nothing but this server. Invariants: no key stands in a command or in a file that others can read;
one server at a time works in a directory; started again it listens where it did before, for
workers know it by that address.

    server = ExpertsServer(folder)
    server.start("corl-paper", cap_usd=Decimal(300), host="127.0.0.1")
    server.stats()["spent_usd"]
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlsplit

from corl_bench.errors import ConfigError, StorageError
from corl_bench.experts.pools import load_pool
from corl_bench.files import write_json
from corl_bench.money.amounts import format_usd
from corl_train.openrlhf.workers import KEY_VARIABLE, read_key, write_key

FOLDER = "experts"
POOL_NAME = "pool.toml"
"""What workers ask with."""
LOG_NAME = "server.log"
_PROCESS_NAME = "process.json"
_READY_S = 120.0
_STOP_S = 90.0
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class ExpertsServer:
    """The server of the job in a directory."""

    folder: Path
    """Of the job."""

    @property
    def address(self) -> str | None:
        """Where workers reach it, with its `/v1`; None before it was first started."""
        path = self.folder / POOL_NAME
        if not path.is_file():
            return None
        return load_pool(str(path)).experts[0].base_url

    @property
    def health_url(self) -> str:
        """What answers whoever may reach it; empty before it was first started."""
        address = self.address
        return "" if address is None else f"{address.removesuffix('/v1')}/health"

    def start(
        self,
        pool: str,
        *,
        cap_usd: Decimal,
        host: str,
        recordings: Path | None = None,
        price_date: str | None = None,
    ) -> None:
        """Starts it where none is at work; one with another cap is replaced.

        Args:
            pool: as of `load_pool`.
            cap_usd: over everything that is ever spent in the job's directory.
            host: address to listen on, as the nodes reach this machine.
            recordings: a store of replies, to take and to add to; None: that of the last time,
                else the job's own.
            price_date: the day of the prices.

        Raises:
            ConfigError: it does not come up; with what it says.
            StorageError: its files cannot be written.
        """
        books = self.folder / FOLDER
        try:
            books.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot write {books}: {error.strerror}") from error
        if recordings is None and (before := self._written()) and before.get("recordings"):
            recordings = Path(str(before["recordings"]))
        wanted = {
            "cap_usd": format_usd(cap_usd),
            "host": host,
            "recordings": None if recordings is None else str(recordings.absolute()),
        }
        if (running := self._running()) is not None:
            if {name: running.get(name) for name in wanted} == wanted and self._answers():
                return
            self.stop()
        key = read_key(self.folder)
        if key is None:
            key = token_urlsafe(32)
            write_key(self.folder, key)
        known = self.address
        port = 0 if known is None else urlsplit(known).port or 0
        pool_file = self.folder / POOL_NAME
        written_ns = pool_file.stat().st_mtime_ns if pool_file.is_file() else None
        command = [
            *(sys.executable, "-m", "corl_bench.cli.main", "pool", "share", pool),
            *("--out", str(books), "--max-cost", format_usd(cap_usd)),
            *("--host", host, "--port", str(port), "--key-env", KEY_VARIABLE),
            *("--pool-out", str(pool_file)),
            *(() if recordings is None else ("--recordings", str(recordings.absolute()))),
            *(() if price_date is None else ("--price-date", price_date)),
        ]
        log = books / LOG_NAME
        with log.open("ab") as output:
            begun = output.tell()
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, KEY_VARIABLE: key},
                start_new_session=True,  # Ctrl-C is for whoever follows the job, not for this
            )
        write_json(books / _PROCESS_NAME, {"process": process.pid, **wanted})
        deadline_s = time.monotonic() + _READY_S
        while time.monotonic() < deadline_s:
            is_written = pool_file.is_file() and pool_file.stat().st_mtime_ns != written_ns
            if is_written and self._answers():
                return
            if process.poll() is not None:
                break
            time.sleep(0.1)
        said = log.read_bytes()[begun:].decode(errors="replace").strip().splitlines()
        raise ConfigError(
            f"the experts' server does not come up: {said[-1] if said else f'see {log}'}"
        )

    def stats(self) -> dict[str, Any]:
        """What was spent and done; amounts are dollars in digits.

        Raises:
            ConfigError: it does not answer.
        """
        address, key = self.address, read_key(self.folder)
        try:
            request = urllib.request.Request(f"{address}/stats")
            request.add_header("Authorization", f"Bearer {key}")
            with _direct().open(request, timeout=_TIMEOUT_S) as answer:
                told: dict[str, Any] = json.loads(answer.read())
                return told
        except (OSError, ValueError) as error:
            reason = " ".join(str(getattr(error, "reason", error)).split())
            raise ConfigError(
                f"the experts' server at {address} does not answer ({reason}): repeat the"
                " `corl-train launch` of this job, which starts it again"
            ) from None

    def stop(self) -> None:
        """Lets it end what is under way, and ends it. Nothing where it is not at work.

        Raises:
            ConfigError: it does not end.
        """
        running = self._running()
        if running is None:
            return
        process = int(running["process"])
        try:
            os.kill(process, signal.SIGTERM)
            deadline_s = time.monotonic() + _STOP_S
            while self._running() is not None and time.monotonic() < deadline_s:
                _reap(process)
                time.sleep(0.05)
        except ProcessLookupError:
            return
        if self._running() is not None:
            raise ConfigError(f"the experts' server (process {process}) does not end: end it")

    def _running(self) -> dict[str, Any] | None:
        """What is written of the process, if it is there and is this job's server."""
        written = self._written()
        if written is None:
            return None
        try:
            line = Path(f"/proc/{int(written['process'])}/cmdline").read_bytes()
        except (OSError, ValueError, KeyError):
            return None
        # The number may be another process's by now.
        return written if str(self.folder / FOLDER).encode() in line else None

    def _written(self) -> dict[str, Any] | None:
        """What was noted of the process that was started last."""
        try:
            written = json.loads((self.folder / FOLDER / _PROCESS_NAME).read_bytes())
        except (OSError, ValueError):
            return None
        return written if isinstance(written, dict) else None

    def _answers(self) -> bool:
        try:
            with _direct().open(self.health_url, timeout=_TIMEOUT_S):
                return True
        except (OSError, ValueError):
            return False


def _direct() -> urllib.request.OpenerDirector:
    """Without a proxy: the server is this machine's own."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _reap(process: int) -> None:
    """Takes note of a child that has ended; others' children are not ours to wait for."""
    try:
        os.waitpid(process, os.WNOHANG)
    except ChildProcessError:
        return
