"""A cascade with a learned stopping score, and which chains and thresholds are worth their money.

The idea is FrugalGPT's (Chen, Zaharia, Zou 2023, arXiv 2305.05176): ask a cheap expert, let a
small model score the reply from statement and reply, and go on to a dearer expert where the score
is below a threshold. Chain and thresholds are searched over the training split's recordings, by
scores from models that had not seen the problem.

    table = reply_vectors(statements.encode([text]), replies.encode([reply]), [signs])
    score = scorers.chances(table)[0, place_of_the_expert]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from corl_bench.metrics.arrays import Array
from corl_bench.routers.learned.choosing import DECIMALS, Point

LONGEST_CHAIN = 3
QUANTILES = tuple(tenth / 10 for tenth in range(1, 10))
"""Of an expert's scores: the candidates for its threshold."""
_SCORE_DECIMALS = 6


def signs_of(text: str, finish: str | None, has_answer: bool) -> tuple[float, float, float]:
    """What a reply shows without being read: its length, whether it was cut, an answer."""
    return float(np.log1p(len(text))) / 10, float(finish == "length"), float(has_answer)


def reply_vectors(
    statements: Array, replies: Array, signs: Sequence[tuple[float, float, float]]
) -> Array:
    """(rows, width): what a reply is scored by, the statement, the reply and its signs."""
    return np.concatenate([statements, replies, np.array(signs, float)], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """One chain on the training split at each combination of its thresholds."""

    chain: tuple[int, ...]
    thresholds: tuple[tuple[float, ...], ...]
    accuracy: Array
    """(combinations,)"""
    cost_usd: Array


def search_chains(
    scores: Array,
    correct: Array,
    cost_usd: Array,
    *,
    trade_offs: Sequence[float],
    unit_usd: float,
    experts: Sequence[str],
) -> tuple[Point, ...]:
    """The chain and thresholds with the highest accuracy less λ times cost, for each λ.

    Ties, to twelve decimals, go to the lower cost, the shorter chain, the cheaper experts in
    training, and the lower thresholds, in this order.

    Args:
        scores: (examples, experts), chances that the reply is right.
        correct: (examples, experts), 0 or 1.
        cost_usd: (examples, experts).
        trade_offs: each λ.
        unit_usd: the dearest expert's mean cost.
        experts: names from cheap to dear.
    """
    played = [
        play_chain(chain, scores, correct, cost_usd)
        for length in range(1, min(LONGEST_CHAIN, len(experts)) + 1)
        for chain in combinations(range(len(experts)), length)
    ]
    points = []
    for trade_off in trade_offs:
        ranked = []
        for one in played:
            value = np.round(one.accuracy - trade_off / unit_usd * one.cost_usd, DECIMALS)
            best = int(np.lexsort((np.arange(len(value)), one.cost_usd, -value))[0])
            ranked.append((-value[best], one.cost_usd[best], len(one.chain), one.chain, best))
        _, _, _, chain, best = min(ranked)
        chosen = next(one for one in played if one.chain == chain)
        points.append(_point(trade_off, chosen, best, scores, experts))
    return tuple(points)


def play_chain(chain: tuple[int, ...], scores: Array, correct: Array, cost_usd: Array) -> Played:
    """What a chain comes to at every combination of its candidate thresholds."""
    last = chain[-1]
    right, spent = correct[:, last, None], cost_usd[:, last, None]
    grids: list[tuple[float, ...]] = []
    for expert in reversed(chain[:-1]):
        grid = candidate_thresholds(scores[:, expert])
        goes_on = (scores[:, expert, None] < np.array(grid)).astype(float)[:, :, None]
        # (examples, own thresholds, combinations of those behind)
        stops_right = (1 - goes_on) * correct[:, expert, None, None]
        right = (stops_right + goes_on * right[:, None, :]).reshape(len(scores), -1)
        spent = cost_usd[:, expert, None, None] + goes_on * spent[:, None, :]
        spent = spent.reshape(len(scores), -1)
        grids.insert(0, grid)
    return Played(chain, tuple(product(*grids)), right.mean(axis=0), spent.mean(axis=0))


def candidate_thresholds(scores: Array) -> tuple[float, ...]:
    """Deciles of an expert's scores, each once."""
    found = np.round(np.quantile(scores, QUANTILES), _SCORE_DECIMALS)
    return tuple(float(value) for value in np.unique(found))


def _point(
    trade_off: float, played: Played, best: int, scores: Array, experts: Sequence[str]
) -> Point:
    thresholds = played.thresholds[best]
    asked, calls = np.ones(len(scores), bool), {}
    for place, expert in enumerate(played.chain):
        calls[experts[expert]] = float(asked.mean())
        if place < len(thresholds):
            asked &= scores[:, expert] < thresholds[place]
    return Point(
        trade_off=trade_off,
        accuracy=float(played.accuracy[best]),
        cost_usd=float(played.cost_usd[best]),
        calls=calls,
        chain=tuple(experts[expert] for expert in played.chain),
        thresholds=thresholds,
    )
