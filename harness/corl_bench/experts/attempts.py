"""Asking a provider until there is a reply: retries, cap, journal and ledger.

Every attempt on the wire passes through `Asker.ask`: reserved at its worst case, journalled,
sent, stored, and accounted for, in this order. Nothing is awaited between a reply and the two
files that hold it, so neither a cancelled task nor a killed process loses what was paid for.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

from corl_bench.errors import CapReachedError
from corl_bench.experts.base import ExpertSpec, Provider, ProviderError, Reply, Request
from corl_bench.experts.costs import cost_of
from corl_bench.experts.limits import Limiters, backoff_s
from corl_bench.experts.recording import Attempt, RecordedCall, Recordings, problem_key
from corl_bench.experts.tariff import Tariff
from corl_bench.experts.wire import clean_detail
from corl_bench.money.amounts import EXACT
from corl_bench.money.cap import Cap
from corl_bench.money.ledger import INTERRUPTED, Intent, Ledger, LedgerLine
from corl_bench.money.prices import Price
from corl_bench.text import well_formed

RATE_LIMIT_PATIENCE = 3
"""A 429 costs nothing, so it may come this many times as often as other failures."""

LONGEST_WAIT_S = 600.0
"""A provider that wants to be left alone for longer is given up on; `--retry-errors` comes back."""

REPEATS_AFTER_UNKNOWN_BILL = 1
"""An attempt that may have been billed is repeated once and no more."""


OVERRUN = 8
"""Some providers count hidden reasoning beyond the output limit, but not so many times over."""


class StoppedError(Exception):
    """The run is being stopped; the episode is left for the next one."""


class Asker:
    """Asks providers, one call at a time for each task that calls it.

    Args:
        providers: by alias of the expert.
        store: where finished calls are kept.
        ledger: where attempts are announced and accounted for.
        cap: what the run may spend.
        run_id: identifies this run's own recordings in the store.
        stopping: asked before each attempt; true after a first Ctrl-C.
        limiters: those of several askers that share their experts; None makes its own.
    """

    def __init__(
        self,
        *,
        providers: Mapping[str, Provider],
        store: Recordings,
        ledger: Ledger,
        cap: Cap,
        run_id: str,
        stopping: Callable[[], bool] = lambda: False,
        limiters: Limiters | None = None,
    ) -> None:
        self._providers = providers
        self._limiters = limiters or Limiters()
        self._store = store
        self._ledger = ledger
        self._cap = cap
        self._run_id = run_id
        self._stopping = stopping
        self._fees_due: dict[str, Decimal] = {}
        """By call: the fee at its worst, counted as spent until it is known."""
        self.in_flight = 0
        """Attempts that are on the wire now."""
        self._idle = asyncio.Event()
        self._idle.set()

    async def drained(self) -> None:
        """Waits until nothing is on the wire and what came back is stored."""
        await self._idle.wait()

    def spend_fee(self, usd: Decimal, of: str | None) -> None:
        """Counts a fee against the cap, in the place of what was set aside with its call."""
        due_usd = Decimal(0) if of is None else self._fees_due.pop(of, Decimal(0))
        self._cap.settle(Decimal(0), usd - due_usd)

    async def ask(self, request: Request, key: str, scope: str, call_id: str) -> RecordedCall:
        """Asks until there is a reply or no sense in another attempt; stores what came of it.

        Args:
            request: what to ask.
            key: its `Request.key()`.
            scope: the episode that the draw belongs to, or empty where any may use it.
            call_id: the call's name in the ledger.

        Raises:
            CapReachedError: the cap leaves no room, and nothing was sent; or the server that
                was asked has such a cap, and says so.
            StoppedError: the run is being stopped; nothing was sent.
        """
        expert = request.expert
        worst_usd = worst_case_usd(request)
        limiter = self._limiters.for_expert(expert)
        attempts = [
            Attempt(status=line.status, usage=line.usage, settled=line.settled)
            for line in self._ledger.lines_of(call_id)
            if line.status not in ("ok", "cap_reached")
        ]
        reply: Reply | None = None
        while reply is None:
            spent_usd = Decimal(0)
            await self._cap.reserve(worst_usd)
            try:
                async with limiter.slot():
                    if self._stopping():
                        raise StoppedError
                    intent = Intent(
                        call=call_id,
                        attempt=self._ledger.next_attempt(call_id),
                        expert=expert.name,
                        model=expert.model,
                        price=expert.price.row_id,
                        worst_usd=worst_usd,
                        request_key=key,
                        sample=request.sample,
                        occurrence=request.occurrence,
                        scope=scope,
                    )
                    spent_usd = worst_usd
                    attempt, reply, error = await self._attempt(request, intent)
                    # No await from here to the end of the block: a cancelled task must not
                    # lose a reply that has been paid for.
                    if attempt.status == "cap_reached":
                        # The server's cap is a cap of ours: it ends the run and no call, so the
                        # call is asked again by a run that goes on.
                        self._ledger.account(
                            [_line(intent, attempt, None, expert.pricing, worst_usd)]
                        )
                        spent_usd = Decimal(0)
                        raise CapReachedError(f"expert {expert.name}: {attempt.detail}")
                    attempts.append(attempt)
                    final = reply is not None or not _worth_another(
                        attempts, error, expert.max_attempts
                    )
                    if final:
                        recorded = RecordedCall(
                            request_key=key,
                            sample=request.sample,
                            occurrence=request.occurrence,
                            expert=expert.name,
                            model=expert.model,
                            problem_key=problem_key(request.problem_text),
                            attempts=tuple(attempts),
                            reply=reply,
                            episode=scope,
                            run_id=self._run_id,
                            request=request.canonical(),
                        )
                        self._store.add(recorded)
                    line = _line(intent, attempt, reply, expert.pricing, worst_usd)
                    self._ledger.account([line])
                    spent_usd = line.billed_cost_usd + line.unsettled_usd
                    if reply is not None and (fee_usd := worst_fee_usd(request)):
                        self._fees_due[call_id] = fee_usd
                        spent_usd += fee_usd
            finally:
                self._cap.settle(worst_usd, spent_usd)
            if final:
                return recorded
            assert error is not None
            await asyncio.sleep(_wait_s(error, len(attempts), call_id))
        raise AssertionError("unreachable: a reply is final")

    async def _attempt(
        self, request: Request, intent: Intent
    ) -> tuple[Attempt, Reply | None, ProviderError | None]:
        """One journalled attempt; one that is cancelled is accounted for here."""
        expert = request.expert
        limiter = self._limiters.for_expert(expert)
        loop = asyncio.get_running_loop()
        self._ledger.announce(intent)
        started_s = loop.time()
        self.in_flight += 1
        self._idle.clear()
        try:
            reply = await self._send(request)
        except ProviderError as error:
            if error.status == "rate_limited":
                wait_s = error.retry_after_s or 0.0
                limiter.report("rate_limited", wait_s if wait_s <= LONGEST_WAIT_S else None)
            attempt = Attempt(
                status=error.status,
                settled=error.billing == "none",
                latency_s=loop.time() - started_s,
                detail=clean_detail(error.detail, _key_of(expert)),
            )
            return attempt, None, error
        except BaseException:
            self._ledger.account([_interrupted(intent)])
            raise
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self._idle.set()
        limiter.report("ok")
        done = Attempt("ok", reply.usage, latency_s=reply.latency_s, routed=reply.routed)
        return done, reply, None

    async def _send(self, request: Request) -> Reply:
        """One exchange with the provider; whatever goes wrong in it is a `ProviderError`."""
        try:
            reply = await self._providers[request.expert.name].send(request)
        except ProviderError:
            raise
        except Exception as error:
            raise ProviderError(
                "malformed",
                f"the client could not read the answer: {type(error).__name__}: {error}",
                billing="unknown",
            ) from error
        limit = request.sampling.max_output_tokens
        output_tokens = reply.usage.output_tokens
        if limit and output_tokens > OVERRUN * limit:
            raise ProviderError(
                "malformed",
                f"the answer counts {output_tokens} output tokens; at most {limit} were allowed",
                billing="unknown",
            )
        return _fit_to_keep(reply, _key_of(request.expert))


def worst_case_usd(request: Request) -> Decimal:
    """What one attempt can cost at the most, by the expert's output limit.

    Without a limit only the input is counted: experts that can be billed are refused without
    one before a run begins. A server that routes by itself may make several calls for one, so
    what the user states of it goes before any price; the fee of the router comes on top.
    """
    limit = request.sampling.max_output_tokens or 0
    worst_usd = request.expert.price.worst_case_usd(request.max_input_tokens(), limit)
    tariff = request.expert.tariff
    if tariff is None:
        return worst_usd
    stated_usd = worst_usd if tariff.worst_case_usd is None else tariff.worst_case_usd
    return EXACT.add(stated_usd, worst_fee_usd(request))


def worst_fee_usd(request: Request) -> Decimal:
    """The stated fee of a reply that uses every token it may; nothing where none is stated."""
    tariff = request.expert.tariff
    if tariff is None:
        return Decimal(0)
    return tariff.fees.due(request.max_input_tokens() + (request.sampling.max_output_tokens or 0))


def _worth_another(attempts: list[Attempt], error: ProviderError | None, max_attempts: int) -> bool:
    assert error is not None
    if not error.retryable or (error.retry_after_s or 0.0) > LONGEST_WAIT_S:
        return False
    if sum(not attempt.settled for attempt in attempts) > REPEATS_AFTER_UNKNOWN_BILL:
        return False
    if error.status == "rate_limited":
        return len(attempts) < max_attempts * RATE_LIMIT_PATIENCE
    failures = sum(attempt.status != "rate_limited" for attempt in attempts)
    return failures < max_attempts


def _wait_s(error: ProviderError, failures: int, call_id: str) -> float:
    """Until the next attempt: as long as the provider says, else longer with each failure.

    A little is added to what the provider says, so that those who were refused together do not
    come back together.
    """
    if error.retry_after_s is None:
        return backoff_s(failures - 1, call_id)
    return error.retry_after_s + backoff_s(0, call_id)


def _line(
    intent: Intent,
    attempt: Attempt,
    reply: Reply | None,
    pricing: Price | Tariff,
    worst_usd: Decimal,
) -> LedgerLine:
    """The ledger line of an attempt that this run made."""
    cost = cost_of(pricing, attempt, reply)
    is_settled = attempt.settled and cost.basis != "opaque"
    return LedgerLine(
        call=intent.call,
        attempt=intent.attempt,
        expert=cost.expert or intent.expert,
        model=cost.model or intent.model,
        price=cost.price,
        status=attempt.status,
        usage=attempt.usage,
        list_cost_usd=cost.usd,
        billed_cost_usd=cost.usd,
        settled=is_settled,
        unsettled_usd=Decimal(0) if is_settled else worst_usd,
        basis=cost.basis,
    )


def _interrupted(intent: Intent) -> LedgerLine:
    return LedgerLine(
        call=intent.call,
        attempt=intent.attempt,
        expert=intent.expert,
        model=intent.model,
        price=intent.price,
        status=INTERRUPTED,
        settled=False,
        unsettled_usd=intent.worst_usd,
    )


def _key_of(expert: ExpertSpec) -> str | None:
    # As it is sent: `read_key` takes it without white space around it.
    return os.environ.get(expert.key_env, "").strip() or None if expert.key_env else None


def _fit_to_keep(reply: Reply, key: str | None) -> Reply:
    """The reply with text that every file can hold and without a key that a server echoes."""
    text = well_formed(reply.text)
    if key and key in text:
        text = text.replace(key, "***")
    return reply if text == reply.text else replace(reply, text=text)


def settle_unaccounted(
    ledger: Ledger, store: Recordings, run_id: str, price_of: Mapping[str, Price | Tariff]
) -> int:
    """Accounts for attempts that an earlier process left in flight.

    One whose reply reached the store is settled by it; any other is written off at its worst
    case as `unsettled`, and the call is asked again when its episode is resumed. A failure that is
    stored settles nothing: it may be that of an earlier try of the same draw.

    Args:
        ledger: with the journal of the earlier process.
        store: where its replies are.
        run_id: identifies this run's own recordings in the store.
        price_of: `ExpertSpec.pricing` by alias of the expert. One that is no longer there leaves
            its attempts at their worst case.

    Returns:
        The number of attempts that stay unsettled.
    """
    unsettled = 0
    for intent in ledger.unaccounted():
        recorded = store.find(
            intent.request_key,
            intent.sample,
            intent.occurrence,
            episode=intent.scope,
            run_id=run_id,
        )
        pricing = price_of.get(intent.expert)
        if recorded is not None and recorded.reply is not None and pricing is not None:
            last = recorded.attempts[-1]
            ledger.account([_line(intent, last, recorded.reply, pricing, intent.worst_usd)])
        else:
            unsettled += 1
            ledger.account([_interrupted(intent)])
    return unsettled
