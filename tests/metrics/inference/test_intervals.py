from __future__ import annotations

import itertools
import math
import random
from pathlib import Path
from types import ModuleType

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from corl_bench.metrics.inference.intervals import (
    accuracy_interval,
    agresti_coull_interval,
    cost_difference_interval,
    cost_interval,
    difference_interval,
    effective_sample_size,
    mean_interval,
    ratio_interval,
)
from scripts import load_script

CHECKOUT = Path(__file__).resolve().parents[3]
scores_of_5 = st.integers(0, 5).map(lambda count: count / 5)
costs = st.lists(st.floats(1e-6, 10), min_size=2, max_size=40)


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    """`benchmarks/coverage.py`, which is a script and no part of a package."""
    return load_script("coverage")


@settings(deadline=None)  # scipy's first call is slow
@given(n=st.integers(1, 3000), share=st.floats(0, 1))
def test_agresti_coull_is_centred_where_wilson_is_and_holds_it(n: int, share: float) -> None:
    successes = round(share * n)
    low, high = agresti_coull_interval(successes, n)
    wilson = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert low <= wilson.low + 1e-12
    assert high >= wilson.high - 1e-12
    if low > 0 and high < 1:
        assert low + high == pytest.approx(wilson.low + wilson.high)
    assert 0 <= low <= successes / n <= high <= 1


def test_a_proportion_of_no_trials_is_unknown() -> None:
    assert agresti_coull_interval(0, 0) == (0, 1)


@pytest.mark.parametrize(("successes", "n", "confidence"), [(2, 1, 0.95), (-1, 3, 0.95), (1, 2, 1)])
def test_what_is_no_proportion_is_refused(successes: int, n: int, confidence: float) -> None:
    with pytest.raises(ValueError, match=r"proportion|confidence"):
        agresti_coull_interval(successes, n, confidence)


def test_one_sample_a_problem_is_a_proportion() -> None:
    assert accuracy_interval([1.0] * 24 + [0.0] * 6, 1) == agresti_coull_interval(24, 30)


def test_samples_that_always_agree_are_worth_one() -> None:
    scores = [1.0] * 24 + [0.0] * 6
    assert effective_sample_size(scores, 8) == 30
    assert accuracy_interval(scores, 8) == pytest.approx(agresti_coull_interval(24, 30))


def test_samples_that_differ_like_coins_are_worth_nearly_all() -> None:
    draw = random.Random(1)
    scores = [sum(draw.random() < 0.6 for _ in range(8)) / 8 for _ in range(400)]
    assert 0.85 * 3200 <= effective_sample_size(scores, 8) <= 3200


@pytest.mark.parametrize("scores", [[1.0] * 30, [0.0] * 30, [0.5]])
def test_where_the_scores_cannot_tell_samples_add_nothing(scores: list[float]) -> None:
    assert effective_sample_size(scores, 8) == len(scores)


def test_no_variance_between_problems_counts_every_sample() -> None:
    assert effective_sample_size([0.5] * 30, 8) == 240


def test_no_problem_no_knowledge() -> None:
    assert accuracy_interval([], 4) == (0, 1)
    assert difference_interval([], [], 4) == (-1, 1)


@given(counts=st.lists(st.integers(0, 5), min_size=1, max_size=60))
def test_nested_intervals_hold_their_estimate_and_stay_within_bounds(counts: list[int]) -> None:
    scores = [count / 5 for count in counts]
    low, high = accuracy_interval(scores, 5)
    mean = math.fsum(scores) / len(scores)
    assert 0 <= low <= mean + 1e-12
    assert mean - 1e-12 <= high <= 1
    # Knowing about nesting never makes an interval narrower than pretending independence.
    naive_low, naive_high = agresti_coull_interval(sum(counts), 5 * len(counts))
    assert low <= naive_low + 1e-9
    assert high >= naive_high - 1e-9


@given(pairs=st.lists(st.tuples(scores_of_5, scores_of_5), min_size=1, max_size=40))
def test_differences_hold_their_estimate_and_turn_with_their_sign(
    pairs: list[tuple[float, float]],
) -> None:
    first, second = [x for x, _ in pairs], [y for _, y in pairs]
    low, high = difference_interval(first, second, 5)
    difference = (math.fsum(first) - math.fsum(second)) / len(pairs)
    assert -1 <= low <= difference + 1e-12
    assert difference - 1e-12 <= high <= 1
    assert difference_interval(second, first, 5) == pytest.approx((-high, -low))


def test_systems_that_never_differed_are_not_known_to_be_one() -> None:
    scores = [1.0] * 20 + [0.0] * 10
    low, high = difference_interval(scores, scores, 1)
    assert low == pytest.approx(-high)
    assert 0.02 < high < 0.1
    assert difference_interval([1.0] * 30, [1.0] * 30, 1)[1] > 0.05


def test_pairing_narrows_a_difference() -> None:
    first = [1.0] * 60 + [0.0] * 40
    aligned = [1.0] * 50 + [0.0] * 50
    crossed = [0.0] * 40 + [1.0] * 50 + [0.0] * 10
    width = [
        high - low for low, high in (difference_interval(first, x, 1) for x in (aligned, crossed))
    ]
    assert 2 * width[0] < width[1]


@given(values=costs)
def test_means_lie_in_their_interval_in_any_unit(values: list[float]) -> None:
    low, high = mean_interval(values)
    assert low <= numpy.mean(values) + 1e-12
    assert high >= numpy.mean(values) - 1e-12
    assert mean_interval([1000 * value for value in values]) == pytest.approx(
        (1000 * low, 1000 * high), rel=1e-6, abs=1e-6
    )
    assert mean_interval([-value for value in values]) == pytest.approx((-high, -low), abs=1e-9)
    assert cost_interval(values) == (max(0.0, low), high)


def test_symmetric_numbers_have_students_interval() -> None:
    values = [-3.0, -1.0, -0.5, 0.5, 1.0, 3.0]
    student = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean_interval(values) == pytest.approx((student.low, student.high))


def test_a_long_tail_makes_the_upper_side_longer() -> None:
    values = [1.0] * 27 + [20.0] * 3
    low, high = mean_interval(values)
    mean = numpy.mean(values)
    assert high - mean > 1.5 * (mean - low)


def test_one_number_tells_nothing_of_its_spread_and_equal_ones_have_none() -> None:
    assert mean_interval([2.0]) == (-math.inf, math.inf)
    assert cost_interval([2.0]) == (0, math.inf)
    assert mean_interval([0.1] * 7) == pytest.approx((0.1, 0.1))


@given(pairs=st.lists(st.tuples(st.floats(0.01, 10), st.floats(0.01, 10)), min_size=2, max_size=40))
def test_ratios_hold_their_estimate_and_turn_over(pairs: list[tuple[float, float]]) -> None:
    first, second = [x for x, _ in pairs], [y for _, y in pairs]
    low, high = ratio_interval(first, second)
    ratio = math.fsum(first) / math.fsum(second)
    assert 0 <= low <= ratio * (1 + 1e-12)
    assert ratio <= high * (1 + 1e-12)
    turned_low, turned_high = ratio_interval(second, first)
    assert turned_low == pytest.approx(1 / high, rel=1e-6, abs=1e-12)
    assert turned_high == (pytest.approx(1 / low, rel=1e-6) if low else math.inf)


@given(pairs=st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=1, max_size=40))
def test_differences_of_costs_hold_their_estimate(pairs: list[tuple[float, float]]) -> None:
    first, second = [x for x, _ in pairs], [y for _, y in pairs]
    low, high = cost_difference_interval(first, second)
    difference = numpy.mean(first) - numpy.mean(second)
    assert low <= difference + 1e-9
    assert high >= difference - 1e-9
    assert cost_difference_interval(second, first) == pytest.approx((-high, -low))


def test_equal_costs_differ_by_nothing() -> None:
    spent = [0.1, 0.7, 0.3, 2.5]
    assert cost_difference_interval(spent, spent) == pytest.approx((0, 0), abs=1e-7)
    assert ratio_interval(spent, spent) == pytest.approx((1, 1), abs=1e-6)
    assert ratio_interval([2.0], [1.0]) == (0, math.inf)


def test_ratios_to_what_is_free() -> None:
    assert all(map(math.isnan, ratio_interval([1.0, 2.0], [0.0, 0.0])))
    assert ratio_interval([0.0, 0.0], [1.0, 2.0]) == (0, 0)


def test_exact_coverage_of_proportions(simulation: ModuleType) -> None:
    for row in simulation.exact_accuracy_rows():
        assert row.holds, row.name
        assert 0.945 < row.mean < 0.96
        assert min(row.coverage) > 0.93


def test_nested_accuracies_cover_the_truth(simulation: ModuleType) -> None:
    rows = list(itertools.islice(simulation.nested_accuracy_rows(1000), 4))
    assert {row.name.split(" | ")[0] for row in rows} == {"30"}
    assert all(row.holds for row in rows), rows


def test_costs_cover_the_truth(simulation: ModuleType) -> None:
    rows = list(itertools.islice(simulation.cost_rows(500), 3))
    assert all(row.holds for _, row in rows), rows


def test_the_simulation_would_notice(simulation: ModuleType) -> None:
    assert not simulation.Row("too narrow", [0.95, 0.90], 10_000).holds
    assert not simulation.Row("too narrow on average", [0.93] * 40, 10_000).holds
    assert not simulation.Row("too wide", [0.975] * 40, 10_000).holds


def test_nested_intervals_cover_the_truth_where_naive_ones_do_not() -> None:
    generator = numpy.random.default_rng(20260101)
    covered = naive_covered = 0
    for _ in range(1000):
        chances = generator.beta(0.7 * 0.8, 0.3 * 0.8, 60)
        scores = generator.binomial(6, chances) / 6
        low, high = accuracy_interval(scores.tolist(), 6)
        covered += low <= 0.7 <= high
        low, high = agresti_coull_interval(float(scores.sum() * 6), 360)
        naive_covered += low <= 0.7 <= high
    assert 920 <= covered <= 970
    assert naive_covered < 800
