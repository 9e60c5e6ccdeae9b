"""The exact command of a job: OpenRLHF's flags, Ray's runtime environment, `ray job submit`.

Invariants: nothing here is a secret, so all of it may be shown: the workers' key lies in a file
of the job's directory that its owner alone can read, and what travels is that file's place. The
flags are those of OpenRLHF 0.11.2 and none is left to a default that the episodes depend on. The
same recipe and directory give the same flags, so a job that goes on is the same job.

    arguments = openrlhf_arguments(recipe, folder, seed=0)
    submit_command(arguments, folder, address="http://127.0.0.1:8265", submission="corl-paper-1")
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from corl_train.openrlhf.data import TRAIN_NAME, VALIDATION_NAME
from corl_train.openrlhf.job import FILE_NAME, VARIABLE
from corl_train.openrlhf.recipe import JobRecipe

ENTRY = "corl_train.openrlhf.training"
"""Runs OpenRLHF's own driver with our corrections."""
SETUP_HOOK = "corl_train.openrlhf.workers.enter"
"""What Ray calls in every process of a job before anything else."""
RUNTIME_ENV_NAME = "runtime_env.yaml"
AGENT_NAME = "agent.py"
AGENT = "from corl_train.openrlhf.agent import AgentExecutor as AgentExecutor\n"
"""The file that OpenRLHF loads: it wants a path, and nodes may have installed us anywhere."""
CHECKPOINTS = "checkpoints"
FINAL = "final"
DATA = "data"
TENSORBOARD = "tensorboard"


def openrlhf_arguments(recipe: JobRecipe, folder: Path, *, seed: int) -> list[str]:
    """The arguments of OpenRLHF's `train_ppo_ray`.

    Args:
        recipe: what is trained.
        folder: the job's directory, as all nodes see it.
        seed: of sampling, shuffling and new layers.
    """
    model, placement, training = recipe.model, recipe.placement, recipe.training
    schedule = recipe.schedule
    flags: dict[str, object] = {}
    for part in ("actor", "ref", "critic", "reward"):
        flags[f"{part}.num_nodes"] = placement.nodes
        flags[f"{part}.num_gpus_per_node"] = placement.gpus_per_node
    flags |= {
        "actor.model_name_or_path": model.path,
        "critic.model_name_or_path": model.path,
        "train.agent_func_path": folder / AGENT_NAME,
        "train.colocate_all": True,
        "vllm.num_engines": placement.gpus // placement.tensor_parallel,
        "vllm.tensor_parallel_size": placement.tensor_parallel,
        "vllm.gpu_memory_utilization": placement.engine_memory,
        # Rounds of an episode begin alike; the cache is emptied when weights change.
        "vllm.enable_prefix_caching": True,
        "vllm.enable_sleep": True,
        "vllm.sync_backend": "nccl",
        "ds.enable_sleep": True,
        "ds.zero_stage": placement.zero_stage,
        "ds.param_dtype": "bf16",
        "ds.adam_offload": placement.offload_adam,
        "ds.attn_implementation": "flash_attention_2",
        "ds.packing_samples": True,
        "ref.offload": placement.offload_reference,
        "actor.gradient_checkpointing_enable": True,
        "data.prompt_dataset": folder / DATA / TRAIN_NAME,
        "data.input_key": "input",
        "data.label_key": "label",
        "data.max_len": training.context,
        "rollout.batch_size": training.prompts,
        "rollout.n_samples_per_prompt": training.samples,
        "rollout.micro_batch_size": training.scoring_batch,
        "rollout.temperature": training.temperature,
        "rollout.top_p": 1.0,
        "train.batch_size": training.minibatch,
        "train.micro_batch_size": training.micro_batch,
        "train.num_episodes": training.passes,
        "train.max_epochs": training.epochs,
        "train.seed": seed,
        "actor.adam.lr": training.learning_rate,
        "actor.lr_warmup_ratio": training.warmup,
        "actor.max_norm": training.max_grad_norm,
        "actor.eps_clip": training.clip,
        "critic.adam.lr": training.critic_learning_rate,
        "critic.lr_warmup_ratio": training.warmup,
        "critic.max_norm": training.max_grad_norm,
        "critic.value_clip": training.value_clip,
        "critic.freezing_steps": training.critic_only_steps or None,
        "algo.advantage.estimator": "gae",
        "algo.advantage.gamma": 1.0,
        "algo.advantage.lambd": 1.0,
        "algo.kl.init_coef": training.kl_weight,
        "algo.kl.estimator": "k1",
        # Even a weight of 0 would keep the entropy of every token.
        "actor.entropy_coef": training.entropy_weight or None,
        "ckpt.path": folder / CHECKPOINTS,
        "ckpt.output_dir": folder / FINAL,
        "ckpt.save_steps": schedule.checkpoint_every,
        "ckpt.max_num": schedule.keep,
        "ckpt.save_hf": schedule.save_hugging_face,
        # Without a checkpoint there is nothing to load, and the job begins.
        "ckpt.load_enable": True,
        "ckpt.best_metric_key": "eval_validation_pass1",
        "logger.tensorboard_dir": folder / TENSORBOARD,
        "logger.logging_steps": 1,
    }
    if model.lora_rank:
        flags |= {"ds.lora.rank": model.lora_rank, "ds.lora.alpha": model.lora_alpha}
    if recipe.data.validation_problems:
        flags |= {
            "eval.dataset": folder / DATA / VALIDATION_NAME,
            "eval.steps": schedule.validate_every,
            "eval.temperature": 0.0,
            "eval.n_samples_per_prompt": 1,
        }
    arguments: list[str] = []
    for name, value in flags.items():
        if value is None or value is False:
            continue
        arguments += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return arguments


def runtime_env(folder: Path) -> str:
    """Ray's runtime environment as YAML: the job's file, and what each process does at first.

    Ray keeps all of it in its database, shows it on the dashboard and writes it into logs. So it
    names the directory and holds no key; `workers.enter` fetches that on each node.
    """
    described = {
        "env_vars": {VARIABLE: str(folder / FILE_NAME)},
        "worker_process_setup_hook": SETUP_HOOK,
    }
    return json.dumps(described, indent=2) + "\n"  # JSON is YAML


def submit_command(
    arguments: Sequence[str],
    folder: Path,
    *,
    address: str,
    submission: str,
    python: str = "python",
    entry: str = ENTRY,
) -> list[str]:
    """The `ray job submit` of a job, which returns as soon as the job is queued.

    Args:
        arguments: of OpenRLHF.
        folder: the job's directory.
        address: of Ray's job server.
        submission: name of this attempt.
        python: as the head node calls its interpreter.
        entry: the module that is run there.
    """
    return [
        *("ray", "job", "submit", "--address", address, "--submission-id", submission),
        *("--runtime-env", str(folder / RUNTIME_ENV_NAME), "--no-wait"),
        *("--", python, "-m", entry, *arguments),
    ]
