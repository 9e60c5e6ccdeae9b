"""`corl-bench pool share`: one store and one spending cap for many workers."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from corl_bench.cli.options import FiniteFloat, data_dir_option, known_tasks_option

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Share POOL among many workers: one store, one cap.")
@click.argument("pool")
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("shared"),
    show_default=True,
    help="Directory of the ledger; a server goes on with what was spent in it.",
)
@click.option(
    "--recordings",
    type=_FILE,
    help="Store of replies.  [default: recordings.sqlite in --out]",
)
@click.option("--max-cost", metavar="USD", help="Spending cap over all servers in this directory.")
@click.option(
    "--mode",
    type=click.Choice(["auto", "replay"]),
    default="auto",
    show_default=True,
    help="replay: answer from the store alone; nothing is asked, no provider's key is needed.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port to listen on.  [default: a free one, which is printed]",
)
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
@click.option(
    "--grace",
    "grace_s",
    type=FiniteFloat(min=0),
    default=60.0,
    show_default=True,
    help="At a stop: seconds for calls in flight.",
)
@click.option(
    "--max-in-flight",
    type=click.IntRange(min=1),
    default=4096,
    show_default=True,
    help="Requests under way at a time.",
)
@click.option(
    "--max-body-bytes",
    type=click.IntRange(min=1),
    default=1 << 20,
    show_default=True,
    help="Size of a request.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of simulated experts.")
@known_tasks_option
@data_dir_option
@click.option("--price-date", metavar="DATE", help="Prices of this day.  [default: the pool's]")
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
    from corl_bench.cli.dates import read_day
    from corl_bench.errors import ConfigError
    from corl_bench.experts.pools import load_pool
    from corl_bench.files import write_text
    from corl_bench.money.amounts import parse_usd
    from corl_bench.serve.sharing.desk import ShareLimits
    from corl_bench.serve.sharing.server import share as share_pool
    from corl_bench.serve.sharing.worker_pool import worker_pool
    from corl_bench.tasks import load_task

    day = None if price_date is None else read_day(price_date, "--price-date")
    loaded = load_pool(pool, price_date=day)
    in_process = any(expert.provider == "simulated" for expert in loaded.experts)
    known = [load_task(task, data_dir=data_dir) for task in tasks] if in_process else []

    def tell(base_url: str) -> None:
        if pool_out is not None:
            address = (public_url or base_url).rstrip("/")
            write_text(pool_out, worker_pool(loaded, address, key_env=key_env))
        click.echo(f"pool {loaded.name} is shared at {base_url}")

    try:
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
            limits=ShareLimits(
                max_body_bytes=max_body_bytes, max_in_flight=max_in_flight, grace_s=grace_s
            ),
            seed=seed,
            problems=(problem for task in known for problem in task.problems),
            say=lambda line: click.echo(line, err=True),
            on_ready=tell,
        )
    except OSError as error:
        place = error.filename or f"{host}:{port}"
        raise ConfigError(f"cannot serve, {place}: {error.strerror or error}") from error
