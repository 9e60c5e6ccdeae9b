"""Counsel against examples worked out by hand."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch")

from corl_train.warmstart.counsel import WRONG_ANSWERS, Counsel

TRUST = {"nano": 0.6, "mini": 0.6, "large": 0.9}
CENT = 0.01
COSTS = {"nano": (CENT,), "mini": (CENT,), "large": (4 * CENT, 8 * CENT)}


def test_whoever_is_right_more_often_is_believed() -> None:
    counsel = Counsel(TRUST, COSTS)
    assert counsel.beliefs((("nano",),)) == pytest.approx((0.6,))
    # Apart: .6 × .1/5 against .4/5 × .9, and four answers that neither has given.
    nano, large, neither = 0.6 * 0.02, 0.08 * 0.9, 4 * 0.08 * 0.02
    total = nano + large + neither
    assert counsel.beliefs((("large",), ("nano",))) == pytest.approx((large / total, nano / total))
    # Together: .6 × .6, or both the same of five wrong ones.
    agreed = 0.36 / (0.36 + 5 * 0.08 * 0.08)
    assert counsel.beliefs((("mini", "nano"),)) == pytest.approx((agreed,))


def test_a_call_is_worth_what_it_may_bring_within_the_budget() -> None:
    counsel = Counsel(TRUST, COSTS)
    worth = counsel.worth([], left_usd=5 * CENT, calls=1)
    assert worth == {
        None: 0.0,
        "nano": pytest.approx(0.6),
        "mini": pytest.approx(0.6),
        "large": pytest.approx(0.45),  # half of its calls cost more
    }
    # A second opinion alone changes nothing between equals; a third one can.
    two = counsel.worth([["nano"]], left_usd=5 * CENT, calls=2)
    one = counsel.worth([["nano"]], left_usd=5 * CENT, calls=1)
    assert one["mini"] == pytest.approx(0.6)
    assert two["mini"] > 0.6
    assert set(two) == {None, "mini", "large"}  # who has answered is not asked again


def test_the_best_of_what_may_follow_is_what_counts() -> None:
    """All that can happen behind one call, added up by hand."""
    counsel = Counsel(TRUST, COSTS)
    worth = counsel.worth([["nano"]], left_usd=1.0, calls=1)
    right, wrong = 0.9, 0.1 / WRONG_ANSWERS
    agree = 0.6 * right + 0.4 * wrong
    together = counsel.beliefs((("large", "nano"),))[0]
    apart = max(counsel.beliefs((("large",), ("nano",))))
    assert worth["large"] == pytest.approx(agree * together + (1 - agree) * apart)


def test_a_broken_budget_is_worth_nothing_and_no_budget_everything() -> None:
    counsel = Counsel(TRUST, COSTS)
    assert set(counsel.worth([["nano"]], left_usd=-CENT, calls=2).values()) == {0.0}
    free = counsel.worth([], left_usd=math.inf, calls=3)
    assert free["large"] == pytest.approx(0.9)
    assert counsel.worth([["nano"]], left_usd=math.inf, calls=0) == {None: pytest.approx(0.6)}


def test_caution_takes_away_what_may_break_the_budget() -> None:
    bold = Counsel(TRUST, COSTS).worth([], left_usd=5 * CENT, calls=1)
    careful = Counsel(TRUST, COSTS, caution=0.3).worth([], left_usd=5 * CENT, calls=1)
    assert careful["nano"] == bold["nano"]
    assert careful["large"] == pytest.approx(bold["large"] - 0.3 / 2)  # half of its calls do
    broke = Counsel(TRUST, COSTS, caution=0.3).worth([], left_usd=CENT, calls=1)
    assert broke["large"] == pytest.approx(-0.3)


def test_nobody_calls_whom_it_has_never_seen() -> None:
    counsel = Counsel(TRUST, {**COSTS, "large": ()})
    assert "large" not in counsel.worth([], left_usd=1.0, calls=3)
