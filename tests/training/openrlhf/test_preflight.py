"""Mistakes that were planted, each refused with its own line, which says what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest
from click.testing import CliRunner

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Reply
from corl_bench.experts.pools import load_pool
from corl_bench.experts.recording import Attempt, RecordedCall, problem_key
from corl_bench.experts.store import RecordingStore
from corl_bench.types import Usage
from corl_train.cli.launch import command
from corl_train.cli.main import main
from corl_train.experts import Where
from corl_train.openrlhf.cluster import check_cluster
from corl_train.openrlhf.command import openrlhf_arguments
from corl_train.openrlhf.launching import Options, check, prepare_job
from corl_train.openrlhf.model_files import read_figures
from corl_train.openrlhf.placement import disk_gib
from corl_train.openrlhf.recipe import JobRecipe, load_job_recipe
from corl_train.openrlhf.survey import Node, Share, digest_of_file, look, own_build
from servers.experts import KEY
from servers.fault_server import FaultServer
from servers.threads import in_thread
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
    free_gpus=8,
    cpus=64,
    free_cpus=60,
    gpu_memory_gib=79.6,
    memory_gib=1000.0,
    free_disk_gib=3000.0,
    sees_job=True,
    packages={"openrlhf": "0.11.2", "vllm": "0.29.0", "corl-bench": own_build()},
    model="",
    experts="",
)


def mistakes_of(recipe: JobRecipe, options: Options) -> list[str]:
    return check(prepare_job(recipe, options), options)


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """Of a pool whose experts are nowhere, and not asked."""
    return Options(folder=tmp_path / "job", cap_usd=CAP, is_asking_experts=False)


@pytest.mark.parametrize("name", ["corl-paper", "corl-paper-2x8", "corl-lora"])
def test_recipes_that_come_with_us_pass(
    name: str, tmp_path: Path, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they are, but for the test sets that problems are kept apart from: rows cannot be made
    up that these pin."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    write_rows(tmp_path / "deepscaler.jsonl", [problem(number) for number in range(100, 6100)])
    recipe = load_job_recipe(name, settings=["data.apart_from=[]"])
    given = replace(options, data_dir=tmp_path, host="10.0.0.1", cap_usd=Decimal(100_000))
    assert mistakes_of(recipe, given) == []
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
        "placement.tensor_parallel 3 does not divide the 8 GPUs of a node: set it to 1, 2 or 4",
    ),
    "more parallel than heads": (
        {"placement__tensor_parallel": "8"},
        "placement.tensor_parallel 8 does not divide the model's 4 KV heads: set it to 1, 2 or 4",
    ),
    "an engine over more GPUs than there are": (
        {"placement__tensor_parallel": "3", "placement__gpus_per_node": "1"}
        | {"placement__gpu_memory_gib": "640", "training__minibatch": "8"},
        "does not divide the 1 GPUs of a node: set it to 1",
    ),
    "a micro batch beyond the memory": (
        {"training__micro_batch": "2"},
        "an update takes 100 GiB of a GPU's 80 (30 of states, 66 of activations): lower"
        " training.context or micro_batch, set placement.offload_reference=true, set"
        " placement.offload_adam=true, or take more GPUs",
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
    "a budget that own turns and a question take": (
        # Own turns alone fit.
        {"data__budgets": "low=0.00002,high=0.05"},
        "low ($0.00002) fits not one call to any expert, so every reward would be zero: the"
        " question of the cheapest call alone costs about $0.0000053, and the controller's own"
        " two turns about $0.0000162 by model.usd_per_mtok; raise",
    ),
    "own turns that cost too much": (
        {"model__usd_per_mtok": "20"},
        "by model.usd_per_mtok; raise the budget",
    ),
    "a model that is not there": (
        {"model__path": "/models/qwen"},
        "model.path: there is no directory /models/qwen, and it is no id of the hub",
    ),
    "a model that nobody could name": (
        {"model__path": "Qwen/Qwen2.5/7B"},
        "model.path: there is no directory Qwen/Qwen2.5/7B, and it is no id of the hub",
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


RECORDED_POOL = """
[budgets]
low = "0.002"

[experts.nano]
provider = "recorded"
model = "gpt-4.1-nano"
price = "openai/gpt-4.1-nano"
max_output_tokens = 500
"""
IMPOSSIBLE: dict[str, tuple[tuple[str, ...], str]] = {
    # What workers would refuse, each in its own process.
    "percentile": (("--set", "reward.kind=percentile"), "the percentile reward compares with"),
    "mean": (("--set", "reward.kind=mean"), "the mean reward takes prices"),
    "nothing to replay": (("--mode", "replay"), "mode replay needs recordings"),
    "half a store": (("--mode", "replay", "--recordings", "STORE"), "has no reply of large:"),
    "an alias alone": (
        ("--mode", "replay", "--recordings", "OTHERS"),
        "has no reply of nano, large:",
    ),
    "live recordings": (("--mode", "live", "--recordings", "STORE"), "drop --recordings"),
    "no store": (("--recordings", "nosuch.sqlite"), "no recordings at nosuch.sqlite"),
    "recorded experts": (("--set", "data.pool=RECORDED"), "name them with --recordings"),
    "other problems": (
        ("--set", "data.pool=RECORDED", "--recordings", "STORE"),
        "has no problem of",
    ),
}


def fill(
    path: Path,
    text: str,
    *experts: tuple[str, str],
    origin: Literal["recorded", "imported"] = "imported",
) -> None:
    """A store with a reply to a statement of each (alias, model)."""
    usage = Usage(input_tokens=20, output_tokens=30)
    with RecordingStore.open(path) as store:
        for alias, model in experts:
            call = RecordedCall(
                *("" if origin == "imported" else alias, 0, 0, alias, model, problem_key(text)),
                attempts=(Attempt("ok", usage),),
                reply=Reply("$1$", usage),
                origin=origin,
            )
            assert store.add(call)


@pytest.mark.parametrize("is_dry", [True, False])
@pytest.mark.parametrize("planted", IMPOSSIBLE)
def test_what_no_worker_could_do_is_refused_in_the_dry_run_too(
    planted: str,
    is_dry: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments, said = IMPOSSIBLE[planted]
    monkeypatch.chdir(tmp_path)
    settings = [f"--set={key}={value}" for key, value in settings_at_hand(tmp_path).items()]
    (tmp_path / "recorded.toml").write_text(RECORDED_POOL)
    fill(tmp_path / "store.sqlite", "another problem", ("nano", "gpt-4.1-nano"))
    simulated = (("nano", "simulated-nano"), ("large", "simulated-large"))
    fill(tmp_path / "others.sqlite", "another problem", *simulated, origin="recorded")
    names = {"STORE": "store.sqlite", "OTHERS": "others.sqlite"}
    given = [names.get(word, word.replace("RECORDED", "recorded.toml")) for word in arguments]
    before = sorted(tmp_path.rglob("*"))
    asked = ["launch", "corl-paper", *settings, *given, "--out", "job", "--max-cost", "500"]
    with pytest.raises(SystemExit) as ended:
        main([*asked, "--skip-expert-check", *(["--dry-run"] if is_dry else [])])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("pool", "mode", "source"),
    [
        ("sim", "auto", "simulated"),
        ("sim", "replay", "replay"),
        ("recorded", "auto", "replay"),
        ("recorded", "replay", "replay"),
        ("live", "replay", "replay"),
        ("live", "auto", "gateway"),
    ],
)
def test_mode_and_recordings_are_obeyed(
    pool: str, mode: Where, source: str, tmp_path: Path, options: Options
) -> None:
    changes = {} if pool == "live" else {"data__pool": "sim"}
    if pool == "recorded":
        (tmp_path / "recorded.toml").write_text(RECORDED_POOL)
        changes = {"data__pool": str(tmp_path / "recorded.toml")}
    recipe, path = recipe_at_hand(tmp_path, **changes), tmp_path / "store.sqlite"
    kept = prepare_job(recipe_at_hand(tmp_path), options).rows.task.problems[0]
    fill(path, kept.text, *((e.name, e.model) for e in load_pool(recipe.data.pool).experts))
    given = replace(options, mode=mode, recordings=path)
    prepared = prepare_job(recipe, given)
    assert prepared.job.experts == source
    assert prepared.job.recordings == (None if source == "gateway" else str(path))
    assert [" have answered 1 of 384 " in gap for gap in prepared.gaps] == (
        [True] if source == "replay" else []
    )


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


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    """Both experts of the pool at hand, behind an address that wants a key."""
    monkeypatch.setenv("EXPERTS_KEY", KEY)
    with in_thread(lambda: FaultServer(key=KEY, models=("gpt-4.1", "gpt-4.1-nano"))) as server:
        yield server


def asking(tmp_path: Path, server: FaultServer, **changes: str) -> JobRecipe:
    """A recipe whose pool asks a server, with its key."""
    recipe = recipe_at_hand(tmp_path, **changes)
    text = (tmp_path / "pool.toml").read_text()
    there = f'base_url = "{server.base_url}"\nkey_env = "EXPERTS_KEY"'
    (tmp_path / "pool.toml").write_text(text.replace('base_url = "http://127.0.0.1:9/v1"', there))
    return recipe


def test_experts_are_asked_before_anything_is_begun(
    served: FaultServer, tmp_path: Path, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, asks = asking(tmp_path, served), replace(options, is_asking_experts=True)
    assert mistakes_of(recipe, asks) == []
    monkeypatch.setenv("EXPERTS_KEY", "sk-of-somebody-else")
    refused = mistakes_of(recipe, asks)
    assert len(refused) == 2
    for line, name in zip(refused, ("nano (gpt-4.1-nano)", "large (gpt-4.1)"), strict=True):
        assert line.startswith(f"expert {name} would not answer (") and "\n" not in line
        assert "401" in line and "--skip-expert-check" in line and "sk-of" not in line
    assert mistakes_of(recipe, options) == []
    assert served.requests == []  # lists of models alone, which nobody bills


def test_an_expert_that_is_not_there_or_has_not_the_model(
    served: FaultServer, tmp_path: Path, options: Options
) -> None:
    recipe, asks = asking(tmp_path, served), replace(options, is_asking_experts=True)
    text = (tmp_path / "pool.toml").read_text()
    text = text.replace(served.base_url, "http://127.0.0.1:9/v1", 1)
    (tmp_path / "pool.toml").write_text(text.replace('model = "gpt-4.1"', 'model = "o3"'))
    nano, large = mistakes_of(recipe, asks)
    assert nano.startswith("expert nano (gpt-4.1-nano) would not answer (")
    assert large.startswith("expert large (o3) would not answer (")
    assert "o3 is not among 2 models listed" in large


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
    (model / "config.json").write_text(json.dumps(config | {"head_dim": 64}))
    (said,) = mistakes_of(recipe, options)
    assert said.startswith("model.head_dim is 128, and")
    (model / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 36}))
    (said,) = mistakes_of(recipe, options)
    assert said.startswith("model.layers is 28, and")
    assert "say 36" in said


def test_parameters_are_counted_in_the_files(
    llama_folder: Path, tmp_path: Path, options: Options
) -> None:
    """Those of a small Llama, and of the LoRA that `peft` makes of it."""
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    llama = transformers.AutoModelForCausalLM.from_pretrained(llama_folder)
    adapted = peft.get_peft_model(
        llama, peft.LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear")
    )
    trained, whole = adapted.get_nb_trainable_parameters()
    told = read_figures(llama_folder, lora_rank=4)
    assert told["lora_parameters"] == trained and told["parameters"] == whole - trained

    settings = {f"model__{name}": str(value) for name, value in told.items()}
    settings |= {"model__path": str(llama_folder), "model__lora_rank": "4"}
    settings |= {"placement__engine_memory": "0.3"}
    fits = recipe_at_hand(tmp_path, "corl-lora", **settings)
    assert [line for line in mistakes_of(fits, options) if "model." in line] == []
    for name in ("parameters", "lora_parameters"):
        other = settings | {f"model__{name}": str(2 * told[name])}
        found = mistakes_of(recipe_at_hand(tmp_path, "corl-lora", **other), options)
        assert [line for line in found if line.startswith(f"model.{name} is {2 * told[name]}")]


@pytest.mark.parametrize("written", ["~/models/x", "models/x", "./models/x"])
def test_the_model_that_is_checked_is_the_one_that_is_passed(
    written: str, tmp_path: Path, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "models" / "x"
    model.mkdir(parents=True)
    recipe = recipe_at_hand(tmp_path, model__path=written)
    arguments = openrlhf_arguments(recipe, options.folder, seed=0)
    for flag in ("--actor.model_name_or_path", "--critic.model_name_or_path"):
        assert arguments[arguments.index(flag) + 1] == str(model)
    (said,) = mistakes_of(recipe, options)
    assert said.startswith(f"model.path: {model} has no config.json")
    # What is no directory here is an id of the hub, unless it cannot be one.
    gone = recipe_at_hand(tmp_path, model__path=written.replace("x", "y"))
    found = mistakes_of(gone, options)
    assert len(found) == (0 if written == "models/x" else 1)


CLUSTERS: dict[str, tuple[Callable[[Node], Node], str]] = {
    "too few GPUs": (lambda n: replace(n, gpus=4), "wants 1 × 8 GPUs, and the cluster has gpu-1 4"),
    "GPUs that others hold": (
        lambda n: replace(n, free_gpus=6),
        "wants 1 × 8 GPUs, and of the cluster's are free: gpu-1 6 of 8; wait for the jobs",
    ),
    "CPUs that others hold": (lambda n: replace(n, free_cpus=4), "has 4 of 64 CPUs to give"),
    "a model that is not there": (
        lambda n: replace(n, model="no such repository"),
        "finds no model Qwen/Qwen2.5-7B-Instruct (no such repository): mend model.path",
    ),
    "smaller GPUs": (
        lambda n: replace(n, gpu_memory_gib=39.6),
        "node gpu-1: its GPUs have 40 GiB: set placement.gpu_memory_gib=40",
    ),
    "a driver that says nothing": (
        lambda n: replace(n, gpu_memory_gib=None),
        "nvidia-smi tells no memory",
    ),
    "too few CPUs": (
        lambda n: replace(n, cpus=4, free_cpus=4),
        "Ray has 4 of 4 CPUs to give",
    ),
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
        lambda n: replace(n, packages={k: v for k, v in n.packages.items() if k != "vllm"}),
        "has no vLLM, and OpenRLHF 0.11.2 takes 0.29.0 or later: pip install 'vllm==0.29.0'",
    ),
    "a vLLM that OpenRLHF does not take": (
        lambda n: replace(n, packages=n.packages | {"vllm": "0.10.2+cu129"}),
        "has vLLM 0.10.2+cu129, and OpenRLHF 0.11.2 takes 0.29.0 or later",
    ),
    "another corl-bench": (
        lambda n: replace(n, packages=n.packages | {"corl-bench": "0.0.1 (00000000)"}),
        "has corl-bench 0.0.1 (00000000), and what launches is",
    ),
    "no corl-bench of which it knows": (
        lambda n: replace(n, packages={k: v for k, v in n.packages.items() if k != "corl-bench"}),
        "has corl-bench none, and what launches is",
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


def test_a_later_vllm_is_taken(tmp_path: Path) -> None:
    for version in ("0.29.0", "0.32.0", "1.0rc1"):
        node = replace(NODE, packages=NODE.packages | {"vllm": version})
        assert check_cluster(recipe_at_hand(tmp_path), [node], 300) == []


def test_a_lora_is_not_told_what_no_lora_may_do(tmp_path: Path, options: Options) -> None:
    changes = {"placement__gpu_memory_gib": "40", "training__prompts": "128"}
    said = mistakes_of(recipe_at_hand(tmp_path, "corl-lora", **changes), options)
    (update,) = [line for line in said if "an update takes" in line or "generating takes" in line]
    assert "zero_stage" not in update and "more GPUs" not in update
    small = changes | {"placement__gpu_memory_gib": "20"}
    (update, *_) = mistakes_of(recipe_at_hand(tmp_path, "corl-lora", **small), options)
    assert update.endswith("take GPUs with more memory"), update


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("data.limit=10", r"^data\.limit 10 is less than the 128 problems of one step: raise it"),
        ("data.budgets=little", r"^data\.budgets 'little': neither dollars nor a budget"),
    ],
)
def test_a_setting_of_the_data_is_said_by_its_name(
    setting: str, said: str, tmp_path: Path, options: Options
) -> None:
    key, _, value = setting.partition("=")
    with pytest.raises(ConfigError, match=said):
        prepare_job(recipe_at_hand(tmp_path, **{key: value}), options)


def test_a_list_is_asked_for_as_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'data\.apart_from: a list, as in \["synth"\]'):
        recipe_at_hand(tmp_path, data__apart_from="synth")


def test_only_nodes_with_gpus_are_looked_at(tmp_path: Path) -> None:
    head = replace(NODE, name="head", gpus=0, gpu_memory_gib=None, packages={})
    assert check_cluster(recipe_at_hand(tmp_path), [head, NODE], 300) == []


def test_every_node_that_ray_may_take_is_looked_at(tmp_path: Path) -> None:
    recipe = recipe_at_hand(tmp_path)
    other = replace(NODE, name="gpu-2", sees_job=False)
    (said,) = check_cluster(recipe, [NODE, other], 300)
    assert "node gpu-2: does not see the job's directory" in said
    # Nothing can be placed there, so it need not do.
    assert check_cluster(recipe, [NODE, replace(other, free_gpus=0)], 300) == []


def test_a_machine_is_looked_at_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text("{}")
    digest = digest_of_file(tmp_path / "job.json")
    share = Share(0, 0, 2, 1)
    health = "http://127.0.0.1:9/health"
    node = look(str(tmp_path), digest, "here", share, health_url=health)
    assert (node.name, node.cpus, node.free_cpus) == ("here", 2, 1)
    assert node.sees_job
    assert node.memory_gib > 0.5
    assert node.free_disk_gib > 0
    assert "refused" in node.experts
    elsewhere = look(str(tmp_path / "not" / "there"), digest, "here", share)
    assert not elsewhere.sees_job
    assert elsewhere.experts == ""


def test_a_machine_says_whether_it_finds_the_model(llama_folder: Path, tmp_path: Path) -> None:
    share = Share(0, 0, 2, 2)
    assert look(str(tmp_path), "", "here", share, model=str(llama_folder)).model == ""
    (tmp_path / "empty").mkdir()
    for model in (tmp_path / "none", tmp_path / "empty"):
        assert look(str(tmp_path), "", "here", share, model=str(model)).model


def test_a_misspelt_directory_is_found_before_the_large_job(tmp_path: Path) -> None:
    """It looks like an id of the hub, so the nodes ask the hub; here one that knows nothing."""
    pytest.importorskip("transformers")
    code = (
        "from corl_train.openrlhf.survey import Share, look\n"
        f"print(look({str(tmp_path)!r}, '', 'here', Share(0, 0, 2, 2), model='models/qwem').model)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert len(told.stdout.strip()) > 20 and told.stdout.count("\n") == 1


def test_a_dry_run_shows_all_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-the-secret")
    settings = settings_at_hand(tmp_path)
    given = [f"--set={key}={value}" for key, value in settings.items()]
    out = tmp_path / "job"
    asked = ["corl-paper", *given, "--out", str(out), "--max-cost", "500", "--dry-run"]
    unasked = CliRunner().invoke(command, asked, standalone_mode=False)
    assert unasked.return_value == 2 and "expert nano (gpt-4.1-nano)" in unasked.output
    asked.append("--skip-expert-check")
    told = CliRunner().invoke(command, asked, standalone_mode=False)
    assert told.exit_code == 0, told.output
    assert told.return_value == 0
    assert "ray job submit" in told.output
    assert "--train.agent_func_path" in told.output
    assert "sk-the-secret" not in told.output
    assert "cap $500.00" in told.output
    assert "worst cases: every reply" in told.output  # what calls fit into which budget
    assert "low ($0.002)" in told.output
    assert not out.exists()

    refused = CliRunner().invoke(
        command, [*asked, "--set", "training.minibatch=4"], standalone_mode=False
    )
    assert refused.return_value == 2
    assert "ray job submit" not in refused.output  # it would hide what is said
    errors = [line for line in refused.output.splitlines() if line.startswith("corl-train: ")]
    assert len(errors) == 1


def test_nothing_left_to_train_on(tmp_path: Path, options: Options) -> None:
    recipe = recipe_at_hand(tmp_path)
    write_rows(tmp_path / "train.jsonl", [problem(number) for number in range(100, 180)])
    with pytest.raises(ConfigError, match="80 problems are left of 80, and a step takes 128"):
        prepare_job(recipe, options)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--host", "bad host!", "'bad host!' is neither an address nor the name of a machine"),
        ("--host", "10.0.0.1:80", "is neither an address nor the name of a machine"),
        ("--address", "notaurl", "--address 'notaurl' is none of Ray's job server"),
    ],
)
def test_an_address_that_is_none_is_refused_at_once(
    option: str, value: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_at_hand(tmp_path)
    given = [f"--set={key}={value}" for key, value in settings.items()]
    with pytest.raises(SystemExit) as ended:
        main(["launch", "corl-paper", *given, "--max-cost", "500", option, value, "--dry-run"])
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert said in told.err and told.out == ""


@pytest.mark.parametrize("host", ["::1", "10.0.0.1", "head", "gpu-1.cluster.local", "node_1"])
def test_an_address_that_is_one_is_taken(host: str, tmp_path: Path) -> None:
    settings = [f"--set={key}={value}" for key, value in settings_at_hand(tmp_path).items()]
    asked = ["corl-paper", *settings, "--max-cost", "500", "--host", host, "--dry-run"]
    told = CliRunner().invoke(command, [*asked, "--skip-expert-check"], standalone_mode=False)
    assert told.return_value == 0, told.output


def test_a_checkpoint_goes_before_another_is_written(tmp_path: Path) -> None:
    """Room for those that are kept and the best; `test_rotation` counts what really is there."""
    recipe = recipe_at_hand(tmp_path)
    more = recipe_at_hand(tmp_path, schedule__keep=str(recipe.schedule.keep + 1))
    checkpoint = disk_gib(more, 300) - disk_gib(recipe, 300)
    weights = 2 * recipe.model.parameters / 2**30
    assert checkpoint == pytest.approx(2 * 14 * recipe.model.parameters / 2**30)
    there = recipe.schedule.keep + 1
    assert disk_gib(recipe, 300) == pytest.approx(there * checkpoint + weights)
