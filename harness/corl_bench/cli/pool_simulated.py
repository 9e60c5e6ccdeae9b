"""`corl-bench pool serve` and `pool optimum`: the simulated pool over HTTP, and its best policy."""

from __future__ import annotations

from pathlib import Path

import click

from corl_bench.cli.options import (
    FiniteFloat,
    budget_option,
    data_dir_option,
    host_option,
    known_tasks_option,
    port_option,
)
from corl_bench.cli.serving import known_problems, pool_of

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Serve a simulated POOL over HTTP.")
@click.argument("pool", default="sim")
@known_tasks_option
@data_dir_option
@host_option
@port_option
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of all draws.")
@click.option(
    "--latency",
    "latency_scale",
    type=FiniteFloat(min=0),
    help="How much of the declared latency is waited: 0 none, 1 all.  [default: as in the pool]",
)
@click.option("--log", "log_path", type=_FILE, help="Write a line of JSON for each request.")
@click.option("--pool-out", type=_FILE, help="Write the pool file that reaches this server.")
def serve(
    pool: str,
    tasks: tuple[str, ...],
    data_dir: Path | None,
    host: str,
    port: int,
    seed: int,
    latency_scale: float | None,
    log_path: Path | None,
    pool_out: Path | None,
) -> None:
    """Serve the simulated POOL as an OpenAI-compatible server, until interrupted.

    A problem is found by its text in the messages; the request's `seed` is the draw.
    """
    from corl_bench.experts.simulation import served_pool, server
    from corl_bench.experts.simulation.book import ProblemBook

    loaded = pool_of(pool, None)
    book = ProblemBook(known_problems(loaded, tasks, data_dir))

    def write_pool(base_url: str) -> None:
        if pool_out is not None:
            pool_out.write_text(served_pool.served_pool_toml(loaded, base_url), encoding="utf-8")

    server.serve(
        loaded,
        book,
        host=host,
        port=port,
        seed=seed,
        log_path=log_path,
        latency_scale=latency_scale,
        on_ready=write_pool,
    )


@click.command(short_help="Compute the best policy on a simulated POOL.")
@click.argument("pool", default="sim")
@click.option(
    "--task",
    "-t",
    "tasks",
    multiple=True,
    metavar="TASK",
    help="Weigh subjects and levels as in this task; repeatable.  [default: all alike]",
)
@data_dir_option
@budget_option("all that the pool names, and none")
@click.option(
    "--max-calls",
    type=click.IntRange(min=1, max=6),
    default=4,
    show_default=True,
    help="Calls that a policy may make for a problem.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def optimum(
    pool: str,
    tasks: tuple[str, ...],
    data_dir: Path | None,
    budget: str | None,
    max_calls: int,
    as_json: bool,
) -> None:
    """Compute what the best policy reaches on the simulated POOL, and what trivial ones do."""
    import json

    from corl_bench.experts.simulation import optimum as yardstick
    from corl_bench.runs.plan import parse_budgets
    from corl_bench.tasks import load_task

    loaded = pool_of(pool, None)
    budgets = yardstick.budgets_of(loaded)
    if budget is not None:
        budgets = parse_budgets(budget, loaded) or (None,)
    cells = yardstick.declared_cells(loaded)
    mixture = "every subject and level alike"
    if tasks:
        found = [load_task(task, data_dir=data_dir) for task in tasks]
        cells = yardstick.cells_of(loaded, (p for task in found for p in task.problems))
        mixture = "subjects and levels of " + ", ".join(task.label for task in found)
    report = yardstick.optimum(loaded, cells, budgets, max_calls=max_calls)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2, ensure_ascii=False))
    else:
        click.echo(yardstick.describe_optimum(report))
        click.echo(f"\nproblems: {mixture}")
