"""Systems that prepare on training problems: bandits that learn, scores that need a threshold.

The bench holds the rows and makes the calls, on the run's own ledger; the system asks for what
it wants. A student is shown the rows in order: it decides, the expert that it chose answers and
is graded, and the student is told the reward and the cost before it sees the next row. Then it
is frozen: scored problems teach nothing. Rows whose reward is not known (the call failed, or the
student did) are left out and counted.

    note = await Learning(student).train(training)   # "learned from 360 of 360 rows of math:train"
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, runtime_checkable

from corl_bench.routers.base import Router
from corl_bench.routers.decisions import Choice, Deciding, DecisionError, Question, checked, faults


@dataclass(frozen=True, slots=True)
class Feedback:
    """What came of a choice."""

    question: Question
    expert: str
    reward: float
    """1 for a correct answer, else 0."""
    cost_usd: Decimal
    """List cost of the call, all its attempts."""


class Training(Protocol):
    """Training rows, in order, and the experts' answers to them for money."""

    @property
    def task(self) -> str:
        """Label of the task that the rows are of."""
        ...

    @property
    def questions(self) -> tuple[Question, ...]:
        """Budgets, where there are any, take turns from row to row."""
        ...

    async def ask(self, row: int, choice: Choice) -> Feedback | None:
        """Has the expert that was chosen answer a row; None where it gave no answer to grade.

        Raises:
            CapReachedError: the spending cap is reached.
        """
        ...


@runtime_checkable
class Trained(Protocol):
    """What must be trained before its system is scored."""

    async def train(self, training: Training) -> str:
        """Prepares from scratch; called again by the process that resumes a run.

        Returns:
            One line for the reader of the results.
        """
        ...


def trained_part(system: Router) -> Trained | None:
    """What of a system must be trained: itself, its decider, or nothing."""
    part = system.decider if isinstance(system, Deciding) else system
    return part if isinstance(part, Trained) else None


class Student(Protocol):
    """Decides, and learns from what came of it."""

    async def decide(self, question: Question) -> Choice: ...

    async def learn(self, feedback: Feedback) -> None: ...

    async def freeze(self) -> None:
        """Told once, when nothing more is to be learned."""
        ...

    async def aclose(self) -> None: ...


class Learning:
    """A decider that learns before it is asked, and then no more."""

    def __init__(self, student: Student) -> None:
        self._student = student
        self._unready = "it has not learned yet: name training rows with --train"

    async def decide(self, question: Question) -> Choice:
        """The frozen student's choice.

        Raises:
            DecisionError: it has learned nothing.
        """
        if self._unready:
            raise DecisionError(self._unready)
        return await self._student.decide(question)

    async def train(self, training: Training) -> str:
        """Shows the student each row in turn and tells it what came of its choice."""
        learned, last_fault = 0, ""
        for row, question in enumerate(training.questions):
            try:
                with faults():
                    choice = checked(await self._student.decide(question), question)
            except DecisionError as error:
                last_fault = str(error)
                continue
            feedback = await training.ask(row, choice)
            if feedback is None:
                last_fault = f"{choice.expert} gave no answer"
                continue
            try:
                with faults():
                    await self._student.learn(feedback)
            except DecisionError as error:
                last_fault = str(error)
                continue
            learned += 1
        rows = len(training.questions)
        self._unready = "" if learned else f"it learned nothing: {last_fault or 'no rows'}"
        try:
            with faults():
                await self._student.freeze()
        except DecisionError as error:
            self._unready = self._unready or str(error)
        line = f"learned from {learned:,} of {rows:,} rows of {training.task}, then frozen"
        if learned < rows:
            line += f" (left out {rows - learned:,}, the last because {last_fault})"
        return f"{line}; {self._unready}" if self._unready else line

    async def aclose(self) -> None:
        await self._student.aclose()
