from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corl_bench.cluster import messages
from corl_bench.cluster.assignment import Numbered, difference, facts_of, pack, unpack
from corl_bench.errors import ConfigError, CorlError
from corl_bench.experts.base import Reply, Request, Sampling
from corl_bench.experts.caller import CallOutcome
from corl_bench.experts.pools import load_pool
from corl_bench.runs.plan import make_plan
from corl_bench.types import Message, Usage
from servers.experts import expert_at

TEXTS = st.text(st.characters(exclude_categories=()), max_size=30)  # halves of characters too
USD = st.decimals(0, 10**6, places=12).map(abs)
SECONDS = st.floats(0, 1e6)
COUNTS = st.integers(0, 10**9)
REPLIES = st.builds(
    Reply,
    text=TEXTS,
    usage=st.builds(Usage, input_tokens=COUNTS, output_tokens=COUNTS, estimated=st.booleans()),
    finish=st.sampled_from(["stop", "length", "refusal"]),
    model=TEXTS,
    latency_s=SECONDS,
    source_correct=st.none() | st.booleans(),
)
OUTCOMES = st.builds(
    CallOutcome,
    status=TEXTS,
    reply=st.none() | REPLIES,
    attempts=COUNTS,
    list_cost_usd=USD,
    unsettled_usd=USD,
    latency_s=SECONDS,
    detail=TEXTS,
    basis=st.sampled_from(["metered", "stated", "self_reported", "opaque"]),
    expert=TEXTS,
    model=TEXTS,
)
SAMPLINGS = st.builds(
    Sampling,
    max_output_tokens=st.none() | st.integers(1, 10**6),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0.01, 1),
    reasoning_effort=st.none() | TEXTS,
    stop=st.lists(TEXTS, max_size=3).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(outcome=OUTCOMES)
def test_an_outcome_arrives_as_it_was(outcome: CallOutcome) -> None:
    sent = messages.read(messages.write("answer", outcome=messages.outcome_row(outcome)))
    assert messages.read_outcome(sent["outcome"]) == outcome
    assert str(messages.read_outcome(sent["outcome"]).list_cost_usd) == str(outcome.list_cost_usd)


@settings(max_examples=60, deadline=None)
@given(
    sampling=SAMPLINGS,
    said=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=3),
    occurrence=st.integers(0, 9),
)
def test_a_request_has_the_same_key_at_the_run(
    sampling: Sampling, said: list[tuple[str, str]], occurrence: int
) -> None:
    made = Request(
        expert=expert_at("http://127.0.0.1:9/v1"),
        messages=tuple(Message(*one) for one in said),
        sampling=sampling,
        problem_text="p",
        sample=3,
        occurrence=occurrence,
        seed=5,
    )
    sent = messages.read(messages.write("call", request=messages.request_row(made)))
    read = messages.read_request(sent["request"], made.expert, problem_text="p", sample=3, seed=5)
    assert read == made
    assert read.key() == made.key()


@pytest.mark.parametrize(
    "error", [ConfigError("no expert 'x'"), KeyError("odd"), ValueError("a b")]
)
def test_a_fault_says_the_same(error: Exception) -> None:
    read = messages.read_fault(messages.fault_row(error))
    assert f"{type(read).__name__}: {read}" == f"{type(error).__name__}: {error}"
    assert isinstance(read, CorlError) == isinstance(error, CorlError)


def test_an_assignment_is_the_plan_without_what_only_the_run_knows() -> None:
    plan = make_plan(
        tasks=("synth", "everyday"),
        pool=load_pool("sim"),
        systems=("single:nano", "oracle"),
        budget="low=0.001,high=0.01",
        samples=2,
        seed=4,
        limit=3,
        mode="auto",
        data_dir=None,
    )
    with pytest.raises(TypeError):
        pickle.dumps(plan)  # task specs hold read-only tables
    theirs = unpack(pack(plan, None))
    assert replace(theirs, systems=plan.systems) == plan
    assert facts_of(theirs) == facts_of(plan)
    there, here = Numbered(theirs), Numbered(plan)
    for job in plan.jobs():
        read = there.read(messages.read(messages.write("play", job=here.write(job)))["job"])
        assert (read.key, read.problem, read.budget) == (job.key, job.problem, job.budget)


def test_the_first_difference_is_named() -> None:
    ours = {"systems": {"a": "1" * 64, "b": None}, "prices": {}}
    assert difference(ours, ours) == ""
    theirs = {**ours, "systems": {"a": "2" * 64, "b": None}}
    assert difference(ours, theirs) == f"a {'2' * 32} where this run has {'1' * 32}"
    assert difference(ours, {**ours, "systems": {**ours["systems"], "c": None}}) == "more systems"
    assert difference(ours, None).startswith("a None where")
