"""Files of problems: what is read, and how a broken one is named."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from corl_bench.errors import ConfigError
from corl_bench.tasks.rows import level_of, problem_of_row, read_jsonl
from corl_bench.types import Problem

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def problem(row: dict[str, Any], kind: Any = "math") -> Problem:
    return problem_of_row(row, default_id="d/0", kind=kind)


def test_lines_are_numbered_and_blank_ones_skipped(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n\n  \n{"a": 2}')
    assert list(read_jsonl(path)) == [(1, {"a": 1}), (4, {"a": 2})]


def test_a_compressed_file_reads_alike(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl.zst"
    path.write_bytes(zstd.compress('{"a": "ü"}\n{"a": 2}\n'.encode()))
    assert list(read_jsonl(path)) == [(1, {"a": "ü"}), (2, {"a": 2})]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b'{"a": 1}\n{"a": \n', ":2: no JSON: Expecting value, column 6"),
        (b'{"a": 1}\n[1]\n', ":2: a row must be a JSON object"),
        (b'{"a": 1}\n{"a": "\xff"}\n', ":2: "),
        (b"[" * 100_000, ":1: "),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, content: bytes, place: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        list(read_jsonl(path))
    assert str(caught.value).startswith(f"{path}{place}")
    assert "\n" not in str(caught.value)


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl.zst"
    path.write_bytes(b'{"a": 1}\n')
    with pytest.raises(ConfigError, match=r"p\.jsonl\.zst: not a zstd file"):
        list(read_jsonl(path))
    path.write_bytes(zstd.compress(b'{"a": 1}\n' * 1000)[:-8])
    with pytest.raises(ConfigError, match=r"p\.jsonl\.zst: "):
        list(read_jsonl(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.jsonl: cannot be read"):
        list(read_jsonl(tmp_path / "none.jsonl"))


def test_both_spellings_of_the_fields_are_read() -> None:
    ours = {"id": 7, "problem": " a\r\nb\n", "answer": "27.0", "level": "Level 3"}
    theirs = {"problem_id": "7", "question": "a\nb", "gold": 27, "level": 3.0}
    assert problem(ours) == problem(theirs) == Problem("7", "a\nb", "27", level=3)


def test_a_row_may_name_its_kind_and_lack_an_id() -> None:
    row = {"problem": "Which?", "answer": "(b)", "kind": "choice", "subject": "Geometry"}
    assert problem(row) == Problem("d/0", "Which?", "B", "choice", "Geometry")


def test_the_box_of_a_solution_serves_as_answer() -> None:
    row = {"problem": "x", "solution": r"Thus \boxed{3}.", "type": "Algebra", "url": "u", "n": 1}
    assert problem(row) == Problem("d/0", "x", "3", metadata={"url": "u"})


def test_an_answer_of_zero_is_an_answer() -> None:
    assert problem({"problem": "x", "answer": 0, "id": 0}) == Problem("0", "x", "0")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"answer": "1"}, "`problem` or `question`"),
        ({"problem": "  ", "answer": "1"}, "`problem` or `question`"),
        ({"problem": 5, "answer": "1"}, "`problem` or `question`"),
        ({"problem": "x"}, "`answer` or `gold`"),
        ({"problem": "x", "solution": "none"}, "no boxed answer"),
        ({"problem": "x", "answer": "1", "kind": "essay"}, "kind 'essay' is none of math"),
        ({"problem": "x", "answer": "1", "kind": ["math"]}, "is none of math"),
        ({"problem": "x", "answer": "1.5", "kind": "integer"}, "not an integer"),
    ],
)
def test_what_a_row_lacks_is_said(row: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        problem(row)


@pytest.mark.parametrize(
    ("value", "level"),
    [
        *((5, 5), (5.0, 5), ("5", 5), ("Level 1", 1)),
        *((value, None) for value in ("Level ?", 4.625, 0, 6, None, "hard", float("nan"))),
    ],
)
def test_levels_are_those_of_math(value: object, level: int | None) -> None:
    assert level_of(value) == level


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_no_answer(tmp_path: Path, number: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"problem": "1+1?", "answer": ' + number + "}\n")
    ((_, row),) = read_jsonl(path)
    with pytest.raises(ValueError, match="is no number"):
        problem(row)
