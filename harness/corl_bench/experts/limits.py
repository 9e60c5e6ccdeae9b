"""How fast the experts may be asked: a window that adapts, a gate that waits, and backoff.

Each expert has an `AdaptiveLimiter`: at most `max_concurrency` requests in flight, halved when
the provider says 429 and grown by one a round of successes (additive increase, multiplicative
decrease; Chiu and Jain, 1989). Experts behind the same host and key share a `Gate`: once a 429
names a time, none of them is sent a request before it. Waiting requests go in the order in
which they came, and one that is cancelled leaves no trace.

    limiter = Limiters().for_expert(spec)
    async with limiter.slot():
        ...                                  # one attempt on the wire
        limiter.report("rate_limited", 2.0)  # or limiter.report("ok")
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections import deque
from types import TracebackType
from typing import Literal
from urllib.parse import urlsplit

from corl_bench.experts.base import ExpertSpec

BACKOFF_BASE_S = 0.5
BACKOFF_CAP_S = 30.0

Outcome = Literal["ok", "rate_limited"]


def backoff_s(
    attempt: int, key: str, *, base_s: float = BACKOFF_BASE_S, cap_s: float = BACKOFF_CAP_S
) -> float:
    """Seconds to wait before trying again when the provider names no time.

    Doubles with each failure up to `cap_s`, then takes between half and all of it by a hash
    of `key`, so that requests which failed together do not come back together, and a run
    that is repeated waits alike.

    Args:
        attempt: failures so far less one: 0 for the first retry.
        key: what tells this request from others.
        base_s: the longest wait before the first retry.
        cap_s: the longest wait at all.
    """
    longest_s = min(cap_s, base_s * 2.0 ** min(attempt, 64))
    digest = hashlib.sha256(f"{key}\n{attempt}".encode()).digest()
    return longest_s * (0.5 + int.from_bytes(digest[:8], "big") / 2**65)


class Gate:
    """Closed until a moment of the monotonic clock; open in the beginning."""

    __slots__ = ("_opens_at",)

    def __init__(self) -> None:
        self._opens_at = float("-inf")

    def close_for(self, wait_s: float) -> None:
        """Keeps it shut for `wait_s` from now; never opens it earlier than was said before."""
        self._opens_at = max(self._opens_at, time.monotonic() + wait_s)

    def remaining_s(self) -> float:
        """Seconds until it opens; 0 or less when it is open."""
        return self._opens_at - time.monotonic()


class AdaptiveLimiter:
    """Slots for the requests to one expert; belongs to one event loop."""

    def __init__(self, max_concurrency: int, gate: Gate | None = None) -> None:
        if max_concurrency < 1:
            raise ValueError(f"max_concurrency must be at least 1, not {max_concurrency}")
        self._max = float(max_concurrency)
        self._window = self._max
        self._gate = gate or Gate()
        self._in_flight = 0
        self._stale = 0
        """Requests in flight that were sent before the window was last halved."""
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def in_flight(self) -> int:
        """Slots that are taken."""
        return self._in_flight

    @property
    def window(self) -> int:
        """How many slots there are at the moment."""
        return int(self._window)

    def slot(self) -> _Slot:
        """A place among the requests in flight, to be entered with `async with`."""
        return _Slot(self)

    def report(self, outcome: Outcome, retry_after_s: float | None = None) -> None:
        """Tells how a request ended, before its slot is left.

        Args:
            outcome: failures that say nothing about the rate are not reported.
            retry_after_s: with `rate_limited`, how long the provider wants to be left alone.
        """
        if outcome == "ok":
            self._window = min(self._max, self._window + 1.0 / self._window)
            return
        if retry_after_s:
            self._gate.close_for(retry_after_s)
        # One overrun answers 429 to everything in flight; that is one sign, not sixty-four.
        if self._stale == 0:
            self._window = max(1.0, self._window / 2.0)
            self._stale = self._in_flight

    async def _enter(self) -> None:
        free = not self._waiting and self._in_flight < int(self._window)
        if free and self._gate.remaining_s() <= 0.0:
            self._in_flight += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._admit()
        try:
            await turn
            # The gate may have closed between being admitted and running, and be put off again.
            while (wait_s := self._gate.remaining_s()) > 0.0:  # noqa: ASYNC110 (only time opens it)
                await asyncio.sleep(wait_s)
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._leave()
            else:
                with contextlib.suppress(ValueError):  # passed over, hence out of the queue
                    self._waiting.remove(turn)
            raise

    def _leave(self) -> None:
        self._in_flight -= 1
        self._stale = max(0, self._stale - 1)
        if self._waiting:
            self._admit()

    def _admit(self) -> None:
        """Lets in whoever is first, as far as window and gate allow."""
        if (wait_s := self._gate.remaining_s()) > 0.0:
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._wake)
            return
        while self._waiting and self._in_flight < int(self._window):
            turn = self._waiting.popleft()
            if not turn.done():
                self._in_flight += 1
                turn.set_result(None)

    def _wake(self) -> None:
        self._timer = None
        self._admit()


class _Slot:
    __slots__ = ("_limiter",)

    def __init__(self, limiter: AdaptiveLimiter) -> None:
        self._limiter = limiter

    async def __aenter__(self) -> None:
        await self._limiter._enter()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._limiter._leave()


class Limiters:
    """The limiters of one run: one an expert, one gate a host and key."""

    def __init__(self) -> None:
        self._limiters: dict[str, AdaptiveLimiter] = {}
        self._gates: dict[tuple[str, str | None], Gate] = {}

    def for_expert(self, spec: ExpertSpec) -> AdaptiveLimiter:
        """The expert's limiter, the same one at every call."""
        if spec.name not in self._limiters:
            host = urlsplit(spec.base_url).netloc.lower() if spec.base_url else spec.provider
            gate = self._gates.setdefault((host, spec.key_env), Gate())
            self._limiters[spec.name] = AdaptiveLimiter(spec.max_concurrency, gate)
        return self._limiters[spec.name]
