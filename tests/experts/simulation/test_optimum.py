"""The optimum against an enumeration of everything, against real draws, and its tables."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from decimal import Decimal

import pytest

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool, Request
from corl_bench.experts.simulation.book import ProblemBook
from corl_bench.experts.simulation.optimum import (
    BudgetResult,
    OptimumReport,
    budgets_of,
    cells_of,
    declared_cells,
    describe_optimum,
    optimum,
)
from corl_bench.experts.simulation.policy import OptimalPolicy, Seen
from corl_bench.experts.simulation.provider import SimulatedProvider
from corl_bench.experts.simulation.tables import Cell, read_simulation
from corl_bench.types import Budget, Message, Problem
from experts.simulation.enumeration import TINY, TINY_CELL, enumerated

NAMED = ("low", "medium", "high")


@pytest.fixture(scope="module")
def report(sim_pool: Pool) -> OptimumReport:
    return optimum(sim_pool, declared_cells(sim_pool), budgets_of(sim_pool))


def _by_name(report: OptimumReport) -> dict[str, BudgetResult]:
    return {r.budget.name if r.budget else "none": r for r in report.budgets}


# ── the design of the tables ────────────────────────────────────────────────────────────────


def test_every_trivial_policy_falls_to_nine_tenths_at_some_named_budget(
    report: OptimumReport,
) -> None:
    results = [_by_name(report)[name] for name in NAMED]
    fractions: dict[str, list[float]] = {}
    for result in results:
        for trivial in result.trivial:
            fractions.setdefault(trivial.policy, []).append(result.fraction(trivial.reward))
    always = {f"always {name}" for name in ("self", "nano", "mini", "large", "reasoner")}
    assert always | {"never calling", "ignoring the budget"} <= set(fractions)
    for policy, reached in fractions.items():
        assert min(reached) <= 0.9, policy
    one_call = fractions["one call, the best for the cell"]
    assert sum(fraction <= 0.9 for fraction in one_call) >= 2


def test_spend_accuracy_and_strong_experts_rise_with_the_budget(report: OptimumReport) -> None:
    best = [_by_name(report)[name].optimum for name in (*NAMED, "none")]
    for rising in (
        [float(b.mean_cost_usd) for b in best],
        [b.accuracy for b in best],
        [b.reward for b in best],
        [b.strong_share for b in best],
    ):
        assert rising == sorted(rising) and len(set(rising)) == 4, rising
    assert all(b.violation_rate < 0.05 for b in best)


def test_the_best_single_expert_and_the_controller_alone_leave_room(report: OptimumReport) -> None:
    high, low = _by_name(report)["high"], _by_name(report)["low"]
    singles = [t.reward for t in high.trivial if t.policy.startswith("always")]
    assert max(singles) <= 0.9 * high.optimum.reward
    alone = next(t for t in low.trivial if t.policy == "never calling")
    assert alone.reward <= 0.9 * low.optimum.reward


def test_nothing_trivial_beats_the_optimum_and_each_call_more_helps(report: OptimumReport) -> None:
    for result in report.budgets:
        assert all(t.reward <= result.optimum.reward + 1e-9 for t in result.trivial)
        assert list(result.by_max_calls) == sorted(result.by_max_calls)
        assert result.by_max_calls[-1] == pytest.approx(result.optimum.reward, abs=1e-9)


# ── against an enumeration of everything ────────────────────────────────────────────────────


@pytest.mark.parametrize("usd", ["0.00003", "0.00009", "0.00013", "0.00021", "0.0004", None])
@pytest.mark.parametrize("max_calls", [1, 2, 3])
def test_the_optimum_equals_an_enumeration_of_all_histories(
    usd: str | None, max_calls: int
) -> None:
    budget = None if usd is None else Budget("b", Decimal(usd))
    found = optimum(TINY, {TINY_CELL: 1.0}, [budget], max_calls=max_calls)
    expected = enumerated(budget.usd if budget else None, max_calls)
    assert found.budgets[0].optimum.reward == pytest.approx(expected, abs=1e-12)


# ── against the replies that are really given ───────────────────────────────────────────────


async def test_following_the_policy_on_real_replies_earns_the_optimum(
    sim_pool: Pool, problems: list[Problem]
) -> None:
    chosen = [p for p in problems if p.level in (2, 5)]
    provider = SimulatedProvider(sim_pool, ProblemBook(chosen), seed=11)
    simulation = read_simulation(sim_pool)
    cells = cells_of(sim_pool, chosen)
    budgets = budgets_of(sim_pool)
    expected = _by_name(optimum(sim_pool, cells, budgets))
    policy = OptimalPolicy(sim_pool, cells, budgets)
    for budget in budgets:
        best = expected[budget.name if budget else "none"].optimum
        n, rewards, violations, spent_usd = 0, 0, 0, Decimal(0)
        for problem in chosen:
            cell = simulation.cell(problem)
            for sample in range(3):
                seen = await _follow(policy, provider, sim_pool, problem, cell, budget, sample)
                answer = policy.decide(cell, seen, budget).answer
                cost_usd = sum((s.cost_usd for s in seen), Decimal(0))
                over = budget is not None and cost_usd > budget.usd
                n += 1
                rewards += answer == problem.answer and not over
                violations += over
                spent_usd += cost_usd
        _assert_near(rewards / n, best.reward, n)
        _assert_near(violations / n, best.violation_rate, n)
        assert float(spent_usd / n) == pytest.approx(float(best.mean_cost_usd), rel=0.05)


async def _follow(
    policy: OptimalPolicy,
    provider: SimulatedProvider,
    pool: Pool,
    problem: Problem,
    cell: Cell,
    budget: Budget | None,
    sample: int,
) -> list[Seen]:
    seen: list[Seen] = []
    while (name := policy.decide(cell, seen, budget).expert) is not None:
        spec = pool[name]
        occurrence = sum(s.expert == name for s in seen)
        messages = (Message("user", problem.text),)
        reply = await provider.send(
            Request(spec, messages, spec.sampling, problem.text, sample, occurrence)
        )
        _, _, rest = reply.text.partition("\\boxed{")
        answer = rest.partition("}")[0] or None
        seen.append(Seen(name, answer, spec.price.cost_usd(reply.usage)))
    return seen


def _assert_near(share: float, expected: float, n: int) -> None:
    """Within three standard errors; the seed is fixed, so this passes always or never."""
    assert abs(share - expected) <= 3 * math.sqrt(expected * (1 - expected) / n) + 1e-9


# ── the report ──────────────────────────────────────────────────────────────────────────────


def test_the_report_says_simulated_and_writes_dollars_as_strings(report: OptimumReport) -> None:
    text = describe_optimum(report)
    assert text.count("simulated") >= 1 + len(report.budgets)
    assert "ignoring the budget" in text
    data = json.loads(json.dumps(report.to_json()))
    assert data["simulated"] is True
    assert [b["budget"] for b in data["budgets"]] == [*NAMED, "none"]
    low = data["budgets"][0]
    assert low["usd"] == "0.0006"
    assert set(low["optimum"]) == {
        "reward",
        "accuracy",
        "mean_cost_usd",
        "violation_rate",
        "expert_call_ratio",
        "strong_share",
        "calls_per_problem",
    }
    assert Decimal(low["optimum"]["mean_cost_usd"]) > 0
    assert {"policy", "reward", "fraction"} <= set(low["trivial"][0])
    assert data["budgets"][-1]["usd"] is None


def test_weights_of_cells_are_relative(sim_pool: Pool) -> None:
    cells = {Cell("Algebra", 1, 6): 1.0, Cell("AIME", 1, 6): 3.0}
    budgets = [Budget("b", Decimal("0.001"))] * 2  # one that is given twice counts once
    apart = [optimum(sim_pool, {c: 1.0}, budgets).budgets[0].optimum.reward for c in cells]
    results = optimum(sim_pool, cells, budgets).budgets
    assert len(results) == 1
    both = results[0].optimum.reward
    assert both == pytest.approx((apart[0] + 3 * apart[1]) / 4, abs=1e-12)


def test_a_budget_that_nothing_fits_is_worth_nothing(sim_pool: Pool) -> None:
    cells = {Cell("Algebra", 1, 6): 1.0}
    found = optimum(sim_pool, cells, [Budget("tiny", Decimal("0.000001"))]).budgets[0]
    assert found.optimum.reward == 0 and found.optimum.expert_call_ratio == 0
    assert found.fraction(0.0) == 0.0


def test_a_budget_beyond_all_calls_is_no_budget(sim_pool: Pool) -> None:
    cells = {Cell("Number Theory", 1, 6): 1.0}
    found = optimum(sim_pool, cells, [Budget("vast", Decimal(50)), None], max_calls=2)
    vast, none = found.budgets
    assert vast.optimum.reward == pytest.approx(none.optimum.reward, abs=1e-12)
    assert vast.optimum.violation_rate == pytest.approx(0, abs=1e-12)


def test_what_cannot_be_computed_is_refused_in_one_line(sim_pool: Pool) -> None:
    cells = declared_cells(sim_pool)
    with pytest.raises(ConfigError, match="needs a problem"):
        optimum(sim_pool, {}, budgets_of(sim_pool))
    nano = sim_pool["nano"]
    odd_price = replace(nano.price, output_usd_per_mtok=Decimal("0.4000001"))
    odd = replace(sim_pool, experts=(replace(nano, price=odd_price), *sim_pool.experts[2:]))
    with pytest.raises(ConfigError, match="token_quantum"):
        optimum(odd, cells, budgets_of(odd))
