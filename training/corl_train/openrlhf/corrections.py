"""What is put right in OpenRLHF 0.11.2 itself, each in one place.

1. *GAE walks through what the environment says.* `RemoteExperienceMaker.get_advantages_and_returns`
   (trainer/ppo_utils/experience_maker.py) multiplies values and rewards by the mask and then goes
   through all tokens: a reply of n tokens takes (γλ)ⁿ from what came of it, and bootstraps from a
   value of 0. At γ = λ = 1 that is exact, and its own code is left to do it. Else `SkippingMaker`
   takes the next own token for the next state, as `corl_train.advantages.gae` does.
2. *`response_length` counts what the environment says.* `_process_response_into_experience`
   (trainer/ppo_utils/samples_generator.py) takes the distance from the first own token to the
   last, and the overlong penalty then fines a controller for its experts' words.
   `CountingGenerator` counts own tokens.
3. *A rollout without own tokens is 0 ÷ 0.* `masked_mean` (models/utils.py) and the token counts of
   utils/loss_utils.py divide by the mask's sum: such a rollout makes `kl` in the logs no number,
   and a step of nothing but such would make the weights none. Here the mean of nothing is 0.
4. *A batch is trained on whatever it is*, and a validation chooses the best checkpoint whatever
   it is. `SkippingMaker` and `CountingGenerator` refuse what `soundness` finds unsound. The weights
   stay as they were, and the job goes on from its checkpoint.
5. *A LoRA never reaches the engines*: see `lora_weights`.
6. *Of its checkpoints OpenRLHF deletes the one that validated worst*, which may be the one that it
   would go on from: see `rotation`.

What is wrong with `MultiTurnAgentExecutor` (shared `SamplingParams` without stops or a cap for a
turn, text that is tokenised again, exceptions that end the training, a prompt that is cut from the
left) is none of this module's: `stage` and `engine` are there in its place.

OpenRLHF's modules are corrected when they are imported, in whatever process that is:

    install()           # Ray's setup hook, before anything else
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from corl_train.openrlhf.lora_weights import merging_trainer
from corl_train.openrlhf.rotation import rotating_strategy
from corl_train.openrlhf.soundness import Judge

VERSION = "0.11.2"
"""Of OpenRLHF: what is said here is true of this one."""


def install() -> None:
    """Corrects OpenRLHF's modules as they are imported; doing it twice does nothing."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def skipping_maker(base: type[Any]) -> type[Any]:
    """`RemoteExperienceMaker` without unsound batches, whose advantages skip the environment.

    Args:
        base: OpenRLHF's class.
    """

    class SkippingMaker(base):  # type: ignore[misc]
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self.judge = Judge()

        def make_experience_batch(self, rollout_samples: Sequence[Any]) -> Any:
            self.judge.require_sound(rollout_samples)
            return super().make_experience_batch(rollout_samples)

        def get_advantages_and_returns(
            self, values: Any, rewards: Any, action_mask: Any, gamma: float, lambd: float
        ) -> Any:
            if gamma == 1 and lambd == 1:
                return super().get_advantages_and_returns(
                    values, rewards, action_mask, gamma, lambd
                )
            from corl_train.advantages import gae

            return gae(rewards, values.detach(), action_mask, gamma=gamma, lam=lambd)

    return SkippingMaker


def counting_generator(base: type[Any]) -> type[Any]:
    """`SamplesGenerator` without unsound validations, whose lengths are counts of own tokens.

    Args:
        base: OpenRLHF's class.
    """

    class CountingGenerator(base):  # type: ignore[misc]
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self.judge = Judge()

        def generate_eval_samples(self, **given: Any) -> Any:
            samples = super().generate_eval_samples(**given)
            self.judge.require_sound(samples)
            return samples

        def _process_response_into_experience(self, response: Any, **given: Any) -> Any:
            experience = super()._process_response_into_experience(response, **given)
            experience.response_length = experience.action_mask.sum(dim=-1)
            return experience

    return CountingGenerator


def masked_mean(tensor: Any, mask: Any, dim: int | None = None) -> Any:
    """The mean over the mask, as `openrlhf.models.utils` has it; 0 where there is none."""
    if mask is None:
        return tensor.mean(dim=dim)
    return (tensor * mask).sum(dim=dim) / _or_one(mask.sum(dim=dim))


def counted(function: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """A count of `openrlhf.utils.loss_utils` that is 1 where it would be 0.

    Args:
        function: gives what losses are divided by.
    """

    def count(*given: Any, **named: Any) -> dict[str, Any]:
        counts = function(*given, **named)
        divisors = ("batch_num_tokens", "global_batch_size")
        return counts | {name: _or_one(counts[name]) for name in divisors}

    return count


def _or_one(count: Any) -> Any:
    return count.where(count > 0, 1)


def _in_experience_maker(module: Any) -> None:
    module.RemoteExperienceMaker = skipping_maker(module.RemoteExperienceMaker)


def _in_samples_generator(module: Any) -> None:
    module.SamplesGenerator = counting_generator(module.SamplesGenerator)


def _in_model_utils(module: Any) -> None:
    module.masked_mean = masked_mean


def _in_loss_utils(module: Any) -> None:
    module._optimizer_step_loss_norm = counted(module._optimizer_step_loss_norm)
    module.get_loss_batch_info = counted(module.get_loss_batch_info)


def _in_ppo_actor(module: Any) -> None:
    module.ActorPPOTrainer = merging_trainer(module.ActorPPOTrainer)


def _in_deepspeed(module: Any) -> None:
    module.DeepspeedStrategy = rotating_strategy(module.DeepspeedStrategy)


CORRECTIONS: Mapping[str, Callable[[Any], None]] = {
    "openrlhf.trainer.ppo_utils.experience_maker": _in_experience_maker,
    "openrlhf.trainer.ppo_utils.samples_generator": _in_samples_generator,
    "openrlhf.models.utils": _in_model_utils,
    "openrlhf.utils.loss_utils": _in_loss_utils,
    "openrlhf.trainer.ray.ppo_actor": _in_ppo_actor,
    "openrlhf.utils.deepspeed.deepspeed": _in_deepspeed,
}
"""By module: what is done to it once it is there, before anybody has taken a name from it."""


class _Finder(MetaPathFinder):
    """Finds the modules that are corrected, with the help of whoever finds them otherwise."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in CORRECTIONS:
            return None
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(name, path, target)) is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, CORRECTIONS[name])
                return spec
        return None


class _Loader(Loader):
    def __init__(self, loader: Loader, correct: Callable[[Any], None]) -> None:
        self._loader, self._correct = loader, correct

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._correct(module)
