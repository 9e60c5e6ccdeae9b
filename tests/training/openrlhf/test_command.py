"""Every recipe's command: OpenRLHF's own parser takes it, and its own checks pass."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from corl_train.openrlhf.command import (
    RUNTIME_ENV_NAME,
    openrlhf_arguments,
    runtime_env,
    submit_command,
)
from corl_train.openrlhf.recipe import load_job_recipe
from corl_train.openrlhf.workers import KEY_VARIABLE, write_key
from corl_train.recipe_file import recipes
from training.openrlhf.library import require, write_stubs


def parsed(arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What `train_ppo_ray` makes of arguments: its own main block, up to the training itself."""
    require()
    monkeypatch.syspath_prepend(str(write_stubs(folder)))
    found = importlib.util.find_spec("openrlhf.cli.train_ppo_ray")
    assert found is not None
    assert found.origin is not None
    source = Path(found.origin).read_text(encoding="utf-8")
    tree = ast.parse(source)
    main = next(node for node in tree.body if isinstance(node, ast.If))
    last = main.body[-1]
    assert ast.unparse(last) == "train(args)"
    # The block alone, so that neither Ray nor a GPU is wanted; it imports what it needs itself.
    block = ast.Module(body=main.body[:-1], type_ignores=[])
    heads = [
        node
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        and ast.unparse(node).split()[1] in ("argparse", "datetime")
    ]
    names: dict[str, Any] = {}
    monkeypatch.setattr(sys, "argv", ["train_ppo_ray", *arguments])
    whole = ast.Module(body=[*heads, *block.body], type_ignores=[])
    exec(compile(whole, found.origin, "exec"), names)
    known: SimpleNamespace = names["args"]
    return known


@pytest.mark.openrlhf
@pytest.mark.parametrize("name", recipes("openrlhf"))
def test_openrlhf_takes_every_recipe(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = load_job_recipe(name)
    folder = tmp_path / "job"
    args = parsed(openrlhf_arguments(recipe, folder, seed=7), tmp_path / "stubs", monkeypatch)
    # It mends what does not fit together, and says so; with ours there is nothing to mend.
    assert capsys.readouterr().out == ""
    placement, training = recipe.placement, recipe.training
    assert args.reward.remote_url == ["agent"]
    assert args.train.agent_func_path == str(folder / "agent.py")
    assert args.critic.model_name_or_path == recipe.model.path
    assert args.data.prompt_dataset == str(folder / "data" / "train.jsonl")
    assert not args.data.apply_chat_template
    assert args.data.input_template is None
    assert (args.algo.advantage.gamma, args.algo.advantage.lambd) == (1.0, 1.0)
    assert args.algo.advantage.estimator == "gae"
    assert args.ckpt.load_enable
    # Weights of the critic beside those at the end, which nobody reads and no estimate counts.
    assert not args.critic.save_value_network
    assert args.train.seed == 7
    assert args.ds.lora.rank == recipe.model.lora_rank
    # What `train` asserts before it takes a GPU: engines cover the GPUs that all share.
    assert args.train.colocate_all
    assert (
        args.actor.num_nodes * args.actor.num_gpus_per_node
        == args.vllm.num_engines * args.vllm.tensor_parallel_size
        == placement.gpus
    )
    for part in (args.ref, args.critic, args.reward):
        assert (part.num_nodes, part.num_gpus_per_node) == (
            args.actor.num_nodes,
            args.actor.num_gpus_per_node,
        )
    # What DeepSpeed asserts: a batch is micro batch × accumulation × world.
    assert args.train.batch_size % (args.train.micro_batch_size * placement.gpus) == 0
    assert args.rollout.batch_size * args.rollout.n_samples_per_prompt == training.episodes


@pytest.mark.openrlhf
def test_openrlhf_refuses_what_the_preflight_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_job_recipe("corl-paper", settings=["training.prompts=1", "training.samples=8"])
    with pytest.raises(AssertionError, match="number of sample batches"):
        parsed(openrlhf_arguments(recipe, tmp_path, seed=0), tmp_path / "stubs", monkeypatch)


@pytest.mark.parametrize("name", recipes("openrlhf"))
def test_a_flag_stands_once_and_off_is_left_out(name: str, tmp_path: Path) -> None:
    arguments = openrlhf_arguments(load_job_recipe(name), tmp_path, seed=0)
    flags = [word for word in arguments if word.startswith("--")]
    assert len(flags) == len(set(flags))
    assert "False" not in arguments
    assert "None" not in arguments
    assert arguments == openrlhf_arguments(load_job_recipe(name), tmp_path, seed=0)


def test_what_is_submitted_names_files_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a provider's key and the workers' where a launch has them."""
    secrets = ("sk-of-a-provider", "of-the-workers")
    monkeypatch.setenv("OPENAI_API_KEY", secrets[0])
    monkeypatch.setenv(KEY_VARIABLE, secrets[1])
    write_key(tmp_path, secrets[1])
    arguments = openrlhf_arguments(load_job_recipe("corl-paper"), tmp_path, seed=0)
    words = submit_command(arguments, tmp_path, address="http://head:8265", submission="corl-1")
    assert words[:3] == ["ray", "job", "submit"]
    assert words[words.index("--runtime-env") + 1] == str(tmp_path / RUNTIME_ENV_NAME)
    assert words[words.index("--") :][:4] == ["--", "python", "-m", "corl_train.openrlhf.training"]
    shown = runtime_env(tmp_path)
    assert str(tmp_path / "job.json") in shown
    for secret in secrets:
        assert secret not in shown and secret not in " ".join(words)
