"""The small tree that an answer is read into: frozen values that decide nothing.

They keep what the writer wrote (the brackets, the unit, the base, the name before an equals
sign); which differences matter is `comparison`'s business.

    >>> Based("1011", 2) == Based("1011", 3)
    False
"""

from __future__ import annotations

from dataclasses import dataclass

from corl_bench.grading.expression import Expression


@dataclass(frozen=True, slots=True)
class Words:
    """Text that is no mathematics, or mathematics beyond this reader."""

    text: str


@dataclass(frozen=True, slots=True)
class Scalar:
    """One expression, with the unit or sign that followed it."""

    expression: Expression
    unit: str = ""
    percent: bool = False
    degrees: bool = False


@dataclass(frozen=True, slots=True)
class Based:
    """Digits in a number base, `1011_2`."""

    digits: str
    base: int


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day, `2:30 pm`; also how a ratio of two numbers may be written."""

    hour: int
    minute: int
    half: str
    """`a`, `p`, or empty where it was left out."""


@dataclass(frozen=True, slots=True)
class Congruence:
    r"""`3 \pmod 7`; the letter it is about does not matter."""

    residue: Expression
    modulus: Expression


@dataclass(frozen=True, slots=True)
class Series:
    """A sum or product whose ends are letters: text, since it is read anew for each end."""

    text: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """Items between brackets; `opening` is `(`, `[`, `{`, `:` for a ratio, or empty."""

    opening: str
    closing: str
    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Union:
    """Sets joined by a union sign, conditions joined by `or`."""

    parts: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Meet:
    """Sets joined by an intersection sign, conditions joined by `and`."""

    parts: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Without:
    """One set less another."""

    whole: Value
    removed: Value


@dataclass(frozen=True, slots=True)
class Matrix:
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """Two or more sides with `=`, `<`, `<=`, `>`, `>=`, `!=`, `in` or `approx` between them."""

    sides: tuple[Value, ...]
    signs: tuple[str, ...]
    names: tuple[str, ...]
    """The text of each side, for a side that is only a name (`AB`, `m+n`, `f(x)`)."""


Value = (
    Words
    | Scalar
    | Based
    | Clock
    | Congruence
    | Series
    | Sequence
    | Union
    | Meet
    | Without
    | Matrix
    | Relation
)
