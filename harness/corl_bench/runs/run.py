"""A run from plan to result files: open, settle, make what is owed, summarise, report.

The same command on the same directory goes on where it stopped; a finished run makes no
request at all and only derives its summary and report again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from corl_bench.errors import CapReachedError, ConfigError
from corl_bench.experts.attempts import settle_unaccounted
from corl_bench.experts.base import Provider
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
from corl_bench.results.preflight import preflight_notes, write_findings
from corl_bench.runs.calling import (
    open_providers,
    open_store,
    require_plan_keys,
    require_readable,
    tie_up,
)
from corl_bench.runs.deciding import Deciding
from corl_bench.runs.directory import RunDirectory
from corl_bench.runs.engines import Engine, in_process
from corl_bench.runs.execute import Ending, Stop, execute, sources_of
from corl_bench.runs.plan import Plan, require_worst_cases
from corl_bench.runs.preflight import prove_systems
from corl_bench.runs.progress import Progress
from corl_bench.runs.regrading import regrading_notes
from corl_bench.runs.settings import DEFAULT_CONCURRENCY, OWN_STORE
from corl_bench.runs.training import train, training_notes


@dataclass(frozen=True, slots=True)
class Finished:
    """What a run came to."""

    directory: Path
    summary: Summary
    episodes: tuple[EpisodeRecord, ...]
    """Those that the summary speaks of."""
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
    engine: Engine = in_process,
    concurrency: int = DEFAULT_CONCURRENCY,
    max_cost_usd: Decimal | None = None,
    retry_errors: bool = False,
    latency: bool = False,
    look_ahead: int = 0,
    skip_preflight: bool = False,
    quiet: bool = False,
) -> Finished:
    """Makes the episodes that are owed and writes every result file.

    With a stopping rule in the plan, episodes are owed until every arm is decided.

    Args:
        plan: what to do.
        path: the run's directory, made where it is missing.
        command: the command line, for the manifest.
        recordings: a store to read and, but for replay, to write; None is the run's own.
        engine: where episodes are played.
        concurrency: episodes at a time.
        max_cost_usd: spending cap over all runs on this directory.
        retry_errors: make episodes again that ended in error.
        latency: let simulated experts take the time that they declare.
        look_ahead: with a stopping rule, problems of an arm that may be under way beyond those
            that it needs in any case.
        skip_preflight: pay routers behind addresses that have not been seen to work.
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
    if max_cost_usd is not None and plan.mode != "replay":
        require_worst_cases(plan)
    store_path = recordings or path / OWN_STORE
    if not store_path.exists():
        # Nothing is stored, so what is missing shows before anything is made.
        require_plan_keys(plan, None)
        _require_replies(plan, None)
    problems = (problem for task in plan.all_tasks for problem in task.problems)
    with ExitStack() as answering:
        # Who answers is made and looked at before the directory is touched.
        runner = answering.enter_context(asyncio.Runner())
        opening = open_providers(plan, problems, latency=latency)
        providers = runner.run(opening.__aenter__())
        answering.callback(lambda: runner.run(opening.__aexit__(None, None, None)))
        require_readable(plan, providers)
        with (
            RunDirectory.open(path, plan, command) as directory,
            open_store(plan, store_path) as store,
            Ledger.open(path) as ledger,
        ):
            verdicts = directory.verdicts()
            again = {
                key for key, verdict in verdicts.items() if retry_errors and verdict == "error"
            }
            done = verdicts.keys() - again
            deciding = _resume_deciding(plan, path, again, look_ahead)
            if (
                any(job.key not in done for job in plan.jobs())
                if deciding is None
                else deciding.owes
            ):
                require_plan_keys(plan, store)
            _require_replies(plan, store)
            # Booked before the cap is drawn up: what may have been spent counts against it.
            unsettled = settle_unaccounted(
                ledger,
                store,
                directory.instance,
                {expert.name: expert.pricing for expert in plan.models},
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
                engine=engine,
                concurrency=concurrency,
                cap=SpendingCap(max_cost_usd, ledger.totals.committed_usd),
                unsettled=unsettled,
                retry_errors=retry_errors,
                skip_preflight=skip_preflight,
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
            keys = {job.key for job in plan.jobs()}
            episodes = tuple(record for record in read_episodes(path) if record.key in keys)
            finished = len(episodes) == len(keys) if decisions is None else decisions.is_over
            summary = _summarise(
                plan, directory, ledger, decisions, episodes=episodes, finished=finished
            )
            write_json(path / "summary.json", encode_summary(summary))
            return Finished(path, summary, episodes, ending.cap, ending.interrupted, decisions)


def _resume_deciding(plan: Plan, path: Path, again: set[str], look_ahead: int) -> Deciding | None:
    """The state of a run that stops when it is decided, as its episodes left it."""
    if plan.stopping is None:
        return None
    done = (record for record in read_episodes(path) if record.key not in again)
    return Deciding(plan.stopping, plan.jobs(), done, look_ahead=look_ahead)


async def _work(
    plan: Plan,
    providers: Mapping[str, Provider],
    directory: RunDirectory,
    ledger: Ledger,
    store: RecordingStore,
    *,
    done: set[str],
    deciding: Deciding | None,
    engine: Engine,
    concurrency: int,
    cap: SpendingCap,
    unsettled: int,
    retry_errors: bool,
    skip_preflight: bool,
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
        calling = tie_up(
            plan,
            providers,
            store,
            ledger,
            instance=directory.instance,
            cap=cap,
            stopping=lambda: stop.wanted,
            reuse_failures=not retry_errors,
        )
        if unsettled:
            progress.say(
                f"{unsettled} calls were in flight when the last run ended: their bill is"
                " unknown, they are booked as unsettled and asked once more"
            )
        owing = _systems_that_owe(plan, done, deciding)
        # Whoever plays the episodes is there before anything is paid for.
        playing = engine if owing else in_process
        async with playing(plan, calling.caller, progress.say) as make:
            if plan.mode != "replay":
                try:
                    write_findings(
                        directory.path,
                        await prove_systems(
                            plan,
                            calling.asker,
                            ledger,
                            directory.instance,
                            systems=owing,
                            skip=skip_preflight,
                        ),
                    )
                except CapReachedError as error:
                    return Ending(cap=error)
            ending = await train(
                plan,
                directory.path,
                ledger,
                calling.asker,
                calling.caller,
                stop,
                progress,
                owing,
            )
            if ending.cap or ending.interrupted:
                return ending
            progress.begin()
            return await execute(
                directory,
                ledger,
                calling.asker,
                stop,
                progress,
                make=make,
                sources=sources_of(plan, done) if deciding is None else [deciding],
                concurrency=concurrency,
            )
    finally:
        progress.close()


def _systems_that_owe(plan: Plan, done: set[str], deciding: Deciding | None) -> set[str]:
    """Names of the systems that have episodes to make."""
    if deciding is not None:
        return {system.name for system in plan.systems} if deciding.owes else set()
    return {job.system.name for job in plan.jobs() if job.key not in done}


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
    plan: Plan,
    directory: RunDirectory,
    ledger: Ledger,
    decisions: Decisions | None,
    *,
    episodes: Sequence[EpisodeRecord],
    finished: bool,
) -> Summary:
    totals = ledger.totals
    trained, training_usd = training_notes(directory.path)
    proved, preflight_usd = preflight_notes(directory.path)
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
            *trained,
            *proved,
            *_notes(episodes, totals, training_usd + preflight_usd, finished=finished),
        ),
    )


def _notes(
    episodes: Sequence[EpisodeRecord], totals: Totals, apart_usd: Decimal, *, finished: bool
) -> tuple[str, ...]:
    """What a reader of the figures must know about the files behind them.

    `apart_usd` was spent beside the episodes, as other notes say.
    """
    known_usd = sum_usd((apart_usd, *(record.list_cost_usd for record in episodes)))
    if not finished or known_usd == totals.list_cost_usd:
        return ()
    return (
        f"the ledger's list cost ({format_usd(totals.list_cost_usd)}) is not that of the episodes"
        f" ({format_usd(known_usd)}): calls were paid for outside of an episode, stored replies"
        " were lost, or a file was changed",
    )
