r"""What stands between `\begin` and `\end`: matrices, systems of equations, functions by cases.

What cannot be read so is left to the next reader.

    >>> from corl_bench.grading.structure import read
    >>> len(read(r"\begin{pmatrix}1\\2\end{pmatrix}").rows)
    2
"""

from __future__ import annotations

import re
from typing import Final

from corl_bench.grading.brackets import MAX_ITEMS, RELATION, ReadPart
from corl_bench.grading.matrices import Grid, rows_of, work_out
from corl_bench.grading.values import Matrix, Scalar, Sequence, Value
from corl_bench.patterns import regex

_MATRIX: Final = regex(
    r"(?:\[|\(|\\\{)?\s*\\begin\{([pbBV]?matrix|smallmatrix|array)\}(?:\{[lcr| ]*\})?(.*?)"
    r"\\end\{\1\}\s*(?:\]|\)|\\\})?",
    re.DOTALL,
)
_LINES: Final = regex(
    r"(?:\\\{\s*)?\\begin\{(cases|aligned|align\*?|gathered|array|split)\}(?:\{[lcr| ]*\})?(.*)"
    r"\\end\{\1\}\s*\.?",
    re.DOTALL,
)
_TRANSPOSED: Final = regex(r"([\[(].*[\])])\s*\^\s*\{?\s*(?:T|\\top)\s*\}?", re.DOTALL)


def read_matrix(text: str, read_part: ReadPart) -> Value | None:
    """Matrices and their arithmetic, systems of equations, functions given piece by piece."""
    if "\\begin" not in text:
        match = _TRANSPOSED.fullmatch(text)
        row = read_part(match[1]) if match is not None else None
        if isinstance(row, Sequence):
            return Matrix(tuple((item,) for item in row.items))
        return None
    match = _MATRIX.fullmatch(text)
    if match is not None and "\\begin" not in match[2] and "=" not in match[2]:
        rows = rows_of(match[2])
        if sum(map(len, rows)) > MAX_ITEMS:
            return None
        return Matrix(tuple(tuple(read_part(cell) for cell in row) for row in rows))
    match = _LINES.fullmatch(text)
    if match is not None and "\\begin" not in match[2]:
        return _read_lines(match[1], match[2], read_part)
    if RELATION.search(text):
        return None
    result = work_out(text)
    if isinstance(result, Grid):
        return Matrix(tuple(tuple(Scalar(cell) for cell in row) for row in result.rows))
    return Scalar(result) if result is not None else None


def _read_lines(kind: str, body: str, read_part: ReadPart) -> Value | None:
    rows = rows_of(body)
    if len(rows) > 40:
        return None
    if kind == "cases" and any(len(row) > 1 and not RELATION.search(row[0]) for row in rows):
        cells = [[cell.strip(" ,").removeprefix("if ") for cell in row] for row in rows]
        return Matrix(tuple(tuple(read_part(cell) for cell in row) for row in cells))
    text = ""
    for row in rows:
        line = "".join(row).strip(" ,")
        text += line if line.startswith("=") or not text else f", {line}"
    return read_part(text)
