"""AIME style: longer problems whose answer is an integer from 0 to 999."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, product
from math import gcd, lcm, prod, sqrt
from random import Random

from corl_bench.tasks.synth.families import Draft, family, nonzero, sympy
from corl_bench.tasks.synth.latex import term, total
from corl_bench.tasks.synth.words import NAMES

SUBJECT = "AIME"
LARGEST = 999


@family("aime_divisible", subject=SUBJECT, level=3, answer="integer")
def aime_divisible(rng: Random) -> Draft | None:
    a, b, c = rng.sample(range(2, 16), 3)
    a, b = sorted((a, b))
    n = 10 * rng.randint(40, 200)
    if b % a == 0 or c == lcm(a, b) or a % c == 0 or b % c == 0:
        return None

    def up_to(*divisors: int) -> int:
        return n // lcm(*divisors)

    value = up_to(a) + up_to(b) - up_to(a, b) - up_to(a, c) - up_to(b, c) + up_to(a, b, c)
    if not 10 <= value <= LARGEST:
        return None
    text = rng.choice(
        (
            rf"Find the number of positive integers less than or equal to ${n}$ that are divisible "
            rf"by ${a}$ or by ${b}$, but not by ${c}$.",
            rf"A row of ${n}$ lamps is numbered from $1$ to ${n}$. Every lamp whose number is a "
            rf"multiple of ${a}$ or of ${b}$ is switched on. Then every lamp whose number is a "
            rf"multiple of ${c}$ is switched off. Find the number of lamps that are on at the end, "
            r"if all were off at the beginning.",
            rf"Let $S$ be the set of integers $n$ with $1 \le n \le {n}$ that are multiples of "
            rf"${a}$ or of ${b}$ (or both) and are not multiples of ${c}$. Find the number of "
            r"elements of $S$.",
        )
    )
    return Draft(
        text,
        value,
        params=(a, b, c, n),
        check=lambda: sum((k % a == 0 or k % b == 0) and k % c != 0 for k in range(1, n + 1)),
        slips=(
            up_to(a) + up_to(b) - up_to(a, b),
            up_to(a) + up_to(b) - up_to(a, b) - up_to(a, c) - up_to(b, c),
            value + up_to(a, b),
            up_to(a) + up_to(b) - up_to(a, b) - up_to(a, b, c),
        ),
    )


@family("aime_distance_probability", subject=SUBJECT, level=3, answer="integer")
def aime_distance_probability(rng: Random) -> Draft | None:
    n = rng.randint(10, 60)
    d = rng.randint(2, n - 4)
    close = rng.random() < 0.5
    every = n * (n - 1) // 2
    # Pairs that differ by exactly k: n - k of them.
    near = d * n - d * (d + 1) // 2
    chance = Fraction(near, every) if close else Fraction(every - near, every)
    value = chance.numerator + chance.denominator
    if value > LARGEST or chance.denominator < 5:
        return None
    how = "at most" if close else "more than"
    who, other = rng.sample(NAMES, 2)
    ending = (
        r"is $\frac{m}{n}$, where $m$ and $n$ are relatively prime positive integers. "
        r"Find $m + n$."
    )
    text = rng.choice(
        (
            rf"Two different integers are chosen at random from the integers $1$ through ${n}$. "
            rf"The probability that they differ by {how} ${d}$ {ending}",
            rf"There are {n} seats in a row. {who} and {other} sit down on two different seats "
            rf"chosen at random. The probability that their seat numbers, which run from $1$ to "
            rf"${n}$, differ by {how} ${d}$ {ending}",
            rf"From cards numbered $1, 2, \ldots, {n}$, two are drawn at random without "
            rf"replacement. The probability that the difference between the larger and the smaller "
            rf"number is {how} ${d}$ {ending}",
        )
    )

    def by_counting() -> int:
        good = sum((y - x <= d) == close for x, y in combinations(range(n), 2))
        q = Fraction(good, every)
        return q.numerator + q.denominator

    ordered = Fraction(near + n, n * n)
    return Draft(
        text,
        value,
        params=(n, d, close),
        check=by_counting,
        slips=(
            chance.denominator * 2 - chance.numerator,
            ordered.numerator + ordered.denominator,
            chance.denominator - chance.numerator,
            chance.denominator,
        ),
    )


@family("aime_sum_remainder", subject=SUBJECT, level=4, answer="integer")
def aime_sum_remainder(rng: Random) -> Draft:
    n, a = rng.randint(40, 600), rng.randint(1, 40)
    exact = n * (n + 1) * (2 * n + 1) // 6 + a * n * (n + 1) // 2
    first = rf"1 \cdot {1 + a} + 2 \cdot {2 + a} + 3 \cdot {3 + a}"
    text = rng.choice(
        (
            rf"Let \[N = {first} + \cdots + {n} \cdot {n + a}.\] Find the remainder when $N$ is "
            r"divided by $1000$.",
            rf"Find the remainder when $\displaystyle \sum_{{k=1}}^{{{n}}} k(k + {a})$ is divided "
            r"by $1000$.",
            rf"For each integer $k$ from $1$ to ${n}$, a rectangle with side lengths $k$ and "
            rf"$k + {a}$ is drawn. Let $T$ be the sum of the areas of these rectangles. Find the "
            r"remainder when $T$ is divided by $1000$.",
        )
    )
    return Draft(
        text,
        exact % 1000,
        params=(n, a),
        check=lambda: sum(k * (k + a) for k in range(1, n + 1)) % 1000,
        slips=(
            (exact - n * (n + a)) % 1000,
            (n * (n + 1) * (2 * n + 1) // 6) % 1000,
            (exact + (n + 1) * (n + 1 + a)) % 1000,
            exact // 1000 % 1000,
        ),
    )


@family("aime_divisors", subject=SUBJECT, level=4, answer="integer")
def aime_divisors(rng: Random) -> Draft | None:
    primes = sorted(rng.sample((2, 3, 5, 7, 11, 13), 3))
    exponents = [rng.randint(2, 11) for _ in primes]
    every = prod(e + 1 for e in exponents)
    squares = prod(e // 2 + 1 for e in exponents)
    value = every - squares
    if value > LARGEST:
        return None
    n = r" \cdot ".join(f"{p}^{{{e}}}" for p, e in zip(primes, exponents, strict=True))
    text = rng.choice(
        (
            rf"Find the number of positive divisors of ${n}$ that are not perfect squares.",
            rf"Let $N = {n}$. Find the number of positive integers that divide $N$ but are not the "
            r"square of an integer.",
            rf"How many positive integers $d$ have the property that $d$ is a factor of ${n}$ and "
            r"$\sqrt{d}$ is irrational?",
        )
    )
    return Draft(
        text,
        value,
        params=(*primes, *exponents),
        check=lambda: sum(
            any(k % 2 for k in chosen) for chosen in product(*(range(e + 1) for e in exponents))
        ),
        slips=(
            every,
            squares,
            every - prod(e // 2 for e in exponents),
            prod(exponents) - squares,
            value - 1,
        ),
    )


@family("aime_tangent_segment", subject=SUBJECT, level=4, answer="integer")
def aime_tangent_segment(rng: Random) -> Draft | None:
    r, s = sorted(rng.sample(range(2, 31), 2))
    d = r + s + rng.randint(0, 20)
    value = d * d - (s - r) ** 2
    if value > LARGEST:
        return None
    text = rng.choice(
        (
            rf"Circles with radii ${r}$ and ${s}$ have their centers a distance of ${d}$ apart. A "
            r"line is tangent to both circles, at points $A$ and $B$, and does not cross the "
            r"segment between the centers. Find $AB^2$.",
            rf"Circle $\omega_1$ has radius ${r}$ and center $P$, and circle $\omega_2$ has radius "
            rf"${s}$ and center $Q$, where $PQ = {d}$. A common external tangent touches "
            r"$\omega_1$ at $A$ and $\omega_2$ at $B$. Find $AB^2$.",
            rf"Two round pillars with radii ${r}$ and ${s}$ stand on a floor, and their axes are "
            rf"${d}$ units apart. A taut rope touches both pillars on the same side, and its "
            r"straight part between them has length $L$. Find $L^2$.",
        )
    )

    def by_coordinates() -> float:
        """The tangent's unit normal (c, h) has c = (r - s) / d when both centers lie below it."""
        c = (r - s) / d
        h = sqrt(1 - c * c)
        ax, ay, bx, by = r * c, r * h, d + s * c, s * h
        return (ax - bx) ** 2 + (ay - by) ** 2

    return Draft(
        text,
        value,
        params=(r, s, d),
        check=by_coordinates,
        slips=(d * d - (r + s) ** 2, d * d - r * r - s * s, d * d, d * d + (s - r) ** 2),
    )


@family("aime_power_tower", subject=SUBJECT, level=5, answer="integer")
def aime_power_tower(rng: Random) -> Draft | None:
    a, b, c = rng.randint(2, 120), rng.randint(3, 15), rng.randint(3, 12)
    tower = rf"{a}^{{{b}^{{{c}}}}}"
    value = pow(a, b**c, 1000)
    if gcd(a, 10) > 1 or value < 2:
        return None
    text = rng.choice(
        (
            rf"Find the remainder when ${tower}$ is divided by $1000$.",
            rf"Let $N = {tower}$, where the exponent of ${a}$ is ${b}^{{{c}}}$. Find the number "
            r"formed by the last three digits of $N$. (Ignore leading zeros.)",
            rf"Let $r$ be the remainder when ${tower}$ is divided by $1000$. Find $r$.",
        )
    )

    def by_repeated_powers() -> int:
        """(…((a^b)^b)…)^b, reduced after every step."""
        r = a
        for _ in range(c):
            r = prod([r] * b) % 1000
        return r

    return Draft(
        text,
        value,
        params=(a, b, c),
        check=by_repeated_powers,
        slips=(
            pow(a, b * c, 1000),
            pow(a, b**c % 1000, 1000),
            pow(a, b ** (c - 1), 1000),
            pow(a, c**b % 400, 1000),
        ),
    )


@family("aime_lattice_triangle", subject=SUBJECT, level=5, answer="integer")
def aime_lattice_triangle(rng: Random) -> Draft | None:
    a, b = sorted(rng.sample(range(6, 250), 2))
    value = ((a - 1) * (b - 1) - (gcd(a, b) - 1)) // 2
    if value > LARGEST:
        return None
    line = rf"\frac{{x}}{{{a}}} + \frac{{y}}{{{b}}}"
    text = rng.choice(
        (
            rf"Find the number of points with integer coordinates that lie strictly inside the "
            rf"triangle with vertices $(0, 0)$, $({a}, 0)$, and $(0, {b})$.",
            rf"Find the number of ordered pairs $(x, y)$ of positive integers such that "
            rf"${line} < 1$.",
            rf"A straight line meets the coordinate axes at $({a}, 0)$ and $(0, {b})$. Find the "
            r"number of lattice points, that is, points with integer coordinates, in the interior "
            r"of the triangle that the line forms with the axes.",
        )
    )
    return Draft(
        text,
        value,
        params=(a, b),
        check=lambda: sum(1 for x in range(1, a) for y in range(1, b) if b * x + a * y < a * b),
        slips=(
            (a - 1) * (b - 1) // 2 + gcd(a, b),
            a * b // 2,
            (a + 1) * (b + 1) // 2,
            value + gcd(a, b) - 1,
            (a - 1) * (b - 1) // 2 - 1,
        ),
    )


@family("aime_recurrence", subject=SUBJECT, level=5, answer="integer")
def aime_recurrence(rng: Random) -> Draft:
    first, second = rng.randint(1, 9), rng.randint(1, 9)
    p, q = rng.randint(1, 6), nonzero(rng, 5)
    index = rng.randint(15, 60)
    x, y = first, second
    for _ in range(index - 2):
        x, y = y, p * y + q * x
    rule = f"a_n = {total(term(p, 'a_{n-1}'), term(q, 'a_{n-2}'))}"
    text = rng.choice(
        (
            rf"A sequence is defined by $a_1 = {first}$, $a_2 = {second}$, and ${rule}$ for all "
            rf"integers $n \ge 3$. Find the remainder when $a_{{{index}}}$ is divided by $1000$. "
            r"(The remainder is an integer from $0$ to $999$.)",
            rf"Let $a_1 = {first}$ and $a_2 = {second}$, and for $n \ge 3$ let ${rule}$. Find the "
            rf"integer $r$ with $0 \le r \le 999$ such that $a_{{{index}}} - r$ is a multiple of "
            r"$1000$.",
            rf"The terms of a sequence satisfy ${rule}$ for $n \ge 3$, and its first two terms are "
            rf"$a_1 = {first}$ and $a_2 = {second}$. Let $0 \le r < 1000$ with "
            rf"$a_{{{index}}} \equiv r \pmod{{1000}}$. Find $r$.",
        )
    )

    def by_matrix_power() -> object:
        step = sympy().Matrix([[p, q], [1, 0]])
        return (step ** (index - 2) * sympy().Matrix([second, first]))[0] % 1000

    return Draft(
        text,
        y % 1000,
        params=(first, second, p, q, index),
        check=by_matrix_power,
        slips=(x % 1000, (p * y + q * x) % 1000, -y % 1000, (p * x - q * y) % 1000),
    )


@family("aime_telescoping_product", subject=SUBJECT, level=4, answer="integer")
def aime_telescoping_product(rng: Random) -> Draft | None:
    d = rng.randint(1, 4)
    low = d + rng.randint(2, 45)
    high = low + rng.randint(5, 99)
    # The product of (k - d)(k + d) / k^2 over low..high telescopes from both sides.
    value = prod(
        (Fraction(low - d + j, high - d + 1 + j) * Fraction(high + 1 + j, low + j))
        for j in range(d)
    )
    answer = value.numerator + value.denominator
    if answer > LARGEST:
        return None
    square = d * d
    factor = rf"1 - \frac{{{square}}}{{k^2}}"
    first, second, last = (
        rf"\left(1 - \frac{{{square}}}{{{k}^2}}\right)" for k in (low, low + 1, high)
    )
    ending = (
        r"can be written as $\frac{m}{n}$, where $m$ and $n$ are relatively prime positive "
        r"integers. Find $m + n$."
    )
    text = rng.choice(
        (
            rf"The product \[{first}{second} \cdots {last}\] {ending}",
            rf"The value of $\displaystyle \prod_{{k={low}}}^{{{high}}} \left({factor}\right)$ "
            rf"{ending}",
            rf"For each integer $k$ from ${low}$ to ${high}$, the number ${factor}$ is written on "
            rf"a board. The product of all numbers on the board {ending}",
        )
    )

    def by_multiplying() -> int:
        whole = Fraction(1)
        for k in range(low, high + 1):
            whole *= 1 - Fraction(square, k * k)
        return whole.numerator + whole.denominator

    return Draft(
        text,
        answer,
        params=(d, low, high),
        check=by_multiplying,
        slips=(
            value.denominator,
            value.denominator - value.numerator,
            answer + 1,
            2 * value.denominator - value.numerator,
        ),
    )
