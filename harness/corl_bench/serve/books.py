"""The money of a served directory: ledger and journal, caps, and a line for each request.

`ledger.jsonl` and `journal.jsonl` are those of a run and hold all that was spent, under names
that begin with the account: `alice/<request>#<call>`. `requests.jsonl` has how each request
ended, without its text. A lock keeps other processes out.

Invariants: no call is sent before it is journalled and reserved under both caps; a directory
that is opened again goes on with what was spent in it, and what a killed process left in flight
is booked as unsettled at its worst case before anything else is asked.

    with Books.open(Path("served"), keys=[key], cap_usd=Decimal("20"), described={}) as books:
        asker = books.asker(books.accounts["alice"], stopping=lambda: False)
"""

from __future__ import annotations

import os
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from corl_bench import __version__
from corl_bench.errors import ConfigError, StorageError
from corl_bench.experts.attempts import Asker, settle_unaccounted
from corl_bench.experts.base import Provider
from corl_bench.experts.limits import Limiters
from corl_bench.experts.recording import Recordings, Unkept
from corl_bench.experts.tariff import Tariff
from corl_bench.files import Closing, LineFile, remove_partials, write_json
from corl_bench.money.cap import SpendingCap
from corl_bench.money.ledger import Ledger, read_ledger
from corl_bench.money.prices import Price
from corl_bench.results.documents import read_document
from corl_bench.results.manifest import MANIFEST_NAME
from corl_bench.runs.directory import lock_directory
from corl_bench.serve.accounts import Account, LinkedCaps
from corl_bench.serve.keys import Key

SERVED_NAME = "served.json"
SERVED_SCHEMA = "corl-bench/served@1"
REQUESTS_NAME = "requests.jsonl"


@dataclass
class Books(Closing):
    """A directory, open for one server."""

    path: Path
    instance: str
    """Names this directory among all others."""
    accounts: Mapping[str, Account]
    cap: SpendingCap
    ledger: Ledger
    unsettled: int
    """Attempts that an earlier process left in flight."""
    store: Recordings
    """Closed by whoever opened it."""
    _requests: LineFile
    _lock: int
    _limiters: Limiters = field(default_factory=Limiters)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        keys: Iterable[Key],
        cap_usd: Decimal | None,
        described: Mapping[str, Any],
        store: Recordings | None = None,
        pricing: Mapping[str, Price | Tariff] | None = None,
    ) -> Self:
        """Makes or reopens the directory and locks it.

        Args:
            path: the directory.
            keys: who may ask.
            cap_usd: what the server may spend over all of its time in this directory.
            described: what is served, for `served.json`.
            store: where replies are kept; None keeps no text: what a client asks and is told is
                nobody else's.
            pricing: `ExpertSpec.pricing` by alias, for replies that reached the store in a
                process that was killed before it had booked them.

        Raises:
            ConfigError: another process works here, or it holds something else.
            StorageError: it cannot be written.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}") from error
        lock = lock_directory(path, who="server")
        ledger = None
        try:
            remove_partials(path)
            instance = _claim(path, described)
            ledger = Ledger.open(path, remember=False)
            kept = store or Unkept()
            unsettled = settle_unaccounted(ledger, kept, instance, pricing or {})
            spent_usd = _spent_by_account(path)
            return cls(
                path=path,
                instance=instance,
                accounts={key.name: Account(key, spent_usd[key.name]) for key in keys},
                cap=SpendingCap(cap_usd, ledger.totals.committed_usd, final=False),
                ledger=ledger,
                unsettled=unsettled,
                store=kept,
                _requests=LineFile.open(path / REQUESTS_NAME),
                _lock=lock,
            )
        except BaseException:
            if ledger is not None:
                ledger.close()
            os.close(lock)
            raise

    @property
    def left_behind(self) -> str:
        """What the operator should know of the last server's end; empty where it was in order."""
        if not self.unsettled:
            return ""
        return (
            f"{self.unsettled} calls were in flight when the last server ended: their bill is"
            " unknown, they are booked as unsettled"
        )

    def asker(
        self,
        account: Account | None,
        *,
        providers: Mapping[str, Provider],
        stopping: Callable[[], bool],
    ) -> Asker:
        """Asks for one request, on an account or, with None, on the server's own.

        Limits of rate are those of all askers.
        """
        return Asker(
            providers=providers,
            store=self.store,
            ledger=self.ledger,
            cap=self.cap if account is None else LinkedCaps(account.cap, self.cap),
            run_id=self.instance,
            stopping=stopping,
            limiters=self._limiters,
        )

    def finish(self, line: Mapping[str, Any], calls: Iterable[str]) -> None:
        """Writes how a request ended, and forgets its calls.

        Args:
            line: what is written.
            calls: its names in the ledger.
        """
        self._requests.append([line])
        self.ledger.forget(calls)

    def close(self) -> None:
        self.ledger.close()
        self._requests.close()
        os.close(self._lock)


def _claim(path: Path, described: Mapping[str, Any]) -> str:
    """Says what is served here now; the directory's own name stays, whatever is served."""
    if (path / MANIFEST_NAME).exists():
        raise ConfigError(f"{path} holds a run: name another directory with --out")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if (path / SERVED_NAME).exists():
        before = read_document(path, SERVED_NAME, SERVED_SCHEMA)
    elif (path / "ledger.jsonl").exists():
        raise ConfigError(f"{path} has a ledger but no {SERVED_NAME}: name another --out")
    else:
        before = {"instance": uuid.uuid4().hex[:16], "created": now}
    document = {
        "schema": SERVED_SCHEMA,
        "instance": before["instance"],
        "created": before["created"],
        "started": now,
        "corl_bench": __version__,
        **described,
    }
    write_json(path / SERVED_NAME, document)
    return str(before["instance"])


def _spent_by_account(path: Path) -> dict[str, Decimal]:
    """What each account has committed so far."""
    spent_usd: dict[str, Decimal] = defaultdict(Decimal)
    for line in read_ledger(path):
        spent_usd[line.call.partition("/")[0]] += line.billed_cost_usd + line.unsettled_usd
    return spent_usd
