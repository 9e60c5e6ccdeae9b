"""Judging inside an event loop: the same verdicts, and nothing waits in the loop's own thread."""

from __future__ import annotations

import asyncio
import threading

import pytest

from corl_bench import grading
from corl_bench.grading import workers

NEEDS_A_WORKER = (r"\sqrt{3+2\sqrt{2}}", r"So it is \boxed{1+\sqrt{2}}.")


async def where(gold: str, reply: str) -> tuple[str, list[str]]:
    """The verdict, and the threads in which judging was begun."""
    threads = []

    def judge(gold: str, reply: str) -> grading.Verdict:
        threads.append(threading.current_thread().name)
        return grading.grade(gold, reply)

    verdict = await grading.judge_in_loop(judge, gold, reply)
    return verdict.status, threads


async def test_what_is_quick_is_judged_in_the_loops_own_thread() -> None:
    main = threading.current_thread().name
    assert await where("73", r"\boxed{73}") == ("correct", [main])
    assert await where("1/2", r"\boxed{0.5}") == ("correct", [main])
    assert await where("73", "") == ("no_answer", [main])


async def test_what_asks_a_worker_is_judged_elsewhere_while_the_loop_goes_on() -> None:
    main = threading.current_thread().name
    status, threads = await where(*NEEDS_A_WORKER)
    assert status == grading.grade(*NEEDS_A_WORKER).status == "correct"
    assert len(threads) == 2
    assert threads[0] == main != threads[1]


async def test_long_texts_are_read_elsewhere() -> None:
    _, threads = await where("73", "x " * 2_000 + r"\boxed{73}")
    assert len(threads) == 1
    assert threads[0] != threading.current_thread().name


async def test_lists_of_answers_are_judged_likewise() -> None:
    answers = [r"\sqrt{3+2\sqrt{2}}", None, r"1+\sqrt{2}"]
    assert await grading.judge_in_loop(grading.agreement_classes, answers) == [0, 1, 0]


async def test_many_at_a_time_get_their_own_verdicts() -> None:
    golds = [str(n) for n in range(50)]
    verdicts = await asyncio.gather(
        *(grading.judge_in_loop(grading.grade, gold, rf"\boxed{{{gold}}}") for gold in golds),
        grading.judge_in_loop(grading.grade, *NEEDS_A_WORKER),
    )
    assert all(verdict.correct for verdict in verdicts)


def test_refusing_workers_ends_with_the_block() -> None:
    with pytest.raises(workers.WouldWait), workers.refused():
        grading.grade(*NEEDS_A_WORKER)
    assert grading.grade(*NEEDS_A_WORKER).correct


def test_refusing_workers_is_a_matter_of_one_thread() -> None:
    verdicts = []
    with workers.refused():
        thread = threading.Thread(target=lambda: verdicts.append(grading.grade(*NEEDS_A_WORKER)))
        thread.start()
        thread.join()
    assert verdicts[0].correct
