from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from corl_bench.report.figures import (
    counted,
    interval,
    percent,
    put_together,
    rough_percent,
    seconds,
)
from report.sample_run import sample_run


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "–"), (0.0123, "0.012 s"), (0.0999, "0.1 s"), (1.44, "1.4 s"), (9.96, "10 s"),
     (87.4, "87 s"), (3600.0, "3,600 s")],
)  # fmt: skip
def test_seconds_have_the_digits_that_matter(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (0.00001, "0.1%"), (0.004, "0.4%"), (0.0996, "10%"), (0.5, "50%"),
     (0.998, "99.9%"), (1, "100%")],
)  # fmt: skip
def test_a_rate_is_none_or_all_only_where_it_is_so(share: float, text: str) -> None:
    assert rough_percent(share) == text


def test_shares_and_counts_read_well() -> None:
    assert percent(0.7123) == "71.2%"
    assert interval((0, 1)) == "[0.0, 100.0]"
    assert counted(1, "problem") == "1 problem"
    assert counted(1319, "problem") == "1,319 problems"


def test_points_that_differ_in_violations_alone_become_one_row() -> None:
    summary = sample_run(problems=10, restricted=False).summary
    rows = put_together(summary.rows)
    blind = next(row for row in rows if row.point.system == "random")
    assert list(blind.violation_rates) == ["low", "medium", "high"]
    told = [row for row in rows if row.point.system == "controller"]
    assert [row.budget_label for row in told] == ["low", "medium", "high"]
    assert [list(row.violation_rates) for row in told] == [["low"], ["medium"], ["high"]]
    assert len(rows) == 13


def test_the_frontier_is_drawn_for_each_task_by_itself() -> None:
    rows = put_together(sample_run(problems=10).summary.rows)
    for task in ("synth", "contest"):
        own = [row for row in rows if row.point.task == task and not row.point.oracle]
        best = max(own, key=lambda row: (row.point.accuracy, -row.point.mean_cost_usd))
        cheapest = min(own, key=lambda row: row.point.mean_cost_usd)
        assert best.on_frontier
        assert cheapest.on_frontier
    assert not any(row.on_frontier for row in rows if row.point.oracle)


def test_a_system_with_nothing_but_errors_is_on_no_frontier() -> None:
    points = sample_run().summary.rows
    first = points[0]
    failed = [
        replace(point, errors=point.episodes, accuracy=0.0, mean_cost_usd=Decimal(0))
        for point in points
        if (point.task, point.system) == (first.task, first.system)
    ]
    others = [p for p in points if p.task == first.task and p.system != first.system]
    rows = put_together([*failed, *others])
    assert not rows[0].on_frontier
    assert any(row.on_frontier for row in rows)
