"""The experts' server of a job: `corl-bench pool share`, in a process of its own.

It holds the providers' keys, one recording store and one cap for all workers, and outlives the
command that has started it as the job does. Workers have a key of their own, which is good for
nothing but this server. Invariants: no key stands in a command or in a file that others can read;
one server at a time works in a directory, whichever machine it was started on; started again it
listens on the port that it had before, for workers know it by that address.

    server = ExpertsServer(folder)
    server.start("corl-paper", Terms(cap_usd=Decimal(300)))
    server.stats()["spent_usd"]
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlsplit

from corl_bench.errors import ConfigError, StorageError
from corl_bench.experts.pools import builtin_pools, load_pool
from corl_bench.files import write_json
from corl_bench.money.amounts import format_usd, parse_usd
from corl_train.openrlhf.workers import KEY_VARIABLE, read_key, write_key

FOLDER = "experts"
POOL_NAME = "pool.toml"
"""What workers ask with."""
LOG_NAME = "server.log"
PROCESS_NAME = "process.json"
"""Of the process that was started last, until it was stopped; with the machine that it is on."""
LOOPBACK = "127.0.0.1"
_READY_S = 120.0
_STOP_S = 90.0
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What a job's server is started with, and keeps for as long as the job is under way."""

    cap_usd: Decimal
    """Over everything that is ever spent in the job's directory."""
    host: str = LOOPBACK
    """Address to listen on, as the nodes reach this machine."""
    recordings: Path | None = None
    """A store of replies, to take and to add to; None: the job's own."""

    def to_json(self) -> dict[str, str | None]:
        """For the job's file."""
        return {
            "cap_usd": format_usd(self.cap_usd),
            "host": self.host,
            "recordings": None if self.recordings is None else str(self.recordings.absolute()),
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Terms:
        """What `to_json` has written.

        Raises:
            KeyError, TypeError, ConfigError: it has not.
        """
        recordings = kept["recordings"]
        return cls(
            parse_usd(str(kept["cap_usd"])),
            str(kept["host"]),
            None if recordings is None else Path(str(recordings)),
        )


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

    @property
    def was_started(self) -> bool:
        """Whether one was started that nobody has stopped; it may have died since."""
        return self._noted() is not None

    @property
    def is_at_work(self) -> bool:
        """Whether it is there: its process on this machine, its answer from another."""
        noted = self._noted()
        if noted is None:
            return False
        return self._lives(noted) if _is_here(noted) else self._is_ours()

    def start(self, pool: str, terms: Terms, *, price_date: date | None = None) -> bool:
        """Starts it where none is at work; one that works on other terms is replaced.

        Args:
            pool: as of `load_pool`.
            terms: cap, address, recordings.
            price_date: the day of the prices.

        Returns:
            Whether it was started; else it was at work already.

        Raises:
            ConfigError: it does not come up, with what it says; or it is another machine's.
            StorageError: its files cannot be written.
        """
        load_pool(pool, price_date=price_date)
        wanted = {
            **terms.to_json(),
            "pool": _digest_of(pool),
            "price_date": None if price_date is None else price_date.isoformat(),
        }
        if (noted := self._noted()) is not None:
            is_same = {name: noted.get(name) for name in wanted} == wanted
            if not _is_here(noted):
                self._require_from_afar(noted, is_same=is_same)
                return False
            if is_same and self._lives(noted) and self._answers():
                return False
            self.stop()
        self._begin(pool, terms, wanted)
        return True

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
            ConfigError: it does not end, or it is another machine's.
        """
        noted = self._noted()
        if noted is None:
            return
        if not _is_here(noted):
            raise ConfigError(
                f"{self._place_of(noted)}: end it there, with `corl-train launch … --out"
                f" {self.folder} --stop`{self._or_forget()}"
            )
        process = int(noted["process"])
        if self._lives(noted):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
        deadline_s = time.monotonic() + _STOP_S
        while self._lives(noted) or not _is_reaped(process):
            if time.monotonic() > deadline_s:
                raise ConfigError(f"the experts' server (process {process}) does not end: end it")
            time.sleep(0.05)
        (self.folder / FOLDER / PROCESS_NAME).unlink(missing_ok=True)

    def _begin(self, pool: str, terms: Terms, wanted: dict[str, str | None]) -> None:
        """Starts the process, and waits until it answers."""
        books = self.folder / FOLDER
        try:
            books.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot write {books}: {error.strerror}") from error
        key = read_key(self.folder)
        if key is None:
            key = token_urlsafe(32)
            write_key(self.folder, key)
        known = self.address
        port = 0 if known is None else urlsplit(known).port or 0
        pool_file = self.folder / POOL_NAME
        written_ns = pool_file.stat().st_mtime_ns if pool_file.is_file() else None
        recordings, day = wanted["recordings"], wanted["price_date"]
        command = [
            *(sys.executable, "-m", "corl_bench.cli.main", "pool", "share", pool),
            *("--out", str(books), "--max-cost", format_usd(terms.cap_usd)),
            *("--host", terms.host, "--port", str(port), "--key-env", KEY_VARIABLE),
            *("--pool-out", str(pool_file)),
            *(() if recordings is None else ("--recordings", recordings)),
            *(() if day is None else ("--price-date", day)),
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
        noted = {"process": process.pid, "machine": socket.gethostname(), **wanted}
        write_json(books / PROCESS_NAME, noted)
        deadline_s = time.monotonic() + _READY_S
        while time.monotonic() < deadline_s and process.poll() is None:
            is_written = pool_file.is_file() and pool_file.stat().st_mtime_ns != written_ns
            if is_written and self._answers():
                return
            time.sleep(0.1)
        self.stop()  # what does not come up in time is not left behind either
        said = log.read_bytes()[begun:].decode(errors="replace").strip().splitlines()
        raise ConfigError(
            f"the experts' server does not come up: {said[-1] if said else f'see {log}'}"
        )

    def _require_from_afar(self, noted: dict[str, Any], *, is_same: bool) -> None:
        """Lets a server on another machine pass if it answers, and on our terms."""
        if is_same and self._is_ours():
            return
        why = "does not answer from here" if is_same else "works on other terms"
        raise ConfigError(
            f"{self._place_of(noted)}, and {why}: repeat this command there{self._or_forget()}"
        )

    def _place_of(self, noted: dict[str, Any]) -> str:
        return (
            f"the experts' server of this job was started on {noted.get('machine')} (process"
            f" {noted.get('process')})"
        )

    def _or_forget(self) -> str:
        place = self.folder / FOLDER / PROCESS_NAME
        return f", or where that machine is no more delete {place}"

    def _noted(self) -> dict[str, Any] | None:
        """What was noted of the process that was started last and not stopped."""
        try:
            noted = json.loads((self.folder / FOLDER / PROCESS_NAME).read_bytes())
            int(noted["process"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return dict(noted)

    def _lives(self, noted: dict[str, Any]) -> bool:
        """Whether the process is there and is this job's server: its number may be another's."""
        try:
            line = Path(f"/proc/{int(noted['process'])}/cmdline").read_bytes()
        except OSError:
            return False
        return str(self.folder / FOLDER).encode() in line

    def _is_ours(self) -> bool:
        """Whether what answers takes this job's key: an address may be another's by now."""
        try:
            self.stats()
        except ConfigError:
            return False
        return True

    def _answers(self) -> bool:
        try:
            with _direct().open(self.health_url, timeout=_TIMEOUT_S):
                return True
        except (OSError, ValueError):
            return False


def _is_here(noted: dict[str, Any]) -> bool:
    """A process's number means something on its own machine alone; directories are shared."""
    return bool(noted.get("machine") == socket.gethostname())


def _digest_of(pool: str) -> str:
    """Of the text of a pool: its addresses and keys' names are no part of the pool's own digest."""
    place = builtin_pools().get(pool)
    return hashlib.sha256((Path(pool) if place is None else place).read_bytes()).hexdigest()


def _direct() -> urllib.request.OpenerDirector:
    """Without a proxy: the server is this cluster's own."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _is_reaped(process: int) -> bool:
    """Takes note of a child that has ended; others' children are not ours to wait for."""
    try:
        return os.waitpid(process, os.WNOHANG)[0] == process
    except ChildProcessError:
        return True
