"""Teaching: an optimiser of a policy, and heads for reading that are thrown away afterwards.

A head tells something from the policy's state that no turn says: the problem's subject, who is
right, what a choice is worth. So a state holds what a decision needs before any decision is right.
Invariant: heads begin at zero, so where they begin depends on no generator.

    teaching = Teaching(policy, recipe.warm_start, heads={"subject": 9, "rights": 5})
    teaching.learn(loss + teaching.misjudged(scores.states, "rights", shares))
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from corl_bench.errors import ConfigError
from corl_train.config import WarmStartTable
from corl_train.policies.base import Policy

REGRET_WEIGHT = 4.0
"""Of what turns fall short of the best one, beside what was advised."""
_LAST_RATE = 0.05
"""Of the learning rate, in the end of a `cosine`."""
_LARGEST_STEP = 1.0
"""Norm of the gradient; a longer one is cut."""


class Teaching:
    """What learns, and by how much a step.

    Args:
        policy: what is taught.
        how: the optimiser, and the learning rate to begin with.
        heads: by name, how many figures each tells; made when the first state comes.

    Raises:
        ConfigError: this torch has no such optimiser.
    """

    def __init__(self, policy: Policy, how: WarmStartTable, *, heads: Mapping[str, int]) -> None:
        self._policy, self._sizes = policy, dict(heads)
        self._heads: nn.ModuleDict | None = None
        if how.optimiser == "muon" and not hasattr(torch.optim, "Muon"):
            raise ConfigError(
                f"torch {torch.__version__} has no Muon: install 2.9 or later, or set"
                " warm_start.optimiser=adamw"
            )
        matrices = _matrices(policy.module) if how.optimiser == "muon" else []
        chosen = {id(matrix) for matrix in matrices}
        others = [weight for weight in policy.module.parameters() if id(weight) not in chosen]
        self._adam = torch.optim.AdamW(
            others, lr=how.learning_rate, betas=(0.9, 0.98), weight_decay=0.0
        )
        self._optimisers: list[torch.optim.Optimizer] = [self._adam]
        if matrices:
            self._optimisers.append(
                torch.optim.Muon(
                    matrices,
                    lr=how.learning_rate,
                    weight_decay=0.0,
                    adjust_lr_fn="match_rms_adamw",  # one rate is right for both
                )
            )

    def set_rate(self, rate: float) -> None:
        """The learning rate from now on."""
        for optimiser in self._optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate

    def learn(self, loss: Tensor) -> None:
        """One step down."""
        for optimiser in self._optimisers:
            optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._policy.module.parameters(), _LARGEST_STEP)
        for optimiser in self._optimisers:
            optimiser.step()

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
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state."""
        self._policy.module.load_state_dict(state["policy"])
        if (heads := state["heads"]) is not None:
            weight = heads[f"{next(iter(self._sizes))}.weight"]
            self._opened(weight).load_state_dict(heads)
        for optimiser, known in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(known)

    def _opened(self, states: Tensor) -> nn.ModuleDict:
        """The heads, of the width and on the device of states."""
        if self._heads is None:
            width = states.shape[1]
            self._heads = nn.ModuleDict(
                {name: nn.Linear(width, size) for name, size in self._sizes.items()}
            )
            for parameter in self._heads.parameters():
                nn.init.zeros_(parameter)
            self._adam.add_param_group({"params": self._heads.to(states).parameters()})
        return self._heads


def falls_short(
    log_probs: Tensor,
    turns: tuple[Sequence[int], Sequence[int]],
    worth: Tensor,
    rights: Tensor,
) -> Tensor:
    """What turns fall short of the best one, on average; of all of them, and of answers alone.

    To be surprised costs the same whether little or all is lost by it; this does not. An answer
    is worth what answering is, less as it is less likely than the likeliest one.

    Args:
        log_probs: (turns, vocabulary), of the first token of a turn.
        turns: first tokens that call each expert, and that give the answer of each.
        worth: (turns, experts + 1), of calling each and last of answering; NaN where it is not on
            the cards.
        rights: (turns, experts), how probably the answer of each is right; NaN where there is none.
    """
    calls, answers = turns
    worth, rights = worth.nan_to_num(0.0), rights.nan_to_num(0.0)
    likeliest = rights.amax(dim=1, keepdim=True)
    answering = worth[:, -1:] * rights / likeliest.clamp_min(1e-9)
    each = torch.cat([worth[:, :-1], answering], dim=1)
    best = worth.amax(dim=1, keepdim=True)
    lost = (log_probs[:, [*calls, *answers]].exp() * (best - each)).sum(dim=1)
    believed = log_probs[:, answers].softmax(dim=1)
    return lost.mean() + (believed * (likeliest - rights)).sum(dim=1).mean()


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


def _matrices(module: nn.Module) -> list[Tensor]:
    """Weights between hidden states: of linear maps, but of none to a single figure."""
    maps = (part for part in module.modules() if isinstance(part, nn.Linear))
    return [part.weight for part in maps if min(part.weight.shape) > 1]
