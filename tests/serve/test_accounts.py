"""Caps that two levels share, and how often a key may ask."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal

import pytest

from corl_bench.errors import CapReachedError
from corl_bench.money.cap import SpendingCap
from corl_bench.serve.accounts import KEY_CAP_WORDS, SERVER_CAP_WORDS, Account, LinkedCaps, Rate
from corl_bench.serve.keys import Key
from corl_bench.serve.refusals import Refusal

ONE = Decimal(1)


def _account(
    cap_usd: str | None = None,
    *,
    requests_per_minute: int | None = None,
    max_in_flight: int | None = None,
) -> Account:
    key = Key(
        "alice",
        cap_usd=None if cap_usd is None else Decimal(cap_usd),
        requests_per_minute=requests_per_minute,
        max_in_flight=max_in_flight,
    )
    return Account(key, Decimal(0))


def test_a_bucket_fills_again_with_time() -> None:
    now_s = 100.0
    rate = Rate(3, clock=lambda: now_s)
    assert [rate.take() for _ in range(3)] == [0, 0, 0]
    assert rate.take() == pytest.approx(20)
    now_s += 19
    assert rate.take() == pytest.approx(1)
    now_s += 1
    assert rate.take() == 0
    now_s += 1e6
    assert [rate.take() for _ in range(4)] == [0, 0, 0, pytest.approx(20)]


def test_a_request_that_is_refused_for_another_reason_takes_nothing_of_the_rate() -> None:
    account = _account(requests_per_minute=1, max_in_flight=1)
    account.admit()
    for _ in range(3):
        with pytest.raises(Refusal, match="1 requests under way") as raised:
            account.admit()
        assert (raised.value.status, raised.value.code) == (429, "too_many_in_flight")
    account.leave()
    with pytest.raises(Refusal, match="1 times a minute") as raised:
        account.admit()
    assert raised.value.headers == {"Retry-After": "60"}


def test_a_spent_account_is_told_before_anything_begins() -> None:
    with pytest.raises(Refusal, match=KEY_CAP_WORDS) as raised:
        _account("0").admit()
    assert raised.value.status == 402
    assert raised.value.headers == {"x-should-retry": "false"}


async def test_what_is_too_dear_is_refused_alone() -> None:
    cap = SpendingCap(Decimal(10), final=False)
    with pytest.raises(CapReachedError):
        await cap.reserve(Decimal(11))
    await cap.reserve(Decimal(10))
    cap.settle(Decimal(10), Decimal(4))
    with pytest.raises(CapReachedError):
        await cap.reserve(Decimal(7))
    await cap.reserve(Decimal(6))


async def test_who_waits_is_refused_once_it_can_never_fit_and_the_next_goes_on() -> None:
    cap = SpendingCap(Decimal(10), final=False)
    await cap.reserve(Decimal(8))
    dear = asyncio.create_task(cap.reserve(Decimal(6)))
    cheap = asyncio.create_task(cap.reserve(Decimal(2)))
    await asyncio.sleep(0)
    assert not dear.done()
    cap.settle(Decimal(8), Decimal(7))
    await asyncio.wait([dear, cheap])
    assert isinstance(dear.exception(), CapReachedError)
    assert cheap.exception() is None


@pytest.mark.parametrize(("own", "all_", "words"), [("1", "9", KEY_CAP_WORDS), ("9", "1", None)])
async def test_which_cap_is_reached_is_said_without_amounts(
    own: str, all_: str, words: str | None
) -> None:
    account, server = _account(own), SpendingCap(Decimal(all_), final=False)
    with pytest.raises(CapReachedError) as raised:
        await LinkedCaps(account.cap, server).reserve(Decimal(2))
    assert str(raised.value) == (words or SERVER_CAP_WORDS)
    assert account.cap.reserved_usd == server.reserved_usd == 0


async def test_no_interleaving_passes_either_cap() -> None:
    draws = random.Random(7)
    server = SpendingCap(Decimal(60), final=False)
    accounts = [_account(str(cap)) for cap in (10, 20, 50)]
    caps = [account.cap for account in accounts] + [server]

    def check() -> None:
        for cap in caps:
            assert cap.limit_usd is not None
            assert cap.spent_usd + cap.reserved_usd <= cap.limit_usd

    async def call(account: Account, worst_usd: Decimal, spent_usd: Decimal) -> bool:
        linked = LinkedCaps(account.cap, server)
        try:
            await linked.reserve(worst_usd)
        except CapReachedError:
            return False
        check()
        try:
            await asyncio.sleep(draws.random() / 1000)
        finally:
            linked.settle(worst_usd, spent_usd)
        check()
        return True

    calls = []
    for _ in range(300):
        worst = Decimal(draws.randint(1, 8))
        spent = worst * draws.randint(0, 4) / 4
        calls.append(asyncio.create_task(call(draws.choice(accounts), worst, spent)))
        if draws.random() < 0.1:
            draws.choice(calls).cancel()
        if draws.random() < 0.3:
            await asyncio.sleep(0)
    made = await asyncio.gather(*calls, return_exceptions=True)
    assert True in made
    assert False in made
    assert server.spent_usd == sum(account.cap.spent_usd for account in accounts)
