"""The losses of PPO, each a masked mean over the controller's own tokens.

What stands at a masked token changes neither a loss nor a gradient.

    loss = policy_loss(log_probs, old_log_probs, advantages, mask, clip=0.2)
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

_MOST = 20.0
"""Largest difference of log-probabilities that is exponentiated: e²⁰ is finite in float32, and so
are its products, where an overflow would come back as 0 · ∞ in a gradient."""


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over all tokens of the batch whose mask is 1; what is masked has no gradient."""
    return torch.where(mask > 0, values, 0.0).sum() / mask.sum().clamp(min=1)


def policy_loss(
    log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, mask: Tensor, *, clip: float
) -> Tensor:
    """PPO's clipped surrogate: −min(ρ A, clip(ρ, 1 − ε, 1 + ε) A), ρ the ratio of probabilities.

    Source: J. Schulman et al., arXiv 1707.06347. All tensors (batch, time).
    """
    ratio = (log_probs - old_log_probs).clamp(-_MOST, _MOST).exp()
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return masked_mean(-torch.minimum(ratio * advantages, clipped * advantages), mask)


def value_loss(
    values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, *, clip: float
) -> Tensor:
    """Half the squared error, of the value or of its clipped move, whichever is larger.

    The value's counterpart of the clipped surrogate, from the code that came with PPO.
    Source: L. Engstrom et al., arXiv 2005.12729, section 3. All tensors (batch, time).
    """
    moved = old_values + (values - old_values).clamp(-clip, clip)
    worse = torch.maximum((values - returns) ** 2, (moved - returns) ** 2)
    return 0.5 * masked_mean(worse, mask)


def kl(log_probs: Tensor, reference: Tensor, estimator: Literal["k1", "k2", "k3"]) -> Tensor:
    """KL divergence from the reference, estimated from the tokens that were sampled.

    With d the difference of log-probabilities: k1 is d, k2 is d²/2, k3 is exp(−d) + d − 1; the
    last two are never negative. As values k1 and k3 are unbiased. As a loss, whose gradient does
    not see that the policy chooses the tokens, only k2 pulls the way the divergence does: k1's
    gradient is 0 on average, k3's is that of the divergence of the reference from the policy.

    Source: J. Schulman, "Approximating KL divergence" (2020). All tensors (batch, time).
    """
    difference = log_probs - reference
    if estimator == "k1":
        return difference
    if estimator == "k2":
        return difference**2 / 2
    difference = difference.clamp(min=-_MOST)
    return torch.exp(-difference) + difference - 1


def exact_kl(log_probs: Tensor, reference: Tensor) -> Tensor:
    """KL divergence of whole distributions, Σ π (log π − log π_ref).

    A token that the policy cannot say (its probability is 0 in floating point) adds nothing and
    has no gradient, whether the reference can say it or not.

    Args:
        log_probs: (n, vocabulary), normalised.
        reference: (n, vocabulary), normalised.

    Returns:
        (n,), nats.
    """
    probs = log_probs.exp()
    # Chosen before it is multiplied: 0 · ∞ would be no number, in the gradient too.
    difference = torch.where(probs > 0, log_probs - reference, 0.0)
    return (probs * difference).sum(dim=-1)
