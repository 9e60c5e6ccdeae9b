"""What a policy can do of the protocol, measured on demonstrations that it did not learn from.

skills = probe(demonstrator, held_out, protocol.stops)
skills.suffice(recipe.warm_start)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from corl_train.config import WarmStartTable
from corl_train.policies.base import Policy
from corl_train.rollouts import Transcript
from corl_train.warmstart.demonstrator import Demonstrator, results_of
from corl_train.warmstart.knowledge import Lesson

_STATES_AT_ONCE = 8
"""Whose turns are scored in one batch."""


@dataclass(frozen=True, slots=True)
class Skills:
    """What a policy can do of the protocol, by held-out demonstrations."""

    follows_majority: float
    """Where some replies agree: how often, of all answers that it could give, it would give one
    that the majority stands behind."""
    speaks_validly: float
    """Mean probability of the turns that the protocol allows."""

    def __str__(self) -> str:
        return (
            f"follows a majority {self.follows_majority:.1%}, speaks validly"
            f" {self.speaks_validly:.1%}"
        )

    def suffice(self, how: WarmStartTable) -> bool:
        """Whether they are what the recipe asks for."""
        return (
            self.follows_majority >= how.follows_majority
            and self.speaks_validly >= how.speaks_validly
        )


@torch.no_grad()
def probe(demonstrator: Demonstrator, held_out: Sequence[Lesson], stops: tuple[str, ...]) -> Skills:
    """Measures the skills at the last turns of demonstrations, without sampling."""
    states: list[Transcript] = []
    turns: list[list[str]] = []
    majority: list[set[str]] = []
    for lesson in held_out:
        transcript = lesson.rollout.transcript
        texts = transcript.texts[:-1]
        calls, answers = (
            demonstrator.calls(texts),
            demonstrator.answers(texts, lesson.counsel.trust),
        )
        replied = dict.fromkeys(r.expert for r in results_of(texts) if r.reply is not None)
        possible = [demonstrator.answer(name) for name in replied]
        if not answers:
            continue
        states.append(_before_last_turn(transcript))
        turns.append([*calls, *possible])
        majority.append(set(answers) if len(answers) < len(possible) else set())
    odds = _probabilities(demonstrator.policy, states, turns, stops)
    followed = []
    valid = []
    for texts, best, probabilities in zip(turns, majority, odds, strict=True):
        by_text = dict(zip(texts, probabilities, strict=True))
        valid.append(sum(probabilities))
        answers = [text for text in texts if "from=" in text]
        if best:
            followed.append(max(answers, key=by_text.__getitem__) in best)
    return Skills(
        follows_majority=sum(followed) / max(1, len(followed)),
        speaks_validly=sum(valid) / max(1, len(valid)),
    )


def _before_last_turn(transcript: Transcript) -> Transcript:
    """The conversation as it stood when the last turn was wanted."""
    end = len(transcript.ids)
    while end and transcript.mask[end - 1]:
        end -= 1
    return Transcript(
        ids=transcript.ids[:end],
        mask=transcript.mask[:end],
        log_probs=transcript.log_probs[:end],
        texts=transcript.texts[:-1],
    )


def _probabilities(
    policy: Policy,
    states: Sequence[Transcript],
    turns: Sequence[Sequence[str]],
    stops: tuple[str, ...],
) -> list[list[float]]:
    """Of each state: how probable each of the given turns is there."""
    found: list[list[float]] = [[] for _ in states]
    order = sorted(range(len(states)), key=lambda place: len(states[place].ids))
    for start in range(0, len(order), _STATES_AT_ONCE):
        places = order[start : start + _STATES_AT_ONCE]
        spelled = [
            (place, states[place].ids, policy.spell(text, stops))
            for place in places
            for text in turns[place]
        ]
        longest = max(len(before) + len(said) for _, before, said in spelled)
        ids = torch.zeros(len(spelled), longest, dtype=torch.long)
        mask = torch.zeros(ids.shape)
        for row, (_, before, said) in enumerate(spelled):
            end = len(before) + len(said)
            ids[row, :end] = torch.tensor([*before, *said])
            mask[row, len(before) : end] = 1.0
        odds = policy.score(ids, mask, distributions=False).log_probs.sum(dim=1).exp().tolist()
        for (place, _, _), share in zip(spelled, odds, strict=True):
            found[place].append(share)
    return found
