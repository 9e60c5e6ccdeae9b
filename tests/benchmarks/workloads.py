r"""Rows to measure speed with, generated: (gold, response, whether it is right).

Three kinds, after what checkers meet: three-digit integers in a boxed reply; golds as MATH has
them, each with itself; and answers rewritten into another form, or into a near miss, of which
some need algebra. Every seed gives other rows, so that nothing is met twice and no cache helps.

    >>> len(WORKLOADS["aime"](seed=1))
    200
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from random import Random

Row = tuple[str, str, bool]

ROWS = 200


def aime(seed: int) -> list[Row]:
    """Whole numbers from 0 to 999, found in the box of a short reply."""
    rng = Random(f"aime/{seed}")
    rows = []
    for turn in range(ROWS):
        gold = rng.randint(0, 999)
        said = gold if turn % 2 else rng.randint(0, 999)
        rows.append(
            (
                str(gold),
                f"Counting the pairs with $x^2 + y^2 = {rng.randint(2, 99)}$ case by case, we see"
                f" that $m + n = {said}$.\n\nThe answer is $\\boxed{{{said}}}$.",
                said == gold,
            )
        )
    return rows


def golds(seed: int) -> list[Row]:
    """Golds of every shape that MATH has, each given as its own answer."""
    rng = Random(f"golds/{seed}")
    shapes: list[Callable[[Random], str]] = [
        lambda r: str(r.randint(-500, 5000)),
        lambda r: str(r.randint(2, 99)),
        lambda r: _fraction(r),
        lambda r: f"{r.randint(2, 30)}\\sqrt{{{r.choice((2, 3, 5, 7, 11))}}}",
        lambda r: f"{r.randint(2, 20)}\\pi",
        lambda r: f"\\left( {r.randint(1, 9)}, {_fraction(r)} \\right)",
        lambda r: f"({r.randint(-9, 0)}, {r.randint(1, 9)}] \\cup [{r.randint(10, 40)}, \\infty)",
        lambda r: f"{r.randint(2, 9)}x^2 - {r.randint(2, 9)}x + {r.randint(1, 30)}",
        lambda r: f"{r.randint(10, 170)}^\\circ",
        lambda r: f"{r.randint(1, 9)} + {r.randint(2, 9)}i",
        lambda r: f"\\begin{{pmatrix}} {r.randint(1, 9)} \\\\ {r.randint(1, 9)} \\end{{pmatrix}}",
        lambda r: f"\\text{{{r.choice(('even', 'odd', 'Evelyn', 'Saturday'))}}}",
        lambda r: f"{r.randint(64, 511):o}_8",
        lambda r: f"y = {r.randint(2, 9)}x + {r.randint(1, 30)}",
    ]
    rows = []
    for _ in range(ROWS):
        gold = rng.choice(shapes)(rng)
        rows.append((gold, gold, True))
    return rows


def mixed(seed: int) -> list[Row]:
    """Answers in another form than the gold, and near misses; some need algebra to tell."""
    rng = Random(f"mixed/{seed}")
    makers: list[Callable[[Random, int], tuple[str, str]]] = [
        _reduced,
        _decimal,
        _rationalised,
        _expanded,
        _interval,
        _radical,
        _logarithm,
        _sine,
    ]
    rows = []
    for turn in range(ROWS):
        off = rng.randint(0, 1)
        gold, said = makers[turn % len(makers)](rng, off)
        rows.append((gold, f"Putting it together gives\n\\[ \\boxed{{{said}}} \\]", not off))
    return rows


WORKLOADS: dict[str, Callable[[int], list[Row]]] = {"aime": aime, "golds": golds, "mixed": mixed}


def _fraction(rng: Random) -> str:
    below = rng.randint(3, 40)
    above = rng.choice([n for n in range(1, 60) if gcd(n, below) == 1])
    return f"\\frac{{{above}}}{{{below}}}"


def _reduced(rng: Random, off: int) -> tuple[str, str]:
    p, q, factor = rng.randint(1, 20), rng.randint(21, 40), rng.randint(2, 6)
    return f"\\frac{{{p}}}{{{q}}}", f"\\frac{{{p * factor + off}}}{{{q * factor}}}"


def _decimal(rng: Random, off: int) -> tuple[str, str]:
    eighths = 2 * rng.randint(1, 80) + 1
    return f"\\frac{{{eighths}}}{{8}}", f"{(eighths + off) / 8:g}"


def _rationalised(rng: Random, off: int) -> tuple[str, str]:
    p, root = rng.randint(1, 20), rng.choice((2, 3, 5, 7, 11, 13))
    return f"\\frac{{{p}\\sqrt{{{root}}}}}{{{root}}}", f"\\frac{{{p + off}}}{{\\sqrt{{{root}}}}}"


def _expanded(rng: Random, off: int) -> tuple[str, str]:
    a, b = rng.randint(1, 12), rng.randint(13, 30)
    return f"(x+{a})(x-{b})", f"x^2 - {b - a}x - {a * b + off}"


def _interval(rng: Random, off: int) -> tuple[str, str]:
    a, b = rng.randint(-30, 0), rng.randint(1, 30)
    return f"[{a}, {b})", f"{a} \\le x < {b + off}"


def _radical(rng: Random, off: int) -> tuple[str, str]:
    n = rng.randint(2, 60)
    return f"\\sqrt{{{n * n + 1}}}", f"\\sqrt{{{n}^2 + 1}}" if not off else f"{n}.0{n}"


def _logarithm(rng: Random, off: int) -> tuple[str, str]:
    a, b = rng.randint(2, 30), rng.randint(2, 30)
    return f"\\ln {a * b + off}", f"\\ln {a} + \\ln {b}"


def _sine(rng: Random, off: int) -> tuple[str, str]:
    k = rng.randint(1, 40)
    return f"\\sin(x + {k})", f"\\sin x \\cos {k} {'-' if off else '+'} \\cos x \\sin {k}"
