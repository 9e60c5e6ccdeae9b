"""The simulated pool and problems for it."""

from __future__ import annotations

from datetime import date

import pytest

from corl_bench.experts.base import Pool
from corl_bench.experts.pools import load_pool
from corl_bench.types import Problem


@pytest.fixture(scope="session")
def sim_pool() -> Pool:
    return load_pool("sim", price_date=date(2026, 11, 1))


@pytest.fixture(scope="session")
def problems() -> list[Problem]:
    """Problems of every subject and level: 40 each, with integer answers or letters."""
    subjects = (
        "Prealgebra",
        "Algebra",
        "Intermediate Algebra",
        "Number Theory",
        "Counting & Probability",
        "Geometry",
        "Precalculus",
        "AMC",
        "AIME",
    )
    made = []
    for subject in subjects:
        for level in range(1, 6):
            for n in range(40):
                choice = subject == "AMC"
                made.append(
                    Problem(
                        id=f"{subject}-{level}-{n}",
                        text=f"A {subject} question of level {level}: what is {n} + {n * n}?",
                        answer="ABCDE"[n % 5] if choice else str(n + n * n),
                        kind="choice" if choice else "integer",
                        subject=subject,
                        level=level,
                    )
                )
    return made
