"""The questions of `questions.py` as a task of inspect_ai, graded by its own `pattern`."""

from __future__ import annotations

import sys
from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import pattern
from inspect_ai.solver import generate

sys.path.insert(0, str(Path(__file__).parent))

from questions import gold, question


@task
def questions(count: int) -> Task:
    """So many questions."""
    samples = [Sample(input=question(n), target=gold(n), id=n) for n in range(count)]
    return Task(dataset=samples, solver=generate(), scorer=pattern(r"boxed\{(\d+)\}"))
