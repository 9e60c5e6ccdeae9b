"""How experts err, measured over all of them: what a plan on cards takes for granted.

manners = manners_of(booth, ["nano", "large"], problems)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from corl_bench.experts.trials import Booth
from corl_bench.types import Problem


@dataclass(frozen=True, slots=True)
class Manners:
    """How experts err, measured over all of them; see `manners_of`."""

    wrong_answers: float
    """Over how many answers wrong ones spread: one in so many pairs of them agree."""
    steadiness: float
    """How probably an expert that is asked again says what it would have said anyway."""


def manners_of(booth: Booth, experts: Sequence[str], problems: Sequence[Problem]) -> Manners:
    """How some experts err, from two replies of each to each problem.

    Where no two wrong answers are there to be compared, they spread over five.
    """
    agreed = [0, 0]
    repeated = [0, 0]
    for sample, problem in enumerate(problems):
        wrong: list[str] = []
        for expert in experts:
            first, second = (booth.ask(expert, problem, sample, again) for again in (0, 1))
            if first is None or second is None:
                continue
            if first.answer is not None and not first.right:
                wrong.append(first.answer)
                if second.answer is not None:
                    # Of wrong answers: a right one would mostly come again by itself.
                    repeated[0] += first.answer == second.answer
                    repeated[1] += 1
        pairs = len(wrong) * (len(wrong) - 1) // 2
        agreed[0] += sum(wrong[i] == wrong[j] for i in range(len(wrong)) for j in range(i))
        agreed[1] += pairs
    spread = 5.0 if not agreed[0] else agreed[1] / agreed[0]
    steady = repeated[0] / repeated[1] if repeated[1] else 1.0
    return Manners(wrong_answers=max(1.5, spread), steadiness=min(1.0, steady))
