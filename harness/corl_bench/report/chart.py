"""The cost-accuracy picture: where every mark, whisker, tick and label of it stands.

Accuracy over mean list cost, dollars on a log axis, with the step through the points that no
other dominates. This module computes positions; the page draws them. The same picture is laid
out for a wide and for a narrow screen, since text does not survive scaling.

    layout = lay_out(rows, budgets, WIDE)
    layout.marks[0].x, layout.marks[0].y      # in the units of the SVG's view box
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Literal

from corl_bench.metrics.frontier import non_dominated
from corl_bench.money.amounts import display_usd
from corl_bench.report.figures import TableRow, percent

_Place = tuple[float, float]
_Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""
Anchor = Literal["start", "end"]
Family = Literal["single", "reads", "fixed", "oracle"]
FAMILY_TITLES: dict[Family, str] = {
    "single": "One expert alone",
    "fixed": "Blind to the budget",
    "reads": "Told the budget",
    "oracle": "Oracle: sees the golds",
}


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


@dataclass(frozen=True, slots=True)
class Mark:
    """One operating point."""

    row: TableRow
    family: Family
    x: float
    y: float
    low_y: float
    """Lower end of the interval; further down the page."""
    high_y: float
    label: str
    """Empty where no place was free; the table and the tooltip name it all the same."""
    label_x: float = 0.0
    label_y: float = 0.0
    anchor: Anchor = "start"


@dataclass(frozen=True, slots=True)
class Layout:
    frame: Frame
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    budgets: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    frontier: str
    """Path data of the step through the non-dominated points; empty without points."""
    strands: tuple[str, ...]
    """Path data that joins one system's points from its lowest to its highest budget."""


def family(row: TableRow) -> Family:
    """What kind of system a row is about, for its shape and colour."""
    if row.point.oracle:
        return "oracle"
    if row.point.told_budget:
        return "reads"
    return "single" if row.point.system.startswith("single:") else "fixed"


def lay_out(rows: Sequence[TableRow], budgets: Mapping[str, Decimal], frame: Frame) -> Layout:
    """Places the operating points of one task.

    Args:
        rows: of one task.
        budgets: dollars by name; those inside the axis become upright rules.
        frame: size and margins.
    """
    dollars = _DollarAxis(
        [row.point.mean_cost_usd for row in rows], frame.left, frame.width - frame.right
    )
    share = _ShareAxis(
        [row.point.accuracy_interval for row in rows], frame.height - frame.bottom, frame.top
    )
    places = [(dollars.at(row.point.mean_cost_usd), share.at(row.point.accuracy)) for row in rows]
    ends = [tuple(map(share.at, row.point.accuracy_interval)) for row in rows]
    steps = _frontier_steps(rows, places, frame)
    drawn = [
        (x - 2, high_y, x + 2, low_y) for (x, _), (low_y, high_y) in zip(places, ends, strict=True)
    ]
    labels = _place_labels(rows, places, [*drawn, *_boxes_along(steps)], frame)
    marks = tuple(
        Mark(
            row=row,
            family=family(row),
            x=x,
            y=y,
            low_y=low_y,
            high_y=high_y,
            label=label,
            label_x=label_x,
            label_y=label_y,
            anchor=anchor,
        )
        for row, (x, y), (low_y, high_y), (label, label_x, label_y, anchor) in zip(
            rows, places, ends, labels, strict=True
        )
    )
    return Layout(
        frame=frame,
        x_ticks=dollars.ticks(),
        y_ticks=share.ticks(),
        budgets=tuple(
            Tick(dollars.at(usd), name) for name, usd in budgets.items() if dollars.holds(usd)
        ),
        marks=marks,
        frontier="M" + "L".join(f"{x} {y}" for x, y in steps) if steps else "",
        strands=_strand_paths(rows, places),
    )


class _DollarAxis:
    """A log axis in dollars; what costs nothing has a place of its own left of it."""

    _GUTTER = 46.0

    def __init__(self, costs: Sequence[Decimal], start: float, end: float) -> None:
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

    def at(self, cost_usd: Decimal) -> float:
        if cost_usd <= 0:
            return self._zero_at if self._zero_at is not None else self._start
        part = (math.log10(float(cost_usd)) - self._low) / (self._high - self._low)
        return round(self._start + part * (self._end - self._start), 2)

    def holds(self, cost_usd: Decimal) -> bool:
        return cost_usd > 0 and self._low <= math.log10(float(cost_usd)) <= self._high

    def ticks(self) -> tuple[Tick, ...]:
        steps = (1, 2, 5)
        ticks = [] if self._zero_at is None else [Tick(self._zero_at, "$0")]
        last_labelled = -math.inf
        for power in range(math.floor(self._low), math.ceil(self._high) + 1):
            for step in steps:
                cost = Decimal(step).scaleb(power)
                if not self.holds(cost):
                    continue
                at = self.at(cost)
                label = display_usd(cost) if cost >= 1 else f"${cost.normalize():f}"
                # Whole decades come first; others are labelled where there is room.
                room = 7.5 * len(label) + 8
                near_decade = step == 5 and self.at(Decimal(1).scaleb(power + 1)) - at < room
                if step != 1 and (at - last_labelled < room or near_decade):
                    label = ""
                if label:
                    last_labelled = at
                ticks.append(Tick(at, label))
        return tuple(ticks)


class _ShareAxis:
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

    def ticks(self) -> tuple[Tick, ...]:
        count = round((self._high - self._low) / self._step)
        shares = [self._low + index * self._step for index in range(count + 1)]
        return tuple(Tick(self.at(share), f"{100 * share:.0f}%") for share in shares)


def _frontier_steps(
    rows: Sequence[TableRow], places: Sequence[_Place], frame: Frame
) -> list[_Place]:
    """Corners of the step: each point's accuracy holds until the next, dearer one."""
    contenders = [index for index, row in enumerate(rows) if row.on_frontier]
    points = [(rows[index].point.mean_cost_usd, rows[index].point.accuracy) for index in contenders]
    steps: list[_Place] = []
    for index in non_dominated(points):
        x, y = places[contenders[index]]
        if steps:
            steps.append((x, steps[-1][1]))
        steps.append((x, y))
    return [*steps, (float(frame.width - frame.right), steps[-1][1])] if steps else []


def _boxes_along(corners: Sequence[_Place]) -> list[_Box]:
    return [
        (min(x0, x1) - 1, min(y0, y1) - 1, max(x0, x1) + 1, max(y0, y1) + 1)
        for (x0, y0), (x1, y1) in pairwise(corners)
    ]


def _strand_paths(rows: Sequence[TableRow], places: Sequence[_Place]) -> tuple[str, ...]:
    strands: dict[str, list[tuple[Decimal, _Place]]] = {}
    for row, place in zip(rows, places, strict=True):
        if row.point.told_budget and row.point.budget_usd is not None:
            strands.setdefault(row.point.system, []).append((row.point.budget_usd, place))
    return tuple(
        "M" + "L".join(f"{x} {y}" for _, (x, y) in sorted(points))
        for points in strands.values()
        if len(points) > 1
    )


_Label = tuple[str, float, float, Anchor]


def _place_labels(
    rows: Sequence[TableRow], places: Sequence[_Place], drawn: Sequence[_Box], frame: Frame
) -> list[_Label]:
    """Puts each name beside its mark where no mark or name stands; frontier points choose first.

    Of such places, one that crosses nothing `drawn` (whiskers, the step) is preferred.
    """
    taken: list[_Box] = [(x - 7, y - 7, x + 7, y + 7) for x, y in places]
    labels: list[_Label] = [("", 0.0, 0.0, "start")] * len(rows)
    order = sorted(range(len(rows)), key=lambda index: (not rows[index].on_frontier, index))
    for index in order:
        text = _label_text(rows[index])
        free = [
            (box, label)
            for box, label in _label_places(text, places[index], frame)
            if not any(_overlap(box, other) for other in taken)
        ]
        if free:
            box, labels[index] = min(
                free, key=lambda place: sum(_overlap(place[0], other) for other in drawn)
            )
            taken.append(box)
    return labels


def _label_places(text: str, place: _Place, frame: Frame) -> list[tuple[_Box, _Label]]:
    """Where a label may stand inside the frame, the best place first."""
    x, y = place
    width = frame.letter * len(text)
    # A step leaves its point to the right and comes from below, so its upper left is free.
    offsets: tuple[tuple[float, float, Anchor], ...] = (
        (-6, -11, "end"),
        (6, -11, "start"),
        (11, 4, "start"),
        (-11, 4, "end"),
        (6, 19, "start"),
        (-6, 19, "end"),
    )
    found = []
    for right, down, anchor in offsets:
        left = x + right - (width if anchor == "end" else 0)
        box = (left - 2, y + down - 11, left + width + 2, y + down + 3)
        if (
            box[0] >= frame.left
            and box[2] <= frame.width
            and box[1] >= frame.top - 4
            and box[3] <= frame.height - frame.bottom
        ):
            found.append((box, (text, round(x + right, 2), round(y + down, 2), anchor)))
    return found


def _label_text(row: TableRow) -> str:
    name = row.point.system.removeprefix("single:")
    name = name if len(name) <= 30 else f"{name[:29]}…"
    return f"{name} · {row.budget_label}" if row.budget_label else name


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def describe(layout: Layout) -> str:
    """The picture in one sentence, for those who do not see it."""
    best = max(
        (mark.row.point for mark in layout.marks if mark.family != "oracle"),
        key=lambda point: point.accuracy,
        default=None,
    )
    if best is None:
        return "No operating points."
    return (
        f"Accuracy over mean list cost of {len(layout.marks)} operating points; the most accurate"
        f" is {best.system} with {percent(best.accuracy)} at {display_usd(best.mean_cost_usd)}"
        " a problem."
    )
