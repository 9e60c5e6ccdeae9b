"""Whether a single reply is right: by our grader, or by the verdict that it was imported with.

Invariant: everything that looks at single replies (cards, a census, what a controller could have
believed) asks here, so that nothing is taught by another judge than the one that rewards.

    is_right(problem, reply.text, reply.source_correct, by="recorded")
"""

from __future__ import annotations

from typing import Literal

from corl_bench import grading
from corl_bench.types import Problem

Judge = Literal["ours", "recorded"]


def is_right(problem: Problem, text: str | None, recorded: bool | None, *, by: Judge) -> bool:
    """Whether a reply is right.

    Args:
        problem: with its answer.
        text: of the reply, or the answer in it; None: there is none.
        recorded: the verdict that it came with; None: it came without.
        by: `recorded` goes by that verdict where there is one, `ours` never.
    """
    if text is None:
        return False
    if by == "recorded" and recorded is not None:
        return recorded
    return grading.grade(problem.answer, text, kind=problem.kind).correct
