"""One request as an episode: solved, answered, and settled whatever becomes of its client.

A system's answer waits until the calls that it started have come back, so the ledger in the
reply is whole. Where a client leaves, the time is over or the server stops, the client is
answered at once if it is still there; no further attempt is sent, and those that are on the
wire are let come to their end and are booked. Only a server that will wait no longer cancels
them; they are then booked as unsettled at their worst case.

    exchange = Exchange(bench, account, chat, budget)
    await asyncio.wait([exchange.outcome])      # a Completion or a Refusal
    exchange.give_up(Refusal(...))              # ends it early
    await exchange.task                         # all that it cost is on the books
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from secrets import randbits, token_hex
from typing import Any

from corl_bench.episode import Episode
from corl_bench.errors import CapReachedError, StorageError
from corl_bench.experts.base import ExpertSpec, Provider
from corl_bench.experts.caller import Caller
from corl_bench.money.amounts import format_usd
from corl_bench.routers.base import Router
from corl_bench.routers.playing import play
from corl_bench.serve.accounts import KEY_CAP_WORDS, Account
from corl_bench.serve.books import Books
from corl_bench.serve.chat import Chat
from corl_bench.serve.refusals import Refusal
from corl_bench.serve.replies import Completion, Costs, Finish
from corl_bench.text import cut_at, without_keys
from corl_bench.types import Budget, Problem

UNWINDING_S = 3.0
"""How long a system that is cancelled may take to end; one that will not is left behind."""

SEED_BITS = 30
"""Servers that honour a seed read it as a 32-bit number, and repeated calls add to it."""

_FINISH: Mapping[str | None, Finish] = {"length": "length", "refusal": "content_filter"}


@dataclass(frozen=True, slots=True)
class Bench:
    """What every request of a server is worked on with."""

    system: Router
    experts: tuple[ExpertSpec, ...]
    """The pool's."""
    own_models: tuple[ExpertSpec, ...]
    """The system's."""
    providers: Mapping[str, Provider]
    books: Books
    timeout_s: float
    seed: int = 0

    def experts_for(self, chat: Chat) -> list[ExpertSpec]:
        """Whom the system may ask; a client may have experts say less, never more."""
        most = chat.max_output_tokens
        if most is None:
            return [*self.experts, *self.own_models]
        return [*(_limited(expert, most) for expert in self.experts), *self.own_models]


class Exchange:
    """A request from its admission to its last settled call.

    Args:
        bench: what it is worked on with.
        account: who pays.
        chat: what is asked.
        budget: what it may cost, as the system is told.
    """

    def __init__(self, bench: Bench, account: Account, chat: Chat, budget: Budget | None) -> None:
        self.id = token_hex(12)
        self.account = account
        self.chat = chat
        self.detail = ""
        """Why it failed, for whoever runs the server."""
        self.failure: StorageError | None = None
        """The books cannot be written: nothing may be asked any more."""
        loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[Completion | Refusal] = loop.create_future()
        self._bench = bench
        self._budget = budget
        self._begun_s = time.monotonic()
        self._given_up: asyncio.Future[Refusal] = loop.create_future()
        self._abort: Callable[[], object] = lambda: None
        self._is_over = False
        self._asker = bench.books.asker(
            account, providers=bench.providers, stopping=lambda: self._is_over
        )
        self._episode = self._open_episode()
        self.task = asyncio.create_task(self._run())

    @property
    def costs(self) -> Costs:
        """What it has cost so far."""
        episode = self._episode
        return Costs(
            request_id=self.id,
            system=self._bench.system.name,
            budget=self._budget,
            calls=episode.calls,
            charges=episode.charges,
            events=episode.events,
            latency_s=self.seconds,
        )

    @property
    def seconds(self) -> float:
        """Since it was admitted."""
        return time.monotonic() - self._begun_s

    def give_up(self, why: Refusal) -> None:
        """Ends it early: `why` is the answer if there is none yet, and nothing more is sent."""
        if not self._given_up.done():
            self._given_up.set_result(why)

    def _open_episode(self) -> Episode:
        chat, bench, books = self.chat, self._bench, self._bench.books
        episode = Episode(
            key=f"{self.account.key.name}/{self.id}",
            problem=Problem(id=self.id, text=chat.statement, answer=""),
            prompt=chat.messages,
            experts=bench.experts_for(chat),
            caller=Caller(
                self._asker, books.store, books.ledger, mode="live", run_id=books.instance
            ),
            sample=randbits(SEED_BITS) if chat.seed is None else chat.seed % 2**SEED_BITS,
            seed=bench.seed,
            on_abort=lambda: self._abort(),
        )
        if chat.seed is not None:
            # Its own randomness is drawn from the name of the request, which is never the same.
            episode.rng.seed(chat.seed)
        return episode

    async def _run(self) -> None:
        system = self._bench.system
        budget = self._budget if system.reads_budget else None
        playing = asyncio.create_task(play(system, budget, self.chat.statement, self._opened))
        # Its error may never be looked at, and that is no news.
        playing.add_done_callback(lambda task: task.cancelled() or task.exception())
        ends: list[asyncio.Future[Any]] = [playing, self._given_up]
        try:
            await asyncio.wait(
                ends, timeout=self._bench.timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            self._answer(self._ending(playing) if playing.done() else self._late())
            self._close()
            await self._asker.drained()
        finally:
            self._close()
            playing.cancel()
            await asyncio.wait([playing], timeout=UNWINDING_S)
            self._answer(Refusal(503, "the server has stopped", code="stopping"))
            self._write()

    def _opened(self, on_abort: Callable[[], object]) -> Episode:
        self._abort = on_abort
        return self._episode

    def _close(self) -> None:
        """Sends nothing from now on; what is on the wire is another matter."""
        self._is_over = True
        self._episode.close()

    def _answer(self, outcome: Completion | Refusal) -> None:
        """Answers the client, if that has not been done."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def _late(self) -> Refusal:
        if self._given_up.done():
            return self._given_up.result()
        return self._refusal(504, f"no answer within {self._bench.timeout_s:g} s", code="timeout")

    def _ending(
        self, playing: asyncio.Task[tuple[Episode, str | None, str]]
    ) -> Completion | Refusal:
        """What a system that has come to its end has come to."""
        if playing.cancelled():
            return self._refusal(500, "the routing system did not end", code="system_failed")
        error = playing.exception()
        if isinstance(error, CapReachedError):
            whose = "key" if str(error) == KEY_CAP_WORDS else "server"
            return self._refusal(402, str(error), code=f"{whose}_cap_reached")
        if isinstance(error, StorageError):
            return self._refusal(503, "the server cannot keep its books", code="storage")
        if error is not None:
            self.detail = type(error).__name__
            return self._refusal(500, "an error of the server", code="internal_error")
        _, text, failure = playing.result()
        self.detail = without_keys(failure)
        return self._no_answer() if text is None else self._completion(text)

    def _no_answer(self) -> Refusal:
        """Why there is none, without the words of systems and providers."""
        failed = [call for call in self._episode.calls if call.status != "ok"]
        if not failed:
            return self._refusal(502, "the routing system gave no answer", code="no_answer")
        last = failed[-1]
        if last.status == "too_long":
            message = f"the conversation is longer than {last.expert} can read"
            return self._refusal(400, message, code="context_length_exceeded")
        message = f"no answer: the call to {last.expert} failed ({last.status})"
        return self._refusal(502, message, code="expert_failed")

    def _completion(self, text: str) -> Completion:
        calls = self._episode.calls
        finishes = [call.finish for call in calls if call.text == text]
        shown = cut_at(text, self.chat.stops)
        finish = _FINISH.get(finishes[-1] if finishes else None, "stop")
        return Completion(
            model=self.chat.model,
            created=int(time.time()),
            text=shown,
            finish=finish if shown == text else "stop",
            costs=self.costs,
        )

    def _refusal(self, status: int, message: str, *, code: str) -> Refusal:
        """An error of a request that may have cost something."""
        return Refusal(status, message, code=code, ledger=self.costs.ledger())

    def _write(self) -> None:
        if isinstance(self._episode.aborted, StorageError):
            self.failure = self._episode.aborted
        outcome = self.outcome.result()
        costs = self.costs
        line: dict[str, Any] = {
            "request": self.id,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "key": self.account.key.name,
            "model": self.chat.model,
            "budget_usd": None if self._budget is None else format_usd(self._budget.usd),
            "status": status_of(outcome),
            "code": outcome.code if isinstance(outcome, Refusal) else None,
            "calls": len(costs.calls),
            "list_cost_usd": format_usd(costs.list_cost_usd),
            "seconds": round(self.seconds, 3),
        }
        try:
            self._bench.books.finish(line, self._episode.call_ids)
        except StorageError as error:
            self.failure = error


def status_of(outcome: Completion | Refusal) -> int:
    """As HTTP has it, also where a stream has begun with another."""
    return outcome.status if isinstance(outcome, Refusal) else 200


def _limited(expert: ExpertSpec, most: int) -> ExpertSpec:
    own = expert.sampling.max_output_tokens
    limit = most if own is None else min(own, most)
    return replace(expert, sampling=replace(expert.sampling, max_output_tokens=limit))
