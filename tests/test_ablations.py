"""`benchmarks/ablations.py`: every variant is a recipe, and lines are its own."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import pytest

from scripts import load_script

pytest.importorskip("torch", reason="training needs torch")

import torch

from corl_bench.episode import ExpertInfo
from corl_train.config import load_recipe
from corl_train.runs.checkpoints import Checkpoint
from corl_train.setup import new_policy
from corl_train.trainer import train
from training.scripted_policy import sums
from training.tiny_runs import TINY, recipe


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("ablations")


@pytest.mark.parametrize("name", ["quickstart", "general", "recorded"])
def test_every_variant_changes_the_recipe(script: ModuleType, name: str) -> None:
    taught = [*script.TAUGHT[name], *script.SCHEDULE]
    taught.append(script.REWARDS.get(name, "reward.kind=gate"))
    base = load_recipe(name, settings=taught)
    for variant, settings in script.VARIANTS.items():
        varied = load_recipe(name, settings=[*taught, *settings])
        assert (varied == base) == (variant == "base")


@pytest.mark.parametrize("name", ["digest", "whole text"])
def test_of_replies_a_policy_reads_what_it_is_shown(
    script: ModuleType, tmp_path: Path, name: str
) -> None:
    chosen = Namespace(recipe="quickstart", settings=[], iterations=1, behind=None)
    setup = script.Bench(chosen, 0, tmp_path).variant(name)
    assert (setup.protocol.shows, setup.protocol.max_calls) == (script.SHOWS[name], 4)
    infos = [ExpertInfo.of(expert) for expert in setup.pool.experts]
    policy = new_policy(setup, seed=0)
    before = policy.read("user", setup.protocol.opening("What?", setup.budgets[0], infos), [])
    said = '<result spent="3%" expert="mini" number="1" tally="mini">{}</result>'
    texts = ("What is the value of the sum?", "Find the number of ways to do it.")
    sums, ways = (policy.read("user", said.format(text), before) for text in texts)
    assert sums != ways
    assert load_recipe("recorded", settings=script.VARIANTS[name]).policy.words > 0


def test_lines_of_another_recipe_or_setting_are_none(script: ModuleType, tmp_path: Path) -> None:
    what = {"recipe": "general", "iterations": 8, "set": [], "samples": 1}
    changed: list[dict[str, object]] = [{"recipe": "quickstart"}, {"iterations": 9}, {"samples": 2}]
    others = [{**what, **one} for one in (*changed, {"set": ["a=1"]})]
    lines = [{**one, "variant": "base", "seed": 0} for one in (what, *others)]
    path = tmp_path / "ablations.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in (*lines, {"variant": "base"})))
    assert script.read_lines(path, what) == lines[:1]
    assert script.read_lines(tmp_path / "none.jsonl", what) == []


def test_behind_a_run_variants_go_on_from_its_warm_start(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(recipe("training.iterations=1"), tmp_path / "run-3", seed=3)
    kept = Checkpoint.load(tmp_path / "run-3")
    assert kept is not None
    behind, out = str(tmp_path / "run-{seed}"), tmp_path / "lines.jsonl"
    begun = script.Bench(Namespace(behind=behind), 3, tmp_path).begin().policy.module.state_dict()
    assert all(torch.equal(begun[key], weights) for key, weights in kept.reference.items())
    assert any(not torch.equal(begun[key], weights) for key, weights in kept.policy.items())
    settings = [f"--set={setting}" for setting in (*TINY, f"data.test={sums(tmp_path).source}")]
    asked = ["ablations.py", "--seeds=3", "--iterations=1", "--only=base", f"--behind={behind}"]
    monkeypatch.setattr(sys, "argv", [*asked, f"--out={out}", *settings])
    script.main()
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(line["variant"], line["entropy"] is None) for line in lines] == [
        ("warm start", True),
        ("base", False),
    ]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("--only=digest --behind=run", "are taught anew"),
        ("--only=digest --recipe=general", "are taught anew"),
        ("--only=base --behind=nowhere", "nowhere holds no training run"),
        ("--only=base --set=policy.width=-1", "policy.width: input should be"),
    ],
)
def test_mistakes_are_one_line(script: ModuleType, tmp_path: Path, asked: str, said: str) -> None:
    command = [sys.executable, script.__file__, *asked.split(), "--seeds=0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
