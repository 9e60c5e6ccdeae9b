"""The requests to a shared pool: each one call of the bench, under one cap, into one store.

Invariants: a draw that is stored is never asked for again, and one that is being asked for is
waited for by whoever wants it too; what was sent is stored and booked whether or not its worker
is still there; every request has an answer before the server is gone.

    desk = Desk(experts, books, providers, mode="auto", say=print)
    answered = await desk.answer(read_asked(body))      # or a Refusal
    await desk.stop(hurry=asyncio.Event())
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Literal

from corl_bench.errors import CapReachedError, ConfigError, StorageError
from corl_bench.experts.attempts import StoppedError, worst_case_usd
from corl_bench.experts.base import ExpertSpec, Provider, Request
from corl_bench.experts.caller import Caller, CallOutcome
from corl_bench.experts.sampling import override
from corl_bench.money.amounts import format_usd
from corl_bench.serve.books import Books
from corl_bench.serve.keys import LOCAL
from corl_bench.serve.refusals import Refusal
from corl_bench.serve.sharing.asked import Asked

Source = Literal["auto", "replay"]
"""Whether a draw that is not stored is asked for."""


@dataclass(frozen=True, slots=True)
class ShareLimits:
    """What a shared pool allows, whoever asks."""

    max_body_bytes: int = 1 << 20
    max_in_flight: int = 4096
    """Requests under way at a time, those that wait for another's reply included."""
    grace_s: float = 60.0
    """At a stop: how long calls in flight are waited for."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply, and where it came from."""

    id: str
    asked: Asked
    outcome: CallOutcome
    stored: bool
    """Whether it was there already, so that this request is billed by nobody."""


class Desk:
    """All requests of one shared pool.

    Args:
        experts: the pool's, by alias.
        books: with the store.
        providers: by alias; none of them is needed for a replay.
        mode: `replay` answers from the store alone.
        seed: of simulated experts.
        limits: what is allowed at all.
        say: is given a line for each request that brought no reply, and for defects.
    """

    def __init__(
        self,
        experts: Mapping[str, ExpertSpec],
        books: Books,
        providers: Mapping[str, Provider],
        *,
        mode: Source = "auto",
        seed: int = 0,
        limits: ShareLimits | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.experts = experts
        self.limits = limits or ShareLimits()
        self.say = say
        self.stopping = False
        self.failed: asyncio.Future[StorageError] = asyncio.get_running_loop().create_future()
        """Done when store or books cannot be written, which ends the server."""
        self._books = books
        self._seed = seed
        self._caller = Caller(
            books.asker(None, providers=providers, stopping=lambda: self.stopping),
            books.store,
            books.ledger,
            mode=mode,
            run_id=books.instance,
            # What failed stays failed while this process lives: workers repeat nothing of
            # themselves. The next one tries again.
            reuse_failures=False,
        )
        self._running: set[asyncio.Task[Answered]] = set()
        self._ended: Counter[str] = Counter()

    async def answer(self, asked: Asked) -> Answered:
        """Answers a request from the store, else by asking.

        It goes on when whoever waits for it is cancelled: a worker that dies has its reply
        waiting for it in the store.

        Raises:
            Refusal: there is no reply.
        """
        expert = self.experts.get(asked.expert)
        if expert is None:
            known = ", ".join(self.experts)
            raise Refusal(
                404,
                f"there is no expert {asked.expert[:80]!r} in this pool; there are {known}",
                code="model_not_found",
                param="model",
            )
        if self.stopping:
            raise _stopping()
        if len(self._running) >= self.limits.max_in_flight:
            raise Refusal(
                503,
                f"{self.limits.max_in_flight} requests are under way already",
                code="overloaded",
                retry_after_s=1.0,
            )
        request = self._request(expert, asked)
        task = asyncio.create_task(self._answer(request, asked))
        self._running.add(task)
        task.add_done_callback(self._forget)
        await asyncio.wait([task])
        if task.cancelled():
            raise _stopping()
        return task.result()

    def stats(self) -> dict[str, Any]:
        """What was spent over all of the directory's time, and done since this process began.

        Amounts are dollars, written in digits.
        """
        totals, cap = self._books.ledger.totals, self._books.cap
        return {
            "cap_usd": None if cap.limit_usd is None else format_usd(cap.limit_usd),
            "spent_usd": format_usd(totals.committed_usd),
            "billed_usd": format_usd(totals.billed_cost_usd),
            "unsettled_usd": format_usd(totals.unsettled_usd),
            "reserved_usd": format_usd(cap.reserved_usd),
            "list_cost_usd": format_usd(totals.list_cost_usd),
            "attempts": totals.attempts,
            "unsettled_attempts": totals.unsettled_attempts,
            "in_flight": len(self._running),
            "answered_by_asking": self._ended["asked"],
            "answered_from_store": self._ended["stored"],
            "refused_by_cap": self._ended["cap"],
            "failed": self._ended["failed"],
            "stopping": self.stopping,
        }

    async def stop(self, hurry: asyncio.Event) -> None:
        """Ends all requests: nothing more is sent, and what is on the wire comes to its end.

        Args:
            hurry: set when the user asks again. What then, or after `grace_s`, is still in
                flight is dropped and booked at its worst case.
        """
        self.stopping = True
        hurry.clear()
        hurried = asyncio.create_task(hurry.wait())
        deadline_s = time.monotonic() + self.limits.grace_s
        while (
            self._running and not hurried.done() and (left_s := deadline_s - time.monotonic()) > 0
        ):
            await asyncio.wait(
                [hurried, *self._running], timeout=left_s, return_when=asyncio.FIRST_COMPLETED
            )
        hurried.cancel()
        for task in list(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(list(self._running))

    def _request(self, expert: ExpertSpec, asked: Asked) -> Request:
        try:
            sampling = override(expert.sampling, asked.sampling)
        except ConfigError as error:
            raise Refusal(400, str(error), code="invalid_value") from None
        return Request(
            expert=expert,
            messages=asked.messages,
            sampling=sampling,
            problem_text=asked.problem_text,
            sample=asked.sample,
            occurrence=asked.occurrence,
            seed=self._seed,
        )

    def _forget(self, task: asyncio.Task[Answered]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited for it may have left

    async def _answer(self, request: Request, asked: Asked) -> Answered:
        name, begun_s = token_hex(12), time.monotonic()
        call_id = f"{LOCAL}/{name}#0"
        ending, outcome, stored = "stopped", None, False
        try:
            outcome = await self._caller.call(request, call_id=call_id, episode="")
            if outcome.reply is None:
                ending = "failed"
                raise self._no_reply(asked, outcome)
            stored = any(line.stored for line in self._books.ledger.lines_of(call_id))
            ending = "stored" if stored else "asked"
            return Answered(name, asked, outcome, stored)
        except CapReachedError:
            ending = "cap"
            raise self._no_room(request) from None
        except StoppedError:
            raise _stopping() from None
        except StorageError as error:
            ending = "failed"
            if not self.failed.done():
                self.failed.set_result(error)
            raise Refusal(503, "the server cannot keep its books", code="storage") from error
        finally:
            self._ended[ending] += 1
            self._write(name, call_id, asked, ending, outcome, time.monotonic() - begun_s)

    def _write(
        self,
        name: str,
        call_id: str,
        asked: Asked,
        ending: str,
        outcome: CallOutcome | None,
        seconds: float,
    ) -> None:
        line = {
            "request": name,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "expert": asked.expert,
            "sample": asked.sample,
            "occurrence": asked.occurrence,
            "ending": ending,
            "status": None if outcome is None else outcome.status,
            "list_cost_usd": "0" if outcome is None else format_usd(outcome.list_cost_usd),
            "seconds": round(seconds, 3),
        }
        try:
            self._books.finish(line, [call_id])
        except StorageError as error:
            if not self.failed.done():
                self.failed.set_result(error)

    def _no_reply(self, asked: Asked, outcome: CallOutcome) -> Refusal:
        """Why there is none. It is final: retries are made here, and have been."""
        self.say(f"{asked.expert}: {outcome.status} {outcome.detail}".rstrip())
        if outcome.status == "not_recorded":
            message = f"no recorded reply of {asked.expert} to this, sample {asked.sample}"
            return Refusal(404, message, code="not_recorded")
        if outcome.status == "too_long":
            message = f"the conversation is longer than {asked.expert} can read"
            return Refusal(400, message, code="context_length_exceeded")
        tries = f"after {outcome.attempts} attempts"
        message = f"the call to {asked.expert} failed ({outcome.status}) {tries}"
        return Refusal(424, message, code="expert_failed")

    def _no_room(self, request: Request) -> Refusal:
        cap = self._books.cap
        assert cap.limit_usd is not None
        return Refusal(
            402,
            f"the shared pool's spending cap of ${format_usd(cap.limit_usd)} leaves no room for"
            f" this call (${format_usd(cap.spent_usd)} spent, at worst"
            f" ${format_usd(worst_case_usd(request))} more): serve it with a higher --max-cost",
            code="server_cap_reached",
        )


def _stopping() -> Refusal:
    return Refusal(503, "the server is stopping", code="stopping", retry_after_s=5.0)
