"""`corl-bench serve`: a routing system as an OpenAI-compatible endpoint."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from corl_bench.cli.options import FiniteFloat, data_dir_option, known_tasks_option, pool_option

_SYSTEM_HELP = "The routing system: controller:DIR|FILE|URL, learned:DIR@LAMBDA, … as after run's."


@click.command()
@click.option("--system", "-s", required=True, metavar="SYSTEM", help=_SYSTEM_HELP)
@pool_option
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("served"),
    show_default=True,
    help="Directory of the ledger; a server goes on with what was spent in it.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port to listen on.  [default: a free one, which is printed]",
)
@click.option(
    "--keys",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keys with their caps and limits, in TOML; required beyond loopback.",
)
@click.option("--max-cost", metavar="USD", help="Spending cap over all servers in this directory.")
@click.option(
    "--timeout",
    "timeout_s",
    type=FiniteFloat(min=0, min_open=True),
    default=600.0,
    show_default=True,
    help="Seconds that a request may take.",
)
@click.option(
    "--grace",
    "grace_s",
    type=FiniteFloat(min=0),
    default=30.0,
    show_default=True,
    help="At a stop: seconds for requests to end, and as many for calls in flight.",
)
@click.option(
    "--max-in-flight",
    type=click.IntRange(min=1),
    default=512,
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
@click.option(
    "--skip-preflight",
    is_flag=True,
    help="Serve an endpoint without a sign that its router works; see docs/routers-endpoints.md.",
)
@click.option("--quiet", "-q", is_flag=True, help="No line for each request.")
def command(
    system: str,
    pool: str,
    out: Path,
    host: str,
    port: int,
    keys: Path | None,
    max_cost: str | None,
    timeout_s: float,
    grace_s: float,
    max_in_flight: int,
    max_body_bytes: int,
    seed: int,
    tasks: tuple[str, ...],
    data_dir: Path | None,
    price_date: str | None,
    skip_preflight: bool,
    quiet: bool,
) -> None:
    """Serve a routing system as an OpenAI-compatible endpoint, until interrupted.

    The models are corl, and corl-NAME for each budget that the pool names. Every call to an
    expert is on the ledger in --out, whatever becomes of its request.
    """
    from corl_bench.cli.dates import read_day
    from corl_bench.errors import ConfigError
    from corl_bench.experts.pools import load_pool
    from corl_bench.extras import require
    from corl_bench.money.amounts import parse_usd
    from corl_bench.serve.server import serve
    from corl_bench.serve.service import Limits
    from corl_bench.tasks import load_task

    require("prometheus_client", extra="serve", why="corl-bench serve")
    day = None if price_date is None else read_day(price_date, "--price-date")
    loaded = load_pool(pool, price_date=day)
    in_process = any(expert.provider == "simulated" for expert in loaded.experts)
    known = [load_task(task, data_dir=data_dir) for task in tasks] if in_process else []
    try:
        serve(
            system,
            loaded,
            out,
            command=["corl-bench", *sys.argv[1:]],
            host=host,
            port=port,
            keys=keys,
            cap_usd=None if max_cost is None else parse_usd(max_cost, what="--max-cost"),
            limits=Limits(
                max_body_bytes=max_body_bytes, max_in_flight=max_in_flight, grace_s=grace_s
            ),
            timeout_s=timeout_s,
            seed=seed,
            problems=(problem for task in known for problem in task.problems),
            skip_preflight=skip_preflight,
            say=lambda line: None if quiet else click.echo(line, err=True),
            on_ready=lambda base_url: click.echo(f"{system} serves at {base_url}"),
        )
    except OSError as error:
        place = error.filename or f"{host}:{port}"
        raise ConfigError(f"cannot serve, {place}: {error.strerror or error}") from error
