"""Counting & Probability: choices, arrangements, dice, paths, expansions."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, product
from math import comb, perm, prod
from random import Random

from corl_bench.tasks.synth.families import Draft, family, nonzero, sympy
from corl_bench.tasks.synth.latex import fraction, point, polynomial
from corl_bench.tasks.synth.words import COLORS, NAMES, counted, listed

SUBJECT = "Counting & Probability"


@family("menu_choices", subject=SUBJECT, level=1, answer="integer")
def menu_choices(rng: Random) -> Draft:
    counts = [rng.randint(2, 16) for _ in range(rng.randint(3, 4))]
    who = rng.choice(NAMES)

    def items(*nouns: str) -> str:
        return listed([f"{n} {noun}" for n, noun in zip(counts, nouns, strict=False)])

    text = rng.choice(
        (
            rf"A menu offers {items('soups', 'main dishes', 'desserts', 'drinks')}. How many "
            r"different meals consist of one of each?",
            rf"{who} owns {items('shirts', 'pairs of pants', 'hats', 'scarves')}. How many outfits "
            r"consisting of one of each are possible?",
            rf"A phone comes in a choice of {items('colors', 'sizes', 'cases', 'chargers')}. How "
            r"many different combinations of one of each can be ordered?",
        )
    )
    return Draft(
        text,
        prod(counts),
        params=tuple(sorted(counts)),
        check=lambda: sum(1 for _ in product(*map(range, counts))),
        slips=(sum(counts), prod(counts[:-1]), prod(counts) + sum(counts), prod(counts) // 2),
    )


@family("single_draw", subject=SUBJECT, level=1, answer="fraction")
def single_draw(rng: Random) -> Draft | None:
    counts = [rng.randint(2, 20) for _ in range(3)]
    colors = rng.sample(COLORS, 3)
    value = Fraction(counts[0], sum(counts))
    if value.numerator == 1 and value.denominator == 2:
        return None
    order = [0, 1, 2]
    rng.shuffle(order)
    thing = rng.choice(("marble", "ball", "bead"))
    content = listed([f"{counts[k]} {colors[k]}" for k in order])
    text = rng.choice(
        (
            rf"A bag contains {content} {thing}s. One {thing} is drawn at random. What is the "
            rf"probability that it is {colors[0]}?",
            rf"A box holds {content} {thing}s and nothing else. If a {thing} is picked at random, "
            rf"what is the probability that the {thing} is {colors[0]}?",
            rf"From a jar with {content} {thing}s, one {thing} is chosen at random. Find the "
            rf"probability that the chosen {thing} is {colors[0]}.",
        )
    )
    others = counts[1] + counts[2]
    return Draft(
        text + " Express your answer as a common fraction.",
        value,
        params=(counts[0], *sorted(counts[1:])),
        check=lambda: 1 - Fraction(counts[1], sum(counts)) - Fraction(counts[2], sum(counts)),
        slips=(
            Fraction(counts[0], others),
            1 - value,
            Fraction(1, 3),
            Fraction(counts[1], sum(counts)),
            Fraction(1, counts[0]),
        ),
    )


@family("mixed_committee", subject=SUBJECT, level=2, answer="integer")
def mixed_committee(rng: Random) -> Draft:
    m, n = rng.randint(4, 30), rng.randint(4, 30)
    i, j = rng.randint(1, 3), rng.randint(1, 3)
    value = comb(m, i) * comb(n, j)
    text = rng.choice(
        (
            rf"A club has {m} juniors and {n} seniors. In how many ways can a committee of "
            rf"{counted(i, 'junior')} and {counted(j, 'senior')} be chosen?",
            rf"How many ways are there to choose {counted(i, 'novel')} and {counted(j, 'comic')} "
            rf"from a shelf with {m} different novels and {n} different comics?",
            rf"From {m} violinists and {n} pianists, a group of {counted(i, 'violinist')} and "
            rf"{counted(j, 'pianist')} is to be selected. How many different groups are possible?",
        )
    )
    return Draft(
        text,
        value,
        params=tuple(sorted(((m, i), (n, j)))),
        check=lambda: (
            sum(1 for _ in combinations(range(m), i)) * sum(1 for _ in combinations(range(n), j))
        ),
        slips=(
            comb(m, i) + comb(n, j),
            perm(m, i) * perm(n, j),
            comb(m + n, i + j),
            m * i * n * j,
        ),
    )


@family("dice_sum", subject=SUBJECT, level=2, answer="fraction")
def dice_sum(rng: Random) -> Draft | None:
    a, b = sorted((rng.randint(4, 20), rng.randint(4, 20)))
    s = rng.randint(4, a + b - 1)
    ways = min(a, s - 1) - max(1, s - b) + 1
    value = Fraction(ways, a * b)
    text = rng.choice(
        (
            rf"The faces of a fair die are numbered 1 to {a}, and the faces of another fair die "
            rf"are numbered 1 to {b}. Both are rolled. What is the probability that the sum of "
            rf"the two numbers rolled is {s}?",
            rf"One spinner shows each integer from 1 to {a} with equal probability, and another "
            rf"shows each integer from 1 to {b} with equal probability. Both are spun once. What "
            rf"is the probability that the two numbers add up to {s}?",
            rf"An integer is chosen at random from 1 to {a}, inclusive, and, independently, an "
            rf"integer is chosen at random from 1 to {b}, inclusive. Find the probability that "
            rf"their sum is {s}.",
        )
    )
    return Draft(
        text + " Express your answer as a common fraction.",
        value,
        params=(a, b, s),
        check=lambda: Fraction(
            sum(x + y == s for x in range(1, a + 1) for y in range(1, b + 1)), a * b
        ),
        slips=(
            Fraction(1, a + b - 1),
            Fraction(ways + 1, a * b),
            Fraction(s - 1, a * b),
            Fraction(ways, a + b),
        ),
    )


@family("two_draws", subject=SUBJECT, level=3, answer="fraction")
def two_draws(rng: Random) -> Draft:
    r, b, g = rng.randint(2, 15), rng.randint(2, 15), rng.randint(2, 15)
    n = r + b + g
    one, two, three = rng.sample(COLORS, 3)
    same = rng.random() < 0.4
    value = (
        Fraction(sum(k * (k - 1) for k in (r, b, g)), n * (n - 1))
        if same
        else Fraction(2 * r * b, n * (n - 1))
    )
    event = (
        "the two are of the same color"
        if same
        else f"one of the two is {one} and the other is {two}"
    )
    thing = rng.choice(("marble", "sock", "card"))
    content = listed([f"{r} {one}", f"{b} {two}", f"{g} {three}"])
    text = rng.choice(
        (
            rf"A box contains {content} {thing}s. Two {thing}s are taken out at random without "
            rf"replacement. What is the probability that {event}?",
            rf"Two {thing}s are drawn at random, without replacement, from {content} {thing}s. "
            rf"Find the probability that {event}.",
            rf"There are {content} {thing}s in a bag. If two {thing}s are chosen at random and "
            rf"not put back, what is the probability that {event}?",
        )
    )

    def by_enumeration() -> Fraction:
        bag = [0] * r + [1] * b + [2] * g
        pairs = list(combinations(bag, 2))
        good = sum(x == y for x, y in pairs) if same else pairs.count((0, 1))
        return Fraction(good, len(pairs))

    return Draft(
        text + " Express your answer as a common fraction.",
        value,
        params=(True, *sorted((r, b, g))) if same else (False, *sorted((r, b)), g),
        check=by_enumeration,
        slips=(
            Fraction(sum(k * k for k in (r, b, g)), n * n) if same else Fraction(2 * r * b, n * n),
            1 - value if same else value / 2,
            Fraction(r, n),
            1 - value,
            Fraction(r * b, n * n),
        ),
    )


@family("access_codes", subject=SUBJECT, level=3, answer="integer")
def access_codes(rng: Random) -> Draft | None:
    m, d = rng.randint(4, 26), rng.randint(4, 10)
    i, j = rng.randint(1, 3), rng.randint(1, 3)
    distinct = rng.random() < 0.6
    if i + j < 3 or (distinct and i == j == 1):
        return None
    value = perm(m, i) * perm(d, j) if distinct else m**i * d**j
    slip = m**i * d**j if distinct else perm(m, i) * perm(d, j)
    letters = counted(i, "letter")
    digits = counted(j, "digit")
    rule = (
        "No letter and no digit may be repeated."
        if distinct
        else "Letters and digits may be repeated."
    )
    pool = rf"letters come from an alphabet of {m} letters, and digits come from {d} allowed digits"
    text = rng.choice(
        (
            rf"A code consists of {letters} followed by {digits}, where {pool}. {rule} How many "
            r"different codes are possible?",
            rf"Each locker in a gym has a label made of {letters} and then {digits}. The {pool}. "
            rf"{rule} At most how many lockers can have different labels?",
            rf"In how many ways can a password of {letters} followed by {digits} be formed, if "
            rf"{pool}? {rule}",
        )
    )

    def by_recursion() -> int:
        ways = 1
        for size, picks in ((m, i), (d, j)):
            for k in range(picks):
                ways *= size - k if distinct else size
        return ways

    return Draft(
        text,
        value,
        params=(m, d, i, j, distinct),
        check=by_recursion,
        slips=(slip, comb(m, i) * comb(d, j), m**i + d**j, m * i * d * j),
    )


@family("lattice_paths", subject=SUBJECT, level=4, answer="integer")
def lattice_paths(rng: Random) -> Draft | None:
    m, n = rng.randint(4, 12), rng.randint(4, 12)
    i, j = rng.randint(1, m - 1), rng.randint(1, n - 1)
    avoid = rng.random() < 0.5
    through = comb(i + j, i) * comb(m + n - i - j, m - i)
    value = comb(m + n, m) - through if avoid else through
    end, mid = point(m, n), point(i, j)
    how = "do not pass through" if avoid else "pass through"
    who = rng.choice(NAMES)
    text = rng.choice(
        (
            rf"How many paths from $(0, 0)$ to ${end}$ consist of unit steps to the right and unit "
            rf"steps up, and {how} the point ${mid}$?",
            rf"{who} walks on the coordinate grid from $(0, 0)$ to ${end}$ and only ever moves one "
            rf"unit right or one unit up. How many of the possible routes {how} ${mid}$?",
            rf"A robot starts at $(0, 0)$ and reaches ${end}$ by steps that increase exactly one "
            rf"coordinate by 1. How many such journeys {how} the point ${mid}$?",
        )
    )

    def by_dynamic_programming() -> int:
        def count(x: int, y: int, width: int, height: int, hole: tuple[int, int] | None) -> int:
            ways = {(x, y): 1}
            for u in range(x, width + 1):
                for v in range(y, height + 1):
                    if (u, v) != (x, y):
                        ways[u, v] = ways.get((u - 1, v), 0) + ways.get((u, v - 1), 0)
                    if (u, v) == hole:
                        ways[u, v] = 0
            return ways[width, height]

        if avoid:
            return count(0, 0, m, n, (i, j))
        return count(0, 0, i, j, None) * count(i, j, m, n, None)

    return Draft(
        text,
        value,
        params=(avoid, *min(((m, i), (n, j)), ((n, j), (m, i)))),
        check=by_dynamic_programming,
        slips=(
            comb(m + n, m) - value,
            comb(m + n, m),
            comb(i + j, i) + comb(m + n - i - j, m - i),
            comb(i + j, i),
        ),
    )


@family("expansion_coefficient", subject=SUBJECT, level=4, answer="integer")
def expansion_coefficient(rng: Random) -> Draft:
    a, b = rng.randint(1, 6), nonzero(rng, 6)
    n = rng.randint(5, 11)
    k = rng.randint(2, n - 2)
    value = comb(n, k) * a**k * b ** (n - k)
    power = f"({polynomial((a, b))})^{n}" if n < 10 else f"({polynomial((a, b))})^{{{n}}}"
    text = rng.choice(
        (
            rf"What is the coefficient of $x^{k}$ in the expansion of ${power}$?",
            rf"When ${power}$ is expanded and like terms are combined, what is the coefficient of "
            rf"$x^{k}$?",
            rf"Find the coefficient of the $x^{k}$ term of the polynomial ${power}$.",
        )
    )

    def by_multiplying() -> int:
        coefficients = [1]
        for _ in range(n):
            shifted = [0, *(a * c for c in coefficients)]
            kept = [*(b * c for c in coefficients), 0]
            coefficients = [x + y for x, y in zip(shifted, kept, strict=True)]
        return coefficients[k]

    return Draft(
        text,
        value,
        params=(a, b, n, k),
        check=by_multiplying,
        slips=(
            -value,
            comb(n, k),
            comb(n, k) * a ** (n - k) * b**k,
            comb(n, k) * a * b,
            comb(n, k - 1) * a**k * b ** (n - k),
        ),
    )


@family("distributions", subject=SUBJECT, level=5, answer="integer")
def distributions(rng: Random) -> Draft | None:
    k = rng.randint(3, 5)
    least = sorted(rng.randint(0, 4) for _ in range(k))
    n = sum(least) + rng.randint(5, 16)
    if least[-1] == 0:
        return None
    value = comb(n - sum(least) + k - 1, k - 1)
    variables = ["a", "b", "c", "d", "e"][:k]
    shuffled = least[:]
    rng.shuffle(shuffled)
    conditions = ", ".join(rf"{v} \ge {m}" for v, m in zip(variables, shuffled, strict=True))
    people = rng.sample(NAMES, k)
    thing = rng.choice(("stickers", "coins", "cookies", "pencils"))
    shares = listed(
        [f"{name} gets at least {m}" for name, m in zip(people, shuffled, strict=True) if m]
    )
    text = rng.choice(
        (
            rf"How many solutions in integers does ${' + '.join(variables)} = {n}$ have, subject "
            rf"to ${conditions}$?",
            rf"In how many ways can {n} identical {thing} be distributed among {listed(people)} so "
            rf"that {shares}?",
            rf"Find the number of ordered {['triples', 'quadruples', 'quintuples'][k - 3]} "
            rf"$({', '.join(variables)})$ of integers with ${' + '.join(variables)} = {n}$ and "
            rf"${conditions}$.",
        )
    )

    def by_dynamic_programming() -> int:
        ways = [1] + [0] * n
        for m in least:
            ways = [sum(ways[: max(0, t - m + 1)]) for t in range(n + 1)]
        return ways[n]

    return Draft(
        text,
        value,
        params=(n, *least),
        check=by_dynamic_programming,
        slips=(
            comb(n + k - 1, k - 1),
            comb(n - sum(least) - 1, k - 1),
            comb(n - sum(least) + k, k),
            comb(n - sum(least), k - 1),
        ),
    )


@family("biased_coin", subject=SUBJECT, level=5, answer="fraction")
def biased_coin(rng: Random) -> Draft | None:
    q = rng.randint(3, 25)
    p = rng.randint(1, q - 1)
    n = rng.randint(3, 7)
    k = rng.randint(1, n - 1)
    chance = Fraction(p, q)
    if chance.denominator != q or q**n > 300_000:
        return None
    exact = rng.random() < 0.5
    wanted = [k] if exact else list(range(k, n + 1))

    def probability(heads: int) -> Fraction:
        return comb(n, heads) * chance**heads * (1 - chance) ** (n - heads)

    value = sum(map(probability, wanted), Fraction(0))
    times = f"{'exactly' if exact else 'at least'} {{}}"
    shown = fraction(p, q)
    who = rng.choice(NAMES)
    text = rng.choice(
        (
            rf"A biased coin lands heads with probability ${shown}$. It is flipped {n} times. What "
            rf"is the probability of getting {times.format(counted(k, 'head'))}?",
            rf"{who} makes each free throw with probability ${shown}$, independently of the "
            rf"others. What is the probability that {who} makes {times.format(k)} of {n} free "
            r"throws?",
            rf"Each of {n} seeds sprouts with probability ${shown}$, independently of the others. "
            rf"Find the probability that {times.format(k)} of the {n} seeds "
            rf"{'sprouts' if k == 1 else 'sprout'}.",
        )
    )

    def by_polynomial() -> object:
        """The generating function of the number of heads, by sympy."""
        x = sympy().Symbol("x")
        each = sympy().Rational(p, q) * x + sympy().Rational(q - p, q)
        coefficients = sympy().Poly(each**n, x).all_coeffs()[::-1]
        return sum(coefficients[heads] for heads in wanted)

    return Draft(
        text + " Express your answer as a common fraction.",
        value,
        params=(p, q, n, k, exact),
        check=by_polynomial,
        slips=(
            chance**k * (1 - chance) ** (n - k),
            1 - value,
            value - probability(n) if not exact else sum(map(probability, range(k, n + 1))),
            Fraction(comb(n, k), 2**n),
            chance**k,
        ),
    )
