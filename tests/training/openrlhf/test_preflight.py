"""Mistakes that were planted, each refused with its own line, which says what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from corl_bench.errors import ConfigError
from corl_train.cli.launch import command
from corl_train.openrlhf.launching import Options, check, prepare_job
from corl_train.openrlhf.preflight import check_cluster
from corl_train.openrlhf.recipe import JobRecipe
from corl_train.openrlhf.survey import PACKAGES, Node, digest_of_file, look
from training.openrlhf.recipes_at_hand import (
    problem,
    recipe_at_hand,
    settings_at_hand,
    write_rows,
)

CAP = Decimal(500)
NODE = Node(
    name="gpu-1",
    gpus=8,
    cpus=64,
    gpu_memory_gib=79.6,
    memory_gib=1000.0,
    free_disk_gib=3000.0,
    sees_job=True,
    packages=dict.fromkeys(PACKAGES, "1.0") | {"openrlhf": "0.11.2"},
    experts="",
)


def mistakes_of(recipe: JobRecipe, options: Options) -> list[str]:
    return check(prepare_job(recipe, options), options)


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(folder=tmp_path / "job", cap_usd=CAP)


@pytest.mark.parametrize("name", ["corl-paper", "corl-paper-2x8", "corl-lora"])
def test_recipes_that_come_with_us_pass(name: str, tmp_path: Path, options: Options) -> None:
    recipe = recipe_at_hand(tmp_path, name, training__prompts="128")
    host = replace(options, host="10.0.0.1")
    assert mistakes_of(recipe, host) == []
    nodes = [NODE, replace(NODE, name="gpu-2")]
    assert check_cluster(recipe, nodes, 300) == []


PLANTED = {
    # What is planted, and what is said of it; nothing else is.
    "a minibatch that GPUs cannot share": (
        {"training__minibatch": "4"},
        "training.minibatch 4 is no multiple of micro_batch × GPUs (1 × 8): set it to 8",
    ),
    "a step that minibatches do not fill": (
        {"training__minibatch": "384"},
        "a step's 512 episodes (prompts × samples) are no multiple of training.minibatch 384",
    ),
    "scoring batches that do not divide": (
        {"training__scoring_batch": "24"},
        "do not divide evenly over scoring_batch × GPUs (24 × 8): set training.scoring_batch to 1",
    ),
    "an engine over part of the GPUs": (
        {"placement__tensor_parallel": "3"},
        "placement.tensor_parallel 3 does not divide the 8 GPUs of a node",
    ),
    "more parallel than heads": (
        {"placement__tensor_parallel": "8"},
        "placement.tensor_parallel 8 does not divide the model's 4 KV heads",
    ),
    "a micro batch beyond the memory": (
        {"training__micro_batch": "2"},
        "an update takes 100 GiB of a GPU's 80 (30 of states, 66 of activations): lower",
    ),
    "an engine beyond the memory": (
        {"placement__engine_memory": "0.97"},
        "generating takes",
    ),
    "an engine without room for an episode": (
        {"placement__engine_memory": "0.18"},
        "not of one episode of 16384: raise placement.engine_memory",
    ),
    "a context that turns fill": (
        {"training__context": "4096"},
        "training.context 4096 holds not even the controller's own turns",
    ),
    "no checkpoint at all": (
        {"schedule__checkpoint_every": "50"},
        "schedule.checkpoint_every 50 is beyond the last of 3 steps",
    ),
    "a budget that buys nothing": (
        {"data__budgets": "low=0.00000001,high=0.05"},
        "low ($0.00000001)",
    ),
    "a model that is not there": (
        {"model__path": "/models/qwen"},
        "model.path: there is no directory /models/qwen, and it is no id of the hub",
    ),
    "a LoRA on divided weights": (
        {"model__lora_rank": "8", "model__lora_parameters": "20000000"},
        "placement.zero_stage=2 alone: set it",
    ),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_mistake_is_one_line(planted: str, tmp_path: Path, options: Options) -> None:
    changes, said = PLANTED[planted]
    mistakes = mistakes_of(recipe_at_hand(tmp_path, **changes), options)
    assert len(mistakes) == 1, mistakes
    assert said in mistakes[0]
    assert "\n" not in mistakes[0]


def test_money_without_an_end(tmp_path: Path, options: Options) -> None:
    recipe = recipe_at_hand(tmp_path)
    (none,) = mistakes_of(recipe, replace(options, cap_usd=None))
    assert "set a spending cap with --max-cost" in none
    (low,) = mistakes_of(recipe, replace(options, cap_usd=Decimal("0.5")))
    assert "the cap of $0.500 would end the job after about 0 of 3 steps" in low


def test_a_key_that_is_not_set(
    tmp_path: Path, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_at_hand(tmp_path)
    text = (tmp_path / "pool.toml").read_text()
    (tmp_path / "pool.toml").write_text(text.replace('base_url = "http://127.0.0.1:9/v1"\n', ""))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (missing,) = mistakes_of(recipe, options)
    assert missing.startswith("no key in OPENAI_API_KEY (for nano, large): set the variable")
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert mistakes_of(recipe, options) == []


def test_a_directory_that_openrlhf_cannot_name(tmp_path: Path, options: Options) -> None:
    odd = replace(options, folder=tmp_path / "a,b@c")
    (said,) = mistakes_of(recipe_at_hand(tmp_path), odd)
    assert "OpenRLHF cannot read data below ',' and '@': name another --out" in said


def test_an_address_that_other_nodes_do_not_reach(tmp_path: Path, options: Options) -> None:
    recipe = recipe_at_hand(tmp_path, "corl-paper-2x8")
    (said,) = mistakes_of(recipe, options)
    assert "2 nodes cannot reach an experts' server on 127.0.0.1" in said
    assert "--host" in said


def test_a_model_whose_figures_are_others(tmp_path: Path, options: Options) -> None:
    model = tmp_path / "model"
    model.mkdir()
    recipe = recipe_at_hand(tmp_path, model__path=str(model))
    (said,) = mistakes_of(recipe, options)
    assert "has no config.json" in said
    config = {
        "num_hidden_layers": 28,
        "hidden_size": 3584,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
    }
    (model / "config.json").write_text(json.dumps(config))
    (said,) = mistakes_of(recipe, options)
    assert "has no tokenizer" in said
    (model / "tokenizer_config.json").write_text("{}")
    assert mistakes_of(recipe, options) == []
    (model / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 36}))
    (said,) = mistakes_of(recipe, options)
    assert said.startswith("model.layers is 28, and")
    assert "says 36" in said


CLUSTERS: dict[str, tuple[Callable[[Node], Node], str]] = {
    "too few GPUs": (lambda n: replace(n, gpus=4), "wants 1 × 8 GPUs, and the cluster has gpu-1 4"),
    "smaller GPUs": (
        lambda n: replace(n, gpu_memory_gib=39.6),
        "node gpu-1: its GPUs have 40 GiB: set placement.gpu_memory_gib=40",
    ),
    "a driver that says nothing": (
        lambda n: replace(n, gpu_memory_gib=None),
        "nvidia-smi tells no memory",
    ),
    "too few CPUs": (lambda n: replace(n, cpus=4), "Ray gives 4 CPUs"),
    "little memory": (lambda n: replace(n, memory_gib=128.0), "128 GiB of memory, and 312 GiB"),
    "a full disk": (
        lambda n: replace(n, free_disk_gib=200.0),
        "200 GiB are free where the job's directory is, and checkpoints take",
    ),
    "a directory of its own": (
        lambda n: replace(n, sees_job=False),
        "put --out on a file system that all nodes share",
    ),
    "another OpenRLHF": (
        lambda n: replace(n, packages=n.packages | {"openrlhf": "0.12.0"}),
        "has OpenRLHF 0.12.0: pip install 'openrlhf==0.11.2'",
    ),
    "no vLLM": (
        lambda n: replace(n, packages={"openrlhf": "0.11.2"}),
        "has no vLLM: pip install vllm",
    ),
    "no way to the experts": (
        lambda n: replace(n, experts="timed out"),
        "does not reach the experts' server (timed out): name an address",
    ),
}


@pytest.mark.parametrize("planted", CLUSTERS)
def test_a_cluster_that_will_not_do_is_one_line(planted: str, tmp_path: Path) -> None:
    change, said = CLUSTERS[planted]
    (mistake,) = check_cluster(recipe_at_hand(tmp_path), [change(NODE)], 300)
    assert said in mistake
    assert "\n" not in mistake


def test_only_nodes_with_gpus_are_looked_at(tmp_path: Path) -> None:
    head = replace(NODE, name="head", gpus=0, gpu_memory_gib=None, packages={})
    assert check_cluster(recipe_at_hand(tmp_path), [head, NODE], 300) == []


def test_a_machine_is_looked_at_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text("{}")
    digest = digest_of_file(tmp_path / "job.json")
    node = look(str(tmp_path), digest, "http://127.0.0.1:9/health", "here", 0, 2)
    assert node.sees_job
    assert node.memory_gib > 0.5
    assert node.free_disk_gib > 0
    assert "refused" in node.experts
    elsewhere = look(str(tmp_path / "not" / "there"), digest, "", "here", 0, 2)
    assert not elsewhere.sees_job
    assert elsewhere.experts == ""


def test_a_dry_run_shows_all_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-the-secret")
    settings = settings_at_hand(tmp_path)
    given = [f"--set={key}={value}" for key, value in settings.items()]
    out = tmp_path / "job"
    asked = ["corl-paper", *given, "--out", str(out), "--max-cost", "500", "--dry-run"]
    told = CliRunner().invoke(command, asked, standalone_mode=False)
    assert told.exit_code == 0, told.output
    assert told.return_value == 0
    assert "ray job submit" in told.output
    assert "--train.agent_func_path" in told.output
    assert "sk-the-secret" not in told.output
    assert "cap $500.00" in told.output
    assert not out.exists()

    refused = CliRunner().invoke(
        command, [*asked, "--set", "training.minibatch=4"], standalone_mode=False
    )
    assert refused.return_value == 2
    errors = [line for line in refused.output.splitlines() if line.startswith("corl-train: ")]
    assert len(errors) == 1


def test_nothing_left_to_train_on(tmp_path: Path, options: Options) -> None:
    recipe = recipe_at_hand(tmp_path)
    write_rows(tmp_path / "train.jsonl", [problem(number) for number in range(100, 180)])
    with pytest.raises(ConfigError, match="80 problems are left of 80, and a step takes 128"):
        prepare_job(recipe, options)
