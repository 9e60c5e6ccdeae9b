"""`problems.jsonl`: what was asked in a run, and the golds.

`corl_bench.runs` writes it once, before the first question, and so does an import. Reports,
exports and re-gradings read it.

    texts = {(row["task"], row["id"]): row["problem"] for row in read_problems(Path("runs/demo"))}
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from corl_bench.files import read_records

PROBLEMS_NAME = "problems.jsonl"


def read_problems(run_dir: Path) -> Iterator[dict[str, Any]]:
    """The problems of a run: `task`, `id`, `problem`, `answer` and `kind`.

    There are none where the file is missing, and an import may know no answer.

    Raises:
        StorageError: a line is no problem; the message names file and line.
    """
    return read_records(
        run_dir / PROBLEMS_NAME,
        _checked,
        what="problem",
        advice="restore the file, which is written once, or make the run anew",
    )


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    for name in ("task", "id", "problem", "answer", "kind"):
        row[name]  # the error of a field that is missing names it
    return row
