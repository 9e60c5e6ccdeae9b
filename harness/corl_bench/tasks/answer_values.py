r"""The value of a gold answer, as far as telling wrong answers from it needs one.

This is no grader: it reads golds that datasets and templates wrote, not what a model wrote, and
serves to keep a distractor from being the right answer in another form. Text is never evaluated
as code: a small recursive parser walks over it.

Invariant: two answers with `same` values are mathematically equal. Where letters stand for
unknowns, the value is taken at three fixed points.

    >>> same(read(r"\frac{6}{8}"), read("0.75")), read(r"\text{even}")
    (True, None)
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

Scalar: TypeAlias = Fraction | float
Row: TypeAlias = tuple[Scalar, ...]
"""One quantity at each of the sample points."""

_SAMPLES = 3
_LARGEST_EXPONENT = 400
_LARGEST_BASE = 1e40
"""Beyond these a power is left unread rather than computed: golds hold none, and it could take
for ever."""
_TOLERANCE = 1e-9
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+\.\d+|\.\d+|\d+|[A-Za-z]|\S")
_NOISE = re.compile(
    r"\\left(?![a-z])|\\right(?![a-z])|\\[!,;: ]|\\q?quad|\^\{?\\circ\}?|\\%|\\\$|\\(?:text|mbox)"
    r"\{[^{}]*\}"
)
_GREEK = frozenset({r"\theta", r"\alpha", r"\beta", r"\omega", r"\phi", r"\lambda"})


@dataclass(frozen=True, slots=True)
class Value:
    """A shape (`scalar`, two brackets, `list`, `2x3`) and the quantities in it."""

    shape: str
    rows: tuple[Row, ...]


class _UnreadableError(ValueError):
    """The text is outside the little grammar."""


def read(latex: str) -> Value | None:
    """The value of an answer, or `None` where this module cannot tell."""
    text = latex.strip().strip("$").replace("{,}", ",").replace(r"\\", "\n")
    text = _NOISE.sub("", text)
    text = re.sub(r"^[A-Za-z]\s*(?:=|\\in)\s*", "", text.strip())
    if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", text):
        text = text.replace(",", "")
    try:
        return _read(text.strip())
    except (_UnreadableError, ZeroDivisionError, OverflowError, ValueError, RecursionError):
        return None


def same(first: Value | None, second: Value | None) -> bool:
    """Whether both are known and equal; the order in sets and bare lists does not matter."""
    if first is None or second is None or first.shape != second.shape:
        return False
    if len(first.rows) != len(second.rows):
        return False
    unordered = first.shape in ("{}", "list")
    ours = sorted(first.rows) if unordered else first.rows
    theirs = sorted(second.rows) if unordered else second.rows
    return all(_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def _equal(first: Row, second: Row) -> bool:
    return all(
        a == b
        if isinstance(a, Fraction) and isinstance(b, Fraction)
        else math.isclose(a, b, rel_tol=_TOLERANCE, abs_tol=1e-12)
        for a, b in zip(first, second, strict=True)
    )


def _read(text: str) -> Value:
    if r"\cup" in text:
        parts_of_union = [_read(part.strip()) for part in text.split(r"\cup")]
        shape = r"\cup".join(part.shape for part in parts_of_union)
        return Value(shape, tuple(row for part in parts_of_union for row in part.rows))
    based = re.fullmatch(r"(\d+)_\{?(\d+)\}?", text)
    if based:
        value = Fraction(int(based[1], int(based[2])))
        return Value(f"base {based[2]}", ((value,) * _SAMPLES,))
    grid = re.fullmatch(r"\\begin\{([pbv]matrix)\}(.*)\\end\{\1\}", text, re.DOTALL)
    if grid:
        lines = [line.split("&") for line in grid[2].split("\n") if line.strip()]
        cells = tuple(_scalar(cell) for line in lines for cell in line)
        return Value(f"{len(lines)}x{len(lines[0])}", cells)
    for opening, closing in (("(", ")"), ("[", "]"), ("(", "]"), ("[", ")"), (r"\{", r"\}")):
        if text.startswith(opening) and text.endswith(closing):
            parts = _split(text[len(opening) : len(text) - len(closing)])
            if parts and (len(parts) > 1 or opening == r"\{"):
                return Value((opening + closing).replace("\\", ""), tuple(map(_scalar, parts)))
    parts = _split(text)
    if parts and len(parts) > 1:
        return Value("list", tuple(map(_scalar, parts)))
    return Value("scalar", (_scalar(text),))


def _split(text: str) -> list[str] | None:
    """At the commas outside of all brackets; `None` where the brackets do not match."""
    parts, depth, start = [], 0, 0
    for k, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return None
        if character == "," and depth == 0:
            parts.append(text[start:k])
            start = k + 1
    return [*parts, text[start:]] if depth == 0 else None


def _scalar(text: str) -> Row:
    return _Parser(_TOKEN.findall(text)).whole()


class _Parser:
    """Sums of products of powers, with juxtaposition as multiplication."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def whole(self) -> Row:
        value = self._sum()
        if self._at < len(self._tokens):
            raise _UnreadableError
        for quantity in value:
            float(quantity)  # overflows here, where it is caught, rather than in a comparison
        return value

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise _UnreadableError

    def _sum(self) -> Row:
        value = self._product()
        while self._peek() in ("+", "-"):
            if self._next() == "+":
                value = _apply(lambda a, b: a + b, value, self._product())
            else:
                value = _apply(lambda a, b: a - b, value, self._product())
        return value

    def _product(self) -> Row:
        if self._peek() in ("-", "+"):
            sign = -1 if self._next() == "-" else 1
            return _apply(lambda a: sign * a, self._product())
        mixed = self._peek().isdigit()
        value = self._power()
        while self._peek() not in ("", "+", "-", ")", "]", "}", "|"):
            token = self._peek()
            if token in (r"\cdot", r"\times", "*"):
                self._next()
                value = _apply(lambda a, b: a * b, value, self._power())
            elif token in ("/", r"\div"):
                self._next()
                value = _apply(lambda a, b: a / b, value, self._power())
            elif mixed and self._mixed_fraction():
                value = _apply(lambda a, b: a + b, value, self._power())
            else:
                value = _apply(lambda a, b: a * b, value, self._power())
            mixed = False
        return value

    def _mixed_fraction(self) -> bool:
        """Whether a fraction of plain digits comes next, as in 3 1/2 written in LaTeX."""
        coming = "".join(self._tokens[self._at : self._at + 7])
        return re.match(r"\\[dt]?frac(\{\d+\}\{\d+\}|\d+)", coming) is not None

    def _power(self) -> Row:
        base = self._atom()
        if self._peek() == "^":
            self._next()
            return _apply(_raise, base, self._argument())
        return base

    def _argument(self) -> Row:
        """A group in braces, or the single next symbol, of a number its first digit."""
        if self._peek() == "{":
            self._next()
            value = self._sum()
            self._expect("}")
            return value
        if len(self._peek()) > 1 and self._peek().isdigit():
            token = self._tokens[self._at]
            self._tokens[self._at : self._at + 1] = [token[0], token[1:]]
        return self._atom()

    def _atom(self) -> Row:
        token = self._next()
        if token[:1].isdigit() or (token[:1] == "." and len(token) > 1):
            return (Fraction(token),) * _SAMPLES
        if token in ("(", "[", "{"):
            value = self._sum()
            self._expect({"(": ")", "[": "]", "{": "}"}[token])
            return value
        if token in (r"\frac", r"\dfrac", r"\tfrac"):
            return _apply(lambda a, b: a / b, self._argument(), self._argument())
        if token == r"\sqrt":
            degree: Row = (Fraction(2),) * _SAMPLES
            if self._peek() == "[":
                self._next()
                degree = self._sum()
                self._expect("]")
            return _apply(lambda a, n: _raise(a, 1 / n), self._argument(), degree)
        if token == r"\pi":
            return (math.pi,) * _SAMPLES
        if token == r"\infty":
            return (math.inf,) * _SAMPLES
        if len(token) == 1 and token.isalpha():
            return _unknown(ord(token))
        if token in _GREEK:
            return _unknown(sum(map(ord, token)))
        raise _UnreadableError


def _unknown(code: int) -> Row:
    """A letter at the sample points: positive, and unlike every other letter."""
    return tuple(Fraction(code * (k + 3) % 89 + 2, 2 * k + 7) for k in range(_SAMPLES))


def _apply(operation: Callable[..., Scalar], *rows: Row) -> Row:
    values = tuple(operation(*sample) for sample in zip(*rows, strict=True))
    if any(isinstance(value, float) and math.isnan(value) for value in values):
        raise _UnreadableError
    return values


def _raise(base: Scalar, exponent: Scalar) -> Scalar:
    if abs(float(exponent)) > _LARGEST_EXPONENT or abs(float(base)) > _LARGEST_BASE:
        raise _UnreadableError
    if isinstance(exponent, Fraction) and exponent.denominator == 1:
        return base ** int(exponent)
    if base < 0:
        raise _UnreadableError
    return math.pow(base, exponent)
