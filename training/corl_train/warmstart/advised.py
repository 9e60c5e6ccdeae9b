"""Advice: what the plan of a conversation's budget says to each of its turns.

advised = Advised(policy, protocol, experts, recipe.warm_start, {"budget $1": priced})
advised.advice(transcript.texts).odds       # of each turn that the plan speaks for
advised.odds(transcript.texts)              # likewise, and a little of any other
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from corl_train.warmstart.census import code_of
from corl_train.warmstart.demonstrator import Demonstrator, results_of, voices_of
from corl_train.warmstart.difficulty import SILENT, State
from corl_train.warmstart.planning import PricedPlan

_BELIEF_HEAT = 0.01
"""Probability of being right by which an answer is e times as likely to be believed."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What a plan says to one turn."""

    odds: Mapping[str, float]
    """Of each turn that it speaks for."""
    beliefs: Mapping[str, float]
    """By answer, one for each group: how probably it is right, e to its power in heats."""
    worth: tuple[float, ...]
    """Of calling each expert and last of answering; NaN where it is not on the cards."""
    rights: tuple[float, ...]
    """How probably the answer of each expert is right; NaN where there is none."""


@dataclass(slots=True)
class Advised(Demonstrator):
    """Plays what the plan of a conversation's budget finds to be worth most, and some at random."""

    plans: Mapping[str, PricedPlan] = field(default_factory=dict)
    """By how the first message at a budget begins."""
    _known: dict[tuple[str, tuple[str, ...], State, bool], Advice] = field(default_factory=dict)

    def session(self) -> Advised:
        return self

    def odds(
        self, texts: Sequence[str], trust: Mapping[str, float] | None = None
    ) -> dict[str, float]:
        """As of a `Demonstrator`, but `counsel_weight` of it is what the plan speaks for."""
        at_random = Demonstrator.odds(self, texts, trust)
        weight, planned = self.how.counsel_weight, self.advice(texts).odds
        return {
            turn: (1 - weight) * at_random.get(turn, 0.0) + weight * planned.get(turn, 0.0)
            for turn in {**at_random, **planned}
        }

    def advice(self, texts: Sequence[str]) -> Advice:
        """What the plan alone says.

        A choice is e times as probable as another for each `counsel_heat` that it is worth more.
        Of those who stand behind an answer the first one in the tally is pointed at: were it any
        of them, the likeliest turn of all would seldom be an answer. Where nobody has given one
        the cheapest of those who were asked is pointed at, for a problem may not be worth more.
        """
        begins = next(begins for begins in self.plans if texts[0].startswith(begins))
        state = code_of(texts, self.experts)
        may_call = len(results_of(texts)) < self.protocol.max_calls
        first = {name: group[0] for group in voices_of(texts) for name in group}
        key = begins, tuple(first.get(name, "") for name in self.experts), state, may_call
        if key not in self._known:
            self._known[key] = self._advice(self.plans[begins], state, may_call, first, texts)
        return self._known[key]

    def _advice(
        self,
        plan: PricedPlan,
        state: State,
        may_call: bool,
        first: Mapping[str, str],
        texts: Sequence[str],
    ) -> Advice:
        rights = plan.rights(state)
        by_answer: dict[str, float] = {}
        for place, right in rights.items():
            by_answer.setdefault(self.answer(first[self.experts[place]]), right)
        worth = {
            # Calls to whom the plan does not count on were made as well.
            choice: value
            for choice, value in plan.worth(state).items()
            if choice is None or may_call
        }
        turns = {
            self.call(self.experts[choice]): value
            for choice, value in worth.items()
            if choice is not None
        }
        if any(by_answer.values()):
            turns[max(by_answer, key=by_answer.__getitem__)] = worth[None]
        elif first:
            # By somebody off the panel: the plan cannot say how well, but it is an answer.
            turns[self.answer(next(iter(first.values())))] = worth[None]
        elif silent := [
            name for name, code in zip(self.experts, state, strict=True) if code == SILENT
        ]:
            # To give up: a reply that states no answer may be pointed at, and costs nothing more.
            turns[self.answer(silent[0])] = worth[None]
        places = range(len(self.experts))
        return Advice(
            odds=_shares(turns, self.how.counsel_heat) or Demonstrator.odds(self, texts),
            beliefs=_shares(by_answer, _BELIEF_HEAT),
            worth=tuple(worth.get(choice, math.nan) for choice in (*places, None)),
            rights=tuple(rights.get(place, math.nan) for place in places),
        )


def _shares(worth: Mapping[str, float], heat: float) -> dict[str, float]:
    """Of each turn, e times as much for each heat that it is worth more."""
    best = max(worth.values(), default=0.0)
    shares = {turn: math.exp((value - best) / heat) for turn, value in worth.items()}
    total = sum(shares.values())
    return {turn: share / total for turn, share in shares.items()}
