"""Rehearsals: conversations with any pool at any budget, and what foresight says to each turn.

A rehearsal is what an episode would have been, word for word: the protocol writes the opening
and the results, experts are asked in a booth, and the ledger's arithmetic tells what is left.
Whoever plays, foresight advises. Without a chooser turns are drawn from what foresight advises,
and from anything that the protocol allows, so that what to do in bad states is rehearsed too.

    stage = Stage(booth, protocol, problems, manners)
    rehearsals = stage.rehearse(pool, Decimal("0.01"), 12, rng)
    stage.rehearse(pool, Decimal("0.01"), 12, rng, chooser=OwnPlay(policy, protocol))
"""

from __future__ import annotations

import math
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import Protocol as Interface

from corl_bench.episode import ExpertInfo
from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.experts.trials import Booth
from corl_bench.money.amounts import format_usd
from corl_bench.routers.outlook import card_of, costs_of, lettered
from corl_bench.routers.protocol import CallReport, Protocol, Voice
from corl_bench.types import Budget, Problem
from corl_train.rollouts import play_out
from corl_train.variety.foresight import Foresight, Seen
from corl_train.variety.manners import Manners
from corl_train.variety.world import LEAST_SHARE, two_digits

_TRIES = 100
"""Until a budget is none that is held out."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What was to be said in one turn."""

    worth: Mapping[str | None, float]
    """Of calling each expert by its letter, and under None of answering."""
    answers: Mapping[str, float]
    """By letter: how probably the last answer of each expert that has given one is right."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One conversation, up to the turn that ended it."""

    texts: tuple[str, ...]
    """Messages in turn: what was read, what was said, ending with what was said last."""
    advice: tuple[Foreseen, ...]
    """For each turn that was said."""
    subject: str
    trust: Mapping[str, float]
    """By letter: how probably the expert is right in the subject, by its card."""


@dataclass(frozen=True, slots=True)
class Cue:
    """A turn that somebody is to say."""

    place: int
    """Of the conversation, among those that are rehearsed together."""
    texts: Sequence[str]
    """Messages so far, ending with one that was read."""
    advice: Foreseen
    seen: Seen
    """The calls so far."""


_Conversation = Generator[Cue, str | None, Rehearsal]


class Chooser(Interface):
    """Who says turns in rehearsals."""

    def choose(self, cues: Sequence[Cue], rng: Random) -> list[str | None]:
        """For each cue the expert to call, by its letter, or None: to answer.

        Args:
            cues: all that are open; later ones of a conversation keep its place.
            rng: for whatever is drawn.
        """
        ...


class Advised:
    """Turns drawn from advice, and some from all that is allowed.

    Args:
        heat: worth by which a turn is e times as likely to be said.
        wildness: share of the turns that are drawn from all that is allowed; a conversation has
            none of it, so much, or twice as much.
    """

    def __init__(self, *, heat: float, wildness: float) -> None:
        self._heat, self._wildness = heat, wildness
        self._wild: dict[int, float] = {}

    def choose(self, cues: Sequence[Cue], rng: Random) -> list[str | None]:
        return [self._chosen(cue, rng) for cue in cues]

    def _chosen(self, cue: Cue, rng: Random) -> str | None:
        if cue.place not in self._wild:
            self._wild[cue.place] = rng.choice((0.0, self._wildness, 2 * self._wildness))
        worth = cue.advice.worth
        turns = list(worth)
        if rng.random() < self._wild[cue.place]:
            asked = {name for name, answer in cue.seen if answer is not None}
            odds = [0.5 if turn is None else 0.1 if turn in asked else 1.0 for turn in turns]
        else:
            best = max(worth.values())
            odds = [math.exp((worth[turn] - best) / self._heat) for turn in turns]
        return rng.choices(turns, odds)[0]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where rehearsals are made."""

    booth: Booth
    protocol: Protocol
    problems: Sequence[Problem]
    manners: Manners
    heat: float = 0.03
    """Worth by which a turn is e times as likely to be said."""
    wildness: float = 0.3
    """Share of the turns that are drawn from all that is allowed."""
    least_usd: Decimal = Decimal(0)
    """Below it no budgets are rehearsed."""
    held_out_usd: Collection[Decimal] = ()
    """Budgets that are not rehearsed."""
    turn_usd: Decimal = Decimal(0)
    """About what the controller's own tokens cost, a turn: next to nothing, but it makes a call
    that would just have fitted one that does not."""

    def rehearse(
        self,
        pool: Pool,
        largest_usd: Decimal,
        episodes: int,
        rng: Random,
        *,
        chooser: Chooser | None = None,
    ) -> list[Rehearsal]:
        """Rehearsals with one pool, at budgets from `LEAST_SHARE` of the largest up to it.

        Args:
            pool: whose experts have cards.
            largest_usd: the largest budget.
            episodes: how many.
            rng: draws problems, budgets and turns.
            chooser: who says the turns, in all conversations at once; None: advice is followed,
                with some wildness.
        """
        experts = lettered(map(ExpertInfo.of, pool.experts))
        costs_usd = {letter: costs_of(expert) for letter, expert in experts.items()}
        foresight = Foresight(
            {letter: card_of(expert) for letter, expert in experts.items()},
            costs_usd,
            sorted({problem.subject or "" for problem in self.problems}),
            self.manners,
            horizon_usd=float(largest_usd),
            max_calls=self.protocol.max_calls,
        )
        chooser = chooser or Advised(heat=self.heat, wildness=self.wildness)
        conversations = []
        for place in range(episodes):
            budget = self.draw_budget(largest_usd, rng)
            problem = rng.choice(self.problems)
            sample = rng.randrange(1_000_000)
            conversations.append(
                self._converse(place, experts, costs_usd, foresight, problem, budget, sample)
            )
        return play_out(conversations, lambda cues: chooser.choose(cues, rng))

    def draw_budget(self, largest_usd: Decimal, rng: Random) -> Budget:
        """As many decades as any, down to `LEAST_SHARE` of the largest and to `least_usd`."""
        usd = largest_usd
        least = min(1.0, max(LEAST_SHARE, float(self.least_usd / largest_usd)))
        for _ in range(_TRIES):
            share = math.exp(rng.uniform(math.log(least), 0.0))
            usd = two_digits(float(largest_usd) * share)
            if usd not in self.held_out_usd:
                break
        return Budget(format_usd(usd), usd)

    def _converse(
        self,
        place: int,
        experts: Mapping[str, ExpertInfo],
        costs_usd: Mapping[str, Sequence[float]],
        foresight: Foresight,
        problem: Problem,
        budget: Budget,
        sample: int,
    ) -> _Conversation:
        """Gives a cue for each turn, is sent what was chosen, and ends with the rehearsal."""
        protocol, subject = self.protocol, problem.subject or ""
        listed = [replace(expert, name=letter) for letter, expert in experts.items()]
        texts = [protocol.opening(problem.text, budget, listed)]
        advice: list[Foreseen] = []
        seen: list[tuple[str, str | None]] = []
        spent_usd = Decimal(0)
        while True:
            spent_usd += self.turn_usd
            worth = foresight.worth(subject, seen, float(budget.usd - spent_usd))
            answers = foresight.answers(subject, seen)
            advice.append(Foreseen(worth, answers))
            letter = yield Cue(place, texts, advice[-1], seen)
            if letter is None and not answers:
                # Nothing can be pointed at: whoever is asked in vain breaks no other rule.
                letter = next(iter(experts)) if len(seen) < protocol.max_calls else None
            if letter is None:
                answer = max(answers, key=answers.__getitem__, default=next(iter(experts)))
                texts.append(answer_turn(protocol, answer))
                break
            texts.append(call_turn(protocol, letter))
            expert = experts[letter]
            again = sum(name == letter for name, _ in seen)
            heard = self.booth.ask(expert.name, problem, sample, again)
            if heard is None:
                raise ConfigError(
                    f"no reply of {expert.name!r} to problem {problem.id}: rehearsals need one of"
                    " each expert to each problem of the training split"
                )
            spent_usd += expert.price.cost_usd(heard.usage)
            seen.append((letter, heard.answer))
            report = CallReport(
                expert=letter,
                number=len(seen),
                cost_usd=expert.price.cost_usd(heard.usage),
                spent_usd=spent_usd,
                budget_usd=budget.usd,
                calls_left=protocol.max_calls - len(seen),
                costs_usd=costs_usd,
            )
            failure = "" if heard.answer is not None else "no answer"
            texts.append(
                protocol.result(report, reply=heard.answer, voices=_voices(seen), failure=failure)
            )
        return Rehearsal(
            texts=tuple(texts),
            advice=tuple(advice),
            subject=subject,
            trust={letter: card_of(expert).trust(subject) for letter, expert in experts.items()},
        )


def call_turn(protocol: Protocol, expert: str) -> str:
    """A turn that calls an expert."""
    return f'<{protocol.call_tag} expert="{expert}"></{protocol.call_tag}>'


def answer_turn(protocol: Protocol, expert: str) -> str:
    """A turn that gives the last answer of an expert."""
    return f'<{protocol.answer_tag} from="{expert}"/>'


def _voices(seen: Seen) -> list[Voice]:
    groups: dict[str, int] = {}
    return [
        Voice(name, None if answer is None else groups.setdefault(answer, len(groups)))
        for name, answer in seen
    ]
