"""A LoRA's weights for OpenRLHF's engines: merged, under the names that vLLM knows.

`ActorPPOTrainer.broadcast_to_vllm` of OpenRLHF 0.11.2 (trainer/ray/ppo_actor.py) sends parameters
by the names that `peft` gives them (`base_model.model.….base_layer.weight`, `….lora_A.default.…`)
and unmerged; vLLM has no such parameters, and the job ends at its first step (OpenRLHF's issue
1349). Here each weight is sent as base + B·A·α/r under its own name, made when it is its turn, so
that there is one of them at a time; the frozen base is never touched, for what is added in
bfloat16 and taken away again is not what it was. Models without a LoRA are sent as they always
were. ZeRO-3, where no GPU has a whole matrix, is refused by the preflight.

    module.ActorPPOTrainer = merging_trainer(module.ActorPPOTrainer)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

_PREFIX = "base_model.model."
_BASE = ".base_layer."
_LORA = "lora_"


@dataclass(frozen=True, slots=True)
class MergedWeight:
    """A parameter as OpenRLHF sends it: its data is made when it is asked for."""

    base: Any
    """The frozen parameter."""
    layer: Any
    """The LoRA's layer around it."""
    requires_grad: bool = True

    @property
    def dtype(self) -> Any:
        """Of the base, which is the engines'."""
        return self.base.dtype

    @property
    def shape(self) -> Any:
        """Of the base."""
        return self.base.shape

    @property
    def data(self) -> Any:
        """Base and LoRA together; added in float32, rounded once."""
        merged = self.base.data.float()
        for adapter in self.layer.active_adapters:
            merged = merged + self.layer.get_delta_weight(adapter).float()
        return merged.to(self.base.dtype)


@dataclass(frozen=True, slots=True)
class MergedModel:
    """A `peft` model whose parameters look like those of the model inside."""

    model: Any

    def named_parameters(self) -> Iterator[tuple[str, Any]]:
        """Names as the model inside has them, with its own or with merged parameters."""
        layers = dict(self.model.named_modules())
        for name, parameter in self.model.named_parameters():
            if _LORA in name:
                continue
            plain = name.removeprefix(_PREFIX).replace(_BASE, ".")
            if name.endswith(f"{_BASE}weight"):
                yield plain, MergedWeight(parameter, layers[name.removesuffix(f"{_BASE}weight")])
            else:
                yield plain, parameter


def merging_trainer(base: type[Any]) -> type[Any]:
    """`ActorPPOTrainer` that sends a LoRA merged.

    Args:
        base: OpenRLHF's class.
    """

    class MergingTrainer(base):  # type: ignore[misc]
        actor: Any

        def broadcast_to_vllm(self) -> None:
            actor = self.actor
            module = actor.model.module
            if not hasattr(module, "peft_config"):
                super().broadcast_to_vllm()
                return
            seen = SimpleNamespace(module=MergedModel(module))
            self.actor = SimpleNamespace(model=seen, is_vlm=getattr(actor, "is_vlm", False))
            try:
                super().broadcast_to_vllm()
            finally:
                self.actor = actor

    return MergingTrainer
