"""Ctrl-C, and a scheduler's SIGTERM, end a run behind the iteration that it is in.

with stoppable(print) as stop:
while not stop.wanted:
step()
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_HEARD = "stopping behind what is under way; a second signal stops at once"


class StoppedEarlyError(Exception):
    """The run was asked to end while there was nothing yet that it could keep."""


class Stop:
    """Whether the run was asked to end."""

    wanted = False

    def check(self) -> None:
        """Leaves work that is done as a whole or not at all.

        Raises:
            StoppedEarlyError: the run was asked to end.
        """
        if self.wanted:
            raise StoppedEarlyError


@contextmanager
def stoppable(say: Callable[[str], None] = lambda line: None) -> Iterator[Stop]:
    """Notes the first signal; the second ends the run where it is.

    Signals reach the main thread alone: anywhere else nothing is changed.

    Args:
        say: told at once that the first signal was heard.
    """
    stop = Stop()

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.wanted:
            raise KeyboardInterrupt
        stop.wanted = True
        # From a thread: what the signal has interrupted may be in the middle of printing, and a
        # stream cannot be entered a second time from below.
        Thread(target=say, args=(_HEARD,)).start()

    try:
        before = [signal.signal(number, ask) for number in _SIGNALS]
    except ValueError:
        yield stop
        return
    try:
        yield stop
    finally:
        for number, handler in zip(_SIGNALS, before, strict=True):
            signal.signal(number, handler)
