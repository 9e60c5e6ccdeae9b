"""The requests of a server: who is let in, what is under way, and how it all ends.

Invariant: every request that was let in is answered, and settled before the server is gone. A
stop comes in three steps, each when the one before has taken its time or when the user asks
again: nothing new is let in; nothing more is sent, and what is on the wire comes to its end;
what still has not is dropped and booked at its worst case.

    service = Service(bench, limits, metrics, say)
    exchange = service.admit(account, chat)
    await service.stop(hurry=asyncio.Event())
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from corl_bench.money.amounts import display_usd, format_usd
from corl_bench.serve.accounts import SERVER_CAP_WORDS, Account, is_spent
from corl_bench.serve.chat import MODEL, Chat
from corl_bench.serve.exchange import Bench, Exchange, status_of
from corl_bench.serve.metrics import Metrics
from corl_bench.serve.refusals import Refusal
from corl_bench.types import Budget


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server allows, whoever asks."""

    max_body_bytes: int = 1 << 20
    max_in_flight: int = 512
    """Requests under way at a time."""
    grace_s: float = 30.0
    """For each of the two steps of a stop that wait."""


class Service:
    """All requests of one server.

    Args:
        bench: what they are worked on with.
        budgets: by name, each a model of its own.
        limits: what is allowed at all.
        metrics: is told of everything.
        say: is given a line for each request that has ended.
    """

    def __init__(
        self,
        bench: Bench,
        budgets: Mapping[str, Budget],
        limits: Limits,
        metrics: Metrics,
        say: Callable[[str], None],
    ) -> None:
        self.bench = bench
        self.limits = limits
        self.metrics = metrics
        self.say = say
        self.models: dict[str, Budget | None] = {MODEL: None} | {
            f"{MODEL}-{name}": budget for name, budget in budgets.items()
        }
        self.stopping = False
        self.failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        """Done when the books cannot be written, which ends the server."""
        self._running: dict[Exchange, asyncio.Task[None]] = {}

    @property
    def in_flight(self) -> int:
        """Requests under way, those whose client has gone included."""
        return len(self._running)

    def admit(self, account: Account, chat: Chat) -> Exchange:
        """Begins to work on a request.

        Raises:
            Refusal: it is not let in, and nothing is spent.
        """
        if chat.model not in self.models:
            known = ", ".join(self.models)
            raise Refusal(
                404,
                f"there is no model {chat.model[:80]!r}; there are {known}",
                code="model_not_found",
                param="model",
            )
        if self.stopping:
            raise stopping()
        if self.in_flight >= self.limits.max_in_flight:
            raise Refusal(
                503,
                f"{self.limits.max_in_flight} requests are under way already",
                code="overloaded",
                retry_after_s=1.0,
            )
        if is_spent(self.bench.books.cap):
            raise Refusal(402, SERVER_CAP_WORDS, code="server_cap_reached")
        account.admit()
        budget = self.models[chat.model] or account.key.budget
        if chat.budget_usd is not None:
            budget = Budget(format_usd(chat.budget_usd), chat.budget_usd)
        exchange = Exchange(self.bench, account, chat, budget)
        self._running[exchange] = exchange.task
        self.metrics.in_flight.inc()
        exchange.task.add_done_callback(lambda task: self._ended(exchange, task))
        return exchange

    def _ended(self, exchange: Exchange, task: asyncio.Task[None]) -> None:
        del self._running[exchange]
        exchange.account.leave()
        self.metrics.in_flight.dec()
        costs = exchange.costs
        self.metrics.costs(costs.calls, costs.charges)
        line = (
            f"{exchange.id} {exchange.account.key.name} {exchange.chat.model}"
            f" {status_of(exchange.outcome.result())} {len(costs.calls)} calls"
            f" {display_usd(costs.list_cost_usd)} {exchange.seconds:.1f} s"
        )
        self.say(f"{line} {exchange.detail}".rstrip())
        if not task.cancelled() and (error := task.exception()) is not None:
            self.say(f"defect: {type(error).__name__} in request {exchange.id}")
        if exchange.failure is not None and not self.failed.done():
            self.failed.set_result(exchange.failure)

    async def stop(self, hurry: asyncio.Event) -> None:
        """Ends all requests, in good order as far as there is time.

        Args:
            hurry: set when the user asks again; each step looks at it anew.
        """
        self.stopping = True
        await self._wait(hurry)
        for exchange in list(self._running):
            exchange.give_up(stopping())
        await self._wait(hurry)
        for task in list(self._running.values()):
            task.cancel()
        await self._ended_all()

    async def _wait(self, hurry: asyncio.Event) -> None:
        """Until nothing is under way, the time is over, or the user asks again."""
        hurry.clear()
        asked = asyncio.create_task(hurry.wait())
        ended = asyncio.create_task(self._ended_all())
        waiting: list[asyncio.Task[Any]] = [asked, ended]
        await asyncio.wait(
            waiting, timeout=self.limits.grace_s, return_when=asyncio.FIRST_COMPLETED
        )
        for task in waiting:
            task.cancel()

    async def _ended_all(self) -> None:
        if self._running:
            await asyncio.wait(list(self._running.values()))


def stopping() -> Refusal:
    """Why nothing is let in any more."""
    return Refusal(503, "the server is stopping", code="stopping", retry_after_s=5.0)
