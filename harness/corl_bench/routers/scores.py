"""Systems that score: how much does this question want the strong expert?

A scorer gives each question a number, higher for the strong expert (RouteLLM's win rate is one).
The rule around it is ours: the strong expert is asked where the score is *at least* the
threshold, else the weak one. A threshold is given, or calibrated on training questions to the
share of them that is to go to the strong expert; that needs no reply and costs nothing at the
experts. Ties are broken for the weak expert: of equal scores at the threshold all go the same
way, and it is taken so high that the share is never exceeded.

    >>> calibrate([0.9, 0.5, 0.5, 0.1], share=0.5)
    Calibration(threshold=0.9, strong=1, rows=4, tied=2)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.money.prices import cheapest_first
from corl_bench.routers.decisions import Choice, DecisionError, Question, faults, shown
from corl_bench.routers.learning import Training
from corl_bench.routers.options import read_expert, read_number

SCORE_OPTIONS = ("strong", "weak", "threshold", "share")


class Scorer(Protocol):
    """Gives each question a finite number; it is asked one question or all training rows."""

    async def scores(self, questions: Sequence[Question]) -> Sequence[float]: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold and what it does to the scores that it was taken from."""

    threshold: float
    strong: int
    """Rows at or above it."""
    rows: int
    tied: int
    """Rows of the one score of which the share had room for some but not for all."""


def calibrate(scores: Sequence[float], share: float) -> Calibration:
    """The lowest threshold that sends at most a share of the scores to the strong expert.

    Args:
        scores: of the training questions.
        share: wanted, from 0 to 1; at 1 every question goes, at less than one row none.
    """
    rows = len(scores)
    room = math.floor(share * rows + 1e-9)  # 0.3 * 10 is a little less than 3
    if room == rows:
        return Calibration(-math.inf, rows, rows, 0)
    falling = sorted(scores, reverse=True)
    first_out = falling[room]
    above = [score for score in falling if score > first_out]
    threshold = above[-1] if above else math.inf
    tied = falling.count(first_out) if len(above) < room else 0
    return Calibration(threshold, len(above), rows, tied)


class Thresholded:
    """Asks the strong expert where the score is at least the threshold."""

    def __init__(self, scorer: Scorer, weak: str, strong: str, threshold: float | None) -> None:
        self._scorer = scorer
        self._weak = weak
        self._strong = strong
        self._threshold = threshold
        self._unready = "its threshold is not calibrated yet: name training rows with --train"

    async def decide(self, question: Question) -> Choice:
        """The expert on the score's side of the threshold.

        Raises:
            DecisionError: there is no threshold yet, or the score is no finite number.
        """
        if self._threshold is None:
            raise DecisionError(self._unready)
        (score,) = await scores_of(self._scorer, [question])
        return Choice(self._strong if score >= self._threshold else self._weak)

    async def aclose(self) -> None:
        await self._scorer.aclose()


class Calibrated(Thresholded):
    """Takes its threshold from the training questions."""

    def __init__(self, scorer: Scorer, weak: str, strong: str, share: float) -> None:
        super().__init__(scorer, weak, strong, None)
        self._share = share

    async def train(self, training: Training) -> str:
        """Scores the training questions; no expert is asked.

        Where that fails there is no threshold, and every decision says why.
        """
        try:
            with faults():
                scores = await scores_of(self._scorer, training.questions)
        except DecisionError as error:
            self._unready = f"its threshold could not be calibrated: {error}"
            return self._unready
        found = calibrate(scores, self._share)
        self._threshold = found.threshold
        tied = f", {found.tied:,} tied for the rest go weak" if found.tied else ""
        return (
            f"threshold {found.threshold:.6g} from {found.rows:,} rows of {training.task}: strong"
            f" ({self._strong}) from this score on, {found.strong:,} rows or"
            f" {found.strong / found.rows:.1%} where {self._share:.1%} were wanted{tied}"
        )


async def scores_of(scorer: Scorer, questions: Sequence[Question]) -> list[float]:
    """Scores that are numbers, one a question.

    Raises:
        DecisionError: they are not.
    """
    given = await scorer.scores(questions)
    if len(given) != len(questions):
        raise DecisionError(f"the router gave {len(given)} scores to {len(questions)} questions")
    return [_finite(score) for score in given]


def _finite(score: object) -> float:
    """Any kind of number as a float: numpy's and torch's are not registered as such."""
    if not isinstance(score, bool | str | bytes):
        try:
            value = float(score)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            value = math.nan
        if math.isfinite(value):
            return value
    raise DecisionError(f"the router's score is no finite number: {shown(score)}")


def wants_scores(options: Mapping[str, str]) -> bool:
    """Whether a system's options say that it scores."""
    return any(name in options for name in SCORE_OPTIONS)


def make_thresholded(
    scorer: Scorer, options: Mapping[str, str], system: str, pool: Pool
) -> Thresholded:
    """A decider from a scorer and `threshold` or `share`, `weak` and `strong`.

    Raises:
        ConfigError: an option that is missing or not usable.
    """
    threshold = read_number(
        options, "threshold", system, least=-1e300, most=1e300, what="a finite number"
    )
    share = read_number(
        options, "share", system, least=0, most=1, what="a share from 0 to 1 of the questions"
    )
    if (threshold is None) == (share is None):
        raise ConfigError(
            f"{system!r} scores: it takes @threshold=T, or @share=P to calibrate on --train rows"
        )
    experts = cheapest_first(expert for expert in pool.experts if expert.role == "expert")
    weak = read_expert(options, "weak", system, pool) or experts[0].name
    strong = read_expert(options, "strong", system, pool) or experts[-1].name
    if weak == strong:
        raise ConfigError(f"{system!r}: {weak!r} is both the weak and the strong expert")
    if share is None:
        return Thresholded(scorer, weak, strong, threshold)
    return Calibrated(scorer, weak, strong, share)
