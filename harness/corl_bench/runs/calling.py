"""What the episodes of a plan are answered with: providers, the store, and what ties them up.

A run opens it for its jobs, and so does whoever makes episodes without one (another harness's
requests). Everything that is opened here is closed when the block ends.

    with open_store(plan, path) as store, Ledger.open(folder) as ledger:
        async with open_caller(plan, store, ledger, instance=…, cap=…, problems=…) as calling:
            await calling.caller.call(…)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from corl_bench.episode import ExpertInfo
from corl_bench.errors import ConfigError
from corl_bench.experts.attempts import Asker
from corl_bench.experts.base import Pool, Provider, Selective
from corl_bench.experts.caller import Caller
from corl_bench.experts.providers import (
    OFFLINE_PROVIDERS,
    ProviderContext,
    make_provider,
    missing_keys,
    require_keys,
)
from corl_bench.experts.shared import SharedProvider
from corl_bench.experts.simulation.book import ProblemBook
from corl_bench.experts.store import RecordingStore
from corl_bench.experts.transport import Transport
from corl_bench.money.cap import SpendingCap
from corl_bench.money.ledger import Ledger
from corl_bench.routers.base import Conversing
from corl_bench.routers.playing import dismiss
from corl_bench.runs.plan import Plan
from corl_bench.types import Problem


@dataclass(frozen=True, slots=True)
class Calling:
    """Where calls go."""

    asker: Asker
    caller: Caller


def open_store(plan: Plan, path: Path) -> RecordingStore:
    """The store of a plan; for a replay it must be there and is only read.

    Raises:
        ConfigError: it cannot be opened.
    """
    if plan.mode == "replay":
        return RecordingStore.open(path, create=False, read_only=True)
    return RecordingStore.open(path)


def require_plan_keys(plan: Plan, store: RecordingStore | None) -> None:
    """Refuses a plan with episodes to make that would fail at its first request.

    In mode auto a key is needed only where something is missing from the store, which shows
    when it is asked for; an expert of which nothing is stored is sure to need its key.

    Raises:
        ConfigError: a key is declared and not set.
    """
    if plan.mode == "replay":
        return
    stored: set[str] = set()
    if store is not None and plan.mode == "auto" and missing_keys(plan.models):
        experts = store.stats().experts
        stored = {stats.expert for stats in experts} | {stats.model for stats in experts}
    require_keys(plan.models, stored)


@asynccontextmanager
async def open_caller(
    plan: Plan,
    store: RecordingStore,
    ledger: Ledger,
    *,
    instance: str,
    cap: SpendingCap,
    problems: Iterable[Problem],
    stopping: Callable[[], bool],
    reuse_failures: bool,
    latency: bool = False,
) -> AsyncIterator[Calling]:
    """Opens what the calls of a plan need.

    Args:
        plan: whose models may be asked, and how.
        store: where replies are kept.
        ledger: where every attempt is accounted for.
        instance: identifies the run's own recordings in the store.
        cap: what may be spent.
        problems: those that simulated experts know.
        stopping: asked before each attempt; true when no more may be made.
        reuse_failures: whether a call that has failed before stays failed.
        latency: whether simulated experts take the time that they declare.

    Raises:
        ConfigError: an expert cannot be asked as its pool says.
    """
    async with open_providers(plan, problems, latency=latency) as providers:
        require_readable(plan, providers)
        yield tie_up(
            plan,
            providers,
            store,
            ledger,
            instance=instance,
            cap=cap,
            stopping=stopping,
            reuse_failures=reuse_failures,
        )


def tie_up(
    plan: Plan,
    providers: Mapping[str, Provider],
    store: RecordingStore,
    ledger: Ledger,
    *,
    instance: str,
    cap: SpendingCap,
    stopping: Callable[[], bool],
    reuse_failures: bool,
) -> Calling:
    """Ties providers that are open up with a store and books; arguments as of `open_caller`."""
    asker = Asker(
        providers=providers,
        store=store,
        ledger=ledger,
        cap=cap,
        run_id=instance,
        stopping=stopping,
    )
    caller = Caller(
        asker,
        store,
        ledger,
        mode=plan.mode,
        run_id=instance,
        reuse_failures=reuse_failures,
    )
    return Calling(asker, caller)


@asynccontextmanager
async def open_providers(
    plan: Plan, problems: Iterable[Problem], *, latency: bool = False
) -> AsyncIterator[Mapping[str, Provider]]:
    """Opens who is asked, by alias, and closes them and the plan's systems in the end.

    Args:
        plan: whose models may be asked; none of them in a replay.
        problems: those that simulated experts know.
        latency: whether simulated experts take the time that they declare.

    Raises:
        ConfigError: an expert cannot be asked as its pool says.
    """
    transport = Transport()
    context = ProviderContext(
        pool=_in_real_time(plan.pool) if latency else plan.pool,
        transport=transport,
        seed=plan.seed,
        book=ProblemBook(problems),
    )
    providers: dict[str, Provider] = {}
    try:
        if plan.mode != "replay":
            for expert in plan.models:
                providers[expert.name] = make_provider(expert, context)
        if not OFFLINE_PROVIDERS.issuperset(expert.provider for expert in plan.models):
            transport.open()
        await require_shared_pools(providers)
        yield providers
    finally:
        for system in plan.systems:
            await dismiss(system)
        for provider in providers.values():
            await provider.aclose()
        await transport.aclose()


async def require_shared_pools(providers: Mapping[str, Provider]) -> None:
    """Refuses servers of shared pools that share another pool, or do not know the key.

    Raises:
        ConfigError: one does; with what it says.
    """
    shared = (p for p in providers.values() if isinstance(p, SharedProvider))
    for server in {provider.base_url: provider for provider in shared}.values():
        await server.require_pool()


def require_readable(plan: Plan, providers: Mapping[str, Provider]) -> None:
    """Refuses systems whose own models cannot read what they are going to be asked.

    A small controller knows its openings to the letter, one for each budget that it was trained
    for. Asked at another one it would fail in every episode.

    Raises:
        ConfigError: one cannot; says what it could read.
    """
    for system in plan.systems:
        if not isinstance(system, Conversing):
            continue
        experts = [ExpertInfo.of(expert) for expert in plan.experts_of(system)]
        for model in system.own_models:
            provider = providers.get(model.name)
            if not isinstance(provider, Selective):
                continue
            for task in plan.tasks:
                for budget in plan.budgets_of(system) if task.problems else ():
                    # Openings differ by budget; of two problems' the frame is the same.
                    opening = system.opening(task.problems[0].text, budget, experts)
                    try:
                        provider.require_readable(opening)
                    except ConfigError as error:
                        raise ConfigError(f"{system.name}: {error}") from error


def _in_real_time(pool: Pool) -> Pool:
    """The pool with simulated experts that wait as long as they say they take."""
    simulation = {**pool.options.get("simulation", {}), "latency_scale": 1.0}
    return replace(pool, options={**pool.options, "simulation": simulation})
