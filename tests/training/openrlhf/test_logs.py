"""The figures of a rollout have the same names, and their means are means at a budget."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from corl_bench.results import EpisodeRecord
from corl_bench.types import Budget
from corl_train.openrlhf.logs import Call, Outcome, diary_line, figures, names

BUDGETS = ("low", "bad")
EXPERTS = ("nano", "o3")
"""The second has the name of another figure."""
LOW, BAD = Budget("low", Decimal("0.001")), Budget("bad", Decimal("0.1"))


def outcome(budget: Budget | None, cost_usd: str, *, verdict: str = "correct") -> Outcome:
    calls = (
        Call("controller", True, "ok", Decimal(0)),
        Call("nano", False, "ok", Decimal(cost_usd)),
    )
    record = EpisodeRecord(
        task="t",
        problem_id="p",
        system="controller:c",
        budget=None if budget is None else budget.name,
        budget_usd=None if budget is None else budget.usd,
        sample=0,
        verdict=verdict,  # type: ignore[arg-type]
        answer=None,
        response="7",
        events=("invalid turn: it has no tag",),
    )
    right = verdict == "correct"
    return Outcome(
        reward=float(right),
        score=0.0,
        budget=budget,
        turns=2,
        tokens=9,
        calls=calls,
        record=record,
    )


def test_names_are_the_same_whatever_happens() -> None:
    known = names(BUDGETS, EXPERTS)
    assert len(set(known)) == len(known)
    nothing = Outcome(0.0, 0.0, None, 0, 0, (), None, "label", "none")
    for one in (outcome(LOW, "0.002"), outcome(None, "0.002"), nothing):
        assert list(figures(one, BUDGETS, EXPERTS)) == known
    assert figures(nothing, BUDGETS, EXPERTS)["corl/bad"] == 1


def test_a_mean_at_a_budget_is_its_mean_by_its_share() -> None:
    rollouts = [
        outcome(LOW, "0.002"),
        outcome(LOW, "0.001", verdict="wrong"),
        outcome(BAD, "0.002"),
        outcome(Budget("other", Decimal(1)), "0.003"),
    ]
    logged = [figures(one, BUDGETS, EXPERTS) for one in rollouts]
    mean = {name: sum(each[name] for each in logged) / 4 for name in logged[0]}
    assert mean["corl/low/share"] == 0.5 and mean["corl/bad/share"] == 0.25
    assert mean["corl/low/accuracy"] / mean["corl/low/share"] == 0.5
    assert mean["corl/low/cost_usd"] / mean["corl/low/share"] == pytest.approx(0.0015)
    assert mean["corl/low/violations"] / mean["corl/low/share"] == 0.5
    assert mean["corl/accuracy"] == 0.75 and mean["corl/violations"] == 0.25
    assert mean["corl/invalid_turns"] == 1 and mean["corl/bad"] == 0


def test_each_expert_has_its_own_calls_and_failures() -> None:
    calls = (
        Call("controller", True, "server_error", Decimal(0)),
        Call("o3", False, "auth", Decimal("0.01")),
        Call("o3", False, "interrupted", Decimal(0)),
        Call("nano", False, "too_long", Decimal(0)),
        Call("nano", False, "ok", Decimal("0.02")),
    )
    logged = figures(replace(outcome(LOW, "0"), calls=calls), BUDGETS, EXPERTS)
    assert logged["corl/experts/o3/calls"] == logged["corl/experts/o3/failed"] == 2
    # A question that is longer than an expert reads is the controller's fault.
    assert logged["corl/experts/nano/calls"] == 2 and logged["corl/experts/nano/failed"] == 0
    assert logged["corl/calls"] == 4 and logged["corl/failed_calls"] == 2
    assert logged["corl/cost_usd"] == 0.03 and logged["corl/violations"] == 1


def test_what_was_paid_is_told_though_there_is_no_episode() -> None:
    cut = replace(outcome(LOW, "0.002"), record=None, reward=0.0, bad="time")
    logged = figures(cut, BUDGETS, EXPERTS)
    assert logged["corl/cost_usd"] == logged["corl/low/cost_usd"] == 0.002
    assert logged["corl/calls"] == 1 and logged["corl/violations"] == 1
    line = diary_line(None, cut, seconds=1.0)
    assert line["list_cost_usd"] == "0.002" and line["calls"] == 1


def test_a_rollout_that_is_spoiled_is_not_right() -> None:
    spoiled = replace(outcome(LOW, "0.0005"), reward=0.0, bad="failed")
    logged = figures(spoiled, BUDGETS, EXPERTS)
    assert logged["corl/accuracy"] == logged["corl/low/accuracy"] == 0
