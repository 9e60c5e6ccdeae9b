"""A run from plan to result files: open, settle, make what is owed, summarise, report.

The same command on the same directory goes on where it stopped; a finished run makes no
request at all and only derives its summary and report again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from corl_bench.errors import CapReachedError, ConfigError
from corl_bench.experts.attempts import Asker, settle_unaccounted
from corl_bench.experts.caller import Caller
from corl_bench.experts.providers import OFFLINE_PROVIDERS, missing_keys, require_keys
from corl_bench.experts.store import RecordingStore
from corl_bench.files import write_json
from corl_bench.metrics.summary import SystemTraits, summarise
from corl_bench.money.amounts import format_usd, sum_usd
from corl_bench.money.cap import SpendingCap
from corl_bench.money.ledger import Ledger, Totals
from corl_bench.results import EpisodeRecord, Summary, encode_summary, read_episodes
from corl_bench.results.decisions import (
    DECISIONS_NAME,
    Decisions,
    decision_notes,
    encode_decisions,
)
from corl_bench.runs.deciding import Deciding
from corl_bench.runs.directory import RunDirectory
from corl_bench.runs.execute import Ending, Stop, execute, sources_of
from corl_bench.runs.plan import Plan
from corl_bench.runs.progress import Progress
from corl_bench.runs.providers import Providers, open_providers, require_readable
from corl_bench.runs.regrading import regrading_notes
from corl_bench.runs.settings import DEFAULT_CONCURRENCY, OWN_STORE


@dataclass(frozen=True, slots=True)
class Finished:
    """What a run came to."""

    directory: Path
    summary: Summary
    cap: CapReachedError | None
    interrupted: bool
    decisions: Decisions | None = None
    """Of a run that stops when it is decided."""

    @property
    def exit_code(self) -> int:
        """0 fine, 1 a loss, 3 stopped by the cap, 4 some episodes in error, 130 interrupted."""
        if self.cap:
            return self.cap.exit_code
        if self.interrupted:
            return 130
        if self.decisions and self.decisions.lost:
            return 1
        return 4 if any(row.errors for row in self.summary.rows) else 0


def run(
    plan: Plan,
    path: Path,
    *,
    command: Sequence[str],
    recordings: Path | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
    max_cost_usd: Decimal | None = None,
    retry_errors: bool = False,
    latency: bool = False,
    look_ahead: int = 0,
    quiet: bool = False,
) -> Finished:
    """Makes the episodes that are owed and writes every result file.

    With a stopping rule in the plan, episodes are owed until every arm is decided.

    Args:
        plan: what to do.
        path: the run's directory, made where it is missing.
        command: the command line, for the manifest.
        recordings: a store to read and, but for replay, to write; None is the run's own.
        concurrency: episodes at a time.
        max_cost_usd: spending cap over all runs on this directory.
        retry_errors: make episodes again that ended in error.
        latency: let simulated experts take the time that they declare.
        look_ahead: with a stopping rule, problems of an arm that may be under way beyond those
            that it needs in any case.
        quiet: no progress.

    Raises:
        ConfigError: something that the user can mend; nothing was sent.
    """
    if plan.mode == "replay" and recordings is None:
        raise ConfigError("--mode replay needs --recordings FILE, the recordings to replay")
    if plan.mode == "live" and recordings is not None:
        raise ConfigError(
            "--mode live keeps its replies to itself: drop --recordings, or use --mode record"
        )
    store_path = recordings or path / OWN_STORE
    if not store_path.exists():
        # Nothing is stored, so what is missing shows before anything is made.
        _require_keys(plan, None)
        _require_replies(plan, None)
    with ExitStack() as answering:
        runner = answering.enter_context(asyncio.Runner())
        providers = runner.run(open_providers(plan, latency=latency))
        answering.callback(lambda: runner.run(providers.aclose()))
        require_readable(plan, providers.by_name)
        with (
            RunDirectory.open(path, plan, command) as directory,
            _open_store(plan, store_path) as store,
            Ledger.open(path) as ledger,
        ):
            verdicts = directory.verdicts()
            again = {
                key for key, verdict in verdicts.items() if retry_errors and verdict == "error"
            }
            done = verdicts.keys() - again
            deciding = _resume_deciding(plan, path, again, look_ahead)
            is_owed = (
                any(job.key not in done for job in plan.jobs())
                if deciding is None
                else deciding.owes
            )
            if is_owed:
                _require_keys(plan, store)
            _require_replies(plan, store)
            # Booked before the cap is drawn up: what may have been spent counts against it.
            unsettled = settle_unaccounted(
                ledger,
                store,
                directory.instance,
                {expert.name: expert.price for expert in plan.models},
            )
            ledger.resume(written=done, again=again)
            work = _work(
                plan,
                providers,
                directory,
                ledger,
                store,
                done=done,
                deciding=deciding,
                concurrency=concurrency,
                cap=SpendingCap(max_cost_usd, ledger.totals.committed_usd),
                unsettled=unsettled,
                retry_errors=retry_errors,
                quiet=quiet,
            )
            try:
                ending = runner.run(work)
            finally:
                # What a system has left behind comes to its end while the books are open.
                answering.close()
            decisions = None if deciding is None else deciding.decisions()
            if decisions is not None:
                write_json(path / DECISIONS_NAME, encode_decisions(decisions))
            summary = _summarise(plan, directory, ledger, decisions)
            write_json(path / "summary.json", encode_summary(summary))
            return Finished(path, summary, ending.cap, ending.interrupted, decisions)


def _resume_deciding(plan: Plan, path: Path, again: set[str], look_ahead: int) -> Deciding | None:
    """The state of a run that stops when it is decided, as its episodes left it."""
    if plan.stopping is None:
        return None
    done = (record for record in read_episodes(path) if record.key not in again)
    return Deciding(plan.stopping, plan.jobs(), done, look_ahead=look_ahead)


async def _work(
    plan: Plan,
    providers: Providers,
    directory: RunDirectory,
    ledger: Ledger,
    store: RecordingStore,
    *,
    done: set[str],
    deciding: Deciding | None,
    concurrency: int,
    cap: SpendingCap,
    unsettled: int,
    retry_errors: bool,
    quiet: bool,
) -> Ending:
    total = sum(1 for _ in plan.jobs())
    progress = Progress(
        total,
        len(done),
        lambda: ledger.totals.billed_cost_usd,
        reached=None if deciding is None else deciding.reached,
        quiet=quiet,
    )
    stop = Stop(progress)
    try:
        asker = Asker(
            providers=providers.by_name,
            store=store,
            ledger=ledger,
            cap=cap,
            run_id=directory.instance,
            stopping=lambda: stop.wanted,
        )
        caller = Caller(
            asker,
            store,
            ledger,
            mode=plan.mode,
            run_id=directory.instance,
            reuse_failures=not retry_errors,
        )
        if unsettled:
            progress.say(
                f"{unsettled} calls were in flight when the last run ended: their bill is"
                " unknown, they are booked as unsettled and asked once more"
            )
        if not OFFLINE_PROVIDERS.issuperset(expert.provider for expert in plan.models):
            providers.transport.open()
        return await execute(
            plan,
            directory,
            ledger,
            asker,
            caller,
            stop,
            progress,
            sources=sources_of(plan, done) if deciding is None else [deciding],
            concurrency=concurrency,
        )
    finally:
        progress.close()


def _open_store(plan: Plan, path: Path) -> RecordingStore:
    if plan.mode == "replay":
        return RecordingStore.open(path, create=False, read_only=True)
    return RecordingStore.open(path)


def _require_keys(plan: Plan, store: RecordingStore | None) -> None:
    """Refuses a run with episodes to make that would fail at its first request.

    In mode auto a key is needed only where something is missing from the store, which shows
    when it is asked for; an expert of which nothing is stored is sure to need its key.
    """
    if plan.mode == "replay":
        return
    stored: set[str] = set()
    if store is not None and plan.mode == "auto" and missing_keys(plan.models):
        experts = store.stats().experts
        stored = {stats.expert for stats in experts} | {stats.model for stats in experts}
    require_keys(plan.models, stored)


def _require_replies(plan: Plan, store: RecordingStore | None) -> None:
    """Refuses oracles that would find nothing: no stored call, and nobody who makes one."""
    oracles = [system.name for system in plan.systems if system.is_oracle]
    stored = store is not None and store.stats().calls > 0
    if oracles and len(oracles) == len(plan.systems) and not stored:
        raise ConfigError(
            f"{', '.join(oracles)} reads stored replies and there are none: add"
            " --system 'single:*' to the run, or name recordings with --recordings"
        )


def _summarise(
    plan: Plan, directory: RunDirectory, ledger: Ledger, decisions: Decisions | None
) -> Summary:
    keys = {job.key for job in plan.jobs()}
    episodes = [record for record in read_episodes(directory.path) if record.key in keys]
    totals = ledger.totals
    finished = len(episodes) == len(keys) if decisions is None else decisions.is_over
    return Summary(
        run_id=plan.run_id,
        simulated=plan.pool.simulated,
        finished=finished,
        tasks={
            task.label: {
                "title": task.spec.title,
                "digest": task.digest,
                "digest_status": task.digest_status,
                "problems": len(task.problems),
                "total": task.total,
                "redistributable": task.spec.redistributable,
            }
            for task in plan.tasks
        },
        rows=summarise(
            episodes,
            tasks=[task.label for task in plan.tasks],
            systems={
                system.name: SystemTraits(system.reads_budget, system.is_oracle)
                for system in plan.systems
            },
            budgets=plan.budgets,
        ),
        list_cost_usd=totals.list_cost_usd,
        billed_cost_usd=totals.billed_cost_usd,
        unsettled_usd=totals.unsettled_usd,
        unsettled_attempts=totals.unsettled_attempts,
        attempts=totals.attempts,
        notes=(
            *regrading_notes(directory.manifest),
            *(() if decisions is None else decision_notes(decisions)),
            *_notes(episodes, totals, finished=finished),
        ),
    )


def _notes(episodes: Sequence[EpisodeRecord], totals: Totals, *, finished: bool) -> tuple[str, ...]:
    """What a reader of the figures must know about the files behind them."""
    known_usd = sum_usd(record.list_cost_usd for record in episodes)
    if not finished or known_usd == totals.list_cost_usd:
        return ()
    return (
        f"the ledger's list cost ({format_usd(totals.list_cost_usd)}) is not that of the episodes"
        f" ({format_usd(known_usd)}): calls were paid for outside of an episode, stored replies"
        " were lost, or a file was changed",
    )
