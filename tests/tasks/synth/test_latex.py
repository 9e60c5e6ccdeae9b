"""The renderers print each value in its one simplified form."""

from __future__ import annotations

import doctest
from fractions import Fraction as F

import pytest

import corl_bench.tasks.synth.families
import corl_bench.tasks.synth.latex
import corl_bench.tasks.synth.stream
import corl_bench.tasks.synth.words
from corl_bench.tasks.synth import latex


@pytest.mark.parametrize(
    ("made", "printed"),
    [
        (latex.number(F(-6, 8)), r"-\frac{3}{4}"),
        (latex.number(F(8, 2)), "4"),
        (latex.pi_times(1), r"\pi"),
        (latex.pi_times(F(-5, 3)), r"-\frac{5\pi}{3}"),
        (latex.surd(1, 12), r"2\sqrt{3}"),
        (latex.surd(F(-1, 2), 8), r"-\sqrt{2}"),
        (latex.surd(F(1, 3), 2), r"\frac{\sqrt{2}}{3}"),
        (latex.surd(3, 49), "21"),
        (latex.total("3", "-x", "0", "2y"), "3 - x + 2y"),
        (latex.total("0", "0"), "0"),
        (latex.polynomial((-1, 1, 0, -7)), "-x^3 + x^2 - 7"),
        (latex.polynomial((F(1, 2), 0), "t"), r"\frac{t}{2}"),
        (latex.term(2, "x", 12), "2x^{12}"),
        (latex.binomial(1, 0, "k"), "k"),
        (latex.binomial(2, -3), "(2x - 3)"),
        (latex.complex_number(0, -1), "-i"),
        (latex.point(3, -2), "(3, -2)"),
        (latex.point(F(1, 2), 0), r"\left(\frac{1}{2}, 0\right)"),
        (latex.interval("[", -2, r"\infty", ")"), r"\left[-2, \infty\right)"),
        (latex.finite_set((1, 4)), r"\{1, 4\}"),
        (latex.finite_set((F(1, 2), 4)), r"\left\{\frac{1}{2}, 4\right\}"),
        (latex.matrix([[1, 2], [3, 4]]), r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}"),
        (latex.column([0, F(-1, 3)]), r"\begin{pmatrix} 0 \\ -\frac{1}{3} \end{pmatrix}"),
    ],
)
def test_each_value_has_its_conventional_form(made: str, printed: str) -> None:
    assert made == printed


def test_square_parts_multiply_back() -> None:
    for n in range(1, 2000):
        root, rest = latex.square_part(n)
        assert root * root * rest == n
        assert all(rest % (p * p) for p in range(2, 45))


@pytest.mark.parametrize(
    "module",
    [
        corl_bench.tasks.synth.families,
        corl_bench.tasks.synth.latex,
        corl_bench.tasks.synth.stream,
        corl_bench.tasks.synth.words,
    ],
    ids=lambda module: module.__name__,
)
def test_the_examples_in_the_modules_are_true(module) -> None:
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0
