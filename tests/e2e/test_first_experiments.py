"""The tutorial of the first experiments, done line by line in an empty folder, in small."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from training.tiny_runs import TINY

PAGE = Path(__file__).resolve().parents[2] / "docs" / "first-experiments.md"
SMALL = {
    ("corl-train", "run"): [part for setting in TINY for part in ("--set", setting)],
    ("corl-train", "evaluate"): ["--limit", "3"],
    ("corl-train", "study"): ["--limit", "3", "--samples", "1"],
    ("corl-bench", "run"): ["--limit", "6", "--quiet"],
}
"""What makes each command short; it does the same in all else."""


def commands() -> list[list[str]]:
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines() if line]
    return [line for line in lines if line[0] != "pip"]


def test_every_command_of_the_tutorial_works(tmp_path: Path) -> None:
    said = {}
    for program, verb, *rest in commands():
        module = f"{program.replace('-', '_')}.cli.main"
        done = subprocess.run(
            [sys.executable, "-m", module, verb, *rest, *SMALL.get((program, verb), [])],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"{program} {verb}: {done.stdout}\n{done.stderr}"
        said[program, verb] = done.stdout
    assert "calls a problem: self" in said["corl-train", "evaluate"]
    assert "controller:runs/quickstart" in said["corl-bench", "run"]
    assert "everyday" in said["corl-bench", "frontier"]
    assert "Another kind of question" in said["corl-train", "study"]
    for page in ("alone/report.html", "tradeoff/report.html", "quickstart/study-transfer.html"):
        assert (tmp_path / "runs" / page).is_file()
