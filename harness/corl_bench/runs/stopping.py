"""When a run may stop: what it is held against, by which claims, in which order.

All of it is fixed before the first episode and is part of the run's identity: the baseline's
verdicts and costs, the margin, the effect and the order of the problems, which is drawn from the
seed and the baseline's results together, so that no baseline can have been made for it. Each
(task, system, told budget) is an *arm* with a test of its own and an equal share of the chance
of a false alarm: whether an arm stops depends on its own problems alone, and so a run makes the
same episodes on any number of workers and after any kill.

    rule = make_rule(plan, read_results(Path("baseline.json")), margin=0.005)
    plan = replace(plan, stopping=rule)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from corl_bench import grading
from corl_bench.errors import ConfigError
from corl_bench.metrics.gating.exchange import Exchange
from corl_bench.metrics.gating.regression import restrict
from corl_bench.metrics.panel import Panel, make_panel
from corl_bench.metrics.stopping.sequential import ALPHA, Design, noticeable_loss
from corl_bench.metrics.stopping.tangents import Tangents
from corl_bench.money.amounts import format_usd
from corl_bench.results.outcomes import Outcomes, ResultSet
from corl_bench.tasks import LoadedTask
from corl_bench.types import Problem

if TYPE_CHECKING:
    from corl_bench.runs.plan import Plan

ArmKey = tuple[str, str, str | None]
"""Task, system and the name of the budget that the system is told."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One system on one task at one budget."""

    task: str
    system: str
    budget: str | None
    problems: tuple[str, ...] = field(repr=False)
    """Ids, in the order in which they are asked."""
    design: Design
    """Of its test, over the same problems."""
    exchange: Exchange = field(repr=False)
    """What dollars are worth, by all systems of the baseline on this task."""

    @property
    def key(self) -> ArmKey:
        return (self.task, self.system, self.budget)


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """What is fixed before a run that stops when it is decided."""

    baseline: ResultSet = field(repr=False)
    digest: str
    """sha256 over the verdicts and costs of the baseline that the tests use."""
    margin: float
    """Accuracy that may be lost."""
    effect: float | None
    """The loss of accuracy to be noticed, as asked for; None is what each arm could notice."""
    orders: Mapping[str, tuple[str, ...]] = field(repr=False)
    """By task: ids of the problems in the order in which they are asked."""
    arms: tuple[Arm, ...] = field(repr=False)

    def identity(self) -> dict[str, Any]:
        """The part that it has in the identity of a run."""
        return {
            "baseline": self.digest,
            "margin_accuracy": self.margin,
            "effect": self.effect,
            "alpha": ALPHA,
        }

    def ordered(self, task: LoadedTask) -> tuple[Problem, ...]:
        """The problems of a task in the order in which they are asked."""
        by_id = {problem.id: problem for problem in task.problems}
        return tuple(by_id[problem] for problem in self.orders[task.label])


def make_rule(
    plan: Plan, baseline: ResultSet, *, margin: float, effect: float | None = None
) -> StoppingRule:
    """The rule by which a plan stops.

    Args:
        plan: without a rule.
        baseline: has each of the plan's systems, at its budgets, on its problems.
        margin: accuracy that may be lost, a share of episodes.
        effect: a loss that is to be noticed; None is what a look at all problems would notice.

    Raises:
        ConfigError: there is nothing to hold an arm against, or what there is does not compare.
    """
    if not 0 <= margin < 1:
        raise ConfigError(f"--margin-accuracy {margin:g}: a share of episodes, from 0 to below 1")
    if effect is not None and not margin < effect <= 1:
        raise ConfigError(
            f"--effect {effect:g}: the loss that is to be noticed lies above the margin of"
            f" {margin:g}, and 1 is all there is to lose"
        )
    _require_comparable(plan, baseline)
    boards = {task.label: _board(baseline, plan, task) for task in plan.tasks}
    digest = _digest(point for board in boards.values() for point in board.points)
    orders = {task: _drawn(board.problems, plan.seed, digest) for task, board in boards.items()}
    keys: list[ArmKey] = [
        (task, system.name, None if budget is None else budget.name)
        for task in boards
        for system in plan.systems
        for budget in plan.budgets_of(system)
    ]
    alpha = ALPHA / len(keys)
    arms = []
    for task, system, told in keys:
        board = restrict(boards[task], orders[task])
        column = board.column(_label(system, told))
        accuracy, cost_usd = board.accuracy[:, column], board.cost_usd[:, column]
        exchange = Exchange.of(board)
        lines = Tangents.at(exchange.costs_usd, exchange.accuracies, cost_usd.mean())
        noticed = effect or noticeable_loss(lines, accuracy, cost_usd, margin=margin, alpha=alpha)
        design = Design(lines, accuracy, cost_usd, margin=margin, effect=noticed, alpha=alpha)
        arms.append(Arm(task, system, told, orders[task], design, exchange))
    return StoppingRule(baseline, digest, margin, effect, orders, tuple(arms))


def _board(baseline: ResultSet, plan: Plan, task: LoadedTask) -> Panel:
    """The baseline's systems on the problems of the run, those left out that lack some.

    Raises:
        ConfigError: it has not all of the plan's systems there.
    """
    problems = sorted(problem.id for problem in task.problems)
    points = {point.label: point for point in baseline.of_task(task.label) if point.is_ranked}
    for system in plan.systems:
        for budget in plan.budgets_of(system):
            label = _label(system.name, None if budget is None else budget.name)
            if label not in points:
                known = ", ".join(points) or "none"
                raise ConfigError(
                    f"the baseline {baseline.name} has no {label} on {task.label}: it has {known}"
                )
            lacking = sum(problem not in points[label].right for problem in problems)
            if lacking:
                raise ConfigError(
                    f"the baseline {baseline.name} has no {label} on {lacking:,} of"
                    f" {len(problems):,} problems of {task.label}: finish its run, or take its"
                    " --limit and --seed"
                )
    return make_panel(
        [
            replace(
                point,
                right={problem: point.right[problem] for problem in problems},
                costs_usd={problem: point.costs_usd[problem] for problem in problems},
            )
            for point in points.values()
            if all(problem in point.right for problem in problems)
        ]
    )


def _require_comparable(plan: Plan, baseline: ResultSet) -> None:
    named = f"the baseline {baseline.name}"
    for system in plan.systems:
        if system.is_oracle:
            raise ConfigError(
                f"{system.name} sees the golds and is held against nobody: leave it out of a run"
                " with --until-decided"
            )
    for task in plan.tasks:
        digest = baseline.task_digests.get(task.label)
        if digest is None:
            known = ", ".join(baseline.task_digests)
            raise ConfigError(f"{named} has no task {task.label}: it has {known}")
        if digest != task.digest:
            raise ConfigError(
                f"{named} has other rows of {task.label} than this run: make it anew on these"
            )
    if baseline.pool_digest != plan.pool.digest:
        raise ConfigError(
            f"{named} was made with other experts or prices than pool {plan.pool.name!r} has:"
            " run it with the same --pool and --price-date"
        )
    if baseline.grader != grading.GRADER_VERSION:
        raise ConfigError(
            f"{named} was graded by grader {baseline.grader}, this is grader"
            f" {grading.GRADER_VERSION}: bring its run up to date with `corl-bench regrade`"
        )
    theirs_usd = {budget.name: budget.usd for budget in baseline.budgets}
    for budget in plan.budgets:
        usd = theirs_usd.get(budget.name, budget.usd)
        if usd != budget.usd:
            raise ConfigError(
                f"budget {budget.name} is ${format_usd(budget.usd)} here and ${format_usd(usd)}"
                f" in {named}: take the same --budget"
            )


def _label(system: str, budget: str | None) -> str:
    return system if budget is None else f"{system}@{budget}"


def _drawn(problems: Iterable[str], seed: int, digest: str) -> tuple[str, ...]:
    """Problems in random order, drawn by the seed and the baseline together."""

    def rank(problem: str) -> bytes:
        return hashlib.sha256(f"{seed}\n{digest}\n{problem}".encode()).digest()

    return tuple(sorted(problems, key=rank))


def _digest(points: Iterable[Outcomes]) -> str:
    document = [
        [
            point.task,
            point.label,
            [
                [problem, list(point.right[problem]), list(map(format_usd, costs_usd))]
                for problem, costs_usd in point.costs_usd.items()
            ],
        ]
        for point in points
    ]
    return hashlib.sha256(json.dumps(document, separators=(",", ":")).encode()).hexdigest()
