"""The one door to the experts: what a routing system is handed while it solves a problem.

An `Episode` meters each call, gives the system the problem's prompt and its own seeded
randomness, and keeps everything that the bench knows besides (gold answer, subject, level,
verdicts of imported recordings) to itself. Budgets never stop an episode: a system may look
at `spent_usd` and decide for itself.

    reply = await episode.call("nano")                 # the task's prompt for this problem
    reply = await episode.call("nano", "Check: ...")   # a message of the system's own
    episode.charge(Decimal("0.0001"), "the router's decision")        # a fee, beside the calls
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache, partial
from itertools import count
from typing import Any

from corl_bench import grading
from corl_bench.errors import CapReachedError, ConfigError, StorageError
from corl_bench.experts.attempts import StoppedError, worst_case_usd
from corl_bench.experts.base import ExpertSpec, Request
from corl_bench.experts.caller import Answering, CallOutcome
from corl_bench.experts.cards import Card
from corl_bench.experts.sampling import override
from corl_bench.money.amounts import format_usd, parse_usd
from corl_bench.money.basis import CostBasis, read_basis
from corl_bench.money.ledger import INTERRUPTED
from corl_bench.money.prices import Price
from corl_bench.results import CallRecord, ChargeRecord
from corl_bench.text import without_keys
from corl_bench.types import Message, Problem, Usage, Verdict

MAX_EVENTS = 100
"""Remarks of one episode that are kept."""

MAX_CHARGE_CHARS = 200
"""Of the line that says what a fee is for."""

_REMEMBERED_CHARS = 8192
"""Replies up to which their answers are kept: some thousand longer ones would be much to keep."""
_extracted = lru_cache(maxsize=8192)(grading.extract)
"""As many as a few hundred episodes at once have replies of every expert to look at."""


@dataclass(frozen=True, slots=True)
class ExpertInfo:
    """What a routing system may know of an expert before it calls it."""

    name: str
    model: str
    description: str
    price: Price
    role: str
    card: Card | None = None
    """What has been measured of it, if anything has."""

    @classmethod
    def of(cls, expert: ExpertSpec) -> ExpertInfo:
        """What of an expert is no secret."""
        return cls(
            expert.name, expert.model, expert.description, expert.price, expert.role, expert.card
        )


@dataclass(frozen=True, slots=True)
class ExpertReply:
    """What a routing system gets back from a call. A failed call is data, not an exception."""

    expert: str
    status: str
    """`ok`, or what the call failed with."""
    text: str | None
    """None where the call failed."""
    finish: str | None
    """`stop`, `length` (truncated) or `refusal`."""
    usage: Usage | None
    cost_usd: Decimal
    """List cost of all attempts."""
    latency_s: float
    id: str = ""
    """Name of the call in its episode, by which a fee of it can be charged."""
    model: str = ""
    """The model that the provider says has answered."""


class Episode:
    """One system on one problem; made by the runner, used by the system.

    Args:
        problem: with gold; only its text reaches the system.
        prompt: the messages of a plain call, problem included.
        experts: the pool.
        sample: index of the sample; repeated systems see other draws.
        seed: of the run; with the key it seeds `rng`, alike in every process.
        oracle: whether the system may look at golds and stored replies.
        on_abort: called when the episode can no longer end well, whatever the system does.
    """

    def __init__(
        self,
        *,
        key: str,
        problem: Problem,
        prompt: Sequence[Message],
        experts: Sequence[ExpertSpec],
        caller: Answering,
        sample: int,
        seed: int,
        oracle: bool = False,
        on_abort: Callable[[], object] = lambda: None,
    ) -> None:
        self.experts = tuple(map(ExpertInfo.of, experts))
        self.prompt = tuple(prompt)
        digest = hashlib.sha256(f"{seed}|{key}".encode()).digest()
        self.rng = random.Random(int.from_bytes(digest[:8], "big"))
        self.aborted: CapReachedError | StoppedError | StorageError | None = None
        """Why the episode must not be written: the cap, a stop of the run, a full disk."""
        self._on_abort = on_abort
        self._closed = False
        self._key = key
        self._problem = problem
        self._specs = {expert.name: expert for expert in experts}
        self._caller = caller
        self._sample = sample
        self._seed = seed
        self._oracle = oracle
        self._made: dict[str, int] = {}
        self._calls: dict[str, CallRecord | None] = {}
        self._clock_s = 0.0
        self._events: list[str] = []
        self._charges: dict[str, ChargeRecord] = {}
        self._pending = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def calls(self) -> tuple[CallRecord, ...]:
        """Finished calls in the order in which they were made."""
        return tuple(call for call in self._calls.values() if call is not None)

    @property
    def call_ids(self) -> list[str]:
        """Names of the calls and fees in the ledger."""
        return [f"{self._key}#{name}" for name in (*self._calls, *self._charges)]

    @property
    def charges(self) -> tuple[ChargeRecord, ...]:
        """Fees in the order in which they were charged."""
        return tuple(self._charges.values())

    @property
    def spent_usd(self) -> Decimal:
        """List cost of the calls and fees so far."""
        calls_usd = sum((call.list_cost_usd for call in self.calls), Decimal(0))
        return sum((charge.list_cost_usd for charge in self._charges.values()), calls_usd)

    @property
    def events(self) -> tuple[str, ...]:
        """What the system noted, in order."""
        return tuple(self._events)

    def note(self, event: str) -> None:
        """Keeps a remark with the episode: a call that could not be read, say.

        Args:
            event: one line; longer than 500 characters it is cut.
        """
        if len(self._events) < MAX_EVENTS:
            self._events.append(" ".join(event.split())[:500])

    @property
    def latency_s(self) -> float:
        """Time that the calls took, those made at the same time counted once.

        Added up from each call's own latency, so that a replay reports the original's.
        """
        return self._clock_s

    async def call(
        self,
        expert: str,
        messages: Sequence[Message] | str | None = None,
        **sampling: Any,
    ) -> ExpertReply:
        """Asks an expert and books what it costs.

        Args:
            expert: alias in the pool.
            messages: what to ask; None asks the task's prompt, a string is one user message.
            **sampling: fields of `Sampling` that differ from the expert's own
                (`max_output_tokens`, `temperature`, `top_p`, `reasoning_effort`, `stop`).

        Raises:
            ConfigError: there is no such expert or parameter.
            CapReachedError: the run's spending cap is reached; the episode is not counted.
        """
        if self.aborted or self._closed:
            await asyncio.sleep(0)  # lets others work where a system asks on and on
            raise self.aborted or _over()
        request = self._request(expert, messages, sampling)
        key = request.key()
        # Named by what is asked, so that a resume that asks in another order finds it again.
        name = f"{key[:12]}.{request.occurrence}"
        self._calls[name] = None
        self._made[key] = request.occurrence + 1
        started_s = self._clock_s
        self._pending += 1
        self._idle.clear()
        try:
            # Calls that a system starts together all begin before the first of them ends,
            # also where the reply is there at once; so their latencies do not add up.
            await asyncio.sleep(0)
            outcome = await self._caller.call(
                request, call_id=f"{self._key}#{name}", episode=self._key
            )
        except (CapReachedError, StoppedError, StorageError) as error:
            self._abort(error)
            raise
        except asyncio.CancelledError:
            # The system gave up on a call that may be billed all the same.
            self._calls[name] = _dropped(request, name)
            raise
        finally:
            self._pending -= 1
            if not self._pending:
                self._idle.set()
        self._calls[name] = call_record(request, outcome, name)
        self._clock_s = max(self._clock_s, started_s + outcome.latency_s)
        return _reply(request, outcome, name)

    def charge(
        self,
        usd: Decimal,
        what: str,
        *,
        basis: CostBasis = "stated",
        of: ExpertReply | None = None,
    ) -> None:
        """Books a fee: what something beside the calls cost, a routing decision above all.

        It is part of the episode's cost from now on and a ledger line of its own. What has been
        spent is booked even where it passes the spending cap, which then lets no further call
        through. The fee of a call whose expert has a tariff with fees has been set aside with it.

        Args:
            usd: the amount, at least 0; of an opaque fee its worst case, 0 where none is known.
            what: what it is for, in one line that is the same for the same fee.
            basis: `metered` for counted tokens at a stated price, `stated` for a fee that the
                user states, `self_reported` for what the router says, `opaque` for what nobody
                says.
            of: the call that the fee belongs to. It is then booked once however often the
                episode is begun anew, and is no bill where the reply was stored.

        Raises:
            ConfigError: the amount or its basis is none, or the episode is over.
        """
        if self.aborted or self._closed:
            raise self.aborted or _over()
        line = " ".join(without_keys(what).split())[:MAX_CHARGE_CHARS]
        amount_usd = _fee_usd(usd)
        try:
            basis = read_basis(basis)
        except ValueError as error:
            raise ConfigError(f"fee {line!r}: {error}") from None
        text = f"{line}|{basis}|{format_usd(amount_usd)}|{'' if of is None else of.id}"
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
        name = next(n for i in count() if (n := f"fee-{digest}.{i}") not in self._charges)
        try:
            self._caller.charge(
                f"{self._key}#{name}",
                line,
                amount_usd,
                basis,
                of=None if of is None else f"{self._key}#{of.id}",
            )
        except StorageError as error:
            self._abort(error)
            raise
        self._charges[name] = charge_record(line, amount_usd, basis, name)

    def _abort(self, error: CapReachedError | StoppedError | StorageError) -> None:
        self.aborted = error
        self._on_abort()

    async def settled(self) -> None:
        """Waits for calls that the system started and did not wait for; they cost as well."""
        while self._pending:
            await self._idle.wait()
            await asyncio.sleep(0)  # a reply may lead to the next call at once

    def close(self) -> None:
        """Refuses calls from now on: what is not in the record must not be paid for."""
        self._closed = True

    def answer_in(self, text: str | None) -> str | None:
        """The final answer stated in a reply, if there is one."""
        # A conversation looks at its replies in every turn, and others meet the same ones.
        read = grading.extract if len(text or "") > _REMEMBERED_CHARS else _extracted
        return read(text, kind=self._problem.kind)

    async def agreement(self, replies: Sequence[ExpertReply]) -> list[int | None]:
        """Which replies state the same answer.

        Returns:
            For each reply the number of its group of equal answers, counted from 0 in the
            order of their first members; None for a reply without an answer.
        """
        answers = [self.answer_in(reply.text) for reply in replies]
        if len(set(answers) - {None}) < 2:
            return [None if answer is None else 0 for answer in answers]
        groups = await grading.judge_in_loop(grading.agreement_classes, answers)
        return [
            None if answer is None else group for answer, group in zip(answers, groups, strict=True)
        ]

    def stored_reply(self, expert: str) -> ExpertReply | None:
        """Oracles only: the stored reply to the task's prompt, without calling anyone."""
        self._require_oracle()
        request = self._request(expert, None, {})
        outcome = self._caller.stored(request)
        return None if outcome is None else _reply(request, outcome, "")

    async def verdict_on(self, text: str | None) -> Verdict:
        """Oracles only: how a response would be graded."""
        self._require_oracle()
        problem = self._problem
        grade = partial(grading.grade, kind=problem.kind)
        return await grading.judge_in_loop(grade, problem.answer, text)

    def _require_oracle(self) -> None:
        if not self._oracle:
            raise ConfigError(
                "golds and stored replies are for systems declared an oracle"
                " (is_oracle = True), which the table marks as such"
            )

    def _request(
        self, expert: str, messages: Sequence[Message] | str | None, sampling: Mapping[str, Any]
    ) -> Request:
        spec = self._specs.get(expert)
        if spec is None:
            known = ", ".join(self._specs)
            raise ConfigError(f"no expert {expert!r} in the pool; it has {known}")
        if messages is None:
            messages = self.prompt
        elif isinstance(messages, str):
            messages = (Message("user", messages),)
        request = Request(
            expert=spec,
            messages=tuple(messages),
            sampling=override(spec.sampling, sampling),
            problem_text=self._problem.text,
            sample=self._sample,
            seed=self._seed,
        )
        made = self._made.get(request.key(), 0)
        return request.redrawn(sample=self._sample, occurrence=made) if made else request


def call_record(request: Request, outcome: CallOutcome, name: str) -> CallRecord:
    """A call as its episode's record has it; `name` is its own in the episode."""
    reply = outcome.reply
    return CallRecord(
        id=name,
        expert=outcome.expert or request.expert.name,
        model=outcome.model or request.expert.model,
        # Whom a server has called on our behalf is an expert, whatever the server is.
        role="expert" if outcome.expert else request.expert.role,
        status=outcome.status,
        finish=None if reply is None else reply.finish,
        text=None if reply is None else reply.text,
        usage=None if reply is None else reply.usage,
        list_cost_usd=outcome.list_cost_usd,
        unsettled_usd=outcome.unsettled_usd,
        attempts=outcome.attempts,
        latency_s=outcome.latency_s,
        source_correct=None if reply is None else reply.source_correct,
        detail=outcome.detail,
        basis=outcome.basis,
    )


def charge_record(what: str, usd: Decimal, basis: CostBasis, name: str) -> ChargeRecord:
    """A fee as its episode's record has it; nobody knows what an opaque one comes to."""
    is_opaque = basis == "opaque"
    return ChargeRecord(
        what=what,
        list_cost_usd=Decimal(0) if is_opaque else usd,
        basis=basis,
        unsettled_usd=usd if is_opaque else Decimal(0),
        id=name,
    )


def _dropped(request: Request, name: str) -> CallRecord:
    return CallRecord(
        id=name,
        expert=request.expert.name,
        model=request.expert.model,
        role=request.expert.role,
        status=INTERRUPTED,
        unsettled_usd=worst_case_usd(request),
    )


def _reply(request: Request, outcome: CallOutcome, name: str) -> ExpertReply:
    reply = outcome.reply
    return ExpertReply(
        expert=request.expert.name,
        status=outcome.status,
        text=None if reply is None else reply.text,
        finish=None if reply is None else reply.finish,
        usage=None if reply is None else reply.usage,
        cost_usd=outcome.list_cost_usd,
        latency_s=outcome.latency_s,
        id=name,
        model="" if reply is None else reply.model,
    )


def _over() -> ConfigError:
    return ConfigError("the episode is over: its answer has been given")


def _fee_usd(usd: Decimal) -> Decimal:
    """The amount of a fee, as exact as every amount in the ledger.

    Raises:
        ConfigError: it is no amount of dollars.
    """
    if not isinstance(usd, Decimal) or not usd.is_finite():
        raise ConfigError(f"a fee is a Decimal amount of dollars, not {str(usd)[:40]!r}")
    return parse_usd(format_usd(usd), what="fee")
