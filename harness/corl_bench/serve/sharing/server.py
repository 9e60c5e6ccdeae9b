"""A pool shared by many workers, from its file to its last settled call.

Invariants: nothing listens before the experts, their keys and prices, the store and the books
are known to be usable; beyond loopback a key is required.

    share_pool(load_pool("pool.toml"), Path("shared"), command=["corl-bench", "pool", "share"])
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path

from corl_bench.experts.base import Pool
from corl_bench.runs.calling import open_providers, open_store, require_plan_keys
from corl_bench.runs.plan import Plan, require_output_limit, require_worst_cases
from corl_bench.runs.settings import OWN_STORE
from corl_bench.serve.books import Books
from corl_bench.serve.keys import (
    LOCAL,
    Key,
    KeyRing,
    require_keys_beyond_loopback,
    single_key,
)
from corl_bench.serve.sharing.app import build_app
from corl_bench.serve.sharing.broker import Broker, ShareLimits, ShareMode
from corl_bench.serve.sharing.descriptors import require_descriptors
from corl_bench.serve.sharing.worker_pool import require_shareable
from corl_bench.serving import LOOPBACK, require_place, serve_until_asked
from corl_bench.types import Problem


def share_pool(
    pool: Pool,
    path: Path,
    *,
    command: Sequence[str],
    recordings: Path | None = None,
    mode: ShareMode = "auto",
    host: str = LOOPBACK,
    port: int = 0,
    key_env: str | None = None,
    cap_usd: Decimal | None = None,
    limits: ShareLimits | None = None,
    seed: int = 0,
    problems: Iterable[Problem] = (),
    say: Callable[[str], None] = lambda line: None,
    on_ready: Callable[[str], None] = lambda base_url: None,
) -> None:
    """Shares a pool until SIGINT or SIGTERM.

    Args:
        pool: the experts.
        path: directory of the books, made where it is missing.
        command: the command line, for `served.json`.
        recordings: the store; None: `recordings.sqlite` in `path`.
        mode: `replay` answers from the store alone, and needs no provider's key.
        host: address to listen on.
        port: 0 takes a free one.
        key_env: the variable that holds the key of this server; None asks for none, on loopback
            alone.
        cap_usd: what may be spent over all of the time in this directory.
        limits: of size and number; None is the defaults.
        seed: of simulated experts.
        problems: those that simulated experts know.
        say: is told whatever the operator should know.
        on_ready: called with the base URL when the server answers.

    Raises:
        ConfigError: something that the user can mend; nothing was sent.
        StorageError: books or store cannot be written any more; all calls have come to an end.
    """
    ring = None if key_env is None else single_key(key_env, os.environ, "--key-env")
    require_keys_beyond_loopback(ring, host, "name the variable of a key with --key-env")
    limits = limits or ShareLimits()
    require_descriptors(limits.max_in_flight, pool)
    plan = _plan(pool, mode, seed)
    if cap_usd is not None:
        require_worst_cases(plan)
    require_place(host, port)
    with open_store(plan, recordings or path / OWN_STORE) as store:
        require_plan_keys(plan, store)
        with Books.open(
            path,
            keys=[Key(LOCAL)],
            cap_usd=cap_usd,
            described={
                "command": list(command),
                "shared": {"name": pool.name, "digest": pool.digest},
                "recordings": str(store.path),
                "mode": mode,
            },
            store=store,
            pricing={expert.name: expert.pricing for expert in plan.models},
        ) as books:
            if books.left_behind:
                say(books.left_behind)
            asyncio.run(
                _share(
                    plan,
                    books,
                    ring,
                    host=host,
                    port=port,
                    limits=limits,
                    problems=problems,
                    say=say,
                    on_ready=on_ready,
                )
            )


async def _share(
    plan: Plan,
    books: Books,
    ring: KeyRing | None,
    *,
    host: str,
    port: int,
    limits: ShareLimits,
    problems: Iterable[Problem],
    say: Callable[[str], None],
    on_ready: Callable[[str], None],
) -> None:
    async with open_providers(plan, problems) as providers:
        broker = Broker(
            {expert.name: expert for expert in plan.models},
            books,
            providers,
            mode="replay" if plan.mode == "replay" else "auto",
            seed=plan.seed,
            limits=limits,
            say=say,
        )
        await serve_until_asked(
            build_app(broker, ring, plan.pool.digest),
            host=host,
            port=port,
            on_ready=on_ready,
            ended=broker.failed,
            stop=broker.stop,
        )


def _plan(pool: Pool, mode: ShareMode, seed: int) -> Plan:
    """The pool as a run would ask it, without problems and systems.

    Raises:
        ConfigError: an expert cannot be shared.
    """
    require_shareable(pool)
    for expert in pool.experts:
        require_output_limit(expert)
    return Plan(
        tasks=(),
        pool=pool,
        systems=(),
        budgets=(),
        samples=1,
        seed=seed,
        limit=None,
        mode=mode,
    )
