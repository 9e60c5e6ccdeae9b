"""Lessons: a policy learns to play as the demonstrator does, and to read a problem.

Most lessons leave the statement out, which makes them short and leaves little to look at by
mistake. Whole episodes then teach to read. Two heads that are thrown away afterwards tell, from
what the policy knows in each state, the problem's subject (where the training split names one)
and which experts' replies are right. So the policy knows problems apart before a reward depends
on it; when it is used it is told no subject.

The lessons end when the skills are there (`probe`), not when a loss is low: a policy that cannot
follow a majority learns that second opinions are worth nothing.

    warm_up(demonstrator, played, setup, rng=Random(0), say=print, stop=Stop())
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from corl_bench.episode import ExpertInfo
from corl_bench.errors import ConfigError
from corl_bench.grading import grade
from corl_train.losses import masked_mean
from corl_train.policies.base import Policy
from corl_train.rollouts import Rollout, Transcript, pad, split
from corl_train.runs.interruption import Stop
from corl_train.setup import Setup
from corl_train.warmstart.demonstrator import Demonstrator, results_of
from corl_train.warmstart.probe import probe

_HELD_OUT = 16
"""One episode in so many is kept to probe the skills with."""


def warm_up(
    demonstrator: Demonstrator,
    played: Sequence[Rollout],
    setup: Setup,
    *,
    rng: Random,
    say: Callable[[str], None],
    stop: Stop,
) -> None:
    """Teaches a policy the protocol.

    Args:
        demonstrator: who has played, and whose policy learns.
        played: demonstrations with their rewards.
        setup: recipe, budgets and pool.
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
            f"{len(played)} demonstrations fit into a context of {policy.context} tokens, and it"
            " takes one to learn from and one to be probed with: raise warm_start.episodes or"
            " policy.context"
        )
    bare = [_without_statement(rollout, setup, policy) for rollout in played]
    held_out = bare[: max(1, len(bare) // _HELD_OUT)]
    school = School(demonstrator, setup, rng, stop)
    for epoch in range(how.bare_epochs):
        loss = school.teach(bare[len(held_out) :], whole=False)
        skills = probe(demonstrator, held_out, setup.protocol.stops)
        say(f"warm start {epoch + 1}: loss {loss:.3f}, {skills}")
        if skills.suffice(how):
            break
    for epoch in range(how.epochs):
        loss = school.teach(played, whole=True)
        skills = probe(demonstrator, played[: len(held_out)], setup.protocol.stops)
        say(f"warm start, whole episodes {epoch + 1}/{how.epochs}: loss {loss:.3f}, {skills}")


@dataclass(frozen=True, slots=True)
class _Reading:
    """What can be told of an episode by who has read its problem."""

    subject: int
    """-1 where none is named."""
    rights: list[float]
    """Of each expert: the share of its replies that are right; NaN where it was not asked."""


class School:
    """Epochs of supervised learning, with one optimiser and the heads for reading."""

    def __init__(self, demonstrator: Demonstrator, setup: Setup, rng: Random, stop: Stop) -> None:
        self.demonstrator, self.rng, self.stop = demonstrator, rng, stop
        self.policy, self.how = demonstrator.policy, setup.config.warm_start
        self.stops = setup.protocol.stops
        self.problems = {problem.id: problem for problem in setup.train.problems}
        self.subjects = sorted({p.subject for p in setup.train.problems if p.subject})
        self.heads: tuple[nn.Linear, nn.Linear] | None = None
        self.optimiser = torch.optim.AdamW(
            self.policy.module.parameters(),
            lr=self.how.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=0.0,
        )

    def teach(self, lessons: Sequence[Rollout], *, whole: bool) -> float:
        """One epoch; returns the mean loss.

        The demonstrator's dice are known, so each of its tokens teaches all that it could have
        been.

        Args:
            lessons: demonstrations.
            whole: they have their statements, from which values and experts can be told.
        """
        batch = pad(lessons)
        targets = [targets_of(self.demonstrator, r.transcript, self.stops) for r in lessons]
        read = [self._reading(rollout) for rollout in lessons] if whole else []
        minibatches = split(batch.lengths.argsort(stable=True), self.how.minibatch)
        self.rng.shuffle(minibatches)
        total = 0.0
        for rows in minibatches:
            self.stop.check()
            part = batch.rows(rows)
            scores = self.policy.score(part.ids, part.mask)
            if scores.distributions is None:
                loss = -masked_mean(scores.log_probs, part.mask)
            else:
                places, shares = pad_targets([t for row in rows.tolist() for t in targets[row]])
                loss = -(shares * scores.distributions.gather(1, places)).sum(dim=1).mean()
            if whole:
                errors = (scores.values - part.rewards[:, None]) ** 2
                loss = loss + self.how.value_weight * masked_mean(errors, part.mask)
                owners = [rows[row] for row in part.mask.nonzero()[:, 0]]
                known = [read[owner] for owner in owners]
                loss = loss + self.how.reading_weight * self._misread(scores.states, known)
            self.optimiser.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(self.policy.module.parameters(), 1.0)
            self.optimiser.step()
            total += loss.item()
        return total / len(minibatches)

    def _misread(self, states: Tensor, known: Sequence[_Reading]) -> Tensor:
        """Cross-entropies of telling subjects and right experts from states (own tokens, width)."""
        of_subject, of_experts = self._heads(states)
        subjects = torch.tensor([reading.subject for reading in known], device=states.device)
        rights = torch.tensor([reading.rights for reading in known], device=states.device)
        asked = ~rights.isnan()
        loss = states.new_zeros(())
        if (subjects >= 0).any():
            loss = loss + F.cross_entropy(of_subject(states), subjects, ignore_index=-1)
        if asked.any():
            foreseen = of_experts(states)[asked]
            loss = loss + F.binary_cross_entropy_with_logits(foreseen, rights[asked])
        return loss

    def _heads(self, states: Tensor) -> tuple[nn.Linear, nn.Linear]:
        if self.heads is None:
            sizes = (max(1, len(self.subjects)), len(self.demonstrator.experts))
            of_subject, of_experts = (nn.Linear(states.shape[1], size) for size in sizes)
            for head in (of_subject, of_experts):
                # Zeros: where it begins depends on no generator.
                nn.init.zeros_(head.weight)
                nn.init.zeros_(head.bias)
                self.optimiser.add_param_group({"params": head.to(states).parameters()})
            self.heads = (of_subject, of_experts)
        return self.heads

    def _reading(self, rollout: Rollout) -> _Reading:
        problem = self.problems[rollout.episode.problem_id]
        subject = self.subjects.index(problem.subject) if problem.subject else -1
        return _Reading(subject, self._rights(rollout))

    def _rights(self, rollout: Rollout) -> list[float]:
        problem = self.problems[rollout.episode.problem_id]
        found: dict[str, list[bool]] = {}
        for result in results_of(rollout.transcript.texts):
            verdict = grade(problem.answer, result.text, kind=problem.kind)
            found.setdefault(result.expert, []).append(verdict.status == "correct")
        return [
            sum(own) / len(own) if (own := found.get(name)) else math.nan
            for name in self.demonstrator.experts
        ]


def targets_of(
    demonstrator: Demonstrator, transcript: Transcript, stops: tuple[str, ...]
) -> list[dict[int, float]]:
    """Of each own token: the demonstrator's distribution given what stands before it."""
    found: list[dict[int, float]] = []
    place = 0
    for turn in range(1, len(transcript.texts), 2):
        spelled = [
            (demonstrator.spell(text, stops), share)
            for text, share in demonstrator.odds(transcript.texts[:turn]).items()
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


def pad_targets(targets: Sequence[dict[int, float]]) -> tuple[Tensor, Tensor]:
    """Tokens and their shares, (own tokens, most choices) each; share 0 is padding."""
    widest = max(map(len, targets))
    places = torch.zeros(len(targets), widest, dtype=torch.long)
    shares = torch.zeros(len(targets), widest)
    for row, target in enumerate(targets):
        places[row, : len(target)] = torch.tensor(list(target))
        shares[row, : len(target)] = torch.tensor(list(target.values()))
    return places, shares


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
