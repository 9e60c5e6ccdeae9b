"""Wrong answers: enough of them, truly wrong, of the right form, the same in every process."""

from __future__ import annotations

import doctest
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import corl_bench.tasks.distractors
from corl_bench.tasks.answer_values import read, same
from corl_bench.tasks.distractors import distractors
from corl_bench.tasks.synth import generate
from corl_bench.types import AnswerKind, Problem


def wrong(gold: str, kind: AnswerKind = "math", **metadata: str) -> tuple[str, ...]:
    return distractors(Problem("p", "text", gold, kind=kind, metadata=metadata))


def check(problem: Problem, found: tuple[str, ...]) -> None:
    assert len(found) >= 6
    assert len(set(found)) == len(found)
    values = [read(answer) for answer in (problem.answer, *found)]
    for k, value in enumerate(values):
        assert not any(same(value, other) for other in values[:k]), (problem.answer, found)


def test_generated_problems_have_wrong_answers_of_the_same_type() -> None:
    for problem in generate("test"):
        found = distractors(problem)
        if problem.kind == "choice":
            assert sorted((*found, problem.answer)) == list("ABCDE")
            continue
        check(problem, found)
        if problem.kind == "integer":
            assert all(answer.isdigit() and int(answer) <= 999 for answer in found)
        if problem.metadata["answer_type"] == "integer":
            assert all(answer.lstrip("-").isdigit() for answer in found)
        if problem.metadata["answer_type"] == "interval":
            rows = [read(answer).rows for answer in found]
            assert all(low < high for low, high in rows)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("math500", "math"), ("gsm8k_test", "math"), ("aime24", "integer"), ("aime25", "integer")],
)
def test_every_gold_of_the_published_sets_has_wrong_answers(
    shared_dir: Path, name: str, kind: AnswerKind
) -> None:
    for line in (shared_dir / "datasets" / f"{name}.jsonl").read_text().splitlines():
        row = json.loads(line)
        problem = Problem(str(row["id"]), row["problem"], str(row["answer"]), kind=kind)
        found = distractors(problem)
        check(problem, found)
        if kind == "integer":
            assert all(answer.isdigit() and int(answer) <= 999 for answer in found)


def test_slips_come_first_and_the_right_answer_in_other_clothes_is_dropped() -> None:
    slips = json.dumps([r"\frac{4}{12}", r"\frac{2}{3}", r"\frac{3}{4}"])
    assert wrong(r"\frac{1}{3}", slips=slips)[:2] == (r"\frac{2}{3}", r"\frac{3}{4}")


def test_a_contest_answer_stays_between_0_and_999() -> None:
    for gold in ("0", "1", "7", "500", "998", "999"):
        found = wrong(gold, "integer")
        assert len(found) >= 6
        assert all(answer == str(int(answer)) and 0 <= int(answer) <= 999 for answer in found)


@pytest.mark.parametrize(
    ("gold", "expected"),
    [
        ("6 - 5i", "6 + 5i"),
        ("(3, -2)", "(-2, 3)"),
        (r"\left( 3, \frac{\pi}{2} \right)", r"\left(\frac{\pi}{2}, 3 \right)"),
        (r"\frac{13}{36}", r"\frac{23}{36}"),
        (r"2\sqrt{3}", r"4\sqrt{3}"),
        ("1,080", "1,081"),
        (r"\$18.90", r"\$9.45"),
        (r"\text{even}", r"\text{odd}"),
        (r"\text{(C)}", r"\text{(D)}"),
        ("Sunday", "Monday"),
        (r"\cot x", r"-\cot x"),
        ("x", "2x"),
        (r"\text{Evelyn}", "1"),
        ("52_8", "53_8"),
        ("-1", "1"),
    ],
)
def test_wrong_answers_are_what_a_slip_would_give(gold: str, expected: str) -> None:
    found = wrong(gold)
    assert expected in found
    assert len(found) >= 6


def test_a_monstrous_gold_still_has_wrong_answers() -> None:
    for gold in ("7" * 6000, "(" * 3000, r"\frac{" * 2000, "9^{9^{9^{9}}}", ""):
        assert len(set(wrong(gold))) >= 6
        assert len(set(wrong(gold, "integer"))) >= 6


def test_a_column_that_happens_to_be_called_slips_does_no_harm() -> None:
    for column in ("banana", "7", '{"a": 1}', "[1, 2]", "[["):
        assert wrong("42", slips=column) == wrong("42")


def test_digits_of_a_base_and_infinite_ends_stay() -> None:
    assert all(answer.endswith("_8") for answer in wrong("52_8"))
    assert all(answer.endswith(r"\infty)") for answer in wrong(r"(5,\infty)"))


def test_another_process_and_hash_seed_give_the_same_wrong_answers() -> None:
    program = (
        "import json; from corl_bench.tasks.synth import generate\n"
        "from corl_bench.tasks.distractors import distractors\n"
        "print(json.dumps([distractors(p) for p in generate('test', count=90)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "99"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    ours = [list(distractors(p)) for p in generate("test", count=90)]
    assert json.loads(done.stdout) == ours


def test_the_example_in_the_module_is_true() -> None:
    outcome = doctest.testmod(corl_bench.tasks.distractors)
    assert outcome.attempted > 0
    assert outcome.failed == 0
