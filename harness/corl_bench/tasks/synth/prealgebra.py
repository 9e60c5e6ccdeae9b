"""Prealgebra: arithmetic, fractions, percents, ratios and averages."""

from __future__ import annotations

from fractions import Fraction
from random import Random

from corl_bench.tasks.synth.families import Draft, family
from corl_bench.tasks.synth.latex import fraction
from corl_bench.tasks.synth.words import GOODS, NAMES, listed

SUBJECT = "Prealgebra"


@family("shopping_total", subject=SUBJECT, level=1, answer="integer")
def shopping_total(rng: Random) -> Draft:
    first, second = rng.sample(GOODS, 2)
    n, m = rng.randint(2, 12), rng.randint(2, 12)
    p, q = rng.sample(range(2, 20), 2)
    who = rng.choice(NAMES)
    text = rng.choice(
        (
            rf"{who} buys {n} {first} at \${p} each and {m} {second} at \${q} each. "
            rf"How many dollars does {who} spend in all?",
            rf"At a school fair, {first} cost \${p} each and {second} cost \${q} each. "
            rf"What is the total cost, in dollars, of {n} {first} and {m} {second}?",
            rf"A shop sells {first} for \${p} each and {second} for \${q} each. On Monday it sold "
            rf"{n} {first} and {m} {second}, and nothing else. How many dollars did it take in?",
        )
    )
    return Draft(
        text,
        n * p + m * q,
        params=tuple(sorted(((n, p), (m, q)))),
        check=lambda: sum([p] * n + [q] * m),
        slips=(n * q + m * p, p + q, (n + m) * (p + q), n * p * m * q),
    )


@family("order_of_operations", subject=SUBJECT, level=1, answer="integer")
def order_of_operations(rng: Random) -> Draft:
    shape = rng.randint(0, 2)
    a, b, c, d = (rng.randint(2, 15) for _ in range(4))
    expression, value, slip = (
        (rf"{a} + {b} \times {c} - {d}", a + b * c - d, (a + b) * c - d),
        (rf"{a * b} \div {b} \times {c} + {d}", a * c + d, a * (c + d)),
        (rf"{a} \times ({b} + {c}) - {b} \times {d}", a * (b + c) - b * d, a * b + c - b * d),
    )[shape]
    text = rng.choice(
        (
            rf"Compute ${expression}$.",
            rf"What is the value of ${expression}$?",
            rf"Evaluate the expression ${expression}$.",
        )
    )

    def term_by_term() -> int:
        if shape == 0:
            return sum([c] * b, a) - d
        if shape == 1:
            return sum([a * b // b] * c, d)
        return sum([b] * a) + sum([c] * a) - sum([d] * b)

    return Draft(
        text, value, params=(shape, a, b, c, d), check=term_by_term, slips=(slip, value + d)
    )


@family("fraction_sum", subject=SUBJECT, level=2, answer="fraction")
def fraction_sum(rng: Random) -> Draft | None:
    b, d = rng.sample(range(3, 25), 2)
    a, c = rng.randint(1, b - 1), rng.randint(1, d - 1)
    first, second = sorted((Fraction(a, b), Fraction(c, d)), reverse=True)
    plus = rng.random() < 0.5
    value = first + second if plus else first - second
    if (
        value.denominator == 1
        or first.denominator == 1
        or {b, d}
        != {
            first.denominator,
            second.denominator,
        }
    ):
        return None
    (a, b), (c, d) = first.as_integer_ratio(), second.as_integer_ratio()
    left, right = fraction(a, b), fraction(c, d)
    sign, word = ("+", "sum") if plus else ("-", "difference")
    text = rng.choice(
        (
            rf"Compute ${left} {sign} {right}$. Express your answer as a common fraction.",
            rf"Find the {word} ${left} {sign} {right}$ as a fraction in lowest terms.",
            rf"What common fraction, in lowest terms, is equal to ${left} {sign} {right}$?",
        )
    )
    direction = 1 if plus else -1
    return Draft(
        text,
        value,
        params=(plus, a, b, c, d),
        check=lambda: a / b + direction * c / d,
        slips=(
            Fraction(a + direction * c, b + d),
            Fraction(a + c, b * d),
            first - direction * second,
            first * second,
        ),
    )


@family("percent_of", subject=SUBJECT, level=2, answer="integer")
def percent_of(rng: Random) -> Draft | None:
    percent = rng.choice([p for p in range(4, 97) if p not in (10, 50)])
    whole = rng.randint(8, 200) * 5
    if percent * whole % 100:
        return None
    value = percent * whole // 100
    text = rng.choice(
        (
            rf"What is ${percent}\%$ of ${whole}$?",
            rf"A school has {whole} students, and ${percent}\%$ of them walk to school. "
            r"How many students walk to school?",
            rf"Of the {whole} seats in a theater, ${percent}\%$ are taken. How many seats are "
            r"taken?",
            rf"A farmer planted {whole} trees, and ${percent}\%$ of them bear fruit this year. "
            r"How many of the trees bear fruit?",
        )
    )
    return Draft(
        text,
        value,
        params=(percent, whole),
        check=lambda: Fraction(whole) - Fraction(whole * (100 - percent), 100),
        slips=(whole - value, value * 10, whole - percent, whole + value),
    )


@family("ratio_share", subject=SUBJECT, level=3, answer="integer")
def ratio_share(rng: Random) -> Draft:
    a, b, c = sorted(rng.sample(range(1, 12), 3))
    unit = rng.randint(3, 40)
    whole = unit * (a + b + c)
    which, part = rng.choice((("smallest", a), ("largest", c)))
    one, two, three = rng.sample(NAMES, 3)
    shares = [a, b, c]
    rng.shuffle(shares)
    ratio = ":".join(map(str, shares))
    text = rng.choice(
        (
            rf"{one}, {two}, and {three} share \${whole} in the ratio ${ratio}$. "
            rf"How many dollars are in the {which} share?",
            rf"A rope {whole} centimeters long is cut into three pieces whose lengths are in the "
            rf"ratio ${ratio}$. How many centimeters long is the {which} piece?",
            rf"The {whole} beads in a box come in three colors, and the numbers of beads of the "
            rf"three colors are in the ratio ${ratio}$. How many beads are there of the color "
            rf"with the {which} number of beads?",
        )
    )
    return Draft(
        text,
        unit * part,
        params=(a, b, c, whole, which),
        check=lambda: next(k * part for k in range(1, whole) if k * a + k * b + k * c == whole),
        slips=(unit * b, unit * (a + c - part), unit, whole // 3),
    )


@family("missing_score", subject=SUBJECT, level=3, answer="integer")
def missing_score(rng: Random) -> Draft | None:
    count = rng.randint(3, 5)
    known = [rng.randint(61, 99) for _ in range(count)]
    mean = rng.randint(70, 92)
    value = mean * (count + 1) - sum(known)
    if not 50 <= value <= 100:
        return None
    who = rng.choice(NAMES)
    scores = listed([str(score) for score in known])
    with_unknown = listed([*map(str, known), "$n$"])
    before, number_word = (("three", "four"), ("four", "five"), ("five", "six"))[count - 3]
    text = rng.choice(
        (
            rf"{who} scored {scores} on the first {before} tests. What score on the next test "
            rf"makes the average of all {number_word} tests equal to {mean}?",
            rf"The mean of {number_word} numbers is {mean}. All but one of the numbers are "
            rf"{scores}. What is the remaining number?",
            rf"The average of {with_unknown} is {mean}. What is the value of $n$?",
        )
    )
    return Draft(
        text,
        value,
        params=(*sorted(known), mean),
        check=lambda: next(n for n in range(200) if sum(known) + n == mean * (count + 1)),
        slips=(mean, value + mean, 2 * mean - sum(known) // count, value - count),
    )


@family("reverse_percent", subject=SUBJECT, level=4, answer="integer")
def reverse_percent(rng: Random) -> Draft | None:
    up, down = 5 * rng.randint(1, 16), 5 * rng.randint(1, 12)
    start = 4 * rng.randint(25, 400)
    final = Fraction(start * (100 + up) * (100 - down), 10_000)
    if final.denominator != 1:
        return None
    text = rng.choice(
        (
            rf"A store raised the price of a bicycle by ${up}\%$ and later lowered the new price "
            rf"by ${down}\%$. The bicycle then cost \${final}. How many dollars did it cost before "
            r"the two changes?",
            rf"A town's population grew by ${up}\%$ in one year and shrank by ${down}\%$ in the "
            rf"next, which left {final} people. How many people lived there at the beginning?",
            rf"When a number is increased by ${up}\%$ and the result is decreased by ${down}\%$, "
            rf"we get ${final}$. What is the number?",
        )
    )
    return Draft(
        text,
        start,
        params=(up, down, start),
        check=lambda: final / Fraction(100 - down, 100) / Fraction(100 + up, 100),
        slips=(
            round(final / Fraction(100 + up - down, 100)),
            round(final * (100 + down) * (100 - up) / 10_000),
            round(final * 100 / (100 + up)),
            int(final),
        ),
    )


@family("work_rate", subject=SUBJECT, level=4, answer="fraction")
def work_rate(rng: Random) -> Draft | None:
    a, b = sorted(rng.sample(range(2, 41), 2))
    c = rng.choice((None, rng.randint(b + 1, 60)))
    times = [a, b] if c is None else [a, b, c]
    value = 1 / sum((Fraction(1, t) for t in times), Fraction(0))
    if value.denominator == 1:
        return None
    number_word = "two" if c is None else "three"
    shown = listed([str(t) for t in times])
    one, two, three = rng.sample(NAMES, 3)
    people = listed([one, two] if c is None else [one, two, three])
    text = rng.choice(
        (
            rf"Working alone, {people} would need {shown} hours, respectively, to paint a fence. "
            r"How many hours do they need when they all work together?",
            rf"An empty pool is filled by {number_word} pipes, which alone would take {shown} "
            r"hours, respectively. How many hours does it take with all of the pipes open?",
            rf"Alone, {number_word} machines finish an order in {shown} hours, respectively. "
            r"Running at the same time, how many hours do they need for the order?",
        )
    )
    return Draft(
        text + " Express your answer as a common fraction.",
        value,
        params=tuple(times),
        check=lambda: 1 / sum(1 / t for t in times),
        slips=(
            Fraction(sum(times), len(times)),
            sum((Fraction(1, t) for t in times), Fraction(0)),
            Fraction(a * b, b - a),
            value / 2,
        ),
    )


@family("spending_chain", subject=SUBJECT, level=5, answer="integer")
def spending_chain(rng: Random) -> Draft | None:
    a, b = rng.randint(2, 7), rng.randint(2, 7)
    k = rng.randint(2, 20)
    start, rest = a * b * k, (a - 1) * (b - 1) * k
    if rest < 5:
        return None
    third = rng.randint(2, rest - 2)
    left = rest - third
    who = rng.choice(NAMES)
    x, y = fraction(1, a), fraction(1, b)
    text = rng.choice(
        (
            rf"{who} spent ${x}$ of some prize money on books, then ${y}$ of what remained on a "
            rf"coat, and finally \${third} on dinner. That left \${left}. How many dollars was "
            r"the prize?",
            rf"A tank of water lost ${x}$ of its content on the first day and ${y}$ of what was "
            rf"left on the second day. On the third day {third} liters leaked out, and {left} "
            r"liters remained. How many liters were in the tank at first?",
            rf"A baker sold ${x}$ of the morning's rolls before nine, ${y}$ of the remaining rolls "
            rf"before noon, and {third} rolls after that. At closing time {left} rolls were left. "
            r"How many rolls were there in the morning?",
        )
    )
    return Draft(
        text,
        start,
        params=(a, b, third, left),
        check=lambda: next(
            s
            for s in range(1, 10 * start)
            if s - Fraction(s, a) - (s - Fraction(s, a)) / b - third == left
        ),
        slips=(a * b * (third + left), (third + left) * a, (third + left) * b, a * b * left),
    )


@family("repeating_decimal", subject=SUBJECT, level=5, answer="fraction")
def repeating_decimal(rng: Random) -> Draft | None:
    lead, length = rng.randint(1, 2), rng.randint(1, 2)
    head, cycle = rng.randint(0, 10**lead - 1), rng.randint(1, 10**length - 2)
    fixed, repeated = f"{head:0{lead}d}", f"{cycle:0{length}d}"
    if fixed[-1] == repeated[-1] or len(set(repeated)) != length:
        return None
    nines = 10**length - 1
    value = Fraction(head * nines + cycle, nines * 10**lead)
    decimal = rf"0.{fixed}\overline{{{repeated}}}"
    text = rng.choice(
        (
            rf"Write the repeating decimal ${decimal}$ as a common fraction in lowest terms.",
            rf"Express ${decimal}$ as a common fraction.",
            rf"The bar in ${decimal}$ marks the digits that repeat forever. Which common fraction "
            r"in lowest terms has this decimal expansion?",
        )
    )
    return Draft(
        text,
        value,
        params=(fixed, repeated),
        check=lambda: float(f"0.{fixed}{repeated * 12}"),
        slips=(
            Fraction(int(fixed + repeated), 10 ** (lead + length)),
            Fraction(int(fixed + repeated), 10 ** (lead + length) - 1),
            Fraction(int(fixed + repeated), nines * 10**lead),
            Fraction(head, 10**lead) + Fraction(cycle, nines),
        ),
    )
