from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.experts.pools import load_pool
from corl_bench.runs.plan import Plan, make_plan, parse_budgets


@pytest.fixture(scope="module")
def sim() -> Pool:
    return load_pool("sim")


def plan(sim: Pool, **changes: object) -> Plan:
    options: dict[str, object] = {
        "tasks": ["synth"],
        "pool": sim,
        "systems": [],
        "budget": None,
        "samples": 1,
        "seed": 0,
        "limit": 4,
        "mode": "auto",
        "data_dir": None,
    }
    return make_plan(**{**options, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", []),
        ("0.002", [("0.002", "0.002")]),
        ("low=0.0005,high=0.01", [("low", "0.0005"), ("high", "0.01")]),
        ("high", [("high", "0.02")]),
        ("low, 0.5", [("low", "0.0006"), ("0.5", "0.5")]),
    ],
)
def test_budgets_as_a_user_writes_them(
    sim: Pool, text: str, expected: list[tuple[str, str]]
) -> None:
    found = [(budget.name, budget.usd) for budget in parse_budgets(text, sim)]
    assert found == [(name, Decimal(usd)) for name, usd in expected]


@pytest.mark.parametrize("text", ["", "lwo", "low=", "=1", "a=1,a=2", "-1", "a=nan", "a=1e-3x"])
def test_a_budget_that_cannot_be_read_is_one_line(sim: Pool, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_budgets(text, sim)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("low=0.001,none", "none stands alone"),
        ("none,low", "none stands alone"),
        ("1,000", "write 1000"),
        ("12,000,000.5", "write 12000000.5"),
        ("0", "allows no call"),
        ("low=0.0", "allows no call"),
    ],
)
def test_a_budget_that_would_not_be_what_was_meant_is_refused(
    sim: Pool, text: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_budgets(text, sim)


def test_without_a_system_mode_live_has_every_baseline_but_the_oracle(sim: Pool) -> None:
    live, auto = plan(sim, mode="live"), plan(sim)
    assert [*live.systems, auto.systems[-1]] == list(auto.systems)
    assert auto.systems[-1].is_oracle
    with pytest.raises(ConfigError, match="oracle"):
        plan(sim, mode="live", systems=["oracle"])


def test_files_of_one_name_are_told_apart_by_their_paths(
    sim: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        Path(folder).mkdir()
        Path(folder, "x.jsonl").write_text('{"problem": "1+1?", "answer": "2"}\n')
    both = plan(sim, tasks=["a/x.jsonl", "b/x.jsonl"])
    assert [task.label for task in both.tasks] == ["a/x.jsonl", "b/x.jsonl"]
    assert both.default_directory().parent == Path("runs")
    assert [task.label for task in plan(sim, tasks=["a/x.jsonl"]).tasks] == ["x"]
    for twice in (["a/x.jsonl", "a/x.jsonl"], ["synth", "synth"]):
        with pytest.raises(ConfigError, match="named twice"):
            plan(sim, tasks=twice)


def test_jobs_go_problem_by_problem_and_oracles_come_last(sim: Pool) -> None:
    jobs = list(plan(sim, systems=["oracle", "single:nano", "random"], samples=2).jobs())
    assert len(jobs) == 4 * 2 * 3
    assert [job.system.name for job in jobs[:4]] == ["single:nano", "random"] * 2
    assert {job.system.name for job in jobs[-8:]} == {"oracle"}
    assert len({job.key for job in jobs}) == len(jobs)


def test_whatever_decides_a_result_is_part_of_the_identity(sim: Pool) -> None:
    base = plan(sim)
    other_price = replace(sim.experts[1].price, model="other", output_usd_per_mtok=Decimal("9"))
    experts = (sim.experts[0], replace(sim.experts[1], price=other_price), *sim.experts[2:])
    others = [
        plan(sim, seed=1),
        plan(sim, limit=5),
        plan(sim, samples=2),
        plan(sim, mode="record"),
        plan(sim, budget="none"),
        plan(sim, systems=["single:*"]),
        plan(sim, tasks=["synth:validation"]),
        plan(replace(sim, experts=experts)),
    ]
    assert plan(sim).run_id == base.run_id
    assert len({base.run_id, *(other.run_id for other in others)}) == len(others) + 1
