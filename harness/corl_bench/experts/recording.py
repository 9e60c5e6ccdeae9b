"""A recorded call: what was asked, every attempt that it took, and the reply.

The store that keeps them is `corl_bench.experts.store`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

from corl_bench.experts.base import Reply
from corl_bench.experts.tariff import RoutedCall
from corl_bench.types import Usage

AttemptStatus = str
"""`ok`, or an `ErrorStatus` of `corl_bench.experts.base`."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request on the wire, as it ended."""

    status: AttemptStatus
    usage: Usage | None = None
    """None: no usage is known (nothing was billed, or nobody can say)."""
    settled: bool = True
    """False: the provider may have billed it; it stands at its worst case."""
    latency_s: float = 0.0
    detail: str = ""
    routed: tuple[RoutedCall, ...] = ()
    """Of a server that routes by itself: the calls that it has made."""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A finished call. `reply` is None when every attempt failed."""

    request_key: str
    """`Request.key()`; empty for an imported call, which matches by problem and expert."""
    sample: int
    occurrence: int
    expert: str
    model: str
    problem_key: str
    """`problem_key(text)` of the statement that the call was about."""
    attempts: tuple[Attempt, ...]
    reply: Reply | None
    episode: str = ""
    """The one episode that this draw belongs to (mode live); empty: any may use it."""
    run_id: str = ""
    """The run that recorded it, or the label of the import."""
    origin: Literal["recorded", "imported"] = "recorded"
    request: str = ""
    """The canonical request, for export; empty for an imported call."""


class Recordings(Protocol):
    """Where finished calls are kept and found again; `RecordingStore` keeps them in a file."""

    def find(
        self,
        request_key: str,
        sample: int,
        occurrence: int,
        *,
        episode: str = "",
        run_id: str | None = None,
    ) -> RecordedCall | None: ...

    def find_imported(
        self, problem_key: str, expert: str, model: str, sample: int
    ) -> RecordedCall | None: ...

    def add(self, call: RecordedCall) -> bool: ...


class Unkept:
    """Recordings that keep nothing: every call is asked, and no text stays behind."""

    def find(
        self,
        request_key: str,
        sample: int,
        occurrence: int,
        *,
        episode: str = "",
        run_id: str | None = None,
    ) -> RecordedCall | None:
        return None

    def find_imported(
        self, problem_key: str, expert: str, model: str, sample: int
    ) -> RecordedCall | None:
        return None

    def add(self, call: RecordedCall) -> bool:
        return False


_REMEMBERED_CHARS = 20_000


def problem_key(text: str) -> str:
    """Identifies a statement: sha256 of its text with white space folded.

    Nothing else is folded: `tan 225` and `tan 22.5` are two problems.
    """
    return _remembered_key(text) if len(text) <= _REMEMBERED_CHARS else _key(text)


def _key(text: str) -> str:
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()


# Each call of an episode looks for its statement, and so does each system of a run.
_remembered_key = lru_cache(maxsize=1024)(_key)
