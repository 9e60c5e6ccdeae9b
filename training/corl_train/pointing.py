"""Whom a controller could have believed: the replies it could have pointed at, and their verdicts.

A reward tells of the one reply that was given as the answer. What the others would have earned is
known as well, since each of them can be graded; so whom to believe is learned in every state from
all replies that have come in, and not by trial and error alone.

    verdicts = [{}, {"nano": False}, {"nano": False, "large": True}]
    pointings = pointings_of(transcript, verdicts, policy, protocol)
    misplaced(scores.distributions, choices_of(batch.pointings, batch.mask))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

import torch
from torch import Tensor

from corl_bench.routers.protocol import Protocol
from corl_train.policies.base import Player
from corl_train.rollouts import Pointing, Transcript


def pointings_of(
    transcript: Transcript,
    verdicts: Sequence[Mapping[str, bool]],
    player: Player,
    protocol: Protocol,
) -> tuple[Pointing, ...]:
    """Where a controller could have chosen among experts whose replies differ in verdict.

    Args:
        transcript: of an episode that is over.
        verdicts: before each of its turns, by expert, whether its last answer is right.
        player: spells turns.
        protocol: of the episode.

    Returns:
        One for each turn in which some were right and others wrong, if it has begun as an answer
        begins up to the token that tells the experts apart. A turn that calls has done so where
        this is its first token.
    """
    found: list[Pointing] = []
    starts = [
        place
        for place, (before, own) in enumerate(pairwise((0, *transcript.mask)))
        if own and not before
    ]
    # The first turns may have been an opener's.
    for start, told in zip(reversed(starts), reversed(verdicts), strict=False):
        if len(set(told.values())) < 2:
            continue
        spelled = {
            name: player.spell(f'<{protocol.answer_tag} from="{name}"/>', protocol.stops)
            for name in told
        }
        columns = zip(*spelled.values(), strict=False)
        alike = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
        place = start + alike
        begun = next(iter(spelled.values()))[:alike]
        is_own = place < len(transcript.ids) and transcript.mask[place] == 1
        if is_own and transcript.ids[start:place] == begun:
            found.append(
                Pointing(
                    place=place,
                    right=tuple(spelled[name][alike] for name, right in told.items() if right),
                    wrong=tuple(spelled[name][alike] for name, right in told.items() if not right),
                )
            )
    return tuple(reversed(found))


@dataclass(frozen=True, slots=True)
class Choices:
    """The pointings of a batch as tensors; n of them, among at most k experts."""

    rows: Tensor
    """(n,), places among the own tokens of the batch."""
    tokens: Tensor
    """(n, k), padded."""
    right: Tensor
    """(n, k), bool."""
    wrong: Tensor
    """(n, k), bool; neither where it is padding."""


def choices_of(pointings: Sequence[Sequence[Pointing]], mask: Tensor) -> Choices | None:
    """The pointings of some rollouts; None where there is none.

    Args:
        pointings: of each row.
        mask: (rollouts, time), 1.0 on own tokens.
    """
    found = [(row, pointing) for row, several in enumerate(pointings) for pointing in several]
    if not found:
        return None
    own = (mask.flatten().cumsum(0) - 1).long().view(mask.shape)
    widest = max(len(p.right) + len(p.wrong) for _, p in found)
    tokens = torch.zeros(len(found), widest, dtype=torch.long)
    right, wrong = torch.zeros(2, len(found), widest, dtype=torch.bool)
    for place, (_, pointing) in enumerate(found):
        several, end = len(pointing.right), len(pointing.right) + len(pointing.wrong)
        tokens[place, :end] = torch.tensor([*pointing.right, *pointing.wrong])
        right[place, :several], wrong[place, several:end] = True, True
    rows = torch.tensor([row for row, _ in found])
    columns = torch.tensor([pointing.place for _, pointing in found])
    device = mask.device
    return Choices(own[rows, columns], tokens.to(device), right.to(device), wrong.to(device))


def misplaced(distributions: Tensor, choices: Choices) -> Tensor:
    """Cross-entropies of the right experts among all that could have been pointed at.

    Args:
        distributions: (own tokens, vocabulary), log-probabilities.
        choices: n answers.

    Returns:
        (n,), nats.
    """
    scores = distributions[choices.rows].gather(1, choices.tokens)
    nowhere = torch.finfo(scores.dtype).min
    right = scores.masked_fill(~choices.right, nowhere).logsumexp(dim=1)
    either = scores.masked_fill(~(choices.right | choices.wrong), nowhere).logsumexp(dim=1)
    return either - right
