"""A job from its preflight to its end: experts, survey, submission, retries, stop.

Invariants: nothing is written before every check that needs no cluster has passed, and nothing
submitted before those of the cluster; a job that was begun is never prepared again, so what it goes
on with is what it began with. Whoever follows a job that is under way changes nothing of it: not
its experts' server, nor where that listens, nor its cap.

    ending = run_job(recipe, options, say=print)
    stop_job(options.folder, say=print)
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from corl_bench.errors import ConfigError
from corl_bench.experts.pools import load_pool
from corl_bench.files import write_text
from corl_bench.money.amounts import format_usd
from corl_train.openrlhf.cluster import check_cluster
from corl_train.openrlhf.command import DATA, RUNTIME_ENV_NAME, runtime_env
from corl_train.openrlhf.data import REPORT_NAME
from corl_train.openrlhf.experts_server import LOOPBACK, ExpertsServer, Terms
from corl_train.openrlhf.job import FILE_NAME, Job, read_job
from corl_train.openrlhf.jobs import DEFAULT_ADDRESS, UNKNOWN, JobServer
from corl_train.openrlhf.launching import (
    Options,
    PreflightError,
    PreparedJob,
    check,
    describe,
    prepare_job,
    source_pool,
    write_prepared,
)
from corl_train.openrlhf.preflight import ask_experts, check_folder
from corl_train.openrlhf.recipe import JobRecipe
from corl_train.openrlhf.submission import (
    STATE_NAME,
    Ending,
    SubmittedJob,
    is_locked,
    open_job,
    under_way,
)
from corl_train.openrlhf.survey import digest_of_file, read_survey

_SURVEY_S = 600.0
_FOLLOWER_S = 100.0
"""How long whoever follows a job that was ended may take to end its experts' server."""


def run_job(recipe: JobRecipe, options: Options, *, say: Callable[[str], None]) -> Ending:
    """Begins a job, goes on with it, or follows it where it is under way.

    Args:
        recipe: what is trained.
        options: of the command line.
        say: told what goes on.

    Raises:
        PreflightError: it would go wrong; nothing was paid for.
        ConfigError: Ray or the experts' server cannot be reached, or the directory holds another
            job.
        StorageError: the directory cannot be written.
    """
    folder = options.folder
    prepared = None
    if not (folder / STATE_NAME).exists():
        # Before the directory is made: what is refused leaves nothing behind.
        prepared = _prepare(recipe, options, say)
        JobServer(options.address or DEFAULT_ADDRESS).require()
    with open_job(
        recipe, folder, seed=options.seed, entry=options.entry, python=options.python
    ) as job:
        if job.is_finished:
            say(f"{folder}: this job is finished")
            ExpertsServer(folder).stop()
            return "finished"
        server = JobServer(options.address or job.address or DEFAULT_ADDRESS)
        if job.attempts:
            _require_same_experts(read_job(folder / FILE_NAME), options)
        else:
            write_prepared(prepared or _prepare(recipe, options, say), options)
        server.require()
        steps = _steps(recipe, folder)
        is_running = _catch_up(job, server, steps, say)
        if job.is_finished:
            ExpertsServer(folder).stop()
            return "finished"
        share = _share_of(job, options, is_running=is_running)
        try:
            if not is_running:
                if share is not None:
                    if job.attempts and options.is_asking_experts:
                        share.ask()
                    share.ensure()
                _survey(job, server, share, steps)
            elif share is not None and not share.server.is_at_work and share.ensure():
                say("the experts' server had ended; it is started again")
            return _follow(job, server, share, steps, options.retries, say, is_running=is_running)
        finally:
            # Ctrl-C, or a head node that is gone, leaves the job where it is, and this with it.
            if share is not None and job.current is None:
                share.server.stop()


def stop_job(folder: Path, *, address: str | None = None, say: Callable[[str], None]) -> None:
    """Ends a job that is under way, and its experts' server, each even where the other is gone.

    Args:
        folder: of the job; what it was begun with need not be said again.
        address: of Ray's job server; None: where the job was submitted.
        say: told what has ended.

    Raises:
        ConfigError: there is no job, or it cannot be ended, or its server cannot; one line of
            each.
    """
    experts, left = ExpertsServer(folder), []
    # A launch that was killed before its first attempt has a server, and no job.
    running = (
        under_way(folder) if (folder / STATE_NAME).exists() or not experts.was_started else None
    )
    if running is not None:
        name, known = running
        try:
            JobServer(address or known).end(name)
            say(f"{name} has ended")
        except ConfigError as error:
            left.append(str(error))
        # Whoever follows it ends the server; asked twice it would cut off calls under way.
        deadline_s = time.monotonic() + _FOLLOWER_S
        while is_locked(folder) and experts.was_started and time.monotonic() < deadline_s:
            time.sleep(0.2)
    try:
        if experts.was_started:
            experts.stop()
            say("its experts' server has ended")
    except ConfigError as error:
        left.append(str(error))
    if left:
        raise ConfigError("; ".join(left))


@dataclass(frozen=True, slots=True)
class _Share:
    """The experts of a job that bills, and what their server is started with."""

    server: ExpertsServer
    pool: str
    terms: Terms
    price_date: date | None

    def ask(self) -> None:
        """Asks each expert, for nothing, if it would answer.

        Raises:
            PreflightError: one would not.
        """
        if mistakes := ask_experts(load_pool(self.pool, price_date=self.price_date)):
            raise PreflightError(mistakes)

    def ensure(self) -> bool:
        """Starts the server where it is not at work; whether it was not."""
        return self.server.start(self.pool, self.terms, price_date=self.price_date)


def _prepare(recipe: JobRecipe, options: Options, say: Callable[[str], None]) -> PreparedJob:
    """Prepares a job, and checks what can be checked without a cluster. Nothing is written.

    Raises:
        PreflightError: it would go wrong.
        ConfigError: it could not be done.
    """
    if mistakes := check_folder(options.folder):
        raise PreflightError(mistakes)
    prepared = prepare_job(recipe, options)
    for line in describe(prepared, options):
        say(line)
    if mistakes := check(prepared, options):
        raise PreflightError(mistakes)
    return prepared


def _require_same_experts(job: Job, options: Options) -> None:
    """Refuses to go on with replies from elsewhere than the job was begun with.

    Raises:
        ConfigError: `--mode` or `--recordings` say so.
    """
    mode, recordings = options.mode, options.recordings
    if job.experts == "gateway":
        # Whose recordings may change: it is started anew with them.
        is_other = mode == "replay" or (mode == "live" and recordings is not None)
    else:
        is_other = (
            (mode == "live" and job.recordings is not None)
            or (mode == "replay" and job.experts != "replay")
            or (recordings is not None and str(recordings.resolve()) != job.recordings)
        )
    if is_other:
        begun = (
            "live experts" if job.experts == "gateway" else job.recordings or "simulated experts"
        )
        raise ConfigError(
            f"{options.folder}: this job was begun with replies of {begun}: leave off --mode and"
            " --recordings to go on with it, or name another --out"
        )


def _catch_up(job: SubmittedJob, server: JobServer, steps: int, say: Callable[[str], None]) -> bool:
    """Whether the last attempt is still under way; if not, it is told what it did meanwhile."""
    state = job.look(server)
    if state is None:
        return False
    if not state.is_over:
        return True
    if state.status == UNKNOWN:
        job.settle(state)  # its cluster is no more, and what it has printed neither
    else:
        job.follow(server, steps=steps, experts=None, say=say, is_new=False)
    return False


def _share_of(job: SubmittedJob, options: Options, *, is_running: bool) -> _Share | None:
    """The experts of a job; None where nobody bills. What is not said anew stays as it was.

    Raises:
        ConfigError: something is to be changed that cannot be now.
    """
    described = read_job(job.folder / FILE_NAME)
    if described.experts != "gateway":
        return None
    known, cap = job.terms, options.cap_usd
    if cap is None:
        if known is None:
            raise ConfigError("this job asks live experts: name their --max-cost")
        cap = known.cap_usd
    host = options.host or (LOOPBACK if known is None else known.host)
    recordings = options.recordings or (None if known is None else known.recordings)
    terms = Terms(cap, host, None if recordings is None else recordings.absolute())
    if known is not None and is_running and terms != known:
        raise ConfigError(
            f"the job is under way with --max-cost {format_usd(known.cap_usd)} --host {known.host}:"
            " leave off what differs to follow it; to change it, --stop it first"
        )
    if known is not None and job.is_capped and terms.cap_usd <= known.cap_usd:
        raise ConfigError(
            f"the cap of ${format_usd(known.cap_usd)} has ended this job: a higher --max-cost"
            " goes on with it"
        )
    job.terms = terms
    pool = source_pool(job.recipe, job.folder)
    return _Share(ExpertsServer(job.folder), pool, terms, described.price_date)


def _follow(
    job: SubmittedJob,
    server: JobServer,
    share: _Share | None,
    steps: int,
    retries: int,
    say: Callable[[str], None],
    *,
    is_running: bool,
) -> Ending:
    """Follows attempt after attempt, until one ends otherwise than by a crash."""
    experts = None if share is None else share.server
    while True:
        if is_running:
            say(f"{job.current} is under way")
        else:
            name = job.submit(server, say=say)
            say(f"{name} is submitted; `ray job logs {name}` shows all that it prints")
        ending = job.follow(server, steps=steps, experts=experts, say=say, is_new=not is_running)
        if ending != "failed" or retries == 0:
            return ending
        # Without it every attempt would load all its models, and end in the same way.
        was_down = share is not None and share.ensure()
        if was_down:
            say("the experts' server had ended; it is started again")
        if job.reason is not None and not was_down:
            say("by that it would end again: mend it, then the same command goes on")
            return ending
        retries -= 1
        is_running = False
        say(f"attempt {len(job.attempts)} has failed: going on from its last checkpoint")


def _survey(job: SubmittedJob, server: JobServer, share: _Share | None, steps: int) -> None:
    """Looks at the cluster from its own nodes.

    Raises:
        PreflightError: it will not do.
        ConfigError: it could not be looked at.
    """
    folder = job.folder
    write_text(folder / RUNTIME_ENV_NAME, runtime_env(folder))
    name = f"survey-{job.next_name}-{time.time_ns():x}"
    server.submit(
        [
            *("ray", "job", "submit", "--address", server.address, "--submission-id", name),
            *("--runtime-env", str(folder / RUNTIME_ENV_NAME), "--no-wait", "--", job.python),
            *("-m", "corl_train.openrlhf.survey", str(folder)),
            *(digest_of_file(folder / FILE_NAME), "--model", job.recipe.model.path),
            *(() if share is None else ("--health-url", share.server.health_url)),
        ]
    )
    try:
        state = server.wait(name, within_s=_SURVEY_S)
    except BaseException:
        with suppress(ConfigError):
            server.stop(name)
        raise
    if state.status != "SUCCEEDED":
        said = " ".join(state.message.split())[-300:]
        raise ConfigError(
            "the cluster could not be surveyed: install corl-bench with its extra openrlhf in the"
            f" environment of Ray on every node ({said})"
        )
    if mistakes := check_cluster(job.recipe, read_survey(folder), steps):
        raise PreflightError(mistakes)


def _steps(recipe: JobRecipe, folder: Path) -> int:
    """Of the whole job, by its rows."""
    path = folder / DATA / REPORT_NAME
    try:
        trained = int(json.loads(path.read_bytes())["trained"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not what `corl-train launch` writes ({error})") from None
    return trained // recipe.training.prompts * recipe.training.passes
