"""`corl-bench pool`: look at pools, check them, serve the simulated one and compute its optimum.

corl-bench pool show sim
corl-bench pool check my-pool.toml
corl-bench pool serve sim --task synth --port 8765
corl-bench pool optimum sim --json
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from corl_bench.experts.base import CheckResult, ExpertSpec, Pool
    from corl_bench.money.prices import Price

_DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.group()
def command() -> None:
    """Look at pools of experts, check them, serve a simulated one."""


@command.command("list")
def list_() -> None:
    """List the pools that come with the bench."""
    from corl_bench.cli.columns import align
    from corl_bench.experts.pools import builtin_pools, load_pool

    rows = [["pool", "experts", "", "budgets"]]
    for name in builtin_pools():
        pool = load_pool(name)
        experts = " ".join(expert.name for expert in pool.experts)
        rows.append([name, experts, _kind(pool), _budgets(pool)])
    click.echo(align(rows))
    click.echo("\nAny pool.toml is a pool too: give its path instead of a name.")


@command.command()
@click.argument("pool")
@click.option("--date", "day", type=_DAY, help="Prices of this day instead of the pool's own.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def show(pool: str, day: datetime | None, as_json: bool) -> None:
    """Show the experts of POOL with the prices in force and where these come from."""
    from corl_bench.experts.pools import load_pool

    loaded = load_pool(pool, price_date=day.date() if day else None)
    if as_json:
        _show_json(loaded)
    else:
        _show_table(loaded)


@command.command()
@click.argument("pool")
@click.option("--date", "day", type=_DAY, help="Prices of this day instead of the pool's own.")
@click.pass_context
def check(context: click.Context, pool: str, day: datetime | None) -> None:
    """Check each expert of POOL: price in force, key present, reachable.

    Asks for lists of models at most, which costs nothing. Ends with exit code 2 if an expert
    cannot be used.
    """
    import asyncio

    from corl_bench.experts.pools import load_pool
    from corl_bench.experts.providers import missing_keys

    loaded = load_pool(pool, price_date=day.date() if day else None)
    click.echo(_title(loaded))
    results = asyncio.run(_check_all(loaded))
    keyless = {expert for expert, _ in missing_keys(loaded)}
    unusable = []
    for expert, result in zip(loaded.experts, results, strict=True):
        ready = result.ready and expert.name not in keyless
        if not ready:
            unusable.append(expert.name)
        click.echo(f"\n{expert.name}  {expert.provider} {expert.model}")
        click.echo(f"  price  {_price(expert.price)}")
        click.echo(f"  key    {_key(expert, missing=expert.name in keyless)}")
        click.echo(
            f"  {'ready ' if ready else 'FAILS '} {_simulated(expert)}{result.detail}".rstrip()
        )
    if unusable:
        click.echo(f"\ncannot be used: {', '.join(unusable)}", err=True)
        context.exit(2)


async def _check_all(pool: Pool) -> Sequence[CheckResult]:
    import asyncio

    from corl_bench.errors import CorlError
    from corl_bench.experts.base import CheckResult
    from corl_bench.experts.providers import ProviderContext, make_provider
    from corl_bench.experts.transport import Transport

    transport = Transport()
    context = ProviderContext(pool=pool, transport=transport)

    async def check_one(expert: ExpertSpec) -> CheckResult:
        try:
            provider = make_provider(expert, context)
        except CorlError as error:
            return CheckResult(reachable=None, detail=str(error), ready=False)
        try:
            return await provider.check()
        finally:
            await provider.aclose()

    try:
        return await asyncio.gather(*(check_one(expert) for expert in pool.experts))
    finally:
        await transport.aclose()


def _show_table(pool: Pool) -> None:
    from corl_bench.cli.columns import align

    click.echo(_title(pool))
    rows = [["expert", "role", "provider", "model", "input", "cached", "output", "at most"]]
    for expert in pool.experts:
        figures = expert.price.figures()
        limit = expert.sampling.max_output_tokens
        rows.append(
            [
                expert.name,
                expert.role,
                expert.provider,
                expert.model,
                figures["input_usd_per_mtok"],
                figures.get("cached_input_usd_per_mtok", "–"),
                figures["output_usd_per_mtok"],
                "–" if limit is None else f"{limit} tokens",
            ]
        )
    click.echo(f"\n{align(rows, right=(4, 5, 6, 7))}")
    click.echo("\nprices in dollars per million tokens")
    for expert in pool.experts:
        click.echo(f"  {expert.name}: {_price(expert.price)}")
    if pool.budgets:
        click.echo(f"budgets a problem: {_budgets(pool)}")


def _show_json(pool: Pool) -> None:
    import json

    experts = [
        {
            "name": expert.name,
            "simulated": expert.provider == "simulated",
            "role": expert.role,
            "provider": expert.provider,
            "model": expert.model,
            "description": expert.description,
            "sampling": expert.sampling.as_dict(),
            "base_url": expert.base_url,
            "key_env": expert.key_env,
            "price": expert.price.as_dict(),
        }
        for expert in pool.experts
    ]
    shown = {
        "name": pool.name,
        "simulated": pool.simulated,
        "digest": pool.digest,
        "price_date": str(pool.price_date),
        "budgets": dict(pool.budgets),
        "experts": experts,
    }
    click.echo(json.dumps(shown, indent=2, ensure_ascii=False))


def _title(pool: Pool) -> str:
    kind = _kind(pool)
    return (
        f"pool {pool.name}{f' ({kind})' if kind else ''}, prices of {pool.price_date}, "
        f"digest {pool.digest[:12]}"
    )


def _kind(pool: Pool) -> str:
    if not pool.simulated:
        return ""
    every = all(expert.provider == "simulated" for expert in pool.experts)
    return "simulated" if every else "partly simulated"


def _simulated(expert: ExpertSpec) -> str:
    return "simulated; " if expert.provider == "simulated" else ""


def _budgets(pool: Pool) -> str:
    return ", ".join(f"{name} ${usd}" for name, usd in pool.budgets.items())


def _price(price: Price) -> str:
    from corl_bench.money.amounts import format_usd

    cached = price.cached_input_usd_per_mtok
    figures = [
        f"${format_usd(price.input_usd_per_mtok)} in",
        *([] if cached is None else [f"${format_usd(cached)} cached"]),
        f"${format_usd(price.output_usd_per_mtok)} out",
    ]
    origin = price.model if price.from_library else "given in the pool file"
    return f"{', '.join(figures)}; {origin}, from {price.effective_from}; {price.source}"


def _key(expert: ExpertSpec, *, missing: bool) -> str:
    if expert.key_env is None:
        return "none is sent"
    return f"{expert.key_env} is {'not set' if missing else 'set'}"
