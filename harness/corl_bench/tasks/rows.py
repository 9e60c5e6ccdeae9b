"""Rows of JSON lines, and the problem that a row describes.

Any file of `{problem, answer}` rows will do, plain or compressed with zstd; whatever is wrong
with one is said as `file:line`.

    for line, row in read_jsonl(Path("mine.jsonl")):
        problem = problem_of_row(row, default_id=f"mine/{line}", kind="math")
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

from corl_bench.errors import ConfigError
from corl_bench.tasks.golds import gold_of_solution, normalise_gold
from corl_bench.types import ANSWER_KINDS, AnswerKind, Problem

METADATA_FIELDS = ("source", "split", "url", "year")


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers (from 1) and rows of a `.jsonl` or `.jsonl.zst` file; blank lines are skipped.

    Raises:
        ConfigError: the file cannot be read, or a line is not a JSON object; `file:line`.
    """
    line = 0
    try:
        with _open(path) as stream:
            for line, raw in enumerate(stream, start=1):
                text = raw.decode("utf-8-sig" if line == 1 else "utf-8").strip()
                if not text:
                    continue
                row = json.loads(text)
                if not isinstance(row, dict):
                    raise ConfigError(f"{path}:{line}: a row must be a JSON object")
                yield line, row
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{line}: no JSON: {error.msg}, column {error.colno}") from error
    except (ValueError, RecursionError) as error:  # broken UTF-8, JSON beyond Python's limits
        raise ConfigError(f"{path}:{line}: {error}") from error
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: cannot be read: {reason}") from error


def problem_of_row(row: Mapping[str, Any], *, default_id: str, kind: AnswerKind) -> Problem:
    r"""The problem of one row.

    Read are `problem` or `question`; `answer` or `gold`, else the box of `solution`; `id` or
    `problem_id`; `subject`, `level` (`5`, `5.0` or `Level 5`), `kind`; and for drill-down
    `source`, `split`, `url` and `year`.

    Args:
        row: a JSON object.
        default_id: the id where the row has none.
        kind: the answer kind where the row has none.

    Raises:
        ValueError: a field is missing or not usable; the message says which.
    """
    text = _first(row, "problem", "question")
    if not isinstance(text, str) or not text.strip():
        raise ValueError("a row needs a text in `problem` or `question`")
    row_kind = row.get("kind", kind)
    if row_kind not in ANSWER_KINDS:
        raise ValueError(f"kind {row_kind!r} is none of {', '.join(ANSWER_KINDS)}")
    answer = _first(row, "answer", "gold")
    if answer is None and isinstance(row.get("solution"), str):
        answer = gold_of_solution(row["solution"])
    if answer is None:
        raise ValueError("a row needs an `answer` or `gold`")
    if isinstance(answer, float) and not math.isfinite(answer):
        raise ValueError(f"the answer {answer} is no number; write an answer as text if need be")
    problem_id = _first(row, "id", "problem_id")
    return Problem(
        id=default_id if problem_id is None else str(problem_id),
        text=clean_text(text),
        answer=clean_text(normalise_gold(answer, row_kind)),
        kind=row_kind,
        subject=str(row["subject"]) if row.get("subject") is not None else None,
        level=level_of(row.get("level")),
        metadata={name: str(row[name]) for name in METADATA_FIELDS if row.get(name) is not None},
    )


def row_of_problem(problem: Problem) -> dict[str, Any]:
    """The row that `problem_of_row` reads as this problem; what the problem lacks is left out."""
    row: dict[str, Any] = {"id": problem.id, "problem": problem.text, "answer": problem.answer}
    row |= {"kind": problem.kind, "subject": problem.subject, "level": problem.level}
    row |= {name: problem.metadata.get(name) for name in METADATA_FIELDS}
    return {name: value for name, value in row.items() if value is not None}


def clean_text(text: str) -> str:
    """A statement without white space around it and with plain line ends.

    Raises:
        ValueError: half of a surrogate pair, which neither a file nor a request can hold.
    """
    text.encode()
    return text.replace("\r\n", "\n").strip()


def level_of(value: object) -> int | None:
    """MATH's level 1 to 5 from `5`, `5.0`, `"5"` or `"Level 5"`; None for anything else.

    Other scales (DeepScaleR rates from 0 to 10, in fractions) are no levels; neither is the
    `Level ?` that MATH gives two of its problems.
    """
    with contextlib.suppress(TypeError, ValueError):
        number = float(str(value).removeprefix("Level ").strip())
        if number in (1, 2, 3, 4, 5):
            return int(number)
    return None


def _first(row: Mapping[str, Any], *names: str) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    if path.suffix != ".zst":
        with path.open("rb") as plain:
            yield plain
        return
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    try:
        with zstd.open(path, "rb") as packed:
            yield cast("IO[bytes]", packed)
    except zstd.ZstdError as error:
        raise ConfigError(f"{path}: not a zstd file: {error}") from error
