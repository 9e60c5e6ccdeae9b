"""The house rules, both ways round, on pairs of bare answers."""

from __future__ import annotations

import pytest

from corl_bench.grading import equivalent, grade
from corl_bench.grading.identity import PRIME

EQUAL = [
    # numbers and their spellings
    ("073", "73"),
    ("27.0", "27"),
    ("1,000", "1000"),
    ("1.5e3", "1500"),
    ("0.5", ".5"),
    ("1000000", "1 000 000"),
    (r"1\frac{3}{4}", "7/4"),
    ("7/4", "1 3/4"),
    ("three", "3"),
    (r"\frac{1}{12}", "0.0833333333333333"),
    (r"\sqrt{2}", "1.4142135623730951"),
    ("$1,000.99", "1000.99"),
    ("3 million", "3000000"),
    ("**73**", "73"),
    (r"\mathbf{73}", "73"),
    ("-0", "0"),
    (r"\infty", r"+\infty"),
    ("12", "１２"),
    # algebra
    ("4π", r"4\pi"),
    ("(x-2)(x+3)", "x^2+x-6"),
    (r"\frac{x+1}{2}", r"\frac{x}{2}+\frac12"),
    (r"\sqrt[3]{16}", r"2\sqrt[3]{2}"),
    (r"\sec^2 y", r"1+\tan^2 y"),
    (r"\sin 60^\circ", r"\frac{\sqrt3}{2}"),
    (r"\log_2(xy)", r"\log_2 x+\log_2 y"),
    ("e^{i\\pi}", "-1"),
    (r"\sqrt{1/n}", r"\frac{1}{\sqrt n}"),
    (r"\frac{100000!}{99999!}", "100000"),
    (r"\binom{n}{k}", r"\frac{n!}{k!(n-k)!}"),
    (r"\frac{\sqrt6-\sqrt2}{4}", r"\sin 15^\circ"),
    ("ab", "ba"),
    # units, percent, degrees, money, bases
    (r"12\text{ cm}", "12"),
    ("12 cm", "12 centimeters"),
    ("3 hours", "3 hr"),
    ("50%", "0.5"),
    (r"28\%", "28 percent"),
    ("10%", "10"),
    ("90°", r"\frac{\pi}{2}"),
    ("74°", "74"),
    (r"\$18.90", "18.90"),
    ("1011_2", "1011_{2}"),
    ("2516_8", "2516"),
    ("101_2", r"101_{\text{two}}"),
    ("15 cm^2", "15 square cm"),
    ('67"', "67 inches"),
    ("5 mph", "5"),
    # structures
    ("(1, 2)", "(1,2)"),
    (r"\{1,2\}", r"\{2,1\}"),
    ("1,2", "2,1"),
    ("1, 2", r"x=1 \text{ or } x=2"),
    (r"\pm 3", "3,-3"),
    (r"1\pm\sqrt2", r"1-\sqrt2, 1+\sqrt2"),
    ("(1,2)", "1,2"),
    (r"(-\infty,2)\cup(3,\infty)", r"(3,\infty)\cup(-\infty,2)"),
    (r"\emptyset", r"\{\}"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{bmatrix} 1 \\ 2 \end{bmatrix}"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "[[1,2],[3,4]]"),
    ("3:4", "3 : 4"),
    ("(1,2),(3,4)", r"\{(3,4),(1,2)\}"),
    ("(1,4.5)", r"(1,\frac92)"),
    # relations
    ("x=5", "5"),
    ("x=5", "5=x"),
    ("y=2x+1", "2x+1"),
    (r"x\in[1,2]", "[1,2]"),
    ("x<2", r"(-\infty,2)"),
    ("x<2", "2>x"),
    ("x>1", "2x>2"),
    ("x<1", "-x>-1"),
    (r"1\le x<3", "[1,3)"),
    (r"x\ne 3", "x!=3"),
    (r"x\neq3", r"(-\infty,3)\cup(3,\infty)"),
    ("x<2 or x>3", r"(-\infty,2)\cup(3,\infty)"),
    ("2x+4y-3=0", "y=-1/2x+3/4"),
    ("x^2+y^2=4", "y^2+x^2-4=0"),
    ("x=2,y=3", "y=3,x=2"),
    ("x=2,y=3", "(2,3)"),
    ("(p,q)=(3,2)", "(3,2)"),
    ("x=1+1=2", "2"),
    (r"x=\frac13\approx0.33", "1/3"),
    ("p=5,q=2;p=7,q=2", "(5,2),(7,2)"),
    ("x_1=1,x_2=2", "2,1"),
    ("0<f(x)<1", "(0,1)"),
    ("|AB|=1", "1"),
    # words and letters
    (r"\text{Yes}", "yes"),
    (r"\text{June 20}", "June 20"),
    (r"\text{(B)}", "B"),
    ("(B) 12", "B"),
    ("(B) 12", "12"),
    (r"\textbf{(B)}\ 12", "12"),
    ("all real numbers", r"\text{all real numbers}"),
]

UNEQUAL = [
    ("73", "37"),
    ("73", "7 3"),
    ("73", "73.00001"),
    ("73", "72.9999999999"),
    ("1000", "1,00"),
    ("73", "73!"),
    (r"\pi", "3.14"),
    ("1/3", "0.33"),
    (r"\frac13", "0.333333333334"),
    ("5", "-5"),
    ("1001", "1,000"),
    ("x", "X"),
    ("i", "-i"),
    ("4", r"4\sqrt(2)"),
    ("10^{-30}", r"2\cdot10^{-30}"),
    ("2^{100}", "2^{101}"),
    (r"\frac{1}{2004!}", r"\frac{1}{2006!}"),
    ("1+10^{-60}", "1"),
    (r"\sqrt2+10^{-1000}", r"\sqrt2"),
    (r"\frac{10^{10^{10}}+1}{10^{10^{10}}}", "1"),
    ("x+1", "x-1"),
    (r"\sqrt2+\sqrt3", r"\sqrt5"),
    ("12 cm", "12 m"),
    ("12 cm^2", "12 cm"),
    ("0.5", "0.5%"),
    ("50%", "5%"),
    ("1011_2", "1011_3"),
    ("(1,2)", "[1,2]"),
    ("(1,2)", r"\{1,2\}"),
    ("(1,2)", "(2,1)"),
    ("1,2", "1,1,2"),
    ("1,2", "1,2,3"),
    ("[0,1]", "[0,1)"),
    ("2", "[2]"),
    (r"\pm 2021", "2021"),
    ("(1,2),(3,4)", "(1,4),(3,2)"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}2\\1\end{pmatrix}"),
    ("3:4", "4:3"),
    ("12:00", "1:00"),
    (r"\begin{pmatrix}1&2\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"),
    ("x<2", r"x\le 2"),
    ("x>1", "x<1"),
    ("x>1", "-2x>-2"),
    ("a^2+b=0", "0"),
    ("2x+z=1", "1"),
    ("y=2x", "x=2y"),
    ("x=2,y=3", "x=3,y=2"),
    ("x=2,y=3", "3,2"),
    ("y=2x+1", "y=2x-1"),
    ("f(x)", "f(y)"),
    ("x+y=5", "x-y=5"),
    ("yes", "no"),
    ("odd", "oddd"),
    ("B", "C"),
    ("(B) 12", "(C) 12"),
    ("(A) Cecile", "C"),
    ("AB", "AC"),
    ("1", r"\frac{1}{0}"),
    ("0", r"\infty-\infty"),
    ("73", r"73 \text{ or } 74"),
    (r"\$18.90", "18.9 cents"),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal(one: str, other: str) -> None:
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize(("one", "other"), UNEQUAL)
def test_unequal(one: str, other: str) -> None:
    assert not equivalent(one, other)
    assert not equivalent(other, one)


def test_answers_built_against_the_modulus() -> None:
    for answer in (f"{73 + PRIME}", f"73+{PRIME}x", f"73+{PRIME}\\pi", f"72+2^{{{PRIME - 1}}}"):
        assert not equivalent("73", answer)


def test_a_gold_equation_is_not_its_right_side() -> None:
    """The one rule with a direction: an answer may repeat the sum that was asked for."""
    assert equivalent("73", "m+n=73")
    assert not equivalent("x+y=5", "5")


@pytest.mark.parametrize(
    ("gold", "answer"),
    [("(1,2)", "[1,2]"), (r"\pi", "3.14"), ("1/3", "0.333"), ("12 cm", "12 m"), ("(1,2)", "(2,1)")],
)
def test_lenient_forgives(gold: str, answer: str) -> None:
    boxed = rf"\boxed{{{answer}}}"
    assert grade(gold, boxed).status == "wrong"
    expected = "wrong" if answer == "(2,1)" else "correct"
    assert grade(gold, boxed, policy="lenient").status == expected


def test_long_lists_are_matched_without_pairing_everything() -> None:
    items = list(range(3000))
    gold = r"\{" + ",".join(map(str, items)) + r"\}"
    assert equivalent(gold, r"\{" + ",".join(map(str, reversed(items))) + r"\}")
    assert not equivalent(gold, r"\{" + ",".join(map(str, [*items[:-1], 5000])) + r"\}")
