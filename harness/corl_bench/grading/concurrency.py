"""Judging inside an event loop: at once where that is quick, in a thread where it may wait.

Nearly every answer is judged in less time than a thread takes to be handed it. What remains is
long texts, and comparisons that ask a worker process and wait for it.

    verdict = await judge_in_loop(grade, "73", reply)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Final, TypeVar

from corl_bench.grading import workers

Judged = TypeVar("Judged")

_QUICK_CHARS: Final = 4_000
"""Longer texts are judged in a thread: the worst that are shorter, lists of a thousand
numbers, take a twentieth of a second."""


async def judge_in_loop(
    judge: Callable[..., Judged], *texts: Any, threads: Executor | None = None
) -> Judged:
    """Judges without holding up the event loop; the result is that of `judge(*texts)`.

    Args:
        judge: of this package, without side effects: it may be begun twice.
        texts: its arguments, texts and lists of them.
        threads: where it waits; None: the loop's own.
    """
    if sum(map(_length, texts)) <= _QUICK_CHARS:
        try:
            with workers.refused():
                return judge(*texts)
        except workers.WouldWait:
            pass
    return await asyncio.get_running_loop().run_in_executor(threads, judge, *texts)


def _length(text: Any) -> int:
    """Characters of a text or of all in a list."""
    return sum(map(_length, text)) if isinstance(text, list | tuple) else len(text or "")
