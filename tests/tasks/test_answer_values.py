"""Reading golds: what is equal is found equal, what is not is not, the rest is left unread."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

import pytest

import corl_bench.tasks.answer_values
from corl_bench.tasks.answer_values import read, same


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("42", "42.0"),
        ("1,234,567", "1234567"),
        (r"\frac{6}{8}", "0.75"),
        (r"\frac34", "3/4"),
        (r"2\frac{1}{2}", r"\frac{5}{2}"),
        (r"\sqrt{12}", r"2\sqrt3"),
        (r"\sqrt[3]{27}", "3"),
        (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}"),
        (r"x^2 - 1", r"(x - 1)(x + 1)"),
        (r"-2^2", "-4"),
        (r"90^\circ", "90"),
        (r"\left[-2, 5\right)", "[-2,5)"),
        (r"\{3, 1\}", r"\left\{1, 3\right\}"),
        ("1, -2", "-2,1"),
        (r"x = 7", "7"),
        (r"x \in [1, 2]", "[1, 2]"),
        (r"\begin{pmatrix} 1/2 \\ 3 \end{pmatrix}", r"\begin{bmatrix}0.5\\3\end{bmatrix}"),
        (r"12 \text{ cm}", "12"),
        (r"(-\infty, 2) \cup (3, \infty)", r"(-\infty,2)\cup(3,\infty)"),
        (r"\$18.90", "18.9"),
    ],
)
def test_equal_answers_have_the_same_value(first: str, second: str) -> None:
    assert same(read(first), read(second))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("(1, 2)", "(2, 1)"),
        ("(1, 2)", "[1, 2]"),
        ("3", r"\{3\}"),
        ("x^2", "x^3"),
        ("x", "y"),
        ("1,234", "1, 234"),
        (r"\frac{355}{113}", r"\pi"),
        ("52_8", "52"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1 & 2 \end{pmatrix}"),
    ],
)
def test_other_answers_do_not(first: str, second: str) -> None:
    assert read(first) is not None
    assert read(second) is not None
    assert not same(read(first), read(second))


@pytest.mark.parametrize(
    "text",
    [
        *(r"\text{even}", "", "1 +", "((2)", "2, (3", "{"),
        *(r"\frac{1}{0}", r"\sqrt{-4}", "9^{9^{9^9}}"),
        *("(" * 4000, "9^{400}" * 40, "7" * 5000),
    ],
    ids=lambda text: text[:12],
)
def test_what_cannot_be_read_is_left_unread(text: str) -> None:
    assert read(text) is None
    assert not same(read(text), read(text))


def test_nearly_all_golds_of_math_can_be_read(shared_dir: Path) -> None:
    lines = (shared_dir / "datasets" / "math500.jsonl").read_text().splitlines()
    golds = [str(json.loads(line)["answer"]) for line in lines]
    assert sum(read(gold) is not None for gold in golds) >= 0.97 * len(golds)


def test_the_example_in_the_module_is_true() -> None:
    outcome = doctest.testmod(corl_bench.tasks.answer_values)
    assert outcome.attempted > 0
    assert outcome.failed == 0
