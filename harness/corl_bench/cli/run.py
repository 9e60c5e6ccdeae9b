"""`corl-bench run`: score routing systems."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from corl_bench.cli.engines import engine_options, make_engine
from corl_bench.cli.options import FiniteFloat, budget_option, data_dir_option, pool_option
from corl_bench.runs.settings import DEFAULT_CONCURRENCY, OWN_STORE
from corl_bench.types import MODES, Mode

if TYPE_CHECKING:
    from corl_bench.results import EpisodeRecord

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
    " probability P), cascade:A>B>C, vote:A,B,C, oracle, controller:DIR|FILE|URL,"
    " endpoint:FILE|URL#MODEL, learned:DIR@LAMBDA, python:MODULE:ATTR, exec:COMMAND,"
    " decisions:FILE; docs/routers.md has them all."
    " [default: every baseline]",
)
@pool_option
@budget_option("all that the pool names")
@click.option(
    "--train",
    default=None,
    metavar="TASK",
    help="Rows for systems that learn or calibrate a threshold, before the run: math:train, say."
    " Their calls cost, and are shown apart.",
)
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
@engine_options
@click.option(
    "--until-decided",
    is_flag=True,
    help="Stop asking for a system as soon as a sequential test against --baseline has its"
    " verdict; exit code 1 for a loss. See docs/until-decided.md.",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    default=None,
    metavar="RUN|FILE",
    help="What --until-decided holds the run against.",
)
@click.option(
    "--margin-accuracy",
    type=FiniteFloat(min=0, max=1, max_open=True),
    default=None,
    metavar="SHARE",
    help="Accuracy at matched cost that may be lost.  [default: the gate's]",
)
@click.option(
    "--effect",
    type=FiniteFloat(min=0, max=1, min_open=True),
    default=None,
    metavar="SHARE",
    help="Loss that a verdict of no loss speaks against.  [default: what all the problems would"
    " just show]",
)
@click.option(
    "--look-ahead",
    type=click.IntRange(min=0),
    default=None,
    metavar="N",
    help="Problems that each system may have under way beyond those that --until-decided needs in"
    " any case: faster, and up to so many are asked in vain.  [default: 0]",
)
@click.option(
    "--skip-preflight",
    is_flag=True,
    help="Pay endpoints without a sign that their routers work; see docs/routers-endpoints.md.",
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
    train: str | None,
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
    engine: str,
    ray_address: str | None,
    workers: int | None,
    host: str | None,
    port: int | None,
    ship: Path | None,
    until_decided: bool,
    baseline: Path | None,
    margin_accuracy: float | None,
    effect: float | None,
    look_ahead: int | None,
    skip_preflight: bool,
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
    from dataclasses import replace

    from corl_bench.cli.dates import read_day
    from corl_bench.experts.pools import load_pool
    from corl_bench.money.amounts import parse_usd
    from corl_bench.report.analysis import assess_tasks
    from corl_bench.report.html import write_report
    from corl_bench.report.terminal import write_table
    from corl_bench.results import encode_summary
    from corl_bench.runs.plan import make_plan
    from corl_bench.runs.run import run

    _check_together(
        until_decided,
        {
            "--baseline": baseline,
            "--margin-accuracy": margin_accuracy,
            "--effect": effect,
            "--look-ahead": look_ahead,
        },
    )
    if not systems and not quiet and (mode == "live" or until_decided):
        why = "mode live shares none" if mode == "live" else "--until-decided tests no oracle"
        click.echo(f"Without an oracle: it reads stored replies, {why}.", err=True)
    playing = make_engine(
        engine, ray_address=ray_address, workers=workers, host=host, port=port, ship=ship
    )
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
        with_oracle=not until_decided,
        train=train,
    )
    if baseline is not None:
        from corl_bench.metrics.gating.regression import Margins
        from corl_bench.results.baseline import read_results
        from corl_bench.runs.stopping import make_rule

        margin = Margins().accuracy if margin_accuracy is None else margin_accuracy
        rule = make_rule(plan, read_results(baseline), margin=margin, effect=effect)
        plan = replace(plan, stopping=rule)
    if recordings is not None and recordings.is_dir():
        recordings /= OWN_STORE
    cap = None if max_cost is None else parse_usd(max_cost, what="--max-cost")
    if dry_run:
        from corl_bench.runs.estimate import estimate, render_estimate

        click.echo(render_estimate(estimate(plan, recordings, concurrency), plan, cap))
        if until_decided:
            click.echo("That is all of it; --until-decided stops earlier where it can.")
        return 0
    finished = run(
        plan,
        out or plan.default_directory(),
        command=["corl-bench", *sys.argv[1:]],
        recordings=recordings,
        engine=playing,
        concurrency=concurrency,
        max_cost_usd=cap,
        retry_errors=retry_errors,
        latency=latency,
        look_ahead=look_ahead or 0,
        skip_preflight=skip_preflight,
        quiet=quiet or as_json,
    )
    episodes = finished.episodes
    report = write_report(finished.directory, episodes=episodes)
    if as_json:
        click.echo(json.dumps(encode_summary(finished.summary), ensure_ascii=False, indent=2))
    else:
        write_table(finished.summary, sys.stdout, assess_tasks(finished.summary, episodes))
        click.echo(f"Report: {report}")
    if finished.decisions is not None:
        from corl_bench.report.decisions import decision_lines

        for line in decision_lines(finished.decisions):
            click.echo(line, err=as_json)
    if finished.cap:
        raise finished.cap
    if finished.interrupted:
        click.echo("Interrupted; the same command goes on where it stopped.", err=True)
    _print_commonest_errors(episodes)
    return finished.exit_code


def _check_together(until_decided: bool, others: Mapping[str, object]) -> None:
    """Refuses half of what belongs together.

    Raises:
        ConfigError: --until-decided without a baseline, or one of its options without it.
    """
    from corl_bench.errors import ConfigError

    if until_decided and others["--baseline"] is None:
        raise ConfigError(
            "--until-decided needs --baseline RUN|FILE, the run that this one is held against"
        )
    for name, value in others.items():
        if value is not None and not until_decided:
            raise ConfigError(
                f"{name} belongs to --until-decided; a whole run is held against a baseline with"
                " `corl-bench gate`"
            )


def _print_commonest_errors(episodes: Sequence[EpisodeRecord]) -> None:
    """Why episodes ended in error, the commonest reasons first, on standard error."""
    from collections import Counter

    reasons = Counter(
        record.detail or "no reason known" for record in episodes if record.verdict == "error"
    )
    for reason, count in reasons.most_common(_ERRORS_SHOWN):
        click.echo(f"{count:,} in error: {' '.join(reason.split())}", err=True)
    if len(reasons) > _ERRORS_SHOWN:
        rest = reasons.total() - sum(n for _, n in reasons.most_common(_ERRORS_SHOWN))
        click.echo(f"{rest:,} in error for other reasons", err=True)
    if reasons:
        click.echo("--retry-errors makes them again.", err=True)
