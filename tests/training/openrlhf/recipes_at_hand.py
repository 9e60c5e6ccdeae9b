"""A recipe for OpenRLHF that loads without a hub, a key or a GPU, and problems to train on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corl_train.openrlhf.recipe import JobRecipe, load_job_recipe

POOL = """
[budgets]
low = "0.002"
high = "0.05"

[experts.nano]
provider = "openai"
model = "gpt-4.1-nano"
base_url = "http://127.0.0.1:9/v1"
price = "openai/gpt-4.1-nano"
max_output_tokens = 500

[experts.large]
provider = "openai"
model = "gpt-4.1"
base_url = "http://127.0.0.1:9/v1"
price = "openai/gpt-4.1"
max_output_tokens = 1000
"""


def problem(number: int, tag: str = "sheep") -> dict[str, str]:
    """A statement like no other, and its gold."""
    text = (
        f"A farmer counts {number} {tag}, then {3 * number + 1} more behind the hill, and loses"
        f" {number % 7} of them in the fog. How many {tag} does the farmer number {number} keep?"
    )
    return {"problem": text, "answer": str(4 * number + 1 - number % 7)}


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def settings_at_hand(folder: Path, count: int = 400) -> dict[str, str]:
    """Settings with which any recipe takes files of a folder, which are written there."""
    (folder / "pool.toml").write_text(POOL)
    write_rows(folder / "train.jsonl", [problem(number) for number in range(100, 100 + count)])
    write_rows(folder / "test.jsonl", [problem(number, "goats") for number in range(20)])
    return {
        "data.train": str(folder / "train.jsonl"),
        "data.apart_from": json.dumps([str(folder / "test.jsonl")]),
        "data.pool": str(folder / "pool.toml"),
        "data.validation_problems": "16",
        "schedule.checkpoint_every": "1",
    }


def recipe_at_hand(folder: Path, name: str = "corl-paper", **changes: str) -> JobRecipe:
    """A recipe that comes with corl-train, on those files.

    Args:
        folder: where they are written.
        name: of the recipe.
        changes: settings, with two underscores for the dot.
    """
    changed = {key.replace("__", "."): value for key, value in changes.items()}
    settings = settings_at_hand(folder) | changed
    return load_job_recipe(name, settings=[f"{key}={value}" for key, value in settings.items()])
