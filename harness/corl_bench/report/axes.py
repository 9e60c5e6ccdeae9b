"""The axes of a cost-accuracy picture, and curves along them.

Dollars stand on a log axis, accuracy on a linear one. A frontier is straight in dollars, so on
this axis it bends and is drawn in small steps.

    dollars = DollarAxis([Decimal("0.001"), Decimal("0.1")], WIDE.left, WIDE.width - WIDE.right)
    dollars.at(Decimal("0.01"))     # in the units of the SVG's view box
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from corl_bench.metrics.assessment import Band
from corl_bench.metrics.frontier import CoinFrontier
from corl_bench.money.amounts import display_usd

Place = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""
CURVE_STEPS_PER_DECADE = 24


@dataclass(frozen=True, slots=True)
class Frame:
    """Size of a picture in CSS pixels, the margins around its plot, and its letters' size."""

    name: str
    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    letter: float
    """Width of an average letter of a label."""


WIDE = Frame("wide", 1160, 480, left=56, right=24, top=30, bottom=52, letter=6.6)
NARROW = Frame("narrow", 358, 400, left=40, right=10, top=30, bottom=50, letter=6.2)


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    label: str
    """Empty: a minor line without a label."""


def round_dollars(low: float, high: float) -> Iterator[tuple[int, Decimal]]:
    """1, 2 and 5 times the powers of ten within a range, each behind its first digit.

    Args:
        low: logarithm to the base of ten of the least.
        high: of the most.
    """
    for power in range(math.floor(low), math.ceil(high) + 1):
        for step in (1, 2, 5):
            cost = Decimal(step).scaleb(power)
            if low <= math.log10(cost) <= high:
                yield step, cost


class DollarAxis:
    """A log axis in dollars; what costs nothing has a place of its own left of it."""

    _GUTTER = 46.0

    def __init__(self, costs: Sequence[Decimal | float], start: float, end: float) -> None:
        priced = [float(cost) for cost in costs if cost > 0]
        self._zero_at = start + 14 if len(priced) < len(costs) else None
        self._start = start + (self._GUTTER if self._zero_at is not None else 0)
        self._end = end
        low, high = (min(priced), max(priced)) if priced else (0.001, 0.1)
        # Room at both ends, for marks and their labels, and never less than a decade.
        span = max(1.0, math.log10(high / low))
        middle = math.log10(high * low) / 2
        self._low = middle - span / 2 - 0.06 * span
        self._high = middle + span / 2 + 0.12 * span

    def at(self, cost_usd: Decimal | float) -> float:
        if cost_usd <= 0:
            return self._zero_at if self._zero_at is not None else self._start
        part = (math.log10(float(cost_usd)) - self._low) / (self._high - self._low)
        return round(self._start + part * (self._end - self._start), 2)

    @property
    def range_usd(self) -> tuple[float, float]:
        """Dollars at both of its ends."""
        return (10**self._low, 10**self._high)

    def holds(self, cost_usd: Decimal | float) -> bool:
        return cost_usd > 0 and self._low <= math.log10(float(cost_usd)) <= self._high

    def ticks(self) -> tuple[Tick, ...]:
        ticks = [] if self._zero_at is None else [Tick(self._zero_at, "$0")]
        last_labelled = -math.inf
        for step, cost in round_dollars(self._low, self._high):
            at = self.at(cost)
            label = display_usd(cost) if cost >= 1 else f"${cost.normalize():f}"
            # Whole decades come first; others are labelled where there is room.
            room = 7.5 * len(label) + 8
            near_decade = step == 5 and self.at(2 * cost) - at < room
            if step != 1 and (at - last_labelled < room or near_decade):
                label = ""
            if label:
                last_labelled = at
            ticks.append(Tick(at, label))
        return tuple(ticks)


class ShareAxis:
    """A linear axis of accuracy that shows all intervals, from one round share to another."""

    def __init__(self, intervals: Sequence[tuple[float, float]], start: float, end: float) -> None:
        low = min((bounds[0] for bounds in intervals), default=0.0)
        high = max((bounds[1] for bounds in intervals), default=1.0)
        self._step = 0.1 if high - low > 0.25 else 0.05
        self._low = max(0.0, math.floor(low / self._step) * self._step)
        self._high = min(1.0, math.ceil(high / self._step) * self._step)
        self._start, self._end = start, end

    def at(self, share: float) -> float:
        part = (share - self._low) / (self._high - self._low)
        return round(self._start + part * (self._end - self._start), 2)

    def holds(self, share: float) -> bool:
        return self._low <= share <= self._high

    def nearest(self, share: float) -> float:
        """The share, or the end of the axis that it lies beyond."""
        return min(self._high, max(self._low, float(share)))

    def ticks(self) -> tuple[Tick, ...]:
        count = round((self._high - self._low) / self._step)
        shares = [self._low + index * self._step for index in range(count + 1)]
        return tuple(Tick(self.at(share), f"{100 * share:.0f}%") for share in shares)


def curve_places(frontier: CoinFrontier, dollars: DollarAxis, share: ShareAxis) -> list[Place]:
    """Places along a frontier from its cheapest system on; straight in dollars, it bends here."""
    vertices = zip(frontier.costs_usd.tolist(), frontier.members, strict=True)
    costs = {cost for cost, member in vertices if member >= 0}
    if not costs:
        return []
    low, high = dollars.range_usd
    start = max(min(costs), low)
    steps = max(1, round(CURVE_STEPS_PER_DECADE * math.log10(high / start)))
    costs |= {start * (high / start) ** (step / steps) for step in range(steps + 1)}
    return [
        (dollars.at(cost), share.at(frontier.accuracy_at(cost)))
        for cost in sorted(costs)
        if share.holds(frontier.accuracy_at(cost))
    ]


def band_path(band: Band, dollars: DollarAxis, share: ShareAxis) -> str:
    """A closed path around a band, as far as it lies on the axes; empty where there is none."""
    ends = [
        (dollars.at(cost), share.at(share.nearest(low)), share.at(share.nearest(high)))
        for cost, low, high in zip(band.costs_usd.tolist(), band.low, band.high, strict=True)
        if dollars.holds(cost) and share.holds(high)
    ]
    if len(ends) < 2:
        return ""
    upper = [(x, high) for x, _, high in ends]
    return path_data([*upper, *((x, low) for x, low, _ in reversed(ends))]) + "Z"


def path_data(places: Sequence[Place]) -> str:
    """Straight lines from place to place, as an SVG path; empty without places."""
    return "M" + "L".join(f"{x} {y}" for x, y in places) if places else ""
