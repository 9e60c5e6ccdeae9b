"""The requests to a shared pool: each one call of the bench, under one cap, into one store.

Invariants: a draw that is stored is never asked for again, and one that is being asked for is
waited for by whoever wants it too; what was sent is stored and booked whether or not its worker
is still there; every request has an answer in time, if only that it is still under way, and a
last one before the server is gone.

    broker = Broker(experts, books, providers, mode="auto", say=print)
    answered = await broker.answer(read_draw_request(body), size=len(body))      # or a Refusal
    await broker.stop(hurry=asyncio.Event())
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Literal

from corl_bench.errors import CapReachedError, ConfigError, StorageError
from corl_bench.experts.attempts import StoppedError, worst_case_usd
from corl_bench.experts.base import ExpertSpec, Provider, Request
from corl_bench.experts.caller import Caller, CallOutcome
from corl_bench.experts.sampling import override
from corl_bench.experts.shared import STILL_ASKING
from corl_bench.money.amounts import format_usd
from corl_bench.serve.books import Books
from corl_bench.serve.keys import LOCAL
from corl_bench.serve.refusals import Refusal
from corl_bench.serve.sharing.draw_request import DrawRequest
from corl_bench.serving import MAX_BODY_BYTES

ShareMode = Literal["auto", "replay"]
"""Whether a draw that is not stored is asked for."""

_Ending = Literal["asked", "stored", "cap", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class ShareLimits:
    """What a shared pool allows, whoever asks."""

    max_body_bytes: int = MAX_BODY_BYTES
    max_in_flight: int = 4096
    """Requests under way at a time, those that wait for another's reply included."""
    max_in_flight_bytes: int = 64 << 20
    """Of their bodies together, those that are being read included. A request holds several
    times its size while it is under way."""
    answer_s: float = 120.0
    """Within it a request is answered, if only with the word that it is still under way."""
    grace_s: float = 60.0
    """At a stop: how long calls in flight are waited for."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply, and where it came from."""

    id: str
    asked: DrawRequest
    outcome: CallOutcome
    stored: bool
    """Whether it was there already, so that this request is billed by nobody."""


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A request that has been taken on."""

    name: str
    asked: DrawRequest
    task: asyncio.Task[Answered]
    held: ExitStack
    """What is given back when it has ended."""


class Broker:
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
        mode: ShareMode = "auto",
        seed: int = 0,
        limits: ShareLimits | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.experts = experts
        self.limits = limits or ShareLimits()
        self.say = say
        self.stopping = False
        self.failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        """Done when store or books cannot be written, which ends the server."""
        self._books = books
        self._seed = seed
        self._caller = Caller(
            books.asker(None, providers=providers, stopping=lambda: self.stopping),
            books.store,
            books.ledger,
            mode=mode,
            run_id=books.instance,
            # What no repeat mends, or may have been billed, stays failed while this process
            # lives. The next one tries again.
            reuse_failures=False,
            mendable_failures_stand=False,
        )
        self._running: dict[str, _UnderWay] = {}
        self._held_bytes = 0
        self._ended: Counter[_Ending] = Counter()

    @contextmanager
    def room(self, size: int) -> Iterator[None]:
        """Sets memory aside for a body of some bytes.

        Raises:
            Refusal: 503, there is none at the moment.
        """
        if self._held_bytes and self._held_bytes + size > self.limits.max_in_flight_bytes:
            raise _overloaded(f"{self._held_bytes:,} bytes of requests are under way already")
        self._held_bytes += size
        try:
            yield
        finally:
            self._held_bytes -= size

    async def answer(self, asked: DrawRequest, *, size: int = 0, name: str = "") -> Answered:
        """Answers a request from the store, else by asking.

        It goes on when whoever waits for it is cancelled: a worker that dies has its reply
        waiting for it in the store.

        Args:
            asked: the request.
            size: of its body in bytes.
            name: of the same request, as it was told to whoever has come back for its answer.

        Raises:
            Refusal: there is no reply; or not yet, with the code `still_asking`.
        """
        under_way = self._running.get(name)
        if under_way is None or under_way.asked != asked:
            under_way = self._begin(asked, size)
        task = under_way.task
        await asyncio.wait([task], timeout=self.limits.answer_s)
        if not task.done():
            raise Refusal(
                503,
                f"{asked.expert} has not answered yet: ask again",
                code=STILL_ASKING,
                retry_after_s=1.0,
                request=under_way.name,
            )
        if task.cancelled():
            raise _stopping()
        return task.result()

    def _begin(self, asked: DrawRequest, size: int) -> _UnderWay:
        """Takes a request on.

        Raises:
            Refusal: it cannot be.
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
            raise _overloaded(f"{self.limits.max_in_flight} requests are under way already")
        request, name = self._request(expert, asked), token_hex(12)
        with ExitStack() as held:
            held.enter_context(self.room(size))
            task = asyncio.create_task(self._answer(name, request, asked))
            under_way = self._running[name] = _UnderWay(name, asked, task, held.pop_all())
        task.add_done_callback(lambda _: self._forget(under_way))
        return under_way

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
            (tasks := self._tasks)
            and not hurried.done()
            and (left_s := deadline_s - time.monotonic()) > 0
        ):
            await asyncio.wait(
                [hurried, *tasks], timeout=left_s, return_when=asyncio.FIRST_COMPLETED
            )
        hurried.cancel()
        for task in self._tasks:
            task.cancel()
        if tasks := self._tasks:
            await asyncio.wait(tasks)

    @property
    def _tasks(self) -> list[asyncio.Task[Answered]]:
        return [under_way.task for under_way in self._running.values()]

    def _request(self, expert: ExpertSpec, asked: DrawRequest) -> Request:
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

    def _forget(self, done: _UnderWay) -> None:
        del self._running[done.name]
        done.held.close()
        if not done.task.cancelled():
            done.task.exception()  # whoever waited for it may have left

    async def _answer(self, name: str, request: Request, asked: DrawRequest) -> Answered:
        begun_s = time.monotonic()
        call_id = f"{LOCAL}/{name}#0"
        ending: _Ending = "failed"
        outcome: CallOutcome | None = None
        try:
            outcome = await self._caller.call(request, call_id=call_id, episode="")
            if outcome.reply is None:
                raise self._no_reply(asked, outcome)
            stored = any(line.stored for line in self._books.ledger.lines_of(call_id))
            ending = "stored" if stored else "asked"
            return Answered(name, asked, outcome, stored)
        except CapReachedError:
            ending = "cap"
            raise self._no_room(request) from None
        except StoppedError:
            ending = "stopped"
            raise _stopping() from None
        except asyncio.CancelledError:
            ending = "stopped"
            raise
        except StorageError as error:
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
        asked: DrawRequest,
        ending: _Ending,
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

    def _no_reply(self, asked: DrawRequest, outcome: CallOutcome) -> Refusal:
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


def _overloaded(message: str) -> Refusal:
    return Refusal(503, message, code="overloaded", retry_after_s=1.0)


def _stopping() -> Refusal:
    return Refusal(503, "the server is stopping", code="stopping", retry_after_s=5.0)
