"""One chart over iterations: where its lines, marks, ticks and names stand.

A line is what the rollouts of each iteration did, a mark what a validation found. Long runs are
drawn as means of neighbouring iterations, so that a page stays small. This module computes
positions; the page draws them.

    picture = lay_out(panel, last_iteration=60)
    picture.curves[0].path        # SVG path data
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from corl_bench.report.axes import Frame, Place, Tick, path_data
from corl_train.report.axes import Axis, dollar_axis, iteration_axis, linear_axis

FRAME = Frame("panel", 380, 236, left=50, right=78, top=12, bottom=30, letter=6.2)
"""One size for every screen: panels stand side by side on a wide one."""
MOST_PLACES = 240
"""Of one line; more could hardly be told apart."""
MOST_MARKS = 30
"""Of one series; more would cover its line."""
LINE_HEIGHT = 13.0
LONGEST_NAME = 9
"""Characters of a name beside its line; the readings and the tables have all of it."""


@dataclass(frozen=True, slots=True)
class Series:
    """One thing that is measured, over iterations."""

    name: str
    """Empty where it is the only one of its panel."""
    hue: int
    """Index into the page's colours."""
    points: Sequence[tuple[float, float]]
    """(iteration, figure) in order; finite."""
    marks: Sequence[tuple[float, float]] = ()
    """(iteration, figure) of validations."""


@dataclass(frozen=True, slots=True)
class Panel:
    """What one chart shows."""

    title: str
    about: str
    """What the figure means, in a line."""
    series: Sequence[Series]
    said: Callable[[float], str]
    """A figure in words."""
    label: Callable[[float], str]
    """A step of the axis in words."""
    ceiling: float = math.inf
    is_dollars: bool = False
    budgets: Sequence[tuple[str, float]] = ()
    """Dollars that are drawn across, with their names."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A series in the units of the view box."""

    name: str
    shown_name: str
    hue: int
    path: str
    marks: tuple[Place, ...]
    label_y: float
    """Where its name stands, right of the plot."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart, ready to be drawn."""

    panel: Panel
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    curves: tuple[Curve, ...]
    budgets: tuple[Tick, ...]
    described: str
    """The chart in a sentence or two, for those who do not see it."""
    readings: Sequence[tuple[float, str, Sequence[str]]] = field(repr=False)
    """For a pointer: a place across, what it is, and a line for each series."""
    iterations_a_place: int
    """1, or how many iterations each place of a line is the mean of."""
    validations_a_mark: int
    """Likewise."""


def lay_out(panel: Panel, *, last_iteration: int) -> Picture:
    """Places a panel on its axes.

    Args:
        panel: each of its series has a point or a mark.
        last_iteration: where the axis of iterations ends, the same in all panels.
    """
    floor, right = FRAME.height - FRAME.bottom, FRAME.width - FRAME.right
    across = iteration_axis(last_iteration, FRAME.left, right)
    per_place = max(1, math.ceil(last_iteration / MOST_PLACES))
    per_mark = max(1, *(math.ceil(len(one.marks) / MOST_MARKS) for one in panel.series))
    series = [
        replace(one, points=thin(one.points, per_place), marks=thin(one.marks, per_mark))
        for one in panel.series
    ]
    figures = [figure for one in series for _, figure in (*one.points, *one.marks)]
    up = (
        dollar_axis([*figures, *(usd for _, usd in panel.budgets)], floor, FRAME.top)
        if panel.is_dollars
        else linear_axis(figures, floor, FRAME.top, label=panel.label, ceiling=panel.ceiling)
    )

    def places(points: Sequence[tuple[float, float]]) -> tuple[Place, ...]:
        return tuple((across.at(iteration), up.at(figure)) for iteration, figure in points)

    ends = [up.at((one.points or one.marks)[-1][1]) for one in series]
    return Picture(
        panel=panel,
        x_ticks=across.ticks,
        y_ticks=up.ticks,
        curves=tuple(
            Curve(
                name=one.name,
                shown_name=_cut(one.name),
                hue=one.hue,
                path=_path(places(one.points)),
                marks=places(one.marks),
                label_y=label_y,
            )
            for one, label_y in zip(series, _spread(ends, FRAME.top, floor), strict=True)
        ),
        budgets=tuple(Tick(up.at(usd), name) for name, usd in panel.budgets),
        described=_describe(panel),
        readings=_readings(panel, series, across),
        iterations_a_place=per_place,
        validations_a_mark=per_mark,
    )


def thin(points: Sequence[tuple[float, float]], count: int) -> list[tuple[float, float]]:
    """Means over `count` neighbours, each at the middle of its iterations; the rest is the last."""
    groups = [points[start : start + count] for start in range(0, len(points), count)]
    return [
        (
            math.fsum(iteration for iteration, _ in group) / len(group),
            math.fsum(figure for _, figure in group) / len(group),
        )
        for group in groups
    ]


def _path(places: Sequence[Place]) -> str:
    """A single place is a line of no length, which a round cap shows as a dot."""
    return path_data(places) + "h0" if len(places) == 1 else path_data(places)


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _spread(wanted: Sequence[float], top: float, floor: float) -> list[float]:
    """Places for names as near as can be to where their lines end, none over another."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    places = [0.0] * len(wanted)
    below = top - LINE_HEIGHT
    for index in order:
        below = places[index] = max(wanted[index], below + LINE_HEIGHT)
    limit = max(floor, top + LINE_HEIGHT * (len(wanted) - 1))
    for index in reversed(order):
        places[index] = min(places[index], limit)
        limit = places[index] - LINE_HEIGHT
    return [round(place, 2) for place in places]


def _describe(panel: Panel) -> str:
    parts = []
    for series in panel.series:
        points = series.points or series.marks
        (first, was), (last, became) = points[0], points[-1]
        name = f"{series.name}: " if series.name else ""
        parts.append(
            f"{name}{panel.said(was)} at iteration {first:g}, {panel.said(became)} at {last:g}"
        )
    return f"{panel.title}. {'; '.join(parts)}."


def _readings(
    panel: Panel, series: Sequence[Series], across: Axis
) -> list[tuple[float, str, list[str]]]:
    found: dict[float, dict[str, list[str]]] = {}
    for one in series:
        name = one.name or panel.title
        for iteration, figure in one.points:
            found.setdefault(iteration, {}).setdefault(name, []).append(panel.said(figure))
        for iteration, figure in one.marks:
            said = f"validation {panel.said(figure)}"
            found.setdefault(iteration, {}).setdefault(name, []).append(said)
    return [
        (
            across.at(iteration),
            f"Iteration {iteration:,.0f}",
            [f"{name}\t{' · '.join(said)}" for name, said in found[iteration].items()],
        )
        for iteration in sorted(found)
    ]
