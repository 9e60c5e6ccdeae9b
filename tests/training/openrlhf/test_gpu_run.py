"""The script for a machine with GPUs, as far as it goes without one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from corl_train.openrlhf.launching import Options, check, prepare_job
from corl_train.openrlhf.recipe import load_job_recipe

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "training" / "scripts" / "gpu_run.py"


def script(*words: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(map(str, (ROOT / "harness", ROOT / "training")))
    return subprocess.run(
        [sys.executable, str(SCRIPT), *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
        check=False,
    )


def test_its_recipe_passes_every_check(llama_folder: Path, tmp_path: Path) -> None:
    shown = script(str(llama_folder), str(tmp_path / "out"), "--steps", "12", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    text, _, commands = shown.stdout.partition("\n\nray start")
    assert "corl-train launch" in commands
    recipe_file = tmp_path / "recipe.toml"
    recipe_file.write_text(text)
    assert tomllib.loads(text)["model"]["layers"] == 2
    recipe = load_job_recipe(str(recipe_file))
    options = Options(folder=tmp_path / "job")
    prepared = prepare_job(recipe, options)
    assert prepared.estimated.steps == 12
    assert not prepared.setup.is_billed
    assert check(prepared, options) == []


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there may be a GPU")
def test_without_a_gpu_it_says_so(llama_folder: Path, tmp_path: Path) -> None:
    refused = script(str(llama_folder), str(tmp_path / "out"))
    assert refused.returncode == 1
    assert refused.stderr.strip() == "no GPU here: --dry-run shows what would be run"
    assert not (tmp_path / "out").exists()
