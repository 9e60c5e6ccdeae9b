"""`corl-bench pool`: look at pools, check them, share one, serve the simulated one, its optimum.

corl-bench pool show sim
corl-bench pool check my-pool.toml
corl-bench pool share my-pool.toml --max-cost 50
corl-bench pool serve sim --task synth --port 8765
corl-bench pool optimum sim --json
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from corl_bench.cli.options import FiniteFloat, budget_option, data_dir_option, known_tasks_option
from corl_bench.cli.pool_measure import measure
from corl_bench.cli.pool_share import share

if TYPE_CHECKING:
    from corl_bench.experts.base import CheckResult, ExpertSpec, Pool
    from corl_bench.money.prices import Price

_FILE = click.Path(path_type=Path, dir_okay=False)
_date_option = click.option(
    "--date", metavar="DATE", help="Prices of this day.  [default: the pool's own date, or today]"
)


@click.group()
def command() -> None:
    """Look at pools of experts, check and measure them, share one, serve a simulated one."""


command.add_command(measure)
command.add_command(share)


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
    loaded = _load(pool, date)
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

    loaded = _load(pool, date)
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


@command.command(short_help="Serve a simulated POOL over HTTP.")
@click.argument("pool", default="sim")
@known_tasks_option
@data_dir_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port to listen on.  [default: a free one, which is printed]",
)
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
    from corl_bench.tasks import load_task

    loaded = _load(pool)
    book = ProblemBook()
    for task in tasks:
        book.add(load_task(task, data_dir=data_dir).problems)

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


@command.command(short_help="Compute the best policy on a simulated POOL.")
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

    loaded = _load(pool)
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


@command.command(short_help="Measure cards of the experts of POOL.")
@click.argument("pool", default="sim")
@click.option(
    "--task",
    "-t",
    default="synth:train",
    show_default=True,
    metavar="TASK",
    help="Problems to measure on; never those that results are reported on.",
)
@data_dir_option
@click.option(
    "--recordings",
    type=_FILE,
    metavar="FILE",
    help="Stored replies to the task; needed where experts are not simulated.",
)
@click.option(
    "--out", type=_FILE, required=True, metavar="FILE", help="Where the cards go, as TOML."
)
def cards(pool: str, task: str, data_dir: Path | None, recordings: Path | None, out: Path) -> None:
    """Measure how often experts of POOL are right, by subject, and how long their replies are.

    Costs nothing: replies are those that are stored, or a simulated expert's. A pool names the
    file with a line `cards = "FILE"`; controllers of the protocol `cards` read them.
    """
    from contextlib import ExitStack

    from corl_bench.errors import ConfigError
    from corl_bench.experts.card_file import encode_cards, rounded
    from corl_bench.experts.store import RecordingStore
    from corl_bench.experts.trials import Booth, RecordedBooth, SimulatedBooth, measure_cards
    from corl_bench.files import write_text
    from corl_bench.tasks import load_task

    loaded, problems = _load(pool), load_task(task, data_dir=data_dir)
    with ExitStack() as opened:
        booth: Booth
        if recordings is not None:
            store = RecordingStore.open(recordings, create=False, read_only=True)
            booth = RecordedBooth(loaded, problems, opened.enter_context(store))
        elif all(expert.provider == "simulated" for expert in loaded.experts):
            booth = SimulatedBooth(loaded)
        else:
            raise ConfigError(f"pool {loaded.name!r} is not simulated: name --recordings FILE")
        measured = measure_cards(loaded, booth, problems.problems)
    by_model = {loaded[name].model: rounded(card) for name, card in measured.items()}
    write_text(out, encode_cards(by_model))
    for name, card in measured.items():
        click.echo(f"{name}: {card.trials:,} replies, {card.trust(''):.1%} right")
    click.echo(f'{out}: name it in a pool with  cards = "{out.name}"')


def _load(pool: str, date: str | None = None) -> Pool:
    from corl_bench.cli.dates import read_day
    from corl_bench.experts.pools import load_pool

    return load_pool(pool, price_date=None if date is None else read_day(date, "--date"))


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
