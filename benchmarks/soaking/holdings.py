"""What a process holds, now and in the course of a soak: does it leak?"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bookkeeping import memory_mib

MOST_GROWTH = 0.05
"""Of the resident memory, from the first third to the last."""


@dataclass
class Complaints:
    """What asyncio, garbage and threads say when something was not put away."""

    texts: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """From now on, and for the rest of the process."""
        warnings.simplefilter("always", ResourceWarning)
        shown = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
            if issubclass(category, ResourceWarning):
                self.texts.append(f"{category.__name__}: {message}")
            shown(message, category, *rest, **named)

        warnings.showwarning = show
        sys.unraisablehook = lambda told: self.texts.append(f"unraisable: {told.exc_value!r}")
        threading.excepthook = lambda told: self.texts.append(f"in a thread: {told.exc_value!r}")
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record: self.texts.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("asyncio").addHandler(handler)


def holdings() -> dict[str, Any]:
    """What this process holds now: memory, descriptors, threads, children, unfinished tasks.

    Threads of asyncio's own pool stand apart: it adds one whenever none is idle, keeps them, and
    ends at four more than there are cores, so they come late and are no leak.
    """
    gc.collect()
    tasks = [o for o in gc.get_objects() if isinstance(o, asyncio.Task) and not o.done()]
    pooled = sum(thread.name.startswith("asyncio_") for thread in threading.enumerate())
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {
        "memory_mib": round(memory_mib(), 1),
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 (what it holds itself too)
        "threads": len(threading.enumerate()) - pooled,
        "pooled_threads": pooled,
        "children": len(children),
        "tasks": len(tasks),
    }


def write_line(path: Path, row: dict[str, Any]) -> None:
    """Appends it."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def memory_of(samples: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """The most memory in the first third, and in the last.

    The most, for what one huge answer has taken is given back at some later moment or kept.
    """
    third = max(1, len(samples) // 3)
    early, late = samples[:third], samples[-third:]
    return max(row["memory_mib"] for row in early), max(row["memory_mib"] for row in late)


def leaks_of(name: str, samples: Sequence[dict[str, Any]]) -> list[str]:
    """What a process holds in the end that it did not hold in its first third."""
    if len(samples) < 3:
        return [f"{name}: only {len(samples)} looks at it"]
    faults = [f"{name}: {text}" for row in samples for text in row["complaints"]]
    early, late = memory_of(samples)
    if late > early * (1 + MOST_GROWTH):
        faults.append(f"{name}: memory has grown from {early:.1f} to {late:.1f} MiB")
    for what in ("descriptors", "threads", "children", "tasks"):
        most = max(row[what] for row in samples[: max(1, len(samples) // 3)])
        if samples[-1][what] > most:
            faults.append(f"{name}: {samples[-1][what]} {what}, at most {most} in the first third")
    pooled = max(row["pooled_threads"] for row in samples)
    if pooled > (os.cpu_count() or 1) + 4:
        faults.append(f"{name}: {pooled} threads in asyncio's pool")
    if name == "runs" and any(row["tasks"] for row in samples):
        faults.append("runs: tasks are left when a run is over")
    return faults
