"""Teaching: an optimiser of a policy, and heads for reading that are thrown away afterwards.

A head tells something from the policy's state that no turn says: the problem's subject, who is
right, what a choice is worth. So a state holds what a decision needs before any decision is right.
Invariant: heads begin at zero, so where they begin depends on no generator.

    teaching = Teaching(policy, rate=1e-3, heads={"subject": 9, "rights": 5})
    teaching.learn(loss + teaching.misjudged(scores.states, "rights", shares))
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from corl_train.policies.base import Policy

_LAST_RATE = 0.05
"""Of the learning rate, in the end of a `cosine`."""
_LARGEST_STEP = 1.0
"""Norm of the gradient; a longer one is cut."""


class Teaching:
    """What learns, and by how much a step.

    Args:
        policy: what is taught.
        rate: learning rate to begin with.
        heads: by name, how many figures each tells; made when the first state comes.
    """

    def __init__(self, policy: Policy, *, rate: float, heads: Mapping[str, int]) -> None:
        self._policy, self._sizes = policy, dict(heads)
        self._heads: nn.ModuleDict | None = None
        self._optimiser = torch.optim.AdamW(
            policy.module.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.0
        )

    def set_rate(self, rate: float) -> None:
        """The learning rate from now on."""
        for group in self._optimiser.param_groups:
            group["lr"] = rate

    def learn(self, loss: Tensor) -> None:
        """One step down."""
        self._optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._policy.module.parameters(), _LARGEST_STEP)
        self._optimiser.step()

    def told(self, states: Tensor, what: str) -> Tensor:
        """What a head tells, (states, width) to logits (states, size of the head)."""
        logits: Tensor = self._opened(states)[what](states)
        return logits

    def misjudged(self, states: Tensor, what: str, shares: Tensor) -> Tensor:
        """Mean cross-entropy of telling shares, where they are known; 0 where none is.

        Args:
            states: (states, width).
            what: the head.
            shares: (states, size of the head), from 0 to 1; NaN where one is not known.
        """
        known = ~shares.isnan()
        if not known.any():
            return states.new_zeros(())
        wanted = shares[known].clamp(0.0, 1.0)
        return F.binary_cross_entropy_with_logits(self.told(states, what)[known], wanted)

    def state(self) -> dict[str, Any]:
        """All that goes on from here: the policy, the heads, the optimiser."""
        return {
            "policy": self._policy.module.state_dict(),
            "heads": None if self._heads is None else self._heads.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state."""
        self._policy.module.load_state_dict(state["policy"])
        if (heads := state["heads"]) is not None:
            weight = heads[f"{next(iter(self._sizes))}.weight"]
            self._opened(weight).load_state_dict(heads)
        self._optimiser.load_state_dict(state["optimiser"])

    def _opened(self, states: Tensor) -> nn.ModuleDict:
        """The heads, of the width and on the device of states."""
        if self._heads is None:
            width = states.shape[1]
            self._heads = nn.ModuleDict(
                {name: nn.Linear(width, size) for name, size in self._sizes.items()}
            )
            for parameter in self._heads.parameters():
                nn.init.zeros_(parameter)
            self._optimiser.add_param_group({"params": self._heads.to(states).parameters()})
        return self._heads


def cosine(rate: float, done: int, behind: int, total: int, *, warming: float) -> float:
    """A learning rate that rises evenly, then falls like a cosine to a twentieth.

    Args:
        rate: the largest.
        done: of the total, before what the rate is for.
        behind: likewise, behind it.
        total: of whatever is counted.
        warming: of the total, where it ends to rise.
    """
    falling = 0.5 * (1 + math.cos(math.pi * done / total))
    rising = min(1.0, behind / warming)
    return rate * rising * (_LAST_RATE + (1 - _LAST_RATE) * falling)
