"""Who is asked: the highest predicted accuracy less λ times predicted cost, and who wins a tie.

The rule is CARROT's (Somerstep et al. 2025, arXiv 2502.03261) with costs in units of the dearest
expert's mean cost, so that λ has a meaning without dollars: at λ = 0.3 a call that costs as much
as the dearest expert does on average must be worth 30 points of accuracy. Values that agree to
twelve decimals are ties; a tie goes to the lower predicted cost, then to the expert that was
cheaper in training. Nothing depends on the order of any rows.

    >>> who = choose(np.array([[0.5, 0.9]]), np.array([[1.0, 10.0]]), price=0.02)
    >>> who.tolist()  # 0.9 - 0.2 is more than 0.5 - 0.02
    [1]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from corl_bench.metrics.arrays import Array

LAMBDAS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""What is swept by default: from accuracy at any cost to hardly more than the cheapest."""
DECIMALS = 12
TIE_RULE = (
    f"values equal to {DECIMALS} decimals are ties: the lower predicted cost wins, then the expert"
    " that was cheaper in training"
)


@dataclass(frozen=True, slots=True)
class Point:
    """One operating point, with what it came to on the training split.

    Its figures are of predictions by models that had not seen the problem (cross-validation), but
    a cascade's chain and thresholds were chosen by these very figures, which flatters them.
    """

    trade_off: float
    """λ: accuracy given up for the mean cost of the dearest expert."""
    accuracy: float
    cost_usd: float
    calls: Mapping[str, float]
    """Mean calls of a problem, by expert; experts that are never called are left out."""
    chain: tuple[str, ...] = ()
    """Of a cascade: who is asked, in this order."""
    thresholds: tuple[float, ...] = ()
    """Of a cascade: scores from which a reply is good enough, for all but the last expert."""


def choose(accuracy: Array, cost_usd: Array, *, price: float) -> NDArray[np.intp]:
    """The expert for each problem.

    Args:
        accuracy: (problems, experts), predicted.
        cost_usd: (problems, experts), predicted; experts stand from cheap to dear.
        price: accuracy given up for a dollar, λ over the unit of cost.
    """
    value = np.round(accuracy - price * cost_usd, DECIMALS)
    order = np.broadcast_to(np.arange(value.shape[1]), value.shape)
    return np.lexsort((order, cost_usd, -value), axis=-1)[:, 0]


def point_at(
    trade_off: float,
    predicted: tuple[Array, Array],
    actual: tuple[Array, Array],
    *,
    unit_usd: float,
    experts: Sequence[str],
) -> Point:
    """What choosing by predictions comes to.

    Args:
        trade_off: λ.
        predicted: accuracies and dollars, (problems, experts) each.
        actual: right or not, and dollars, of the same shape.
        unit_usd: the dearest expert's mean cost.
        experts: names from cheap to dear.
    """
    chosen = choose(*predicted, price=trade_off / unit_usd)
    rows = np.arange(len(chosen))
    counts = np.bincount(chosen, minlength=len(experts))
    return Point(
        trade_off=trade_off,
        accuracy=float(np.mean(actual[0][rows, chosen])),
        cost_usd=float(np.mean(actual[1][rows, chosen])),
        calls={
            name: float(count / len(rows))
            for name, count in zip(experts, counts, strict=True)
            if count
        },
    )


def point_within(points: Sequence[Point], budget_usd: Decimal | None) -> Point:
    """The most accurate point in training whose mean cost keeps to a budget.

    Equals go to the cheaper one, and where no point keeps to it, the cheapest is taken.
    """
    within = [p for p in points if budget_usd is None or Decimal(p.cost_usd) <= budget_usd]
    if not within:
        return min(points, key=lambda p: (p.cost_usd, -p.accuracy, p.trade_off))
    return min(within, key=lambda p: (-p.accuracy, p.cost_usd, p.trade_off))
