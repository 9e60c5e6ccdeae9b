from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corl_bench.routers.decisions import Choice, DecisionError, Question
from corl_bench.routers.learning import Feedback
from corl_bench.routers.scores import Calibrated, calibrate


@given(
    scores=st.lists(st.integers(0, 5).map(float), min_size=1, max_size=40),
    share=st.floats(0, 1),
)
def test_a_share_is_never_exceeded_and_no_lower_threshold_would_keep_it(
    scores: list[float], share: float
) -> None:
    found = calibrate(scores, share)
    room = share * len(scores) + 1e-9
    strong = sum(score >= found.threshold for score in scores)
    assert strong == found.strong <= room
    lower = [score for score in scores if score < found.threshold]
    if lower:  # to let the next score in would let in all of its ties
        assert sum(score >= max(lower) for score in scores) > room


def test_ties_go_weak_whatever_the_order_of_the_rows() -> None:
    scores = [1.0, 0.0, 1.0, 0.0, 1.0]
    for rows in (scores, scores[::-1], sorted(scores)):
        found = calibrate(rows, 0.4)
        assert (found.threshold, found.strong, found.tied) == (math.inf, 0, 3)
    assert calibrate(scores, 0.6).strong == 3


def test_none_and_all() -> None:
    assert calibrate([0.1, 0.2], 0).threshold == math.inf
    assert calibrate([0.1, 0.2], 1).threshold == -math.inf
    assert calibrate([float(n) for n in range(10)], 0.3).strong == 3


class Lengths:
    """Scores by length; fails at what is no question."""

    async def scores(self, questions: Sequence[Question]) -> Sequence[float]:
        if any("!" in question.text for question in questions):
            raise ValueError("do not shout")
        return [len(question.text) for question in questions]

    async def aclose(self) -> None: ...


class Rows:
    """Training questions that nobody answers."""

    task = "math:train"

    def __init__(self, *texts: str) -> None:
        self.questions = tuple(Question(text, (), None) for text in texts)

    async def ask(self, row: int, choice: Choice) -> Feedback | None:
        raise AssertionError("a threshold needs no answers")


async def test_a_threshold_is_taken_from_training_questions_and_its_rule_is_told() -> None:
    decider = Calibrated(Lengths(), "weak", "strong", 0.5)
    with pytest.raises(DecisionError, match="--train"):
        await decider.decide(Question("?", (), None))
    note = await decider.train(Rows("1", "12", "123", "1234"))
    assert note == (
        "threshold 3 from 4 rows of math:train: strong (strong) from this score on, 2 rows or"
        " 50.0% where 50.0% were wanted"
    )
    assert (await decider.decide(Question("123", (), None))).expert == "strong"
    assert (await decider.decide(Question("12", (), None))).expert == "weak"
    assert "2 tied for the rest go weak" in await decider.train(Rows("1", "12", "12", "1234"))


async def test_a_threshold_that_could_not_be_calibrated_is_said_at_each_decision() -> None:
    decider = Calibrated(Lengths(), "weak", "strong", 0.5)
    note = await decider.train(Rows("ok", "no!"))
    assert "could not be calibrated: the router failed: ValueError: do not shout" in note
    with pytest.raises(DecisionError, match="do not shout"):
        await decider.decide(Question("?", (), None))
