"""Windows, gates and backoff: never too many, never too early, in order, and leak-free."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corl_bench.experts.limits import AdaptiveLimiter, Gate, Limiters, backoff_s
from servers.experts import expert_at


async def settle() -> None:
    """Lets every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


class Crowd:
    """Tasks that each hold a slot until they are let go."""

    def __init__(self, limiter: AdaptiveLimiter) -> None:
        self.limiter = limiter
        self.inside: list[int] = []
        self.entered: list[int] = []
        self.doors: dict[int, asyncio.Event] = {}
        self.tasks: dict[int, asyncio.Task[None]] = {}

    def join(self, name: int) -> None:
        self.doors[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._visit(name))

    async def _visit(self, name: int) -> None:
        async with self.limiter.slot():
            self.entered.append(name)
            self.inside.append(name)
            try:
                await self.doors[name].wait()
            finally:
                self.inside.remove(name)

    async def leave(self, *names: int) -> None:
        for name in names:
            self.doors[name].set()
        await settle()

    async def all_leave(self) -> None:
        for door in self.doors.values():
            door.set()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


async def test_no_more_than_the_window_and_in_order_of_arrival() -> None:
    limiter = AdaptiveLimiter(3)
    crowd = Crowd(limiter)
    for name in range(8):
        crowd.join(name)
    await settle()
    assert crowd.inside == [0, 1, 2]
    await crowd.leave(1)
    assert crowd.inside == [0, 2, 3]
    # One who comes now, while others wait, does not overtake them.
    crowd.join(99)
    await crowd.leave(0, 2, 3)
    assert crowd.inside == [4, 5, 6]
    await crowd.all_leave()
    assert crowd.entered == [*range(8), 99]
    assert limiter.in_flight == 0


async def test_one_overrun_halves_the_window_once() -> None:
    limiter = AdaptiveLimiter(64)
    crowd = Crowd(limiter)
    for name in range(64):
        crowd.join(name)
    await settle()
    for name in range(64):  # all of them are told 429
        limiter.report("rate_limited")
        await crowd.leave(name)
    assert limiter.window == 32
    # What is sent after that and is told 429 again is a new sign.
    async with limiter.slot():
        limiter.report("rate_limited")
    assert limiter.window == 16


async def test_the_window_grows_by_one_a_round_up_to_its_maximum_and_stays_at_least_one() -> None:
    limiter = AdaptiveLimiter(4)
    for _ in range(5):
        async with limiter.slot():
            limiter.report("rate_limited")
    assert limiter.window == 1
    async with limiter.slot():
        limiter.report("ok")
    assert limiter.window == 2
    for _ in range(50):
        async with limiter.slot():
            limiter.report("ok")
    assert limiter.window == 4


async def test_a_smaller_window_drains_before_it_admits() -> None:
    limiter = AdaptiveLimiter(4)
    crowd = Crowd(limiter)
    for name in range(6):
        crowd.join(name)
    await settle()
    limiter.report("rate_limited")
    await crowd.leave(0, 1)
    assert crowd.inside == [2, 3]
    await crowd.leave(2)
    assert crowd.inside == [3, 4]
    await crowd.all_leave()


async def test_nobody_enters_before_the_time_that_was_named() -> None:
    limiter = AdaptiveLimiter(2)
    entered: list[float] = []
    opens_at = time.monotonic() + 0.15
    async with limiter.slot():
        limiter.report("rate_limited", 0.15)

    async def visit() -> None:
        async with limiter.slot():
            entered.append(time.monotonic())

    await asyncio.gather(*(visit() for _ in range(5)))
    assert len(entered) == 5
    assert min(entered) >= opens_at


async def test_a_later_time_counts_and_an_earlier_one_does_not() -> None:
    gate = Gate()
    limiter = AdaptiveLimiter(2, gate)
    started = time.monotonic()
    gate.close_for(0.05)
    waiting = asyncio.create_task(limiter._enter())
    await settle()
    gate.close_for(0.2)
    gate.close_for(0.01)
    await waiting
    assert time.monotonic() >= started + 0.2


async def test_the_gate_holds_back_those_who_were_just_admitted() -> None:
    """Between being let in and running, another reply may have closed the gate."""
    limiter = AdaptiveLimiter(1)
    entered: list[float] = []

    async def visit() -> None:
        async with limiter.slot():
            entered.append(time.monotonic())

    async with limiter.slot():
        waiting = asyncio.create_task(visit())
        await settle()
    opens_at = time.monotonic() + 0.1  # admitted by now, and not yet run
    limiter.report("rate_limited", 0.1)
    await waiting
    assert entered[0] >= opens_at


async def test_order_is_kept_across_a_closed_gate() -> None:
    gate = Gate()
    crowd = Crowd(AdaptiveLimiter(2, gate))
    gate.close_for(0.05)
    for name in range(6):
        crowd.join(name)
    await settle()
    assert crowd.entered == []
    await crowd.all_leave()
    assert crowd.entered == list(range(6))


async def test_cancelling_leaves_no_trace() -> None:
    limiter = AdaptiveLimiter(2)
    crowd = Crowd(limiter)
    for name in range(6):
        crowd.join(name)
    await settle()
    crowd.tasks[3].cancel()  # waiting
    crowd.tasks[0].cancel()  # inside: its slot goes to 2
    await settle()
    assert sorted(crowd.inside) == [1, 2]
    await crowd.all_leave()
    assert limiter.in_flight == 0


async def test_a_slot_given_to_one_who_is_cancelled_in_the_same_breath_is_passed_on() -> None:
    limiter = AdaptiveLimiter(1)
    crowd = Crowd(limiter)
    async with limiter.slot():
        crowd.join(0)
        crowd.join(1)
        await settle()
    crowd.tasks[0].cancel()  # it has been admitted on the line above, and has not run since
    await settle()
    assert crowd.entered == [1]
    await crowd.all_leave()
    assert limiter.in_flight == 0


async def test_cancelling_behind_a_closed_gate_leaves_no_trace() -> None:
    gate = Gate()
    limiter = AdaptiveLimiter(1, gate)
    gate.close_for(0.05)
    crowd = Crowd(limiter)
    crowd.join(0)
    crowd.join(1)
    await settle()
    crowd.tasks[0].cancel()
    await crowd.all_leave()
    assert crowd.entered == [1]
    assert limiter.in_flight == 0


async def test_experts_of_one_host_and_key_wait_together() -> None:
    limiters = Limiters()
    nano = expert_at("https://a.example/v1", name="nano", key_env="A", max_concurrency=4)
    large = expert_at("https://A.example/v2", name="large", key_env="A", max_concurrency=2)
    other_key = expert_at("https://a.example/v1", name="other", key_env="B")
    elsewhere = expert_at(None, name="elsewhere", key_env="A")
    assert limiters.for_expert(nano) is limiters.for_expert(nano)
    assert [limiters.for_expert(e).window for e in (nano, large)] == [4, 2]
    opens_at = time.monotonic() + 0.1
    limiters.for_expert(nano).report("rate_limited", 0.1)
    for free in (other_key, elsewhere):
        async with asyncio.timeout(5), limiters.for_expert(free).slot():
            pass
    async with limiters.for_expert(large).slot():
        assert time.monotonic() >= opens_at
    # Its own window is untouched: the limit that was hit was another model's.
    assert limiters.for_expert(large).window == 2


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        AdaptiveLimiter(0)


def test_backoff_is_the_same_for_the_same_request_and_differs_between_requests() -> None:
    assert backoff_s(2, "a") == backoff_s(2, "a")
    waits = {backoff_s(2, f"request {n}") for n in range(200)}
    assert len(waits) == 200
    assert min(waits) < 1.1
    assert max(waits) > 1.9
    # Pinned: the same on every machine and in every process.
    assert round(backoff_s(0, "pinned"), 6) == 0.475574


@given(st.integers(0, 10_000), st.text(max_size=20))
def test_backoff_doubles_up_to_its_cap(attempt: int, key: str) -> None:
    longest_s = min(30.0, 0.5 * 2 ** min(attempt, 60))
    assert longest_s / 2 <= backoff_s(attempt, key) <= longest_s
