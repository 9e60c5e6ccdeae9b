"""What would go wrong hours later, found before anything is paid for.

Each check returns lines, one for each mistake, which say what to do; none where all is well.
`check_recipe` needs nothing but the recipe and what it names, and `ask_experts` asks those who will
be paid; what nodes must have is in `cluster`. What OpenRLHF 0.11.2 itself asserts is checked here
in the words of the recipe, and so is what it does not assert and hangs or wastes GPUs on; its
sources are named at each check.

    mistakes = [*check_recipe(recipe, setup, estimated, cap_usd), *ask_experts(setup.pool)]
"""

from __future__ import annotations

import asyncio
import math
import re
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from corl_bench.episode import ExpertInfo
from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.experts.checks import check_experts
from corl_bench.experts.providers import missing_keys, require_keys
from corl_bench.money.amounts import display_usd
from corl_bench.routers.controller import Controller
from corl_bench.runs.estimate import BYTES_PER_TOKEN, RESULT_TOKENS
from corl_bench.runs.plan import require_output_limit
from corl_bench.tasks import LoadedTask
from corl_bench.types import Budget
from corl_train.feasibility import Outlook
from corl_train.openrlhf.estimate import JobEstimate
from corl_train.openrlhf.model_files import read_figures
from corl_train.openrlhf.placement import memory_of
from corl_train.openrlhf.recipe import JobRecipe

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
"""With an owner or, as the oldest of them, without; whether there is such a one, nodes say."""
_ROUNDING = {"parameters": 0.02, "lora_parameters": 0.02}
"""How far a stated figure may be from that of the files, as a share; others are exact."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a recipe names, loaded."""

    pool: Pool
    budgets: tuple[Budget, ...]
    controller: Controller
    task: LoadedTask
    """With the problems that are trained on."""
    outlook: Outlook
    """What the budgets allow."""
    is_billed: bool = True
    """Whether somebody sends a bill for the experts."""


def check_recipe(
    recipe: JobRecipe, setup: Setup, estimated: JobEstimate, cap_usd: Decimal | None
) -> list[str]:
    """Mistakes that need no cluster to be seen.

    Args:
        recipe: what is trained.
        setup: what it names.
        estimated: what the whole of it takes.
        cap_usd: of the spending; None: none was named.
    """
    return [
        *_batches(recipe),
        *_placement(recipe),
        *_memory(recipe),
        *_context(recipe, setup),
        *_model(recipe),
        *_schedule(recipe, estimated),
        *([setup.outlook.refusal] if setup.outlook.refusal else []),
        *_experts(setup),
        *_cap(setup, estimated, cap_usd),
    ]


def check_folder(folder: Path) -> list[str]:
    """A job's directory that OpenRLHF could not name its data in.

    `blending_datasets` (datasets/utils.py) takes what follows a comma for another file, and what
    follows an @ for a folder.
    """
    if found := sorted(set(str(folder)) & set(",@ ")):
        names = " and ".join(repr(character) for character in found)
        return [f"{folder}: OpenRLHF cannot read data below {names}: name another --out"]
    return []


def ask_experts(pool: Pool) -> list[str]:
    """Asks every expert whether it would answer, from this machine; a line for each that would not.

    It is the check of `corl-bench pool check`, which asks for lists of models at most and costs
    nothing. Experts without a key are left to `check_recipe`, which names the variable.

    Args:
        pool: the experts as whoever pays for them asks them.
    """
    keyless = {name for name, _ in missing_keys(pool.experts)}
    asked = replace(pool, experts=tuple(e for e in pool.experts if e.name not in keyless))
    results = asyncio.run(check_experts(asked))
    return [
        f"expert {expert.name} ({expert.model}) would not answer ({result.detail}): mend key, model"
        " or address, see `corl-bench pool check`; --skip-expert-check goes on all the same"
        for expert, result in zip(asked.experts, results, strict=True)
        if not result.ready
    ]


def _batches(recipe: JobRecipe) -> list[str]:
    training, gpus = recipe.training, recipe.placement.gpus
    mistakes = []
    # DeepSpeed: train batch = micro batch × accumulation × world, or it ends at the start.
    step = training.micro_batch * gpus
    if training.minibatch % step:
        mistakes.append(
            f"training.minibatch {training.minibatch} is no multiple of micro_batch × GPUs"
            f" ({training.micro_batch} × {gpus}): set it to {_nearest(training.minibatch, step)}"
        )
    # `max_steps` of the schedule floors; a part of a minibatch would wait for the next step.
    if training.episodes % training.minibatch:
        mistakes.append(
            f"a step's {training.episodes} episodes (prompts × samples) are no multiple of"
            f" training.minibatch {training.minibatch}: set prompts or minibatch so that they are"
        )
    # `async_run_method_batch` (trainer/ray/launcher.py): GPUs with fewer batches than the others
    # leave these waiting for ever in a collective.
    if training.episodes % (training.scoring_batch * gpus):
        mistakes.append(
            f"a step's {training.episodes} episodes do not divide evenly over scoring_batch × GPUs"
            f" ({training.scoring_batch} × {gpus}): set training.scoring_batch to 1, or prompts to"
            f" a multiple of {gpus}"
        )
    return mistakes


def _placement(recipe: JobRecipe) -> list[str]:
    placement, model = recipe.placement, recipe.model
    parallel = placement.tensor_parallel
    # train_ppo_ray.py: with everything on the same GPUs, engines must cover them exactly.
    if placement.gpus_per_node % parallel:
        return [
            f"placement.tensor_parallel {parallel} does not divide the {placement.gpus_per_node}"
            f" GPUs of a node: set it to {_tensor_parallels(recipe)}"
        ]
    if model.kv_heads % parallel:
        return [
            f"placement.tensor_parallel {parallel} does not divide the model's {model.kv_heads} KV"
            f" heads: set it to {_tensor_parallels(recipe)}"
        ]
    if model.lora_rank and not model.lora_parameters:
        return ["model.lora_rank without model.lora_parameters: say how many it trains"]
    if model.lora_rank and placement.zero_stage == 3:
        # A merged weight for the engines needs the whole of its matrices in one place.
        return ["a LoRA's weights reach the engines with placement.zero_stage=2 alone: set it"]
    return []


def _memory(recipe: JobRecipe) -> list[str]:
    placement, memory = recipe.placement, memory_of(recipe)
    available = placement.gpu_memory_gib
    mistakes = []
    if not memory.fits(available) and memory.training_gib >= memory.generation_gib:
        mistakes.append(
            f"an update takes {memory.training_gib:.0f} GiB of a GPU's {available:.0f}"
            f" ({memory.states_gib:.0f} of states, {memory.activations_gib:.0f} of activations):"
            f" {_less_memory(recipe)}"
        )
    elif not memory.fits(available):
        mistakes.append(
            f"generating takes {memory.generation_gib:.0f} GiB of a GPU's {available:.0f}: lower"
            " placement.engine_memory"
        )
    if memory.kept_tokens < recipe.training.context:
        mistakes.append(
            f"an engine of {memory.engine_gib:.0f} GiB holds {memory.engine_weights_gib:.0f} GiB of"
            f" weights and then keys of {memory.kept_tokens} tokens, not of one episode of"
            f" {recipe.training.context}: raise placement.engine_memory or tensor_parallel"
        )
    return mistakes


def _less_memory(recipe: JobRecipe) -> str:
    """What makes an update smaller, of what this recipe has not done yet and may do."""
    model, placement, training = recipe.model, recipe.placement, recipe.training
    memory, ways = memory_of(recipe), []
    if replace(memory, activations_gib=0).fits(placement.gpu_memory_gib):
        ways.append("lower training.context" + " or micro_batch" * (training.micro_batch > 1))
    if not model.lora_rank and placement.zero_stage == 2:
        ways.append("set placement.zero_stage=3")
    if training.kl_weight > 0 and not placement.offload_reference:
        ways.append("set placement.offload_reference=true")
    if not model.lora_rank and not placement.offload_adam:
        ways.append("set placement.offload_adam=true")
    # What a LoRA starts from lies on each GPU whole, however many there are.
    ways.append("take GPUs with more memory" if model.lora_rank else "take more GPUs")
    return ", or ".join(filter(None, (", ".join(ways[:-1]), ways[-1])))


def _tensor_parallels(recipe: JobRecipe) -> str:
    """What divides a node's GPUs and the model's KV heads."""
    most = math.gcd(recipe.placement.gpus_per_node, recipe.model.kv_heads)
    able = [str(number) for number in range(1, most + 1) if most % number == 0]
    return " or ".join(filter(None, (", ".join(able[:-1]), able[-1])))


def _context(recipe: JobRecipe, setup: Setup) -> list[str]:
    """Whether an episode of short replies fits; the agent ends those that outgrow it."""
    controller = setup.controller
    infos = [ExpertInfo.of(expert) for expert in setup.pool.experts]
    budget = next(iter(setup.budgets), None)
    longest = max(setup.task.problems, key=lambda problem: len(problem.text.encode()))
    opening = len(controller.opening(longest.text, budget, infos).encode()) // BYTES_PER_TOKEN
    protocol = controller.protocol
    turns = (protocol.max_calls + 1) * protocol.max_turn_tokens
    needed = opening + turns + protocol.max_calls * RESULT_TOKENS
    if recipe.training.context >= needed:
        return []
    return [
        f"training.context {recipe.training.context} holds not even the controller's own turns"
        f" beside the longest problem ({needed} tokens with protocol {protocol.name!r}): raise it"
    ]


def _model(recipe: JobRecipe) -> list[str]:
    """What a directory shows; whether there is a hub's model, nodes say in the survey."""
    model = recipe.model
    path = Path(model.path)
    if not path.is_dir():
        if _HUB_ID.fullmatch(model.path):
            return []
        return [f"model.path: there is no directory {path}, and it is no id of the hub: mend it"]
    try:
        told = read_figures(path, lora_rank=model.lora_rank)
    except ConfigError as error:
        return [f"model.path: {error}"]
    return [
        f"model.{name} is {getattr(model, name)}, and the files in {path} say {value}: set the"
        " model's figures to those of the directory"
        for name, value in told.items()
        if abs(value - getattr(model, name)) > _ROUNDING.get(name, 0) * value
    ][:1]


def _schedule(recipe: JobRecipe, estimated: JobEstimate) -> list[str]:
    every = recipe.schedule.checkpoint_every
    if every > estimated.steps:
        return [
            f"schedule.checkpoint_every {every} is beyond the last of {estimated.steps} steps, so"
            " that nothing could be gone on with: lower it, or train on more"
        ]
    return []


def _experts(setup: Setup) -> list[str]:
    """Keys and limits; whether they answer, `ask_experts` asks."""
    if not setup.is_billed:
        return []
    try:
        for expert in setup.pool.experts:
            require_output_limit(expert)
        require_keys(setup.pool.experts)
    except ConfigError as error:
        return [str(error)]
    return []


def _cap(setup: Setup, estimated: JobEstimate, cap_usd: Decimal | None) -> list[str]:
    if not setup.is_billed:
        return []
    expected = display_usd(estimated.usd_expected)
    if cap_usd is None:
        return [
            f"pool {setup.pool.name!r} asks live experts, for about {expected}: set a spending cap"
            " with --max-cost, or take --mode replay"
        ]
    if cap_usd < estimated.usd_expected:
        share = cap_usd / estimated.usd_expected
        return [
            f"the cap of {display_usd(cap_usd)} would end the job after about"
            f" {int(share * estimated.steps)} of {estimated.steps} steps, which take about"
            f" {expected}: raise --max-cost, or lower data.limit or training.samples"
        ]
    return []


def _nearest(number: int, step: int) -> int:
    """The multiple of `step` that is nearest, and not 0."""
    return max(1, round(number / step)) * step
