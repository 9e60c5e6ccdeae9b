"""Whom a controller could have believed: the replies it could have pointed at, and their verdicts.

A reward tells of the one reply that was given as the answer. What the others would have earned is
known as well, since each of them can be graded; so whom to believe is learned from all replies
of an episode and not by trial and error alone.

    pointing = pointing_of(transcript, {"nano": False, "large": True}, policy, protocol)
    misplaced(scores.distributions, choices_of(batch.pointings, batch.mask))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor

from corl_bench.routers.protocol import Protocol
from corl_bench.routers.turns import Answer, read_turn
from corl_train.policies.base import Player
from corl_train.rollouts import Pointing, Transcript


def pointing_of(
    transcript: Transcript, verdicts: Mapping[str, bool], player: Player, protocol: Protocol
) -> Pointing | None:
    """Where an answer has chosen among experts whose replies differ in verdict.

    Args:
        transcript: of an episode that is over.
        verdicts: by expert, whether its last answer is right.
        player: spells turns.
        protocol: of the episode.

    Returns:
        None where the last turn points at nobody, or all choices are right or all wrong.
    """
    if len(set(verdicts.values())) < 2 or len(transcript.texts) % 2:
        return None
    said = read_turn(transcript.texts[-1], protocol, verdicts)
    if not isinstance(said, Answer) or said.points_at not in verdicts:
        return None
    spelled = {
        name: player.spell(f'<{protocol.answer_tag} from="{name}"/>', protocol.stops)
        for name in verdicts
    }
    columns = zip(*spelled.values(), strict=False)
    alike = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
    start = len(transcript.ids)
    while start and transcript.mask[start - 1]:
        start -= 1
    if transcript.ids[start:] != spelled[str(said.points_at)]:
        return None  # it has said the same in other words
    return Pointing(
        place=start + alike,
        right=tuple(spelled[name][alike] for name, is_right in verdicts.items() if is_right),
        wrong=tuple(spelled[name][alike] for name, is_right in verdicts.items() if not is_right),
    )


@dataclass(frozen=True, slots=True)
class Choices:
    """The pointings of a batch as tensors; n answers among at most k experts."""

    rows: Tensor
    """(n,), places among the own tokens of the batch."""
    tokens: Tensor
    """(n, k), padded."""
    right: Tensor
    """(n, k), bool."""
    wrong: Tensor
    """(n, k), bool; neither where it is padding."""


def choices_of(pointings: Sequence[Pointing | None], mask: Tensor) -> Choices | None:
    """The pointings of some rollouts; None where there is none.

    Args:
        pointings: one for each row.
        mask: (rollouts, time), 1.0 on own tokens.
    """
    found = [(row, pointing) for row, pointing in enumerate(pointings) if pointing is not None]
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
