r"""Arithmetic of matrices that an answer leaves undone: sums, multiples, products, determinants.

`work_out` reads text such as `2\begin{pmatrix}…\end{pmatrix}+\begin{pmatrix}…\end{pmatrix}`
and returns the entries as programs (see `expression`), built by joining the programs of the
operands; nothing is simplified here, and every size has a cap.

    >>> text = r"2\begin{pmatrix}1\\3\end{pmatrix}"
    >>> [len(row) for row in work_out(text).rows]
    [1, 1]
"""

from __future__ import annotations

import re
from functools import reduce
from typing import Final, NamedTuple

from corl_bench.grading.expression import Expression, Step, parse
from corl_bench.grading.tokens import MAX_STEPS, ParseError
from corl_bench.patterns import regex


class Grid(NamedTuple):
    """A matrix of expressions, in rows of one length."""

    rows: tuple[tuple[Expression, ...], ...]


Result = Grid | Expression

MAX_MATRICES: Final = 8
MAX_ORDER: Final = 4
"""Largest determinant and largest product that is worked out."""
MAX_POWER: Final = 6
MAX_CHARS: Final = 3000

_GRID: Final = regex(r"\\begin\{([pbBvV]?matrix|smallmatrix)\}(.*?)\\end\{\1\}", re.DOTALL)
_ROW_END: Final = regex(r"(?:\\\\|\\cr(?![a-z]))(?:\s*\[-?[\d.]+ ?(?:pt|em|ex|mm)\])?")
_PART: Final = regex(
    r"\\begin\{(?P<kind>[a-zA-Z]*matrix)\}.*?\\end\{(?P=kind)\}|\\det(?![a-z])|[-+]"
    r"|\^\s*(?:\{\s*)?(?P<power>T|\\top|\d|\\prime)(?:\s*\})?|\\cdot(?![a-z])|[*()\[\]]"
    r"|[^-+*^()\[\]\\]+|\\(?:frac|sqrt)(?:\{[^{}]*\})+|\\[a-z]+",
    re.DOTALL,
)
_ADD: Final = Step("add", "", 2)
_SUB: Final = Step("sub", "", 2)
_MUL: Final = Step("mul", "", 2)
_NEG: Final = Step("neg", "", 1)


def rows_of(body: str) -> list[list[str]]:
    r"""The cells between `\begin` and `\end`, as text."""
    rows = (row.replace("\\hline", "") for row in _ROW_END.split(body))
    return [row.split("&") for row in rows if row.strip()]


def work_out(text: str) -> Result | None:
    """The entries of a sum of products of matrices and factors, or a determinant.

    Returns:
        None where the text is anything else, or too large.
    """
    if not 1 <= text.count("\\begin{") <= MAX_MATRICES or len(text) > MAX_CHARS:
        return None
    try:
        return _sum(text)
    except (ParseError, _NoMatrixError):
        return None


class _NoMatrixError(ValueError):
    """The text is no arithmetic of matrices, or one beyond the caps."""


def _sum(text: str) -> Result:
    total: Result | None = None
    factors: list[str] = []
    sign = ""
    depth = 0
    for part in [*_parts(text), "end"]:
        depth += (part in ("(", "[")) - (part in (")", "]"))
        if depth or part not in ("+", "-", "end"):
            factors.append(part)
            continue
        if factors:
            term = _product(factors)
            if total is None:
                total = _scale((Step("num", "1"), _NEG), term) if sign == "-" else term
            else:
                total = _add(total, term, _SUB if sign == "-" else _ADD)
        elif total is not None:
            raise _NoMatrixError
        factors, sign = [], part
    if total is None:
        raise _NoMatrixError
    return total


def _parts(text: str) -> list[str]:
    """The matrices, signs, brackets and stretches of plain algebra, in order."""
    parts: list[str] = []
    position = 0
    while position < len(text):
        match = _PART.match(text, position)
        if match is None:
            raise _NoMatrixError
        position = match.end()
        if match[0].strip():
            parts.append(match[0].strip())
    return parts


def _product(factors: list[str]) -> Result:
    """Multiplies from left to right; a power belongs to the matrix before it."""
    values: list[Result] = []
    plain = ""
    determinant = False
    for factor in [*factors, ""]:
        match = _PART.fullmatch(factor) if factor else None
        power = match["power"] if match is not None else None
        grid = match is not None and match["kind"] is not None
        if factor and not (grid or factor == "\\det" or (power and values and not plain)):
            plain += factor
            continue
        plain = plain.removeprefix("\\cdot").removesuffix("\\cdot").strip("* ")
        if plain:
            values.append(parse(plain))
            plain = ""
        if power is not None:
            values.append(_raised(values.pop(), power))
        elif grid:
            values.append(_read(factor, determinant))
        determinant = factor == "\\det"
    if not values:
        raise _NoMatrixError
    return reduce(_times, values)


def _read(text: str, determinant: bool) -> Result:
    match = _GRID.fullmatch(text)
    if match is None:
        raise _NoMatrixError
    grid = Grid(tuple(tuple(parse(cell) for cell in row) for row in rows_of(match[2])))
    if len({len(row) for row in grid.rows}) != 1:
        raise _NoMatrixError
    return _determinant(grid.rows) if determinant or match[1] == "vmatrix" else grid


def _determinant(rows: tuple[tuple[Expression, ...], ...]) -> Expression:
    """Expansion along the first row (Laplace)."""
    if len(rows) > MAX_ORDER or len(rows) != len(rows[0]):
        raise _NoMatrixError
    if len(rows) == 1:
        return rows[0][0]
    total: Expression = ()
    for column, entry in enumerate(rows[0]):
        minor = tuple(row[:column] + row[column + 1 :] for row in rows[1:])
        term = (*entry, *_determinant(minor), _MUL)
        total = (*total, *term, _SUB if column % 2 else _ADD) if total else term
    return _checked(total)


def _raised(value: Result, power: str) -> Result:
    if not isinstance(value, Grid):
        raise _NoMatrixError
    if not power.isdigit():
        return Grid(tuple(zip(*value.rows, strict=True)))
    if not 1 <= int(power) <= MAX_POWER:
        raise _NoMatrixError
    factors: list[Result] = [value] * int(power)
    return reduce(_times, factors)


def _add(left: Result, right: Result, step: Step) -> Result:
    if not isinstance(left, Grid) and not isinstance(right, Grid):
        return _checked((*left, *right, step))
    if not isinstance(left, Grid) or not isinstance(right, Grid):
        raise _NoMatrixError
    if [len(row) for row in left.rows] != [len(row) for row in right.rows]:
        raise _NoMatrixError
    pairs = (zip(*rows, strict=True) for rows in zip(left.rows, right.rows, strict=True))
    return Grid(tuple(tuple(_checked((*a, *b, step)) for a, b in row) for row in pairs))


def _times(left: Result, right: Result) -> Result:
    if not isinstance(left, Grid):
        return _scale(left, right)
    if not isinstance(right, Grid):
        return _scale(right, left)
    columns = tuple(zip(*right.rows, strict=True))
    if len(left.rows[0]) != len(right.rows):
        raise _NoMatrixError
    if max(len(left.rows), len(right.rows), len(columns)) > MAX_ORDER:
        raise _NoMatrixError
    return Grid(tuple(tuple(_dot(row, column) for column in columns) for row in left.rows))


def _dot(row: tuple[Expression, ...], column: tuple[Expression, ...]) -> Expression:
    total: Expression = ()
    for a, b in zip(row, column, strict=True):
        term = (*a, *b, _MUL)
        total = (*total, *term, _ADD) if total else term
    return _checked(total)


def _scale(factor: Expression, value: Result) -> Result:
    if not isinstance(value, Grid):
        return _checked((*factor, *value, _MUL))
    return Grid(tuple(tuple(_checked((*factor, *c, _MUL)) for c in row) for row in value.rows))


def _checked(program: Expression) -> Expression:
    if len(program) > MAX_STEPS:
        raise _NoMatrixError
    return program
