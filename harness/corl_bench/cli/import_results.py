"""`corl-bench import FORMAT PATH`: results of others as a run, or their replies as recordings.

corl-bench import omnisbench results.json --out runs/omnis
corl-bench import trace trace.jsonl --out runs/mine --task math500
corl-bench import routerarena cached_results --recordings arena.sqlite --write-task arena.jsonl
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from corl_bench.cli.options import data_dir_option
from corl_bench.interop.formats import IMPORTS, NAMED, SCORED, reader_of

if TYPE_CHECKING:
    from corl_bench.interop.imported_recordings import Stored
    from corl_bench.interop.judging import Costs, Judge, Verdicts
    from corl_bench.interop.reported import Reading
    from corl_bench.types import AnswerKind

PATH = click.Path(path_type=Path)


@click.command(short_help="Take in results of others.")
@click.argument("form", metavar="FORMAT", type=click.Choice(sorted(IMPORTS)))
@click.argument("path", type=PATH)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the results here, as a run that report, compare and gate read.",
)
@click.option(
    "--recordings",
    type=PATH,
    metavar="STORE",
    help="Store the replies here instead, so that any router can be played on them.",
)
@click.option(
    "--task",
    metavar="NAME|FILE",
    help="The problems are this task's: matched by statement, else by id.",
)
@click.option(
    "--write-task",
    type=PATH,
    metavar="FILE",
    help="Also write the problems and golds of the source, as a task to run on.",
)
@click.option(
    "--verdicts",
    type=click.Choice(["source", "grader"]),
    help="Whose verdicts count: the source's (ours where it has none), or our grader's."
    "  [default: source; of a trace: grader]",
)
@click.option(
    "--costs",
    type=click.Choice(["source", "prices"]),
    help="Whose costs count: the source's, or its token counts at our dated prices."
    "  [default: source; of a trace: prices]",
)
@click.option("--pool", metavar="FILE|NAME", help="Prices of its experts, by alias, else by model.")
@click.option("--price-date", metavar="DATE", help="Day whose prices hold.  [default: today]")
@click.option(
    "--kind",
    type=click.Choice(["math", "integer", "choice", "text"]),
    default="math",
    show_default=True,
    help="How golds of the source are compared, where our grader judges.",
)
@click.option("--system", metavar="NAME", help="Name of the system, where the source has one.")
@click.option(
    "--scorer",
    "scorers",
    multiple=True,
    metavar="NAME",
    help="Which of several scores is the verdict; named more than once, the first that is there.",
)
@click.option(
    "--estimate-tokens",
    is_flag=True,
    help="With --recordings: estimate token counts that are missing, and mark them so.",
)
@click.option("--label", metavar="TEXT", help="With --recordings: where the replies come from.")
@data_dir_option
def command(
    form: str,
    path: Path,
    out: Path | None,
    recordings: Path | None,
    task: str | None,
    write_task: Path | None,
    verdicts: Verdicts | None,
    costs: Costs | None,
    pool: str | None,
    price_date: str | None,
    kind: AnswerKind,
    system: str | None,
    scorers: tuple[str, ...],
    estimate_tokens: bool,
    label: str | None,
    data_dir: Path | None,
) -> None:
    """Take in results that somebody else got, from PATH, a file or folder of FORMAT.

    Nothing that is imported is metered: its costs are self-reported, or opaque where the source
    names none, and are never ranked. Either everything is written, or nothing.
    """
    from datetime import date

    from corl_bench.cli.dates import read_day
    from corl_bench.errors import ConfigError
    from corl_bench.interop.judging import Judge
    from corl_bench.interop.reported import Wanted

    is_trace = form == "trace"
    by_prices = is_trace or costs == "prices"
    if (out is None) == (recordings is None):
        raise ConfigError("say where to: --out DIR for results, or --recordings STORE for replies")
    if is_trace and "source" in (verdicts, costs):
        raise ConfigError("a trace is graded and priced here: what it claims of itself is not read")
    if is_trace and recordings is not None:
        raise ConfigError("a trace becomes results: name a directory with --out")
    for option, value, has_use, why in (
        ("--system", system, form in NAMED, f"{form} names its systems"),
        ("--scorer", scorers, form in SCORED, f"{form} has one score a reply"),
        ("--estimate-tokens", estimate_tokens, recordings, "it belongs to --recordings"),
        ("--label", label, recordings, "it belongs to --recordings"),
        ("--costs", costs, out, "recordings have token counts and no costs"),
        ("--pool", pool, by_prices, "it belongs to --costs prices"),
        ("--price-date", price_date, by_prices, "it belongs to --costs prices"),
    ):
        if value and not has_use:
            raise ConfigError(f"{option} means nothing here: {why}")
    _require_places(out or recordings, write_task, is_new=out is not None)
    loaded = None
    if task is not None:
        from corl_bench.tasks import load_task

        loaded = load_task(task, data_dir=data_dir)
    day = None if price_date is None else read_day(price_date, "--price-date")
    prices = None
    if pool is not None:
        from corl_bench.experts.pools import load_pool

        prices = load_pool(pool, price_date=day)
    if by_prices and day is None:
        day = (prices.price_date if prices else None) or date.today()
    reading = reader_of(form)(path, Wanted(system, scorers))
    judge = Judge(
        verdicts=verdicts or ("grader" if is_trace else "source"),
        costs="prices" if by_prices else "source",
        task=loaded,
        kind=kind,
        pool=prices,
        price_date=day,
    )
    # The task is ready before the rest is written and takes its place after it, so that neither
    # stands there without the other.
    with _written_task(reading, judge, write_task) as problems:
        if out is not None:
            say = _import_results(reading, judge, out)
        else:
            assert recordings is not None
            say = _import_replies(reading, judge, recordings, label or form, estimate_tokens)
    say()
    if write_task is not None:
        click.echo(f"wrote {problems:,} problems to {write_task}")


def _require_places(target: Path | None, task: Path | None, *, is_new: bool) -> None:
    """Refuses places that cannot be written to before anything is read."""
    from corl_bench.errors import ConfigError
    from corl_bench.interop.staging import require_free

    assert target is not None
    if is_new:
        require_free(target)
    if task is not None:
        place, other = require_free(task, "--write-task"), target.resolve()
        if place == other or place in other.parents or other in place.parents:
            raise ConfigError(f"--write-task {task} and {target} are one place: name another")


@contextmanager
def _written_task(reading: Reading, judge: Judge, path: Path | None) -> Iterator[int]:
    """The number of problems of the task, which is at its place if all goes well meanwhile."""
    if path is None:
        yield 0
        return
    from corl_bench.interop.imported_recordings import write_task
    from corl_bench.interop.staging import staged

    with staged(path, "--write-task") as part:
        yield write_task(reading, judge, part)


def _import_results(reading: Reading, judge: Judge, out: Path) -> Callable[[], None]:
    """Writes a run; gives what is to be said of it."""
    from corl_bench.interop.imported_run import write_run
    from corl_bench.report.terminal import write_table

    summary = write_run(reading, judge, out, command=["corl-bench", *sys.argv[1:]])

    def say() -> None:
        write_table(summary, sys.stdout)
        click.echo(f"Results: {out}")

    return say


def _import_replies(
    reading: Reading, judge: Judge, store: Path, label: str, estimate: bool
) -> Callable[[], None]:
    """Stores replies; gives what is to be said of them."""
    from corl_bench.interop.imported_recordings import store_replies

    stored = store_replies(reading, judge, store, label=label, estimate=estimate)
    return lambda: _report_stored(stored, store, reading.notes)


def _report_stored(stored: Stored, store: Path, notes: Iterable[str]) -> None:
    known = f", {stored.known:,} were there already" if stored.known else ""
    failed = f", {stored.failed:,} episodes without a reply left out" if stored.failed else ""
    click.echo(f"stored {stored.added:,} replies in {store}{known}{failed}")
    for expert, count in stored.by_expert.items():
        click.echo(f"  {expert}  {count:,}")
    for note in notes:
        click.echo(f"note: {note}")
