"""How sure a mean reward is, where which problems were asked is no source of error.

mean_interval({"1": [1.0, 0.0], "2": [1.0, 1.0]}, {"1": "easy", "2": "easy"})
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from corl_bench.metrics.inference.distributions import t_quantile

CONFIDENCE = 0.95


def mean_interval(
    rewards: Mapping[str, Sequence[float]], strata: Mapping[str, object]
) -> tuple[float, float]:
    """Student's interval of the mean reward, from what varies between problems of one stratum.

    The variance of a stratified mean: Σ (n_h / n)² s_h² / n_h over strata of n_h problems, each
    problem the mean of its samples. A stratum of one problem borrows the pooled variance.

    Args:
        rewards: of the samples of each problem.
        strata: where each problem belongs.

    Returns:
        Within 0 and 1; all of that where no stratum has two problems.

    Source: W. G. Cochran, "Sampling Techniques" (1977), section 5.6.
    """
    by_stratum: dict[object, list[float]] = defaultdict(list)
    for problem, samples in rewards.items():
        by_stratum[strata[problem]].append(math.fsum(samples) / len(samples))
    n = len(rewards)
    mean = math.fsum(map(math.fsum, by_stratum.values())) / n
    squares = {h: _squares(values) for h, values in by_stratum.items()}
    degrees = n - len(by_stratum)
    if degrees < 1:
        return (0.0, 1.0)
    pooled = math.fsum(squares.values()) / degrees
    variance = (
        math.fsum(
            len(values) * (squares[h] / (len(values) - 1) if len(values) > 1 else pooled)
            for h, values in by_stratum.items()
        )
        / n**2
    )
    half = t_quantile((1 + CONFIDENCE) / 2, degrees) * math.sqrt(variance)
    return (max(0.0, mean - half), min(1.0, mean + half))


def _squares(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)
