"""`corl-bench run`: score routing systems."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from corl_bench.cli.options import budget_option, data_dir_option, pool_option
from corl_bench.runs.settings import DEFAULT_CONCURRENCY, OWN_STORE
from corl_bench.types import MODES, Mode

_ERRORS_SHOWN = 3


@click.command()
@click.option(
    "--task",
    "-t",
    "tasks",
    multiple=True,
    default=("synth",),
    show_default=True,
    metavar="TASK",
    help="Task (NAME, NAME:SPLIT or a JSONL file); repeatable.",
)
@click.option(
    "--system",
    "-s",
    "systems",
    multiple=True,
    metavar="SYSTEM",
    help="Routing system, repeatable: single:E or single:*, random, mix:A,B@P (B with"
    " probability P), cascade:A>B>C, vote:A,B,C, oracle, python:MODULE:ATTR."
    " [default: every baseline]",
)
@pool_option
@budget_option("all that the pool names")
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Samples of each problem.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=None,
    help="Only so many problems of each task, drawn by the seed.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed of draws, coins and --limit."
)
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default=MODES[0],
    show_default=True,
    help="Where replies come from; see docs/recordings.md.",
)
@click.option(
    "--recordings",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE|RUN",
    help="Store of recorded replies, or the run that has one. [default: the run's own]",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Directory of the run. [default: runs/TASK-POOL-ID, ID by the settings]",
)
@data_dir_option
@click.option(
    "--price-date",
    default=None,
    metavar="DATE",
    help="Day whose prices hold. [default: the pool's, else today]",
)
@click.option(
    "--max-cost",
    default=None,
    metavar="USD",
    help="Spending cap; the worst case of a call is reserved before it is made.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=1, max=4096),
    default=DEFAULT_CONCURRENCY,
    show_default=True,
    help="Episodes at a time.",
)
@click.option("--retry-errors", is_flag=True, help="Make episodes again that ended in error.")
@click.option(
    "--allow-digest-mismatch",
    is_flag=True,
    help="Use rows that are not those which the task pins; shown in every result.",
)
@click.option("--latency", is_flag=True, help="Let simulated experts take their time.")
@click.option("--dry-run", is_flag=True, help="Estimate calls, time and dollars, and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print summary.json instead of the table.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def command(
    tasks: tuple[str, ...],
    systems: tuple[str, ...],
    pool: str,
    budget: str | None,
    samples: int,
    limit: int | None,
    seed: int,
    mode: Mode,
    recordings: Path | None,
    out: Path | None,
    data_dir: Path | None,
    price_date: str | None,
    max_cost: str | None,
    concurrency: int,
    retry_errors: bool,
    allow_digest_mismatch: bool,
    latency: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Score routing systems on a task, from problems to a table in dollars.

    Without arguments: the test split of the generated task synth, the simulated pool sim, all
    baseline systems, the pool's named budgets. The same command again does only what is owed.
    """
    import json

    from corl_bench.cli.dates import read_day
    from corl_bench.experts.pools import load_pool
    from corl_bench.money.amounts import parse_usd
    from corl_bench.report.html import write_report
    from corl_bench.report.terminal import write_table
    from corl_bench.results import encode_summary
    from corl_bench.runs.plan import make_plan
    from corl_bench.runs.run import run

    if mode == "live" and not systems and not quiet:
        click.echo("Without an oracle: it reads stored replies, mode live shares none.", err=True)
    day = None if price_date is None else read_day(price_date, "--price-date")
    plan = make_plan(
        tasks=tasks,
        pool=load_pool(pool, price_date=day),
        systems=systems,
        budget=budget,
        samples=samples,
        seed=seed,
        limit=limit,
        mode=mode,
        data_dir=data_dir,
        allow_digest_mismatch=allow_digest_mismatch,
    )
    if recordings is not None and recordings.is_dir():
        recordings /= OWN_STORE
    cap = None if max_cost is None else parse_usd(max_cost, what="--max-cost")
    if dry_run:
        from corl_bench.runs.estimate import estimate, render_estimate

        click.echo(render_estimate(estimate(plan, recordings, concurrency), plan, cap))
        return 0
    finished = run(
        plan,
        out or plan.default_directory(),
        command=["corl-bench", *sys.argv[1:]],
        recordings=recordings,
        concurrency=concurrency,
        max_cost_usd=cap,
        retry_errors=retry_errors,
        latency=latency,
        quiet=quiet or as_json,
    )
    report = write_report(finished.directory)
    if as_json:
        click.echo(json.dumps(encode_summary(finished.summary), ensure_ascii=False, indent=2))
    else:
        write_table(finished.summary, sys.stdout)
        click.echo(f"Report: {report}")
    if finished.cap:
        raise finished.cap
    if finished.interrupted:
        click.echo("Interrupted; the same command goes on where it stopped.", err=True)
    _print_commonest_errors(finished.directory)
    return finished.exit_code


def _print_commonest_errors(run_dir: Path) -> None:
    """Why episodes ended in error, the commonest reasons first, on standard error."""
    from collections import Counter

    from corl_bench.results import read_episodes

    reasons = Counter(
        record.detail or "no reason known"
        for record in read_episodes(run_dir)
        if record.verdict == "error"
    )
    for reason, count in reasons.most_common(_ERRORS_SHOWN):
        click.echo(f"{count:,} in error: {' '.join(reason.split())}", err=True)
    if len(reasons) > _ERRORS_SHOWN:
        rest = reasons.total() - sum(n for _, n in reasons.most_common(_ERRORS_SHOWN))
        click.echo(f"{rest:,} in error for other reasons", err=True)
    if reasons:
        click.echo("--retry-errors makes them again.", err=True)
