"""Random answers, rewritten into equal forms and into near misses."""

from __future__ import annotations

import contextlib
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corl_bench.grading import equivalent, extract, grade, is_correct
from corl_bench.grading.expression import parse
from corl_bench.grading.normalise import fold
from corl_bench.grading.structure import read
from corl_bench.grading.tokens import ParseError

integers = st.integers(-(10**12), 10**12)
small = st.integers(1, 60)
fractions = st.fractions(min_value=-1000, max_value=1000, max_denominator=500)

settings.register_profile("grading", deadline=None, max_examples=150, derandomize=True)
settings.load_profile("grading")


def latex(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    sign = "-" if value < 0 else ""
    return rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def both_ways(one: str, other: str) -> bool:
    forward, back = equivalent(one, other), equivalent(other, one)
    assert forward == back
    return forward


@given(integers)
def test_spellings_of_an_integer(n: int) -> None:
    sign = "-" if n < 0 else ""
    grouped = f"{abs(n):,}"
    for text in (
        f"{n}.0",
        f"{sign}00{abs(n)}",
        sign + grouped,
        sign + grouped.replace(",", r"\,"),
        sign + grouped.replace(",", "{,}"),
        rf"\boxed{{{n}}}",
        f"${n}$",
        f"x = {n}",
        f"**{n}**",
        rf"{n}\text{{ cm}}",
        f"{n} apples",
        str(n).replace("-", "−"),
        rf"\mathbf{{{n}}}",
    ):
        assert both_ways(str(n), text), text
    assert is_correct(str(n), f"Some working, 17 of it.\nThe final answer is ${n}$.")


@given(integers, st.integers(1, 1000))
def test_another_integer_is_wrong(n: int, step: int) -> None:
    assert not both_ways(str(n), str(n + step))
    assert not both_ways(str(n), f"{n}.{step}1")
    assert not both_ways(str(n), f"{n + step}.0")


@given(fractions, small)
def test_fractions(value: Fraction, factor: int) -> None:
    n, d = value.numerator * factor, value.denominator * factor
    for text in (f"{n}/{d}", rf"\dfrac{{{n}}}{{{d}}}", rf"\frac{{{-n}}}{{{-d}}}", rf"{n} \div {d}"):
        assert both_ways(latex(value), text), text
    assert not both_ways(latex(value), f"{n + 1}/{d}")
    if abs(value) > 1 and value.denominator > 1:
        whole, rest = divmod(abs(value), 1)
        sign = "-" if value < 0 else ""
        mixed = rf"{sign}{whole}\frac{{{rest.numerator}}}{{{rest.denominator}}}"
        assert both_ways(latex(value), mixed)


@given(st.decimals(-1000, 1000, places=3, allow_nan=False))
def test_decimals(value: object) -> None:
    text = str(value)
    assert both_ways(text, latex(Fraction(text)))
    assert both_ways(text, text + "0")
    assert not both_ways(text, text + "1")


@given(small, small, small)
def test_surds(a: int, b: int, c: int) -> None:
    assert both_ways(rf"{a}\sqrt{{{b}}}", rf"\sqrt{{{a * a * b}}}")
    assert both_ways(rf"\frac{{{a}}}{{\sqrt{{{b}}}}}", rf"\frac{{{a}\sqrt{{{b}}}}}{{{b}}}")
    assert both_ways(rf"\sqrt{{{a}}}\sqrt{{{b}}}+{c}", rf"{c}+\sqrt{{{a * b}}}")
    assert not both_ways(rf"{a}\sqrt{{{b}}}", rf"{a}\sqrt{{{b + 1}}}")
    assert both_ways(rf"\sqrt{{{a}+{b}+2\sqrt{{{a * b}}}}}", rf"\sqrt{{{a}}}+\sqrt{{{b}}}")


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=5))
def test_polynomials(coefficients: list[int]) -> None:
    terms = [f"{c}x^{{{n}}}" for n, c in enumerate(coefficients)]
    horner = "0"
    for c in reversed(coefficients):
        horner = f"({horner})x+({c})"
    gold = "+".join(f"({term})" for term in terms)
    assert both_ways(gold, "+".join(f"({term})" for term in reversed(terms)))
    assert both_ways(gold, horner)
    assert not both_ways(gold, horner + "+1")
    assert not both_ways(gold, horner + "+0.001x")


@given(st.lists(fractions, min_size=2, max_size=5, unique=True), st.randoms(use_true_random=False))
def test_lists_sets_and_tuples(values: list[Fraction], rng: random.Random) -> None:
    items = [latex(v) for v in values]
    other = items[:]
    rng.shuffle(other)
    assert both_ways(", ".join(items), ", ".join(other))
    assert both_ways(rf"\{{{','.join(items)}\}}", rf"\{{{','.join(other)}\}}")
    assert both_ways(f"({','.join(items)})", f"( {', '.join(items)} )")
    assert both_ways(f"({','.join(items)})", f"({','.join(other)})") == (items == other)
    assert not both_ways(f"({','.join(items)})", rf"\{{{','.join(items)}\}}")
    assert not both_ways(", ".join(items), ", ".join([*items, items[0]]))
    assert not both_ways(", ".join(items), ", ".join([*items[1:], latex(values[0] + 7919)]))
    column = r"\begin{pmatrix}" + r"\\".join(items) + r"\end{pmatrix}"
    assert both_ways(column, column.replace("pmatrix", "bmatrix").replace(r"\\", r" \\ "))


@given(integers, small, st.sampled_from(["()", "[]", "(]", "[)"]))
def test_intervals(low: int, length: int, ends: str) -> None:
    high = low + length
    interval = f"{ends[0]}{low}, {high}{ends[1]}"
    left, right = ("<" if ends[0] == "(" else r"\le"), ("<" if ends[1] == ")" else r"\leq")
    assert both_ways(interval, f"{low} {left} x {right} {high}")
    assert both_ways(interval, rf"x \in {interval}")
    closed = "]" if ends[1] == ")" else ")"
    assert not both_ways(interval, f"{ends[0]}{low}, {high}{closed}")
    assert not both_ways(interval, f"{low} {left} x {right} {high + 1}")
    assert both_ways(f"x > {low}", rf"({low}, \infty)")
    assert both_ways(f"x > {low}", f"{length}x > {length * low}")
    assert not both_ways(f"x > {low}", f"-{length}x > -{length * low}" if low else "0 > x")


@given(st.integers(-9, 9).filter(bool), integers, small)
def test_lines(a: int, b: int, factor: int) -> None:
    assert both_ways(
        f"y = {a}x + {b}", f"{factor}y - {factor * a}x - {factor * b} = 0".replace("- -", "+ ")
    )
    assert both_ways(f"y = {a}x + {b}", f"{a}x + {b}")
    assert not both_ways(f"y = {a}x + {b}", f"y = {a}x + {b + 1}")


@given(st.text(max_size=200))
def test_any_text_at_all(text: str) -> None:
    extract(text)
    read(fold(text))
    verdict = grade(text, text)
    assert verdict.status in ("correct", "wrong", "no_answer", "unparsable", "timeout")


PIECES = [
    *"0123456789xyzefi+-*/^_(){}[]|,;:.!=<>$%&°'\" \n\\",
    r"\frac",
    r"\sqrt",
    r"\sqrt[3]",
    r"\boxed{",
    "}",
    r"\left",
    r"\right",
    r"\pi",
    r"\infty",
    r"\cup",
    r"\in",
    r"\pm",
    r"\le",
    r"\text{",
    r"\{",
    r"\}",
    " and ",
    " or ",
    r"\begin{pmatrix}",
    r"\end{pmatrix}",
    r"\\",
    r"\sin",
    r"\log_",
    r"\circ",
    "**",
    "answer is ",
    '"answer": "',
    "#### ",
    "<think>",
    "</think>",
    "sqrt",
    "cm",
    "%",
    "½",
    "²",
    "√",
    "−",
    r"\binom",
    r"\lfloor",
    "(A)",
    "B.",
]


@given(
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
    st.sampled_from(["1", "x", "(1,2)"]),
)
@settings(max_examples=600)
def test_any_formula_at_all(text: str, gold: str) -> None:
    for one, other in ((gold, text), (text, gold)):
        verdict = grade(one, other)
        assert verdict.status in ("correct", "wrong", "no_answer", "unparsable", "timeout")
    with contextlib.suppress(ParseError):
        assert parse(fold(text))
    if text.strip():
        assert equivalent(text, text)


@pytest.mark.parametrize("seed", range(3))
def test_expressions_against_sympy(seed: int) -> None:
    """Random trees are built twice, as LaTeX for us and as sympy's own objects."""
    import sympy

    rng = random.Random(seed)
    x = sympy.Symbol("x", positive=True)

    def tree(depth: int) -> tuple[str, sympy.Expr]:
        if depth == 0:
            n = rng.randint(1, 9)
            return rng.choice([("x", x), (str(n), sympy.Integer(n)), (r"\pi", sympy.pi)])
        (a, left), (b, right) = tree(depth - 1), tree(depth - 1)
        return rng.choice(
            [
                (rf"\left({a}\right)+{b}", left + right),
                (rf"\left({a}\right)-\left({b}\right)", left - right),
                (rf"\left({a}\right)\cdot\left({b}\right)", left * right),
                (rf"\frac{{{a}}}{{{b}}}", left / right),
                (rf"\sqrt{{\left({a}\right)^2+1}}", sympy.sqrt(left**2 + 1)),
                (rf"\left({a}\right)^{{2}}", left**2),
            ]
        )

    checked = 0
    for _ in range(40):
        text, expression = tree(3)
        if expression.has(sympy.zoo, sympy.nan, sympy.oo):
            continue
        assert equivalent(text, sympy.latex(expression)), text
        assert not equivalent(text, sympy.latex(expression + sympy.Rational(1, 1000))), text
        checked += 1
    assert checked > 20
