from __future__ import annotations

import asyncio
import random
from decimal import Decimal

import pytest

from corl_bench.errors import CapReachedError
from corl_bench.money.cap import SpendingCap


async def test_what_does_not_fit_is_refused_at_once_when_nothing_is_reserved() -> None:
    cap = SpendingCap(Decimal("1"), Decimal("0.8"))
    with pytest.raises(CapReachedError, match="--max-cost"):
        await cap.reserve(Decimal("0.3"))
    assert cap.reached


async def test_a_call_waits_for_room_that_others_give_back() -> None:
    cap = SpendingCap(Decimal("1"))
    await cap.reserve(Decimal("0.9"))
    waiting = asyncio.create_task(cap.reserve(Decimal("0.5")))
    await asyncio.sleep(0)
    assert not waiting.done()
    cap.settle(Decimal("0.9"), Decimal("0.1"))
    await waiting
    assert cap.spent_usd + cap.reserved_usd == Decimal("0.6")


async def test_whoever_waits_is_refused_when_nothing_can_come_back() -> None:
    cap = SpendingCap(Decimal("1"))
    await cap.reserve(Decimal("0.9"))
    waiting = asyncio.create_task(cap.reserve(Decimal("0.5")))
    await asyncio.sleep(0)
    cap.settle(Decimal("0.9"), Decimal("0.8"))
    with pytest.raises(CapReachedError):
        await waiting


async def test_a_cancelled_wait_leaves_no_reservation() -> None:
    cap = SpendingCap(Decimal("1"))
    await cap.reserve(Decimal("0.9"))
    first = asyncio.create_task(cap.reserve(Decimal("0.5")))
    second = asyncio.create_task(cap.reserve(Decimal("0.5")))
    await asyncio.sleep(0)
    first.cancel()
    # Granted and cancelled in the same breath: the room goes on to the next in line.
    cap.settle(Decimal("0.9"), Decimal("0"))
    await second
    assert first.cancelled() or first.cancelling()
    await asyncio.gather(first, return_exceptions=True)
    assert cap.reserved_usd == Decimal("0.5")


@pytest.mark.parametrize("seed", range(20))
async def test_spend_never_passes_the_cap_whatever_the_order(seed: int) -> None:
    draws = random.Random(seed)
    cap = SpendingCap(Decimal("5"))
    highest = Decimal(0)

    async def call() -> bool:
        nonlocal highest
        worst = Decimal(draws.randrange(1, 100)) / 100
        try:
            await cap.reserve(worst)
        except CapReachedError:
            return False
        for _ in range(draws.randrange(4)):
            await asyncio.sleep(0)
        highest = max(highest, cap.spent_usd + cap.reserved_usd)
        cap.settle(worst, worst * draws.randrange(101) / 100)
        return True

    made = await asyncio.gather(*(call() for _ in range(64)))
    assert any(made)
    assert not all(made)
    assert highest <= Decimal("5")
    assert cap.spent_usd <= Decimal("5")
    assert cap.reserved_usd == 0
