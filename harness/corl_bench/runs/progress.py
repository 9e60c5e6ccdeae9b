"""Progress of long work on standard error: one line that is rewritten, or plain lines.

On a terminal the line is redrawn a few times a second; elsewhere (a log, CI) a plain line is
printed now and then, so that a log stays short. Nothing here decides anything.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import TextIO

from corl_bench.money.amounts import display_usd
from corl_bench.types import VerdictStatus

REDRAW_S = 0.2
PLAIN_LINE_S = 10.0


class Progress:
    """Counts episodes and shows spend, rate and time left.

    Args:
        total: episodes of the whole run.
        done: of them, those made before.
        spent_usd: what the run has been billed so far, asked at each redraw.
        reached: what else there is to say, asked at each redraw, where the run may end before
            `total`.
        stream: where to write; None is standard error.
        quiet: show nothing but what `say` is told.
        clock: the present in seconds, from any moment that stays.
    """

    def __init__(
        self,
        total: int,
        done: int,
        spent_usd: Callable[[], Decimal],
        *,
        reached: Callable[[], str] | None = None,
        stream: TextIO | None = None,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._done_before = done
        self._done = done
        self._spent_usd = spent_usd
        self._reached = reached
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._clock = clock
        self._started_s = clock()
        self._shown_s = self._started_s
        self._verdicts: Counter[str | None] = Counter()

    def begin(self) -> None:
        """Counts time from now on: what came before was getting ready."""
        self._started_s = self._clock()

    def advance(self, verdict: VerdictStatus | None) -> None:
        """Counts a finished episode; None where others judge it."""
        self._done += 1
        self._verdicts[verdict] += 1
        now_s = self._clock()
        if now_s - self._shown_s >= (REDRAW_S if self._terminal else PLAIN_LINE_S):
            self._shown_s = now_s
            self._show(self.line())

    def line(self) -> str:
        """What stands there now."""
        elapsed_s = max(self._clock() - self._started_s, 1e-9)
        rate = (self._done - self._done_before) / elapsed_s
        parts = [
            f"{self._done}/{self._total} episodes{' at most' if self._reached else ''}",
            f"{display_usd(self._spent_usd())} billed",
            f"{rate:.0f}/s" if rate >= 10 else f"{rate:.2f}/s",
        ]
        if self._reached:
            parts.insert(1, self._reached())
        elif rate:
            parts.append(f"{_duration((self._total - self._done) / rate)} left")
        if self._verdicts["error"]:
            parts.append(f"{self._verdicts['error']} in error")
        return ", ".join(parts)

    def say(self, text: str) -> None:
        """A line of its own, above the progress."""
        self._clear()
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Ends with what was reached."""
        self._clear()
        if not self._quiet and self._done > self._done_before:
            print(self.line(), file=self._stream, flush=True)

    def _show(self, text: str) -> None:
        if self._quiet:
            return
        if self._terminal:
            print(f"\r\x1b[2K{text}", end="", file=self._stream, flush=True)
        else:
            print(text, file=self._stream, flush=True)

    def _clear(self) -> None:
        if self._terminal and not self._quiet:
            print("\r\x1b[2K", end="", file=self._stream, flush=True)


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
