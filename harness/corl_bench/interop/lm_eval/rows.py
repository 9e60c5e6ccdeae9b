"""Rows of our tasks for lm-eval, and back: a row holds all that makes a `Problem` again.

So whoever answers it knows the problem as `corl-bench run` does, and asks the very same.

    rows = rows_of("gsm8k", "data")
    problem_of(rows[0])
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corl_bench.tasks import load_task, render_prompt
from corl_bench.types import Problem

LABEL = "corl_task"
"""Column with the task's label; it tells our rows from others."""


def rows_of(name: str, data_dir: str | None = None) -> list[dict[str, Any]]:
    """The rows of a task's default split, in their order.

    Args:
        name: of a built-in task, with `:split` for another split.
        data_dir: folder with local files; None: CORL_DATA_DIR, else the `datasets` library.

    Raises:
        CorlError: there is no such task, or its rows are not to be had.
    """
    task = load_task(name, data_dir=None if data_dir is None else Path(data_dir))
    return [
        {
            LABEL: task.label,
            "id": problem.id,
            "problem": problem.text,
            "answer": problem.answer,
            "kind": problem.kind,
            "subject": problem.subject,
            "level": problem.level,
            "prompt": render_prompt(task.spec, problem.text),
        }
        for problem in task.problems
    ]


def problem_of(row: Mapping[str, Any]) -> Problem | None:
    """The problem of one of our rows; None for any other row."""
    if LABEL not in row:
        return None
    return Problem(
        id=row["id"],
        text=row["problem"],
        answer=row["answer"],
        kind=row["kind"],
        subject=row.get("subject"),
        level=row.get("level"),
    )
