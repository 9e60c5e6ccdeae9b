"""Intervals at their edges; that they cover what they should is shown in test_evaluation."""

from __future__ import annotations

import math

import pytest

from corl_train.evaluation.intervals import mean_interval, reward_interval

ONE = dict.fromkeys("abcdefgh", "stratum")


def test_an_interval_holds_its_mean_wherever_that_lies() -> None:
    figures = {name: [-0.3, 0.1 * place] for place, name in enumerate(ONE)}
    mean = math.fsum(map(math.fsum, figures.values())) / 16
    low, high = mean_interval(figures, ONE)
    assert low < mean < 0.03 < high
    assert reward_interval(figures, ONE) == (0.0, high)


@pytest.mark.parametrize(("reward", "low", "high"), [(0.0, 0.0, 0.3694), (1.0, 0.6306, 1.0)])
def test_rewards_that_are_all_alike_say_as_much_as_there_are_problems(
    reward: float, low: float, high: float
) -> None:
    """Clopper and Pearson's interval of 0 and of 8 in 8."""
    rewards = {name: [reward, reward] for name in ONE}
    assert reward_interval(rewards, ONE) == pytest.approx((low, high), abs=1e-4)
    assert mean_interval(rewards, ONE) == (reward, reward)


def test_without_two_problems_of_a_kind_nothing_is_known() -> None:
    assert reward_interval({"a": [0.5]}, ONE) == (0.0, 1.0)
    assert mean_interval({"a": [-0.2]}, ONE) == (-0.2, 1.0)
