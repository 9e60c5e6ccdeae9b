"""A routing system as an endpoint, from its name to its last settled call.

Invariants: nothing listens before the system, its experts, their keys and prices and the books
are known to be usable; nothing is written before the address is; beyond loopback a file of keys
is required.

    serve(
        "cascade:nano>mini", load_pool("sim"), Path("served"), command=["corl-bench", "serve"]
    )
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.experts.providers import require_keys
from corl_bench.money.amounts import format_usd
from corl_bench.routers.base import own_models
from corl_bench.runs.calling import open_providers
from corl_bench.runs.plan import Plan, make_plan, require_worst_cases
from corl_bench.runs.preflight import prove_systems
from corl_bench.serve.app import build_app
from corl_bench.serve.books import Books
from corl_bench.serve.exchange import Bench
from corl_bench.serve.keys import (
    LOCAL,
    Key,
    KeyRing,
    read_keys,
    require_keys_beyond_loopback,
)
from corl_bench.serve.metrics import Metrics
from corl_bench.serve.service import Limits, Service
from corl_bench.serving import LOOPBACK, require_place, serve_until_asked
from corl_bench.types import Problem


def serve(
    system: str,
    pool: Pool,
    path: Path,
    *,
    command: Sequence[str],
    host: str = LOOPBACK,
    port: int = 0,
    keys: Path | None = None,
    cap_usd: Decimal | None = None,
    limits: Limits | None = None,
    timeout_s: float = 600.0,
    seed: int = 0,
    problems: Iterable[Problem] = (),
    skip_preflight: bool = False,
    say: Callable[[str], None] = lambda line: None,
    on_ready: Callable[[str], None] = lambda base_url: None,
) -> None:
    """Serves until SIGINT or SIGTERM.

    Args:
        system: one routing system, as after `--system`.
        pool: its experts.
        path: directory of the ledger, made where it is missing.
        command: the command line, for `served.json`.
        host: address to listen on.
        port: 0 takes a free one.
        keys: a file of keys; None asks for none, on loopback alone.
        cap_usd: what may be spent over all of the time in this directory.
        limits: of size and number; None is the defaults.
        timeout_s: for one request.
        seed: of simulated experts, and of systems that toss coins.
        problems: those that simulated experts know.
        skip_preflight: serve a router behind an address that has not been seen to work.
        say: is given a line for each request, and whatever the operator should know.
        on_ready: called with the base URL when the server answers.

    Raises:
        ConfigError: something that the user can mend; nothing was sent, but for the probes of a
            router behind an address.
        CapReachedError: the cap leaves no room for such a probe.
        StorageError: the books cannot be written any more; all calls have come to an end.
    """
    plan = make_service_plan(system, pool, seed)
    ring = None if keys is None else read_keys(keys, pool, os.environ)
    require_keys_beyond_loopback(ring, host, "name keys with --keys FILE")
    accounts = [Key(LOCAL, all_metrics=True)] if ring is None else list(ring.by_digest.values())
    if any(usd is not None for usd in (cap_usd, *(key.cap_usd for key in accounts))):
        require_worst_cases(plan)
    require_place(host, port)
    with Books.open(
        path, keys=accounts, cap_usd=cap_usd, described=_described(plan, command)
    ) as books:
        if books.left_behind:
            say(books.left_behind)
        asyncio.run(
            _serve(
                plan,
                books,
                ring,
                host=host,
                port=port,
                limits=limits or Limits(),
                timeout_s=timeout_s,
                problems=problems,
                skip_preflight=skip_preflight,
                say=say,
                on_ready=on_ready,
            )
        )


async def _serve(
    plan: Plan,
    books: Books,
    ring: KeyRing | None,
    *,
    host: str,
    port: int,
    limits: Limits,
    timeout_s: float,
    problems: Iterable[Problem],
    skip_preflight: bool,
    say: Callable[[str], None],
    on_ready: Callable[[str], None],
) -> None:
    async with open_providers(plan, problems) as providers:
        (system,) = plan.systems
        findings = await prove_systems(
            plan,
            books.asker(None, providers=providers, stopping=lambda: False),
            books.ledger,
            books.instance,
            systems={system.name},
            skip=skip_preflight,
        )
        for line in findings.values():
            say(f"{system.name}: {line}")
        bench = Bench(
            system=system,
            experts=plan.pool.experts,
            own_models=own_models(system),
            providers=providers,
            books=books,
            timeout_s=timeout_s,
            seed=plan.seed,
        )
        service = Service(
            bench,
            {budget.name: budget for budget in plan.budgets},
            limits,
            Metrics(books.accounts, books.cap),
            say,
        )
        await serve_until_asked(
            build_app(service, ring),
            host=host,
            port=port,
            on_ready=on_ready,
            ended=service.failed,
            stop=service.stop,
            cancels_the_departed=True,
        )


def make_service_plan(text: str, pool: Pool, seed: int) -> Plan:
    """One system over one pool, as a run would have it, without problems.

    Raises:
        ConfigError: it is no single system that can be asked, or a key is missing.
    """
    plan = make_plan(
        tasks=(),
        pool=pool,
        systems=[text],
        budget=None,
        samples=1,
        seed=seed,
        limit=None,
        mode="auto",  # `live` would refuse oracles in words that are for runs
        data_dir=None,
    )
    if len(plan.systems) != 1:
        raise ConfigError(f"--system {text!r} is {len(plan.systems)} systems: name one of them")
    (system,) = plan.systems
    if system.is_oracle:
        raise ConfigError(f"--system {text!r} reads golds, which a question from outside has not")
    for expert in plan.models:
        if expert.provider == "recorded":
            raise ConfigError(
                f"expert {expert.name!r} is recorded, and recordings answer no new question:"
                " name a live provider in the pool"
            )
    require_keys(plan.models)
    return plan


def _described(plan: Plan, command: Sequence[str]) -> dict[str, object]:
    identity = plan.identity()
    return {
        "command": list(command),
        "system": identity["systems"],
        "pool": {"name": plan.pool.name, "simulated": plan.pool.simulated, **identity["pool"]},
        "budgets": {budget.name: format_usd(budget.usd) for budget in plan.budgets},
        "seed": plan.seed,
    }
