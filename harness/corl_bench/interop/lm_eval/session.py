"""Questions of another harness answered by a routing system, every dollar on the ledger.

As in a run: calls are capped, journalled, stored and booked, in a directory that the same
command goes on with; only the verdicts are missing, for judging is the other harness's matter.
Calls that failed are made again when the command is repeated.

    answers = answer(settings, questions, command=sys.argv)
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from corl_bench.episode import Episode
from corl_bench.errors import CapReachedError, ConfigError
from corl_bench.experts.attempts import StoppedError, settle_unaccounted
from corl_bench.experts.store import RecordingStore
from corl_bench.interop.lm_eval.questions import Question
from corl_bench.interop.lm_eval.settings import Settings, naming_arguments
from corl_bench.money.amounts import sum_usd
from corl_bench.money.basis import CostBasis, weakest
from corl_bench.money.cap import SpendingCap
from corl_bench.money.ledger import Ledger
from corl_bench.results import episode_key
from corl_bench.results.preflight import write_findings
from corl_bench.routers.playing import play
from corl_bench.runs.calling import open_caller, open_store, require_plan_keys
from corl_bench.runs.directory import RunDirectory
from corl_bench.runs.execute import Stop
from corl_bench.runs.preflight import prove_systems
from corl_bench.runs.progress import Progress
from corl_bench.runs.settings import OWN_STORE
from corl_bench.text import cut_at


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of one question."""

    text: str
    """Empty where it failed."""
    failure: str
    """Why, in one line; else empty."""
    list_cost_usd: Decimal
    unsettled_usd: Decimal
    basis: CostBasis
    calls: int


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of all."""

    each: tuple[Answered, ...]
    """In the order of the questions."""
    billed_cost_usd: Decimal
    """What this command paid; a stored reply costs nothing again."""


def answer(settings: Settings, questions: Sequence[Question], command: Sequence[str]) -> Answers:
    """Answers every question.

    Args:
        settings: who answers, and where the books are kept.
        questions: what is asked.
        command: the command line, for the manifest.

    Raises:
        ConfigError: something that the user can mend; nothing was sent.
        CapReachedError: the spending cap is reached; what was answered is stored.
        KeyboardInterrupt: the user stopped it; what was answered is stored.
    """
    unknown = next((q for q in questions if not q.is_known), None)
    if unknown is not None and settings.needs_problems:
        raise ConfigError(
            f"{unknown.task}: simulated and recorded experts answer statements that they know:"
            " name the rows that the task reads, problems=TASK|FILE, in --model_args"
        )
    plan, directory = settings.plan, settings.directory
    with (
        naming_arguments(),
        RunDirectory.open(directory, plan, command) as opened,
        open_store(plan, settings.recordings or directory / OWN_STORE) as store,
        Ledger.open(directory) as ledger,
    ):
        require_plan_keys(plan, store)
        prices = {expert.name: expert.pricing for expert in plan.models}
        settle_unaccounted(ledger, store, opened.instance, prices)
        ledger.resume(written=(), again={_key(settings, question) for question in questions})
        before_usd = ledger.totals.billed_cost_usd
        each = asyncio.run(_work(settings, questions, opened.instance, store, ledger))
        return Answers(each, ledger.totals.billed_cost_usd - before_usd)


async def _work(
    settings: Settings,
    questions: Sequence[Question],
    instance: str,
    store: RecordingStore,
    ledger: Ledger,
) -> tuple[Answered, ...]:
    progress = Progress(len(questions), 0, lambda: ledger.totals.billed_cost_usd)
    try:
        return await _answer_all(settings, questions, instance, store, ledger, progress)
    finally:
        progress.close()


async def _answer_all(
    settings: Settings,
    questions: Sequence[Question],
    instance: str,
    store: RecordingStore,
    ledger: Ledger,
    progress: Progress,
) -> tuple[Answered, ...]:
    stop = Stop(progress)
    remaining = iter(enumerate(questions))
    answered: dict[int, Answered] = {}
    reached: list[CapReachedError] = []

    async with open_caller(
        settings.plan,
        store,
        ledger,
        instance=instance,
        cap=SpendingCap(settings.max_cost_usd, ledger.totals.committed_usd),
        problems=(question.problem for question in questions if question.is_known),
        stopping=lambda: stop.wanted,
        reuse_failures=False,
    ) as calling:
        if settings.plan.mode != "replay":
            findings = await prove_systems(
                settings.plan,
                calling.asker,
                ledger,
                instance,
                systems={settings.system.name},
                skip=settings.skip_preflight,
            )
            write_findings(settings.directory, findings)

        async def work() -> None:
            for place, question in remaining:
                if stop.wanted or reached:
                    return
                opening = partial(
                    Episode,
                    key=_key(settings, question),
                    problem=question.problem,
                    prompt=question.prompt,
                    experts=settings.plan.experts_of(settings.system),
                    caller=calling.caller,
                    sample=question.sample,
                    seed=settings.plan.seed,
                )
                try:
                    episode, response, failure = await play(
                        settings.system, settings.told, question.problem.text, opening
                    )
                except CapReachedError as error:
                    reached.append(error)
                    return
                except StoppedError:
                    return
                ledger.forget(episode.call_ids)
                answered[place] = _answered(episode, response, failure, question.until)
                progress.advance("error" if failure else None)

        workers = [
            asyncio.create_task(work()) for _ in range(min(settings.concurrency, len(questions)))
        ]
        await stop.oversee(workers, calling.asker)
    if reached:
        raise reached[0]
    if stop.wanted:
        raise KeyboardInterrupt
    return tuple(answered[place] for place in range(len(questions)))


def _answered(
    episode: Episode, response: str | None, failure: str, until: Sequence[str]
) -> Answered:
    calls, fees = episode.calls, episode.charges
    return Answered(
        text="" if failure or response is None else cut_at(response, until),
        failure=failure,
        list_cost_usd=episode.spent_usd,
        unsettled_usd=sum_usd(
            [*(call.unsettled_usd for call in calls), *(fee.unsettled_usd for fee in fees)]
        ),
        basis=weakest([*(call.basis for call in calls), *(fee.basis for fee in fees)]),
        calls=sum(call.role == "expert" for call in calls),
    )


def _key(settings: Settings, question: Question) -> str:
    budget = settings.told
    return episode_key(
        question.label,
        question.problem.id,
        settings.system.name,
        None if budget is None else budget.name,
        question.sample,
    )
