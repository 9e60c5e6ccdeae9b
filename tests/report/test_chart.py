from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import combinations, pairwise

import pytest

from corl_bench.report.chart import NARROW, WIDE, Frame, Mark, describe, lay_out
from corl_bench.report.figures import TableRow, budgets_of, put_together
from report.sample_run import sample_run

SUMMARY = sample_run(problems=30, restricted=False).summary
ROWS = put_together(SUMMARY.rows)
BUDGETS = budgets_of(SUMMARY)


def priced(row: TableRow, cost: str) -> TableRow:
    return replace(row, point=replace(row.point, mean_cost_usd=Decimal(cost)))


@pytest.mark.parametrize("frame", [WIDE, NARROW])
def test_everything_stands_inside_the_frame(frame: Frame) -> None:
    layout = lay_out(ROWS, BUDGETS, frame)
    assert len(layout.marks) == len(ROWS)
    for mark in layout.marks:
        assert frame.left <= mark.x <= frame.width - frame.right
        assert frame.top <= mark.high_y <= mark.y <= mark.low_y <= frame.height - frame.bottom
    for tick in (*layout.x_ticks, *layout.budgets):
        assert frame.left <= tick.at <= frame.width - frame.right


def test_dearer_is_further_right_and_better_is_higher() -> None:
    marks = sorted(
        lay_out(ROWS, BUDGETS, WIDE).marks, key=lambda mark: mark.row.point.mean_cost_usd
    )
    assert [mark.x for mark in marks] == sorted(mark.x for mark in marks)
    for one, other in combinations(marks, 2):
        better = one.row.point.accuracy - other.row.point.accuracy
        assert better == 0 or (better > 0) == (one.y < other.y)


def test_the_axis_is_logarithmic() -> None:
    rows = [priced(ROWS[0], cost) for cost in ("0.001", "0.01", "0.1")]
    first, second, third = (mark.x for mark in lay_out(rows, {}, WIDE).marks)
    assert second - first == pytest.approx(third - second, abs=0.02)
    assert "$0.01" in [tick.label for tick in lay_out(rows, {}, WIDE).x_ticks]


@pytest.mark.parametrize("frame", [WIDE, NARROW])
def test_labels_of_the_axis_do_not_touch(frame: Frame) -> None:
    ticks = [tick for tick in lay_out(ROWS, BUDGETS, frame).x_ticks if tick.label]
    assert len(ticks) >= 3
    for one, other in pairwise(ticks):
        assert other.at - one.at > 6 * (len(one.label) + len(other.label)) / 2


def test_what_costs_nothing_stands_apart_from_the_axis() -> None:
    rows = [priced(ROWS[0], "0"), priced(ROWS[1], "0.001"), priced(ROWS[2], "0.002")]
    layout = lay_out(rows, {}, WIDE)
    assert layout.x_ticks[0].label == "$0"
    assert layout.marks[0].x == layout.x_ticks[0].at
    assert layout.marks[0].x + 20 < min(tick.at for tick in layout.x_ticks[1:])


def test_all_free_and_all_equal_points_have_an_axis_too() -> None:
    for cost in ("0", "0.004"):
        layout = lay_out([priced(row, cost) for row in ROWS[:2]], {}, WIDE)
        assert layout.marks[0].x == layout.marks[1].x
        assert any(tick.label for tick in layout.x_ticks)


def _box(mark: Mark, frame: Frame) -> tuple[float, float, float, float]:
    width = frame.letter * len(mark.label)
    left = mark.label_x - (width if mark.anchor == "end" else 0)
    return (left, mark.label_y - 10, left + width, mark.label_y + 2)


@pytest.mark.parametrize("frame", [WIDE, NARROW])
def test_names_cover_neither_each_other_nor_a_mark(frame: Frame) -> None:
    marks = lay_out(ROWS, BUDGETS, frame).marks
    boxes = [_box(mark, frame) for mark in marks if mark.label]
    assert len(boxes) >= len(marks) / 2
    boxes += [(mark.x - 5, mark.y - 5, mark.x + 5, mark.y + 5) for mark in marks]
    labels = sum(bool(mark.label) for mark in marks)
    for (first, one), (second, other) in combinations(enumerate(boxes), 2):
        if first >= labels and second >= labels:
            continue
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, (first, second)


def test_the_step_goes_through_the_frontier_and_leaves_the_oracle_out() -> None:
    layout = lay_out(ROWS, BUDGETS, WIDE)
    corners = {tuple(map(float, corner.split())) for corner in layout.frontier[1:].split("L")}
    for mark in layout.marks:
        assert ((mark.x, mark.y) in corners) == mark.row.on_frontier
    (oracle,) = (mark for mark in layout.marks if mark.family == "oracle")
    assert not oracle.row.on_frontier


def test_points_of_a_system_that_is_told_its_budget_are_joined() -> None:
    layout = lay_out(ROWS, BUDGETS, WIDE)
    points = [f"{mark.x} {mark.y}" for mark in layout.marks if mark.family == "reads"]
    assert layout.strands == ("M" + "L".join(points),)


def test_the_picture_is_told_in_words() -> None:
    words = describe(lay_out(ROWS, BUDGETS, WIDE))
    assert "13 operating points" in words
    assert "oracle" not in words
    assert describe(lay_out([], {}, WIDE)) == "No operating points."
