"""The digest names the rows and nothing else."""

from __future__ import annotations

import hashlib

from corl_bench.tasks.digest import rows_digest
from corl_bench.types import Problem


def test_the_digest_is_the_documented_one() -> None:
    problems = [Problem("2", "Größe\n  x?", "2"), Problem("1", "a", r"\pi")]
    lines = '["Größe x?","2"]\n["a","\\\\pi"]\n'
    assert rows_digest(problems) == f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def test_order_ids_and_line_breaks_do_not_matter() -> None:
    one = [Problem("1", "a b", "1"), Problem("2", "c", "2")]
    other = [Problem("x", "c\n", "2", level=3), Problem("y", "a\n b", "1")]
    assert rows_digest(one) == rows_digest(other)


def test_every_change_of_a_row_does() -> None:
    problem = Problem("1", "tan 22.5", "1")
    same = rows_digest([problem])
    assert rows_digest([Problem("1", "tan 225", "1")]) != same
    assert rows_digest([Problem("1", "tan 22 .5", "1")]) != same
    assert rows_digest([Problem("1", "tan 22.5", "1.0")]) != same
    assert rows_digest([problem, problem]) != same
    assert rows_digest([]) != same
