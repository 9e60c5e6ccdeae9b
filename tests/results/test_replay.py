from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from corl_bench.errors import ConfigError
from corl_bench.results import CallRecord, EpisodeRecord
from corl_bench.results.replay import RecordedExperts, recorded_experts
from corl_bench.types import Budget


def episode(expert: str, problem: str, sample: int, usd: str, **changes: Any) -> EpisodeRecord:
    call = CallRecord(expert, "m", "ok", list_cost_usd=Decimal(usd))
    made = EpisodeRecord(
        task="t",
        problem_id=problem,
        system=f"single:{expert}",
        budget=None,
        budget_usd=None,
        sample=sample,
        verdict="wrong",
        answer="1",
        response="1",
        calls=(call,),
    )
    return replace(made, **changes)


EPISODES = [
    episode("dear", "p", 1, "0.03"),
    episode("dear", "p", 0, "0.02", verdict="correct"),
    episode("dear", "q", 0, "0.0400000000000001", verdict="error"),
    episode("cheap", "q", 0, "0.0000000000000003", verdict="correct"),
    episode("cheap", "p", 0, "0.001"),
    episode("cheap", "p", 1, "0.002"),
    replace(episode("cheap", "p", 0, "7"), task="other"),
    replace(episode("cheap", "p", 0, "7"), system="random"),
]


@pytest.fixture
def experts() -> RecordedExperts:
    return recorded_experts(EPISODES, task="t")


def test_verdicts_and_dollars_are_those_of_the_expert_that_was_named(
    experts: RecordedExperts,
) -> None:
    found = experts.replay({"p": "dear", "q": "cheap"}, system="mine")
    assert (found.task, found.system, found.budget) == ("t", "mine", None)
    assert found.right == {"p": (True, False), "q": (True,)}
    assert found.costs_usd["p"] == (Decimal("0.02"), Decimal("0.03"))
    assert found.total_cost_usd == Decimal("0.0500000000000003")
    assert found.accuracy == 0.75  # a mean over samples, then over problems
    assert found.errors == 0


def test_errors_count_and_a_budget_is_kept(experts: RecordedExperts) -> None:
    low = Budget("low", Decimal("0.01"))
    found = experts.replay({"p": "cheap", "q": "dear"}, system="mine", budget=low)
    assert found.errors == 1
    assert (found.budget, found.budget_usd) == ("low", Decimal("0.01"))


def test_a_fee_is_added_to_each_sample_and_is_self_reported(experts: RecordedExperts) -> None:
    fees = {"p": Decimal("0.0000000000000001"), "q": Decimal(0)}
    found = experts.replay({"p": "dear", "q": "cheap"}, system="mine", fees_usd=fees)
    assert found.total_cost_usd == Decimal("0.0500000000000005")
    assert found.cost_basis == "self_reported"


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"p": "dear"}, "no decision on problem 'q' of t"),
        ({"p": "dear", "q": "chaep"}, "did you mean 'cheap'?"),
        ({"p": "dear", "q": "zzz"}, "there are cheap, dear"),
    ],
)
def test_what_cannot_be_looked_up_is_refused(
    experts: RecordedExperts, choices: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        experts.replay(choices, system="mine")
    assert message in str(caught.value)


@pytest.mark.parametrize("left_out", [0, 2, 3])
def test_experts_that_lack_samples_are_refused(left_out: int) -> None:
    episodes = [e for place, e in enumerate(EPISODES) if place != left_out]
    with pytest.raises(ConfigError, match="have not answered the same samples of t"):
        recorded_experts(episodes, task="t")
