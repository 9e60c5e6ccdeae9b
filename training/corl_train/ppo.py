"""One update of the policy from one batch of rollouts: PPO, or GRPO.

Read it top to bottom. What was sampled is scored again by the policy that sampled it (values)
and by the frozen reference; rewards become advantages over the controller's own tokens; then
several epochs of minibatches move the policy within its clip.

    statistics = update(policy, reference, optimiser, batch, config.training, progress=0.3, rng=rng)

A rollout that said nothing (its prompt left no room) teaches nothing and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import NoReturn

import torch
from torch import Tensor

from corl_bench.errors import CorlError
from corl_train.advantages import gae, group_advantages, whiten
from corl_train.config import TrainingTable
from corl_train.losses import exact_kl, kl, masked_mean, policy_loss, value_loss
from corl_train.luck import signs_of_luck, without_luck
from corl_train.pointing import Choices, choices_of, misplaced
from corl_train.policies.base import Policy, Scores
from corl_train.rollouts import Batch, split

_ROUNDING = 1e-9
"""Variance of returns below which they are alike, at a size of one."""


class TrainingDivergedError(CorlError):
    """A loss or a gradient is not a number; the policy is as it was before the step."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Statistics:
    """Means over the update's own tokens, all epochs together."""

    policy_loss: float
    value_loss: float
    kl: float
    """To the reference, nats a token."""
    entropy: float
    """Nats a token."""
    clipped: float
    """Share of tokens whose ratio left the clip."""
    grad_norm: float
    """Mean over the steps, before clipping."""
    value_error: float | None
    """1 − explained variance of the returns before the update; None where they do not vary,
    and where there is no critic."""
    learning_rate: float
    kl_weight: float


@dataclass(frozen=True, slots=True)
class _Micro:
    """Rollouts that are scored at once, with everything that stays as it is in an update."""

    part: Batch
    values: Tensor
    """The critic's before the update, (rollouts, time)."""
    near_log_probs: Tensor
    """The reference's, of the sampled tokens, (rollouts, time)."""
    near: Tensor | None
    """The reference's, of the whole vocabulary, (own tokens, vocabulary)."""
    advantages: Tensor
    returns: Tensor
    choices: Choices | None
    """Whom its answers could have believed."""

    @property
    def tokens(self) -> float:
        return float(self.part.mask.sum())


def update(
    policy: Policy,
    reference: Policy,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    how: TrainingTable,
    *,
    progress: float,
    rng: Random,
) -> Statistics:
    """Moves the policy.

    Args:
        policy: what is trained.
        reference: what it is kept near; frozen.
        optimiser: of the policy's parameters.
        batch: rollouts of this very policy, with rewards.
        how: the algorithm's settings.
        progress: of the whole training, from 0 to 1; sets the schedules.
        rng: shuffles minibatches.

    Raises:
        TrainingDivergedError: a loss or a gradient is not finite.
    """
    rate = between(how.learning_rate, how.last_learning_rate, progress)
    for group in optimiser.param_groups:
        group["lr"] = rate
    kl_weight = 0.0
    if how.kl != "none":
        kl_weight = between(how.kl_weight, how.last_kl_weight, progress)
    micros, value_error = _prepare(policy, reference, batch, how, kl_weight)
    # Whole distributions are large: they are asked for where the loss needs them alone.
    exact = how.kl == "loss" and how.kl_estimator == "exact"
    whole = exact or how.answer_weight > 0
    optimiser.zero_grad()  # whatever a warm start has left
    sums, norms = torch.zeros(6, dtype=torch.float64), []
    for _ in range(how.epochs):
        for minibatch in _shuffled(micros, max(1, how.minibatch // how.micro_batch), rng):
            tokens = sum(micro.tokens for micro in minibatch)
            for micro in minibatch:
                scores = policy.score(micro.part.ids, micro.part.mask, distributions=whole)
                loss, parts = _loss(scores, micro, how, kl_weight)
                if not torch.isfinite(loss):
                    _give_up(optimiser, f"the loss is {loss.item()}")
                torch.autograd.backward(loss * (micro.tokens / tokens))
                sums += parts * micro.tokens
            norm = torch.nn.utils.clip_grad_norm_(policy.module.parameters(), how.max_grad_norm)
            if not torch.isfinite(norm):
                _give_up(optimiser, f"the norm of the gradient is {norm.item()}")
            optimiser.step()
            optimiser.zero_grad()
            norms.append(float(norm))
    means = (sums[:5] / sums[5].clamp(min=1)).tolist()
    return Statistics(
        policy_loss=means[0],
        value_loss=means[1],
        kl=means[2],
        entropy=means[3],
        clipped=means[4],
        grad_norm=sum(norms) / max(1, len(norms)),
        value_error=value_error,
        learning_rate=rate,
        kl_weight=kl_weight,
    )


def _loss(
    scores: Scores, micro: _Micro, how: TrainingTable, kl_weight: float
) -> tuple[Tensor, Tensor]:
    """The loss of some rollouts, and what is reported of it: as `Statistics`, and last a 1."""
    part, mask = micro.part, micro.part.mask
    surrogate = policy_loss(scores.log_probs, part.log_probs, micro.advantages, mask, clip=how.clip)
    entropy = masked_mean(scores.entropies, mask)
    loss = surrogate - how.entropy_weight * entropy
    criticism = torch.zeros(())
    if how.estimator == "ppo":
        criticism = value_loss(
            scores.values, micro.values, micro.returns, mask, clip=how.value_clip
        )
        loss = loss + how.value_weight * criticism
    if how.answer_weight and micro.choices is not None and scores.distributions is not None:
        believed = misplaced(scores.distributions, micro.choices)
        loss = loss + how.answer_weight * believed.sum() / mask.sum()
    divergence = _divergence(scores, micro, how)
    if how.kl == "loss":
        loss = loss + kl_weight * divergence
    moved = ((scores.log_probs - part.log_probs).exp() - 1).abs() > how.clip
    clipped = masked_mean(moved.float(), mask)
    parts = (surrogate, criticism, divergence, entropy, clipped, torch.ones(()))
    return loss, torch.stack([value.detach().double().cpu() for value in parts])


def _divergence(scores: Scores, micro: _Micro, how: TrainingTable) -> Tensor:
    """Mean divergence from the reference over the controller's own tokens."""
    if how.kl == "loss" and how.kl_estimator == "exact":
        if scores.distributions is None or micro.near is None:
            raise ValueError("this policy keeps no distributions: kl_estimator = 'k2' or 'k3'")
        return exact_kl(scores.distributions, micro.near).mean()
    estimator = "k3" if how.kl_estimator == "exact" else how.kl_estimator
    return masked_mean(kl(scores.log_probs, micro.near_log_probs, estimator), micro.part.mask)


@torch.no_grad()
def _prepare(
    policy: Policy, reference: Policy, batch: Batch, how: TrainingTable, kl_weight: float
) -> tuple[list[_Micro], float | None]:
    """Scores what was sampled and spreads its rewards; and how wrong the critic was."""
    if not how.mask_experts:
        batch = _as_if_all_own(batch)
    spoke = batch.lengths.nonzero().flatten()
    # Rows of like length stand together, so that there is little padding.
    order = spoke[batch.lengths[spoke].argsort(stable=True)]
    groups = split(order, min(how.micro_batch, how.minibatch))
    parts = [batch.rows(rows) for rows in groups]
    old = [policy.score(part.ids, part.mask, distributions=False) for part in parts]
    # Taken from the scoring, not from the sampling: in low precision the two differ by rounding,
    # and a token that was read (an ablation trains on those) was never sampled.
    parts = [replace(part, log_probs=o.log_probs) for part, o in zip(parts, old, strict=True)]
    critic = [scores.values for scores in old]
    del old  # and with it whole distributions, where a policy gives them unasked
    exact = how.kl == "loss" and how.kl_estimator == "exact"
    near = [reference.score(part.ids, part.mask, distributions=exact) for part in parts]
    values, rewards = torch.zeros_like(batch.mask), _at_last_token(batch)
    for rows, part, valued, referred in zip(groups, parts, critic, near, strict=True):
        time = part.ids.shape[1]
        values[rows, :time] = valued
        if how.kl == "reward":
            # k1 adds up to the divergence itself; the others are biased as rewards.
            divergence = kl(part.log_probs, referred.log_probs, "k1")
            rewards[rows, :time] -= kl_weight * divergence * part.mask
    if how.estimator == "ppo":
        advantages, returns = gae(
            rewards, values, batch.mask, gamma=how.gamma, lam=how.lam, over=how.over
        )
        if how.share_replies:
            signs = signs_of_luck(batch, values)
            advantages = without_luck(advantages, signs, batch.mask)
        advantages = whiten(advantages, batch.mask)
    else:
        per_rollout = group_advantages(rewards.sum(dim=1), batch.groups)
        advantages, returns = per_rollout[:, None] * batch.mask, values
    micros = [
        _Micro(
            part=part,
            values=values[rows, : part.ids.shape[1]],
            near_log_probs=referred.log_probs,
            near=referred.distributions,
            advantages=advantages[rows, : part.ids.shape[1]],
            returns=returns[rows, : part.ids.shape[1]],
            choices=choices_of(part.pointings, part.mask),
        )
        for rows, part, referred in zip(groups, parts, near, strict=True)
    ]
    has_critic = how.estimator == "ppo"
    return micros, _unexplained(returns, values, batch.mask) if has_critic else None


def _shuffled(micros: list[_Micro], together: int, rng: Random) -> Iterator[list[_Micro]]:
    order = list(micros)
    rng.shuffle(order)
    for start in range(0, len(order), together):
        yield order[start : start + together]


def _give_up(optimiser: torch.optim.Optimizer, what: str) -> NoReturn:
    optimiser.zero_grad()
    raise TrainingDivergedError(f"{what}: a lower learning rate or a smaller clip may help")


def between(first: float, last: float, progress: float) -> float:
    """From the first to the last value geometrically; linearly where one is 0."""
    if first > 0 and last > 0:
        return float(first * (last / first) ** progress)
    return first + (last - first) * progress


def _as_if_all_own(batch: Batch) -> Batch:
    """Every token behind the opening as if the controller had said it; for the ablation."""
    started = batch.mask.cumsum(dim=1) > 0
    places = torch.arange(batch.ids.shape[1], device=batch.ids.device)
    return replace(batch, mask=(started & (places < batch.lengths[:, None])).float())


def _at_last_token(batch: Batch) -> Tensor:
    """Rewards at each rollout's last own token, (rollouts, time)."""
    rewards = torch.zeros_like(batch.mask)
    rewards[torch.arange(len(batch.rewards)), (batch.lengths - 1).clamp(min=0)] = batch.rewards
    return rewards * batch.mask


def _unexplained(returns: Tensor, values: Tensor, mask: Tensor) -> float | None:
    count = mask.sum().clamp(min=1)
    mean = (returns * mask).sum() / count
    spread = float((((returns - mean) ** 2) * mask).sum() / count)
    error = float((((returns - values) ** 2) * mask).sum() / count)
    # Returns that are all alike still differ by what rounding leaves of them.
    return error / spread if spread > _ROUNDING * float(mean**2 + 1) else None
