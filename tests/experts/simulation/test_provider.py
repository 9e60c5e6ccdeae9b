from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest

from corl_bench.experts.base import Pool, Request, Sampling
from corl_bench.experts.simulation.book import ProblemBook
from corl_bench.experts.simulation.provider import SimulatedProvider
from corl_bench.experts.simulation.tables import WRONG_ANSWERS, WRONG_LETTERS
from corl_bench.grading import grade
from corl_bench.types import Message, Problem


def request(
    pool: Pool, name: str, problem: Problem, *, sample: int = 0, occurrence: int = 0
) -> Request:
    spec = pool[name]
    text = f"{problem.text}\n\nBox the answer."
    messages = (Message("user", text),)
    return Request(spec, messages, spec.sampling, problem.text, sample, occurrence)


def boxed(text: str) -> str | None:
    found = re.search(r"\\boxed\{(.*)\}", text)
    return found[1] if found else None


@pytest.fixture(scope="module")
def provider(sim_pool: Pool, problems: list[Problem]) -> SimulatedProvider:
    return SimulatedProvider(sim_pool, ProblemBook(problems), seed=3)


async def test_replies_hold_a_boxed_answer_or_visibly_fail(
    sim_pool: Pool, problems: list[Problem], provider: SimulatedProvider
) -> None:
    finishes = set()
    silent = 0
    for problem in problems[::3]:
        for spec in sim_pool.experts:
            asked = request(sim_pool, spec.name, problem)
            reply = await provider.send(asked)
            finishes.add(reply.finish)
            assert reply.model == spec.model
            assert reply.usage.total_input_tokens <= asked.max_input_tokens()
            limit = spec.sampling.max_output_tokens
            assert limit is not None and reply.usage.output_tokens <= limit
            assert (reply.usage.reasoning_tokens > 0) <= (spec.name == "reasoner")
            if reply.finish == "stop":
                silent += boxed(reply.text) is None
            else:
                assert boxed(reply.text) is None
            if reply.finish == "length":
                assert reply.usage.output_tokens == limit
            verdict = grade(problem.answer, reply.text, kind=problem.kind)
            answer = boxed(reply.text)
            if answer is None:
                assert verdict.status == "no_answer"
                assert re.search(r"\d|\b[A-Za-z]\b", reply.text) is None
            else:
                assert verdict.correct == (answer == problem.answer)
    assert finishes == {"stop", "length", "refusal"}
    assert silent > 0


async def test_the_words_do_not_tell_right_from_wrong(
    sim_pool: Pool, problems: list[Problem], provider: SimulatedProvider
) -> None:
    right: set[str] = set()
    wrong: set[str] = set()
    for problem in problems:
        text = (await provider.send(request(sim_pool, "mini", problem))).text
        answer = boxed(text)
        if answer is not None:
            words = text.replace(f"{{{answer}}}", "{}")
            (right if answer == problem.answer else wrong).add(words)
            if answer != problem.answer and problem.kind == "integer":
                assert re.search(rf"\b{problem.answer}\b", text) is None
    assert right and wrong
    # 48 forms, and hundreds of replies of either sort: nearly all forms occur in both.
    assert len(right & wrong) >= 0.9 * len(right | wrong)


async def test_a_problem_has_as_many_wrong_answers_as_declared(
    sim_pool: Pool, problems: list[Problem], provider: SimulatedProvider
) -> None:
    for problem, number in ((problems[-1], WRONG_ANSWERS), (problems[7 * 200], WRONG_LETTERS)):
        found = set()
        for sample in range(300):
            reply = await provider.send(request(sim_pool, "self", problem, sample=sample))
            found.add(boxed(reply.text))
        assert len(found - {None, problem.answer}) == number


async def test_the_message_around_the_statement_changes_only_the_input_counted(
    sim_pool: Pool, problems: list[Problem], provider: SimulatedProvider
) -> None:
    asked = request(sim_pool, "nano", problems[0])
    other = replace(asked, messages=(Message("user", "x" * 2400),))
    plain, long = await provider.send(asked), await provider.send(other)
    assert long.text == plain.text
    assert plain.usage.input_tokens == 80
    assert long.usage.input_tokens == 80 + 100
    assert sim_pool["nano"].price.cost_usd(plain.usage) > Decimal(0)


async def test_asking_again_is_a_fresh_draw(
    sim_pool: Pool, problems: list[Problem], provider: SimulatedProvider
) -> None:
    first = [await provider.send(request(sim_pool, "self", p)) for p in problems[:60]]
    again = [await provider.send(request(sim_pool, "self", p)) for p in problems[:60]]
    fresh = [await provider.send(request(sim_pool, "self", p, occurrence=1)) for p in problems[:60]]
    assert first == again
    assert sum(a.usage != b.usage for a, b in zip(first, fresh, strict=True)) > 10


async def test_an_unknown_problem_is_answered_and_counted(
    sim_pool: Pool, provider: SimulatedProvider
) -> None:
    stranger = Problem(id="?", text="Who wrote this?", answer="nobody")
    reply = await provider.send(request(sim_pool, "large", stranger))
    assert boxed(reply.text) is None and "not known" in reply.text
    assert reply.usage.output_tokens > 0


async def test_latency_is_declared_and_only_waited_on_request(
    sim_pool: Pool, problems: list[Problem], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("corl_bench.experts.simulation.provider.asyncio.sleep", sleep)
    book = ProblemBook(problems)
    asked = request(sim_pool, "reasoner", problems[0])
    reply = await SimulatedProvider(sim_pool, book).send(asked)
    assert reply.latency_s == pytest.approx(1.0 + 0.01 * reply.usage.output_tokens)
    assert slept == []
    await SimulatedProvider(sim_pool, book, latency_scale=0.5).send(asked)
    assert slept == [pytest.approx(reply.latency_s / 2)]


async def test_a_request_may_lower_the_limit(
    sim_pool: Pool, problems: list[Problem], provider: SimulatedProvider
) -> None:
    asked = replace(
        request(sim_pool, "reasoner", problems[0]), sampling=Sampling(max_output_tokens=100)
    )
    reply = await provider.send(asked)
    assert reply.finish == "length" and reply.text == ""
    assert reply.usage.output_tokens == reply.usage.reasoning_tokens == 100
