"""Lessons: a policy learns to play as the demonstrator does, and to read a problem.

Most lessons leave the statement out, which makes them short and leaves little to look at by
mistake. Whole episodes then teach to read. Heads that are thrown away afterwards tell, from what
the policy knows in each state, the problem's subject (where the training split names one), which
experts' replies are right, and whose call the budget still has room for. So the policy knows
problems and prices apart before a reward depends on it; when it is used it is told neither.

Which replies were right, and what calls have cost, is known once the demonstrations are over. From
then on the demonstrator weighs voices by how often each expert was right in a subject, so whom to
believe is learned from all replies that were seen, where a reward tells of one. And with counsel
(`counsel_weight`) whole episodes teach what it should rather have done in each state.

The lessons end when the skills are there (`probe`), not when a loss is low: a policy that cannot
follow a majority learns that second opinions are worth nothing.

    warm_up(demonstrator, played, setup, rng=Random(0), say=print, stop=Stop())
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random

import torch
from torch import Tensor
from torch.nn import functional as F

from corl_bench.errors import ConfigError
from corl_train.losses import masked_mean
from corl_train.policies.base import Policy
from corl_train.rollouts import Rollout, Transcript, pad, split
from corl_train.runs.interruption import Stop
from corl_train.setup import Setup
from corl_train.warmstart.demonstrator import Demonstrator
from corl_train.warmstart.knowledge import Knowledge, Lesson, subjects_of
from corl_train.warmstart.probe import probe
from corl_train.warmstart.teaching import Teaching

Targets = list[dict[int, float]]
"""Of each own token of a demonstration: what it could be, by token, with its probability."""

_HELD_OUT = 16
"""One episode in so many is kept to probe the skills with."""


def warm_up(
    demonstrator: Demonstrator,
    played: Sequence[Rollout],
    setup: Setup,
    *,
    rehearse: Callable[[int], Sequence[Rollout]],
    rng: Random,
    say: Callable[[str], None],
    stop: Stop,
) -> None:
    """Teaches a policy the protocol.

    Args:
        demonstrator: who has played, and whose policy learns.
        played: demonstrations with their rewards.
        setup: recipe, budgets and pool.
        rehearse: lets the policy play by itself, the nth time; with rewards.
        rng: shuffles.
        say: told of each epoch.
        stop: looked at before each minibatch.

    Raises:
        ConfigError: fewer than two demonstrations fit into the policy's context.
    """
    how, policy = setup.config.warm_start, demonstrator.policy
    played = [rollout for rollout in played if len(rollout.transcript.ids) <= policy.context]
    if len(played) < 2:
        raise ConfigError(
            f"{len(played)} of {how.episodes} demonstrations fit into a context of"
            f" {policy.context} tokens, and it takes one to learn from and one to be probed with:"
            " raise warm_start.episodes or policy.context"
        )
    knowledge = Knowledge(played, setup, demonstrator)
    lessons = knowledge.demonstrated()
    bare = [knowledge.bare(lesson) for lesson in lessons]
    held_out = max(1, len(bare) // _HELD_OUT)
    school = School(demonstrator, setup, rng, stop)
    targets = school.targets(bare[held_out:], whole=False) if how.bare_epochs else []
    for epoch in range(how.bare_epochs):
        loss = school.teach(bare[held_out:], targets, whole=False)
        skills = probe(demonstrator, bare[:held_out], setup.protocol.stops)
        say(f"warm start {epoch + 1}: loss {loss:.3f}, {skills}")
        if skills.suffice(how):
            break
    else:
        if how.bare_epochs:
            say(
                f"warm start: after {how.bare_epochs} epochs the skills are not there"
                f" ({how.follows_majority:.0%} and {how.speaks_validly:.0%} are wanted): more"
                " warm_start.bare_epochs or warm_start.episodes usually help"
            )
    targets = school.targets(lessons[held_out:], whole=True) if how.epochs else []
    rounds = how.epochs + how.rehearsals
    for epoch in range(how.epochs):
        school.slow_down(epoch / rounds)
        loss = school.teach(lessons[held_out:], targets, whole=True)
        skills = probe(demonstrator, lessons[:held_out], setup.protocol.stops)
        say(f"warm start, whole episodes {epoch + 1}/{how.epochs}: loss {loss:.3f}, {skills}")
    for number in range(how.rehearsals):
        school.slow_down((how.epochs + number) / rounds)
        own = [r for r in rehearse(number) if len(r.transcript.ids) <= policy.context]
        rehearsed = knowledge.lessons(own)
        loss = school.teach(rehearsed, school.targets(rehearsed, whole=True), whole=True)
        skills = probe(demonstrator, lessons[:held_out], setup.protocol.stops)
        say(f"warm start, rehearsal {number + 1}/{how.rehearsals}: loss {loss:.3f}, {skills}")


class School:
    """Epochs of supervised learning, with one optimiser and the heads for reading."""

    def __init__(self, demonstrator: Demonstrator, setup: Setup, rng: Random, stop: Stop) -> None:
        self.demonstrator, self.rng, self.stop = demonstrator, rng, stop
        self.policy, self.how = demonstrator.policy, setup.config.warm_start
        self.stops = setup.protocol.stops
        self.subjects = subjects_of(setup)
        experts = len(demonstrator.experts)
        self.teaching = Teaching(
            self.policy,
            self.how,
            heads={"subject": max(1, len(self.subjects)), "rights": experts, "fits": experts},
        )

    def slow_down(self, progress: float) -> None:
        """Sets the learning rate, which falls evenly to a tenth.

        Args:
            progress: of whole episodes, from 0 to 1.
        """
        self.teaching.set_rate(self.how.learning_rate * (1 - 0.9 * progress))

    def teach(self, lessons: Sequence[Lesson], targets: Sequence[Targets], *, whole: bool) -> float:
        """One epoch; returns the mean loss.

        The demonstrator's dice are known, so each of its tokens teaches all that it could have
        been.

        Args:
            lessons: demonstrations.
            targets: of each.
            whole: they have their statements, from which values and experts can be told.
        """
        batch = pad([lesson.rollout for lesson in lessons])
        minibatches = split(batch.lengths.argsort(stable=True), self.how.minibatch)
        self.rng.shuffle(minibatches)
        total = 0.0
        for rows in minibatches:
            self.stop.check()
            part = batch.rows(rows)
            scores = self.policy.score(part.ids, part.mask)
            chosen = [lessons[row] for row in rows.tolist()]
            if scores.distributions is None:
                loss = -masked_mean(scores.log_probs, part.mask)
            else:
                places, shares = pad_targets([t for row in rows.tolist() for t in targets[row]])
                loss = -(shares * scores.distributions.gather(1, places)).sum(dim=1).mean()
            if whole:
                errors = (scores.values - part.rewards[:, None]) ** 2
                loss = loss + self.how.value_weight * masked_mean(errors, part.mask)
                owners = part.mask.nonzero()[:, 0].tolist()
                read = self._misread(scores.states, [chosen[owner] for owner in owners])
                loss = loss + self.how.reading_weight * read
            fits = [row for lesson in chosen for row in lesson.fits]
            loss = loss + self.how.reading_weight * self._misjudged(scores.states, "fits", fits)
            self.teaching.learn(loss)
            total += loss.item()
        return total / len(minibatches)

    def _misread(self, states: Tensor, owners: Sequence[Lesson]) -> Tensor:
        """Cross-entropies of telling subjects and right experts from states (own tokens, width)."""
        subjects = torch.tensor([lesson.subject for lesson in owners], device=states.device)
        loss = self._misjudged(states, "rights", [lesson.rights for lesson in owners])
        if (subjects >= 0).any():
            told = self.teaching.told(states, "subject")
            loss = loss + F.cross_entropy(told, subjects, ignore_index=-1)
        return loss

    def _misjudged(self, states: Tensor, what: str, shares: Sequence[Sequence[float]]) -> Tensor:
        """Cross-entropy of telling one share for each expert, where it is known."""
        wanted = torch.tensor(shares, device=states.device)
        return self.teaching.misjudged(states, what, wanted)

    def targets(self, lessons: Sequence[Lesson], *, whole: bool) -> list[Targets]:
        """What each lesson teaches at its own tokens; arguments as of `teach`."""
        play, is_advised = self.demonstrator, whole and self.how.counsel_weight > 0

        def odds(lesson: Lesson, texts: Sequence[str]) -> Mapping[str, float]:
            if not is_advised:
                return play.odds(texts, lesson.counsel.trust)
            return play.advised_odds(texts, lesson.counsel, lesson.left_usd[len(texts) // 2])

        return [
            targets_of(self.policy, lesson.rollout.transcript, self.stops, partial(odds, lesson))
            for lesson in lessons
        ]


def targets_of(
    policy: Policy,
    transcript: Transcript,
    stops: tuple[str, ...],
    odds: Callable[[Sequence[str]], Mapping[str, float]],
) -> Targets:
    """Of each own token: its distribution given what stands before it.

    Args:
        policy: spells turns.
        transcript: of the episode.
        stops: strings that end a turn.
        odds: of the turns that may come next, by the messages so far.
    """
    found: Targets = []
    place = 0
    for turn in range(1, len(transcript.texts), 2):
        spelled = [
            (policy.spell(text, stops), share)
            for text, share in odds(transcript.texts[:turn]).items()
        ]
        while not transcript.mask[place]:
            place += 1
        said: list[int] = []
        while place < len(transcript.ids) and transcript.mask[place]:
            next_tokens: dict[int, float] = {}
            for ids, share in spelled:
                if len(ids) > len(said) and ids[: len(said)] == said:
                    token = ids[len(said)]
                    next_tokens[token] = next_tokens.get(token, 0.0) + share
            total = sum(next_tokens.values())
            found.append({token: share / total for token, share in next_tokens.items()})
            said.append(transcript.ids[place])
            place += 1
    return found


def pad_targets(targets: Targets) -> tuple[Tensor, Tensor]:
    """Tokens and their shares, (own tokens, most choices) each; share 0 is padding."""
    widest = max(map(len, targets))
    rest = [widest - len(target) for target in targets]
    places = [[*target, *[0] * more] for target, more in zip(targets, rest, strict=True)]
    shares = [[*t.values(), *[0.0] * more] for t, more in zip(targets, rest, strict=True)]
    return torch.tensor(places), torch.tensor(shares)
