"""A causal language model of Hugging Face and a critic, as one module that is trained.

The vocabulary is where the memory goes: 200 kB a token in float32 where it has 50,000. So the
model's head is shown the states of a few places only, those of the controller's own tokens, and
the critic reads the same states.

    model = ActorCritic(AutoModelForCausalLM.from_pretrained(path))
    states, logits, _ = model((rows, columns), input_ids=ids, use_cache=False)
    values = model.critic(states)
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


class ActorCritic(nn.Module):
    """A causal language model and a critic on what its head reads."""

    def __init__(self, lm: Any) -> None:
        super().__init__()
        self.lm = lm
        width = lm.get_output_embeddings().weight.shape[1]
        # From 0, so that an untrained critic says the same of every state, whatever the seed.
        self.critic = nn.Linear(width, 1, device=lm.device)
        nn.init.zeros_(self.critic.weight)
        nn.init.zeros_(self.critic.bias)
        self.frozen = frozenset(
            name
            # By every name: a tied parameter has two, and the state both.
            for name, parameter in self.named_parameters(remove_duplicate=False)
            if not parameter.requires_grad
        )

    def forward(self, places: tuple[Tensor, Tensor], **inputs: Any) -> tuple[Tensor, Tensor, Any]:
        """Runs the model; its head sees some places only.

        The head's input is picked in front of the head and not its output behind it, so that
        whatever the model does with logits (a cap, a scale) is done to them, and a vocabulary
        of 100,000 is never spread over tokens that nobody asks about.

        Args:
            places: rows and columns of n states.
            inputs: of the model.

        Returns:
            States (n, width), logits (n, vocabulary), and the cache of keys and values.
        """
        with _picking(self.lm.get_output_embeddings(), places) as picked:
            output = self.lm(**inputs)
        (states,) = picked
        return states, output.logits[0], output.past_key_values

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """What training changes: all, or a LoRA and the critic."""
        state: dict[str, Any] = super().state_dict(*args, **kwargs)
        return {name: value for name, value in state.items() if name not in self.frozen}

    def load_state_dict(self, state: Any, strict: bool = True, assign: bool = False) -> Any:
        """Takes up what `state_dict` has given."""
        missing, unexpected = super().load_state_dict(state, strict=False, assign=assign)
        if strict and (unexpected or set(missing) - self.frozen):
            raise RuntimeError("the state is that of another model")
        return missing, unexpected

    def __deepcopy__(self, memo: dict[int, Any]) -> ActorCritic:
        # A copy that is frozen beside a LoRA that learns: both stand on one base.
        for name, parameter in self.named_parameters():
            if name in self.frozen:
                memo[id(parameter)] = parameter
        twin = ActorCritic.__new__(ActorCritic)
        memo[id(self)] = twin
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin


@contextmanager
def _picking(head: nn.Module, places: tuple[Tensor, Tensor]) -> Iterator[list[Tensor]]:
    """Lets a model's head see the states at some places alone, as one row, and keeps them."""
    picked: list[Tensor] = []

    def pick(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Tensor]:
        picked.append(arguments[0][places])
        return (picked[0][None],)

    handle = head.register_forward_pre_hook(pick)
    try:
        yield picked
    finally:
        handle.remove()
