"""The headline of a run: does a router beat the coin at the same spend?

A system stands beside the best coin that spends as much on average, with the interval of the
difference; what the interval does not decide is called indistinguishable.

    coin_table(assessment, {"oracle"}).headline
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from corl_bench.metrics.assessment import Assessment, PointAssessment
from corl_bench.metrics.headline import CoinVerdict, coin_verdict, rival
from corl_bench.metrics.inference.estimate import Estimate
from corl_bench.report.assessments import gain
from corl_bench.report.figures import counted, percent
from corl_bench.results.outcomes import is_single


@dataclass(frozen=True, slots=True)
class CoinRow:
    label: str
    accuracy: str
    coin: str
    gain: str
    value: float
    """To sort by, and the middle of the bar."""
    bar: tuple[float, float, float]
    """Low end, value, high end, in per cent of the picture's width; the coin stands at 50."""
    words: str
    verdict: CoinVerdict
    is_router: bool


@dataclass(frozen=True, slots=True)
class CoinTable:
    headline: str
    rows: tuple[CoinRow, ...]
    mixes: str
    """What the coin mixes, and how the intervals are made."""


def coin_table(assessment: Assessment, apart: Collection[str]) -> CoinTable | None:
    """Each system against the coin at its own spend; routers come first. None without a coin.

    Args:
        assessment: of one task.
        apart: labels of the points that have no row: those that see the golds, and those whose
            costs nobody has checked.
    """
    points = _compared(assessment, apart)
    if not points:
        return None
    reach = max(
        max(abs(point.gain_over_coin.low), abs(point.gain_over_coin.high))
        for point in points
        if point.gain_over_coin
    )
    rows = [
        _coin_row(point, point.gain_over_coin, point.coin_accuracy, reach or 1.0)
        for point in points
        if point.gain_over_coin is not None and point.coin_accuracy is not None
    ]
    left_out = assessment.left_out
    return CoinTable(
        headline=headline(assessment, apart),
        rows=tuple(sorted(rows, key=lambda row: not row.is_router)),
        mixes=(
            f"The coin mixes {', '.join(assessment.coin)}, and not answering for $0; a system is"
            " never compared with a coin that may mix it. Differences are in percentage points,"
            f" with {100 * assessment.confidence:g}% intervals over"
            f" {counted(assessment.problems, 'problem')}"
            + (f" ({left_out:,} that not every system has are left out)" if left_out else "")
            + f", from {assessment.resamples:,} paired resamples."
        ),
    )


def _compared(assessment: Assessment, apart: Collection[str]) -> list[PointAssessment]:
    return [
        point
        for point in assessment.points
        if point.gain_over_coin is not None and point.label not in apart
    ]


def headline(assessment: Assessment, apart: Collection[str]) -> str:
    """Does any router beat the coin at the same spend? In words; empty without a router."""
    routers = [point for point in _compared(assessment, apart) if not is_single(point.label)]
    if not routers:
        return ""
    groups = [
        (rival(in_coin=in_coin), [p for p in routers if (p.label in assessment.coin) == in_coin])
        for in_coin in (False, True)
    ]
    return " ".join(
        sentence for other, group in groups if group for sentence in _said(group, other)
    )


def _said(routers: Sequence[PointAssessment], other: str) -> Iterator[str]:
    """Sentences about routers that are measured against the same thing."""
    beats, loses, same = (
        [point for point in routers if coin_verdict(point.gain_over_coin) == verdict]
        for verdict in ("beats", "loses", "same")
    )
    if beats:
        yield (
            f"{listed(map(_with_points, beats))} {_verb(beats, 'beats', 'beat')} {other} at"
            " the same spend."
        )
    else:
        yield f"No router beats {other} at the same spend."
    if loses:
        yield f"{listed(map(_with_points, loses))} {_verb(loses, 'loses', 'lose')} to it."
    if same:
        yield f"{listed(point.label for point in same)} cannot be told apart from it."


def _coin_row(
    point: PointAssessment, found: Estimate, coin_accuracy: float, reach: float
) -> CoinRow:
    def place(value: float) -> float:
        return round(50 + 48 * value / reach, 2)

    return CoinRow(
        label=point.label,
        accuracy=percent(point.accuracy.value),
        coin=percent(coin_accuracy),
        gain=gain(found),
        value=found.value,
        bar=(place(found.low), place(found.value), place(found.high)),
        words=point.coin_words,
        verdict=coin_verdict(found),
        is_router=not is_single(point.label),
    )


def _with_points(point: PointAssessment) -> str:
    value = 0.0 if point.gain_over_coin is None else point.gain_over_coin.value
    return f"{point.label} ({100 * value:+.1f} points)"


def listed(names: Iterable[str]) -> str:
    """Names in a sentence: `a, b and c`."""
    every = list(names)
    return " and ".join([", ".join(every[:-1]), every[-1]] if len(every) > 1 else every)


def _verb(points: Sequence[PointAssessment], one: str, many: str) -> str:
    return one if len(points) == 1 else many
