"""Precalculus: trigonometry, vectors, matrices."""

from __future__ import annotations

from fractions import Fraction
from math import asin, cos, gcd, pi, sin
from random import Random

from corl_bench.tasks.synth.families import Draft, family, nonzero, sympy
from corl_bench.tasks.synth.latex import (
    column,
    finite_set,
    fraction,
    matrix,
    number,
    pi_times,
    point,
    surd,
    term,
    total,
)

SUBJECT = "Precalculus"
# (k, m) with sin = k / 2 times the square root of m, by angle in degrees; cos follows by 90 - x.
_SINES = {0: (0, 1), 30: (1, 1), 45: (1, 2), 60: (1, 3), 90: (2, 1)}
_TRIPLES = (
    *((3, 4, 5), (5, 12, 13), (8, 15, 17), (7, 24, 25), (20, 21, 29), (12, 35, 37), (9, 40, 41)),
    *((28, 45, 53), (11, 60, 61), (33, 56, 65), (16, 63, 65), (48, 55, 73), (13, 84, 85)),
    *((36, 77, 85), (39, 80, 89), (65, 72, 97)),
)


def _sine(angle: int) -> tuple[int, int]:
    """(k, m) with sin(angle) = k √m / 2 for a multiple of 30 or 45 degrees."""
    angle %= 360
    if angle > 180:
        k, m = _sine(angle - 180)
        return -k, m
    return _SINES[min(angle, 180 - angle)]


@family("degrees_to_radians", subject=SUBJECT, level=1, answer="pi")
def degrees_to_radians(rng: Random) -> Draft | None:
    angle = nonzero(rng, 1800)
    if angle % 180 == 0:
        return None
    text = rng.choice(
        (
            rf"Convert an angle of ${angle}^\circ$ to radians.",
            rf"What is the radian measure of an angle of ${angle}^\circ$?",
            rf"An angle measures ${angle}$ degrees. Find its measure in radians.",
        )
    )
    return Draft(
        text + r" Express your answer in terms of $\pi$.",
        pi_times(Fraction(angle, 180)),
        params=(angle,),
        check=lambda: sympy().rad(angle),
        slips=(
            pi_times(Fraction(angle, 360)),
            pi_times(Fraction(angle, 90)),
            pi_times(Fraction(180, angle)),
            pi_times(Fraction(-angle, 180)),
        ),
    )


@family("vector_combination", subject=SUBJECT, level=1, answer="matrix")
def vector_combination(rng: Random) -> Draft:
    size = rng.randint(2, 3)
    u, v = ([rng.randint(-9, 9) for _ in range(size)] for _ in range(2))
    a, b = rng.randint(2, 7), nonzero(rng, 7)
    combination = total(term(a, r"\mathbf{u}"), term(b, r"\mathbf{v}"))
    first, second = column(u), column(v)
    text = rng.choice(
        (
            rf"Let $\mathbf{{u}} = {first}$ and $\mathbf{{v}} = {second}$. Find "
            rf"${combination}$.",
            rf"Compute the vector ${combination}$, where $\mathbf{{u}} = {first}$ and "
            rf"$\mathbf{{v}} = {second}$.",
            rf"If $\mathbf{{u}} = {first}$ and $\mathbf{{v}} = {second}$, which vector is equal to "
            rf"${combination}$?",
        )
    )

    def combined(s: int, t: int) -> str:
        return column([s * x + t * y for x, y in zip(u, v, strict=True)])

    return Draft(
        text,
        combined(a, b),
        params=(*u, *v, a, b),
        check=lambda: (a * sympy().Matrix(u) + b * sympy().Matrix(v)).tolist(),
        slips=(combined(a, -b), combined(b, a), combined(a, 1), combined(1, 1)),
    )


@family("trig_values", subject=SUBJECT, level=2, answer="radical")
def trig_values(rng: Random) -> Draft | None:
    special = [x for x in range(0, 361, 15) if x % 30 == 0 or x % 45 == 0]
    alpha, beta = rng.choice(special), rng.choice(special)
    a, b = rng.randint(1, 9), nonzero(rng, 9)
    (k, m), (j, n) = _sine(alpha), _sine(beta + 90)
    first, second = Fraction(a * k, 2), Fraction(b * j, 2)
    if first == 0 or second == 0 or m == n == 1 or (m == n and first + second == 0):
        return None

    def added(x: Fraction, y: Fraction) -> str:
        if m == n:
            return surd(x + y, m)
        parts = sorted(((m, x), (n, y)))
        return total(*(surd(c, root) for root, c in parts))

    expression = total(term(a, rf"\sin {alpha}^\circ"), term(b, rf"\cos {beta}^\circ"))
    text = rng.choice(
        (
            rf"Compute ${expression}$.",
            rf"What is the exact value of ${expression}$?",
            rf"Evaluate ${expression}$ without a calculator.",
        )
    )
    return Draft(
        text + " Express your answer in simplest radical form.",
        added(first, second),
        params=(a, b, alpha, beta),
        check=lambda: a * sin(alpha * pi / 180) + b * cos(beta * pi / 180),
        slips=(
            added(first, -second),
            added(-first, second),
            added(2 * first, second),
            added(first, 2 * second),
        ),
    )


@family("matrix_product", subject=SUBJECT, level=2, answer="matrix")
def matrix_product(rng: Random) -> Draft:
    a, b = ([[rng.randint(-6, 7) for _ in range(2)] for _ in range(2)] for _ in range(2))

    def times(x: list[list[int]], y: list[list[int]]) -> str:
        return matrix(
            [[sum(x[i][k] * y[k][j] for k in range(2)) for j in range(2)] for i in range(2)]
        )

    first, second = matrix(a), matrix(b)
    text = rng.choice(
        (
            rf"Compute the matrix product ${first} {second}$.",
            rf"Let $\mathbf{{A}} = {first}$ and $\mathbf{{B}} = {second}$. Find "
            r"$\mathbf{A} \mathbf{B}$.",
            rf"Multiply the matrices: ${first} {second}$.",
        )
    )
    return Draft(
        text,
        times(a, b),
        params=(*a[0], *a[1], *b[0], *b[1]),
        check=lambda: (sympy().Matrix(a) * sympy().Matrix(b)).tolist(),
        slips=(
            times(b, a),
            matrix([[a[i][j] * b[i][j] for j in range(2)] for i in range(2)]),
            matrix([[a[i][j] + b[i][j] for j in range(2)] for i in range(2)]),
            times(a, [list(row) for row in zip(*b, strict=True)]),
        ),
    )


@family("determinant", subject=SUBJECT, level=3, answer="integer")
def determinant(rng: Random) -> Draft:
    rows = [[rng.randint(-6, 7) for _ in range(3)] for _ in range(3)]
    (a, b, c), (d, e, f), (g, h, i) = rows
    diagonals = (a * e * i, b * f * g, c * d * h), (c * e * g, a * f * h, b * d * i)
    value = sum(diagonals[0]) - sum(diagonals[1])
    shown = matrix(rows)
    bars = shown.replace("pmatrix", "vmatrix")
    text = rng.choice(
        (
            rf"Compute the determinant ${bars}$.",
            rf"What is the determinant of the matrix ${shown}$?",
            rf"Let $\mathbf{{M}} = {shown}$. Find $\det \mathbf{{M}}$.",
        )
    )
    return Draft(
        text,
        value,
        params=tuple(map(tuple, rows)),
        check=lambda: sympy().Matrix(rows).det(method="berkowitz"),
        slips=(sum(diagonals[0]) + sum(diagonals[1]), -value, sum(diagonals[0]), a * e * i),
    )


@family("matrix_inverse", subject=SUBJECT, level=3, answer="matrix")
def matrix_inverse(rng: Random) -> Draft | None:
    a, b, c, d = (rng.randint(-7, 8) for _ in range(4))
    det = a * d - b * c
    if not 1 < abs(det) < 40 or 0 in (b, c):
        return None

    def over(entries: tuple[int, int, int, int], divisor: int) -> str:
        w, x, y, z = (Fraction(entry, divisor) for entry in entries)
        return matrix([[w, x], [y, z]])

    shown = matrix([[a, b], [c, d]])
    text = rng.choice(
        (
            rf"Find the inverse of the matrix ${shown}$.",
            rf"Let $\mathbf{{A}} = {shown}$. What is $\mathbf{{A}}^{{-1}}$?",
            rf"Which matrix $\mathbf{{X}}$ satisfies ${shown} \mathbf{{X}} = "
            rf"{matrix([[1, 0], [0, 1]])}$?",
        )
    )
    return Draft(
        text,
        over((d, -b, -c, a), det),
        params=(a, b, c, d),
        check=lambda: sympy().Matrix([[a, b], [c, d]]).inv(method="LU").tolist(),
        slips=(
            over((d, -b, -c, a), -det),
            over((d, -b, -c, a), 1),
            over((a, -b, -c, d), det),
            over((d, b, c, a), det),
            over((d, -c, -b, a), det),
        ),
    )


@family("cross_product", subject=SUBJECT, level=4, answer="matrix")
def cross_product(rng: Random) -> Draft:
    u, v = ([rng.randint(-8, 9) for _ in range(3)] for _ in range(2))

    def cross(x: list[int], y: list[int]) -> list[int]:
        return [
            x[1] * y[2] - x[2] * y[1],
            x[2] * y[0] - x[0] * y[2],
            x[0] * y[1] - x[1] * y[0],
        ]

    first, second = column(u), column(v)
    text = rng.choice(
        (
            rf"Compute the cross product ${first} \times {second}$.",
            rf"Let $\mathbf{{a}} = {first}$ and $\mathbf{{b}} = {second}$. Find "
            r"$\mathbf{a} \times \mathbf{b}$.",
            rf"What is the cross product of the vectors ${first}$ and ${second}$, in this order?",
        )
    )
    value = cross(u, v)
    return Draft(
        text,
        column(value),
        params=(*u, *v),
        check=lambda: sympy().Matrix(u).cross(sympy().Matrix(v)).tolist(),
        slips=(
            column([-x for x in value]),
            column([value[0], -value[1], value[2]]),
            column([x * y for x, y in zip(u, v, strict=True)]),
            column([u[1] * v[2] + u[2] * v[1], value[1], value[2]]),
        ),
    )


@family("angle_sum", subject=SUBJECT, level=4, answer="fraction")
def angle_sum(rng: Random) -> Draft | None:
    (a, b, c), (d, e, f) = rng.choice(_TRIPLES), rng.choice(_TRIPLES)
    if rng.random() < 0.5:
        a, b = b, a
    if rng.random() < 0.5:
        d, e = e, d
    function, sign = rng.choice(("sin", "cos")), rng.choice((1, -1))
    given_cosine = rng.random() < 0.5
    # sin A = a/c, cos A = b/c, sin B = d/f, cos B = e/f, all angles acute.
    if function == "sin":
        value = Fraction(a * e + sign * b * d, c * f)
        slips = (Fraction(a * e - sign * b * d, c * f), Fraction(b * e - sign * a * d, c * f))
    else:
        value = Fraction(b * e - sign * a * d, c * f)
        slips = (Fraction(b * e + sign * a * d, c * f), Fraction(a * e + sign * b * d, c * f))
    if value.denominator == 1 or (a, b) == (d, e):
        return None
    x, y = rng.choice(((r"\alpha", r"\beta"), ("A", "B"), ("x", "y")))
    first = rf"\sin {x} = {fraction(a, c)}"
    second = rf"\cos {y} = {fraction(e, f)}" if given_cosine else rf"\sin {y} = {fraction(d, f)}"
    asked = rf"\{function} ({x} {'+' if sign == 1 else '-'} {y})"
    text = rng.choice(
        (
            rf"Let ${x}$ and ${y}$ be acute angles with ${first}$ and ${second}$. Find "
            rf"${asked}$.",
            rf"If ${first}$ and ${second}$, where ${x}$ and ${y}$ are acute angles, what is "
            rf"${asked}$?",
            rf"The acute angles ${x}$ and ${y}$ satisfy ${first}$ and ${second}$. What is the "
            rf"value of ${asked}$?",
        )
    )

    def by_inverse_functions() -> float:
        angle = asin(a / c) + sign * asin(d / f)
        return sin(angle) if function == "sin" else cos(angle)

    # Under addition the two angles are interchangeable, so their order is no new instance.
    pair = ((a, b, c), (d, e, f))
    return Draft(
        text + " Express your answer as a common fraction.",
        value,
        params=(function, sign, *(sorted(pair) if sign == 1 or function == "cos" else pair)),
        check=by_inverse_functions,
        slips=(*slips, Fraction(a, c) + sign * Fraction(e, f), Fraction(a * e, c * f), -value),
    )


@family("shifted_sine", subject=SUBJECT, level=4, answer="set")
def shifted_sine(rng: Random) -> Draft | None:
    function = rng.choice(("sin", "cos"))
    base = rng.choice((30, 45, 60))
    sign, shift = rng.choice((1, -1)), nonzero(rng, 85)
    half = {30: "{1}", 45: r"{\sqrt{2}}", 60: r"{\sqrt{3}}"}[base]
    reference = base if function == "sin" else 90 - base
    if function == "sin":
        inner = (reference, 180 - reference) if sign == 1 else (180 + reference, 360 - reference)
    else:
        inner = (reference, 360 - reference) if sign == 1 else (180 - reference, 180 + reference)
    roots = sorted((t - shift) % 360 for t in inner)
    level = rf"{'-' if sign < 0 else ''}\frac{half}{{2}}"
    equation = rf"\{function} (x^\circ {'+' if shift > 0 else '-'} {abs(shift)}^\circ) = {level}"
    text = rng.choice(
        (
            rf"Find the set of all real numbers $x$ with $0 \le x < 360$ such that ${equation}$.",
            rf"Solve ${equation}$ for $0 \le x < 360$. Give the solutions as a set.",
            rf"What is the set of solutions $x$ of ${equation}$ in the interval $0 \le x < 360$?",
        )
    )

    def by_scan() -> frozenset[int]:
        f = sin if function == "sin" else cos
        height = sign * sin(base * pi / 180)
        return frozenset(x for x in range(360) if abs(f((x + shift) * pi / 180) - height) < 1e-9)

    return Draft(
        text,
        finite_set(roots),
        params=(function, base, sign, shift),
        check=by_scan,
        slips=(
            finite_set(sorted((t + shift) % 360 for t in inner)),
            finite_set(roots[:1]),
            finite_set(sorted((t - shift + 180) % 360 for t in inner)),
            finite_set(sorted(inner)),
        ),
    )


@family("vector_projection", subject=SUBJECT, level=5, answer="matrix")
def vector_projection(rng: Random) -> Draft | None:
    size = rng.randint(2, 3)
    v = [rng.randint(-9, 9) for _ in range(size)]
    w = [rng.randint(-5, 5) for _ in range(size)]
    dot = sum(x * y for x, y in zip(v, w, strict=True))
    norm, other = sum(y * y for y in w), sum(x * x for x in v)
    if dot == 0 or sum(map(bool, w)) < 2 or dot % norm == 0:
        return None

    def scaled(vector: list[int], top: int, bottom: int) -> str:
        return column([Fraction(top, bottom) * y for y in vector])

    first, second = column(v), column(w)
    text = rng.choice(
        (
            rf"Find the projection of ${first}$ onto ${second}$.",
            rf"Let $\mathbf{{v}} = {first}$ and $\mathbf{{w}} = {second}$. Compute "
            r"$\operatorname{proj}_{\mathbf{w}} \mathbf{v}$.",
            rf"The vector $\mathbf{{v}} = {first}$ is projected orthogonally onto the line spanned "
            rf"by ${second}$. What is the resulting vector?",
        )
    )
    return Draft(
        text,
        scaled(w, dot, norm),
        params=(*v, *w),
        check=lambda: sympy().Matrix(v).project(sympy().Matrix(w)).tolist(),
        slips=(
            scaled(v, dot, other),
            scaled(w, dot, other),
            scaled(w, -dot, norm),
            scaled(w, dot, 1),
        ),
    )


@family("matrix_power", subject=SUBJECT, level=5, answer="matrix")
def matrix_power(rng: Random) -> Draft | None:
    a, d = rng.sample(range(-5, 6), 2)
    b, n = nonzero(rng, 9), rng.randint(4, 8)
    if abs(a) == abs(d) or 0 in (a, d):
        return None
    lower = rng.random() < 0.5
    corner = b * (a**n - d**n) // (a - d)

    def triangular(x: int, off: int, y: int) -> str:
        return matrix([[x, 0], [off, y]] if lower else [[x, off], [0, y]])

    shown = triangular(a, b, d)
    text = rng.choice(
        (
            rf"Let $\mathbf{{A}} = {shown}$. Find $\mathbf{{A}}^{n}$.",
            rf"Compute ${shown}^{n}$.",
            rf"A linear transformation of the plane has the matrix ${shown}$. What is the matrix "
            rf"of the transformation that applies it {n} times in a row?",
        )
    )
    return Draft(
        text,
        triangular(a**n, corner, d**n),
        params=(a, b, d, n, lower),
        check=lambda: (
            sympy().Matrix([[a, 0], [b, d]] if lower else [[a, b], [0, d]]) ** n
        ).tolist(),
        slips=(
            triangular(a**n, b**n, d**n),
            triangular(a * n, b * n, d * n),
            triangular(a**n, n * b, d**n),
            triangular(a ** (n - 1), b * (a ** (n - 1) - d ** (n - 1)) // (a - d), d ** (n - 1)),
        ),
    )


@family("plane_distance", subject=SUBJECT, level=5, answer="radical")
def plane_distance(rng: Random) -> Draft | None:
    normal = [rng.randint(1, 7), nonzero(rng, 7), nonzero(rng, 7)]
    p = [rng.randint(-8, 8) for _ in range(3)]
    d = nonzero(rng, 20)
    norm = sum(c * c for c in normal)
    dot = sum(c * x for c, x in zip(normal, p, strict=True))
    if dot == d or surd(1, norm).isdigit() or gcd(*normal) > 1:
        return None
    plane = f"{total(*(term(c, v) for c, v in zip(normal, 'xyz', strict=True)))} = {d}"
    where = point(*p)
    text = rng.choice(
        (
            rf"What is the distance from the point ${where}$ to the plane ${plane}$?",
            rf"Find the distance between ${where}$ and the plane with equation ${plane}$.",
            rf"A sphere with center ${where}$ is tangent to the plane ${plane}$. Find the radius "
            r"of the sphere.",
        )
    )

    def by_foot() -> object:
        """The length of p - q, with q the foot of the perpendicular."""
        step = sympy().Rational(d - dot, norm)
        return sympy().sqrt(sum((step * c) ** 2 for c in normal))

    gap = abs(dot - d)
    return Draft(
        text + " Express your answer in simplest radical form with a rational denominator.",
        surd(Fraction(gap, norm), norm),
        params=(*normal, *p, d),
        check=by_foot,
        slips=(
            surd(Fraction(abs(dot + d) or 1, norm), norm),
            number(gap),
            number(Fraction(gap, norm)),
            surd(Fraction(abs(dot) or 2, norm), norm),
        ),
    )
