"""Python's search for cyclic garbage, made rarer while a run trains.

A roll-out holds a thousand episodes at once, none of them garbage. The search goes through all of
them, and through every module that is loaded, after each few hundred objects; that was a good
part of an iteration. Nearly everything here is freed by its reference count, so it may come seldom.

    with seldom_collecting():
        ...
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_THRESHOLDS = 10_000, 10, 10
"""As of `gc.set_threshold`; the whole heap is searched after a million new objects, at the most."""


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Leaves out what is there already and searches what comes seldom; afterwards as before."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
