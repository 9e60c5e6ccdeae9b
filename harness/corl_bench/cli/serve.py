"""`corl-bench serve`: a routing system as an OpenAI-compatible endpoint."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from corl_bench.cli.options import (
    FiniteFloat,
    books_option,
    data_dir_option,
    grace_option,
    host_option,
    known_tasks_option,
    max_body_option,
    max_cost_option,
    max_in_flight_option,
    pool_option,
    port_option,
    price_date_option,
    seed_option,
)

_SYSTEM_HELP = "The routing system: controller:DIR|FILE|URL, learned:DIR@LAMBDA, … as after run's."


@click.command()
@click.option("--system", "-s", required=True, metavar="SYSTEM", help=_SYSTEM_HELP)
@pool_option
@books_option("served")
@host_option
@port_option
@click.option(
    "--keys",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keys with their caps and limits, in TOML; required beyond loopback.",
)
@max_cost_option
@click.option(
    "--timeout",
    "timeout_s",
    type=FiniteFloat(min=0, min_open=True),
    default=600.0,
    show_default=True,
    help="Seconds that a request may take.",
)
@grace_option(30.0, "requests to end, and as many for calls in flight")
@max_in_flight_option(512)
@max_body_option
@seed_option
@known_tasks_option
@data_dir_option
@price_date_option
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
    from corl_bench.cli.serving import known_problems, place_errors, pool_of
    from corl_bench.extras import require
    from corl_bench.money.amounts import parse_usd
    from corl_bench.serve.server import serve
    from corl_bench.serve.service import Limits

    require("prometheus_client", extra="serve", why="corl-bench serve")
    loaded = pool_of(pool, price_date)
    with place_errors(host, port):
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
            problems=known_problems(loaded, tasks, data_dir),
            skip_preflight=skip_preflight,
            say=lambda line: None if quiet else click.echo(line, err=True),
            on_ready=lambda base_url: click.echo(f"{system} serves at {base_url}"),
        )
