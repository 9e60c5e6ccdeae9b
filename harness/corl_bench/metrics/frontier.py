"""The non-dominated set of operating points.

A point dominates another when it costs no more, is no less accurate, and is better in one of
the two. Only point estimates are compared; intervals are for the reader.

    >>> non_dominated([(Decimal("1"), 0.5), (Decimal("2"), 0.4), (Decimal("3"), 0.9)])
    (0, 2)
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal


def non_dominated(points: Sequence[tuple[Decimal, float]]) -> tuple[int, ...]:
    """Indices of the (cost in dollars, accuracy) points that no other dominates.

    Equal points do not dominate each other, so all of them stay.

    Returns:
        Indices by rising cost, equal points in their given order.
    """
    order = sorted(range(len(points)), key=lambda index: (points[index][0], -points[index][1]))
    kept: list[int] = []
    for index in order:
        if not kept or points[index][1] > points[kept[-1]][1] or points[index] == points[kept[-1]]:
            kept.append(index)
    return tuple(kept)
