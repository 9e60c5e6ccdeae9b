from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

import pytest

from corl_bench.metrics.inference.intervals import agresti_coull_interval
from corl_bench.metrics.summary import SystemTraits, recorded_verdict, summarise
from corl_bench.results import CallRecord, EpisodeRecord, encode_point
from corl_bench.types import Budget, Usage

LOW = Budget("low", Decimal("0.001"))
HIGH = Budget("high", Decimal("0.01"))


def call(cost: str = "0.002", **fields: object) -> CallRecord:
    record = CallRecord(
        expert="nano",
        model="m",
        status="ok",
        finish="stop",
        text="\\boxed{4}",
        usage=Usage(input_tokens=10, cached_input_tokens=5, output_tokens=20, reasoning_tokens=8),
        list_cost_usd=Decimal(cost),
    )
    return replace(record, **fields)


def episode(
    problem: str = "p1", system: str = "single:nano", verdict: str = "correct", **fields: object
) -> EpisodeRecord:
    record = EpisodeRecord(
        task="t",
        problem_id=problem,
        system=system,
        budget=None,
        budget_usd=None,
        sample=0,
        verdict=verdict,
        answer="4",
        response="\\boxed{4}",
        calls=(call(),),
        latency_s=1.0,
    )
    return replace(record, **fields)


def rows(episodes, budgets=(LOW, HIGH), **systems):
    traits = {name.replace("_", ":"): flags for name, flags in systems.items()}
    return summarise(
        episodes, tasks=["t"], systems=traits or {"single:nano": SystemTraits()}, budgets=budgets
    )


def test_violations_are_a_mean_over_problems_however_many_samples_each_has() -> None:
    dear = (call("0.002"),)
    cheap = (call("0.0005"),)
    (low,) = rows(
        [
            *(episode("p1", calls=dear, sample=sample) for sample in range(3)),
            episode("p2", calls=cheap),
        ],
        budgets=[LOW],
    )
    assert (low.violations, low.episodes) == (3, 4)
    assert low.violation_rate == 0.5


def test_a_budget_blind_system_is_scored_at_each_budget_on_the_same_episodes() -> None:
    low, high = rows([episode("p1"), episode("p2", calls=(call("0.02"),)), episode("p3", calls=())])
    assert (low.budget, high.budget) == ("low", "high")
    assert (low.budget_usd, high.budget_usd) == (LOW.usd, HIGH.usd)
    assert not low.told_budget
    assert (low.violations, low.violation_rate) == (2, 2 / 3)
    assert (high.violations, high.violation_rate) == (1, 1 / 3)
    same = replace(
        high, budget="low", budget_usd=LOW.usd, violations=2, violation_rate=low.violation_rate
    )
    assert same == low


def test_a_system_that_reads_its_budget_has_its_own_episodes_at_each() -> None:
    episodes = [
        episode(budget="low", budget_usd=LOW.usd, calls=(call("0.001"),)),
        episode(budget="high", budget_usd=HIGH.usd, verdict="wrong", calls=(call("0.05"),)),
    ]
    low, high = rows(episodes, single_nano=SystemTraits(reads_budget=True))
    assert low.told_budget
    assert (low.accuracy, low.violation_rate, low.total_cost_usd) == (1.0, 0.0, Decimal("0.001"))
    assert (high.accuracy, high.violation_rate, high.total_cost_usd) == (0.0, 1.0, Decimal("0.05"))


@pytest.mark.parametrize("reads_budget", [False, True])
def test_without_budgets_there_is_one_row_and_no_violation(reads_budget: bool) -> None:
    (row,) = rows([episode()], budgets=(), single_nano=SystemTraits(reads_budget=reads_budget))
    assert (row.budget, row.budget_usd, row.told_budget) == (None, None, False)
    assert (row.violations, row.violation_rate) == (0, None)


def test_rows_follow_tasks_systems_and_budgets_whatever_the_episodes_order() -> None:
    episodes = [
        replace(episode(system=system), task=task)
        for task in ("t", "a")
        for system in ("z", "b", "oracle")
    ]
    systems = {"z": SystemTraits(), "b": SystemTraits(), "oracle": SystemTraits(is_oracle=True)}
    expected = None
    for seed in range(5):
        random.Random(seed).shuffle(episodes)
        result = summarise(episodes, tasks=["t", "a"], systems=systems, budgets=[HIGH, LOW])
        expected = expected or result
        assert result == expected
    assert [(row.task, row.system, row.budget) for row in expected][:5] == [
        ("t", "z", "high"),
        ("t", "z", "low"),
        ("t", "b", "high"),
        ("t", "b", "low"),
        ("t", "oracle", "high"),
    ]
    assert [row.oracle for row in expected[:6]] == [False] * 4 + [True] * 2


def test_what_has_no_episode_yet_has_no_row() -> None:
    result = rows([episode()], single_nano=SystemTraits(), random=SystemTraits())
    assert {row.system for row in result} == {"single:nano"}


def test_an_episode_of_another_run_is_refused() -> None:
    with pytest.raises(ValueError, match=r"t\|p1\|other\|-\|0"):
        rows([episode(system="other")])


def test_pass_at_1_is_the_mean_over_samples_and_problems_weigh_alike() -> None:
    episodes = [
        *(episode("p1", sample=sample) for sample in range(4)),
        *(episode("p2", sample=sample, verdict="wrong") for sample in range(2)),
    ]
    (row,) = rows(episodes, budgets=())
    assert (row.problems, row.samples, row.episodes) == (2, 4, 6)
    assert row.accuracy == 0.5


def test_one_sample_a_problem_has_the_interval_of_a_proportion() -> None:
    verdicts = ["correct"] * 7 + ["wrong", "no_answer", "error"]
    episodes = [episode(f"p{n}", verdict=verdict) for n, verdict in enumerate(verdicts)]
    (row,) = rows(episodes, budgets=())
    assert row.accuracy == 0.7
    assert row.accuracy_interval == agresti_coull_interval(7, 10)
    assert row.verdicts == {
        "correct": 7,
        "wrong": 1,
        "no_answer": 1,
        "unparsable": 0,
        "timeout": 0,
        "error": 1,
    }
    assert row.errors == 1


def test_costs_are_exact_and_their_mean_has_twelve_decimals() -> None:
    costs = ["0.0000001", "0.1", "0.0000000000000001"]
    episodes = [episode(f"p{n}", calls=(call(cost),)) for n, cost in enumerate(costs)]
    (row,) = rows(episodes, budgets=())
    assert row.total_cost_usd == Decimal("0.1000001000000001")
    assert row.mean_cost_usd == Decimal("0.033333366667")


def test_calls_to_the_controllers_own_model_are_no_expert_calls() -> None:
    calls = (
        call(expert="self", role="self"),
        call(expert="mid", finish="length"),
        call(expert="nano", finish="refusal"),
        call(expert="nano", status="timeout", finish=None, text=None, usage=None,
             unsettled_usd=Decimal("0.5")),
    )  # fmt: skip
    (row,) = rows([episode(calls=calls), episode("p2", calls=())], budgets=())
    assert row.calls == 4
    assert (row.expert_calls, row.self_calls) == (3, 1)
    assert row.expert_call_ratio == 1.5
    assert row.calls_by_expert == {"mid": 1, "nano": 2, "self": 1}
    assert sum(row.calls_by_expert.values()) == row.calls
    assert (row.truncated, row.refused) == (1, 1)
    assert (row.input_tokens, row.output_tokens, row.reasoning_tokens) == (45, 60, 24)
    assert row.unsettled_usd == Decimal("0.5")
    assert row.total_cost_usd == Decimal("0.008")


def test_events_are_counted_and_none_are_not_written() -> None:
    (row,) = rows([episode(events=("a", "b")), episode("p2", events=("c",))], budgets=())
    assert row.events == encode_point(row)["events"] == 3
    (row,) = rows([episode()], budgets=())
    assert row.events == 0
    assert "events" not in encode_point(row)


def test_estimated_usage_is_counted() -> None:
    usage = Usage(input_tokens=1, output_tokens=1, estimated=True)
    (row,) = rows([episode(calls=(call(usage=usage), call()))], budgets=())
    assert row.estimated_calls == 1


def test_latency_quantiles_are_of_episodes() -> None:
    episodes = [episode(f"p{n}", latency_s=float(n)) for n in range(101)]
    (row,) = rows(episodes, budgets=())
    assert (row.latency_p50_s, row.latency_p95_s) == (50.0, 95.0)


def test_accuracy_as_recorded_needs_a_verdict_for_every_episode() -> None:
    right = episode("p1", calls=(call(source_correct=True),), verdict="wrong")
    wrong = episode("p2", calls=(call(source_correct=False),))
    unknown = episode("p3")
    (row,) = rows([right, wrong], budgets=())
    assert row.accuracy_as_recorded == 0.5
    (row,) = rows([right, wrong, unknown], budgets=())
    assert row.accuracy_as_recorded is None


def test_the_recorded_verdict_is_that_of_the_call_whose_text_was_graded() -> None:
    other = call(text="\\boxed{5}", source_correct=False)
    graded = call(source_correct=True)
    assert recorded_verdict(episode(calls=(other, graded))) is True
    assert recorded_verdict(episode(calls=(other,))) is None
    assert recorded_verdict(episode(calls=(graded, call(source_correct=False)))) is None
    assert recorded_verdict(episode(calls=(graded,), response=None)) is None
