"""What can be wrong with a loaded task, found before a run is paid for.

A task is sound when its rows are the pinned ones, its ids are unique, and every gold answer,
boxed as a model would box it, grades correct against itself.

    faults = find_faults(load_task("gsm8k"), grade)
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from corl_bench.tasks.loading import LoadedTask
from corl_bench.types import AnswerKind, Verdict


class Grade(Protocol):
    """`corl_bench.grading.grade`, as far as it is needed here."""

    def __call__(self, gold: str, response: str, *, kind: AnswerKind) -> Verdict: ...


def find_faults(task: LoadedTask, grade: Grade) -> list[str]:
    """One line per fault, in the order of the rows; an empty list: the task is sound."""
    faults: list[str] = []
    if task.digest_status == "mismatch-allowed":
        pinned = task.spec.splits[task.split]
        wanted = [
            "" if pinned.count is None else f"{pinned.count} rows",
            f"digest {pinned.digest}" if pinned.digest else "no digest yet",
        ]
        faults.append(
            f"{task.source}: {task.total} rows with digest {task.digest}; "
            f"the task pins {' and '.join(filter(None, wanted))}"
        )
    counts = Counter(problem.id for problem in task.problems)
    faults += [f"id {name!r} stands {count} times" for name, count in counts.items() if count > 1]
    verdicts: dict[tuple[str, AnswerKind], Verdict] = {}
    for problem in task.problems:
        key = (problem.answer, problem.kind)
        if key not in verdicts:
            verdicts[key] = grade(problem.answer, f"\\boxed{{{problem.answer}}}", kind=problem.kind)
        verdict = verdicts[key]
        if not verdict.correct:
            fault = f"{problem.id}: gold {problem.answer!r} graded {verdict.status} against itself"
            faults.append(f"{fault} ({verdict.detail})" if verdict.detail else fault)
    return faults
