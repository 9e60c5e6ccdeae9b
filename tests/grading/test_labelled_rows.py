"""Public labelled rows: a floor under accuracy, and no verdict that depends on direction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from corl_bench.grading import equivalent, grade, is_correct


@pytest.fixture(scope="module")
def rows(shared_dir: Path) -> dict[str, list[dict[str, Any]]]:
    folder = shared_dir / "checker" / "cases"
    if not folder.is_dir():
        pytest.skip("needs the labelled rows beside the shared data")
    return {
        path.stem: [r for r in map(json.loads, path.open(encoding="utf-8")) if not r.get("policy")]
        for path in sorted(folder.glob("*.jsonl"))
    }


@pytest.mark.parametrize("name", ["math500_self", "math500_solution", "math500_neg"])
def test_math500_has_no_mistake(name: str, rows: dict[str, list[dict[str, Any]]]) -> None:
    assert [r for r in rows[name] if is_correct(r["gold"], r["pred"]) != r["label"]] == []


def test_hard_rows(rows: dict[str, list[dict[str, Any]]]) -> None:
    hard = [r for name, part in rows.items() if not name.startswith("math500") for r in part]
    wrong = [r for r in hard if is_correct(r["gold"], r["pred"]) != r["label"]]
    assert len(hard) > 500
    assert len(wrong) <= 4
    assert sum(not r["label"] for r in wrong) <= 1


@pytest.mark.parametrize(
    "name", ["aime_amc", "issues", "nemo_skills", "inspect_ai", "hendrycks", "tinker"]
)
def test_sets_without_a_mistake(name: str, rows: dict[str, list[dict[str, Any]]]) -> None:
    assert [r for r in rows[name] if is_correct(r["gold"], r["pred"]) != r["label"]] == []


def test_bare_pairs_compare_alike_both_ways(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Except for `m+n = 73`, which an answer may say and a gold may not mean."""
    one_way = []
    for name in ("aime_amc", "issues", "nemo_skills", "inspect_ai", "math500_neg"):
        for row in rows[name]:
            gold, answer = row["gold"], row["pred"]
            bare = len(answer) < 60 and "boxed" not in answer and "\n" not in answer
            if bare and equivalent(gold, answer) != equivalent(answer, gold):
                one_way.append((gold, answer))
    assert one_way == [("73", "m+n=73")]


def test_golds_of_every_dataset_grade_correct(shared_dir: Path) -> None:
    failures = []
    for path in sorted((shared_dir / "datasets").glob("*.jsonl")):
        for line in path.open(encoding="utf-8"):
            answer = str(json.loads(line)["answer"]).rsplit("####", 1)[-1].strip()
            # Three rows of the public training file have no answer.
            if answer and grade(answer, rf"Thus \boxed{{{answer}}}.").status != "correct":
                failures.append((path.stem, answer))
    assert failures == []
