"""What a recipe for OpenRLHF may say: data, model, placement on GPUs, PPO, schedule.

A recipe with `backend = "openrlhf"` has these tables; `corl_train.recipe_file` reads it as any
other. It says nothing that decides itself: flags that have one right value (no chat template, no
reward model, the agent's file) are written by `command`, and what does not fit together is
refused by `preflight`, which knows the cluster, too.

    recipe = load_job_recipe("corl-paper", settings=["placement.nodes=2"])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from corl_bench.files import path_of
from corl_train.config import GateTable, RewardTable
from corl_train.recipe_file import Table, parse_recipe, read_recipe


class JobDataTable(Table):
    """Problems, experts, and how the controller talks to them."""

    train: str = "deepscaler"
    apart_from: tuple[str, ...] = ("math500", "amc23", "aime24", "aime25")
    """Tasks that results are reported on: what says the same as one of theirs is left out."""
    limit: int | None = Field(default=None, ge=1)
    """At most so many training problems, as a sample."""
    validation_problems: int = Field(default=64, ge=0)
    """Held out of the training problems; chooses the best checkpoint."""
    pool: str = "corl-paper"
    budgets: str | None = None
    """As after `--budget`; None takes those that the pool names."""
    budget_weights: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """How many problems in turn get each of the budgets, in their order; one where none is said."""
    protocol: str = "corl"


class ModelTable(Table):
    """The controller before training. Its figures size the run before anything is loaded."""

    path: str = Field(min_length=1)
    """A Hugging Face id, or a directory that every node sees; see `_resolved`."""
    usd_per_mtok: str
    """Stated price of its own tokens, read or said."""
    parameters: int = Field(ge=1)
    layers: int = Field(ge=1)
    hidden: int = Field(ge=1)
    kv_heads: int = Field(ge=1)
    head_dim: int = Field(ge=1)
    vocabulary: int = Field(ge=1)
    lora_rank: int = Field(default=0, ge=0)
    """0 trains all parameters."""
    lora_alpha: int = Field(default=32, ge=1)
    lora_parameters: int = Field(default=0, ge=0)
    """How many a LoRA of this rank trains, of the model and of the critic each."""


class PlacementTable(Table):
    """Which GPUs hold what. Everything shares all of them, one after the other.

    Policy, reference, critic and the vLLM engines live on the same GPUs (OpenRLHF's hybrid
    engine): while one works, the others' optimiser states or weights sleep in the nodes' memory.
    """

    nodes: int = Field(default=1, ge=1)
    gpus_per_node: int = Field(default=8, ge=1)
    gpu_memory_gib: float = Field(default=80.0, gt=0)
    tensor_parallel: int = Field(default=1, ge=1)
    """GPUs of one vLLM engine."""
    engine_memory: float = Field(default=0.5, gt=0, lt=1)
    """Share of a GPU's memory that an engine takes while it generates."""
    zero_stage: Literal[2, 3] = 3
    offload_reference: bool = False
    offload_adam: bool = False

    @property
    def gpus(self) -> int:
        """All of them."""
        return self.nodes * self.gpus_per_node


class JobTrainingTable(Table):
    """PPO with a critic. γ and λ are 1: see `corrections`."""

    prompts: int = Field(default=128, ge=1)
    """Problems of one step."""
    samples: int = Field(default=4, ge=1)
    """Episodes of each problem in a step."""
    passes: int = Field(default=1, ge=1)
    """Over the training problems. Each meets the same draws of experts' replies: what the policy
    asks as it did before costs nothing then, and what a reply said does not depend on the pass."""
    minibatch: int = Field(default=256, ge=1)
    """Episodes of one step of the optimiser, over all GPUs."""
    micro_batch: int = Field(default=1, ge=1)
    """Episodes that a GPU trains on at once."""
    scoring_batch: int = Field(default=2, ge=1)
    """Episodes that a GPU scores at once."""
    epochs: int = Field(default=1, ge=1)
    """Over the episodes of a step."""
    context: int = Field(default=16384, ge=256)
    """Tokens of an episode, read and said."""
    learning_rate: float = Field(default=1e-6, gt=0)
    critic_learning_rate: float = Field(default=9e-6, gt=0)
    warmup: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps over which the learning rates rise."""
    critic_only_steps: int = Field(default=0, ge=0)
    """First steps in which the critic alone learns."""
    clip: float = Field(default=0.2, gt=0)
    value_clip: float = Field(default=0.5, gt=0)
    kl_weight: float = Field(default=0.001, ge=0)
    """Of the divergence from the first weights, taken out of the reward; 0 needs no reference."""
    entropy_weight: float = Field(default=0.0, ge=0)
    temperature: float = Field(default=1.0, gt=0)
    max_grad_norm: float = Field(default=1.0, gt=0)

    @property
    def episodes(self) -> int:
        """Of one step."""
        return self.prompts * self.samples


class JobScheduleTable(Table):
    """What happens every so many steps."""

    validate_every: int = Field(default=20, ge=1)
    checkpoint_every: int = Field(default=10, ge=1)
    keep: int = Field(default=2, ge=2)
    """Checkpoints that are kept beside the best one; with one OpenRLHF would delete it before the
    next is written."""
    save_hugging_face: bool = False
    """A Hugging Face directory beside each checkpoint; OpenRLHF never deletes one."""


class JobRecipe(Table):
    """A whole job but for its seed."""

    name: str
    backend: Literal["openrlhf"] = "openrlhf"
    data: JobDataTable = JobDataTable()
    model: ModelTable
    reward: RewardTable = GateTable()
    placement: PlacementTable = PlacementTable()
    training: JobTrainingTable = JobTrainingTable()
    schedule: JobScheduleTable = JobScheduleTable()


def load_job_recipe(name_or_path: str, *, settings: Sequence[str] = ()) -> JobRecipe:
    """A recipe for OpenRLHF, by name or as a file.

    Args:
        name_or_path: `corl-paper`, or the path of a TOML file.
        settings: what to change, as in `training.prompts=64`.

    Raises:
        ConfigError: there is none, it is for the embedded trainer, or it says what no recipe may
            say; one line.
    """
    data = read_recipe(name_or_path, JobRecipe, backend="openrlhf", settings=settings)
    return parse_job_recipe(data, name_or_path)


def parse_job_recipe(data: dict[str, Any], source: str) -> JobRecipe:
    """Checks the tables of a recipe for OpenRLHF.

    Raises:
        ConfigError: the first mistake, with its place.
    """
    recipe = parse_recipe(JobRecipe, {k: v for k, v in data.items() if k != "backend"}, source)
    path = _resolved(recipe.model.path)
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"path": path})})


def _resolved(path: str) -> str:
    """A model's directory as every process names it; an id of the hub as it is.

    Said once, where the recipe is read: OpenRLHF runs in another directory, and knows no `~`. What
    is a directory here is taken for one, as `transformers` does it.
    """
    directory = path_of(path)
    if directory.is_dir() or path.startswith(("~", ".", "/")):
        return str(directory.absolute())
    return path
