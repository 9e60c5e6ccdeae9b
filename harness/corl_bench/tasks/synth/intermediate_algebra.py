"""Intermediate Algebra: polynomials, complex numbers, series, logarithms, radicals."""

from __future__ import annotations

from fractions import Fraction
from math import gcd, isqrt
from random import Random

from corl_bench.tasks.synth.families import Draft, family, nonzero, sympy
from corl_bench.tasks.synth.latex import (
    binomial,
    complex_number,
    finite_set,
    number,
    point,
    polynomial,
    surd,
    total,
)

SUBJECT = "Intermediate Algebra"


@family("remainder_theorem", subject=SUBJECT, level=1, answer="integer")
def remainder_theorem(rng: Random) -> Draft:
    coefficients = (rng.randint(1, 5), *(nonzero(rng, 9) for _ in range(3)))
    a = nonzero(rng, 5)
    p, d = polynomial(coefficients), polynomial((1, -a))

    def at(x: int) -> int:
        c3, c2, c1, c0 = coefficients
        return c3 * x**3 + c2 * x**2 + c1 * x + c0

    text = rng.choice(
        (
            rf"What is the remainder when the polynomial ${p}$ is divided by ${d}$?",
            rf"Find the remainder when ${p}$ is divided by the linear polynomial ${d}$.",
            rf"The polynomial $P(x) = {p}$ is divided by ${d}$. What is the remainder?",
        )
    )

    def by_sympy() -> object:
        x = sympy().Symbol("x")
        return sympy().rem(sympy().Poly(coefficients, x), sympy().Poly((1, -a), x)).as_expr()

    return Draft(
        text,
        at(a),
        params=(*coefficients, a),
        check=by_sympy,
        slips=(at(-a), coefficients[-1], sum(coefficients), -at(a)),
    )


@family("complex_product", subject=SUBJECT, level=1, answer="expression")
def complex_product(rng: Random) -> Draft | None:
    a, b, c, d = (nonzero(rng, 9) for _ in range(4))
    real, imaginary = a * c - b * d, a * d + b * c
    if 0 in (real, imaginary):
        return None
    z, w = complex_number(a, b), complex_number(c, d)
    text = rng.choice(
        (
            rf"Simplify $({z})({w})$, where $i^2 = -1$.",
            rf"Compute the product $({z})({w})$ of complex numbers. Express your answer in the "
            r"form $a + bi$.",
            rf"If $z = {z}$ and $w = {w}$, where $i^2 = -1$, what is $zw$?",
        )
    )
    return Draft(
        text,
        complex_number(real, imaginary),
        params=tuple(sorted(((a, b), (c, d)))),
        check=lambda: (
            sympy()
            .expand((a + b * sympy().I) * (c + d * sympy().I))
            .subs(sympy().I, sympy().Symbol("i"))
        ),
        slips=(
            complex_number(a * c + b * d, imaginary),
            complex_number(real, a * d - b * c),
            complex_number(a * c, b * d),
            complex_number(a + c, b + d),
        ),
    )


@family("infinite_series", subject=SUBJECT, level=2, answer="fraction")
def infinite_series(rng: Random) -> Draft | None:
    a, q = rng.randint(1, 30), rng.randint(3, 15)
    p = nonzero(rng, q - 1)
    ratio = Fraction(p, q)
    value = a / (1 - ratio)
    if value.denominator == 1 or ratio.denominator != q:
        return None
    terms = [Fraction(a) * ratio**k for k in range(3)]
    series = total(*map(number, terms)) + r" + \cdots"
    text = rng.choice(
        (
            rf"Find the sum of the infinite geometric series ${series}$.",
            rf"An infinite geometric series has first term ${a}$ and common ratio "
            rf"${number(ratio)}$. What is its sum?",
            rf"What is the sum of all terms of the geometric sequence whose first term is ${a}$ "
            rf"and in which each term is ${number(ratio)}$ times the term before it?",
        )
    )
    return Draft(
        text + " Express your answer as a common fraction.",
        value,
        params=(a, p, q),
        check=lambda: float(a) * sum(float(ratio) ** k for k in range(900)),
        slips=(a / (1 + ratio), a * ratio / (1 - ratio), sum(terms, Fraction(0)), 1 / (1 - ratio)),
    )


@family("vieta_squares", subject=SUBJECT, level=2, answer="integer")
def vieta_squares(rng: Random) -> Draft | None:
    b, c = nonzero(rng, 25), nonzero(rng, 60)
    if b * b - 4 * c == 0:
        return None
    equation = f"{polynomial((1, b, c))} = 0"
    r, s = rng.choice((("r", "s"), ("p", "q"), ("a", "b"), (r"\alpha", r"\beta")))
    text = rng.choice(
        (
            rf"Let ${r}$ and ${s}$ be the roots of ${equation}$. Find ${r}^2 + {s}^2$.",
            rf"What is the sum of the squares of the two (possibly nonreal) roots of ${equation}$?",
            rf"If ${r}$ and ${s}$ are the solutions of ${equation}$, what is the value of "
            rf"${r}^2 + {s}^2$?",
        )
    )
    return Draft(
        text,
        b * b - 2 * c,
        params=(b, c),
        # The trace of the square of the companion matrix.
        check=lambda: (sympy().Matrix([[0, -c], [1, -b]]) ** 2).trace(),
        slips=(b * b + 2 * c, b * b, b * b - 4 * c, b * b - c),
    )


@family("polynomial_quotient", subject=SUBJECT, level=3, answer="expression")
def polynomial_quotient(rng: Random) -> Draft:
    a, b, c, d = rng.randint(1, 5), nonzero(rng, 9), nonzero(rng, 9), nonzero(rng, 9)
    lead, root = rng.randint(1, 3), nonzero(rng, 7)
    # (lead x - root)(a x^2 + b x + c) + d
    dividend = (a * lead, b * lead - a * root, c * lead - b * root, d - c * root)
    p, q = polynomial(dividend), polynomial((lead, -root))
    text = rng.choice(
        (
            rf"Find the quotient when ${p}$ is divided by ${q}$.",
            rf"When ${p}$ is divided by ${q}$, what is the quotient? Ignore the remainder.",
            rf"Long division of ${p}$ by ${q}$ leaves a constant remainder. What is the quotient?",
        )
    )

    def by_sympy() -> object:
        x = sympy().Symbol("x")
        top, bottom = sympy().Poly(dividend, x), sympy().Poly((lead, -root), x)
        return sympy().div(top, bottom, domain="QQ")[0].as_expr()

    return Draft(
        text,
        polynomial((a, b, c)),
        params=(*dividend, lead, root),
        check=by_sympy,
        slips=(
            polynomial((a, -b, c)),
            polynomial((a, b, -c)),
            polynomial((a, b, c + d)),
            polynomial((a, b - root, c)),
        ),
    )


@family("logarithm_equation", subject=SUBJECT, level=3, answer="integer")
def logarithm_equation(rng: Random) -> Draft | None:
    base = rng.choice((2, 3, 4, 5, 6, 7, 10, 12))
    power = rng.randint(1, 8 if base == 2 else 4)
    whole = base**power
    m = rng.choice([d for d in range(1, isqrt(whole) + 1) if whole % d == 0])
    n = whole // m
    u = rng.randint(-40, 40)
    v = u + m - n
    if m == n or 0 in (u, v) or u + m == 0 or n > 200:
        return None
    x = u + m
    log = rf"\log_{{{base}}}" if base > 9 else rf"\log_{base}"
    equation = rf"{log} ({polynomial((1, -u))}) + {log} ({polynomial((1, -v))}) = {power}"
    text = rng.choice(
        (
            rf"Solve for $x$: ${equation}$.",
            rf"Find the real number $x$ such that ${equation}$.",
            rf"What is the only real solution of ${equation}$?",
        )
    )
    return Draft(
        text,
        x,
        params=(base, power, *sorted((u, v))),
        check=lambda: next(
            t for t in range(max(u, v) + 1, max(u, v) + whole + 1) if (t - u) * (t - v) == whole
        ),
        slips=(u - n, u + v, Fraction(base**power + u + v, 2), x + 1),
    )


@family("partial_fractions", subject=SUBJECT, level=4, answer="tuple")
def partial_fractions(rng: Random) -> Draft | None:
    first, second = nonzero(rng, 12), nonzero(rng, 12)
    a, b = sorted(rng.sample([k for k in range(-9, 10) if k], 2))
    if first == second or first + second == 0:
        return None
    top = polynomial((first + second, -first * b - second * a))
    left, right = polynomial((1, -a)), polynomial((1, -b))
    whole = rf"\frac{{{top}}}{{({left})({right})}}"
    identity = rf"{whole} = \frac{{A}}{{{left}}} + \frac{{B}}{{{right}}}"
    text = rng.choice(
        (
            rf"Constants $A$ and $B$ satisfy \[{identity}\] for all real $x$ for which both sides "
            r"are defined. Find the ordered pair $(A, B)$.",
            rf"Find the ordered pair of constants $(A, B)$ such that ${identity}$ wherever both "
            r"sides are defined.",
            rf"The partial fraction decomposition of a rational function has the form "
            rf"\[{identity}.\] What is the ordered pair $(A, B)$?",
        )
    )

    def by_sympy() -> object:
        x = sympy().Symbol("x")
        p = (first + second) * x - first * b - second * a
        return [(p / (x - b)).subs(x, a), (p / (x - a)).subs(x, b)]

    return Draft(
        text,
        point(first, second),
        params=(first, second, a, b),
        check=by_sympy,
        slips=(
            point(second, first),
            point(-first, second),
            point(first, -second),
            point(-second, -first),
        ),
    )


@family("cubic_roots", subject=SUBJECT, level=4, answer="set")
def cubic_roots(rng: Random) -> Draft:
    roots = sorted(rng.sample(range(-11, 12), 3))
    r, s, t = roots
    lead = rng.randint(1, 2)
    coefficients = (
        lead,
        -lead * (r + s + t),
        lead * (r * s + s * t + t * r),
        -lead * r * s * t,
    )
    equation = f"{polynomial(coefficients)} = 0"
    text = rng.choice(
        (
            rf"Find the set of all roots of ${equation}$.",
            rf"The cubic equation ${equation}$ has three real solutions. Give the set of these "
            r"solutions.",
            rf"What is the solution set of the cubic equation ${equation}$?",
        )
    )

    def by_search() -> frozenset[int]:
        a, b, c, d = coefficients
        return frozenset(x for x in range(-40, 41) if a * x**3 + b * x**2 + c * x + d == 0)

    return Draft(
        text,
        finite_set(roots),
        params=coefficients,
        check=by_search,
        slips=(
            finite_set(sorted(-root for root in roots)),
            finite_set((r, s)),
            finite_set(sorted({r, -s, t})),
            finite_set(sorted({r, s, -t})),
        ),
    )


@family("reciprocal_minimum", subject=SUBJECT, level=4, answer="radical")
def reciprocal_minimum(rng: Random) -> Draft | None:
    a, b, c = rng.randint(1, 15), rng.randint(1, 30), rng.randint(0, 12)
    if isqrt(a * b) ** 2 == a * b:
        return None
    expression = total(polynomial((a, 0)), rf"\frac{{{b}}}{{x}}", number(c))
    text = rng.choice(
        (
            rf"Find the minimum value of ${expression}$ over all positive real numbers $x$.",
            rf"As $x$ ranges over the positive real numbers, what is the smallest possible value "
            rf"of ${expression}$?",
            rf"For positive real $x$, let $f(x) = {expression}$. What is the least value that "
            r"$f$ attains?",
        )
    )

    def by_ternary_search() -> float:
        low, high = 1e-3, 1e3
        for _ in range(300):
            left, right = low + (high - low) / 3, high - (high - low) / 3
            if a * left + b / left < a * right + b / right:
                high = right
            else:
                low = left
        return a * low + b / low + c

    return Draft(
        text + " Express your answer in simplest radical form.",
        total(number(c), surd(2, a * b)),
        params=(a, b, c),
        check=by_ternary_search,
        slips=(
            total(number(c), surd(1, a * b)),
            number(a + b + c),
            total(number(c), surd(2, a + b)),
            total(number(2 * c), surd(2, a * b)),
        ),
    )


@family("telescoping_series", subject=SUBJECT, level=5, answer="fraction")
def telescoping_series(rng: Random) -> Draft | None:
    d, e, n = rng.randint(1, 7), rng.randint(-3, 9), rng.randint(8, 120)
    first, last = d + e, d * (n + 1) + e
    if first < 1 or gcd(d, e) > 1:
        return None
    value = (Fraction(1, first) - Fraction(1, last)) / d
    left, right = binomial(d, e, "k"), binomial(d, d + e, "k")
    summand = rf"\frac{{1}}{{{left}{right}}}"
    head = " + ".join(rf"\frac{{1}}{{{d * k + e} \cdot {d * k + d + e}}}" for k in (1, 2, 3))
    tail = rf"\frac{{1}}{{{last - d} \cdot {last}}}"
    text = rng.choice(
        (
            rf"Evaluate the sum \[\sum_{{k=1}}^{{{n}}} {summand}.\]",
            rf"Compute $\displaystyle \sum_{{k = 1}}^{{{n}}} {summand}$.",
            rf"Find the value of the sum \[{head} + \cdots + {tail}.\]",
        )
    )
    return Draft(
        text + " Express your answer as a common fraction.",
        value,
        params=(d, e, n),
        check=lambda: sum(
            (Fraction(1, (d * k + e) * (d * k + d + e)) for k in range(1, n + 1)), Fraction(0)
        ),
        slips=(
            value * d,
            Fraction(1, first) - Fraction(1, last + d),
            (Fraction(1, first) - Fraction(1, last - d)) / d,
            Fraction(1, first * d),
        ),
    )


@family("nested_radical", subject=SUBJECT, level=5, answer="radical")
def nested_radical(rng: Random) -> Draft | None:
    b, a = sorted(rng.sample(range(2, 120), 2))
    if isqrt(a * b) ** 2 == a * b:
        return None
    sign = rng.choice((1, -1))
    inner = total(number(a + b), surd(2 * sign, a * b))
    nested = rf"\sqrt{{{inner}}}"
    text = rng.choice(
        (
            rf"Simplify ${nested}$ to an expression without nested square roots.",
            rf"Write ${nested}$ without nested radicals.",
            rf"The number ${nested}$ can be written as a sum or difference of two square roots of "
            r"positive integers, without a root inside another. Write it in this way, with each "
            r"square root simplified.",
        )
    )
    return Draft(
        text,
        total(surd(1, a), surd(sign, b)),
        params=(a, b, sign),
        check=lambda: (a + b + 2 * sign * (a * b) ** 0.5) ** 0.5,
        slips=(
            total(surd(1, a), surd(-sign, b)),
            total(number(a), surd(sign, b)),
            surd(1, a + b),
            total(number(a), number(sign * b)),
        ),
    )
