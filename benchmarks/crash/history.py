"""A folder from kill to kill: what each has left, held against what was left and asked before."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from bookkeeping import ledger_faults

from corl_bench.experts.store import RecordingStore
from corl_bench.files import read_lines
from corl_bench.money.ledger import Ledger
from corl_bench.results import read_episodes, read_manifest, read_summary
from crash.bench import Bench

REPETITION = 1_000_000
"""Draws of a request that an episode makes again lie so far apart; see `Request.draw_seed`."""
APPENDED = ("episodes.jsonl", "ledger.jsonl", "journal.jsonl", "requests.jsonl", "samples.jsonl")


@dataclass(frozen=True)
class Left:
    """A folder as a kill has left it."""

    files: dict[str, bytes]
    """Whole lines of those that only grow."""
    stored: frozenset[tuple[str, str, int]]
    """Replies: expert, problem, draw."""
    in_flight: tuple[Any, ...]
    """Attempts on the journal alone."""
    answered: frozenset[tuple[str, int]]
    """Those of them whose reply is stored."""
    episodes: int


def read_left(bench: Bench, run_dir: Path, store: Path | None = None) -> Left:
    """Reads a copy of a folder with the readers of the commands that come after a kill."""
    copy = bench.folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    if run_dir.exists():
        shutil.copytree(run_dir, copy, dirs_exist_ok=True)
    path = copy / "recordings.sqlite"
    if store is not None:
        for file in store.parent.glob(f"{store.name}*"):
            shutil.copy(file, copy / file.name.replace(store.name, path.name))
    files = {name: whole_lines(copy / name) for name in APPENDED}
    torn = sum((copy / n).exists() and (copy / n).read_bytes() != files[n] for n in APPENDED)
    bench.cut_short["torn lines"] += torn
    for name in APPENDED:
        list(read_lines(copy / name))
    if (copy / "manifest.json").exists():
        read_manifest(copy)
    if (copy / "summary.json").exists():
        read_summary(copy)
    episodes = len(read_episodes(copy)) if files["episodes.jsonl"] else 0
    calls = stored_calls(path)
    in_flight: tuple[Any, ...] = ()
    if (copy / "ledger.jsonl").exists():
        with Ledger.open(copy) as ledger:
            in_flight = tuple(ledger.unaccounted())
    bench.cut_short["attempts in flight"] += len(in_flight)
    bench.cut_short["files half written"] += len(list(copy.glob(".*.json.*")))
    draws = {(c.request_key, c.sample, c.occurrence, c.episode): c for c in calls if c.reply}
    answered = frozenset(
        (i.call, i.attempt)
        for i in in_flight
        if (i.request_key, i.sample, i.occurrence, i.scope) in draws
    )
    bench.cut_short["of them with a stored reply"] += len(answered)
    stored = frozenset(
        (c.expert, c.problem_key, c.sample + REPETITION * c.occurrence) for c in draws.values()
    )
    return Left(files, stored, in_flight, answered, episodes)


def whole_lines(path: Path) -> bytes:
    """All of a file up to its last newline."""
    data = path.read_bytes() if path.exists() else b""
    return data[: data.rfind(b"\n") + 1]


def stored_calls(path: Path) -> list[Any]:
    """What a store holds; nothing where it was not made or is still empty."""
    if not path.exists():
        return []
    connection = sqlite3.connect(path)
    with connection:
        (health,) = connection.execute("PRAGMA integrity_check").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    connection.close()
    assert health == "ok", health
    if not tables:
        return []
    with RecordingStore.open(path, read_only=True) as store:
        return list(store.calls())


class History:
    """A folder from kill to kill.

    Args:
        bench: notes what does not hold.
        run_dir: the folder.
        store: where its replies are; None is its own.
        draws_are_one: whether an expert's draw for a problem is asked with one message alone, as
            in runs; a controller words its questions itself.
    """

    def __init__(
        self,
        bench: Bench,
        run_dir: Path,
        store: Path | None = None,
        *,
        draws_are_one: bool = True,
    ) -> None:
        self.bench = bench
        self.run_dir = run_dir
        self.store = store
        self.draws_are_one = draws_are_one
        self.requests: list[dict[str, Any]] = []
        self.left: Left | None = None
        self.open: dict[tuple[str, int], tuple[Decimal, bool]] = {}
        """Attempts that were in flight at some kill: worst case, and whether it was answered."""

    def look(self) -> Left:
        """After a kill: what is left, held against what was left before and asked since."""
        name = self.run_dir.name
        news = self.bench.log.news()
        before, now = self.left, read_left(self.bench, self.run_dir, self.store)
        if before is not None:
            again = [row for row in news if request_of(row) in before.stored]
            holds = not again or not self.draws_are_one
            self.bench.expect(holds, f"{name}: {len(again)} asked again")
            self.bench.expect(before.stored <= now.stored, f"{name}: stored replies are gone")
            for file in APPENDED:
                grown = now.files[file].startswith(before.files[file])
                self.bench.expect(grown, f"{name}: {file} has lost lines")
        for intent in now.in_flight:
            attempt = intent.call, intent.attempt
            self.open[attempt] = intent.worst_usd, attempt in now.answered
        self.requests += news
        self.left = now
        return now

    def close(self) -> list[dict[str, Any]]:
        """In the end: the books, which are returned."""
        bench, name = self.bench, self.run_dir.name
        self.look()
        ledger = list(read_lines(self.run_dir / "ledger.jsonl"))
        journal = list(read_lines(self.run_dir / "journal.jsonl"))
        lines = {(line["call"], line["attempt"]): line for line in ledger}
        bench.expect(len(lines) == len(ledger), f"{name}: an attempt is booked twice")
        for intent in journal:
            known = (intent["call"], intent["attempt"]) in lines
            bench.expect(known, f"{name}: {intent['call']} is on the journal alone")
        for attempt, (worst_usd, was_answered) in self.open.items():
            line = lines.get(attempt, {})
            if was_answered:
                stands = line.get("status") == "ok" and line["settled"]
            else:
                stands = line.get("status") == "interrupted" and not line["settled"]
                stands = stands and Decimal(line["unsettled_usd"]) == worst_usd
            bench.expect(stands, f"{name}: {attempt} was in flight and stands as {line}")
        bench.faults += [f"{name}: {fault}" for fault in ledger_faults(ledger, self.requests)]
        return ledger


def request_of(row: Mapping[str, Any]) -> tuple[str, str, int]:
    """What a line of the server's log asks for."""
    return row["expert"], row["problem"], row["draw"]


def excess(rows: Iterable[Mapping[str, Any]], whole: Iterable[Mapping[str, Any]]) -> int:
    """Requests beyond those of an uninterrupted command."""
    return (Counter(map(request_of, rows)) - Counter(map(request_of, whole))).total()
