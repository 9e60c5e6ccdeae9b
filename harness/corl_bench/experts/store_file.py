"""The SQLite file behind the recording store: its schema, how it is opened, what can be wrong.

Invariant: a file that is not ours, or newer than this version, is never written to; and every
fault of file, disk or permission becomes one line that says what to do.

    connection = connect_to_write(Path("recordings.sqlite"))
"""

from __future__ import annotations

import sqlite3
import time
import zlib
from pathlib import Path

from corl_bench.errors import ConfigError, StorageError

SCHEMA_VERSION = 1
APPLICATION_ID = 0x436F524C
"""`CoRL` in ASCII, in the header of the file: tells a store from any other SQLite file."""

BUSY_TIMEOUT_S = 60.0
"""How long to wait for another process; a call holds the file for well under a millisecond,
an import until it is complete."""

_TABLES = (
    # One row a call. JSON columns stay readable to the sqlite3 shell; long texts are deflated.
    # reply and text are NULL where every attempt failed.
    """CREATE TABLE calls (
        id INTEGER PRIMARY KEY,
        origin TEXT NOT NULL,
        request_key TEXT NOT NULL,
        sample INTEGER NOT NULL,
        occurrence INTEGER NOT NULL,
        episode TEXT NOT NULL,
        run_id TEXT NOT NULL,
        expert TEXT NOT NULL,
        model TEXT NOT NULL,
        problem_key TEXT NOT NULL,
        attempts TEXT NOT NULL,
        reply TEXT,
        text BLOB,
        request BLOB NOT NULL
    )""",
    # Two partial indexes instead of two full ones: each row is in exactly one of them.
    """CREATE UNIQUE INDEX recorded_calls
        ON calls (request_key, sample, occurrence, episode, run_id) WHERE origin = 'recorded'""",
    """CREATE UNIQUE INDEX imported_calls
        ON calls (problem_key, expert, sample) WHERE origin = 'imported'""",
    # Statements of imported calls, so that an export names them as the import did.
    "CREATE TABLE problems (problem_key TEXT PRIMARY KEY, text BLOB NOT NULL) WITHOUT ROWID",
)

DECODING_ERRORS = (zlib.error, ValueError, TypeError, KeyError)
_DAMAGED = (
    "is damaged: restore a copy, or save what can be read with "
    "`sqlite3 FILE .recover | sqlite3 NEW_FILE`"
)
_NO_WRITING = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")
_ADVICE: tuple[tuple[tuple[str, ...], str], ...] = (
    (("SQLITE_NOTADB",), "is not a recording store of corl-bench: name another file"),
    (("SQLITE_CORRUPT",), _DAMAGED),
    (
        ("SQLITE_BUSY", "SQLITE_LOCKED"),
        "is locked by another process (an import, perhaps): try again when it has ended",
    ),
    (
        ("SQLITE_FULL",),
        "could not grow, the disk is full: free some space and run the same command again; "
        "what was recorded so far is kept",
    ),
    (
        _NO_WRITING,
        "cannot be written, nor its log beside it: copy it to a folder where you may write",
    ),
    (
        ("SQLITE_IOERR",),
        "cannot be read or written, the disk reports an error (or a limit of file size): "
        "try another disk",
    ),
)


def _connect(path: Path, parameters: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{parameters}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,  # each statement commits by itself
        check_same_thread=False,
    )


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Opens an existing store for looking things up.

    Raises:
        ConfigError: it is not a store, empty, or of a newer version.
        sqlite3.Error: any other fault; `explain` puts it into words.
    """
    try:
        # Not mode=ro, which could not take the log and its index away again at the end.
        return _open_to_read(path, "mode=rw")
    except sqlite3.OperationalError as error:
        # Reading in WAL mode wants to write its index beside the file. Where that is not
        # permitted and no log is left to be read, the file alone is the whole truth.
        log = path.with_name(path.name + "-wal")
        if not _error_name(error).startswith(_NO_WRITING) or (log.exists() and log.stat().st_size):
            raise
        return _open_to_read(path, "immutable=1")


def _open_to_read(path: Path, parameters: str) -> sqlite3.Connection:
    connection = _connect(path, parameters)
    try:
        connection.execute("PRAGMA query_only = ON")
        if _is_new(path, connection):
            raise ConfigError(f"{path} is an empty file: no call was ever recorded in it")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_write(path: Path) -> sqlite3.Connection:
    """Opens a store for adding to it; makes one where there is no file or an empty one.

    Raises:
        ConfigError: it is not a store, or of a newer version.
        sqlite3.Error: any other fault; `explain` puts it into words.
    """
    connection = _connect(path, "mode=rwc")
    try:
        if _is_new(path, connection):
            _create_tables(path, connection)
        _switch_to_wal(connection)
        # In WAL mode NORMAL is safe against the death of the process; after a power cut the
        # latest calls may be missing, the file is sound.
        connection.execute("PRAGMA synchronous = NORMAL")
        # A file that may only be read is refused now, not after the first paid call.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except BaseException:
        connection.close()
        raise
    return connection


def _is_new(path: Path, connection: sqlite3.Connection) -> bool:
    """Whether the file is still empty; refuses one that is not ours or too new."""
    # In one transaction: another process may be making the tables at this very moment.
    connection.execute("BEGIN")
    try:
        return _check_header(path, connection)
    finally:
        connection.execute("ROLLBACK")


def _check_header(path: Path, connection: sqlite3.Connection) -> bool:
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if (application_id, version, objects) == (0, 0, 0):
        return True
    if application_id != APPLICATION_ID:
        raise ConfigError(f"{path} is not a recording store of corl-bench: name another file")
    if version > SCHEMA_VERSION:
        raise ConfigError(
            f"{path} was written by a newer corl-bench (schema {version}, this one knows "
            f"{SCHEMA_VERSION}): pip install --upgrade corl-bench"
        )
    return False


def _create_tables(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN EXCLUSIVE")
    try:
        if _check_header(path, connection):  # another process may have been faster
            for statement in _TABLES:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Sets the journal mode; SQLite does not wait for the lock here, so this does."""
    deadline_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not _error_name(error).startswith("SQLITE_BUSY") or time.monotonic() > deadline_s:
                raise
            time.sleep(0.01)


def _error_name(error: Exception) -> str:
    return getattr(error, "sqlite_errorname", "")


def explain(path: Path, error: Exception) -> StorageError:
    """One line that says what to do about a fault of the file or of the disk."""
    name = _error_name(error)
    for prefixes, advice in _ADVICE:
        if name.startswith(prefixes):
            return StorageError(f"{path} {advice}")
    if isinstance(error, DECODING_ERRORS):
        return StorageError(f"{path} {_DAMAGED}")
    return StorageError(f"{path} cannot be used as a recording store: {error}")
