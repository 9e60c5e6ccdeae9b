"""`corl-bench tasks` as a user meets it: in a process of its own, in an empty folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    environment = {name: value for name, value in os.environ.items() if name != "CORL_DATA_DIR"}
    environment |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "corl_bench.cli.main", "tasks", *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def problems(folder: Path, *golds: str) -> Path:
    file = folder / "mine.jsonl"
    rows = [{"problem": f"{gold}?", "answer": gold} for gold in golds]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_the_list_shows_counts_licences_and_what_is_pinned(run: Run) -> None:
    done = run("list")
    lines = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
    assert done.returncode == 0
    assert lines["gsm8k"][1:] == ["1,319", "integer", "pinned", "yes", "MIT"]
    assert lines["aime24"][1:5] == ["30", "integer", "pinned", "no"]
    assert lines["deepscaler"][1:4] == ["?", "math", "unpinned"]
    assert {"math:train", "synth:validation"} <= lines.keys()


def test_the_list_as_json_names_sources(run: Run) -> None:
    tasks = {task["name"]: task for task in json.loads(run("list", "--json").stdout)}
    assert tasks["math500"]["splits"]["test"]["source"]["dataset"] == "HuggingFaceH4/MATH-500"
    assert tasks["amc23"]["redistributable"] is False


def test_show_tells_everything_about_a_task(run: Run) -> None:
    text = run("show", "aime25").stdout
    for part in ("yentinglin/aime_2025", "© MAA", "form feed", r"\boxed{}", "sha256:", "AIME"):
        assert part in text
    assert "statements stay out" in text
    shown = json.loads(run("show", "gsm8k:train", "--json").stdout)
    assert shown["splits"]["train"]["count"] == 7473


def test_unknown_tasks_end_in_one_line_and_2(run: Run) -> None:
    for verb in ("show", "validate"):
        done = run(verb, "gsm8")
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "near: gsm8k" in done.stderr


def test_validate_passes_a_sound_file_and_fails_another(run: Run, tmp_path: Path) -> None:
    sound = run("validate", problems(tmp_path, "1", r"\frac{1}{2}"))
    assert (sound.returncode, sound.stderr) == (0, "")
    assert sound.stdout.startswith("ok    ")
    assert re.search(r"digest sha256:[0-9a-f]{64} \(unpinned\)", sound.stdout)
    unsound = run("validate", problems(tmp_path, *["}{"] * 12))
    assert unsound.returncode == 1
    assert "FAIL" in unsound.stdout
    assert "and 2 more" in unsound.stdout
    report = json.loads(run("validate", tmp_path / "mine.jsonl", "--json").stdout)
    assert len(report[0]["faults"]) == 12


def test_validate_names_rows_that_are_not_the_pinned_ones(run: Run, tmp_path: Path) -> None:
    problems(tmp_path, "1").rename(tmp_path / "math500.jsonl")
    done = run("validate", "math500", "--data-dir", tmp_path)
    assert done.returncode == 1
    assert "digest not the pinned one" in done.stdout
    assert "1 rows with digest sha256:" in done.stdout


def test_validate_checks_everything_without_names_and_not_both(run: Run) -> None:
    bare = run("validate")
    assert bare.returncode == 0
    assert "synth:train" in bare.stdout
    assert bare.stdout == run("validate", "--all").stdout
    assert run("validate", "gsm8k", "--all").returncode == 2


def test_validate_without_data_says_how_to_get_it(run: Run) -> None:
    pytest.importorskip("datasets", reason="needs the extra corl-bench[datasets]")
    done = run("validate", "math500")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--data-dir DIR" in done.stderr


def test_the_published_aime_is_sound(run: Run, shared_dir: Path) -> None:
    done = run("validate", "aime24", "aime25", "amc23", "--data-dir", shared_dir / "datasets")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("digest pinned") == 3
