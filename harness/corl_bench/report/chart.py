"""The cost-accuracy picture: where every mark, whisker, curve, tick and label of it stands.

Accuracy over mean list cost, dollars on a log axis, with the frontier that coins between the
systems reach, its band, and the coin between single experts. This module computes positions;
the page draws them. The same picture is laid out for a wide and for a narrow screen, since text
does not survive scaling.

    layout = lay_out(rows, budgets, WIDE)
    layout.marks[0].x, layout.marks[0].y      # in the units of the SVG's view box
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from corl_bench.metrics.assessment import Band
from corl_bench.metrics.frontier import CoinFrontier
from corl_bench.money.amounts import display_usd
from corl_bench.money.basis import is_known
from corl_bench.report.axes import NARROW as NARROW
from corl_bench.report.axes import WIDE as WIDE
from corl_bench.report.axes import Box as Box
from corl_bench.report.axes import DollarAxis as DollarAxis
from corl_bench.report.axes import Frame as Frame
from corl_bench.report.axes import Place as Place
from corl_bench.report.axes import ShareAxis as ShareAxis
from corl_bench.report.axes import Tick as Tick
from corl_bench.report.axes import band_path, curve_places, path_data
from corl_bench.report.figures import TableRow, counted
from corl_bench.report.points import (
    Anchor,
    Family,
    boxes_along,
    describe_points,
    family_of,
    place_labels,
    strand_paths,
)
from corl_bench.results.outcomes import is_single


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
    """Path data of what coins between all systems but oracles reach; empty without points."""
    band: str
    """Path data of its interval; empty where none was given."""
    coin: str
    """Path data of what coins between single experts reach; empty where that is the frontier."""
    strands: tuple[str, ...]
    """Path data that joins one system's points from its lowest to its highest budget."""


def family(row: TableRow) -> Family:
    """What kind of system a row is about, for its shape and colour."""
    return family_of(
        is_oracle=row.point.oracle,
        told_budget=row.point.told_budget,
        is_single=is_single(row.point.system),
        is_cost_known=is_known(row.point.cost_basis),
    )


def lay_out(
    rows: Sequence[TableRow],
    budgets: Mapping[str, Decimal],
    frame: Frame,
    band: Band | None = None,
) -> Layout:
    """Places the operating points of one task.

    Args:
        rows: of one task.
        budgets: dollars by name; those inside the axis become upright rules.
        frame: size and margins.
        band: of the frontier, over `spend_range` of the same rows.
    """
    dollars = _dollar_axis(rows, frame)
    share = ShareAxis(
        [row.point.accuracy_interval for row in rows], frame.height - frame.bottom, frame.top
    )
    places = [(dollars.at(row.point.mean_cost_usd), share.at(row.point.accuracy)) for row in rows]
    ends = [tuple(map(share.at, row.point.accuracy_interval)) for row in rows]
    frontier = coin_frontier([row for row in rows if row.competes])
    coin = coin_frontier([row for row in rows if row.competes and family(row) == "single"])
    curve = curve_places(frontier, dollars, share)
    drawn = [
        (x - 2, high_y, x + 2, low_y) for (x, _), (low_y, high_y) in zip(places, ends, strict=True)
    ]
    labels = place_labels(
        [(_label_text(row), row.on_frontier) for row in rows],
        places,
        [*drawn, *boxes_along(curve)],
        frame,
    )
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
        frontier=path_data(curve),
        band="" if band is None else band_path(band, dollars, share),
        coin=""
        if len(coin.members) < 2 or coin.costs_usd.tolist() == frontier.costs_usd.tolist()
        else path_data(curve_places(coin, dollars, share)),
        strands=strand_paths(
            (row.point.system, row.point.budget_usd if row.point.told_budget else None, place)
            for row, place in zip(rows, places, strict=True)
        ),
    )


def _dollar_axis(rows: Sequence[TableRow], frame: Frame) -> DollarAxis:
    return DollarAxis(
        [row.point.mean_cost_usd for row in rows], frame.left, frame.width - frame.right
    )


def spend_range(rows: Sequence[TableRow]) -> tuple[float, float]:
    """Dollars at both ends of the axis on which these rows stand, in any frame."""
    return _dollar_axis(rows, WIDE).range_usd


def coin_frontier(rows: Sequence[TableRow]) -> CoinFrontier:
    """What coins between the points of some rows reach."""
    return CoinFrontier.of(
        [float(row.point.mean_cost_usd) for row in rows], [row.point.accuracy for row in rows]
    )


def _label_text(row: TableRow) -> str:
    name = row.point.system.removeprefix("single:")
    name = name if len(name) <= 30 else f"{name[:29]}…"
    return f"{name} · {row.budget_label}" if row.budget_label else name


def describe(layout: Layout) -> str:
    """The picture in one sentence, for those who do not see it."""
    best = max(
        (mark.row.point for mark in layout.marks if mark.family != "oracle"),
        key=lambda point: point.accuracy,
        default=None,
    )
    if best is None:
        return "No operating points."
    return describe_points(
        counted(len(layout.marks), "operating point"),
        best.system,
        best.accuracy,
        display_usd(best.mean_cost_usd),
    )
