"""`benchmarks/ablations.py`: every variant is a recipe, and lines are its own."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import pytest

from scripts import load_script

pytest.importorskip("torch", reason="training needs torch")

import torch

from corl_train.config import load_recipe
from corl_train.runs.checkpoints import Checkpoint
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
        # Of `digest` it is the protocol that changes; problems that are drawn are one recipe's.
        same = variant == "base" or (variant in script.SHOWS and not settings)
        assert (varied == base) == same


def test_lines_of_another_recipe_or_setting_are_none(script: ModuleType, tmp_path: Path) -> None:
    what = {"recipe": "general", "iterations": 8, "set": []}
    others = [{**what, "recipe": "quickstart"}, {**what, "iterations": 9}, {**what, "set": ["a=1"]}]
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


def test_what_has_a_protocol_of_its_own_cannot_go_on(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ablations.py", "--only=digest", "--behind=run"])
    with pytest.raises(SystemExit):
        script.main()
    assert "protocols of their own" in capsys.readouterr().err
