"""The figures of a rollout have the same names, and their means are means at a budget."""

from __future__ import annotations

from decimal import Decimal

import pytest

from corl_bench.results import CallRecord, EpisodeRecord
from corl_bench.types import Budget
from corl_train.openrlhf.logs import Outcome, figures, names

BUDGETS = ("low", "bad")
"""The second has the name of another figure."""
LOW, BAD = Budget("low", Decimal("0.001")), Budget("bad", Decimal("0.1"))


def outcome(budget: Budget | None, cost_usd: str, *, verdict: str = "correct") -> Outcome:
    call = CallRecord(
        id="1",
        expert="nano",
        model="m",
        role="expert",
        status="ok",
        list_cost_usd=Decimal(cost_usd),
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
        calls=(call,),
        events=("invalid turn: it has no tag",),
    )
    right = verdict == "correct"
    return Outcome(reward=float(right), score=0.0, budget=budget, turns=2, tokens=9, record=record)


def test_names_are_the_same_whatever_happens() -> None:
    known = names(BUDGETS)
    assert len(set(known)) == len(known)
    nothing = Outcome(0.0, 0.0, None, 0, 0, None, "label", "none")
    for one in (outcome(LOW, "0.002"), outcome(None, "0.002"), nothing):
        assert list(figures(one, BUDGETS)) == known
    assert figures(nothing, BUDGETS)["corl/bad"] == 1


def test_a_mean_at_a_budget_is_its_mean_by_its_share() -> None:
    rollouts = [
        outcome(LOW, "0.002"),
        outcome(LOW, "0.001", verdict="wrong"),
        outcome(BAD, "0.002"),
        outcome(Budget("other", Decimal(1)), "0.003"),
    ]
    logged = [figures(one, BUDGETS) for one in rollouts]
    mean = {name: sum(each[name] for each in logged) / 4 for name in logged[0]}
    assert mean["corl/low/share"] == 0.5 and mean["corl/bad/share"] == 0.25
    assert mean["corl/low/accuracy"] / mean["corl/low/share"] == 0.5
    assert mean["corl/low/cost_usd"] / mean["corl/low/share"] == pytest.approx(0.0015)
    assert mean["corl/low/violations"] / mean["corl/low/share"] == 0.5
    assert mean["corl/accuracy"] == 0.75 and mean["corl/violations"] == 0.25
    assert mean["corl/invalid_turns"] == 1 and mean["corl/bad"] == 0
