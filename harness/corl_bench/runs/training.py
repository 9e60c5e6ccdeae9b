"""Training the systems of a run that learn, before they are scored.

A system that learns asks for what it wants (`corl_bench.routers.learning`). Each row that costs
a call is an episode like any other, graded and on the run's ledger, under a key that begins with
`training|`, and a line of `training.jsonl`; the episodes of the run begin when all have learned.
A resumed run trains again from scratch with what `training.jsonl` holds in place of calls, so a
system comes to the same state and nothing is paid for twice. One that chooses differently the
second time is refused: its finished episodes would be another system's.

    ending = await train(plan, path, ledger, asker, caller, stop, progress, names)
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from corl_bench.episode import Episode, ExpertInfo
from corl_bench.errors import CapReachedError, ConfigError
from corl_bench.experts.attempts import Asker, StoppedError
from corl_bench.experts.caller import Caller
from corl_bench.files import LineFile, write_json
from corl_bench.money.amounts import display_usd, sum_usd
from corl_bench.money.ledger import Ledger, LedgerLine, read_ledger
from corl_bench.results import EpisodeRecord, decode_episode, encode_episode
from corl_bench.results.documents import read_document
from corl_bench.results.episodes import read_episode_lines
from corl_bench.routers.base import Router
from corl_bench.routers.decisions import Choice, Question, ask_about, follow, on_offer
from corl_bench.routers.learning import Feedback, trained_part
from corl_bench.runs.execute import GRADING_THREADS, Ending, Stop, make_episode
from corl_bench.runs.plan import Job, Plan
from corl_bench.runs.progress import Progress
from corl_bench.tasks import LoadedTask
from corl_bench.types import Budget

RECORDS_NAME = "training.jsonl"
NOTES_NAME = "training.json"
NOTES_SCHEMA = "corl-bench/training@1"
MARK = "training|"
"""What the keys of training episodes begin with, in the ledger and everywhere else."""


async def train(
    plan: Plan,
    run_dir: Path,
    ledger: Ledger,
    asker: Asker,
    caller: Caller,
    stop: Stop,
    progress: Progress,
    names: Collection[str],
) -> Ending:
    """Trains those of a plan's systems that learn, all at a time, each row after row.

    Args:
        plan: with the rows.
        run_dir: where records and notes are kept.
        ledger: forgets the calls of rows that are written.
        asker: what a stop lets finish.
        caller: answers the calls.
        stop: ends the work early; then nothing may be scored.
        progress: is told what is being done.
        names: systems that have episodes to make; others are left as they are.

    Raises:
        ConfigError: a system did not choose what it had chosen before.
    """
    ending = Ending()
    parts = {
        system: part
        for system in plan.systems
        if system.name in names and (part := trained_part(system)) is not None
    }
    task = plan.training
    if not parts or task is None:
        return ending
    notes = read_notes(run_dir)
    with (
        ThreadPoolExecutor(GRADING_THREADS, thread_name_prefix="grading") as threads,
        LineFile.open(run_dir / RECORDS_NAME) as file,
    ):
        known = dict(_read_records(run_dir))

        async def prepare(system: Router) -> None:
            rows = _Rows(plan, task, system, ledger, caller, threads, file, known)
            progress.say(f"{system.name}: training on {len(rows.questions):,} rows of {rows.task}")
            try:
                notes[system.name] = await parts[system].train(rows)
            except CapReachedError as error:
                ending.cap = error
            except StoppedError:
                return

        workers = [asyncio.create_task(prepare(system)) for system in parts]
        await stop.oversee(workers, asker)
    ending.interrupted = stop.wanted and not ending.cap
    if not (ending.cap or ending.interrupted):
        write_json(run_dir / NOTES_NAME, {"schema": NOTES_SCHEMA, "systems": notes})
    return ending


def read_notes(run_dir: Path) -> dict[str, str]:
    """What each system that was trained said of it; empty where none was.

    Raises:
        ConfigError: the file is not as it was written.
    """
    if not (run_dir / NOTES_NAME).exists():
        return {}
    return dict(read_document(run_dir, NOTES_NAME, NOTES_SCHEMA)["systems"])


def training_notes(run_dir: Path) -> tuple[tuple[str, ...], Decimal]:
    """A line for each system that was trained, with its money, and the list cost of it all.

    The money is what the ledger has under training keys: it belongs to no episode.
    """
    if not (run_dir / RECORDS_NAME).exists():
        return (), Decimal(0)
    booked: dict[str, list[LedgerLine]] = {}
    for line in read_ledger(run_dir):
        if line.call.startswith(MARK):
            booked.setdefault(_system_of(line.call), []).append(line)
    lines = []
    for name, note in read_notes(run_dir).items():
        own = booked.get(name, [])
        cost = "no calls"
        if own:
            list_usd = display_usd(sum_usd(line.list_cost_usd for line in own))
            billed_usd = display_usd(sum_usd(line.billed_cost_usd for line in own))
            cost = (
                f"its calls cost {list_usd} at list prices, {billed_usd} billed, in no row of the"
                " table"
            )
        lines.append(f"{name}: {note}; {cost}")
    total = sum_usd(line.list_cost_usd for own in booked.values() for line in own)
    return tuple(lines), total


class _Rows:
    """The training rows as one system is shown them."""

    def __init__(
        self,
        plan: Plan,
        task: LoadedTask,
        system: Router,
        ledger: Ledger,
        caller: Caller,
        threads: ThreadPoolExecutor,
        file: LineFile,
        known: dict[str, EpisodeRecord],
    ) -> None:
        self.task = task.label
        self._plan = plan
        self._loaded = task
        self._system = system
        self._ledger = ledger
        self._caller = caller
        self._threads = threads
        self._file = file
        self._known = known
        budgets = plan.budgets_of(system)
        self._budgets = [budgets[row % len(budgets)] for row in range(len(task.problems))]
        experts = on_offer(map(ExpertInfo.of, plan.pool.experts))
        self.questions = tuple(
            Question(problem.text, experts, budget)
            for problem, budget in zip(task.problems, self._budgets, strict=True)
        )

    async def ask(self, row: int, choice: Choice) -> Feedback | None:
        """The row as it is recorded, else as the expert answers it now."""
        job = _Lesson(
            self._loaded,
            self._loaded.problems[row],
            _Follower(self._system.name, choice),
            self._budgets[row],
            sample=0,
        )
        record = self._known.get(job.key)
        if record is None:
            record, call_ids = await make_episode(job, self._plan, self._caller, self._threads)
            self._file.append([encode_episode(record)])
            self._ledger.forget(call_ids)
        elif [call.expert for call in record.calls] != [choice.expert]:
            raise ConfigError(
                f"{self._system.name} does not learn the same thing twice: of row {row + 1:,} of"
                f" {self.task} it chose {choice.expert!r} now, and another expert in what"
                f" {RECORDS_NAME} holds; give it a fixed seed, and name another --out"
            )
        if record.verdict == "error":
            return None
        return Feedback(
            self.questions[row],
            choice.expert,
            float(record.verdict == "correct"),
            record.list_cost_usd,
        )


class _Lesson(Job):
    """A training row as an episode; its key is no episode's of the run."""

    __slots__ = ()

    @property
    def key(self) -> str:
        return MARK + super().key


@dataclass(frozen=True, slots=True)
class _Follower:
    """Stands for a system that has chosen already."""

    name: str
    choice: Choice
    reads_budget: bool = False
    is_oracle: bool = False

    async def solve(self, problem: str, budget: Budget | None, episode: Episode) -> str | None:
        return await follow(self.choice, ask_about(problem, budget, episode), episode)


def _read_records(run_dir: Path) -> list[tuple[str, EpisodeRecord]]:
    records = read_episode_lines(run_dir / RECORDS_NAME, decode_episode)
    return [(MARK + record.key, record) for record in records]


def _system_of(call: str) -> str:
    """The system in a call's name; `episode_key` writes its own bars otherwise."""
    return call.split("|")[3].replace("%7C", "|")
