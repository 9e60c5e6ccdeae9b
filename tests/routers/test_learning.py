from __future__ import annotations

from decimal import Decimal

import pytest

from corl_bench.episode import ExpertInfo
from corl_bench.experts.base import Pool
from corl_bench.routers.decisions import Choice, DecisionError, Question
from corl_bench.routers.learning import Feedback, Learning


class Student:
    """Chooses what the statement says, and keeps a diary."""

    def __init__(self) -> None:
        self.diary: list[str] = []

    async def decide(self, question: Question) -> Choice:
        self.diary.append(f"asked {question.text}")
        return Choice(question.text)

    async def learn(self, feedback: Feedback) -> None:
        if feedback.reward and feedback.expert == "dear":
            raise ValueError("too dear")
        self.diary.append(f"{feedback.expert} {feedback.reward:g} {feedback.cost_usd}")

    async def freeze(self) -> None:
        self.diary.append("frozen")

    async def aclose(self) -> None: ...


class Rows:
    """`cheap` is right, `middle` gives no answer, `dear` is right."""

    task = "math:train"

    def __init__(self, pool: Pool, *texts: str) -> None:
        experts = tuple(map(ExpertInfo.of, pool.experts))
        self.questions = tuple(Question(text, experts, None) for text in texts)

    async def ask(self, row: int, choice: Choice) -> Feedback | None:
        if choice.expert == "middle":
            return None
        return Feedback(self.questions[row], choice.expert, 1.0, Decimal("0.1"))


async def test_rows_come_in_order_each_with_its_outcome_before_the_next(pool: Pool) -> None:
    student = Student()
    note = await Learning(student).train(Rows(pool, "cheap", "cheap"))
    assert student.diary == ["asked cheap", "cheap 1 0.1", "asked cheap", "cheap 1 0.1", "frozen"]
    assert note == "learned from 2 of 2 rows of math:train, then frozen"


async def test_rows_without_a_reward_are_left_out_and_counted(pool: Pool) -> None:
    student = Student()
    learning = Learning(student)
    note = await learning.train(Rows(pool, "middle", "nobody", "cheap", "dear"))
    assert [line for line in student.diary if " 1 " in line] == ["cheap 1 0.1"]
    assert "learned from 1 of 4 rows" in note
    assert "left out 3, the last because the router failed: ValueError: too dear" in note
    assert (await learning.decide(Question("cheap", (), None))).expert == "cheap"


async def test_what_has_learned_nothing_does_not_decide(pool: Pool) -> None:
    learning = Learning(Student())
    question = Question("cheap", (), None)
    with pytest.raises(DecisionError, match="--train"):
        await learning.decide(question)
    assert "it learned nothing" in await learning.train(Rows(pool, "middle"))
    with pytest.raises(DecisionError, match="middle gave no answer"):
        await learning.decide(question)


async def test_a_student_that_cannot_freeze_does_not_decide(pool: Pool) -> None:
    class Melting(Student):
        async def freeze(self) -> None:
            raise OSError("too warm")

    learning = Learning(Melting())
    assert "too warm" in await learning.train(Rows(pool, "cheap"))
    with pytest.raises(DecisionError, match="too warm"):
        await learning.decide(Question("cheap", (), None))
