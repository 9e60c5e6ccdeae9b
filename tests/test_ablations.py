"""`benchmarks/ablations.py`: every variant is a recipe, and lines are its own."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from scripts import load_script

pytest.importorskip("torch", reason="training needs torch")

from corl_train.config import load_recipe


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("ablations")


@pytest.mark.parametrize("recipe", ["quickstart", "general", "recorded"])
def test_every_variant_changes_the_recipe(script: ModuleType, recipe: str) -> None:
    taught = [*script.TAUGHT[recipe], *script.SCHEDULE]
    taught.append(script.REWARDS.get(recipe, "reward.kind=gate"))
    base = load_recipe(recipe, settings=taught)
    for name, settings in script.VARIANTS.items():
        varied = load_recipe(recipe, settings=[*taught, *settings])
        # Of `digest` it is the protocol that changes; problems that are drawn are one recipe's.
        assert (varied == base) == (name == "base" or (name in script.SHOWS and not settings))


def test_lines_of_another_recipe_or_setting_are_none(script: ModuleType, tmp_path: Path) -> None:
    what = {"recipe": "general", "iterations": 8, "set": []}
    others = [{**what, "recipe": "quickstart"}, {**what, "iterations": 9}, {**what, "set": ["a=1"]}]
    lines = [{**one, "variant": "base", "seed": 0} for one in (what, *others)]
    path = tmp_path / "ablations.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in (*lines, {"variant": "base"})))
    assert script.read_lines(path, what) == lines[:1]
    assert script.read_lines(tmp_path / "none.jsonl", what) == []
