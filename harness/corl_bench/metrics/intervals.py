"""Intervals of accuracy that know that samples are nested in problems.

Ten samples of one problem are not ten problems. Every interval here keeps that, and lies inside
[0, 1] around the estimate.

    >>> low, high = wilson_interval(24, 30)
    >>> round(low, 3), round(high, 3)
    (0.627, 0.905)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist


def wilson_interval(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical
    inference", JASA 22 (1927) 209-212.

    Args:
        successes: how many of `n` succeeded; a fraction where `n` is an effective size.
        n: number of independent trials; 0 gives (0, 1), for nothing is known.
        confidence: two-sided, between 0 and 1.

    Raises:
        ValueError: the arguments describe no proportion.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}, not between 0 and 1")
    if n < 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} trials are no proportion")
    if n == 0:
        return (0.0, 1.0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    centre = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # The ends are exact at 0 and 1; rounding must not push the estimate out of its interval.
    low = 0.0 if successes == 0 else max(0.0, min(share, (centre - spread) / scale))
    high = 1.0 if successes == n else min(1.0, max(share, (centre + spread) / scale))
    return (low, high)


def effective_sample_size(per_problem_scores: Sequence[float], samples: int) -> float:
    """How many independent episodes the nested ones are worth.

    The design effect compares the variance of the mean between problems with that of
    independent draws, n = p (1 - p) / (s^2 / m), and is bounded by what nesting can do at all:
    from one draw a problem (samples always agree) to all of them (they never depend).
    Where the scores show nothing of it (one problem, or all right, or all wrong) the lower
    bound holds.

    Source: L. Kish, "Survey Sampling" (1965), section 8.2; with Wilson's interval: E. L. Korn
    and B. I. Graubard, Survey Methodology 24 (1998) 193-201, and N. Dean and M. Pagano, Journal
    of Survey Statistics and Methodology 3 (2015) 484-503.

    Args:
        per_problem_scores: mean score of each problem over its samples, from 0 to 1.
        samples: samples of each problem, at least 1.
    """
    problems = len(per_problem_scores)
    if samples < 1:
        raise ValueError(f"{samples} samples: at least one is needed")
    if problems < 2 or samples == 1:
        return float(problems)
    mean = math.fsum(per_problem_scores) / problems
    binomial = mean * (1 - mean)
    if binomial <= 0:
        return float(problems)
    between = math.fsum((score - mean) ** 2 for score in per_problem_scores) / (problems - 1)
    most = float(problems * samples)
    if between <= 0:
        return most
    return min(most, max(float(problems), binomial * problems / between))


def accuracy_interval(
    per_problem_scores: Sequence[float], samples: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of the mean score over problems, with `samples` draws nested in each.

    Wilson's interval on the effective sample size; with one sample a problem that is Wilson's
    interval itself. It speaks of other problems of the same kind, not of other draws alone.

    Args:
        per_problem_scores: mean score of each problem over its samples, from 0 to 1.
        samples: samples of each problem; where they differ, the largest number.
        confidence: two-sided, between 0 and 1.
    """
    problems = len(per_problem_scores)
    if problems == 0:
        return wilson_interval(0, 0, confidence)
    size = effective_sample_size(per_problem_scores, samples)
    mean = min(1.0, math.fsum(per_problem_scores) / problems)
    return wilson_interval(min(size, mean * size), size, confidence)
