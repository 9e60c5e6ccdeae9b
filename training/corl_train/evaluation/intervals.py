"""How sure a mean is, where which problems were asked is no source of error.

mean_interval({"1": [1.0, 0.0], "2": [1.0, 1.0]}, {"1": "easy", "2": "easy"})
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from corl_bench.metrics.inference.distributions import t_quantile

CONFIDENCE = 0.95


def mean_interval(
    figures: Mapping[str, Sequence[float]], strata: Mapping[str, object]
) -> tuple[float, float]:
    """Student's interval of a mean, from what varies between problems of one stratum.

    Args:
        figures: of the samples of each problem; rewards, or what counts for them.
        strata: where each problem belongs.

    Returns:
        Around the mean; all that a reward can be where no stratum has two problems.
    """
    mean, error, degrees = stratified_mean(figures, strata)
    if degrees < 1:
        return (min(0.0, mean), max(1.0, mean))
    half = t_quantile((1 + CONFIDENCE) / 2, degrees) * error
    return (mean - half, mean + half)


def reward_interval(
    rewards: Mapping[str, Sequence[float]], strata: Mapping[str, object]
) -> tuple[float, float]:
    """Of the mean of rewards that are 0 or 1: as `mean_interval`, within these.

    Where all are alike nothing is seen to vary; what could still have been missed is told by how
    many problems there are, α/2 = (1 − p)ⁿ (C. Clopper and E. Pearson, 1934).
    """
    low, high = mean_interval(rewards, strata)
    if low == high and low in (0.0, 1.0):
        missed = 1 - ((1 - CONFIDENCE) / 2) ** (1 / len(rewards))
        return (0.0, missed) if low == 0.0 else (1 - missed, 1.0)
    return (max(0.0, low), min(1.0, high))


def stratified_mean(
    figures: Mapping[str, Sequence[float]], strata: Mapping[str, object]
) -> tuple[float, float, int]:
    """The mean of some figures, its standard error and the degrees of freedom of that.

    The variance of a stratified mean: Σ (n_h / n)² s_h² / n_h over strata of n_h problems, each
    problem the mean of its samples. A stratum of one problem borrows the pooled variance.

    Args:
        figures: of the samples of each problem.
        strata: where each problem belongs.

    Returns:
        An infinite error where there are no degrees of freedom.

    Source: W. G. Cochran, "Sampling Techniques" (1977), section 5.6.
    """
    by_stratum: dict[object, list[float]] = defaultdict(list)
    for problem, samples in figures.items():
        by_stratum[strata[problem]].append(math.fsum(samples) / len(samples))
    n = len(figures)
    mean = math.fsum(map(math.fsum, by_stratum.values())) / n
    squares = {h: _squares(values) for h, values in by_stratum.items()}
    degrees = n - len(by_stratum)
    if degrees < 1:
        return (mean, math.inf, degrees)
    pooled = math.fsum(squares.values()) / degrees
    variance = (
        math.fsum(
            len(values) * (squares[h] / (len(values) - 1) if len(values) > 1 else pooled)
            for h, values in by_stratum.items()
        )
        / n**2
    )
    return (mean, math.sqrt(variance), degrees)


def _squares(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)
