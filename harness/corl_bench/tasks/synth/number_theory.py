"""Number Theory: divisors, remainders, bases, congruences."""

from __future__ import annotations

from math import gcd, lcm, prod
from random import Random

from corl_bench.tasks.synth.families import Draft, family, sympy
from corl_bench.tasks.synth.latex import finite_set, term, total
from corl_bench.tasks.synth.words import GOODS, NAMES

SUBJECT = "Number Theory"
SMALL_PRIMES = (2, 3, 5, 7, 11, 13, 17)


@family("greatest_common_divisor", subject=SUBJECT, level=1, answer="integer")
def greatest_common_divisor(rng: Random) -> Draft | None:
    g = rng.randint(2, 40)
    a, b = sorted((g * rng.randint(2, 20), g * rng.randint(2, 20)))
    if a == b or gcd(a, b) == a:
        return None
    first, second = rng.sample(GOODS, 2)
    text = rng.choice(
        (
            rf"What is the greatest common divisor of ${a}$ and ${b}$?",
            rf"Find the largest positive integer that divides both ${a}$ and ${b}$.",
            rf"A store packs {a} {first} and {b} {second} into identical gift boxes, with nothing "
            r"left over. What is the greatest possible number of boxes?",
        )
    )
    value = gcd(a, b)
    return Draft(
        text,
        value,
        params=(a, b),
        check=lambda: max(d for d in range(1, a + 1) if a % d == b % d == 0),
        slips=(lcm(a, b), 2 * value, b - a, 1 if value > 1 else 2),
    )


@family("division_remainder", subject=SUBJECT, level=1, answer="integer")
def division_remainder(rng: Random) -> Draft | None:
    n, d = rng.randint(200, 9999), rng.randint(6, 40)
    if n % d == 0:
        return None
    who = rng.choice(NAMES)
    text = rng.choice(
        (
            rf"What is the remainder when ${n}$ is divided by ${d}$?",
            rf"{who} puts {n} stickers into albums that hold {d} stickers each, and fills as many "
            r"albums as possible. How many stickers are left over?",
            rf"Find the remainder of the division of ${n}$ by ${d}$.",
        )
    )
    return Draft(
        text,
        n % d,
        params=(n, d),
        check=lambda: n - d * sum(1 for _ in range(d, n + 1, d)),
        slips=(d - n % d, n // d, n % (d - 1), n % d + 1),
    )


@family("common_schedule", subject=SUBJECT, level=2, answer="integer")
def common_schedule(rng: Random) -> Draft | None:
    a, b, c = sorted(rng.sample(range(4, 41), 3))
    value = lcm(a, b, c)
    if value in (c, a * b * c) or value > 4000:
        return None
    text = rng.choice(
        (
            rf"Three lighthouses flash every {a}, {b}, and {c} seconds, respectively. They have "
            r"just flashed together. In how many seconds will they next flash together?",
            rf"What is the least positive integer that is divisible by each of ${a}$, ${b}$, and "
            rf"${c}$?",
            rf"Buses on three lines leave the station every {a}, {b}, and {c} minutes, "
            r"respectively. All three leave together at noon. How many minutes pass until all "
            r"three next leave together?",
        )
    )
    return Draft(
        text,
        value,
        params=(a, b, c),
        check=lambda: next(n for n in range(c, a * b * c + 1, c) if n % a == n % b == 0),
        slips=(a * b * c, lcm(a, b), lcm(b, c), 2 * value, gcd(a, b, c)),
    )


@family("multiples_between", subject=SUBJECT, level=2, answer="integer")
def multiples_between(rng: Random) -> Draft:
    d, low = rng.randint(3, 30), rng.randint(10, 400)
    high = low + rng.randint(100, 900)
    value = high // d - (low - 1) // d
    text = rng.choice(
        (
            rf"How many multiples of ${d}$ are there from ${low}$ to ${high}$, inclusive?",
            rf"How many integers $n$ with ${low} \le n \le {high}$ are divisible by ${d}$?",
            rf"Of the integers from ${low}$ to ${high}$, inclusive, how many are multiples of "
            rf"${d}$?",
        )
    )
    return Draft(
        text,
        value,
        params=(d, low, high),
        check=lambda: sum(1 for n in range(low, high + 1) if n % d == 0),
        slips=(value + 1, value - 1, (high - low) // d, high // d),
    )


@family("base_value", subject=SUBJECT, level=3, answer="integer")
def base_value(rng: Random) -> Draft:
    base = rng.choice((3, 4, 5, 6, 7, 8, 9))
    length = rng.randint(3, 5)
    digits = [rng.randint(1, base - 1), *(rng.randint(0, base - 1) for _ in range(length - 1))]
    written = "".join(map(str, digits))
    text = rng.choice(
        (
            rf"What is ${written}_{base}$ when written in base 10?",
            rf"Convert the base-{base} number ${written}_{base}$ to base 10.",
            rf"The number ${written}_{base}$ is written in base {base}. Express it in base ten.",
        )
    )
    value = 0
    for digit in digits:
        value = value * base + digit
    return Draft(
        text,
        value,
        params=(base, written),
        check=lambda: int(written, base),
        slips=(value * base, int(written[::-1], base), sum(digits) * base, value // base),
    )


@family("divisor_count", subject=SUBJECT, level=3, answer="integer")
def divisor_count(rng: Random) -> Draft | None:
    exponents = [rng.choice((0, 0, 1, 1, 2, 3, 4)) for _ in SMALL_PRIMES]
    n = prod(p**e for p, e in zip(SMALL_PRIMES, exponents, strict=True))
    if not 100 <= n <= 300_000 or sum(e > 0 for e in exponents) < 2:
        return None
    value = prod(e + 1 for e in exponents)
    text = rng.choice(
        (
            rf"How many positive divisors does ${n}$ have?",
            rf"How many positive integers are factors of ${n}$?",
            rf"Find the number of positive integers that divide ${n}$ evenly.",
        )
    )
    return Draft(
        text,
        value,
        params=(n,),
        check=lambda: sum(
            (1 if d * d == n else 2) for d in range(1, int(n**0.5) + 1) if n % d == 0
        ),
        slips=(value - 2, value - 1, prod(e for e in exponents if e), sum(exponents) + 1),
    )


@family("power_remainder", subject=SUBJECT, level=4, answer="integer")
def power_remainder(rng: Random) -> Draft | None:
    a, b, m = rng.randint(2, 30), rng.randint(40, 2500), rng.randint(7, 60)
    if a % m in (0, 1, m - 1) or pow(a, b, m) == 0:
        return None
    power = rf"{a}^{{{b}}}"
    text = rng.choice(
        (
            rf"What is the remainder when ${power}$ is divided by ${m}$?",
            rf"Find the remainder when the power ${power}$ is divided by ${m}$.",
            rf"Determine the integer $r$ with $0 \le r < {m}$ and "
            rf"${power} \equiv r \pmod{{{m}}}$.",
        )
    )

    def step_by_step() -> int:
        r = 1
        for _ in range(b):
            r = r * a % m
        return r

    return Draft(
        text,
        pow(a, b, m),
        params=(a, b, m),
        check=step_by_step,
        slips=(pow(a, b - 1, m), pow(a, b + 1, m), a * b % m, m - pow(a, b, m), a % m),
    )


@family("factorial_exponent", subject=SUBJECT, level=4, answer="integer")
def factorial_exponent(rng: Random) -> Draft:
    p, n = rng.choice(SMALL_PRIMES), rng.randint(30, 700)

    value, rest = 0, n
    while rest:
        rest //= p
        value += rest
    text = rng.choice(
        (
            rf"What is the largest integer $k$ such that ${p}^k$ divides ${n}!$?",
            rf"Find the exponent of ${p}$ in the prime factorization of ${n}!$.",
            rf"How many times does the prime ${p}$ occur as a factor in the prime factorization "
            rf"of ${n}!$?",
        )
    )

    def factor_by_factor() -> int:
        count = 0
        for k in range(1, n + 1):
            while k % p == 0:
                k //= p
                count += 1
        return count

    return Draft(
        text,
        value,
        params=(p, n),
        check=factor_by_factor,
        slips=(n // p, value - 1, n // p + 1, n // p + n // p**2 - 1, value + 1),
    )


@family("divisor_sum", subject=SUBJECT, level=4, answer="integer")
def divisor_sum(rng: Random) -> Draft | None:
    exponents = [rng.choice((0, 0, 1, 1, 2, 3, 4)) for _ in SMALL_PRIMES]
    n = prod(p**e for p, e in zip(SMALL_PRIMES, exponents, strict=True))
    if not 60 <= n <= 300_000 or sum(e > 0 for e in exponents) < 2:
        return None
    value = prod(
        (p ** (e + 1) - 1) // (p - 1) for p, e in zip(SMALL_PRIMES, exponents, strict=True)
    )
    text = rng.choice(
        (
            rf"What is the sum of all positive divisors of ${n}$?",
            rf"Find the sum of the positive factors of ${n}$, including $1$ and ${n}$.",
            rf"Let $\sigma(n)$ denote the sum of the positive divisors of $n$. Compute "
            rf"$\sigma({n})$.",
        )
    )
    return Draft(
        text,
        value,
        params=(n,),
        check=lambda: sum(d for d in range(1, n + 1) if n % d == 0),
        slips=(value - n, value - 1 - n, value - 1, prod(e + 1 for e in exponents)),
    )


@family("simultaneous_remainders", subject=SUBJECT, level=5, answer="integer")
def simultaneous_remainders(rng: Random) -> Draft | None:
    moduli = sorted(rng.sample(range(4, 24), 3))
    a, b, c = moduli
    whole = a * b * c
    if lcm(a, b, c) != whole:
        return None
    value = rng.randint(c + 1, whole - 1)
    x, y, z = (value % m for m in moduli)
    if 0 in (x, y, z) or x == y == z:
        return None
    text = rng.choice(
        (
            rf"Find the smallest positive integer that leaves a remainder of ${x}$ when divided by "
            rf"${a}$, a remainder of ${y}$ when divided by ${b}$, and a remainder of ${z}$ when "
            rf"divided by ${c}$.",
            rf"What is the least positive integer $n$ such that $n \equiv {x} \pmod{{{a}}}$, "
            rf"$n \equiv {y} \pmod{{{b}}}$, and $n \equiv {z} \pmod{{{c}}}$?",
            rf"A band has fewer than {whole} members. In rows of {a}, {x} would be left over; in "
            rf"rows of {b}, {y} would be left over; and in rows of {c}, {z} would be left over. "
            r"How many members does the band have?",
        )
    )
    return Draft(
        text,
        value,
        params=(a, b, c, value),
        check=lambda: next(n for n in range(z, whole + 1, c) if (n % a, n % b) == (x, y)),
        slips=(value + whole, value % (b * c), value % (a * c), whole - value, value % (a * b)),
    )


@family("square_roots_modulo", subject=SUBJECT, level=5, answer="set")
def square_roots_modulo(rng: Random) -> Draft | None:
    primes = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)
    p, q = sorted(rng.sample(primes, 2))
    n = p * q
    x = rng.randrange(1, n)
    if n > 600 or x % p == 0 or x % q == 0:
        return None
    a = x * x % n
    roots = [k for k in range(n) if k * k % n == a]
    text = rng.choice(
        (
            rf"Find the set of all integers $x$ with $0 \le x < {n}$ such that "
            rf"$x^2 \equiv {a} \pmod{{{n}}}$.",
            rf"Which integers $x$ from $0$ to ${n - 1}$, inclusive, have squares that leave a "
            rf"remainder of ${a}$ when divided by ${n}$? Give your answer as a set.",
            rf"Determine the set of all residues $x \in \{{0, 1, \ldots, {n - 1}\}}$ for which "
            rf"${n}$ divides $x^2 - {a}$.",
        )
    )
    return Draft(
        text,
        finite_set(roots),
        params=(n, a),
        check=lambda: frozenset(map(int, sympy().ntheory.sqrt_mod_iter(a, n))),
        slips=(
            finite_set((roots[0], roots[-1])),
            finite_set(roots[1:3]),
            finite_set(roots[:2]),
            finite_set(roots[:3]),
        ),
    )


@family("linear_diophantine", subject=SUBJECT, level=5, answer="integer")
def linear_diophantine(rng: Random) -> Draft | None:
    a, b = sorted(rng.sample(range(2, 25), 2))
    c = rng.randint(100, 999)
    if gcd(a, b) != 1:
        return None
    value = sum(1 for x in range(1, c // a + 1) if c > a * x and (c - a * x) % b == 0)
    if value < 2:
        return None
    equation = f"{total(term(a, 'x'), term(b, 'y'))} = {c}"
    text = rng.choice(
        (
            rf"How many ordered pairs $(x, y)$ of positive integers satisfy ${equation}$?",
            rf"Find the number of solutions of ${equation}$ in positive integers $x$ and $y$.",
            rf"In how many ways can a sum of {c} cents be paid with {a}-cent and {b}-cent stamps, "
            r"if at least one stamp of each value must be used?",
        )
    )

    def by_least_solution() -> int:
        """Solutions in x are one class modulo b: count its members from 1 to (c - b) / a."""
        least = c * pow(a, -1, b) % b or b
        most = (c - b) // a
        return 0 if most < least else (most - least) // b + 1

    return Draft(
        text,
        value,
        params=(a, b, c),
        check=by_least_solution,
        slips=(value + 1, value - 1, c // (a * b) + 2, c // a, c // b),
    )
