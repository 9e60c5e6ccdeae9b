"""What a recipe takes of each GPU, of a node's memory and of the disk, before anything is loaded.

Upper bounds where one is to be had, with their sources; nothing here has been measured on a GPU.
With P parameters on N GPUs, and everything sharing all of them:

- model states: 2 bytes a parameter for weights, 2 for gradients, 12 for Adam in mixed precision;
  ZeRO-2 divides all but the weights by N, ZeRO-3 everything (Rajbhandari et al., 2020,
  arXiv 1910.02054, section 3.1). A LoRA has gradients and Adam for its own parameters alone.
- activations with checkpointing: 2·h bytes a token and layer that is kept, and one layer at work,
  34·h bytes a token (Korthikanti et al., 2022, arXiv 2205.05198, equation 1 without the attention
  map, which FlashAttention does not keep).
- logits: OpenRLHF 0.11.2 copies bfloat16 ones to float32 (`models/actor.py`), and the backward
  pass needs a gradient of each: 12 bytes a token and word of the vocabulary.
- keys and values: 4 · layers · KV heads · head size bytes a token, in bfloat16.

    memory_of(recipe).training_gib
"""

from __future__ import annotations

from dataclasses import dataclass

from corl_train.openrlhf.recipe import JobRecipe

GIB = 2**30
_WEIGHT = 2
_GRADIENT = 2
_ADAM = 12
_RUNTIME_GIB = 4.0
"""CUDA contexts of four processes, NCCL's buffers and fragments of the allocator: a guess."""
_USABLE = 0.97
"""Of a GPU's memory; the rest is the driver's."""


@dataclass(frozen=True, slots=True)
class Memory:
    """GiB of one GPU, but for `host_gib`."""

    states_gib: float
    """Weights, gradients and Adam of policy and critic, and the reference's weights."""
    activations_gib: float
    """Of a micro batch, logits included."""
    weights_gib: float
    """What of the three models stays while the engines generate."""
    engine_gib: float
    """What an engine may take."""
    engine_weights_gib: float
    kept_tokens: int
    """Whose keys and values an engine has room for."""
    host_gib: float
    """Of a node's memory: what sleeps or was offloaded."""

    @property
    def training_gib(self) -> float:
        """At an update, policy and critic both awake."""
        return self.states_gib + self.activations_gib + _RUNTIME_GIB

    @property
    def generation_gib(self) -> float:
        """While the engines generate."""
        return self.weights_gib + self.engine_gib + _RUNTIME_GIB

    def fits(self, gpu_gib: float) -> bool:
        """Whether a GPU of so much memory does."""
        return max(self.training_gib, self.generation_gib) <= gpu_gib * _USABLE


def memory_of(recipe: JobRecipe) -> Memory:
    """Sizes a recipe; see the module for the formulas."""
    model, placement, training = recipe.model, recipe.placement, recipe.training
    gpus, parameters = placement.gpus, model.parameters
    learns = model.lora_parameters if model.lora_rank else parameters
    frozen = parameters if model.lora_rank else 0
    weights_over = gpus if placement.zero_stage == 3 else 1
    weights = _WEIGHT * (learns + frozen) / weights_over
    adam = 0 if placement.offload_adam else _ADAM * learns / gpus
    trained = weights + _GRADIENT * learns / gpus + adam
    has_reference = training.kl_weight > 0
    reference = _WEIGHT * parameters / weights_over if has_reference else 0
    on_gpu = 0 if placement.offload_reference else reference
    tokens = training.context * training.micro_batch
    activations = tokens * (
        2 * model.hidden * model.layers + 34 * model.hidden + 12 * model.vocabulary
    )
    engine = placement.engine_memory * placement.gpu_memory_gib * GIB
    engine_weights = _WEIGHT * parameters / placement.tensor_parallel
    kept = max(0, int((engine - engine_weights) * placement.tensor_parallel // _kv_bytes(recipe)))
    sleeping = 2 * (_GRADIENT + _ADAM) * learns / gpus * placement.gpus_per_node
    host = sleeping + engine_weights * placement.gpus_per_node
    if placement.offload_reference:
        host += reference * placement.gpus_per_node
    return Memory(
        states_gib=(2 * trained + on_gpu) / GIB,
        activations_gib=activations / GIB,
        weights_gib=(2 * weights + on_gpu) / GIB,
        engine_gib=engine / GIB,
        engine_weights_gib=engine_weights / GIB,
        kept_tokens=kept,
        host_gib=host / GIB,
    )


def disk_gib(recipe: JobRecipe, steps: int) -> float:
    """Of all that a job has on disk at a time.

    Checkpoints of policy and critic are weights, and float32 copies with Adam's moments: as many
    as are kept, and the best. `save_ckpt` (utils/deepspeed/deepspeed.py of OpenRLHF 0.11.2) deletes
    the one that goes before it writes another, of either kind. Beside them lie the weights at the
    end, and Hugging Face directories, of which none is ever deleted.

    Args:
        recipe: what is trained, and what is kept of it.
        steps: of the whole job.
    """
    model, schedule = recipe.model, recipe.schedule
    learns = model.lora_parameters if model.lora_rank else model.parameters
    checkpoint = 2 * (_WEIGHT * model.parameters + _ADAM * learns)
    saved = steps // schedule.checkpoint_every if schedule.save_hugging_face else 0
    weights = _WEIGHT * (learns if model.lora_rank else model.parameters)
    return ((schedule.keep + 1) * checkpoint + (saved + 1) * weights) / GIB


def _kv_bytes(recipe: JobRecipe) -> int:
    """Of keys and values of one token."""
    model = recipe.model
    return 4 * model.layers * model.kv_heads * model.head_dim
