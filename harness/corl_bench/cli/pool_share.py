"""`corl-bench pool share`: one store and one spending cap for many workers."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from corl_bench.cli.options import (
    books_option,
    data_dir_option,
    grace_option,
    host_option,
    known_tasks_option,
    max_body_option,
    max_cost_option,
    max_in_flight_option,
    port_option,
    price_date_option,
    seed_option,
)

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Share POOL among many workers: one store, one cap.")
@click.argument("pool")
@books_option("shared")
@click.option(
    "--recordings",
    type=_FILE,
    help="Store of replies.  [default: recordings.sqlite in --out]",
)
@max_cost_option
@click.option(
    "--mode",
    type=click.Choice(["auto", "replay"]),
    default="auto",
    show_default=True,
    help="replay: answer from the store alone; nothing is asked, no provider's key is needed.",
)
@host_option
@port_option
@click.option(
    "--key-env",
    metavar="NAME",
    help="Variable with the key that workers send; required beyond loopback.",
)
@click.option("--pool-out", type=_FILE, help="Write the pool file that workers use.")
@click.option(
    "--public-url",
    metavar="URL",
    help="Address in --pool-out, where workers reach the server by another than it listens on.",
)
@grace_option(60.0, "calls in flight")
@max_in_flight_option(4096)
@max_body_option
@seed_option
@known_tasks_option
@data_dir_option
@price_date_option
def share(
    pool: str,
    out: Path,
    recordings: Path | None,
    max_cost: str | None,
    mode: str,
    host: str,
    port: int,
    key_env: str | None,
    pool_out: Path | None,
    public_url: str | None,
    grace_s: float,
    max_in_flight: int,
    max_body_bytes: int,
    seed: int,
    tasks: tuple[str, ...],
    data_dir: Path | None,
    price_date: str | None,
) -> None:
    """Share the experts of POOL among many workers, until interrupted.

    An OpenAI-compatible server whose models are the pool's experts. All that its workers ask
    goes through one recording store, one ledger and one spending cap: the same request with the
    same seed is asked once. /v1/stats says what was spent.
    """
    from corl_bench.cli.serving import known_problems, place_errors, pool_of, require_folder
    from corl_bench.files import write_text
    from corl_bench.money.amounts import parse_usd
    from corl_bench.serve.sharing.broker import ShareLimits
    from corl_bench.serve.sharing.server import share_pool
    from corl_bench.serve.sharing.worker_pool import public_address, worker_pool

    loaded = pool_of(pool, price_date)
    address = public_address(public_url, host, is_written=pool_out is not None)
    if pool_out is not None:
        require_folder(pool_out)
    limits = ShareLimits(
        max_body_bytes=max_body_bytes, max_in_flight=max_in_flight, grace_s=grace_s
    )

    def tell(base_url: str) -> None:
        if pool_out is not None:
            workers = worker_pool(
                loaded,
                address or base_url,
                key_env=key_env,
                answer_s=limits.answer_s,
                seed=seed,
            )
            write_text(pool_out, workers)
        click.echo(f"pool {loaded.name} is shared at {base_url}")

    with place_errors(host, port):
        share_pool(
            loaded,
            out,
            command=["corl-bench", *sys.argv[1:]],
            recordings=recordings,
            mode="replay" if mode == "replay" else "auto",
            host=host,
            port=port,
            key_env=key_env,
            cap_usd=None if max_cost is None else parse_usd(max_cost, what="--max-cost"),
            limits=limits,
            seed=seed,
            problems=known_problems(loaded, tasks, data_dir),
            say=lambda line: click.echo(line, err=True),
            on_ready=tell,
        )
