"""The yardstick: what the best possible policy reaches on the simulated pool, and trivial ones.

Invariant: every figure is the expectation under the distribution that the simulated replies are
drawn from, and nothing is sampled. Spends are counted in whole ticks of money, so budgets are
kept or broken exactly; probabilities and means are floats, and `mean_cost_usd` is such a mean,
quantised to 12 decimals. The policy is told subject and level, as they can be read off the
problem's text, and never the right answer.

    report = optimum(pool, cells_of(pool, problems), budgets_of(pool))
    print(describe_optimum(report))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.experts.simulation.beliefs import Beliefs, Floats
from corl_bench.experts.simulation.planning import Outlook, Plan, cells_a_plan
from corl_bench.experts.simulation.spending import make_grid
from corl_bench.experts.simulation.tables import (
    LEVELS,
    WRONG_ANSWERS,
    WRONG_LETTERS,
    Cell,
    Simulation,
    read_simulation,
)
from corl_bench.types import Budget, Problem

MAX_CALLS = 4
_MONEY_DIGITS = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """What one policy comes to at one budget, in expectation over the cells."""

    policy: str
    reward: float
    """Probability of a right answer within the budget."""
    accuracy: float
    """Probability of a right answer, whatever it costs."""
    mean_cost_usd: Decimal
    """An expectation in floating point, quantised to 12 decimals."""
    violation_rate: float
    """Probability that the list cost exceeds the budget."""
    expert_call_ratio: float
    """Mean number of calls to experts, as in a run's summary; its own attempts are none."""
    calls_per_problem: Mapping[str, float]
    """Mean number of calls by name, the controller's own attempts included."""
    strong_share: float
    """Of the calls to experts, how many go to those declared strong."""


@dataclass(frozen=True, slots=True)
class BudgetResult:
    """The optimum at one budget and, beside it, what needs no learning."""

    budget: Budget | None
    optimum: PolicyResult
    trivial: tuple[PolicyResult, ...]
    by_max_calls: tuple[float, ...]
    """Reward of the best policies that may make at most 1, 2, … calls."""

    def fraction(self, reward: float) -> float:
        """A reward as a fraction of the optimum; 0 where the budget allows nothing."""
        return reward / self.optimum.reward if self.optimum.reward > 0 else 0.0


@dataclass(frozen=True, slots=True)
class OptimumReport:
    """The yardstick of one pool for one mixture of cells."""

    pool: str
    digest: str
    tick_usd: Decimal
    """All costs are whole multiples of it, which is why they can be enumerated."""
    max_calls: int
    cells: Mapping[Cell, float]
    budgets: tuple[BudgetResult, ...]

    def to_json(self) -> dict[str, Any]:
        """The report as `docs/simulation.md` describes it; dollars are strings."""
        return {
            "simulated": True,
            "pool": self.pool,
            "pool_digest": self.digest,
            "tick_usd": format(self.tick_usd.normalize(), "f"),
            "max_calls": self.max_calls,
            "cells": [
                {
                    "subject": cell.subject,
                    "level": cell.level,
                    "wrong_answers": cell.wrong_answers,
                    "weight": weight,
                }
                for cell, weight in sorted(self.cells.items())
            ],
            "budgets": [
                {
                    "budget": result.budget.name if result.budget else "none",
                    "usd": format(result.budget.usd, "f") if result.budget else None,
                    "optimum": _policy_json(result.optimum),
                    "by_max_calls": list(result.by_max_calls),
                    "trivial": [
                        {
                            "policy": trivial.policy,
                            "fraction": result.fraction(trivial.reward),
                            **_policy_json(trivial),
                        }
                        for trivial in result.trivial
                    ],
                }
                for result in self.budgets
            ],
        }


def cells_of(pool: Pool, problems: Iterable[Problem]) -> dict[Cell, float]:
    """How many of the problems lie in each cell."""
    simulation = read_simulation(pool)
    counts: dict[Cell, float] = {}
    for problem in problems:
        cell = simulation.cell(problem)
        counts[cell] = counts.get(cell, 0.0) + 1.0
    return counts


def declared_cells(pool: Pool) -> dict[Cell, float]:
    """Every subject and level of the tables with equal weight; AMC has five choices."""
    return {
        Cell(subject, level, WRONG_LETTERS if subject == "AMC" else WRONG_ANSWERS): 1.0
        for subject in read_simulation(pool).subjects
        for level in LEVELS
    }


def budgets_of(pool: Pool) -> tuple[Budget | None, ...]:
    """The pool's named budgets and, last, none."""
    named = (Budget(name, Decimal(usd)) for name, usd in pool.budgets.items())
    return (*named, None)


def optimum(
    pool: Pool,
    cells: Mapping[Cell, float],
    budgets: Sequence[Budget | None],
    *,
    max_calls: int = MAX_CALLS,
) -> OptimumReport:
    """Computes the best policy for each budget, and what trivial policies reach there.

    Args:
        pool: with simulated experts.
        cells: weight of each cell (`cells_of`, `declared_cells`).
        budgets: dollars a problem may cost; None: no budget.
        max_calls: how many calls a policy may make for one problem.

    Raises:
        ConfigError: the pool's tables are not usable, there is no problem or no budget, or
            the costs have no common measure that is large enough to enumerate the spends.
    """
    simulation = read_simulation(pool)
    total = sum(cells.values())
    if total <= 0 or not budgets or max_calls < 1:
        raise ConfigError("the optimum needs a problem, a budget and at least one call")
    weights = {cell: cells[cell] / total for cell in sorted(cells) if cells[cell] > 0}
    yardstick = _Yardstick(simulation, pool.name, weights, budgets, max_calls)
    yardstick.add_all()
    return OptimumReport(
        pool=pool.name,
        digest=pool.digest,
        tick_usd=yardstick.grid.tick_usd,
        max_calls=max_calls,
        cells=dict(cells),
        budgets=yardstick.results(),
    )


class _Sum:
    """Adds up one policy's expectations at one budget over chunks of cells."""

    def __init__(self, n_experts: int) -> None:
        self.reward = self.accuracy = self.over = self.ticks = 0.0
        self.calls = np.zeros(n_experts)

    def add(self, outlook: Outlook, weights: Floats, budget: int | None) -> None:
        beyond = outlook.right.shape[1] if budget is None else budget + 1
        self.reward += float(weights @ outlook.right[:, :beyond].sum(axis=1))
        self.accuracy += float(weights @ outlook.right.sum(axis=1))
        self.over += float(weights @ outlook.stopped[:, beyond:].sum(axis=1))
        self.ticks += float(weights @ outlook.mean_ticks)
        self.calls += weights @ outlook.calls


class _Yardstick:
    def __init__(
        self,
        simulation: Simulation,
        pool_name: str,
        weights: Mapping[Cell, float],
        budgets: Sequence[Budget | None],
        max_calls: int,
    ) -> None:
        self.simulation = simulation
        self.budgets = tuple(dict.fromkeys(budgets))
        self.max_calls = max_calls
        self.grid = make_grid(simulation, pool_name, budgets, max_calls)
        self._cells = sorted(weights, key=lambda cell: (cell.level, cell))
        self._shares = np.asarray([weights[cell] for cell in self._cells])
        self._beliefs = Beliefs(simulation.experts, self._cells)
        self._sums: dict[tuple[str, Budget | None], _Sum] = {}
        self._by_max_calls = {budget: np.zeros(max_calls) for budget in self.budgets}

    def add_all(self) -> None:
        """Adds all cells, a few of one level at a time."""
        step = cells_a_plan(self.grid.horizon)
        for level in LEVELS:
            inside = [place for place, cell in enumerate(self._cells) if cell.level == level]
            for first in inside[::step]:
                self._add(slice(first, min(first + step, inside[-1] + 1)), level)

    def _add(self, part: slice, level: int) -> None:
        plan = partial(self._plan, part, level)
        weights = self._shares[part]
        experts = self.simulation.experts
        full = plan(self.max_calls)
        bounded = [plan(n) for n in range(1, self.max_calls)]
        outlooks = {budget: full.evaluate(self.grid.ticks(budget)) for budget in self.budgets}
        blind = outlooks[None] if None in outlooks else full.evaluate(None)
        own = [e for e, expert in enumerate(experts) if expert.spec.role == "self"]
        alone = plan(self.max_calls, own)
        singles = {x.name: plan(1, [e]).evaluate(None) for e, x in enumerate(experts)}
        for budget in self.budgets:
            ticks = self.grid.ticks(budget)
            column = -1 if ticks is None else ticks
            self._by_max_calls[budget] += [
                float(weights @ best.best_reward[:, column]) for best in (*bounded, full)
            ]
            self._sum("optimum", budget).add(outlooks[budget], weights, ticks)
            for name, outlook in singles.items():
                self._sum(f"always {name}", budget).add(outlook, weights, ticks)
            one_call = (bounded[0] if bounded else full).evaluate(ticks)
            self._sum("one call, the best for the cell", budget).add(one_call, weights, ticks)
            if own:
                self._sum("never calling", budget).add(alone.evaluate(ticks), weights, ticks)
            self._sum("ignoring the budget", budget).add(blind, weights, ticks)
            for other in self.budgets:
                if other is not None and other != budget:
                    name = f"playing for {other.name}"
                    self._sum(name, budget).add(outlooks[other], weights, ticks)

    def results(self) -> tuple[BudgetResult, ...]:
        return tuple(
            BudgetResult(
                budget=budget,
                optimum=self._result("optimum", budget),
                trivial=tuple(
                    self._result(policy, at)
                    for policy, at in self._sums
                    if at == budget and policy != "optimum"
                ),
                by_max_calls=tuple(float(x) for x in self._by_max_calls[budget]),
            )
            for budget in self.budgets
        )

    def _plan(
        self, part: slice, level: int, max_calls: int, may_call: Sequence[int] | None = None
    ) -> Plan:
        return Plan(
            lambda view: self._beliefs.weights(view)[:, part],
            self.grid.costs[level],
            part.stop - part.start,
            horizon=self.grid.horizon,
            max_calls=max_calls,
            may_call=may_call,
        )

    def _sum(self, policy: str, budget: Budget | None) -> _Sum:
        return self._sums.setdefault((policy, budget), _Sum(len(self.simulation.experts)))

    def _result(self, policy: str, budget: Budget | None) -> PolicyResult:
        found = self._sums[policy, budget]
        experts = self.simulation.experts
        calls = [float(x) for x in found.calls]
        others = [e for e, expert in enumerate(experts) if expert.spec.role != "self"]
        to_experts = sum(calls[e] for e in others)
        strong = sum(calls[e] for e in others if experts[e].strong)
        return PolicyResult(
            policy=policy,
            reward=found.reward,
            accuracy=found.accuracy,
            mean_cost_usd=(Decimal(found.ticks) * self.grid.tick_usd).quantize(_MONEY_DIGITS),
            violation_rate=found.over,
            expert_call_ratio=to_experts,
            calls_per_problem={x.name: n for x, n in zip(experts, calls, strict=True)},
            strong_share=strong / to_experts if to_experts > 0 else 0.0,
        )


def _policy_json(result: PolicyResult) -> dict[str, Any]:
    return {
        "reward": result.reward,
        "accuracy": result.accuracy,
        "mean_cost_usd": format(result.mean_cost_usd, "f"),
        "violation_rate": result.violation_rate,
        "expert_call_ratio": result.expert_call_ratio,
        "strong_share": result.strong_share,
        "calls_per_problem": dict(result.calls_per_problem),
    }


def describe_optimum(report: OptimumReport) -> str:
    """The report as a table for a terminal."""
    lines = [
        f"simulated pool {report.pool}: exact optimum with at most {report.max_calls} calls,"
        f" {len(report.cells)} cells",
        "reward = right answer within the budget; nothing here was asked of a real model",
    ]
    for result in report.budgets:
        best = result.optimum
        title = f"{result.budget.name} (${result.budget.usd:f})" if result.budget else "no budget"
        calls = ", ".join(f"{name} {n:.2f}" for name, n in best.calls_per_problem.items())
        rewards = ", ".join(f"{n} call{'s'[: n > 1]} {r:.3f}" for n, r in _numbered(result))
        lines += [
            "",
            f"simulated, budget {title}",
            f"  {'policy':<32} {'reward':>6} {'of best':>7} {'right':>6} {'$/problem':>10}"
            f" {'over':>6} {'expert calls':>12} {'strong':>6}",
        ]
        for policy in (best, *result.trivial):
            lines.append(
                f"  {policy.policy:<32} {policy.reward:6.3f}"
                f" {result.fraction(policy.reward):7.1%} {policy.accuracy:6.3f}"
                f" {policy.mean_cost_usd:10.6f} {policy.violation_rate:6.1%}"
                f" {policy.expert_call_ratio:12.2f} {policy.strong_share:6.1%}"
            )
        lines += [
            f"  calls of the optimum, per problem: {calls}",
            f"  best with at most: {rewards}",
        ]
    return "\n".join(lines)


def _numbered(result: BudgetResult) -> list[tuple[int, float]]:
    return list(enumerate(result.by_max_calls, start=1))
