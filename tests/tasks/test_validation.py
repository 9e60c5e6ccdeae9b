"""Validation finds what would make a run worthless."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from corl_bench.grading import grade
from corl_bench.tasks import load_task
from corl_bench.tasks.loading import LoadedTask
from corl_bench.tasks.validation import find_faults


def a_task(folder: Path, *golds: str, kind: str = "math") -> LoadedTask:
    file = folder / "mine.jsonl"
    rows = [{"problem": f"{gold}?", "answer": gold, "kind": kind} for gold in golds]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_task(str(file))


def test_a_sound_task_has_no_faults(tmp_path: Path) -> None:
    golds = ("1", r"\frac{1}{2}", r"\left( 3, \frac{\pi}{2} \right)", r"[0, \infty)", "1")
    assert find_faults(a_task(tmp_path, *golds), grade) == []
    assert find_faults(a_task(tmp_path, "(c)", kind="choice"), grade) == []
    assert find_faults(a_task(tmp_path, "007", "1,000", kind="integer"), grade) == []


def test_a_gold_that_does_not_grade_is_named_wherever_it_stands(tmp_path: Path) -> None:
    faults = find_faults(a_task(tmp_path, "1", "}{", "}{"), grade)
    assert [fault.partition(":")[0] for fault in faults] == ["mine/1", "mine/2"]
    assert all("against itself" in fault for fault in faults)


def test_repeated_ids_and_other_rows_are_faults(tmp_path: Path) -> None:
    task = a_task(tmp_path, "1")
    twice = replace(task, problems=task.problems * 2, digest_status="mismatch-allowed")
    mismatch, repeated = find_faults(twice, grade)
    assert task.digest in mismatch
    assert "None" not in mismatch
    assert mismatch.endswith("the task pins no digest yet")
    assert repeated == "id 'mine/0' stands 2 times"
