"""The real rows of the field's datasets, where they are at hand: all pinned, all mended."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from corl_bench.tasks import list_tasks, load_task

SPLITS = [
    f"{spec.name}:{name}"
    for spec in list_tasks()
    for name, split in spec.splits.items()
    if split.digest and not split.generated
]


@pytest.mark.parametrize("name", SPLITS)
def test_the_published_rows_are_the_pinned_ones(name: str, shared_dir: Path) -> None:
    task = load_task(name, data_dir=shared_dir / "datasets")
    assert task.digest_status == "pinned"
    assert len(task.problems) == task.spec.splits[task.split].count
    for problem in task.problems:
        assert not re.search(r"[\x00-\x08\x0b-\x1f]", problem.text)
        assert problem.text == problem.text.strip()
        if problem.kind == "integer":
            assert problem.answer == str(int(problem.answer))
        if task.spec.name.startswith("aime"):
            assert 0 <= int(problem.answer) <= 999
        if task.spec.difficulty:
            assert problem.level == task.spec.difficulty.level


def test_levels_and_subjects_of_math_arrive(shared_dir: Path) -> None:
    for name, unrated in (("math500", 0), ("math", 0), ("math:train", 2)):
        problems = load_task(name, data_dir=shared_dir / "datasets").problems
        assert sum(problem.level is None for problem in problems) == unrated
        assert len({problem.subject for problem in problems}) == 7


def test_the_recorded_problems_are_tasks(shared_dir: Path) -> None:
    for folder, rows, train in (("math-l5", 721, 360), ("gsm", 1319, 659)):
        file = shared_dir / "recordings" / folder / "problems.jsonl.zst"
        task = load_task(str(file))
        assert (task.label, task.total) == (folder, rows)
        assert task.problems[0].id.startswith(f"{folder}/")
        assert load_task(f"{file}:train").total == train


def test_the_real_solutions_hold_the_real_golds(shared_dir: Path, tmp_path: Path) -> None:
    rows = (shared_dir / "datasets" / "math_test.jsonl").read_text().splitlines()
    with (tmp_path / "math_test.jsonl").open("w") as file:
        for row in map(json.loads, rows):
            del row["answer"]
            file.write(json.dumps(row) + "\n")
    assert load_task("math", data_dir=tmp_path).digest_status == "pinned"
