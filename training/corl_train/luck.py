"""Luck: what an episode owes to the replies that it has met, taken out of its advantages.

Rollouts of a group that share their replies differ by the controller's choices alone. How the
others have fared, and what answering at once would have earned in each state, tell how lucky the
replies were and nothing of the choice that was made there; any such figure may be subtracted
from an advantage without changing what the gradient is on average. It only becomes less noisy.

    signs = signs_of_luck(batch, values)
    advantages = without_luck(advantages, signs, batch.mask)

Source: control variates after the leave-one-out baseline of W. Kool et al., "Buy 4 REINFORCE
samples, get a baseline for free", 2019; states that several rollouts of a tree have in common as
in J. Schulman et al., arXiv 1502.05477, section 5.2 (the "vine").
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from corl_train.rollouts import Batch

_FEWEST = 16
"""Own tokens of a place in the conversation from which coefficients can be told."""


def signs_of_luck(batch: Batch, values: Tensor) -> Tensor:
    """What tells the luck of the replies in each state, whatever is done there.

    Args:
        batch: rollouts, of which those of a group have met the same replies.
        values: (rollouts, time), of the state in which each own token was chosen.

    Returns:
        (rollouts, time, 5): how much more than expected the others of the group have earned;
        how much more those have that were in this very state, and whether there are any; what
        answering at once would earn above the state's value; the value. 0 off the own tokens.
    """
    own = batch.mask > 0
    starts = values.gather(1, own.int().argmax(dim=1, keepdim=True))[:, 0]
    everyone = _others(batch.rewards - starts, batch.groups.tolist())
    beside = torch.zeros_like(values)
    accompanied = torch.zeros_like(values)
    rows, columns = own.nonzero(as_tuple=True)
    ids = batch.ids.tolist()
    states = [
        (group, tuple(ids[row][:column]))
        for group, row, column in zip(
            batch.groups[rows].tolist(), rows.tolist(), columns.tolist(), strict=True
        )
    ]
    told = _others(batch.rewards[rows], states)
    known = ~told.isnan()
    beside[rows[known], columns[known]] = told[known] - values[rows[known], columns[known]]
    accompanied[rows[known], columns[known]] = 1.0
    everyone = everyone.nan_to_num()[:, None].expand_as(values)
    at_once = batch.at_once - values
    signs = torch.stack([everyone, beside, accompanied, at_once, values], dim=-1)
    return torch.where(own[..., None], signs, 0.0)


def without_luck(advantages: Tensor, signs: Tensor, mask: Tensor) -> Tensor:
    """Advantages without what the signs of luck can tell of them.

    A linear regression on the signs, one for each own token from the first on; its coefficients
    are those of least variance.

    Args:
        advantages: (rollouts, time).
        signs: (rollouts, time, n).
        mask: (rollouts, time), 1.0 on own tokens.

    Returns:
        (rollouts, time), with mean 0 at each own token; as they were where there are too few.
    """
    number = mask.cumsum(dim=1) * mask
    left = advantages.clone()
    for place in range(1, int(number.max()) + 1):
        rows, columns = (number == place).nonzero(as_tuple=True)
        if len(rows) < _FEWEST:
            continue
        told, own = signs[rows, columns].double(), advantages[rows, columns].double()
        told = torch.cat([told, told.new_ones(len(rows), 1)], dim=1)
        # What does not vary, or says the same twice, is left to the ridge.
        ridge = 1e-6 * len(rows) * torch.eye(told.shape[1], dtype=told.dtype, device=told.device)
        slopes = torch.linalg.solve(told.T @ told + ridge, told.T @ own)
        left[rows, columns] = (own - told @ slopes).to(left)
    return left


def _others(earned: Tensor, groups: Sequence[object]) -> Tensor:
    """What the others of its group have earned on average; NaN for whoever is alone."""
    totals: dict[object, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for group, value in zip(groups, earned.tolist(), strict=True):
        totals[group][0] += value
        totals[group][1] += 1
    found = [
        (totals[group][0] - value) / (totals[group][1] - 1) if totals[group][1] > 1 else torch.nan
        for group, value in zip(groups, earned.tolist(), strict=True)
    ]
    return torch.tensor(found, dtype=earned.dtype, device=earned.device)
