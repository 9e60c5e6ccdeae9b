"""The optimum against an enumeration of everything, against real draws, and its tables."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache

import pytest

from corl_bench.errors import ConfigError
from corl_bench.experts.base import ExpertSpec, Pool, Request, Sampling
from corl_bench.experts.simulation.book import ProblemBook
from corl_bench.experts.simulation.draws import answer_probabilities, outcomes
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
from corl_bench.money.prices import Price
from corl_bench.types import Budget, Message, Problem, Usage

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


def _expert(name: str, price: str, right: float, **table: object) -> ExpertSpec:
    return ExpertSpec(
        name=name,
        provider="simulated",
        model=f"simulated-{name}",
        price=Price(name, date(2026, 1, 1), "test", Decimal(price), Decimal(price)),
        sampling=Sampling(max_output_tokens=100),
        options={
            "simulation": {
                "input_tokens": 10,
                "answer_tokens": [20] * 5,
                "lengths": [[1.0, 0.6], [2.0, 0.4]],
                "refusal": 0.05,
                "truncated": 0.02,
                "no_answer": 0.08,
                "trap": 0.4,
                "consistency": 0.6,
                "right": {"Algebra": [right] * 5},
                **table,
            }
        },
    )


TINY = Pool(
    "tiny",
    (
        _expert("cheap", "1", 0.45),
        _expert("dear", "3", 0.7, consistency=0.3, trap=0.2, no_answer=0.15),
    ),
    options={
        "simulation": {"token_quantum": 10, "fallback": {"subject": "Algebra", "level": 1}},
    },
)
TINY_CELL = Cell("Algebra", 1, 4)


def _enumerated(budget_usd: Decimal | None, max_calls: int) -> float:
    """The value of the best policy, by walking through every history of explicit answers.

    Shares nothing with the planner but the declared probabilities: no views, no ticks, no
    merging of histories. A history is what the policy has seen; its weight is the probability
    of it, summed over the explicit answers (right, trap, others) that look the same.
    """
    simulation = read_simulation(TINY)
    labels = range(TINY_CELL.wrong_answers + 1)

    @cache
    def joint(said: tuple[tuple[int, int], ...]) -> float:
        total = 1.0
        for e, expert in enumerate(simulation.experts):
            right, trap, other = answer_probabilities(expert, TINY_CELL)
            share = [right, trap] + [other] * (TINY_CELL.wrong_answers - 1)
            steady = expert.consistency
            total *= sum(
                share[opinion]
                * math.prod(
                    steady * (a == opinion) + (1 - steady) * share[a] for who, a in said if who == e
                )
                for opinion in labels
            )
        return total

    @cache
    def weights(asked: tuple[int, ...], way: tuple[int, ...]) -> tuple[float, dict[int, float]]:
        """Probability that the answers are equal in this way, in all and for each being right."""
        total, right = 0.0, dict.fromkeys(way, 0.0)
        for answers in itertools.product(labels, repeat=len(asked)):
            if tuple(answers.index(a) for a in answers) == way:
                probability = joint(tuple(zip(asked, answers, strict=True)))
                total += probability
                for place in right:
                    right[place] += probability * (answers[place] == 0)
        return total, right

    def value(asked: tuple[int, ...], way: tuple[int, ...], calls: int, spent: Decimal) -> float:
        if budget_usd is not None and spent > budget_usd:
            return 0.0
        best = max(weights(asked, way)[1].values(), default=0.0)
        if calls == max_calls:
            return best
        for e, expert in enumerate(simulation.experts):
            worth = 0.0
            for outcome in outcomes(expert, TINY_CELL.level, simulation.token_quantum):
                usage = Usage(expert.input_tokens, output_tokens=outcome.output_tokens)
                after = spent + expert.spec.price.cost_usd(usage)
                if outcome.kind == "answer":
                    places = sorted({*way, len(way)})
                    worth += outcome.probability * sum(
                        value((*asked, e), (*way, place), calls + 1, after) for place in places
                    )
                else:
                    worth += outcome.probability * value(asked, way, calls + 1, after)
            best = max(best, worth)
        return best

    return value((), (), 0, Decimal(0))


@pytest.mark.parametrize("usd", ["0.00003", "0.00009", "0.00013", "0.00021", "0.0004", None])
@pytest.mark.parametrize("max_calls", [1, 2, 3])
def test_the_optimum_equals_an_enumeration_of_all_histories(
    usd: str | None, max_calls: int
) -> None:
    budget = None if usd is None else Budget("b", Decimal(usd))
    found = optimum(TINY, {TINY_CELL: 1.0}, [budget], max_calls=max_calls)
    expected = _enumerated(budget.usd if budget else None, max_calls)
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
