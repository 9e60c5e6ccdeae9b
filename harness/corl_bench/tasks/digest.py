r"""The digest that pins a task: sha256 over its canonical (problem, answer) rows.

Two copies of a dataset have the same digest exactly when they hold the same problems with the
same golds, whatever the order of the rows, the line breaks inside a statement or the names of
the columns: copies on different hosts differ in these without being another task.

    >>> from corl_bench.types import Problem
    >>> a, b = Problem("1", "1 + 1 =", "2"), Problem("2", "2 +\n2 =", "4")
    >>> rows_digest([a, b]) == rows_digest([b, a])
    True
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from corl_bench.types import Problem


def canonical_line(problem: Problem) -> bytes:
    """One row as the digest sees it: a JSON array in UTF-8, runs of white space made one space."""
    row = [" ".join(problem.text.split()), problem.answer]
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def rows_digest(problems: Iterable[Problem]) -> str:
    """`sha256:<hex>` over the sorted canonical lines; a row that occurs twice counts twice."""
    sha = hashlib.sha256()
    for line in sorted(map(canonical_line, problems)):
        sha.update(line)
    return f"sha256:{sha.hexdigest()}"
