"""School: a policy learns from rehearsals what foresight says to every turn.

Each turn teaches its whole distribution: the better a choice, the more probable it is to be, e to
the power of its worth in `heat`s; and what turns fall short of the best one counts beside. Whom to
believe is asked at every turn, also where it is not time to answer, or there would be few turns to
learn it from. Heads that are thrown away afterwards teach to read: what each choice is worth, which
subject the problem is of, and how good each expert is at it. So a state holds the figures that a
decision needs before any decision is right.

    school = School(policy, protocol, subjects, how, heat=0.015)
    school.teach([school.drill(rehearsal) for rehearsal in rehearsals], rate=1e-3, rng=Random(0))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor
from torch.nn import functional as F

from corl_bench.routers.outlook import LETTERS
from corl_bench.routers.protocol import Protocol
from corl_train.config import WarmStartTable
from corl_train.policies.base import Policy
from corl_train.policies.vocabulary import MOST_EXPERTS
from corl_train.variety.rehearsals import Foreseen, Rehearsal, answer_turn, call_turn
from corl_train.warmstart.lessons import pad_targets
from corl_train.warmstart.teaching import REGRET_WEIGHT, Teaching, falls_short

_CHOICES = (*LETTERS[:MOST_EXPERTS], None)


@dataclass(frozen=True, slots=True)
class Drill:
    """A rehearsal in a policy's tokens."""

    ids: tuple[int, ...]
    own: tuple[int, ...]
    """Places of the first tokens of its turns."""
    targets: tuple[dict[int, float], ...]
    """For each turn: what its first token could be, with its probability."""
    answers: tuple[tuple[float, ...], ...]
    """For each turn, by letter: how probably the expert's answer is right; NaN where there is
    none."""
    worth: tuple[tuple[float, ...], ...]
    """For each turn, of each choice; NaN where there is none."""
    trust: tuple[float, ...]
    """By letter; NaN where there is none."""
    subject: int


@dataclass(frozen=True, slots=True)
class Marks:
    """How well drills are known; means over turns."""

    loss: float
    """Cross-entropy of the turns."""
    regret: float
    """Worth that the most probable turn falls short of the best one."""
    misplaced: float
    """Probability to be right that the answer it would give falls short of the likeliest one."""
    subject: float
    """Share of the subjects that are told right."""


class School:
    """Epochs of supervised learning, with one optimiser and the heads for reading."""

    def __init__(
        self,
        policy: Policy,
        protocol: Protocol,
        subjects: Sequence[str],
        how: WarmStartTable,
        *,
        heat: float,
    ) -> None:
        self.policy, self.protocol = policy, protocol
        self.subjects = {subject: place for place, subject in enumerate(subjects)}
        self.heat, self.minibatch = heat, how.minibatch
        self.reading_weight, self.value_weight = how.reading_weight, how.value_weight
        letters = LETTERS[:MOST_EXPERTS]
        self._calls = {name: self._first(call_turn(protocol, name)) for name in letters}
        self._answers = {name: self._first(answer_turn(protocol, name)) for name in letters}
        self.teaching = Teaching(
            policy,
            how,
            heads={
                "worth": len(_CHOICES),
                "trust": MOST_EXPERTS,
                "subject": max(1, len(self.subjects)),
            },
        )

    def drill(self, rehearsal: Rehearsal) -> Drill:
        """A rehearsal as it is taught."""
        ids: list[int] = []
        own: list[int] = []
        for place, text in enumerate(rehearsal.texts):
            if place % 2:
                own.append(len(ids))
                ids += self.policy.spell(text, self.protocol.stops)
            else:
                ids += self.policy.read("user", text, ids)
        return Drill(
            ids=tuple(ids),
            own=tuple(own),
            targets=tuple(map(self._targets, rehearsal.advice)),
            answers=tuple(
                tuple(advice.answers.get(name, math.nan) for name in LETTERS[:MOST_EXPERTS])
                for advice in rehearsal.advice
            ),
            worth=tuple(
                tuple(advice.worth.get(choice, math.nan) for choice in _CHOICES)
                for advice in rehearsal.advice
            ),
            trust=tuple(rehearsal.trust.get(name, math.nan) for name in LETTERS[:MOST_EXPERTS]),
            subject=self.subjects[rehearsal.subject],
        )

    def teach(self, drills: Sequence[Drill], *, rate: float, rng: Random) -> Marks:
        """One epoch; returns what was known before each step of it."""
        self.teaching.set_rate(rate)
        order = sorted(range(len(drills)), key=lambda row: len(drills[row].ids))
        batches = [
            order[first : first + self.minibatch] for first in range(0, len(order), self.minibatch)
        ]
        rng.shuffle(batches)
        marks = []
        for rows in batches:
            loss, mark = self._loss([drills[row] for row in rows])
            self.teaching.learn(loss)
            marks.append(mark)
        return _mean(marks)

    @torch.no_grad()
    def examine(self, drills: Sequence[Drill]) -> Marks:
        """How well drills are known that were not taught."""
        batches = [
            drills[first : first + self.minibatch]
            for first in range(0, len(drills), self.minibatch)
        ]
        return _mean([self._loss(batch)[1] for batch in batches])

    def _loss(self, drills: Sequence[Drill]) -> tuple[Tensor, Marks]:
        longest = max(len(drill.ids) for drill in drills)
        ids = torch.zeros(len(drills), longest, dtype=torch.long)
        mask = torch.zeros(ids.shape)
        for row, drill in enumerate(drills):
            ids[row, : len(drill.ids)] = torch.tensor(drill.ids)
            mask[row, list(drill.own)] = 1.0
        scores = self.policy.score(ids, mask)
        distributions, states = scores.distributions, scores.states
        if distributions is None:
            raise ValueError("rehearsals teach whole distributions, which this policy keeps not")
        targets = [target for drill in drills for target in drill.targets]
        places, shares = pad_targets(targets)
        told = -(shares * distributions.gather(1, places)).sum(dim=1).mean()
        given = torch.tensor([turn for drill in drills for turn in drill.answers])
        worth = torch.tensor([turn for drill in drills for turn in drill.worth])
        turns = list(self._calls.values()), list(self._answers.values())
        short = falls_short(distributions, turns, worth, given)
        answered = ~given.isnan().all(dim=1)
        given = given[answered].nan_to_num(-math.inf)
        answers = distributions[answered][:, list(self._answers.values())].log_softmax(dim=1)
        best = worth.nan_to_num(-1.0).max(dim=1).values
        values = scores.values[mask > 0]
        read = self.teaching.misjudged(states, "worth", worth)
        believed = (given / self.heat).softmax(dim=1)
        read = read - (believed * answers).sum() / max(1, len(answers))
        trust = torch.tensor([drill.trust for drill in drills for _ in drill.own])
        read = read + self.teaching.misjudged(states, "trust", trust)
        subjects = torch.tensor([drill.subject for drill in drills for _ in drill.own])
        guessed = self.teaching.told(states, "subject")
        read = read + F.cross_entropy(guessed, subjects)
        loss = told + REGRET_WEIGHT * short + self.reading_weight * read
        loss = loss + self.value_weight * ((values - best) ** 2).mean()
        with torch.no_grad():
            chosen = self._chosen(distributions, worth)
            regret = (best - chosen).mean()
            likeliest = given.gather(1, answers.argmax(dim=1, keepdim=True))[:, 0].clamp(min=0.0)
            misplaced = (given.max(dim=1).values - likeliest).sum() / max(1, len(answers))
            right = (guessed.argmax(dim=1) == subjects).float().mean()
        return loss, Marks(
            loss=told.item(),
            regret=regret.item(),
            misplaced=misplaced.item(),
            subject=right.item(),
        )

    def _chosen(self, distributions: Tensor, worth: Tensor) -> Tensor:
        """Worth of the likeliest choice; an answer counts as the best answer there is."""
        calls = distributions[:, list(self._calls.values())]
        answers = distributions[:, list(self._answers.values())].logsumexp(dim=1, keepdim=True)
        choice = torch.cat([calls, answers], dim=1).argmax(dim=1, keepdim=True)
        return worth.gather(1, choice)[:, 0].nan_to_num(0.0)

    def _targets(self, advice: Foreseen) -> dict[int, float]:
        best = max(advice.worth.values())
        odds: dict[int, float] = {}
        for name, worth in advice.worth.items():
            share = math.exp((worth - best) / self.heat)
            if name is not None:
                # Where nothing can be won any more an answer costs nothing.
                odds[self._calls[name]] = share if best > 0 or not advice.answers else 0.0
                continue
            likeliest = max(advice.answers.values(), default=0.0)
            believed = {
                answer: math.exp((right - likeliest) / self.heat)
                for answer, right in advice.answers.items()
            }
            for answer, part in believed.items():
                odds[self._answers[answer]] = share * part / sum(believed.values())
        total = sum(odds.values())
        if not total:
            return {self._calls[next(n for n in advice.worth if n)]: 1.0}
        return {token: share / total for token, share in odds.items()}

    def _first(self, text: str) -> int:
        (token,) = self.policy.spell(text, self.protocol.stops)[:1]
        return token


def _mean(marks: Sequence[Marks]) -> Marks:
    count = max(1, len(marks))
    return Marks(
        loss=sum(mark.loss for mark in marks) / count,
        regret=sum(mark.regret for mark in marks) / count,
        misplaced=sum(mark.misplaced for mark in marks) / count,
        subject=sum(mark.subject for mark in marks) / count,
    )
