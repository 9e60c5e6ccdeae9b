"""Practice: a policy rehearses, round after round, and learns what a plan says to each turn.

A round is rehearsed, taught and forgotten, so that no conversation is learned by heart. From a
quarter of the rehearsals on the policy plays most of them itself, some as it will be evaluated,
and is told what it should have done in the states that it comes to: whoever has learned from
another's play alone has never been told what to do behind his own mistakes (DAgger, Ross et al.,
AISTATS 2011). The learning rate falls like a cosine.

A turn teaches more than what to say in it. Whom to believe is asked in every state, whether or
not it is time to answer; what a choice loses counts beside how surprising it is, or rare states
in which much is lost would weigh as little as ties; and heads that are thrown away afterwards tell
what every choice is worth and how probably every answer is right.

    practise(advised, setup, draw, statements, rng=rng, dice=dice, reward=earned, say=print,
             stop=stop, halfway=halfway)
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import numpy as np
import torch
from torch import Tensor

from corl_bench.errors import ConfigError
from corl_train.losses import masked_mean
from corl_train.policies.base import Speaking
from corl_train.rollouts import Rollout, Transcript, pad, play_out, split
from corl_train.runs.checkpoints import Halfway
from corl_train.runs.interruption import Stop
from corl_train.setup import Setup
from corl_train.warmstart.advised import Advice, Advised
from corl_train.warmstart.demonstrator import results_of
from corl_train.warmstart.difficulty import Sighting
from corl_train.warmstart.lessons import Targets, pad_targets, targets_of
from corl_train.warmstart.rehearsals import converse
from corl_train.warmstart.teaching import REGRET_WEIGHT, Teaching, cosine, falls_short

ROUND = 1024
"""Rehearsals of one round."""
_WARM_FROM = 1 / 24
"""Of the rehearsals: behind them the learning rate is what it should be."""
_OWN_FROM = 1 / 4
"""Of the rehearsals: behind them the policy plays some of them itself."""
_MOST_TIMES = 4
"""That the same conversation is taught in a round. A plan for little money comes to a handful of
them, which would else be most of what is taught; one for much money to thousands."""
_ROUNDS_TOLD = 8
"""After so many rounds it is said how it goes."""

Choosing = Callable[[Sequence[Transcript]], list[str]]
"""Who says the turns of conversations."""


def practise(
    advised: Advised,
    setup: Setup,
    draw: Callable[[int], Sequence[Sighting]],
    statements: Callable[[Sighting], str],
    *,
    rng: Random,
    dice: np.random.Generator,
    reward: Callable[[Rollout], Rollout],
    say: Callable[[str], None],
    stop: Stop,
    halfway: Halfway,
) -> None:
    """Teaches a policy to play as it is advised.

    Args:
        advised: who advises, and whose policy learns.
        setup: recipe and budgets.
        draw: so many sightings of problems.
        statements: of their problems.
        rng: draws turns and shuffles.
        dice: what `draw` draws by.
        reward: rewards an episode.
        say: told how it goes.
        stop: looked at before each minibatch.
        halfway: where it begins, and where each round is kept.

    Raises:
        ConfigError: no rehearsal fits into the policy's context.
        StoppedEarlyError: it was wanted.
        StorageError: it cannot be kept.
    """
    how = setup.config.warm_start
    school = _School(advised, setup, rng, stop)
    done = taught = 0
    if (state := halfway.load()) is not None:
        done, taught = state["done"], state["taught"]
        school.teaching.restore(state["school"])
        _restore_luck(state["luck"], rng, dice)
        say(f"going on behind {done:,} rehearsals")
    while done < how.episodes:
        count = min(ROUND, how.episodes - done)
        played: list[Rollout] = []
        for choose, sightings in _parts(advised, draw(count), done / how.episodes, rng):
            stop.check()
            conversations = [
                converse(
                    advised,
                    setup,
                    setup.budgets[place % len(setup.budgets)],
                    seen,
                    statements(seen),
                )
                for place, seen in enumerate(sightings)
            ]
            played += play_out(conversations, choose)
        times: Counter[tuple[int, ...]] = Counter()
        kept = []
        for rollout in played:
            ids = tuple(rollout.transcript.ids)
            times[ids] += 1
            if times[ids] <= _MOST_TIMES and len(ids) <= advised.policy.context:
                kept.append(reward(rollout))
        if not kept:
            raise ConfigError(
                f"no rehearsal fits into a context of {advised.policy.context} tokens: raise"
                " policy.context"
            )
        rate = cosine(
            how.learning_rate,
            done,
            done + count,
            how.episodes,
            warming=_WARM_FROM * how.episodes,
        )
        marks = school.teach(kept, rate)
        done, taught = done + count, taught + len(kept)
        halfway.save(
            {
                "done": done,
                "taught": taught,
                "school": school.teaching.state(),
                "luck": _luck(rng, dice),
            }
        )
        if (done // ROUND) % _ROUNDS_TOLD == 0 or done == how.episodes:
            say(f"rehearsals {done:,}, {taught:,} of them taught: {marks}")


def _luck(rng: Random, dice: np.random.Generator) -> str:
    """Where the dice stand, as JSON: their numbers have more digits than tensors."""
    return json.dumps([rng.getstate(), dice.bit_generator.state])


def _restore_luck(luck: str, rng: Random, dice: np.random.Generator) -> None:
    (version, numbers, gauss), dice.bit_generator.state = json.loads(luck)
    rng.setstate((version, tuple(numbers), gauss))


def _parts(
    advised: Advised, sightings: Sequence[Sighting], progress: float, rng: Random
) -> list[tuple[Choosing, Sequence[Sighting]]]:
    """Who plays which of them: the plan, the policy as its dice fall, the policy at its surest."""
    how = advised.how
    own = round(len(sightings) * how.own_share) if progress >= _OWN_FROM else 0
    greedy = own // 2
    parts = [
        (Pupil(advised, 0.0, rng).choose, sightings[:greedy]),
        (Pupil(advised, 1.0, rng).choose, sightings[greedy:own]),
        (_Leader(advised, rng).choose, sightings[own:]),
    ]
    return [(choose, some) for choose, some in parts if some]


@dataclass(frozen=True, slots=True)
class _Leader:
    """Follows advice, but for a turn at random now and then."""

    advised: Advised
    rng: Random

    def choose(self, transcripts: Sequence[Transcript]) -> list[str]:
        odds = [self.advised.odds(transcript.texts) for transcript in transcripts]
        return [self.rng.choices(list(own), list(own.values()))[0] for own in odds]


class Pupil:
    """The policy plays; where it says nothing that is allowed, advice is followed.

    Its weights do not change meanwhile.
    """

    def __init__(self, advised: Advised, temperature: float, rng: Random) -> None:
        self.advised, self.rng = advised, rng
        stops, longest = advised.protocol.stops, advised.protocol.max_turn_tokens
        self.how = Speaking(longest, stops, temperature)
        self.session = advised.policy.session()

    def choose(self, transcripts: Sequence[Transcript]) -> list[str]:
        """Turns that the protocol allows."""
        said = self.say(transcripts)
        return [
            self._allowed(turn, transcript.texts)
            for turn, transcript in zip(said, transcripts, strict=True)
        ]

    def say(self, transcripts: Sequence[Transcript]) -> list[str]:
        """Turns as the policy says them."""
        seeds = [self.rng.randrange(2**31) for _ in transcripts]
        return [said.text for said in self.session.speak(transcripts, self.how, seeds)]

    def _allowed(self, turn: str, texts: Sequence[str]) -> str:
        asked = [result.expert for result in results_of(texts)]
        if turn in self.advised.calls(texts) or turn in map(self.advised.answer, asked):
            return turn
        odds = self.advised.advice(texts).odds
        return max(odds, key=odds.__getitem__)


@dataclass(frozen=True, slots=True)
class _Drill:
    """A rehearsal as it is taught."""

    rollout: Rollout
    targets: Targets
    """Of each own token."""
    advice: Sequence[Advice | None]
    """Likewise, to the turn that begins with it; None where none does."""


class _School:
    """One optimiser and the heads for reading."""

    def __init__(self, advised: Advised, setup: Setup, rng: Random, stop: Stop) -> None:
        self.advised, self.rng, self.stop = advised, rng, stop
        self.policy, self.how, self.stops = advised.policy, advised.how, setup.protocol.stops
        self.answers = {
            turn: self.policy.spell(turn, self.stops)[0]
            for turn in map(advised.answer, advised.experts)
        }
        self.calls = [
            self.policy.spell(turn, self.stops)[0] for turn in map(advised.call, advised.experts)
        ]
        experts = len(advised.experts)
        self.teaching = Teaching(
            self.policy,
            self.how,
            heads={"worth": experts + 1, "rights": experts},
        )

    def teach(self, played: Sequence[Rollout], rate: float) -> str:
        """Some epochs; returns how well the last of them was known, in words."""
        self.teaching.set_rate(rate)
        drills = [self._drill(rollout) for rollout in played]
        lengths = torch.tensor([len(drill.targets) for drill in drills])
        marks: list[Sequence[float]] = []
        for _ in range(self.how.epochs):
            marks = []
            minibatches = split(lengths.argsort(stable=True), self.how.minibatch)
            self.rng.shuffle(minibatches)
            for rows in minibatches:
                self.stop.check()
                loss, mark = self._loss([drills[row] for row in rows.tolist()])
                self.teaching.learn(loss)
                marks.append(mark)
        turns, beliefs = (sum(column) / len(marks) for column in zip(*marks, strict=True))
        return f"loss {turns:.4f}, {beliefs:.4f} in whom to believe"

    def _drill(self, rollout: Rollout) -> _Drill:
        def odds(texts: Sequence[str]) -> Mapping[str, float]:
            return self.advised.advice(texts).odds

        transcript, turn = rollout.transcript, 1
        advice: list[Advice | None] = []
        for before, own in pairwise([0, *transcript.mask]):
            if own and not before:
                advice.append(self.advised.advice(transcript.texts[:turn]))
                turn += 2
            elif own:
                advice.append(None)
        return _Drill(rollout, targets_of(self.policy, transcript, self.stops, odds), advice)

    def _loss(self, drills: Sequence[_Drill]) -> tuple[Tensor, tuple[float, float]]:
        """The whole loss, and what it is in turns and in beliefs."""
        batch = pad([drill.rollout for drill in drills])
        scores = self.policy.score(batch.ids, batch.mask)
        errors = (scores.values - batch.rewards[:, None]) ** 2
        loss = self.how.value_weight * masked_mean(errors, batch.mask)
        if scores.distributions is None:
            told = -masked_mean(scores.log_probs, batch.mask)
            return loss + told, (told.item(), 0.0)
        told = _divergence(scores.distributions, [t for drill in drills for t in drill.targets])
        own = [advice for drill in drills for advice in drill.advice]
        places = [place for place, advice in enumerate(own) if advice is not None]
        advised, states = [advice for advice in own if advice is not None], scores.states[places]
        worth = torch.tensor([advice.worth for advice in advised], device=states.device)
        rights = torch.tensor([advice.rights for advice in advised], device=states.device)
        if self._are_told_apart:
            turns = self.calls, list(self.answers.values())
            short = falls_short(scores.distributions[places], turns, worth, rights)
            told = told + REGRET_WEIGHT * short
        unbelieved = self._unbelieved(scores.distributions[places], advised)
        misread = (
            unbelieved
            + self.teaching.misjudged(states, "worth", worth)
            + self.teaching.misjudged(states, "rights", rights)
        )
        whole = loss + told + self.how.reading_weight * misread
        return whole, (told.item(), unbelieved.item())

    @property
    def _are_told_apart(self) -> bool:
        """Whether the first token of a turn says what it is; otherwise turns are spelled out."""
        tokens = [*self.calls, *self.answers.values()]
        return len(set(tokens)) == len(tokens)

    def _unbelieved(self, distributions: Tensor, advised: Sequence[Advice]) -> Tensor:
        """Divergence from whom to believe, among answers alone."""
        beliefs = [
            {self.answers[turn]: share for turn, share in advice.beliefs.items()}
            for advice in advised
        ]
        known = [row for row, belief in enumerate(beliefs) if belief]
        if not known or not self._are_told_apart:
            return distributions.new_zeros(())
        others = torch.ones(distributions.shape[1], dtype=torch.bool, device=distributions.device)
        others[list(self.answers.values())] = False
        answers = distributions[known].masked_fill(others, -math.inf).log_softmax(dim=1)
        return _divergence(answers, [beliefs[row] for row in known])


def _divergence(log_probs: Tensor, targets: Targets) -> Tensor:
    """Mean divergence from targets, nats a token."""
    places, shares = pad_targets(targets)
    surprise = shares * (shares.clamp_min(1e-12).log() - log_probs.gather(1, places))
    return torch.where(shares > 0, surprise, 0.0).sum(dim=1).mean()
