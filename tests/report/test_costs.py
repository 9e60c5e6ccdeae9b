"""Costs that are not metered: marked wherever they stand, and never ranked."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from corl_bench.errors import ConfigError
from corl_bench.metrics.assessment import assess
from corl_bench.metrics.gating.gate import hold_against
from corl_bench.metrics.gating.regression import pair_up
from corl_bench.metrics.panel import make_panel
from corl_bench.metrics.summary import SystemTraits, summarise
from corl_bench.money.basis import COST_BASES, CostBasis
from corl_bench.report.chart import family
from corl_bench.report.figures import cost_words, legend, put_together
from corl_bench.report.screen import Screen
from corl_bench.report.terminal import render_table
from corl_bench.results import (
    CallRecord,
    ChargeRecord,
    EpisodeRecord,
    Summary,
    decode_summary,
    encode_summary,
)
from corl_bench.results.baseline import baseline_text, decode_baseline
from corl_bench.results.outcomes import Outcomes, ResultSet, collect_outcomes
from corl_bench.types import Budget

PROBLEMS = 40


def episodes(system: str, basis: CostBasis, usd: str, right: int) -> list[EpisodeRecord]:
    call = CallRecord("x", "m", "ok", list_cost_usd=Decimal(usd), basis=basis, id="c.0")
    if basis == "stated":
        call = replace(call, basis="metered")
    fee = ChargeRecord("router fee", Decimal("0.001"), "stated", id="fee-1.0")
    return [
        EpisodeRecord(
            task="t",
            problem_id=f"p{number:02}",
            system=system,
            budget=None,
            budget_usd=None,
            sample=0,
            verdict="correct" if number < right else "wrong",
            answer="1",
            response="1",
            calls=(call,),
            charges=(fee,) if basis == "stated" else (),
        )
        for number in range(PROBLEMS)
    ]


SYSTEMS: dict[str, CostBasis] = {
    "single:a": "metered",
    "single:b": "metered",
    "with-fee": "stated",
    "says-so": "self_reported",
    "silent": "opaque",
}
EPISODES = [
    *episodes("single:a", "metered", "0.001", 10),
    *episodes("single:b", "metered", "0.01", 25),
    *episodes("with-fee", "stated", "0.004", 20),
    # Both would be on the frontier, if what they say were true.
    *episodes("says-so", "self_reported", "0.0001", 39),
    *episodes("silent", "opaque", "0", 38),
]


@pytest.fixture
def summary() -> Summary:
    return Summary(
        run_id="r",
        simulated=False,
        finished=True,
        tasks={"t": {"title": "t", "problems": PROBLEMS}},
        rows=summarise(
            EPISODES,
            tasks=["t"],
            systems={name: SystemTraits() for name in SYSTEMS},
            budgets=[Budget("low", Decimal("0.005"))],
        ),
        list_cost_usd=Decimal(1),
        billed_cost_usd=Decimal(1),
        unsettled_usd=Decimal(0),
        unsettled_attempts=0,
        attempts=1,
    )


def results() -> ResultSet:
    return ResultSet(
        name="r",
        run_id="r",
        task_digests={"t": "sha256:0"},
        pool_digest="p",
        prices={},
        grader="1",
        budgets=(Budget("low", Decimal("0.005")),),
        simulated=False,
        outcomes=collect_outcomes(EPISODES),
    )


def point(system: str) -> Outcomes:
    (found,) = (outcomes for outcomes in results().outcomes if outcomes.system == system)
    return found


def test_points_know_where_their_costs_come_from_and_come_back(summary: Summary) -> None:
    assert {row.system: row.cost_basis for row in summary.rows} == SYSTEMS
    assert [row.fees_usd for row in summary.rows] == [0, 0, Decimal("0.04"), 0, 0]
    encoded = encode_summary(summary)
    assert decode_summary(encoded) == summary
    assert "cost_basis" not in encoded["rows"][0]
    assert "fees_usd" not in encoded["rows"][0]
    assert decode_baseline_of(results()) == results()


def decode_baseline_of(found: ResultSet) -> ResultSet:
    import json

    return decode_baseline(json.loads(baseline_text(found)))


def test_the_table_marks_them_and_leaves_them_out_of_the_comparison(summary: Summary) -> None:
    rows = {row.point.system: row for row in put_together(summary.rows)}
    assert [name for name, row in rows.items() if row.on_frontier] == [
        "single:a",
        "single:b",
        "with-fee",
    ]
    assert {name: cost_words(row.point) for name, row in rows.items()} == {
        "single:a": "$0.00100",
        "single:b": "$0.0100",
        "with-fee": "$0.00500 †",
        "says-so": "$0.000100 ‡",
        "silent": "opaque §",
    }
    assert [family(row) for row in rows.values()][2:] == ["fixed", "reported", "reported"]
    text = render_table(summary, Screen(width=None, colour=False))
    for mark, system in (("†", "with-fee"), ("‡", "says-so"), ("§", "silent")):
        assert f"{mark} The cost of {system}" in " ".join(text.split())
    assert "self-reported" not in " ".join(legend(replace(summary, rows=summary.rows[:2])))


def test_what_is_partly_opaque_says_what_is_known(summary: Summary) -> None:
    silent = summary.rows[-1]
    partly = replace(silent, mean_cost_usd=Decimal("0.5"))
    assert (cost_words(silent), cost_words(partly)) == ("opaque §", "≥ $0.500 §")


def test_an_assessment_neither_ranks_nor_mixes_them() -> None:
    panel = make_panel(results().outcomes)
    found = assess(panel, window_usd=(0.001, 0.01), resamples=200)
    points = {assessed.label: assessed for assessed in found.points}
    assert not points["says-so"].on_frontier
    assert points["says-so"].gain_over_coin is None
    assert points["says-so"].coin_words == "costs self-reported, compared with no coin"
    assert points["silent"].coin_words == "costs opaque, compared with no coin"
    assert points["with-fee"].gain_over_coin is not None
    without = assess(
        make_panel([point(name) for name in ("single:a", "single:b", "with-fee")]),
        window_usd=(0.001, 0.01),
        resamples=200,
    )
    # Nothing that they say moves the others.
    assert found.frontier.costs_usd.tolist() == without.frontier.costs_usd.tolist()
    assert found.area_linear == without.area_linear
    assert found.oracle_gap is None
    with pytest.raises(ConfigError, match="cannot mix says-so, whose costs are self-reported"):
        assess(panel, window_usd=(0.001, 0.01), coin=("says-so",), resamples=200)


def test_a_gate_says_that_it_does_not_look_at_them() -> None:
    labels = [pair.baseline.label for pair in pair_up(results(), results())]
    assert labels == ["single:a", "single:b", "with-fee"]
    gate = hold_against(results(), results())
    assert "t: says-so is not compared, for its costs are self-reported." in gate.notes
    assert "t: silent is not compared, for its costs are opaque." in gate.notes


@pytest.mark.parametrize("basis", COST_BASES)
def test_a_run_of_one_system_has_a_table_whatever_its_costs(basis: CostBasis) -> None:
    alone: Any = summarise(
        episodes("only", basis, "0.1", 5), tasks=["t"], systems={"only": SystemTraits()}
    )
    (row,) = put_together(alone)
    assert row.on_frontier == (basis in ("metered", "stated"))
