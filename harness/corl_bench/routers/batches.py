"""Questions that wait together, answered together.

While one batch is with the router, what comes in waits and makes the next; nobody waits for a
batch to fill. Which questions meet in a batch depends on the clock, so a router's answer to one
must not depend on the others.

    batches = Batches(router.decide_all)
    choice = await batches.answer(question)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from corl_bench.routers.decisions import DecisionError, Question, faults

MAX_BATCH = 64

Answer = TypeVar("Answer")


class Batches(Generic[Answer]):
    """Gathers questions for a function that answers many at once.

    Args:
        answer_all: gets questions of one budget and returns as many answers.
    """

    def __init__(self, answer_all: Callable[[list[Question]], Awaitable[Sequence[Answer]]]) -> None:
        self._answer_all = answer_all
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._working: asyncio.Task[None] | None = None

    async def answer(self, question: Question) -> Answer:
        """The answer to one question.

        Raises:
            DecisionError: the function failed, or gave another number of answers.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        return await future

    def _next_batch(self) -> list[tuple[Question, asyncio.Future[Answer]]]:
        """Takes those that have waited longest, of one budget."""
        budget = self._waiting[0][0].budget
        batch: list[tuple[Question, asyncio.Future[Answer]]] = []
        rest: list[tuple[Question, asyncio.Future[Answer]]] = []
        for pair in self._waiting:
            fits = len(batch) < MAX_BATCH and pair[0].budget == budget
            (batch if fits else rest).append(pair)
        self._waiting = rest
        return batch

    async def _work(self) -> None:
        await asyncio.sleep(0)  # what is asked at the same time is to go together
        while self._waiting:
            batch = self._next_batch()
            try:
                with faults():
                    answers = await self._answer_all([question for question, _ in batch])
                    if len(answers) != len(batch):
                        raise DecisionError(
                            f"the router gave {len(answers)} answers to {len(batch)} questions"
                        )
            except DecisionError as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(DecisionError(str(error)))
                continue
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():  # its episode may have been cancelled
                    future.set_result(answer)
