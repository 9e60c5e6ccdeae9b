"""Latency as quantiles: a mean hides the few episodes that people wait for.

Seconds in, seconds out; between two episodes it is interpolated.

    >>> quantile([1.0, 2.0, 4.0], 0.5)
    2.0
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def quantile(ordered: Sequence[float], share: float) -> float:
    """Quantile by linear interpolation between order statistics.

    Definition 7 of R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", The
    American Statistician 50 (1996) 361-365: numpy's default.

    Args:
        ordered: values in ascending order; none gives 0.
        share: 0.5 for the median.
    """
    if not ordered:
        return 0.0
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)
