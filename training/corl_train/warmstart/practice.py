"""Practice: a policy rehearses, round after round, and learns what a plan says to each turn.

A round is rehearsed, taught and forgotten, so that no conversation is learned by heart. From a
quarter of the rehearsals on the policy plays most of them itself, some as it will be evaluated,
and is told what it should have done in the states that it comes to: whoever has learned from
another's play alone has never been told what to do behind his own mistakes (DAgger, Ross et al.,
AISTATS 2011). The learning rate falls like a cosine.

A turn teaches more than what to say in it. Whom to believe is asked in every state, whether or
not it is time to answer, and heads that are thrown away afterwards tell what every choice is
worth and how probably every answer is right.

    practise(advised, setup, draw, statements, rng=rng, reward=earned, say=print, stop=stop)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from corl_train.losses import masked_mean
from corl_train.policies.base import Speaking
from corl_train.rollouts import Rollout, Transcript, pad, play_out, split
from corl_train.runs.interruption import Stop
from corl_train.setup import Setup
from corl_train.warmstart.advised import Advice, Advised
from corl_train.warmstart.difficulty import Sighting
from corl_train.warmstart.lessons import Targets, pad_targets, targets_of
from corl_train.warmstart.rehearsals import converse

ROUND = 1024
"""Rehearsals of one round."""
_WARMING = 2048
"""Rehearsals after which the learning rate is what it should be."""
_LAST_RATE = 0.05
"""Of the learning rate, in the end."""
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
    reward: Callable[[Rollout], Rollout],
    say: Callable[[str], None],
    stop: Stop,
) -> None:
    """Teaches a policy to play as it is advised.

    Args:
        advised: who advises, and whose policy learns.
        setup: recipe and budgets.
        draw: so many sightings of problems.
        statements: of their problems.
        rng: draws turns and shuffles.
        reward: rewards an episode.
        say: told how it goes.
        stop: looked at before each minibatch.

    Raises:
        StoppedEarlyError: it was wanted.
    """
    how = setup.config.warm_start
    school = _School(advised, setup, rng, stop)
    done = taught = 0
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
        falling = 0.5 * (1 + math.cos(math.pi * done / how.episodes))
        rising = min(1.0, (done + count) / _WARMING)
        rate = how.learning_rate * rising * (_LAST_RATE + (1 - _LAST_RATE) * falling)
        marks = school.teach(kept, rate)
        done, taught = done + count, taught + len(kept)
        if (done // ROUND) % _ROUNDS_TOLD == 0 or done == how.episodes:
            say(f"rehearsals {done:,}, {taught:,} of them taught: {marks}")


def _parts(
    advised: Advised, sightings: Sequence[Sighting], progress: float, rng: Random
) -> list[tuple[Choosing, Sequence[Sighting]]]:
    """Who plays which of them: the plan, the policy as its dice fall, the policy at its surest."""
    how = advised.how
    own = round(len(sightings) * how.own_share) if progress >= _OWN_FROM else 0
    greedy = own // 2
    parts = [
        (_Pupil(advised, 0.0, rng).choose, sightings[:greedy]),
        (_Pupil(advised, 1.0, rng).choose, sightings[greedy:own]),
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


class _Pupil:
    """The policy plays; where it says nothing that is allowed, advice is followed."""

    def __init__(self, advised: Advised, temperature: float, rng: Random) -> None:
        self.advised, self.rng = advised, rng
        stops, longest = advised.protocol.stops, advised.protocol.max_turn_tokens
        self.how = Speaking(longest, stops, temperature)
        self.session = advised.policy.session()

    def choose(self, transcripts: Sequence[Transcript]) -> list[str]:
        seeds = [self.rng.randrange(2**31) for _ in transcripts]
        said = self.session.speak(transcripts, self.how, seeds)
        turns = []
        for transcript, turn in zip(transcripts, said, strict=True):
            odds = self.advised.odds(transcript.texts)
            turns.append(turn.text if turn.text in odds else max(odds, key=odds.__getitem__))
        return turns


class _School:
    """One optimiser and the heads for reading."""

    def __init__(self, advised: Advised, setup: Setup, rng: Random, stop: Stop) -> None:
        self.advised, self.setup, self.rng, self.stop = advised, setup, rng, stop
        self.policy, self.how = advised.policy, setup.config.warm_start
        self.heads: nn.ModuleDict | None = None
        self.optimiser = torch.optim.AdamW(
            self.policy.module.parameters(),
            lr=self.how.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=0.0,
        )

    def teach(self, played: Sequence[Rollout], rate: float) -> str:
        """Some epochs; returns how well the last of them was known, in words."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        stops = self.setup.protocol.stops
        advice = [_advice_of(self.advised, rollout.transcript) for rollout in played]
        targets = [
            targets_of(self.policy, r.transcript, stops, lambda texts: self.advised.advice(texts).odds)
            for r in played
        ]
        beliefs = [[self._beliefs(a) for a in several if a is not None] for several in advice]
        batch = pad(played)
        losses: list[list[float]] = []
        for _ in range(self.how.epochs):
            losses = []
            minibatches = split(batch.lengths.argsort(stable=True), self.how.minibatch)
            self.rng.shuffle(minibatches)
            for rows in minibatches:
                self.stop.check()
                part, chosen = batch.rows(rows), rows.tolist()
                scores = self.policy.score(part.ids, part.mask)
                errors = (scores.values - part.rewards[:, None]) ** 2
                loss = self.how.value_weight * masked_mean(errors, part.mask)
                if scores.distributions is None:
                    told = -masked_mean(scores.log_probs, part.mask)
                    loss = loss + told
                    losses.append([told.item()])
                else:
                    told = _divergence(scores.distributions, [t for row in chosen for t in targets[row]])
                    own = [a for row in chosen for a in advice[row]]
                    places = [place for place, a in enumerate(own) if a is not None]
                    first = [a for a in own if a is not None]
                    states = scores.states[places]
                    read = [
                        self._unbelieved(scores.distributions[places], [b for row in chosen for b in beliefs[row]]),
                        self._misjudged(states, "worth", [a.worth for a in first]),
                        self._misjudged(states, "rights", [a.rights for a in first]),
                    ]
                    loss = loss + told + self.how.reading_weight * torch.stack(read).sum()
                    losses.append([told.item(), *(x.item() for x in read)])
                self.optimiser.zero_grad()
                torch.autograd.backward(loss)
                torch.nn.utils.clip_grad_norm_(self.policy.module.parameters(), 1.0)
                self.optimiser.step()
        means = [sum(column) / len(losses) for column in zip(*losses, strict=True)]
        return "loss " + " ".join(f"{mean:.4f}" for mean in means)

    def _beliefs(self, advice: Advice) -> dict[int, float]:
        stops = self.setup.protocol.stops
        return {self.policy.spell(turn, stops)[0]: share for turn, share in advice.beliefs.items()}

    def _unbelieved(self, distributions: Tensor, beliefs: Targets) -> Tensor:
        """Divergence from whom to believe, among answers alone."""
        known = [row for row, belief in enumerate(beliefs) if belief]
        if not known:
            return distributions.new_zeros(())
        tokens = [self.policy.spell(self.advised.answer(n), self.setup.protocol.stops)[0] for n in self.advised.experts]
        answers = torch.full_like(distributions[known], -1e9)
        answers[:, tokens] = distributions[known][:, tokens]
        return _divergence(answers.log_softmax(dim=1), [beliefs[row] for row in known])

    def _misjudged(self, states: Tensor, what: str, shares: Sequence[Sequence[float]]) -> Tensor:
        """Cross-entropy of telling shares, where they are known."""
        wanted = torch.tensor(shares)
        known = ~wanted.isnan()
        if not known.any():
            return states.new_zeros(())
        told = self._head(states, what)(states)[known]
        wanted = wanted[known].clamp(0.0, 1.0)
        return F.binary_cross_entropy_with_logits(told, wanted) - _entropy(wanted)

    def _head(self, states: Tensor, what: str) -> nn.Module:
        if self.heads is None:
            experts = len(self.advised.experts)
            sizes = {"worth": experts + 1, "rights": experts}
            self.heads = nn.ModuleDict(
                {name: nn.Linear(states.shape[1], size) for name, size in sizes.items()}
            )
            for parameter in self.heads.parameters():
                nn.init.zeros_(parameter)  # where it begins depends on no generator
            self.optimiser.add_param_group({"params": self.heads.to(states).parameters()})
        return self.heads[what]


def _entropy(shares: Tensor) -> Tensor:
    return F.binary_cross_entropy(shares, shares)


def _advice_of(advised: Advised, transcript: Transcript) -> list[Advice | None]:
    """For each own token: what was advised to the turn that begins with it; None to any other."""
    found: list[Advice | None] = []
    turn = 1
    for before, own in pairwise([0, *transcript.mask]):
        if not own:
            continue
        if before:
            found.append(None)
            continue
        found.append(advised.advice(transcript.texts[:turn]))
        turn += 2
    return found


def _divergence(log_probs: Tensor, targets: Targets) -> Tensor:
    """Mean divergence from targets, nats a token."""
    places, shares = pad_targets(targets)
    surprise = shares * (shares.clamp_min(1e-12).log() - log_probs.gather(1, places))
    return surprise.sum(dim=1).mean()
