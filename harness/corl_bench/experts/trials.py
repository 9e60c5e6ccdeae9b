"""Trials: what experts say to problems whose answers are known, asked for nothing.

Cards are measured on trials, and so a card can be had of whatever is recorded: of a recorded
expert from its stored replies, of a simulated one from the replies that it gives everywhere else.
The simulation's tables are never looked at.

    booth = RecordedBooth(pool, task, store)
    cards = measure_cards(pool, booth, task.problems)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from corl_bench import grading
from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool, Reply, Request
from corl_bench.experts.cards import Card, Trial, measure
from corl_bench.experts.recording import problem_key
from corl_bench.experts.simulation.book import ProblemBook
from corl_bench.experts.simulation.provider import SimulatedProvider
from corl_bench.experts.store import RecordingStore
from corl_bench.experts.verdicts import Judge, is_right
from corl_bench.tasks import LoadedTask, render_prompt
from corl_bench.types import Message, Problem, Usage

_AGAIN = 1_000_000
"""As in `Request.draw_seed`: the sample, plus a million for each repetition."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What an expert has said."""

    answer: str | None
    """None: it gave none."""
    right: bool
    usage: Usage


class Booth(Protocol):
    """Where experts can be asked at once and for nothing."""

    def ask(self, expert: str, problem: Problem, sample: int, again: int = 0) -> Heard | None:
        """An expert's reply to a problem.

        Args:
            expert: its alias.
            problem: with its gold.
            sample: which draw.
            again: how often it was asked before in the same episode.

        Returns:
            None where there is no reply to be had.
        """
        ...


class SimulatedBooth:
    """Asks simulated experts by the provider that answers everywhere else.

    Args:
        pool: of all experts that can be asked.
        seed: of their draws.

    Raises:
        ConfigError: an expert is not simulated, or its tables are not usable.
    """

    def __init__(self, pool: Pool, *, seed: int = 0) -> None:
        self._provider = SimulatedProvider(pool, ProblemBook(), seed=seed)

    def ask(self, expert: str, problem: Problem, sample: int, again: int = 0) -> Heard:
        reply = self._provider.reply(
            expert, problem, n_bytes=len(problem.text.encode()), draw_seed=sample + _AGAIN * again
        )
        # Simulated replies state the gold to the letter, or another answer.
        answer = _answer_in(reply, problem)
        return Heard(answer, answer == problem.answer, reply.usage)


class RecordedBooth:
    """Reads what experts have replied to a task's own prompt, recorded or imported.

    Args:
        pool: of all experts that can be asked.
        task: whose prompt they were asked with.
        store: of their replies.
        verdicts: who says that a reply is right.
    """

    def __init__(
        self, pool: Pool, task: LoadedTask, store: RecordingStore, *, verdicts: Judge = "ours"
    ) -> None:
        self._pool, self._task, self._store = pool, task, store
        self._verdicts: Judge = verdicts
        self._known: dict[tuple[str, str], list[Heard]] = {}

    def ask(self, expert: str, problem: Problem, sample: int, again: int = 0) -> Heard | None:
        known = self._known.get((expert, problem.id))
        if known is None:
            known = self._known[expert, problem.id] = list(self._stored(expert, problem))
        return known[(sample + again) % len(known)] if known else None

    def _stored(self, name: str, problem: Problem) -> Iterator[Heard]:
        expert = self._pool[name]
        prompt = (Message("user", render_prompt(self._task.spec, problem.text)),)
        request = Request(expert, prompt, expert.sampling, problem.text)
        for sample, episode in self._store.draws(request):
            call = self._store.find(request.key(), sample, 0, episode=episode)
            call = call or self._store.find_imported(
                problem_key(problem.text), expert.name, expert.model, sample
            )
            if call is None or call.reply is None:
                continue
            reply = call.reply
            # As an episode reads it: a reply that was cut may have stated its answer before.
            answer = grading.extract(reply.text, kind=problem.kind)
            heard = None if answer is None else reply.text
            right = is_right(problem, heard, reply.source_correct, by=self._verdicts)
            yield Heard(answer, right, reply.usage)


def trials_of(booth: Booth, expert: str, problems: Sequence[Problem]) -> Iterator[Trial]:
    """One reply to each problem, as far as there is one."""
    for sample, problem in enumerate(problems):
        heard = booth.ask(expert, problem, sample)
        if heard is not None:
            yield Trial(
                subject=problem.subject or "",
                right=heard.right,
                input_tokens=heard.usage.input_tokens,
                output_tokens=heard.usage.output_tokens,
                silent=heard.answer is None,
            )


def measure_cards(pool: Pool, booth: Booth, problems: Sequence[Problem]) -> dict[str, Card]:
    """The cards of a pool's experts, by alias.

    Raises:
        ConfigError: an expert has no reply to any of the problems.
    """
    cards = {}
    for expert in pool.experts:
        trials = list(trials_of(booth, expert.name, problems))
        if not trials:
            raise ConfigError(
                f"no reply of {expert.name!r} to any of these problems: record or import some"
            )
        cards[expert.name] = measure(trials)
    return cards


def _answer_in(reply: Reply, problem: Problem) -> str | None:
    return grading.extract(reply.text, kind=problem.kind) if reply.finish == "stop" else None
