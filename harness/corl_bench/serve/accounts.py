"""What a key has done so far: dollars spent, requests of the last minute, requests under way.

Invariant: what an account and the whole server have spent and reserved together never exceeds
the cap of either, whatever is asked at the same time.

    account = Account(key, spent_usd=Decimal(0))
    account.admit()               # or a Refusal: too often, too many at a time, over its cap
    try:
        ...                       # the request, its calls reserved through `linked(account, all)`
    finally:
        account.leave()
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from corl_bench.errors import CapReachedError
from corl_bench.money.cap import SpendingCap
from corl_bench.serve.keys import Key
from corl_bench.serve.refusals import Refusal

KEY_CAP_WORDS = "the spending cap of this key leaves no room for the next call"
SERVER_CAP_WORDS = "the spending cap of this server leaves no room for the next call"


class Rate:
    """Requests a minute, as a bucket that a minute fills.

    Args:
        per_minute: how many there may be; as many may come at once.
        clock: seconds that only grow.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_minute / 60
        self._most = float(per_minute)
        self._left = self._most
        self._clock = clock
        self._seen_s = clock()

    def take(self) -> float:
        """Takes one.

        Returns:
            Seconds until there is one to be had; 0 where it was.
        """
        now_s = self._clock()
        self._left = min(self._most, self._left + (now_s - self._seen_s) * self._per_s)
        self._seen_s = now_s
        if self._left < 1:
            return (1 - self._left) / self._per_s
        self._left -= 1
        return 0.0


class Account:
    """One key at work.

    Args:
        key: what it allows.
        spent_usd: what it has spent in this directory before, unsettled included.
    """

    def __init__(self, key: Key, spent_usd: Decimal) -> None:
        self.key = key
        self.cap = SpendingCap(key.cap_usd, spent_usd, final=False)
        self.in_flight = 0
        self._rate = None if key.requests_per_minute is None else Rate(key.requests_per_minute)

    def admit(self) -> None:
        """Lets a request in; `leave` is its end.

        Raises:
            Refusal: 429 or 402.
        """
        key = self.key
        if key.max_in_flight is not None and self.in_flight >= key.max_in_flight:
            raise Refusal(
                429,
                f"this key may have {key.max_in_flight} requests under way at a time",
                code="too_many_in_flight",
                retry_after_s=1.0,
            )
        if is_spent(self.cap):
            raise Refusal(402, KEY_CAP_WORDS, code="key_cap_reached")
        wait_s = 0.0 if self._rate is None else self._rate.take()
        if wait_s:
            raise Refusal(
                429,
                f"this key may ask {key.requests_per_minute} times a minute",
                code="rate_limit_exceeded",
                retry_after_s=wait_s,
            )
        self.in_flight += 1

    def leave(self) -> None:
        """Ends what `admit` began."""
        self.in_flight -= 1


def is_spent(cap: SpendingCap) -> bool:
    """Whether not even the cheapest call can be made any more."""
    return cap.limit_usd is not None and cap.spent_usd >= cap.limit_usd


@dataclass(frozen=True, slots=True)
class LinkedCaps:
    """An account's cap and the server's, as one: what is reserved is reserved under both."""

    account: SpendingCap
    server: SpendingCap

    async def reserve(self, worst_usd: Decimal) -> None:
        """Sets an amount aside.

        Raises:
            CapReachedError: one of the two leaves no room; which one, and no amounts: what a
                server has spent is nothing that every key should know.
        """
        try:
            await self.account.reserve(worst_usd)
        except CapReachedError as error:
            raise CapReachedError(KEY_CAP_WORDS) from error
        try:
            await self.server.reserve(worst_usd)
        except BaseException as error:
            self.account.settle(worst_usd, Decimal(0))
            if isinstance(error, CapReachedError):
                raise CapReachedError(SERVER_CAP_WORDS) from error
            raise

    def settle(self, worst_usd: Decimal, spent_usd: Decimal) -> None:
        """Replaces a reservation by what was spent."""
        self.account.settle(worst_usd, spent_usd)
        self.server.settle(worst_usd, spent_usd)
