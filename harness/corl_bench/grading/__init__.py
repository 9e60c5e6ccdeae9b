r"""Grading: is a model's reply the right answer? Safe, exact where it can be, bounded always.

`grade` extracts the answer from a reply and compares it with the gold; `is_correct`, `extract`
and `equivalent` are its parts, and `judge_in_loop` calls any of them where others must not wait.
No text is ever evaluated as code, all functions may be called from any thread, and the verdict
depends on nothing but the arguments. docs/grading.md has the rules.

    >>> grade("73", r"Adding up, \boxed{73}.").status
    'correct'
    >>> equivalent(r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{3}}")
    True
"""

from corl_bench.grading.concurrency import judge_in_loop
from corl_bench.grading.extraction import extract, find_answer
from corl_bench.grading.grader import (
    GRADER_VERSION,
    Policy,
    agreement_classes,
    equivalent,
    grade,
    grader_digest,
    is_correct,
)
from corl_bench.grading.marks import Extraction
from corl_bench.types import Verdict

__all__ = [
    "GRADER_VERSION",
    "Extraction",
    "Policy",
    "Verdict",
    "agreement_classes",
    "equivalent",
    "extract",
    "find_answer",
    "grade",
    "grader_digest",
    "is_correct",
    "judge_in_loop",
]
