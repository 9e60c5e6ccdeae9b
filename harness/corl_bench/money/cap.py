"""The spending cap: a reservation of the worst case before anything is sent.

Spent plus reserved never exceeds the cap. A call that does not fit waits while others may
still free a part of their reservation, and is refused once nothing is left to wait for.

    >>> cap = SpendingCap(Decimal("1"))
    >>> cap.spent_usd
    Decimal('0')

A run stops at its first refusal. A server goes on: a call that is too dear for what is left is
refused alone, and a cheaper one may still fit (`final=False`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from decimal import Decimal
from typing import Protocol

from corl_bench.errors import CapReachedError
from corl_bench.money.amounts import format_usd


class Cap(Protocol):
    """What an attempt is reserved with before it is sent, and settled with afterwards."""

    async def reserve(self, worst_usd: Decimal) -> None:
        """Sets `worst_usd` aside, or raises `CapReachedError`."""
        ...

    def settle(self, worst_usd: Decimal, spent_usd: Decimal) -> None:
        """Replaces a reservation by what was spent (or may have been spent)."""
        ...


class SpendingCap:
    """Bounds what a run may be billed, in dollars; without a limit it only counts.

    Args:
        limit_usd: the cap, or None.
        spent_usd: what earlier runs on the same directory have spent, unsettled included.
        final: whether the first refusal is the end of all calls, dear or cheap.
    """

    def __init__(
        self,
        limit_usd: Decimal | None,
        spent_usd: Decimal = Decimal(0),
        *,
        final: bool = True,
    ) -> None:
        self.limit_usd = limit_usd
        self._final = final
        self.spent_usd = spent_usd
        self.reserved_usd = Decimal(0)
        self.reached = False
        self._waiting: deque[tuple[Decimal, asyncio.Future[None]]] = deque()

    async def reserve(self, worst_usd: Decimal) -> None:
        """Sets `worst_usd` aside, waiting where other calls may still free some room.

        Raises:
            CapReachedError: it does not fit and never will.
        """
        if self.limit_usd is None:
            return
        if self.reached:
            raise self._refusal()
        if not self._waiting and self._fits(worst_usd):
            self.reserved_usd += worst_usd
            return
        if self._is_hopeless(worst_usd):
            if self._final:
                self._refuse_all()
            raise self._refusal()
        granted = asyncio.get_running_loop().create_future()
        entry = (worst_usd, granted)
        self._waiting.append(entry)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled() and granted.exception() is None:
                self._release(worst_usd)
            elif entry in self._waiting:
                self._waiting.remove(entry)
            raise

    def settle(self, worst_usd: Decimal, spent_usd: Decimal) -> None:
        """Replaces a reservation by what was spent (or may have been spent)."""
        self.spent_usd += spent_usd
        if self.limit_usd is not None:
            self._release(worst_usd)

    def _release(self, worst_usd: Decimal) -> None:
        self.reserved_usd -= worst_usd
        while self._waiting:
            wanted, granted = self._waiting[0]
            if granted.done():
                self._waiting.popleft()
            elif self._fits(wanted):
                self._waiting.popleft()
                self.reserved_usd += wanted
                granted.set_result(None)
            elif not self._is_hopeless(wanted):
                return
            elif self._final:
                self._refuse_all()
            else:
                self._waiting.popleft()
                granted.set_exception(self._refusal())

    def _is_hopeless(self, worst_usd: Decimal) -> bool:
        """Whether waiting for what others have reserved cannot make room any more."""
        if self._final:
            return not self.reserved_usd
        assert self.limit_usd is not None
        return self.spent_usd + worst_usd > self.limit_usd

    def _fits(self, worst_usd: Decimal) -> bool:
        assert self.limit_usd is not None
        return self.spent_usd + self.reserved_usd + worst_usd <= self.limit_usd

    def _refuse_all(self) -> None:
        self.reached = True
        while self._waiting:
            _, granted = self._waiting.popleft()
            if not granted.done():
                granted.set_exception(self._refusal())

    def _refusal(self) -> CapReachedError:
        assert self.limit_usd is not None
        return CapReachedError(
            f"the spending cap of ${format_usd(self.limit_usd)} leaves no room for the worst"
            f" case of the next call (${format_usd(self.spent_usd)} spent); results so far"
            " are valid, the same command with a higher --max-cost goes on"
        )
