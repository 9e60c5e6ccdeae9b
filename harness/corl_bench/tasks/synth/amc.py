"""AMC style: a short problem with five choices; the answer is a letter.

Invariant: the five choices are distinct positive numbers in ascending order, one of them right.
Typical mistakes come first among the wrong ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import isqrt, sqrt
from random import Random

from corl_bench.tasks.synth.families import Draft, family, nonzero
from corl_bench.tasks.synth.latex import Number, number
from corl_bench.tasks.synth.words import NAMES, ordinal

SUBJECT = "AMC"
LETTERS = "ABCDE"


def multiple_choice(
    rng: Random,
    stem: str,
    value: Number,
    *,
    slips: Sequence[Number],
    params: tuple[object, ...],
    check: Callable[[], Number],
) -> Draft:
    """A draft whose text is `stem` with five choices and whose answer is a letter.

    Args:
        rng: decides how many of the wrong choices are smaller than `value`.
        stem: the question.
        value: its answer, positive.
        slips: typical wrong values; those that are not positive or not wrong are passed over.
        params: as in `Draft`.
        check: `value` by a second route.
    """
    if value == int(value):
        step: Number = max(1, int(value) // 12)
    else:
        step = Fraction(1, value.denominator * (1 + 12 // value.denominator))
    spread = [value + k * step for k in (1, -1, 2, -2, 3, -3, 4, -4)]
    candidates: list[Number] = [*slips, *spread]
    # An answer below 1 is a probability, and so must every choice be.
    wrong = [w for w in dict.fromkeys(candidates) if w > 0 and w != value and (w < 1 or value >= 1)]
    below, above = ([w for w in wrong if w < value], [w for w in wrong if w > value])
    rank = max(min(rng.randint(0, 4), len(below)), 4 - len(above))
    options = sorted([*below[:rank], value, *above[: 4 - rank]])
    listing = r" \qquad ".join(
        rf"\textbf{{({letter})}}\ {number(option)}"
        for letter, option in zip(LETTERS, options, strict=True)
    )
    return Draft(
        f"{stem}\n${listing}$",
        LETTERS[options.index(value)],
        params=params,
        check=lambda: LETTERS[options.index(check())],
    )


@family("amc_round_trip", subject=SUBJECT, level=3, answer="letter")
def amc_round_trip(rng: Random) -> Draft:
    u, v = sorted(rng.sample(range(3, 91), 2))
    who = rng.choice(NAMES)
    stem = rng.choice(
        (
            rf"{who} drives to the coast at an average speed of {u} miles per hour and returns "
            rf"along the same road at an average speed of {v} miles per hour. What is the average "
            r"speed for the whole trip, in miles per hour?",
            rf"A boat travels down a canal at {v} kilometers per hour and comes back the same way "
            rf"at {u} kilometers per hour. What is its average speed for the round trip, in "
            r"kilometers per hour?",
            rf"A delivery drone flies to a customer at {v} feet per second and flies back along "
            rf"the same path at {u} feet per second. What is its average speed, in feet per "
            r"second, over both flights together?",
        )
    )
    return multiple_choice(
        rng,
        stem,
        Fraction(2 * u * v, u + v),
        slips=(Fraction(u + v, 2), Fraction(u * v, u + v), u, v),
        params=(u, v),
        check=lambda: Fraction(2) / (Fraction(1, u) + Fraction(1, v)),
    )


@family("amc_overlap", subject=SUBJECT, level=3, answer="letter")
def amc_overlap(rng: Random) -> Draft:
    both, only_first, only_second, neither = (rng.randint(3, 40) for _ in range(4))
    first, second = both + only_first, both + only_second
    everyone = both + only_first + only_second + neither
    stem = rng.choice(
        (
            rf"Of the {everyone} students in a school band, {first} play the flute, {second} play "
            rf"the drums, and {neither} play neither instrument. How many students play both?",
            rf"In a survey of {everyone} people, {first} said that they like tea, {second} said "
            rf"that they like coffee, and {neither} said that they like neither. How many of them "
            r"like both tea and coffee?",
            rf"A library lent {everyone} books in one day. Of these, {first} were novels, {second} "
            rf"were written in Spanish, and {neither} were neither. How many were novels written "
            r"in Spanish?",
        )
    )
    return multiple_choice(
        rng,
        stem,
        both,
        slips=(everyone - neither - second, everyone - neither - first, abs(first - second)),
        params=(*sorted((first, second)), neither, everyone),
        check=lambda: next(n for n in range(200) if first + second - n + neither == everyone),
    )


@family("amc_changed_mean", subject=SUBJECT, level=3, answer="letter")
def amc_changed_mean(rng: Random) -> Draft | None:
    count, before = rng.randint(4, 20), rng.randint(15, 75)
    after = before + nonzero(rng, 5)
    removed = count * before - (count - 1) * after
    if not 5 <= removed <= 95 or removed == before:
        return None
    stem = rng.choice(
        (
            rf"The mean of {count} numbers is {before}. When one of the numbers is removed, the "
            rf"mean of the remaining numbers is {after}. Which number was removed?",
            rf"The {count} members of a chess club have an average age of {before} years. After "
            rf"one member leaves, the average age of the others is {after} years. How old, in "
            r"years, is the member who left?",
            rf"A gardener weighs {count} pumpkins and finds an average of {before} pounds. After "
            rf"one of them is sold, the average of the rest is {after} pounds. How many pounds did "
            r"the sold pumpkin weigh?",
        )
    )
    return multiple_choice(
        rng,
        stem,
        removed,
        slips=(before + abs(before - after), count * before - count * after, after, before),
        params=(count, before, after),
        check=lambda: before + (count - 1) * (before - after),
    )


@family("amc_painted_block", subject=SUBJECT, level=4, answer="letter")
def amc_painted_block(rng: Random) -> Draft:
    a, b, c = sorted(rng.randint(3, 20) for _ in range(3))
    x, y, z = a - 2, b - 2, c - 2
    counts = (x * y * z, 2 * (x * y + y * z + z * x), 4 * (x + y + z))
    painted = rng.randint(0, 2)
    how = ("no red faces", "exactly one red face", "exactly two red faces")[painted]
    stem = rng.choice(
        (
            rf"A wooden block measuring ${a} \times {b} \times {c}$ is painted red on all six "
            rf"sides and then cut into unit cubes. How many of the unit cubes have {how}?",
            rf"Unit cubes are glued together to form a solid ${a} \times {b} \times {c}$ box, and "
            rf"the whole surface of the box is painted red. How many of the unit cubes have {how}?",
            rf"A block of cheese that measures ${a}$ by ${b}$ by ${c}$ is dipped in red wax, which "
            rf"covers its six faces, and is then sliced into unit cubes. How many of these cubes "
            rf"have {how}?",
        )
    )

    def by_counting() -> int:
        cubes = ((i, j, k) for i in range(a) for j in range(b) for k in range(c))
        return sum(
            sum((i in (0, a - 1), j in (0, b - 1), k in (0, c - 1))) == painted for i, j, k in cubes
        )

    return multiple_choice(
        rng,
        stem,
        counts[painted],
        slips=(
            *(counts[k] for k in range(3) if k != painted),
            (a - 1) * (b - 1) * (c - 1),
            counts[painted] // 2,
            counts[painted] + 8,
        ),
        params=(a, b, c, painted),
        check=by_counting,
    )


@family("amc_symmetric_values", subject=SUBJECT, level=4, answer="letter")
def amc_symmetric_values(rng: Random) -> Draft | None:
    s, p = rng.randint(3, 25), nonzero(rng, 40)
    squares = s * s - 2 * p
    asked, value = rng.choice(
        (
            ("x^3 + y^3", s**3 - 3 * s * p),
            ("x^4 + y^4", squares**2 - 2 * p * p),
            ("(x - y)^2", s * s - 4 * p),
        )
    )
    if value <= 4 or s * s <= 4 * p:
        return None
    stem = rng.choice(
        (
            rf"Real numbers $x$ and $y$ satisfy $x + y = {s}$ and $xy = {p}$. What is the value of "
            rf"${asked}$?",
            rf"The sum of two real numbers $x$ and $y$ is ${s}$ and their product is ${p}$. What "
            rf"is ${asked}$?",
            rf"If $x + y = {s}$ and $xy = {p}$, which of the following is equal to ${asked}$?",
        )
    )

    def from_the_numbers() -> int:
        root = sqrt(s * s - 4 * p)
        x, y = (s + root) / 2, (s - root) / 2
        values = {"x^3 + y^3": x**3 + y**3, "x^4 + y^4": x**4 + y**4, "(x - y)^2": (x - y) ** 2}
        return round(values[asked])

    return multiple_choice(
        rng,
        stem,
        value,
        slips=(s**3 - 3 * p, squares, s * s - p, s**3, squares**2, s * s + 4 * p),
        params=(asked, s, p),
        check=from_the_numbers,
    )


@family("amc_third_side", subject=SUBJECT, level=4, answer="letter")
def amc_third_side(rng: Random) -> Draft | None:
    a, b = sorted(rng.sample(range(4, 81), 2))
    acute = isqrt(a * a + b * b - 1) - isqrt(b * b - a * a)
    right = sum(isqrt(s) ** 2 == s for s in (a * a + b * b, b * b - a * a))
    every = 2 * a - 1
    kind, value = rng.choice((("acute", acute), ("obtuse", every - acute - right)))
    if value < 3:
        return None
    stem = rng.choice(
        (
            rf"Two sides of a triangle have lengths {a} and {b}, and the length of the third side "
            rf"is an integer. For how many lengths of the third side is the triangle {kind}?",
            rf"For how many integers $n$ is there an {kind} triangle with side lengths ${a}$, "
            rf"${b}$, and $n$?",
            rf"A carpenter has two straight rods that are {a} and {b} inches long and wants to add "
            rf"a third whose length in inches is an integer, so that the three form an {kind} "
            r"triangle. How many lengths are possible for the third rod?",
        )
    )

    def by_counting() -> int:
        count = 0
        for n in range(b - a + 1, a + b):
            x, y, z = sorted((a, b, n))
            count += (x * x + y * y > z * z) if kind == "acute" else (x * x + y * y < z * z)
        return count

    return multiple_choice(
        rng,
        stem,
        value,
        slips=(every - value, every, value + right, a + b - value),
        params=(a, b, kind),
        check=by_counting,
    )


@family("amc_floor_sum", subject=SUBJECT, level=5, answer="letter")
def amc_floor_sum(rng: Random) -> Draft:
    m = rng.randint(3, 24)
    n = rng.randint(4 * m, 12 * m)
    q, r = divmod(n, m)
    value = m * q * (q - 1) // 2 + q * (r + 1)
    floor = rf"\left\lfloor \frac{{k}}{{{m}}} \right\rfloor"
    stem = rng.choice(
        (
            rf"Let $\lfloor x \rfloor$ denote the greatest integer that does not exceed $x$. What "
            rf"is $\displaystyle \sum_{{k=1}}^{{{n}}} {floor}$?",
            rf"For real $x$, let $\lfloor x \rfloor$ be the greatest integer less than or equal to "
            rf"$x$. What is the sum of the numbers ${floor}$ for $k = 1, 2, \ldots, {n}$?",
            rf"Each integer $k$ from $1$ to ${n}$ is divided by ${m}$ and the quotient is rounded "
            r"down to an integer. What is the sum of the results?",
        )
    )
    return multiple_choice(
        rng,
        stem,
        value,
        slips=(value + q, value - q, m * q * (q + 1) // 2, n * (n + 1) // (2 * m)),
        params=(m, n),
        check=lambda: sum(k // m for k in range(1, n + 1)),
    )


@family("amc_shaded_square", subject=SUBJECT, level=5, answer="letter")
def amc_shaded_square(rng: Random) -> Draft:
    m, n = rng.randint(4, 18), rng.randint(4, 18)
    i, j = rng.randint(1, m), rng.randint(1, n)
    value = i * (m + 1 - i) * j * (n + 1 - j)
    every = m * (m + 1) * n * (n + 1) // 4
    stem = rng.choice(
        (
            rf"A grid of unit squares has {m} rows and {n} columns. The square in the {ordinal(i)} "
            rf"row and the {ordinal(j)} column is shaded. How many rectangles formed by lines of "
            r"the grid contain the shaded square?",
            rf"In a rectangular array of unit squares with {m} rows and {n} columns, one square is "
            rf"shaded: the one in row {i} and column {j}. How many of the rectangles made of whole "
            r"squares of the array include the shaded square? (Squares count as rectangles.)",
            rf"A window has {m} rows of panes with {n} square panes in each row. The "
            rf"{ordinal(j)} pane of the {ordinal(i)} row is broken. How many rectangles consisting "
            r"of one or more panes contain the broken pane?",
        )
    )

    def by_counting() -> int:
        rows = sum(top <= i <= low for top in range(1, m + 1) for low in range(top, m + 1))
        columns = sum(s <= j <= t for s in range(1, n + 1) for t in range(s, n + 1))
        return rows * columns

    row, column = min(i, m + 1 - i), min(j, n + 1 - j)
    return multiple_choice(
        rng,
        stem,
        value,
        slips=(every - value, (i * (m - i) or m) * (j * (n - j) or n), i * j, every, m * n),
        params=tuple(sorted(((m, row), (n, column)))),
        check=by_counting,
    )


@family("amc_random_sum", subject=SUBJECT, level=5, answer="letter")
def amc_random_sum(rng: Random) -> Draft | None:
    a, b = sorted((rng.randint(2, 20), rng.randint(2, 20)))
    c = rng.randint(1, a + b - 1)
    value = Fraction(c * c - max(0, c - a) ** 2 - max(0, c - b) ** 2, 2 * a * b)
    if value == Fraction(1, 2):
        return None
    who, other = rng.sample(NAMES, 2)
    stem = rng.choice(
        (
            rf"A real number $x$ is chosen uniformly at random between $0$ and ${a}$, and a real "
            rf"number $y$ is chosen independently and uniformly at random between $0$ and ${b}$. "
            rf"What is the probability that $x + y < {c}$?",
            rf"{who} waits a random time between 0 and {a} minutes for a train and then a random "
            rf"time between 0 and {b} minutes for a bus. The two times are independent and "
            rf"uniformly distributed. What is the probability that the total is less than "
            rf"{c} minute{'' if c == 1 else 's'}?",
            rf"Independently of each other, {who} picks a real number uniformly at random from "
            rf"$[0, {a}]$ and {other} picks one uniformly at random from $[0, {b}]$. What is the "
            rf"probability that the sum of their numbers is less than ${c}$?",
        )
    )

    def by_strips() -> Fraction:
        """Mean of P(y < c - x) over unit strips, on each of which it is linear or constant."""
        heights = [
            min(max(Fraction(2 * (c - k) - 1, 2), Fraction(0)), Fraction(b)) / b for k in range(a)
        ]
        return sum(heights, Fraction(0)) / a

    return multiple_choice(
        rng,
        stem,
        value,
        slips=(Fraction(c, a + b), Fraction(c * c, 2 * a * b), 1 - value, value * 2),
        params=(a, b, c),
        check=by_strips,
    )
