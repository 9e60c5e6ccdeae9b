"""Advantages over the controller's own tokens: GAE that skips what it read, and GRPO.

Between two of its tokens may stand a reply of an expert. Those tokens are no actions: with
`skip` (ours) the state behind them is the next one. With `walk` every token is a step and the
value of what was read is 0, which is what a library does that multiplies by the mask and then
goes through all tokens (OpenRLHF 0.11.2): every reply then takes a factor of γλ a token from
what came of it. At γ = λ = 1 both are the same.

    advantages, returns = gae(rewards, values, mask, gamma=1.0, lam=1.0)
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Walk = Literal["skip", "walk"]


def gae(
    rewards: Tensor,
    values: Tensor,
    mask: Tensor,
    *,
    gamma: float,
    lam: float,
    over: Walk = "skip",
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation.

    δ_t = r_t + γ V_{t+1} − V_t, A_t = δ_t + γ λ A_{t+1}, where t + 1 is the next own token
    (`skip`) or the next token (`walk`), and behind the last own token there is nothing.

    Source: J. Schulman et al., arXiv 1506.02438.

    Args:
        rewards: (batch, time); what is not at an own token does not count.
        values: (batch, time), of the state in which each own token was chosen.
        mask: (batch, time), 1.0 on own tokens.
        gamma: discount of a step.
        lam: of the estimator.
        over: what a step is.

    Returns:
        Advantages and returns (advantage + value), (batch, time), 0 where the mask is 0.
    """
    own = mask > 0
    rewards, values = torch.where(own, rewards, 0.0), torch.where(own, values, 0.0)
    steps = own if over == "skip" else torch.ones_like(own)
    advantages = torch.zeros_like(values)
    next_advantage = values.new_zeros(values.shape[0])
    next_value = values.new_zeros(values.shape[0])
    for t in reversed(range(values.shape[1])):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        advantage = delta + gamma * lam * next_advantage
        next_advantage = torch.where(steps[:, t], advantage, next_advantage)
        next_value = torch.where(steps[:, t], values[:, t], next_value)
        advantages[:, t] = torch.where(own[:, t], advantage, 0.0)
    return advantages, advantages + values


def group_advantages(rewards: Tensor, groups: Tensor) -> Tensor:
    """GRPO: a rollout's reward against the others of its group.

    (r − mean) / (standard deviation + 10⁻⁶), the deviation being that of a sample (n − 1). Sums
    are in float64, so that a group of equal rewards is exactly 0 and not what rounding left,
    divided by itself.

    Source: Z. Shao et al., arXiv 2402.03300.

    Args:
        rewards: (rollouts,).
        groups: (rollouts,), which prompt each belongs to.

    Returns:
        (rollouts,); 0 for whoever is alone in its group.
    """
    _, index = torch.unique(groups, return_inverse=True)
    exact = rewards.double()
    size = torch.bincount(index).double()
    mean = torch.zeros_like(size).index_add(0, index, exact) / size
    centred = exact - mean[index]
    squares = torch.zeros_like(size).index_add(0, index, centred**2)
    spread = (squares / (size - 1).clamp(min=1)).sqrt()
    return (centred / (spread[index] + 1e-6)).to(rewards)


def whiten(values: Tensor, mask: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the own tokens; 0 elsewhere, and everywhere if all are equal.

    Args:
        values: (batch, time).
        mask: (batch, time), 1.0 on own tokens.
    """
    own = mask > 0
    count = own.sum().clamp(min=1)
    centred = torch.where(own, values - torch.where(own, values, 0.0).sum() / count, 0.0)
    variance = (centred**2).sum() / count
    return centred * variance.clamp(min=1e-8).rsqrt()
