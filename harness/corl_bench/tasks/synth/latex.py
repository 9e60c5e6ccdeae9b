r"""Exact values as LaTeX, in the one form that a textbook would print.

Invariant: equal values give equal strings, and what is printed is simplified: fractions are
reduced with the sign in front, squares are taken out of roots, denominators are rational, and
no term shows a coefficient of 1 or two signs in a row.

    >>> surd(Fraction(1, 4), 72), polynomial((1, -1, 0, 3))
    ('\\frac{3\\sqrt{2}}{2}', 'x^3 - x^2 + 3')
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TypeAlias

Number: TypeAlias = int | Fraction


def _scaled(coefficient: Number, symbol: str) -> str:
    """`coefficient` times `symbol`, as one fraction with the symbol in its numerator."""
    value = Fraction(coefficient)
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    top = abs(value.numerator)
    shown = symbol if symbol and top == 1 else f"{top}{symbol}"
    if value.denominator == 1:
        return f"{sign}{shown}"
    return rf"{sign}\frac{{{shown}}}{{{value.denominator}}}"


def number(value: Number) -> str:
    r"""A whole number or a reduced fraction: `-\frac{3}{4}`."""
    return _scaled(value, "")


def shown(value: str | Number) -> str:
    """A number rendered; LaTeX as it is."""
    return value if isinstance(value, str) else number(value)


def fraction(top: int, bottom: int) -> str:
    r"""`\frac{6}{8}` as it stands, not reduced: for statements, not for answers."""
    return rf"\frac{{{top}}}{{{bottom}}}"


def pi_times(coefficient: Number) -> str:
    r"""`12\pi`, `\frac{5\pi}{3}`."""
    return _scaled(coefficient, r"\pi")


def square_part(n: int) -> tuple[int, int]:
    """(s, r) with n = s² r and r free of squares; n must be positive."""
    root, rest, p = 1, n, 2
    while p * p <= rest:
        while rest % (p * p) == 0:
            rest //= p * p
            root *= p
        p += 1
    return root, rest


def surd(coefficient: Number, radicand: int) -> str:
    r"""`coefficient` times the square root of a positive `radicand`: `2\sqrt{3}`."""
    root, rest = square_part(radicand)
    return _scaled(Fraction(coefficient) * root, rf"\sqrt{{{rest}}}" if rest > 1 else "")


def total(*terms: str) -> str:
    r"""Rendered terms joined by their own signs: `3 - 2\sqrt{5}`. Zeros vanish."""
    kept = [term for term in terms if term != "0"]
    if not kept:
        return "0"
    joined = "".join(f" - {t[1:]}" if t.startswith("-") else f" + {t}" for t in kept[1:])
    return kept[0] + joined


def term(coefficient: Number, symbol: str, power: int = 1) -> str:
    """One term of a polynomial: `-3x^2`, `x`, `5`."""
    if power == 0:
        return number(coefficient)
    exponent = "" if power == 1 else f"^{power}" if power < 10 else f"^{{{power}}}"
    return _scaled(coefficient, f"{symbol}{exponent}")


def polynomial(coefficients: Sequence[Number], symbol: str = "x") -> str:
    """Coefficients from the highest power down: (1, 0, -4) is `x^2 - 4`."""
    top = len(coefficients) - 1
    return total(*(term(c, symbol, top - k) for k, c in enumerate(coefficients)))


def binomial(a: Number, b: Number, symbol: str = "x") -> str:
    """`(2x - 3)`, or plain `x` where that needs no parentheses."""
    inner = polynomial((a, b), symbol)
    return inner if inner == symbol else f"({inner})"


def complex_number(real: Number, imaginary: Number) -> str:
    """`3 - 4i`."""
    return total(number(real), term(imaginary, "i"))


def point(*coordinates: str | Number) -> str:
    r"""`(3, -2)`; with `\left` and `\right` where a coordinate is tall."""
    inner = ", ".join(map(shown, coordinates))
    return rf"\left({inner}\right)" if "\\" in inner else f"({inner})"


def interval(left: str, low: str | Number, high: str | Number, right: str) -> str:
    r"""`\left[-2, 5\right)` from its two brackets and its two ends."""
    return rf"\left{left}{shown(low)}, {shown(high)}\right{right}"


def finite_set(members: Iterable[str | Number]) -> str:
    r"""`\{1, 4, 9\}`, in the order given; tall like `point`."""
    inner = ", ".join(map(shown, members))
    return rf"\left\{{{inner}\right\}}" if "\\" in inner else rf"\{{{inner}\}}"


def matrix(rows: Sequence[Sequence[Number]]) -> str:
    r"""`\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}`."""
    body = r" \\ ".join(" & ".join(map(number, row)) for row in rows)
    return rf"\begin{{pmatrix}} {body} \end{{pmatrix}}"


def column(entries: Sequence[Number]) -> str:
    """A column vector."""
    return matrix([(entry,) for entry in entries])
