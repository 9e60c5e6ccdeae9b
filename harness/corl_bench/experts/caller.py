"""One call from question to reply: from the store where the mode allows it, else by asking.

What a call looks like afterwards (`CallOutcome`) depends on recorded facts alone, so that a
replay of it is equal to the original. How a provider is asked is the matter of `attempts`.

Where a reply comes from is the run's *mode*:

=========  ===========================================  ==================================
mode       stored replies                               otherwise
=========  ===========================================  ==================================
`replay`   recorded and imported                        the call fails as `not_recorded`
`auto`     recorded and imported                        asked, stored
`record`   those that this run has recorded itself      asked, stored
`live`     those of the very same episode (a resume)    asked, stored for this episode only
=========  ===========================================  ==================================

In `auto` and `record` the systems of a run share replies: the same question, sample and
occurrence is asked once, and the first episode to need it pays.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from corl_bench.experts.attempts import Asker, worst_case_usd
from corl_bench.experts.base import Reply, Request
from corl_bench.experts.costs import Cost, cost_of
from corl_bench.experts.recording import Attempt, RecordedCall, Recordings, problem_key
from corl_bench.money.amounts import sum_usd
from corl_bench.money.basis import CostBasis, weakest
from corl_bench.money.ledger import Ledger, LedgerLine
from corl_bench.types import Mode

_MENDABLE = ("rate_limited", "server_error", "unreachable")


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """How a call ended, with the money of all its attempts."""

    status: str
    reply: Reply | None
    attempts: int
    list_cost_usd: Decimal
    unsettled_usd: Decimal
    latency_s: float
    """Of all attempts together; waiting for a free slot is not part of it."""
    detail: str = ""
    basis: CostBasis = "metered"
    """Where the list cost comes from."""
    expert: str = ""
    """The pool's expert that has answered for a server that routes by itself."""
    model: str = ""
    """The model that has answered for such a server."""


class Answering(Protocol):
    """What an episode's calls are handed to: a `Caller`, or what chooses among several."""

    async def call(self, request: Request, *, call_id: str, episode: str) -> CallOutcome: ...

    def stored(self, request: Request) -> CallOutcome | None: ...

    def charge(
        self, name: str, what: str, usd: Decimal, basis: CostBasis, *, of: str | None
    ) -> None: ...


class Caller:
    """Calls experts for all episodes of a run.

    Args:
        asker: asks where nothing is stored.
        store: where replies are kept; in `replay` it is only read.
        ledger: gets the lines of stored replies; the asker writes those of its own.
        mode: where replies may come from.
        run_id: identifies this run's own recordings in the store.
        reuse_failures: whether a call of this run that failed stays failed.
        mendable_failures_stand: whether a failure that cost nothing and that another try may
            mend (an outage, a busy provider) is the answer of its draw for longer than to those
            who waited for it.
    """

    def __init__(
        self,
        asker: Asker,
        store: Recordings,
        ledger: Ledger,
        *,
        mode: Mode,
        run_id: str,
        reuse_failures: bool = True,
        mendable_failures_stand: bool = True,
    ) -> None:
        self._asker = asker
        self._store = store
        self._ledger = ledger
        self._mode: Mode = mode
        self._run_id = run_id
        self._reuse_failures = reuse_failures
        self._mendable_stand = mendable_failures_stand
        self._asking: dict[tuple[str, int, int, str], asyncio.Future[RecordedCall | None]] = {}
        self._failed: set[tuple[str, int, int]] = set()
        """Draws (request key, sample, occurrence) that failed for good in this process; none is
        tried twice in it."""

    async def call(self, request: Request, *, call_id: str, episode: str) -> CallOutcome:
        """Answers one request from the store or from its provider.

        Args:
            request: what to ask, and which draw of the reply.
            call_id: the call's name in the ledger; the same after a resume.
            episode: key of the episode that asks.

        Raises:
            CapReachedError: the cap leaves no room; nothing was sent.
            StoppedError: the run is being stopped; nothing was sent.
        """
        scope = episode if self._mode == "live" else ""
        key = request.key()
        draw = (key, request.sample, request.occurrence, scope)
        while True:
            recorded = self._find(request, key, scope or episode)
            if recorded is not None:
                return self._outcome_of(request, recorded, call_id)
            if self._mode == "replay" or request.expert.provider == "recorded":
                return _not_recorded(request)
            other = self._asking.get(draw)
            if other is None:
                break
            await asyncio.wait([other])
            failed = other.result()
            if failed is not None:
                return self._outcome_of(request, failed, call_id)
        done: asyncio.Future[RecordedCall | None] = asyncio.get_running_loop().create_future()
        self._asking[draw] = done
        failed = None
        try:
            recorded = await self._asker.ask(request, key, scope, call_id)
            if recorded.reply is None:
                failed = recorded
                if self._mendable_stand or not _is_mendable(recorded):
                    self._failed.add((key, request.sample, request.occurrence))
        finally:
            del self._asking[draw]
            done.set_result(failed)
        return self._outcome(request, recorded)

    def stored(self, request: Request) -> CallOutcome | None:
        """The stored outcome of a request, without a ledger line; oracles look at these."""
        recorded = self._find(request, request.key(), "")
        return None if recorded is None else self._outcome(request, recorded)

    def charge(
        self, name: str, what: str, usd: Decimal, basis: CostBasis, *, of: str | None
    ) -> None:
        """Books a fee and counts it against the cap; see `Ledger.book_fee`."""
        line = self._ledger.book_fee(name, what, usd, basis, of=of)
        owed_usd = Decimal(0) if line is None else line.billed_cost_usd + line.unsettled_usd
        self._asker.spend_fee(owed_usd, of)

    def _find(self, request: Request, key: str, episode: str) -> RecordedCall | None:
        own = self._mode in ("live", "record")
        recorded = self._store.find(
            key,
            request.sample,
            request.occurrence,
            episode=episode,
            run_id=self._run_id if own else None,
        )
        if recorded is not None and (recorded.reply is not None or self._stands(recorded)):
            return recorded
        if own:
            return None
        return self._store.find_imported(
            problem_key(request.problem_text),
            request.expert.name,
            request.expert.model,
            request.sample,
        )

    def _stands(self, failed: RecordedCall) -> bool:
        """Whether a recorded failure is the answer: a replay repeats it, an own one is known."""
        if self._mode == "replay":
            return True
        if failed.run_id != self._run_id:
            return False
        draw = (failed.request_key, failed.sample, failed.occurrence)
        return self._reuse_failures or draw in self._failed

    def _outcome_of(self, request: Request, recorded: RecordedCall, call_id: str) -> CallOutcome:
        """The outcome of a stored call; its list cost is booked if this call has not yet."""
        lines = self._ledger.lines_of(call_id)
        # Failed attempts of its own, from before a kill, do not make up for the reply's line.
        booked = any(line.status == "ok" or recorded.reply is None for line in lines)
        if not booked:
            first = self._ledger.next_attempt(call_id)
            self._ledger.account(
                LedgerLine(
                    call=call_id,
                    attempt=first + position,
                    expert=cost.expert or request.expert.name,
                    model=cost.model or request.expert.model,
                    price=cost.price,
                    status=attempt.status,
                    usage=attempt.usage,
                    list_cost_usd=cost.usd,
                    stored=True,
                    basis=cost.basis,
                )
                for position, (attempt, cost) in enumerate(_costs(request, recorded))
            )
        return self._outcome(request, recorded)

    def _outcome(self, request: Request, recorded: RecordedCall) -> CallOutcome:
        costs = _costs(request, recorded)
        open_bills = sum(not attempt.settled or cost.basis == "opaque" for attempt, cost in costs)
        last, answered = costs[-1]
        return CallOutcome(
            status=last.status,
            reply=recorded.reply,
            attempts=len(recorded.attempts),
            list_cost_usd=sum_usd(cost.usd for _, cost in costs),
            unsettled_usd=worst_case_usd(request) * open_bills if open_bills else Decimal(0),
            latency_s=sum(attempt.latency_s for attempt in recorded.attempts),
            detail=last.detail,
            basis=weakest(cost.basis for _, cost in costs),
            expert=answered.expert,
            model=answered.model,
        )


def _is_mendable(failed: RecordedCall) -> bool:
    """Whether another try may bring a reply, and none before it can have been billed."""
    settled = all(attempt.settled for attempt in failed.attempts)
    return settled and failed.attempts[-1].status in _MENDABLE


def _costs(request: Request, recorded: RecordedCall) -> list[tuple[Attempt, Cost]]:
    """What each attempt cost; the last is the one that brought the reply, if one came."""
    *failed, last = recorded.attempts
    pricing = request.expert.pricing
    costs = [(attempt, cost_of(pricing, attempt, None)) for attempt in failed]
    return [*costs, (last, cost_of(pricing, last, recorded.reply))]


def _not_recorded(request: Request) -> CallOutcome:
    expert = request.expert
    remedy = (
        "import one, or name a live provider in the pool"
        if expert.provider == "recorded"
        else "import one, or run with --mode auto"
    )
    return CallOutcome(
        status="not_recorded",
        reply=None,
        attempts=0,
        list_cost_usd=Decimal(0),
        unsettled_usd=Decimal(0),
        latency_s=0.0,
        detail=(
            f"no recorded reply of {expert.name} ({expert.model}) to this problem"
            f" (key {problem_key(request.problem_text)[:12]}), sample {request.sample}: {remedy}"
        ),
    )
