"""Algebra: linear and quadratic equations, functions, inequalities."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt
from random import Random

from corl_bench.tasks.synth.families import Draft, family, nonzero, sympy
from corl_bench.tasks.synth.latex import (
    binomial,
    finite_set,
    interval,
    number,
    point,
    polynomial,
    surd,
    term,
    total,
)

SUBJECT = "Algebra"


@family("linear_equation", subject=SUBJECT, level=1, answer="integer")
def linear_equation(rng: Random) -> Draft:
    x, a, b = nonzero(rng, 15), rng.randint(2, 15), nonzero(rng, 40)
    v = rng.choice("xyntk")
    equation = f"{polynomial((a, b), v)} = {a * x + b}"
    text = rng.choice(
        (
            rf"Solve for ${v}$: ${equation}$.",
            rf"What value of ${v}$ satisfies the equation ${equation}$?",
            rf"If ${equation}$, what is the value of ${v}$?",
        )
    )
    return Draft(
        text,
        x,
        params=(a, b, x),
        check=lambda: next(n for n in range(-50, 51) if a * n + b == a * x + b),
        slips=(-x, Fraction(a * x + 2 * b, a), a * x, x + b),
    )


@family("substitution", subject=SUBJECT, level=1, answer="integer")
def substitution(rng: Random) -> Draft:
    x, y = nonzero(rng, 9), nonzero(rng, 9)
    a, b, c = rng.randint(2, 9), rng.randint(2, 9), nonzero(rng, 12)
    expression = total(term(a, "x", 2), term(-b, "y"), number(c))
    text = rng.choice(
        (
            rf"If $x = {x}$ and $y = {y}$, what is the value of ${expression}$?",
            rf"Evaluate ${expression}$ when $x = {x}$ and $y = {y}$.",
            rf"Find the value of the expression ${expression}$ for $x = {x}$ and $y = {y}$.",
        )
    )
    return Draft(
        text,
        a * x * x - b * y + c,
        params=(a, b, c, x, y),
        check=lambda: sympy().Poly({(2, 0): a, (0, 1): -b, (0, 0): c}, *sympy().symbols("x y"))(
            x, y
        ),
        slips=(a * x * x + b * y + c, (a * x) ** 2 - b * y + c, 2 * a * x - b * y + c),
    )


@family("slope", subject=SUBJECT, level=2, answer="fraction")
def slope(rng: Random) -> Draft | None:
    x1, x2 = rng.sample(range(-12, 13), 2)
    y1, y2 = rng.sample(range(-12, 13), 2)
    value = Fraction(y2 - y1, x2 - x1)
    if value.denominator == 1:
        return None
    p, q = point(x1, y1), point(x2, y2)
    text = rng.choice(
        (
            rf"What is the slope of the line through the points ${p}$ and ${q}$?",
            rf"A line passes through ${p}$ and ${q}$. Find its slope.",
            rf"Find the slope of the line that contains both ${p}$ and ${q}$.",
        )
    )
    return Draft(
        text + " Express your answer as a common fraction.",
        value,
        params=tuple(sorted(((x1, y1), (x2, y2)))),
        check=lambda: sympy().Line((x1, y1), (x2, y2)).slope,
        slips=(1 / value, -value, Fraction(y2 + y1, (x2 + x1) or 1), -1 / value),
    )


@family("composition", subject=SUBJECT, level=2, answer="integer")
def composition(rng: Random) -> Draft:
    a, b, c, k = rng.randint(2, 9), nonzero(rng, 12), nonzero(rng, 12), nonzero(rng, 8)
    f, g = polynomial((a, b)), polynomial((1, 0, c))
    outer_first = rng.random() < 0.5
    value = a * (k * k + c) + b if outer_first else (a * k + b) ** 2 + c
    other = (a * k + b) ** 2 + c if outer_first else a * (k * k + c) + b
    asked = f"f(g({k}))" if outer_first else f"g(f({k}))"
    text = rng.choice(
        (
            rf"Let $f(x) = {f}$ and $g(x) = {g}$. What is ${asked}$?",
            rf"If $f(x) = {f}$ and $g(x) = {g}$, find ${asked}$.",
            rf"The functions $f$ and $g$ are defined by $f(x) = {f}$ and $g(x) = {g}$. "
            rf"Compute ${asked}$.",
        )
    )

    def by_sympy() -> object:
        x = sympy().Symbol("x")
        first, second = a * x + b, x**2 + c
        outer, inner = (first, second) if outer_first else (second, first)
        return sympy().expand(outer.subs(x, inner)).subs(x, k)

    return Draft(
        text,
        value,
        params=(a, b, c, k, outer_first),
        check=by_sympy,
        slips=(other, (a * k + b) * (k * k + c), a * k + b + k * k + c),
    )


@family("linear_system", subject=SUBJECT, level=3, answer="tuple")
def linear_system(rng: Random) -> Draft | None:
    x, y = nonzero(rng, 12), nonzero(rng, 12)
    a, b, c, d = (nonzero(rng, 9) for _ in range(4))
    if a * d - b * c == 0 or x == y:
        return None
    e, f = a * x + b * y, c * x + d * y
    first, second = total(term(a, "x"), term(b, "y")), total(term(c, "x"), term(d, "y"))
    text = rng.choice(
        (
            rf"Solve the system of equations \begin{{align*}} {first} &= {e}, \\ {second} &= {f}. "
            r"\end{align*} Express your answer as an ordered pair $(x, y)$.",
            rf"Find the ordered pair $(x, y)$ that satisfies both ${first} = {e}$ and "
            rf"${second} = {f}$.",
            rf"The lines ${first} = {e}$ and ${second} = {f}$ meet at one point. What are the "
            r"coordinates $(x, y)$ of that point?",
        )
    )
    return Draft(
        text,
        point(x, y),
        params=tuple(sorted(((a, b, e), (c, d, f)))),
        check=lambda: list(sympy().Matrix([[a, b], [c, d]]).LUsolve(sympy().Matrix([e, f]))),
        slips=(point(y, x), point(-x, y), point(x, -y), point(-x, -y)),
    )


@family("expand_product", subject=SUBJECT, level=3, answer="expression")
def expand_product(rng: Random) -> Draft:
    a, c = rng.randint(1, 6), rng.randint(1, 6)
    b, d, e = nonzero(rng, 9), nonzero(rng, 9), nonzero(rng, 9)
    left, right = binomial(a, b), f"({polynomial((c, d, e))})"
    result = (a * c, a * d + b * c, a * e + b * d, b * e)
    text = rng.choice(
        (
            rf"Expand the product ${left}{right}$.",
            rf"Multiply out ${left}{right}$ and collect like terms.",
            rf"Write ${left}{right}$ as a polynomial in standard form.",
        )
    )

    def by_sympy() -> object:
        x = sympy().Symbol("x")
        return sympy().expand((a * x + b) * (c * x**2 + d * x + e))

    return Draft(
        text,
        polynomial(result),
        params=(a, b, c, d, e),
        check=by_sympy,
        slips=(
            polynomial((a * c, a * d - b * c, a * e - b * d, b * e)),
            polynomial((a * c, 0, a * e, b * e)),
            polynomial((a * c, a * d + b * c, a * e + b * d, -b * e)),
            polynomial((a * c, a * d, b * d, b * e)),
        ),
    )


@family("quadratic_root", subject=SUBJECT, level=4, answer="radical")
def quadratic_root(rng: Random) -> Draft | None:
    p, m = nonzero(rng, 15), rng.randint(2, 200)
    if isqrt(m) ** 2 == m or p * p == m:
        return None
    equation = f"{polynomial((1, -2 * p, p * p - m))} = 0"
    larger = rng.random() < 0.6
    size, sign = ("larger", 1) if larger else ("smaller", -1)
    extreme = "greatest" if larger else "least"
    text = rng.choice(
        (
            rf"What is the {size} of the two roots of ${equation}$?",
            rf"Find the {extreme} real number $x$ for which ${equation}$.",
            rf"The equation ${equation}$ has two real solutions. Find the {size} one.",
        )
    )
    return Draft(
        text + " Express your answer in simplest radical form.",
        total(number(p), surd(sign, m)),
        params=(p, m, larger),
        check=lambda: (2 * p + sign * (4 * m) ** 0.5) / 2,
        slips=(
            total(number(-p), surd(sign, m)),
            total(number(p), surd(-sign, m)),
            total(number(p), surd(2 * sign, m)),
            total(number(2 * p), surd(sign, m)),
        ),
    )


@family("quadratic_inequality", subject=SUBJECT, level=4, answer="interval")
def quadratic_inequality(rng: Random) -> Draft | None:
    a = rng.randint(1, 4)
    low = Fraction(rng.randint(-12 * a, 11 * a), a)
    high = Fraction(rng.randint(-12, 12))
    if low >= high:
        return None
    strict = rng.random() < 0.5
    sign = "<" if strict else r"\le"
    n, p = low.numerator, low.denominator
    quadratic = polynomial((p, -(n + p * int(high)), n * int(high)))
    text = rng.choice(
        (
            rf"Solve the inequality ${quadratic} {sign} 0$. Express your answer in interval "
            r"notation.",
            rf"For which real numbers $x$ is ${quadratic} {sign} 0$? Give your answer in interval "
            r"notation.",
            rf"In interval notation, what is the set of all real $x$ such that "
            rf"${quadratic} {sign} 0$?",
        )
    )
    left, right = ("(", ")") if strict else ("[", "]")

    def holds(x: Fraction) -> bool:
        value = p * x * x - (n + p * high) * x + n * high
        return value < 0 if strict else value <= 0

    return Draft(
        text,
        interval(left, low, high, right),
        params=(n, p, int(high), strict),
        check=lambda: holds,
        slips=(
            interval("[" if strict else "(", low, high, "]" if strict else ")"),
            interval(left, -high, -low, right),
            interval("(", high, r"\infty", ")"),
            interval("(", r"-\infty", low, ")"),
        ),
    )


@family("absolute_value_sum", subject=SUBJECT, level=5, answer="set")
def absolute_value_sum(rng: Random) -> Draft | None:
    p, q = sorted(rng.sample(range(-20, 21), 2))
    s = q - p + rng.randint(1, 30)
    low, high = Fraction(p + q - s, 2), Fraction(p + q + s, 2)
    if 0 in (p, q):
        return None
    equation = f"|{polynomial((1, -p))}| + |{polynomial((1, -q))}| = {s}"
    text = rng.choice(
        (
            rf"Find all real numbers $x$ that satisfy ${equation}$. Give your answer as a set.",
            rf"What is the solution set of the equation ${equation}$ over the real numbers?",
            rf"Determine the set of all real solutions of ${equation}$.",
        )
    )

    def by_cases() -> frozenset[Fraction]:
        cases = ((-1, -1), (1, -1), (1, 1))
        roots = {Fraction(s + u * p + v * q, u + v) for u, v in cases if u + v}
        return frozenset(x for x in roots if abs(x - p) + abs(x - q) == s)

    return Draft(
        text,
        finite_set((low, high)),
        params=(p, q, s),
        check=by_cases,
        slips=(
            finite_set((high,)),
            finite_set((-high, -low)),
            finite_set((p, q)),
            finite_set((Fraction(-p - q - s, 2), high)),
            finite_set((low,)),
        ),
    )


@family("range_on_interval", subject=SUBJECT, level=5, answer="interval")
def range_on_interval(rng: Random) -> Draft:
    h, k = nonzero(rng, 7), nonzero(rng, 20)
    low, high = h - rng.randint(1, 7), h + rng.randint(1, 7)
    sign = rng.choice((1, -1))
    half_open = rng.random() < 0.5
    f = polynomial((sign, -2 * sign * h, sign * h * h + k))
    domain = rf"{low} \le x < {high}" if half_open else rf"{low} \le x \le {high}"
    text = rng.choice(
        (
            rf"Let $f(x) = {f}$ be defined for ${domain}$. Find the range of $f$ in interval "
            r"notation.",
            rf"What is the range of the function $f(x) = {f}$ if its domain is restricted to "
            rf"${domain}$? Express your answer as an interval.",
            rf"As $x$ runs over all real numbers with ${domain}$, the values of ${f}$ fill an "
            r"interval. Write this interval in interval notation.",
        )
    )
    farthest = max(h - low, high - h)
    closed = not half_open or h - low >= high - h
    end, at_l, at_r = k + sign * farthest**2, k + sign * (h - low) ** 2, k + sign * (high - h) ** 2

    def span(first: int, second: int, second_closed: bool) -> str:
        if first < second:
            return interval("[", first, second, "]" if second_closed else ")")
        return interval("[" if second_closed else "(", second, first, "]")

    reached = sorted({k, end})

    def holds(y: Fraction) -> bool:
        """Whether some x in the domain has f(x) = y: (x - h)^2 must be `square`."""
        square = (y - k) * sign
        if square < 0:
            return False
        return square <= (h - low) ** 2 or (
            square < (high - h) ** 2 if half_open else square <= (high - h) ** 2
        )

    return Draft(
        text,
        span(k, end, closed),
        params=(sign, h, k, low, high, half_open),
        check=lambda: holds,
        slips=(
            span(k, end, not closed),
            interval("[", min(at_l, at_r), max(at_l, at_r), ")" if half_open else "]"),
            interval("[", low, high, ")" if half_open else "]"),
            interval("[", reached[0], r"\infty", ")"),
        ),
    )
