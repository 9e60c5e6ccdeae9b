from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from corl_bench.errors import ConfigError
from corl_bench.results.baseline import (
    baseline_text,
    changes,
    decode_baseline,
    read_baseline,
    read_results,
    write_baseline,
)
from metrics.held_runs import BUDGETS, draw, find, times, truth, turn_wrong, with_point

SYSTEMS = [truth("a", 0.5, 0.001, problems=8), truth("ctl", 0.5, 0.001, problems=8, budget="low")]


def test_a_baseline_is_the_result_set(tmp_path: Path) -> None:
    results = draw(SYSTEMS, 1, samples=3)
    write_baseline(tmp_path / "b.json", results)
    assert read_results(tmp_path / "b.json") == results
    assert baseline_text(read_baseline(tmp_path / "b.json")) == baseline_text(results)


def test_money_keeps_its_last_digit() -> None:
    results = draw(SYSTEMS, 1)
    exact = {id_: (Decimal("0.0000000000000001"),) for id_ in results.outcomes[0].right}
    changed = with_point(results, replace(results.outcomes[0], costs_usd=exact))
    again = decode_baseline(json.loads(baseline_text(changed)))
    assert again.outcomes[0].costs_usd == exact


def test_a_problem_that_turns_is_one_line_of_a_diff() -> None:
    results = draw(SYSTEMS, 1)
    turned = with_point(results, turn_wrong(find(results, "a"), 1))
    before, after = (baseline_text(one).splitlines() for one in (results, turned))
    assert len(before) == len(after)
    assert sum(old != new for old, new in zip(before, after, strict=True)) == 1


def test_changes_are_named() -> None:
    before = draw(SYSTEMS, 1)
    assert list(changes(before, before)) == []
    dearer = times(find(before, "a"), "2")
    after = replace(
        with_point(before, dearer),
        run_id="ba9876543210",
        grader="3",
        budgets=BUDGETS[:1],
        outcomes=(dearer, replace(before.outcomes[1], system="new")),
    )
    said = "\n".join(changes(before, after))
    assert "run: 0123456789ab → ba9876543210" in said
    assert "grader: 2 → 3" in said
    assert "budgets: low $0.001, high $0.01 → low $0.001" in said
    assert "(verdicts of 0 and costs of 8 problems)" in said
    assert "t ctl@low: no longer there" in said
    assert "t new@low: new, " in said


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document["points"][0]["problems"].update(p0000=["1", "-1"]),
        lambda document: document["points"][0]["problems"].update(p0000=["1"]),
        lambda document: document["points"][0]["problems"].update(p0000=["x", "1"]),
        lambda document: document["points"][0]["problems"].update(p0000=["", ""]),
        lambda document: document["points"][0].pop("task"),
        lambda document: document.update(points=3),
        lambda document: document.update(budgets={"low": "1e-3"}),
        lambda document: document.pop("pool"),
        lambda document: document["pool"].update(prices={"nano": {"input": "1"}}),
        lambda document: document.update(tasks={"t": 3}),
    ],
)
def test_what_is_broken_is_said_in_a_line(tmp_path: Path, spoil) -> None:
    document = json.loads(baseline_text(draw(SYSTEMS, 1)))
    spoil(document)
    path = tmp_path / "b.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=r"b.json is broken .* makes it anew"):
        read_results(path)
