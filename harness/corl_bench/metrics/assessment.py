"""What a board of systems on one task amounts to, with error bars.

An assessment is a pure function of the panel and of what `assess` is told. It is what `compare`,
`frontier`, reports and leaderboards print, so a figure is defined alike everywhere; reports take
fewer resamples, so there the last digit of an interval may be another.

    assessment = assess(make_panel(results.of_task("synth")), window_usd=(0.0006, 0.02))
    [(point.label, point.gain_over_coin) for point in assessment.points]
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from corl_bench.errors import ConfigError
from corl_bench.metrics.arrays import Array
from corl_bench.metrics.frontier import CoinFrontier, non_dominated
from corl_bench.metrics.headline import coin_words, counted_problems
from corl_bench.metrics.inference.estimate import Estimate as Estimate
from corl_bench.metrics.inference.intervals import (
    accuracy_interval,
    cost_difference_interval,
    cost_interval,
    difference_interval,
    ratio_interval,
)
from corl_bench.metrics.inference.pairs import holm, sign_flip_test
from corl_bench.metrics.inference.ranks import rank_intervals
from corl_bench.metrics.inference.resampling import SHARES, Resampled, resample
from corl_bench.metrics.matched import accuracy_at_matched_cost, cost_at_matched_accuracy
from corl_bench.metrics.panel import Panel
from corl_bench.metrics.stacked_frontiers import CoinFrontiers
from corl_bench.money.basis import BASIS_WORDS, is_known
from corl_bench.results.outcomes import is_single

_BAND_POINTS = 33
"""Spends of a band, evenly over dollars and as many evenly over their logarithm."""


_Pair = tuple[int, int]
"""Columns of the first and of the second point."""
_PValues = tuple[float, float]
"""As tested, and adjusted for all that were."""


@dataclass(frozen=True, slots=True)
class PointAssessment:
    """One system at one told budget."""

    label: str
    accuracy: Estimate
    cost_usd: Estimate
    """Mean list cost a problem, dollars."""
    on_frontier: bool
    """No other system dominates it, by point estimates; False for oracles, and for systems whose
    costs nobody has checked."""
    frontier_share: float
    """Share of resamples in which it is on the frontier."""
    rank: int
    """By accuracy; systems that are not told apart share the best rank that any of them has."""
    rank_interval: tuple[int, int]
    coin_accuracy: float | None
    """What the coin reaches at this point's mean cost; None where there is no coin to compare."""
    gain_over_coin: Estimate | None
    """Accuracy beyond the coin at the same spend."""
    cost_over_coin: Estimate | None
    """Dollars for each dollar that the coin needs for the same accuracy: below 1 it is cheaper,
    0 says that no coin is as accurate. None where there is no coin to compare with."""
    coin_words: str
    """The headline in words, as `headline.coin_words` has them."""


@dataclass(frozen=True, slots=True)
class CurveAssessment:
    """One system over all its budgets: the frontier of coins between its own points."""

    system: str
    area_linear: Estimate
    area_log: Estimate
    """Mean accuracy over the window, evenly over dollars or over their logarithm."""


@dataclass(frozen=True, slots=True)
class PairAssessment:
    """Two points on the same problems."""

    first: str
    second: str
    accuracy: Estimate
    """First minus second."""
    cost_usd: Estimate
    """First minus second, mean list cost a problem."""
    cost_ratio: Estimate
    """First over second; NaN where the second costs nothing."""
    p_value: float
    """Of equal accuracy, two-sided, paired over problems."""
    adjusted_p_value: float
    """Holm's, over the pairs among which this one was chosen; see `assess`."""
    words: str


@dataclass(frozen=True, slots=True)
class Band:
    """The coin frontier of all systems (oracles left out) with its interval at each spend."""

    costs_usd: Array
    accuracies: Array
    low: Array
    high: Array


@dataclass(frozen=True, slots=True)
class Assessment:
    """The systems of one task, assessed together."""

    task: str
    problems: int
    left_out: int
    window_usd: tuple[float, float]
    coin: tuple[str, ...]
    """Labels of the systems that the coin may mix."""
    frontier: CoinFrontier
    """Of all systems but oracles; `members` index `points`."""
    band: Band
    area_linear: Estimate
    area_log: Estimate
    """Of that frontier."""
    points: tuple[PointAssessment, ...]
    curves: tuple[CurveAssessment, ...]
    pairs: tuple[PairAssessment, ...]
    tested_pairs: int
    """How many Holm's rule goes over; more than there are `pairs` where those were chosen by
    what the data say."""
    oracle_gap: Estimate | None
    """Accuracy of the oracle less the frontier's at the oracle's spend; None without one."""
    confidence: float
    resamples: int
    seed: int


def assess(
    panel: Panel,
    *,
    window_usd: tuple[float, float],
    coin: tuple[str, ...] | None = None,
    against: str | None = None,
    shown_against: str | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Assessment:
    """Assesses all points of a panel.

    Args:
        panel: at least one point.
        window_usd: spends over which areas are taken, dollars a problem.
        coin: labels that the coin may mix; None takes the single experts (`single:…`), and
            where there are none every system but oracles. A system is never compared with a
            coin that may mix the system itself, at whatever budget.
        against: the one label that all others are paired with, chosen before these data were
            seen, so that Holm's rule goes over its pairs alone; None pairs all. Oracles compete
            with nobody: they stay out of pairs, of ranks but their own, and of the frontier. So
            do systems that say themselves what they cost, or do not say it.
        shown_against: of all pairs, keep those with this label. Holm's rule goes over all of
            them, so the label may be chosen by what the data say, the most accurate one.
        confidence: two-sided.
        resamples: of the bootstrap over problems.
        seed: of the bootstrap.

    Raises:
        ConfigError: a label of `coin` or of the pairs is not on the panel.
        ValueError: `against` and `shown_against` are both there.
    """
    if against is not None and shown_against is not None:
        raise ValueError("pairs are against one label or chosen among all, not both")
    worlds = resample(panel, resamples=resamples, seed=seed, confidence=confidence)
    rivals = [index for index, point in enumerate(panel.points) if point.is_ranked]
    mixed = _coin_columns(panel, rivals, coin)
    frontiers = _coins(worlds, rivals)
    tested = _tested_pairs(panel, rivals, against)
    pairs = tested if shown_against is None else _with(panel, shown_against, tested)
    return Assessment(
        task=panel.task,
        problems=len(panel.problems),
        left_out=panel.left_out,
        window_usd=window_usd,
        coin=tuple(panel.labels[column] for column in mixed),
        frontier=_frontier(worlds, rivals),
        band=_band(worlds, frontiers, window_usd),
        area_linear=worlds.estimate(frontiers.area(window_usd, "linear"), SHARES),
        area_log=worlds.estimate(frontiers.area(window_usd, "log"), SHARES),
        points=_assess_points(panel, worlds, rivals, mixed),
        curves=_assess_curves(panel, worlds, rivals, window_usd),
        pairs=_assess_pairs(panel, pairs, confidence),
        tested_pairs=len(tested),
        oracle_gap=_oracle_gap(panel, worlds, rivals, frontiers),
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )


def _coin_columns(panel: Panel, rivals: list[int], coin: tuple[str, ...] | None) -> list[int]:
    if coin is not None:
        chosen = [panel.column(label) for label in coin]
        for column in chosen:
            if not is_known(basis := panel.points[column].cost_basis):
                raise ConfigError(
                    f"the coin cannot mix {panel.labels[column]}, whose costs are"
                    f" {BASIS_WORDS[basis]}: leave it out of --coin"
                )
        return chosen
    experts = [column for column in rivals if is_single(panel.points[column].system)]
    return experts or rivals


def _coins(worlds: Resampled, columns: list[int]) -> CoinFrontiers:
    return CoinFrontiers.of(worlds.cost_usd[:, columns], worlds.accuracy[:, columns])


def _frontier(worlds: Resampled, rivals: list[int]) -> CoinFrontier:
    found = CoinFrontier.of(worlds.cost_usd[0, rivals], worlds.accuracy[0, rivals])
    return replace(
        found, members=tuple(-1 if member < 0 else rivals[member] for member in found.members)
    )


def _band(worlds: Resampled, frontiers: CoinFrontiers, window_usd: tuple[float, float]) -> Band:
    low, high = window_usd
    spends = np.linspace(low, high, _BAND_POINTS)
    if low > 0:
        spends = np.union1d(spends, np.geomspace(low, high, _BAND_POINTS))
    inside = frontiers.costs_usd[0]
    spends = np.union1d(spends, inside[(inside > low) & (inside < high)])
    reached = frontiers.accuracy_at(spends)
    found = [worlds.estimate(reached[:, column], SHARES) for column in range(len(spends))]
    return Band(
        costs_usd=spends,
        accuracies=np.array([estimate.value for estimate in found]),
        low=np.array([estimate.low for estimate in found]),
        high=np.array([estimate.high for estimate in found]),
    )


def _assess_points(
    panel: Panel, worlds: Resampled, rivals: list[int], mixed: list[int]
) -> tuple[PointAssessment, ...]:
    ranks = rank_intervals(worlds, worlds.accuracy, rivals)
    # Of the shared problems, and to the digits that costs are given in: ties are ties.
    places = [
        (Decimal(f"{worlds.cost_usd[0, column]:.12f}"), float(worlds.accuracy[0, column]))
        for column in rivals
    ]
    kept = {rivals[index] for index in non_dominated(places)}
    shares = _frontier_shares(worlds, rivals)
    together = _coins(worlds, mixed)
    names = [_curve_of(panel, column) for column in range(len(panel.points))]
    samples = panel.samples
    assessed = []
    for column in range(len(panel.points)):
        basis = panel.points[column].cost_basis
        # What nobody has checked is no spend to compare at.
        others = mixed if is_known(basis) else []
        members = [member for member in others if names[member] != names[column]]
        coin = together if len(members) == len(mixed) else _coins(worlds, members)
        gain = accuracy_at_matched_cost(worlds, column, coin) if members else None
        ratio = cost_at_matched_accuracy(worlds, column, coin) if members else None
        scores, costs = panel.accuracy[:, column].tolist(), panel.cost_usd[:, column].tolist()
        rank, rank_interval = ranks[column]
        accuracy = float(worlds.accuracy[0, column])
        reached = None if gain is None else accuracy - gain.value
        assessed.append(
            PointAssessment(
                label=panel.labels[column],
                accuracy=Estimate(
                    accuracy,
                    *accuracy_interval(scores, samples[column], worlds.confidence),
                ),
                cost_usd=Estimate(
                    float(worlds.cost_usd[0, column]), *cost_interval(costs, worlds.confidence)
                ),
                on_frontier=column in kept,
                frontier_share=shares.get(column, 0.0),
                rank=rank,
                rank_interval=rank_interval,
                coin_accuracy=reached,
                gain_over_coin=gain,
                cost_over_coin=ratio,
                coin_words=coin_words(
                    gain,
                    len(panel.problems),
                    in_coin=len(members) < len(mixed),
                    is_oracle=panel.points[column].is_oracle,
                )
                if is_known(basis)
                else f"costs {BASIS_WORDS[basis]}, compared with no coin",
            )
        )
    return tuple(assessed)


def _frontier_shares(worlds: Resampled, rivals: list[int]) -> dict[int, float]:
    costs = worlds.of_resamples(worlds.cost_usd)
    scores = worlds.of_resamples(worlds.accuracy)
    shares = {}
    for column in rivals:
        cost, score = costs[:, column : column + 1], scores[:, column : column + 1]
        others_cost, others_score = costs[:, rivals], scores[:, rivals]
        dominated = (others_cost <= cost) & (others_score >= score)
        dominated &= (others_cost < cost) | (others_score > score)
        shares[column] = float(1 - dominated.any(axis=1).mean())
    return shares


def _curve_of(panel: Panel, column: int) -> str:
    """The label without its budget: what all points of one system have in common."""
    label, budget = panel.labels[column], panel.points[column].budget
    return label if budget is None else label.removesuffix(f"@{budget}")


def _assess_curves(
    panel: Panel, worlds: Resampled, rivals: list[int], window_usd: tuple[float, float]
) -> tuple[CurveAssessment, ...]:
    curves: dict[str, list[int]] = {}
    for column in rivals:
        curves.setdefault(_curve_of(panel, column), []).append(column)
    assessed = []
    for name, columns in curves.items():
        own = _coins(worlds, columns)
        assessed.append(
            CurveAssessment(
                system=name,
                area_linear=worlds.estimate(own.area(window_usd, "linear"), SHARES),
                area_log=worlds.estimate(own.area(window_usd, "log"), SHARES),
            )
        )
    return tuple(assessed)


def _tested_pairs(panel: Panel, rivals: list[int], against: str | None) -> dict[_Pair, _PValues]:
    if against is None:
        tested = list(itertools.combinations(rivals, 2))
    else:
        reference = panel.column(against)
        tested = [(column, reference) for column in rivals if column != reference]
    p_values = [sign_flip_test(panel.accuracy[:, i] - panel.accuracy[:, j]) for i, j in tested]
    return dict(zip(tested, zip(p_values, holm(p_values), strict=True), strict=True))


def _with(panel: Panel, label: str, tested: dict[_Pair, _PValues]) -> dict[_Pair, _PValues]:
    """Those of the pairs that have this label, as the second of each."""
    second = panel.column(label)
    return {
        (i if j == second else j, second): found
        for (i, j), found in tested.items()
        if second in (i, j)
    }


def _assess_pairs(
    panel: Panel, pairs: dict[_Pair, _PValues], confidence: float
) -> tuple[PairAssessment, ...]:
    samples = panel.samples
    assessed = []
    for (i, j), (p_value, adjusted) in pairs.items():
        first, second = panel.cost_usd[:, i].tolist(), panel.cost_usd[:, j].tolist()
        spent, other = math.fsum(first) / len(first), math.fsum(second) / len(second)
        accuracy = Estimate(
            float((panel.accuracy[:, i] - panel.accuracy[:, j]).mean()),
            *difference_interval(
                panel.accuracy[:, i].tolist(),
                panel.accuracy[:, j].tolist(),
                max(samples[i], samples[j]),
                confidence,
            ),
        )
        assessed.append(
            PairAssessment(
                first=panel.labels[i],
                second=panel.labels[j],
                accuracy=accuracy,
                cost_usd=Estimate(
                    spent - other, *cost_difference_interval(first, second, confidence)
                ),
                cost_ratio=Estimate(
                    spent / other if other > 0 else math.nan,
                    *ratio_interval(first, second, confidence),
                ),
                p_value=p_value,
                adjusted_p_value=adjusted,
                words=_pair_words(accuracy, adjusted, confidence, len(panel.problems)),
            )
        )
    return tuple(assessed)


def _pair_words(accuracy: Estimate, adjusted: float, confidence: float, problems: int) -> str:
    if adjusted > 1 - confidence:
        return f"indistinguishable ({counted_problems(problems)})"
    side = "more" if accuracy.value > 0 else "less"
    return f"{side} accurate by {100 * abs(accuracy.value):.1f} points"


def _oracle_gap(
    panel: Panel, worlds: Resampled, rivals: list[int], frontiers: CoinFrontiers
) -> Estimate | None:
    oracles = [column for column, point in enumerate(panel.points) if point.is_oracle]
    if not oracles or not rivals:
        return None
    best = max(oracles, key=lambda column: float(worlds.accuracy[0, column]))
    return accuracy_at_matched_cost(worlds, best, frontiers)
