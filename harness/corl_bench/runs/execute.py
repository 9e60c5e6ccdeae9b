"""Making the episodes that a plan still owes.

A fixed number of workers take jobs from the plan in order and have an engine play them
(`corl_bench.runs.engines`). An episode is written once, when it has its verdict; one that the cap,
a stop or a kill cuts short is not written, and the next run of the same command makes it again
from replies that are stored. Whatever goes wrong inside an episode ends in a verdict; only what
concerns the files of the run ends the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Protocol

from corl_bench import grading
from corl_bench.episode import Episode
from corl_bench.errors import CapReachedError
from corl_bench.experts.attempts import Asker, StoppedError
from corl_bench.experts.caller import Answering
from corl_bench.money.ledger import Ledger
from corl_bench.results import EpisodeRecord, encode_episode
from corl_bench.routers.playing import play
from corl_bench.runs.directory import RunDirectory
from corl_bench.runs.plan import Job, Plan
from corl_bench.runs.progress import Progress
from corl_bench.tasks import render_prompt
from corl_bench.types import AnswerKind, Message, Verdict

GRADING_THREADS = 2

Make = Callable[[Job], Awaitable[tuple[EpisodeRecord, list[str]]]]
"""Plays one episode, see `make_episode`."""


@dataclass(slots=True)
class Ending:
    """How the work ended: all done, or stopped by the cap or by the user."""

    cap: CapReachedError | None = None
    interrupted: bool = False


class Source(Protocol):
    """Where workers get their jobs from."""

    @property
    def jobs(self) -> int:
        """How many there may be."""
        ...

    async def take(self) -> Job | None:
        """The next job, as soon as there is one; None when there are no more."""
        ...

    def finish(self, record: EpisodeRecord) -> None:
        """Is told what came of a job."""
        ...

    def end(self) -> None:
        """Hands out nothing more."""
        ...


class Listed:
    """Jobs that are all known beforehand."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = len(jobs)
        self._remaining = iter(jobs)

    async def take(self) -> Job | None:
        return next(self._remaining, None)

    def finish(self, record: EpisodeRecord) -> None:
        pass

    def end(self) -> None:
        self._remaining = iter(())


class Stop:
    """The user's wish to stop: at first politely, then at once."""

    def __init__(self, progress: Progress) -> None:
        self.wanted = False
        self._asked_times = 0
        self._asker: Asker | None = None
        self._progress = progress
        self._workers: list[asyncio.Task[None]] = []
        self._drain: asyncio.Task[None] | None = None

    async def oversee(self, workers: list[asyncio.Task[None]], asker: Asker) -> None:
        """Waits for all; the first that fails stops the others, and its error is raised.

        Until then Ctrl-C and SIGTERM are this one's, where this thread may have them. Afterwards
        `wanted` says whether the user has stopped the work.

        Args:
            workers: what is under way.
            asker: what a polite stop lets finish.
        """
        self._workers = workers
        self._asker = asker
        self._watch()
        try:
            await asyncio.gather(*workers)
        except asyncio.CancelledError:
            if not self.wanted:
                raise
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            self._unwatch()

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(RuntimeError, ValueError, NotImplementedError):
                loop.add_signal_handler(number, self._asked)

    def _unwatch(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(RuntimeError, ValueError, NotImplementedError):
                loop.remove_signal_handler(number)

    def _asked(self) -> None:
        self._asked_times += 1
        if self._asked_times > 2:
            # Whoever asks three times is not kept waiting by a system that will not end. Files
            # only grow and every reply is stored, so nothing is lost.
            os._exit(130)
        if self.wanted:
            self._cancel()
            return
        self.wanted = True
        assert self._asker is not None
        self._progress.say(
            f"stopping: {self._asker.in_flight} calls in flight are let finish;"
            " Ctrl-C again drops them (their bill stays unknown)"
        )
        self._drain = asyncio.ensure_future(self._cancel_when_idle(self._asker))

    async def _cancel_when_idle(self, asker: Asker) -> None:
        await asker.drained()
        self._cancel()

    def _cancel(self) -> None:
        for worker in self._workers:
            worker.cancel()


async def execute(
    directory: RunDirectory,
    ledger: Ledger,
    asker: Asker,
    stop: Stop,
    progress: Progress,
    *,
    make: Make,
    sources: Iterable[Source],
    concurrency: int,
) -> Ending:
    """Makes every episode that its sources hand out, one source after the other.

    Args:
        directory: where episodes are appended.
        ledger: forgets the calls of episodes that are written.
        asker: what a stop lets finish.
        stop: ends the work early.
        progress: is told of each episode.
        make: plays an episode.
        sources: of `sources_of`, or one that decides for itself.
        concurrency: episodes at a time.
    """
    ending = Ending()
    for source in sources:

        async def work(source: Source = source) -> None:
            while not (stop.wanted or ending.cap) and (job := await source.take()) is not None:
                try:
                    record, call_ids = await make(job)
                except CapReachedError as error:
                    ending.cap = error
                    source.end()
                    return
                except StoppedError:
                    return
                directory.episodes.append([encode_episode(record)])
                ledger.forget(call_ids)
                source.finish(record)
                progress.advance(record.verdict)

        workers = [asyncio.create_task(work()) for _ in range(min(concurrency, source.jobs))]
        await stop.oversee(workers, asker)
        if stop.wanted or ending.cap:
            break
    ending.interrupted = stop.wanted and not ending.cap
    return ending


def sources_of(plan: Plan, done: set[str]) -> Iterator[Source]:
    """Every episode of a plan that is not done, in two phases.

    Oracles read what the others have stored, so the others have to be through first.

    Args:
        plan: what the run is.
        done: keys of finished episodes.
    """
    owed = [job for job in plan.jobs() if job.key not in done]
    for oracles in (False, True):
        jobs = [job for job in owed if job.system.is_oracle == oracles]
        if jobs:
            yield Listed(jobs)


async def make_episode(
    job: Job, plan: Plan, caller: Answering, threads: ThreadPoolExecutor
) -> tuple[EpisodeRecord, list[str]]:
    """One episode with its verdict, and the names of its calls in the ledger.

    Raises:
        CapReachedError: the cap cut it short, whatever the system made of that.
        StoppedError: the stop of the run cut it short.
    """
    problem = job.problem
    opening = partial(
        Episode,
        key=job.key,
        problem=problem,
        prompt=[Message("user", render_prompt(job.task.spec, problem.text))],
        experts=plan.experts_of(job.system),
        caller=caller,
        sample=job.sample,
        seed=plan.seed,
        oracle=job.system.is_oracle,
    )
    episode, response, failure = await play(job.system, job.budget, problem.text, opening)
    if failure:
        verdict = Verdict("error", detail=failure)
        response = None
    else:
        verdict = await grading.judge_in_loop(
            _grade, problem.answer, response, problem.kind, threads=threads
        )
    record = EpisodeRecord(
        task=job.task.label,
        problem_id=problem.id,
        system=job.system.name,
        budget=None if job.budget is None else job.budget.name,
        budget_usd=None if job.budget is None else job.budget.usd,
        sample=job.sample,
        verdict=verdict.status,
        answer=verdict.answer,
        response=response,
        calls=episode.calls,
        detail=verdict.detail,
        latency_s=episode.latency_s,
        subject=problem.subject,
        level=problem.level,
        events=episode.events,
        charges=episode.charges,
    )
    return record, episode.call_ids


# Systems of one run often return the very same reply; jobs come problem by problem, so a
# small cache holds all that can be met again.
@lru_cache(maxsize=256)
def _grade(gold: str, response: str | None, kind: AnswerKind) -> Verdict:
    return grading.grade(gold, response, kind=kind)
