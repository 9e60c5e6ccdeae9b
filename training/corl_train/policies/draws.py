"""Draws that are repeatable row by row, whoever else is in the batch.

chosen = draw(log_probs, heights=torch.tensor([[0.3], [0.8]]))
"""

from __future__ import annotations

from torch import Tensor


def draw(scores: Tensor, heights: Tensor) -> Tensor:
    """Draws one token a row by inverting the cumulative distribution.

    The sums are in float64, so that a vocabulary of 100,000 does not move the draw.

    Args:
        scores: (rows, vocabulary), logits or log-probabilities.
        heights: (rows, 1), from 0 up to but without 1.

    Returns:
        (rows,); never a token of probability 0.
    """
    totals = scores.softmax(dim=-1).double().cumsum(dim=-1)
    chosen = (heights.double() * totals[:, -1:] >= totals).sum(dim=-1)
    return chosen.clamp(max=scores.shape[1] - 1)
