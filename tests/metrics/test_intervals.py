from __future__ import annotations

import math
import random

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corl_bench.metrics.intervals import (
    accuracy_interval,
    effective_sample_size,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_examples(
    successes: int, n: int, low: float, high: float
) -> None:
    # R. G. Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


@given(n=st.integers(1, 3000), share=st.floats(0, 1))
def test_the_ends_of_wilson_solve_the_score_equation(n: int, share: float) -> None:
    successes = round(share * n)
    low, high = wilson_interval(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            distance = abs(successes / n - end)
            assert distance == pytest.approx(
                1.959964 * math.sqrt(end * (1 - end) / n), rel=1e-5, abs=1e-9
            )


def test_wilson_knows_nothing_without_trials_and_is_exact_at_the_ends() -> None:
    assert wilson_interval(0, 0) == (0, 1)
    assert wilson_interval(0, 12)[0] == 0
    assert wilson_interval(12, 12)[1] == 1


@pytest.mark.parametrize(("successes", "n", "confidence"), [(2, 1, 0.95), (-1, 3, 0.95), (1, 2, 1)])
def test_wilson_refuses_what_is_no_proportion(successes: int, n: int, confidence: float) -> None:
    with pytest.raises(ValueError, match=r"proportion|confidence"):
        wilson_interval(successes, n, confidence)


def test_one_sample_a_problem_is_wilson_itself() -> None:
    assert accuracy_interval([1.0] * 24 + [0.0] * 6, 1) == wilson_interval(24, 30)


def test_samples_that_always_agree_are_worth_one() -> None:
    scores = [1.0] * 24 + [0.0] * 6
    assert effective_sample_size(scores, 8) == 30
    assert accuracy_interval(scores, 8) == pytest.approx(wilson_interval(24, 30))


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


@given(
    counts=st.lists(st.integers(0, 5), min_size=1, max_size=60),
)
def test_nested_intervals_hold_their_estimate_and_stay_within_bounds(counts: list[int]) -> None:
    scores = [count / 5 for count in counts]
    low, high = accuracy_interval(scores, 5)
    mean = math.fsum(scores) / len(scores)
    assert 0 <= low <= mean + 1e-12
    assert mean - 1e-12 <= high <= 1
    # Knowing about nesting never makes an interval narrower than pretending independence.
    naive_low, naive_high = wilson_interval(sum(counts), 5 * len(counts))
    assert low <= naive_low + 1e-9
    assert high >= naive_high - 1e-9


def test_nested_intervals_cover_the_truth_where_naive_ones_do_not() -> None:
    generator = numpy.random.default_rng(20260101)
    covered = naive_covered = 0
    for _ in range(1000):
        chances = generator.beta(0.7 * 0.8, 0.3 * 0.8, 60)
        scores = generator.binomial(6, chances) / 6
        low, high = accuracy_interval(scores.tolist(), 6)
        covered += low <= 0.7 <= high
        low, high = wilson_interval(float(scores.sum() * 6), 360)
        naive_covered += low <= 0.7 <= high
    assert 920 <= covered <= 970
    assert naive_covered < 800
