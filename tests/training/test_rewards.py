"""Rewards at their edges; each is a value that asking does not change."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corl_train.rewards import Gate, Linear, Mean, Percentile, Reward, Soft, gate

COSTS = st.decimals(0, 1, places=6)
BUDGETS = st.none() | COSTS
EVERY: list[Reward] = [
    gate,
    Gate({Decimal("0.01"): 0.7}),
    Soft(per_usd=50),
    Linear(weight=0.8, scale_usd=0.02),
    Percentile(recent_usd=(0.0, 0.01, 0.04)),
    Mean({Decimal("0.01"): 40.0}),
]


@pytest.mark.parametrize(
    ("right", "cost", "budget", "reward"),
    [
        (True, "0.0006", "0.0006", 1),  # a budget may be spent to the last cent
        (True, "0.00060000001", "0.0006", 0),
        (True, "0.3", "0.30", 1),  # which 0.1 + 0.2 in binary would exceed
        (True, "0", "0", 1),
        (True, "1000", None, 1),
        (False, "0", None, 0),
        (False, "0", "1", 0),
    ],
)
def test_gate(right: bool, cost: str, budget: str | None, reward: float) -> None:
    limit = None if budget is None else Decimal(budget)
    assert gate(right=right, cost_usd=Decimal(cost), budget_usd=limit) == reward


@pytest.mark.parametrize("right", [True, False])
def test_a_fine_is_for_broken_budgets_alone(right: bool) -> None:
    fined = Gate({Decimal("0.0006"): 0.7})
    for cost, budget, reward in (
        ("0.0006", Decimal("0.0006"), float(right)),
        ("0.00060000001", Decimal("0.0006"), -0.7),
        ("0.02", Decimal("0.01"), 0.0),
        ("1000", None, float(right)),
    ):
        assert fined(right=right, cost_usd=Decimal(cost), budget_usd=budget) == reward


def test_gate_adds_up_exactly() -> None:
    assert gate(right=True, cost_usd=sum([Decimal("0.1")] * 3), budget_usd=Decimal("0.3")) == 1


@pytest.mark.parametrize(
    ("right", "cost", "reward"),
    [(True, "0", 1), (True, "0.01", 0.5), (True, "0.018", 0.1), (True, "9", 0.1), (False, "0", 0)],
)
def test_soft(right: bool, cost: str, reward: float) -> None:
    soft = Soft(per_usd=50, most=0.9)
    given_ = soft(right=right, cost_usd=Decimal(cost), budget_usd=Decimal("0.000001"))
    assert given_ == pytest.approx(reward)


@pytest.mark.parametrize(
    ("right", "cost", "reward"),
    [
        (True, "0", 0.8),
        (True, "0.005", 0.75),
        (True, "9", 0.6),
        (False, "0", 0),
        (False, "9", -0.2),
    ],
)
def test_linear(right: bool, cost: str, reward: float) -> None:
    linear = Linear(weight=0.8, scale_usd=0.02)
    assert linear(right=right, cost_usd=Decimal(cost), budget_usd=None) == pytest.approx(reward)


def percentile(reward: Percentile, cost: str, *, right: bool = True) -> float:
    return reward(right=right, cost_usd=Decimal(cost), budget_usd=None)


@pytest.mark.parametrize(
    ("right", "cost", "budget", "reward"),
    [
        (True, "0.005", "0.01", 0.8),
        (False, "0.005", "0.01", -0.2),
        (False, "0.05", "0.01", -2),  # a second wrong answer's worth is charged as well
        (False, "1", "0.01", -4),  # no more than this
        (True, "0.020", "0.01", 0.2),  # a budget on average is no limit
        (True, "1", "0.02", 1),  # a budget without a price is free
        (True, "1", None, 1),
    ],
)
def test_mean(right: bool, cost: str, budget: str | None, reward: float) -> None:
    told = None if budget is None else Decimal(budget)
    priced = Mean({Decimal("0.010"): 40.0})
    assert priced(right=right, cost_usd=Decimal(cost), budget_usd=told) == pytest.approx(reward)


def test_percentile_by_hand() -> None:
    # Square roots 0, .1, .2, …, 2: the 5th percentile is .1 and the 95th is 1.9.
    reward = Percentile(alpha=0.6, recent_usd=tuple((n / 10) ** 2 for n in range(21)))
    assert percentile(reward, "1") == pytest.approx(0.4 + 0.6 * (1 - 0.9 / 1.8))
    assert percentile(reward, "0.16") == pytest.approx(0.4 + 0.6 * (1 - 0.3 / 1.8))
    assert percentile(reward, "0.01") == pytest.approx(1)
    assert percentile(reward, "0") == pytest.approx(1)  # below the 5th: no better than it
    assert percentile(reward, "4") == pytest.approx(0.4)
    assert percentile(reward, "400") == pytest.approx(0.4)
    assert percentile(reward, "0", right=False) == 0


@pytest.mark.parametrize("recent", [(), (0.25,), (0.25,) * 7])
@pytest.mark.parametrize("cost", ["0", "0.25", "9"])
def test_percentile_without_a_spread_takes_no_side(recent: tuple[float, ...], cost: str) -> None:
    assert percentile(Percentile(alpha=0.5, recent_usd=recent), cost) == 0.75


def test_ties_are_worth_the_same() -> None:
    reward = Percentile().after([Decimal(1)] * 9 + [Decimal(4)] * 9)
    assert percentile(reward, "1") == 1
    assert percentile(reward, "4") == 0.5


def test_a_window_forgets_the_oldest() -> None:
    reward = Percentile(window=3).after([Decimal(9), Decimal(1)]).after([Decimal(2), Decimal(3)])
    assert reward.recent_usd == (1.0, 2.0, 3.0)


def test_the_history_is_a_value() -> None:
    before = Percentile(recent_usd=(0.0, 1.0))
    after = before.after([Decimal(4)])
    assert before.recent_usd == (0.0, 1.0) and after.recent_usd == (0.0, 1.0, 4.0)
    with pytest.raises(FrozenInstanceError):
        before.recent_usd = ()  # type: ignore[misc]


@pytest.mark.parametrize(
    "reward", EVERY, ids=["gate", "fined", "soft", "linear", "percentile", "mean"]
)
@given(asked=st.lists(st.tuples(st.booleans(), COSTS, BUDGETS), max_size=8))
def test_evaluating_never_changes_a_reward(
    reward: Reward, asked: list[tuple[bool, Decimal, Decimal | None]]
) -> None:
    def probe() -> list[float]:
        return [
            reward(right=right, cost_usd=Decimal(cost), budget_usd=Decimal("0.01"))
            for right in (True, False)
            for cost in ("0", "0.005", "0.01", "1")
        ]

    before = probe()
    for right, cost, budget in asked:
        reward(right=right, cost_usd=cost, budget_usd=budget)
    assert probe() == before


@pytest.mark.parametrize(
    "reward", EVERY, ids=["gate", "fined", "soft", "linear", "percentile", "mean"]
)
@given(cheap=COSTS, more=COSTS, budget=BUDGETS)
def test_right_beats_wrong_and_cheap_is_no_worse_than_dear(
    reward: Reward, cheap: Decimal, more: Decimal, budget: Decimal | None
) -> None:
    dear = cheap + more
    for right in (True, False):
        assert reward(right=right, cost_usd=cheap, budget_usd=budget) >= reward(
            right=right, cost_usd=dear, budget_usd=budget
        )
    assert reward(right=True, cost_usd=dear, budget_usd=budget) >= reward(
        right=False, cost_usd=dear, budget_usd=budget
    )
