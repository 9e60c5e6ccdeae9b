from __future__ import annotations

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


def test_rows_that_differ_in_violations_alone_become_one_line() -> None:
    summary = sample_run(problems=10, restricted=False).summary
    lines = put_together(summary.rows)
    blind = next(line for line in lines if line.row.system == "random")
    assert list(blind.violation_rates) == ["low", "medium", "high"]
    told = [line for line in lines if line.row.system == "controller"]
    assert [line.budget_label for line in told] == ["low", "medium", "high"]
    assert [list(line.violation_rates) for line in told] == [["low"], ["medium"], ["high"]]
    assert len(lines) == 13


def test_the_frontier_is_drawn_for_each_task_by_itself() -> None:
    lines = put_together(sample_run(problems=10).summary.rows)
    for task in ("synth", "contest"):
        own = [line for line in lines if line.row.task == task and not line.row.oracle]
        best = max(own, key=lambda line: (line.row.accuracy, -line.row.mean_cost_usd))
        cheapest = min(own, key=lambda line: line.row.mean_cost_usd)
        assert best.on_frontier
        assert cheapest.on_frontier
    assert not any(line.on_frontier for line in lines if line.row.oracle)
