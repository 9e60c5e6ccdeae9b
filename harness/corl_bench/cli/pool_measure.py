"""`corl-bench pool measure`: tokens a second of a server, for a price by the GPU hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from corl_bench.experts.base import ExpertSpec, Pool
    from corl_bench.experts.throughput import Throughput


@click.command(short_help="Measure tokens a second of an expert of POOL.")
@click.argument("pool")
@click.argument("expert")
@click.option(
    "--at-a-time",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    help="Requests in flight: the load that the price is meant for.",
)
@click.option(
    "--requests",
    type=click.IntRange(min=1),
    help="Requests of each of the two loads.  [default: 8 × --at-a-time]",
)
@click.option(
    "--prompt-words",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Six-digit words of a long prompt.",
)
@click.option(
    "--output-tokens",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    help="Limit of a long reply.",
)
@click.option("--usd-per-gpu-hour", metavar="USD", help="What a GPU costs: prints the price, too.")
@click.option(
    "--gpus", type=click.IntRange(min=1), default=1, show_default=True, help="That serve."
)
@click.option(
    "--seed",
    metavar="TEXT",
    help="Of the prompts; a server that remembers them reads faster.  [default: another each time]",
)
def measure(
    pool: str,
    expert: str,
    at_a_time: int,
    requests: int | None,
    prompt_words: int,
    output_tokens: int,
    usd_per_gpu_hour: str | None,
    gpus: int,
    seed: str | None,
) -> None:
    """Measure how many tokens a second EXPERT of POOL reads and writes.

    Sends two loads, long prompts and long replies, and says what to write into the pool file.
    Whatever price EXPERT has there does not matter. Ask no server that bills by the token.
    """
    import asyncio
    import json
    from datetime import UTC, datetime
    from decimal import ROUND_FLOOR, Decimal
    from secrets import token_hex

    from corl_bench.errors import ConfigError
    from corl_bench.experts.pools import load_pool
    from corl_bench.money.amounts import format_usd, parse_usd
    from corl_bench.money.gpu_hours import GpuHours

    rate_usd = None
    if usd_per_gpu_hour is not None:
        rate_usd = parse_usd(usd_per_gpu_hour, what="--usd-per-gpu-hour")
        if not rate_usd:
            raise ConfigError("--usd-per-gpu-hour: a GPU that costs nothing has no price")
    loaded = load_pool(pool)
    try:
        spec = loaded[expert]
    except KeyError:
        known = ", ".join(e.name for e in loaded.experts)
        raise ConfigError(f"no expert {expert!r} in pool {loaded.name}; it has {known}") from None
    count = requests or 8 * at_a_time
    seed = token_hex(4) if seed is None else seed
    found = asyncio.run(_measure(loaded, spec, at_a_time, count, prompt_words, output_tokens, seed))
    click.echo(f"expert {expert}, {spec.model}, {at_a_time} requests at a time, --seed {seed}")
    rates: list[Decimal] = []
    for word, load in (("read", found.reading), ("written", found.writing)):
        # Rounded down, so that what follows is never too cheap.
        rate = Decimal(load.tokens_per_s).quantize(Decimal("0.1"), ROUND_FLOOR)
        if not rate:
            raise ConfigError(f"expert {expert}: less than a token in ten seconds was {word}")
        rates.append(rate)
        click.echo(
            f"  {word:<7}  {load.tokens:,} tokens of {load.requests} requests in"
            f" {load.seconds:.1f} s: {rate:,} a second"
        )
    day = datetime.now(UTC).date()
    lines = [
        f"[experts.{expert}.price]",
        f'usd_per_gpu_hour = "{"…" if rate_usd is None else format_usd(rate_usd)}"',
        f"gpus = {gpus}",
        f"input_tokens_per_s = {rates[0]}",
        f"output_tokens_per_s = {rates[1]}",
        f"effective_from = {day}",
        f"source = {json.dumps(f'corl-bench pool measure, {spec.model}, {at_a_time} at a time')}",
    ]
    click.echo("\n" + "\n".join(lines))
    if rate_usd is not None:
        hours = GpuHours(rate_usd, gpus, *rates)
        click.echo(
            f"\ndollars per million tokens: {format_usd(hours.input_usd_per_mtok)} in,"
            f" {format_usd(hours.output_usd_per_mtok)} out"
        )


async def _measure(
    pool: Pool,
    spec: ExpertSpec,
    at_a_time: int,
    requests: int,
    words: int,
    tokens: int,
    seed: str,
) -> Throughput:
    from corl_bench.errors import ConfigError
    from corl_bench.experts.providers import ProviderContext, make_provider, require_keys
    from corl_bench.experts.throughput import measure as measure_throughput
    from corl_bench.experts.transport import Transport

    if spec.base_url is None:
        raise ConfigError(
            f"expert {spec.name} has no base_url: what is priced by the GPU hour is a server of"
            " one's own"
        )
    require_keys([spec])
    transport = Transport()
    provider = make_provider(spec, ProviderContext(pool=pool, transport=transport))
    try:
        return await measure_throughput(
            provider,
            spec,
            at_a_time=at_a_time,
            requests=requests,
            seed=seed,
            prompt_words=words,
            output_tokens=tokens,
        )
    finally:
        await provider.aclose()
        await transport.aclose()
