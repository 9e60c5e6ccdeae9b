"""`corl-bench pool`: look at pools, check them, share one, serve the simulated one, its optimum.

corl-bench pool show sim
corl-bench pool check my-pool.toml
corl-bench pool share my-pool.toml --max-cost 50
corl-bench pool serve sim --task synth --port 8765
corl-bench pool optimum sim --json
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from corl_bench.cli.pool_cards import cards
from corl_bench.cli.pool_measure import measure
from corl_bench.cli.pool_share import share
from corl_bench.cli.pool_simulated import optimum, serve
from corl_bench.cli.serving import pool_of

if TYPE_CHECKING:
    from corl_bench.experts.base import CheckResult, ExpertSpec, Pool
    from corl_bench.money.prices import Price

_date_option = click.option(
    "--date", metavar="DATE", help="Prices of this day.  [default: the pool's own date, or today]"
)


@click.group()
def command() -> None:
    """Look at pools of experts, check and measure them, share one, serve a simulated one."""


for verb in (cards, measure, optimum, serve, share):
    command.add_command(verb)


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


@command.command(short_help="Show experts of POOL and their prices.")
@click.argument("pool", default="sim")
@_date_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def show(pool: str, date: str | None, as_json: bool) -> None:
    """Show the experts of POOL with the prices in force and where these come from."""
    loaded = pool_of(pool, date, "--date")
    if as_json:
        _show_json(loaded)
    else:
        _show_table(loaded)


@command.command(short_help="Check prices, keys and servers of POOL.")
@click.argument("pool", default="sim")
@_date_option
@click.pass_context
def check(context: click.Context, pool: str, date: str | None) -> None:
    """Check each expert of POOL: price in force, key present, reachable.

    Asks for lists of models at most, which costs nothing. Says of each expert that it is ready,
    or KEYLESS (its key is not set), UNREACHABLE (no answer), REFUSED (an answer, but no to the
    key or the model) or MISCONFIGURED (could not be tried). Ends with exit code 2 if any is not
    ready.
    """
    import asyncio

    from corl_bench.experts.checks import check_experts
    from corl_bench.experts.providers import missing_keys

    loaded = pool_of(pool, date, "--date")
    click.echo(_title(loaded))
    results = asyncio.run(check_experts(loaded))
    keyless = {expert for expert, _ in missing_keys(loaded.experts)}
    unusable = []
    for expert, result in zip(loaded.experts, results, strict=True):
        verdict = _verdict(result, missing_key=expert.name in keyless)
        if verdict != "ready":
            unusable.append(expert.name)
        kind = " (simulated)" if _is_simulated(loaded, expert) else ""
        click.echo(f"\n{expert.name}  {expert.provider} {expert.model}{kind}")
        click.echo(f"  price  {_price(expert.price)}")
        click.echo(f"  key    {_key(expert, missing=expert.name in keyless)}")
        click.echo(f"  {verdict}  {result.detail}".rstrip())
    if unusable:
        click.echo(f"\ncannot be used: {', '.join(unusable)}", err=True)
        context.exit(2)


def _verdict(result: CheckResult, *, missing_key: bool) -> str:
    """What a check found, in one word."""
    if missing_key:
        return "KEYLESS"
    if result.ready:
        return "ready"
    if result.reachable is None:
        return "MISCONFIGURED"
    return "REFUSED" if result.reachable else "UNREACHABLE"


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
            "simulated": _is_simulated(pool, expert),
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
        f"digest {pool.digest}"
    )


def _kind(pool: Pool) -> str:
    if not pool.simulated:
        return ""
    every = all(_is_simulated(pool, expert) for expert in pool.experts)
    return "simulated" if every else "partly simulated"


def _is_simulated(pool: Pool, expert: ExpertSpec) -> bool:
    return pool.served or expert.provider == "simulated"


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
