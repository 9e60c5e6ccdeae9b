from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.experts.pools import load_pool
from corl_train.diagnosis import SHORT_WINDOW, WINDOW, Finding, changes, dearest, diagnose
from training.made_up_run import line, lines

POOL = load_pool("sim")
BUDGETS = ("low", "medium", "high")


def alike(**figures: Any) -> dict[str, dict[str, Any]]:
    """The same at every budget."""
    return dict.fromkeys(BUDGETS, figures)


def kinds(rows: list[dict[str, Any]], iterations: int = 60) -> list[str]:
    return [finding.kind for finding in diagnose(rows, POOL, iterations=iterations)]


def test_nothing_is_wrong_with_a_run_that_goes_well() -> None:
    assert kinds(lines(40)) == []


def test_there_must_be_enough_to_look_at() -> None:
    hopeless = alike(reward=0.0, accuracy=0.0, calls={}, invalid=3.0)
    assert kinds([]) == []
    assert kinds(lines(SHORT_WINDOW - 1, budgets=hopeless)) == []
    early = kinds(lines(SHORT_WINDOW, budgets=hopeless))
    assert set(early) == {"all-zero-reward", "format-collapse"}
    assert "never-call" not in kinds(lines(WINDOW - 1, budgets=hopeless))
    assert "never-call" in kinds(lines(WINDOW, budgets=hopeless))


def test_equal_prices_are_equally_dear() -> None:
    assert dearest(POOL) == ("large", "reasoner")
    cheap = replace(POOL, experts=tuple(e for e in POOL.experts if e.name in ("self", "nano")))
    assert dearest(cheap) == ()  # nothing is cheaper: to call it always is no mistake


@pytest.mark.parametrize(
    ("calls", "found"),
    [
        ({"large": 1.0}, True),
        ({"large": 0.5, "reasoner": 0.45, "mini": 0.05}, True),
        ({"large": 0.92, "mini": 0.08, "self": 1.0}, True),  # its own attempt is no call
        ({"large": 0.8, "mini": 0.2}, False),
        ({"mini": 1.0}, False),
    ],
)
def test_always_largest(calls: dict[str, float], found: bool) -> None:
    rows = lines(WINDOW, budgets=alike(calls=calls, mean_cost_usd=0.006))
    assert ("always-largest" in kinds(rows)) == found


def test_a_cheap_budget_that_is_spared_is_not_always_largest() -> None:
    dear = {"calls": {"large": 1.0}}
    rows = lines(WINDOW, budgets={"low": {"calls": {"nano": 1.0}}, "medium": dear, "high": dear})
    assert kinds(rows) == []


def test_always_largest_is_not_told_a_second_time_as_a_budget_that_is_ignored() -> None:
    rows = lines(WINDOW, budgets=alike(calls={"large": 1.0}, mean_cost_usd=0.006))
    (finding,) = diagnose(rows, POOL, iterations=60)
    assert finding.kind == "always-largest"
    assert "100%" in finding.what
    assert "large or reasoner" in finding.what


@pytest.mark.parametrize(
    ("calls", "found"),
    [({}, True), ({"self": 1.0, "nano": 0.01}, True), ({"nano": 0.2}, False)],
)
def test_never_call(calls: dict[str, float], found: bool) -> None:
    budgets = {"low": {"calls": {}}, "medium": {"calls": {}}, "high": {"calls": calls}}
    assert ("never-call" in kinds(lines(WINDOW, budgets=budgets))) == found


@pytest.mark.parametrize(
    ("budgets", "found"),
    [
        # One cheap call whatever the budget: nothing is broken, nothing is used.
        (alike(mean_cost_usd=0.0002, calls={"nano": 1.0}), True),
        # The calls differ, the spend does not, and a budget is broken.
        (
            {
                "low": {"mean_cost_usd": 0.003, "violation_rate": 0.6},
                "high": {"mean_cost_usd": 0.0032},
            },
            True,
        ),
        # The calls differ, and every budget is kept: equal spend may be chance.
        ({"low": {"mean_cost_usd": 0.003}, "high": {"mean_cost_usd": 0.0032}}, False),
        # The spend follows the budget.
        ({"low": {"violation_rate": 0.6}, "high": {}}, False),
        # One budget cannot be ignored for another.
        ({"low": {"violation_rate": 0.6}}, False),
    ],
)
def test_budget_ignored(budgets: dict[str, dict[str, Any]], found: bool) -> None:
    assert ("budget-ignored" in kinds(lines(WINDOW, budgets=budgets))) == found


def test_all_zero_reward_is_said_of_each_budget_with_its_reason() -> None:
    budgets = {
        "low": {"reward": 0.0, "accuracy": 0.7, "violation_rate": 1.0},
        "medium": {"reward": 0.0, "accuracy": 0.0},
        "high": {},
    }
    low, medium = diagnose(lines(SHORT_WINDOW, budgets=budgets), POOL, iterations=60)
    assert (low.kind, low.budget, medium.budget) == ("all-zero-reward", "low", "medium")
    assert "850 episodes" in low.what
    assert "70.0% right, 100.0% over the budget" in low.what
    assert "raise the budget" in low.advice
    assert "warm start" in medium.advice


def test_one_reward_in_the_window_is_not_none() -> None:
    rows = lines(SHORT_WINDOW, budgets={"low": {"reward": 0.0}, "high": {}})
    rows[1]["train"][0]["reward"] = 1 / 170
    assert kinds(rows) == []


@pytest.mark.parametrize(("invalid", "found"), [(0.7, True), (0.3, False)])
def test_format_collapse(invalid: float, found: bool) -> None:
    rows = lines(SHORT_WINDOW, budgets={"low": {"invalid": invalid}, "high": {}})
    assert ("format-collapse" in kinds(rows)) == found


@pytest.mark.parametrize(
    ("figures", "iterations", "found"),
    [
        ({"entropy": 0.001}, 60, ["entropy-collapse"]),
        ({"entropy": 0.001}, 6, []),  # at the end it may be sure of itself
        ({"entropy": 0.2}, 60, []),
        ({"kl": 5.0}, 60, ["kl-explosion"]),
        ({"kl": 0.8}, 60, []),
        ({"entropy": None, "kl": math.nan}, 60, []),
    ],
)
def test_figures_of_the_update(figures: dict[str, Any], iterations: int, found: list[str]) -> None:
    assert kinds(lines(SHORT_WINDOW, **figures), iterations) == found


def test_what_the_warm_start_has_reached_is_no_iteration() -> None:
    zero = {"iteration": 0, "cpu_s": 1.0, "train": [], "validation": []}
    assert kinds([zero]) == []
    hopeless = alike(reward=0.0, accuracy=0.0, calls={}, value_error=2.0)
    assert kinds([zero, *lines(SHORT_WINDOW - 1, budgets=hopeless)]) == []
    assert "blind-critic" in kinds([zero, *lines(WINDOW, value_error=2.0)])


def test_one_spike_is_no_explosion() -> None:
    rows = lines(SHORT_WINDOW, kl=0.5)
    rows[2]["kl"] = 40.0
    assert kinds(rows) == []


@pytest.mark.parametrize(
    ("value_error", "found"), [(1.2, True), (0.95, False), (math.nan, False), (None, False)]
)
def test_blind_critic(value_error: float | None, found: bool) -> None:
    assert ("blind-critic" in kinds(lines(WINDOW, value_error=value_error))) == found


def test_only_the_last_iterations_count() -> None:
    bad = lines(WINDOW, budgets=alike(calls={"large": 1.0}, mean_cost_usd=0.006))
    assert kinds(bad) == ["always-largest"]
    mended = [line(WINDOW + place) for place in range(1, WINDOW + 1)]
    assert kinds([*bad, *mended]) == []


def test_iterations_count_by_their_episodes() -> None:
    rows = lines(SHORT_WINDOW, budgets={"low": {"invalid": 0.0}})
    rows[0]["train"][0] |= {"invalid": 1.0, "episodes": 170 * 40}
    assert kinds(rows) == ["format-collapse"]
    rows[0]["train"][0]["episodes"] = 170
    assert kinds(rows) == []


def test_what_is_new_and_what_is_gone() -> None:
    zero = Finding("all-zero-reward", "no reward", "a larger budget", "low")
    elsewhere = replace(zero, budget="high")
    critic = Finding("blind-critic", "1.2", "more episodes")
    assert changes([], [zero]) == ([zero], [])
    assert changes([zero], [replace(zero, what="still none")]) == ([], [])
    assert changes([zero, critic], [elsewhere, critic]) == ([elsewhere], [zero])


def test_findings_are_one_line_each_and_fit_into_json() -> None:
    hopeless = alike(reward=0.0, accuracy=0.0, calls={}, invalid=3.0, violation_rate=1.0)
    rows = lines(WINDOW, budgets=hopeless, kl=9.0, entropy=0.0, value_error=3.0)
    found = diagnose(rows, POOL, iterations=60)
    assert len(found) == 3 + 5
    for finding in found:
        assert "\n" not in finding.what + finding.advice
        assert Finding(**json.loads(json.dumps(asdict(finding)))) == finding


def test_a_real_run_that_has_not_learned_to_speak(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from corl_train.config import load_recipe
    from corl_train.report.html import report_run
    from corl_train.runs.files import read_metrics
    from corl_train.trainer import train

    torch.set_num_threads(1)
    small = [
        f"training.iterations={SHORT_WINDOW}",
        "training.episodes=12",
        "policy.width=16",
        "policy.heads=2",
        "policy.depth=1",
        "policy.words=20",
        "warm_start.episodes=0",
        "schedule.validation_problems=2",
    ]
    train(load_recipe("quickstart", settings=small), tmp_path / "run", seed=0)
    rows = read_metrics(tmp_path / "run")
    found = {finding.kind for finding in diagnose(rows, POOL, iterations=SHORT_WINDOW)}
    assert {"format-collapse", "all-zero-reward"} <= found
    # What the trainer has written is what the report reads.
    page = report_run(tmp_path / "run").read_text(encoding="utf-8")
    assert "format-collapse" in page
    assert '<article class="rollout">' in page


def test_budgets_that_hold_on_average_are_held_to_it() -> None:
    """Where a budget is a limit of each episode, its mean is nobody's business."""
    means_usd = {"low": Decimal("0.001"), "medium": Decimal("0.001")}
    budgets = {
        **alike(mean_cost_usd=0.0011),
        "medium": {"mean_cost_usd": 0.0013},
        "high": {"mean_cost_usd": 0.5},
    }
    rows = lines(SHORT_WINDOW, budgets=budgets)
    (found,) = diagnose(rows, POOL, iterations=60, means_usd=means_usd)
    assert found.kind == "overspent" and found.budget == "medium"
    assert "$0.0013" in found.what and diagnose(rows, POOL, iterations=60) == []
