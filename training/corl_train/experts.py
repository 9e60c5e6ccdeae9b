"""Whom a training run asks: experts that are simulated, recorded, or live.

A reply comes from the first of these that has one:

=========  =====================================================================================
mode       where replies come from
=========  =====================================================================================
`auto`     the recordings that were named, else as `live`
`live`     simulated experts draw anew; others are asked, once for each episode and request
`replay`   the recordings that were named; what they lack fails as `not_recorded`
=========  =====================================================================================

Training numbers its samples on and on, while recordings hold a few draws of each reply. A sample
takes draw `sample modulo n` of the n that are stored: what someone recorded for this very
request, in whatever run, else what was imported for its problem. Recordings are only read, so
this never changes while a run goes on.

There are two sets of books, both the bench's own. What somebody bills is journalled, stored and
accounted for in the run's folder, where a run that goes on finds it again: a reply that is stored
is never asked for a second time, and the cap holds over all restarts. What nobody bills, which is
simulated and recorded experts and the policy itself, is booked at list cost in memory alone.

    with Experts(folder=run, max_cost_usd=Decimal(5)).open(pool) as desk:
        ...
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from corl_bench.errors import ConfigError
from corl_bench.experts.attempts import Asker, settle_unaccounted
from corl_bench.experts.base import ExpertSpec, Pool, Provider, Request
from corl_bench.experts.caller import Answering, Caller, CallOutcome
from corl_bench.experts.providers import OFFLINE_PROVIDERS, require_keys
from corl_bench.experts.recording import Recordings, Unkept
from corl_bench.experts.store import RecordingStore
from corl_bench.money.basis import CostBasis
from corl_bench.money.cap import SpendingCap
from corl_bench.money.ledger import Ledger
from corl_bench.runs.plan import require_output_limit
from corl_bench.runs.settings import OWN_STORE
from corl_train.provider import NAME

Where = Literal["auto", "live", "replay"]
_UNBILLED = OFFLINE_PROVIDERS | {NAME}
_RUN = "train"
"""The only run that records in a training run's folder."""


@dataclass(frozen=True, slots=True)
class Experts:
    """Where a training run's replies come from, and what they may cost."""

    mode: Where = "auto"
    recordings: Path | None = None
    """A store that is only read; for `auto` and `replay`."""
    folder: Path | None = None
    """The run's directory. Needed where someone bills."""
    max_cost_usd: Decimal | None = None
    """Cap over everything that was ever billed in `folder`. Needed where someone bills."""
    is_shared: bool = False
    """Whether every expert is behind a server that keeps store, cap and books for all workers;
    then nobody bills this one."""

    def billed(self, pool: Pool) -> tuple[ExpertSpec, ...]:
        """The experts that somebody may send a bill for."""
        if self.mode == "replay" or self.is_shared:
            return ()
        return tuple(e for e in pool.experts if e.provider not in _UNBILLED)

    def bound_to_recordings(self, pool: Pool) -> tuple[ExpertSpec, ...]:
        """The experts that answer from recordings or not at all."""
        everybody = self.mode == "replay"
        return tuple(e for e in pool.experts if everybody or e.provider == "recorded")

    def require_recordings(self, pool: Pool) -> set[str]:
        """Refuses recordings that the mode does not go with, or that lack an expert.

        Returns:
            Models, and aliases of imported replies, of which there are recordings.

        Raises:
            ConfigError: they are missing, are none, are not wanted, or hold nothing of an expert
                that has nothing else.
        """
        if self.mode == "replay" and self.recordings is None:
            raise ConfigError("mode replay needs recordings to replay: --recordings FILE")
        if self.mode == "live" and self.recordings is not None:
            raise ConfigError("mode live asks everything: drop --recordings, or use mode auto")
        stored = self._stored()
        without = [
            expert.name
            for expert in self.bound_to_recordings(pool)
            if not stored & {expert.name, expert.model}
        ]
        if without and self.recordings is None:
            raise ConfigError(
                f"{', '.join(without)}: provider recorded answers from recordings alone:"
                " name them with --recordings FILE"
            )
        if without:
            raise ConfigError(
                f"{self.recordings} has no reply of {', '.join(without)}: record or import some,"
                " or take a pool without them"
            )
        return stored

    def check(self, pool: Pool) -> None:
        """Refuses what could not work, before anything is asked.

        Raises:
            ConfigError: a live pool without a cap, a key or an output limit; recordings as
                `require_recordings` refuses them.
        """
        stored = self.require_recordings(pool)
        if not (billed := self.billed(pool)):
            return
        if self.max_cost_usd is None:
            raise ConfigError(
                f"pool {pool.name!r} asks live experts ({', '.join(e.name for e in billed)}): set"
                " a spending cap with --max-cost, or train from --recordings with --mode replay"
            )
        for expert in billed:
            require_output_limit(expert)
        require_keys(billed, stored)

    def open(self, pool: Pool) -> Desk:
        """Opens books and recordings.

        Raises:
            ConfigError: as `check`, or a file of the run is not usable.
        """
        self.check(pool)
        return Desk(self, pool)

    def _stored(self) -> set[str]:
        """Models, and aliases of imported replies, of which there are recordings.

        As replies are found: what was recorded by its request, which names a model and no alias;
        what was imported by either.
        """
        if self.recordings is None:
            return set()
        with RecordingStore.open(self.recordings, create=False, read_only=True) as store:
            experts = store.stats().experts
        imported = {stats.expert for stats in experts if stats.imported}
        return imported | {stats.model for stats in experts}


ANY_EXPERTS = Experts()
"""Simulated ones: anything else needs recordings or a cap."""


class Desk:
    """The open books of a training run; `Experts.open` is the way in."""

    def __init__(self, experts: Experts, pool: Pool) -> None:
        self._experts = experts
        self._billed = frozenset(expert.name for expert in experts.billed(pool))
        self._free_ledger = Ledger(_Unwritten(), _Unwritten())
        self._recordings: RecordingStore | None = None
        self._store: RecordingStore | None = None
        self._ledger: Ledger | None = None
        with ExitStack() as opened:
            if experts.recordings is not None:
                self._recordings = opened.enter_context(
                    RecordingStore.open(experts.recordings, create=False, read_only=True)
                )
            if self._billed:
                if experts.folder is None:
                    raise ValueError("what is billed needs a folder for its books")
                experts.folder.mkdir(parents=True, exist_ok=True)
                self._store = opened.enter_context(RecordingStore.open(experts.folder / OWN_STORE))
                self._ledger = opened.enter_context(Ledger.open(experts.folder))
                prices = {expert.name: expert.price for expert in pool.experts}
                settle_unaccounted(self._ledger, self._store, _RUN, prices)
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()

    @property
    def has_recordings(self) -> bool:
        """Whether a reply may be one that is stored, of whatever expert."""
        return self._recordings is not None

    @property
    def billed_usd(self) -> Decimal:
        """What was billed in this folder so far, calls of unknown bill at their worst case."""
        return Decimal(0) if self._ledger is None else self._ledger.totals.committed_usd

    def answering(self, providers: Mapping[str, Provider], own: str) -> Answering:
        """What episodes call.

        Args:
            providers: by alias, the controller's own model among them.
            own: alias of that model, of which nothing is ever stored: its weights change.
        """
        unkept = Unkept()
        free = Caller(
            _asker(providers, unkept, self._free_ledger, SpendingCap(None)),
            unkept,
            self._free_ledger,
            mode="live",
            run_id=_RUN,
        )
        billed = recorded = None
        if self._store is not None and self._ledger is not None:
            cap = SpendingCap(self._experts.max_cost_usd, self.billed_usd)
            billed = Caller(
                _asker(providers, self._store, self._ledger, cap),
                self._store,
                self._ledger,
                mode="live",
                run_id=_RUN,
            )
        if self._recordings is not None:
            asker = _asker({}, self._recordings, self._free_ledger, SpendingCap(None))
            recorded = Caller(
                asker, self._recordings, self._free_ledger, mode="replay", run_id=_RUN
            )
        return _Answering(
            free,
            billed if billed is not None else free,
            recorded,
            self._recordings,
            self._billed,
            own,
            is_replay=self._experts.mode == "replay",
        )

    def forget(self, calls: Collection[str]) -> None:
        """Drops what is remembered of calls whose episode is over, unless they were billed.

        A validation makes the same calls as the one before it, of replies that are stored. The
        books have their lines, in this process or in one before it, and get no others.
        """
        self._free_ledger.forget(calls)


@dataclass(frozen=True, slots=True)
class _Answering:
    """Chooses who answers a request."""

    free: Caller
    billed: Caller
    recorded: Caller | None
    recordings: RecordingStore | None
    names_billed: frozenset[str]
    own: str
    is_replay: bool

    async def call(self, request: Request, *, call_id: str, episode: str) -> CallOutcome:
        if self.recorded is not None and request.expert.name != self.own:
            assert self.recordings is not None
            draws = self.recordings.draws(request)
            if draws:
                sample, owner = draws[request.sample % len(draws)]
                drawn = request.redrawn(sample=sample, occurrence=request.occurrence)
                return await self.recorded.call(drawn, call_id=call_id, episode=owner)
            if self.is_replay:
                return await self.recorded.call(request, call_id=call_id, episode=episode)
        caller = self.billed if request.expert.name in self.names_billed else self.free
        return await caller.call(request, call_id=call_id, episode=episode)

    def stored(self, request: Request) -> CallOutcome | None:
        """Oracles look at stored replies; a controller is none."""
        return None

    def charge(
        self, name: str, what: str, usd: Decimal, basis: CostBasis, *, of: str | None
    ) -> None:
        self.free.charge(name, what, usd, basis, of=of)


class _Unwritten:
    """Lines of books that are kept in memory."""

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        pass

    def close(self) -> None:
        pass


def _asker(
    providers: Mapping[str, Provider],
    store: Recordings,
    ledger: Ledger,
    cap: SpendingCap,
) -> Asker:
    return Asker(providers=providers, store=store, ledger=ledger, cap=cap, run_id=_RUN)
