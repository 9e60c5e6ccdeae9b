from __future__ import annotations

import gc
import weakref

import pytest

from corl_train.runs.collecting import seldom_collecting


class Node:
    def __init__(self) -> None:
        self.own = self


def test_the_collector_is_as_before_afterwards() -> None:
    before = gc.get_threshold(), gc.get_freeze_count()
    with pytest.raises(ValueError, match="inside"), seldom_collecting():
        assert gc.isenabled()
        assert gc.get_threshold() != before[0]
        assert gc.get_freeze_count() > before[1]
        raise ValueError("inside")
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


def test_garbage_is_still_found() -> None:
    with seldom_collecting():
        gone = weakref.ref(Node())
        kept: list[list[int]] = [[] for _ in range(1_200_000)]
        assert gone() is None
    assert len(kept) == 1_200_000
