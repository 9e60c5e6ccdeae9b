"""Rehearsals: conversations with any pool at any budget, and what foresight says to each turn.

A rehearsal is what an episode would have been, word for word: the protocol writes the opening
and the results, experts are asked in a booth, and the ledger's arithmetic tells what is left. It
is cheap, for no controller speaks in it: turns are drawn from what foresight advises, and from
anything that the protocol allows, so that what to do in bad states is rehearsed too.

    stage = Stage(booth, protocol, problems, manners)
    rehearsals = stage.rehearse(pool, Decimal("0.01"), 12, rng)
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

from corl_bench.episode import ExpertInfo
from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.experts.trials import Booth
from corl_bench.money.amounts import format_usd
from corl_bench.routers.outlook import card_of, costs_of, lettered
from corl_bench.routers.protocol import CallReport, Protocol, Voice
from corl_bench.types import Budget, Problem
from corl_train.variety.foresight import Foresight, Seen
from corl_train.variety.manners import Manners
from corl_train.variety.world import two_digits

LEAST_SHARE = 1 / 4
"""Of the largest budget of a plan: below it a plan's ticks are too coarse."""


_TRIES = 100
"""Until a budget is none that is held out."""


@dataclass(frozen=True, slots=True)
class Advice:
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
    advice: tuple[Advice, ...]
    """For each turn that was said."""
    subject: str
    trust: Mapping[str, float]
    """By letter: how probably the expert is right in the subject, by its card."""


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
    held_out_usd: Collection[Decimal] = ()
    """Budgets that are not rehearsed."""
    turn_usd: Decimal = Decimal(0)
    """About what the controller's own tokens cost, a turn: next to nothing, but it makes a call
    that would just have fitted one that does not."""

    def rehearse(
        self, pool: Pool, largest_usd: Decimal, episodes: int, rng: Random
    ) -> list[Rehearsal]:
        """Rehearsals with one pool, at budgets from `LEAST_SHARE` of the largest up to it.

        Args:
            pool: whose experts have cards.
            largest_usd: the largest budget.
            episodes: how many.
            rng: draws problems, budgets and turns.
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
        made = []
        for _ in range(episodes):
            usd = largest_usd
            for _ in range(_TRIES):
                share = math.exp(rng.uniform(math.log(LEAST_SHARE), 0.0))
                usd = two_digits(float(largest_usd) * share)
                if usd not in self.held_out_usd:
                    break
            budget = Budget(format_usd(usd), usd)
            made.append(
                self._rehearse(
                    experts, costs_usd, foresight, rng.choice(self.problems), budget, rng
                )
            )
        return made

    def _rehearse(
        self,
        experts: Mapping[str, ExpertInfo],
        costs_usd: Mapping[str, Sequence[float]],
        foresight: Foresight,
        problem: Problem,
        budget: Budget,
        rng: Random,
    ) -> Rehearsal:
        protocol, subject = self.protocol, problem.subject or ""
        listed = [replace(expert, name=letter) for letter, expert in experts.items()]
        texts = [protocol.opening(problem.text, budget, listed)]
        advice: list[Advice] = []
        seen: list[tuple[str, str | None]] = []
        spent_usd, sample = Decimal(0), rng.randrange(1_000_000)
        wildness = rng.choice((0.0, self.wildness, 2 * self.wildness))
        while True:
            spent_usd += self.turn_usd
            worth = foresight.worth(subject, seen, float(budget.usd - spent_usd))
            answers = foresight.answers(subject, seen)
            advice.append(Advice(worth, answers))
            letter = self._chosen(worth, seen, wildness, rng)
            if letter is None and not answers:
                # Nothing can be pointed at: whoever is asked in vain breaks no other rule.
                letter = next(iter(experts)) if len(seen) < protocol.max_calls else None
            if letter is None:
                answer = max(answers, key=answers.__getitem__, default=next(iter(experts)))
                texts.append(f'<{protocol.answer_tag} from="{answer}"/>')
                break
            texts.append(f'<{protocol.call_tag} expert="{letter}"></{protocol.call_tag}>')
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

    def _chosen(
        self, worth: Mapping[str | None, float], seen: Seen, wildness: float, rng: Random
    ) -> str | None:
        turns = list(worth)
        if rng.random() < wildness:
            asked = {name for name, answer in seen if answer is not None}
            odds = [0.5 if turn is None else 0.1 if turn in asked else 1.0 for turn in turns]
            return rng.choices(turns, odds)[0]
        best = max(worth.values())
        odds = [math.exp((worth[turn] - best) / self.heat) for turn in turns]
        return rng.choices(turns, odds)[0]


def _voices(seen: Seen) -> list[Voice]:
    groups: dict[str, int] = {}
    return [
        Voice(name, None if answer is None else groups.setdefault(answer, len(groups)))
        for name, answer in seen
    ]
