"""The recording store: finished calls in one SQLite file, to be replayed or shipped as text.

Invariants: a call whose `add` has returned is found again, also after a kill -9 of the process;
several processes may write to one file at the same time; what was stored is never changed (but
a call without a reply gives way to the same call with one). Keys, addresses and headers are no
part of a call, and text that looks like a key is struck out of the details of failed attempts.

    with RecordingStore.open(Path("recordings.sqlite")) as store:
        store.add(call)
        store.find(call.request_key, call.sample, call.occurrence)
"""

from __future__ import annotations

import json
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Reply, Request
from corl_bench.experts.recording import Attempt, RecordedCall, problem_key
from corl_bench.experts.store_file import (
    DECODING_ERRORS,
    connect_to_read,
    connect_to_write,
    explain,
)
from corl_bench.experts.tariff import RoutedCall
from corl_bench.files import Closing
from corl_bench.money.amounts import format_usd
from corl_bench.text import without_keys
from corl_bench.types import Usage

_COLUMN_NAMES = (
    *("request_key", "sample", "occurrence", "expert", "model", "problem_key", "attempts"),
    *("reply", "text", "episode", "run_id", "origin", "request"),
)
_COLUMNS = ", ".join(_COLUMN_NAMES)
_SAME_RECORDED = (
    "origin = 'recorded' AND request_key = :request_key AND sample = :sample"
    " AND occurrence = :occurrence AND episode = :episode AND run_id = :run_id"
)
_SAME_IMPORTED = (
    "origin = 'imported' AND problem_key = :problem_key AND expert = :expert AND sample = :sample"
)
_ADD = (
    f"INSERT OR REPLACE INTO calls ({_COLUMNS})"
    f" SELECT {', '.join(f':{name}' for name in _COLUMN_NAMES)} WHERE NOT EXISTS"
    " (SELECT 1 FROM calls WHERE {same} AND (reply IS NOT NULL OR :reply IS NULL))"
)
_ADD_RECORDED = _ADD.format(same=_SAME_RECORDED)
_ADD_IMPORTED = _ADD.format(same=_SAME_IMPORTED)

_FIND = (
    f"SELECT {_COLUMNS} FROM calls WHERE origin = 'recorded' AND request_key = :request_key"
    " AND sample = :sample AND occurrence = :occurrence AND episode IN (:episode, ''){run}"
    " ORDER BY reply IS NULL, episode = '', id DESC LIMIT 1"
)
_FIND_IN_ANY_RUN = _FIND.format(run="")
_FIND_IN_ONE_RUN = _FIND.format(run=" AND run_id = :run_id")
_FIND_IMPORTED = (
    f"SELECT {_COLUMNS} FROM calls WHERE origin = 'imported' AND problem_key = :problem_key"
    " AND (expert = :expert OR model = :model) AND sample = :sample"
    " ORDER BY expert = :expert DESC, id DESC LIMIT 1"
)

_DRAWS = (
    "SELECT DISTINCT sample, episode FROM calls WHERE origin = 'recorded'"
    " AND request_key = :request_key AND occurrence = :occurrence AND reply IS NOT NULL"
    " ORDER BY sample, episode"
)
_IMPORTED_DRAWS = (
    "SELECT DISTINCT sample, '' FROM calls WHERE origin = 'imported'"
    " AND problem_key = :problem_key AND (expert = :expert OR model = :model) ORDER BY sample"
)

_STATS = """SELECT expert, model, count(*), sum(origin = 'imported'), count(DISTINCT problem_key),
        count(DISTINCT sample), sum(json_array_length(attempts)), sum(reply IS NULL),
        total(json_extract(reply, '$.usage.input_tokens'))
            + total(json_extract(reply, '$.usage.cached_input_tokens'))
            + total(json_extract(reply, '$.usage.cache_write_tokens'))
            + total(json_extract(reply, '$.usage.cache_write_1h_tokens')),
        total(json_extract(reply, '$.usage.cached_input_tokens')),
        total(json_extract(reply, '$.usage.output_tokens')),
        total(json_extract(reply, '$.usage.reasoning_tokens')),
        total(json_extract(reply, '$.usage.estimated')),
        count(json_extract(reply, '$.source_correct')),
        total(json_extract(reply, '$.source_correct'))
    FROM calls GROUP BY expert, model ORDER BY expert, model"""

_DEFLATE_LEVEL = 1
"""Level 1 gives within 5 % of the size of level 6 on replies, at four fifths of its time."""

_SMALL_BYTES = 7_900
"""Of a text that a window of 8 KiB holds whole."""
_SMALL_WINDOW, _WHOLE_WINDOW = 13, 15
_HASH_MEMORY = 6
"""zlib's own choice of window and tables is 256 KiB to set up, which takes eight times as long
as deflating a reply does. These give the same size."""

_PAGE_ROWS = 256


@dataclass(frozen=True, slots=True)
class ExpertStats:
    """What a store holds of one expert (under one model id). Tokens are those of its replies."""

    expert: str
    model: str
    calls: int
    imported: int
    """Of the calls, how many came from a file of answers rather than from a run."""
    problems: int
    samples: int
    """Distinct sample indices."""
    attempts: int
    errors: int
    """Calls without a reply."""
    input_tokens: int
    """All classes of input together."""
    cached_input_tokens: int
    output_tokens: int
    """Reasoning included."""
    reasoning_tokens: int
    estimated: int
    """Replies whose token counts are estimates."""
    judged: int
    """Replies that came with a verdict of their source."""
    judged_correct: int


@dataclass(frozen=True, slots=True)
class StoreStats:
    """What a store holds, expert by expert in the order of their names."""

    path: Path
    size_bytes: int
    """On disk, the write-ahead log included."""
    schema_version: int
    experts: tuple[ExpertStats, ...]

    @property
    def calls(self) -> int:
        return sum(expert.calls for expert in self.experts)


class RecordingStore(Closing):
    """One open store; `RecordingStore.open` is the way in.

    Any thread may look things up and add. The lock is ours: Python shares prepared statements
    between the threads of one connection, and from 3.12 on a statement that two of them step
    through at a time loses rows (`SQLITE_MISUSE`). A `transaction` holds it to its end.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: Path, *, create: bool = True, read_only: bool = False) -> RecordingStore:
        """Opens a store.

        Args:
            path: the store's file.
            create: make a new store where there is no file; else that is an error.
            read_only: only look things up; works in a folder that one may not write to.

        Raises:
            ConfigError: the file is missing, no store, damaged, locked for more than
                `BUSY_TIMEOUT_S`, not permitted, or written by a newer version.
        """
        try:
            if path.is_dir():
                raise ConfigError(f"{path} is a folder; recordings are one file: name it")
            if not path.exists():
                if read_only or not create:
                    raise ConfigError(
                        f"no recordings at {path}: `corl-bench run --mode record`, or "
                        f"`corl-bench recordings import {path} FILE`, makes some"
                    )
                path.parent.mkdir(parents=True, exist_ok=True)
            if read_only:
                return cls(path, connect_to_read(path))
            return cls(path, connect_to_write(path))
        except OSError as error:
            raise ConfigError(f"cannot reach {path}: {error.strerror}") from error
        except (sqlite3.Error, *DECODING_ERRORS) as error:
            raise explain(path, error) from error

    def find(
        self,
        request_key: str,
        sample: int,
        occurrence: int,
        *,
        episode: str = "",
        run_id: str | None = None,
    ) -> RecordedCall | None:
        """Looks up a recorded call.

        Args:
            request_key: `Request.key()`.
            sample: which draw of the reply.
            occurrence: how often the episode made this very request before.
            episode: prefer the call that belongs to this episode alone over the shared one.
            run_id: only calls that this run recorded.

        Returns:
            The call, the newest one where several runs recorded it; None: there is none.
        """
        key = {
            "request_key": request_key,
            "sample": sample,
            "occurrence": occurrence,
            "episode": episode,
        }
        if run_id is None:
            return self._find(_FIND_IN_ANY_RUN, key)
        return self._find(_FIND_IN_ONE_RUN, key | {"run_id": run_id})

    def find_imported(
        self, problem_key: str, expert: str, model: str, sample: int
    ) -> RecordedCall | None:
        """Looks up an imported answer to a problem, by the expert's alias, else by its model."""
        return self._find(
            _FIND_IMPORTED,
            {"problem_key": problem_key, "expert": expert, "model": model, "sample": sample},
        )

    def draws(self, request: Request) -> list[tuple[int, str]]:
        """Which replies to a request are stored, whoever asked for them.

        Args:
            request: its own sample does not matter.

        Returns:
            (sample, episode) of each, in order: what `find` is asked for, and where nobody
            recorded one, the samples that were imported for its problem and expert.
        """
        recorded = {"request_key": request.key(), "occurrence": request.occurrence}
        imported = {
            "problem_key": problem_key(request.problem_text),
            "expert": request.expert.name,
            "model": request.expert.model,
        }
        try:
            with self._lock:
                rows = self._connection.execute(_DRAWS, recorded).fetchall()
                return rows or self._connection.execute(_IMPORTED_DRAWS, imported).fetchall()
        except sqlite3.Error as error:
            raise explain(self.path, error) from error

    def find_same(self, call: RecordedCall) -> RecordedCall | None:
        """Looks up the stored call that stands where `add(call)` would put this one."""
        if call.origin == "imported":
            found = self.find_imported(call.problem_key, call.expert, "", call.sample)
            return found if found and found.expert == call.expert else None
        found = self.find(
            call.request_key,
            call.sample,
            call.occurrence,
            episode=call.episode,
            run_id=call.run_id,
        )
        return found if found and found.episode == call.episode else None

    def add(self, call: RecordedCall) -> bool:
        """Stores a call; when it returns, a kill of the process does not lose it.

        A recorded call is stored once for each (request_key, sample, occurrence, episode,
        run_id), an imported one once for each (problem_key, expert, sample). A second one is
        left aside, unless it has a reply and the stored one has none.

        Returns:
            True where the call is stored now, False where one was there already.

        Raises:
            ConfigError: the disk is full, the file locked, damaged or read-only.
        """
        statement = _ADD_IMPORTED if call.origin == "imported" else _ADD_RECORDED
        try:
            with self._lock:
                return self._connection.execute(statement, _row_of(call)).rowcount > 0
        except sqlite3.Error as error:
            raise explain(self.path, error) from error

    def add_problem(self, problem_key: str, text: str) -> None:
        """Keeps the statement of an imported call for export; a known one stays as it is."""
        try:
            with self._lock:
                self._connection.execute(
                    "INSERT OR IGNORE INTO problems VALUES (?, ?)", (problem_key, _deflate(text))
                )
        except sqlite3.Error as error:
            raise explain(self.path, error) from error

    def problem_text(self, problem_key: str) -> str | None:
        """The statement that an import named by `problem_key`; None: unknown."""
        try:
            row = self._fetch("SELECT text FROM problems WHERE problem_key = ?", (problem_key,))
            return None if row is None else _inflate(row[0])
        except (sqlite3.Error, zlib.error) as error:
            raise explain(self.path, error) from error

    def calls(self) -> Iterator[RecordedCall]:
        """All calls stored when it is called first, in the order in which they were stored.

        Reads in pages, so a long export holds no lock and no growing log under a writer.
        """
        try:
            (last,) = self._fetch("SELECT max(id) FROM calls")
            position = 0
            while last is not None and position < last:
                with self._lock:
                    page = self._connection.execute(
                        f"SELECT id, {_COLUMNS} FROM calls WHERE id > ? AND id <= ?"
                        f" ORDER BY id LIMIT {_PAGE_ROWS}",
                        (position, last),
                    ).fetchall()
                if not page:
                    return
                position = page[-1][0]
                for row in page:
                    yield _call_of(row[1:])
        except (sqlite3.Error, *DECODING_ERRORS) as error:
            raise explain(self.path, error) from error

    def stats(self) -> StoreStats:
        """Counts calls and tokens; reads the whole store."""
        try:
            with self._lock:
                rows = self._connection.execute(_STATS).fetchall()
                (version,) = self._fetch("PRAGMA user_version")
        except sqlite3.Error as error:
            raise explain(self.path, error) from error
        try:
            experts = tuple(
                ExpertStats(expert, model, *(int(value) for value in counts))
                for expert, model, *counts in rows
            )
        except (TypeError, ValueError) as error:
            raise explain(self.path, error) from error
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        size_bytes = sum(file.stat().st_size for file in files if file.exists())
        return StoreStats(self.path, size_bytes, version, experts)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is added inside is stored together at the end, or nothing of it."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                raise explain(self.path, error) from error
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException as error:
                # SQLite has rolled back by itself where the disk was full.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise explain(self.path, error) from error
                raise

    def close(self) -> None:
        self._connection.close()

    def _find(self, statement: str, arguments: Mapping[str, Any]) -> RecordedCall | None:
        try:
            row = self._fetch(statement, arguments)
            return None if row is None else _call_of(row)
        except (sqlite3.Error, *DECODING_ERRORS) as error:
            raise explain(self.path, error) from error

    def _fetch(self, statement: str, arguments: Sequence[Any] | Mapping[str, Any] = ()) -> Any:
        with self._lock:
            return self._connection.execute(statement, arguments).fetchone()


def attempts_as_list(attempts: tuple[Attempt, ...]) -> list[dict[str, Any]]:
    """Attempts as JSON values, defaults left out and keys struck out."""
    return [
        {"status": attempt.status}
        | ({} if attempt.usage is None else {"usage": usage_as_dict(attempt.usage)})
        | ({} if attempt.settled else {"settled": False})
        | ({"latency_s": attempt.latency_s} if attempt.latency_s else {})
        # A provider may quote a part of the key in its reply to a bad one. Our own clients strike
        # it out themselves; this is for providers of other distributions.
        | ({"detail": without_keys(attempt.detail)} if attempt.detail else {})
        | ({"routed": list(map(routed_as_dict, attempt.routed))} if attempt.routed else {})
        for attempt in attempts
    ]


def routed_as_dict(call: RoutedCall) -> dict[str, Any]:
    """A call that a server has made, as a JSON value."""
    row: dict[str, Any] = {"model": call.model}
    if call.usage is not None:
        row["usage"] = usage_as_dict(call.usage)
    if call.reported_usd is not None:
        row["reported_usd"] = format_usd(call.reported_usd)
    return row


def usage_as_dict(usage: Usage) -> dict[str, int | bool]:
    """The counts that are not zero, input and output always."""
    return {"input_tokens": 0, "output_tokens": 0} | usage.as_dict()


def _deflate(text: str) -> bytes:
    # surrogatepass: a provider may cut a character in two, and a reply is stored as it came.
    if not text:
        return b""
    data = text.encode("utf-8", "surrogatepass")
    window = _SMALL_WINDOW if len(data) <= _SMALL_BYTES else _WHOLE_WINDOW
    deflater = zlib.compressobj(_DEFLATE_LEVEL, zlib.DEFLATED, window, _HASH_MEMORY)
    return deflater.compress(data) + deflater.flush()


def _inflate(data: bytes) -> str:
    return zlib.decompress(data).decode("utf-8", "surrogatepass") if data else ""


def _row_of(call: RecordedCall) -> dict[str, Any]:
    reply = call.reply
    body: dict[str, Any] | None = None
    if reply is not None:
        body = {"usage": usage_as_dict(reply.usage), "finish": reply.finish, "model": reply.model}
        if reply.latency_s:
            body["latency_s"] = reply.latency_s
        if reply.source_correct is not None:
            body["source_correct"] = reply.source_correct
    return {
        "request_key": call.request_key,
        "sample": call.sample,
        "occurrence": call.occurrence,
        "expert": call.expert,
        "model": call.model,
        "problem_key": call.problem_key,
        "attempts": _dump(attempts_as_list(call.attempts)),
        "reply": None if body is None else _dump(body),
        "text": None if reply is None else _deflate(reply.text),
        "episode": call.episode,
        "run_id": call.run_id,
        "origin": call.origin,
        "request": _deflate(call.request),
    }


def _call_of(row: tuple[Any, ...]) -> RecordedCall:
    (key, sample, occurrence, expert, model, problem, attempts, reply, text, *rest) = row
    episode, run_id, origin, request = rest
    for name in (key, expert, model, problem, episode, run_id, origin):
        if not isinstance(name, str):  # SQLite lets any column hold anything
            raise TypeError(f"{name!r:.40} is no text")
    return RecordedCall(
        request_key=key,
        sample=sample,
        occurrence=occurrence,
        expert=expert,
        model=model,
        problem_key=problem,
        attempts=tuple(_attempt_of(attempt) for attempt in json.loads(attempts)),
        reply=None if reply is None else _reply_of(json.loads(reply), _inflate(text)),
        episode=episode,
        run_id=run_id,
        origin=origin,
        request=_inflate(request),
    )


def _attempt_of(body: dict[str, Any]) -> Attempt:
    usage = body.pop("usage", None)
    routed = tuple(_routed_of(call) for call in body.pop("routed", ()))
    return Attempt(usage=None if usage is None else Usage(**usage), routed=routed, **body)


def _routed_of(body: dict[str, Any]) -> RoutedCall:
    usage, reported = body.get("usage"), body.get("reported_usd")
    return RoutedCall(
        body["model"],
        None if usage is None else Usage(**usage),
        None if reported is None else Decimal(reported),
    )


def _reply_of(body: dict[str, Any], text: str) -> Reply:
    return Reply(text, **(body | {"usage": Usage(**body["usage"])}))


_dump = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode
