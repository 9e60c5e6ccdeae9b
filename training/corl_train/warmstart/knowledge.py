"""What is known of demonstrations once they are over: who was right, in what, and what fitted.

Nothing here is told to a policy when it is used. It is what lessons are corrected with: golds
and subjects of the training split, and the books of the demonstrations.

    knowledge = Knowledge(played, setup, demonstrator)
    lessons = knowledge.demonstrated()
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise

from corl_bench.episode import ExpertInfo
from corl_bench.results import CallRecord
from corl_bench.types import Problem
from corl_train.judging import Judging
from corl_train.policies.base import Policy
from corl_train.rollouts import Rollout, Transcript
from corl_train.setup import OWN_NAME, Setup
from corl_train.warmstart.counsel import Counsel, Trust
from corl_train.warmstart.demonstrator import Demonstrator, results_of


@dataclass(frozen=True, slots=True)
class Lesson:
    """One demonstration and what is known of it afterwards."""

    rollout: Rollout
    subject: int
    """Place in `subjects_of`; -1 where none is named."""
    rights: list[float]
    """Of each expert: the share of its replies that are right; NaN where it was not asked."""
    fits: list[list[float]]
    """Of each own token: the share of each expert's calls that would have stayed within the
    budget there; NaN where it was not asked, and behind a turn's first token."""
    left_usd: list[float]
    """Of the budget, before each turn."""
    counsel: Counsel
    """On the experts, as far as the lesson can tell: without a statement not by subject."""


class Record:
    """How often each expert was right, in a subject and in all of them."""

    def __init__(self, experts: Sequence[str]) -> None:
        self._experts = experts
        self._marks: dict[tuple[str | None, str], list[bool]] = {}

    def add(self, subject: str | None, expert: str, is_right: bool) -> None:
        """Adds a reply: to all, and to a subject if one is named."""
        for where in {subject, None}:
            self._marks.setdefault((where, expert), []).append(is_right)

    def trust(self, subject: str | None) -> Trust:
        """In each expert, by the rule of succession: (right + 1) / (asked + 2)."""
        marks = {name: self._marks.get((subject, name), []) for name in self._experts}
        return {name: (sum(own) + 1) / (len(own) + 2) for name, own in marks.items()}


class Knowledge:
    """What demonstrations have shown of the experts, and lessons from it.

    Args:
        played: demonstrations with their rewards.
        setup: golds, subjects and protocol.
        demonstrator: who has played, and knows the experts from cheap to dear.
    """

    def __init__(self, played: Sequence[Rollout], setup: Setup, demonstrator: Demonstrator) -> None:
        self._setup, self._demonstrator = setup, demonstrator
        self._judging = Judging.of_recipe(setup.config.data)
        self._problems = {problem.id: problem for problem in setup.train.problems}
        self._places = {subject: place for place, subject in enumerate(subjects_of(setup))}
        self._marks = [self._marks_of(rollout) for rollout in played]
        self._played = played
        experts, record = demonstrator.experts, Record(demonstrator.experts)
        for rollout, marks in zip(played, self._marks, strict=True):
            subject = self._subject(rollout)
            for expert, several in marks.items():
                for is_right in several:
                    record.add(subject, expert, is_right)
        costs_usd = _costs_usd(played, experts)
        caution = setup.config.warm_start.counsel_caution
        self._counsels = {
            subject: Counsel(record.trust(subject), costs_usd, caution)
            for subject in {None, *self._places}
        }

    def demonstrated(self) -> list[Lesson]:
        """The demonstrations as lessons."""
        return [
            self._lesson(rollout, marks)
            for rollout, marks in zip(self._played, self._marks, strict=True)
        ]

    def lessons(self, played: Sequence[Rollout]) -> list[Lesson]:
        """Lessons from other episodes; they change nothing of what is known of the experts."""
        return [self._lesson(rollout, self._marks_of(rollout)) for rollout in played]

    def bare(self, lesson: Lesson) -> Lesson:
        """The lesson without its statement."""
        rollout = _without_statement(lesson.rollout, self._setup, self._demonstrator.policy)
        return replace(lesson, rollout=rollout, counsel=self._counsels[None])

    def _lesson(self, rollout: Rollout, marks: Mapping[str, Sequence[bool]]) -> Lesson:
        experts, subject = self._demonstrator.experts, self._subject(rollout)
        left_usd = _left_usd(rollout, self._setup.controller.own_model.name)
        return Lesson(
            rollout=rollout,
            subject=-1 if subject is None else self._places[subject],
            rights=[_share(marks.get(name, ())) for name in experts],
            fits=_fits(rollout, left_usd, experts),
            left_usd=[float(usd) for usd in left_usd],
            counsel=self._counsels[subject],
        )

    def _subject(self, rollout: Rollout) -> str | None:
        return self._problems[rollout.episode.problem_id].subject or None

    def _marks_of(self, rollout: Rollout) -> dict[str, list[bool]]:
        problem = self._problems[rollout.episode.problem_id]
        return _marks(rollout, problem, self._judging)


def verdicts_by_turn(rollout: Rollout, problem: Problem, judging: Judging) -> list[dict[str, bool]]:
    """Before each own turn, by expert that has answered: whether its last answer is right.

    Args:
        rollout: an episode that is over.
        problem: of the episode.
        judging: who says so.
    """
    verdicts: dict[str, bool] = {}
    by_turn = [verdicts]
    calls = _expert_calls(rollout)
    for text in rollout.transcript.texts[2:-1:2]:
        for result in results_of(("", "", text)):
            call = next(calls)
            if result.reply is not None:
                right = judging.of_reply(problem, result.reply, call)
                verdicts = {**verdicts, result.expert: right}
        by_turn.append(verdicts)
    return by_turn


def subjects_of(setup: Setup) -> list[str]:
    """The subjects that the training split names, sorted."""
    return sorted({problem.subject for problem in setup.train.problems if problem.subject})


def _marks(rollout: Rollout, problem: Problem, judging: Judging) -> dict[str, list[bool]]:
    """Of each expert that was asked: which of its replies are right."""
    marks: dict[str, list[bool]] = {}
    calls = _expert_calls(rollout)
    for result, call in zip(results_of(rollout.transcript.texts), calls, strict=False):
        right = judging.of_reply(problem, result.reply, call)
        marks.setdefault(result.expert, []).append(right)
    return marks


def _expert_calls(rollout: Rollout) -> Iterator[CallRecord]:
    """In order: each has left a result in the conversation."""
    return (call for call in rollout.episode.calls if call.expert != OWN_NAME)


def _costs_usd(played: Sequence[Rollout], experts: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Of each expert's calls, from cheap to dear."""
    costs: dict[str, list[float]] = {name: [] for name in experts}
    for rollout in played:
        for call in rollout.episode.calls:
            if call.expert in costs:
                costs[call.expert].append(float(call.list_cost_usd))
    return {name: tuple(sorted(own)) for name, own in costs.items()}


def _left_usd(rollout: Rollout, own: str) -> list[Decimal]:
    budget_usd = Decimal("Infinity") if rollout.budget_usd is None else rollout.budget_usd
    return [budget_usd - spent_usd for spent_usd in rollout.spent_usd(own)]


def _share(marks: Sequence[bool]) -> float:
    return sum(marks) / len(marks) if marks else math.nan


def _fits(
    rollout: Rollout, left_usd: Sequence[Decimal], experts: Sequence[str]
) -> list[list[float]]:
    costs: dict[str, list[Decimal]] = {}
    for call in rollout.episode.calls:
        costs.setdefault(call.expert, []).append(call.list_cost_usd)
    turns = iter(left_usd)
    fits: list[list[float]] = []
    for before, own_token in pairwise((0, *rollout.transcript.mask)):
        if own_token and before:
            fits.append([math.nan] * len(experts))
        elif own_token:
            left = next(turns)
            shares = ([cost <= left for cost in costs.get(name, ())] for name in experts)
            fits.append([*map(_share, shares)])
    return fits


def _without_statement(rollout: Rollout, setup: Setup, policy: Policy) -> Rollout:
    """The same episode with an opening that states no problem."""
    budget = next(b for b in setup.budgets if b.name == rollout.episode.budget)
    infos = [ExpertInfo.of(expert) for expert in setup.pool.experts]
    old = rollout.transcript
    opening = policy.read("user", old.texts[0])
    bare = policy.read("user", setup.protocol.opening("", budget, infos))
    behind = len(opening)
    transcript = Transcript(
        ids=[*bare, *old.ids[behind:]],
        mask=[0] * len(bare) + old.mask[behind:],
        log_probs=[0.0] * len(bare) + old.log_probs[behind:],
        texts=old.texts,
    )
    return replace(rollout, transcript=transcript)
