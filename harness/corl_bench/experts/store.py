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
import re
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Reply
from corl_bench.experts.recording import Attempt, RecordedCall
from corl_bench.types import Usage

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
    ) STRICT""",
    # Two partial indexes instead of two full ones: each row is in exactly one of them.
    """CREATE UNIQUE INDEX recorded_calls
        ON calls (request_key, sample, occurrence, episode, run_id) WHERE origin = 'recorded'""",
    """CREATE UNIQUE INDEX imported_calls
        ON calls (problem_key, expert, sample) WHERE origin = 'imported'""",
    # Statements of imported calls, so that an export names them as the import did.
    "CREATE TABLE problems (problem_key TEXT PRIMARY KEY, text BLOB NOT NULL) STRICT, WITHOUT ROWID",
)

_COLUMNS = (
    "request_key, sample, occurrence, expert, model, problem_key, attempts, reply, text, "
    "episode, run_id, origin, request"
)
_SAME_RECORDED = (
    "origin = 'recorded' AND request_key = ?1 AND sample = ?2 AND occurrence = ?3"
    " AND episode = ?10 AND run_id = ?11"
)
_SAME_IMPORTED = "origin = 'imported' AND problem_key = ?6 AND expert = ?4 AND sample = ?2"
_ADD = (
    f"INSERT OR REPLACE INTO calls ({_COLUMNS})"
    " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13 WHERE NOT EXISTS"
    " (SELECT 1 FROM calls WHERE {same} AND (reply IS NOT NULL OR ?8 IS NULL))"
)
_ADD_RECORDED = _ADD.format(same=_SAME_RECORDED)
_ADD_IMPORTED = _ADD.format(same=_SAME_IMPORTED)

_FIND = (
    f"SELECT {_COLUMNS} FROM calls WHERE origin = 'recorded' AND request_key = ?1"
    " AND sample = ?2 AND occurrence = ?3 AND episode IN (?4, ''){run}"
    " ORDER BY episode = '', id DESC LIMIT 1"
)
_FIND_IN_ANY_RUN = _FIND.format(run="")
_FIND_IN_ONE_RUN = _FIND.format(run=" AND run_id = ?5")
_FIND_IMPORTED = (
    f"SELECT {_COLUMNS} FROM calls WHERE origin = 'imported' AND problem_key = ?1"
    " AND (expert = ?2 OR model = ?3) AND sample = ?4 ORDER BY expert = ?2 DESC, id DESC LIMIT 1"
)
