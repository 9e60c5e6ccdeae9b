"""What a regression is: the questions that a gate asks, defined once for all who ask them.

A candidate is held against a baseline: the same system at the same budget on the same problems.
Every question has a *loss* (positive is worse), a *margin* up to which a loss does not matter,
and for each problem a *term*, such that the loss is the mean of the terms. So one kind of test
decides all of them: is the mean of what the terms exceed the margin by above zero?

- *accuracy*, at matched cost: what accuracy fell by, less what the frontier gives up for the
  dollars saved (plus what it gains for dollars added); a share of episodes.
- *cost*, at matched accuracy: what cost grew by, less what the frontier asks for the accuracy
  that was gained beyond doubt; a share of the baseline's cost.
- *area*: under the curve of a system over its budgets, and under the frontier of all systems
  together; mean accuracy over a stated window of spends.
- *adherence*: what the rate of episodes above the budget grew by; a share of episodes.

The rate of exchange between dollars and accuracy is the baseline's own frontier
(`corl_bench.metrics.gating.exchange`). A gain in accuracy excuses spending only as far as it is
shown (its lower confidence bound): the frontier is steep where systems are cheap, and there the
mere noise in accuracy would excuse any bill. Where a loss is no plain mean its terms are
linearised.

    pairs = pair_up(baseline, candidate)
    questions = ask(pairs, baseline.budgets, margins=Margins(), window_usd=(0.0006, 0.02))
    {(question.label, question.check): question.loss for question in questions}
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal

import numpy as np

from corl_bench.metrics.adherence import violates
from corl_bench.metrics.arrays import Array
from corl_bench.metrics.frontier import Scale
from corl_bench.metrics.gating.area import area_terms
from corl_bench.metrics.gating.exchange import Exchange
from corl_bench.metrics.inference.distributions import t_quantile
from corl_bench.metrics.panel import Panel, make_panel
from corl_bench.results.outcomes import Outcomes, ResultSet
from corl_bench.types import Budget

Check = Literal["accuracy", "cost", "area", "adherence"]
CHECKS: tuple[Check, ...] = ("accuracy", "cost", "area", "adherence")
ALL_SYSTEMS = "all systems"
"""Label of questions about the frontier of a whole run."""


@dataclass(frozen=True, slots=True)
class Margins:
    """The loss of each check that is let pass, in the check's unit."""

    accuracy: float = 0.005
    cost: float = 0.02
    area: float = 0.005
    adherence: float = 0.01

    def of(self, check: Check) -> float:
        margin: float = getattr(self, check)
        return margin


@dataclass(frozen=True, slots=True)
class Question:
    """One loss that a gate looks at."""

    check: Check
    task: str
    label: str
    """`system`, `system@budget`, or `ALL_SYSTEMS`."""
    budget: str | None
    """For adherence: the budget that episodes are held against."""
    margin: float
    before: float
    """The baseline's figure: accuracy, dollars a problem, area, or rate of violations."""
    after: float
    """The candidate's."""
    allowed: float
    """How much of the change the exchange excuses, in the unit of the loss; below 0 where added
    spending asks for accuracy that is not there."""
    terms: Array = field(repr=False)
    """(problems,): their mean is the loss."""
    shape: Array = field(repr=False)
    """(problems,), mean 1: how the margin falls on the problems. Costs grow in proportion, so
    that of cost is the baseline's cost over its mean; all else falls on all problems alike."""
    problems: tuple[str, ...] = field(repr=False)
    bend: float = 0.0
    """What chance in spending hides of a loss on average, where the frontier bends."""

    @property
    def loss(self) -> float:
        """In the unit of the check; infinite where what was free now costs something."""
        if self.check == "cost" and self.before == 0:
            return math.inf
        return float(self.terms.mean())

    @property
    def excess(self) -> Array:
        """(problems,): what the terms exceed the margin by."""
        return self.terms - self.margin * self.shape

    @property
    def noise(self) -> Array:
        """(problems,): what is left of the terms when the loss is taken away; mean 0."""
        return self.terms - float(self.terms.mean()) * self.shape

    @property
    def differs(self) -> bool:
        """False where both runs are equal on every problem."""
        return bool(self.terms.any())


@dataclass(frozen=True, slots=True)
class Pair:
    """One system at one budget in both runs, on the problems that it shares with the frontier."""

    baseline: Outcomes
    candidate: Outcomes
    problems: tuple[str, ...]
    accuracy: tuple[Array, Array] = field(repr=False)
    """Baseline's and candidate's, (problems,) each."""
    cost_usd: tuple[Array, Array] = field(repr=False)
    exchange: Exchange = field(repr=False)


def pair_up(
    baseline: ResultSet, candidate: ResultSet, systems: Sequence[str] = ()
) -> tuple[Pair, ...]:
    """The points that both have and that share problems, by task, system and budget.

    Args:
        baseline: gives the rates of exchange, too. Systems that are oracles, or whose costs are
            self-reported or opaque in either run, are left out.
        candidate: what it lacks makes no pair; it is a matter of coverage.
        systems: names to restrict the pairs to; none takes all.
    """
    pairs: list[Pair] = []
    for task in baseline.tasks:
        rivals = [point for point in baseline.of_task(task) if point.is_ranked]
        others = {
            point.label: point
            for point in candidate.of_task(task)
            if point.is_oracle or point.is_ranked
        }
        wanted = [
            point
            for point in rivals
            if point.label in others and (not systems or point.system in systems)
        ]
        if wanted and set.intersection(*(set(point.right) for point in rivals)):
            board = make_panel(rivals)
            exchange = Exchange.of(board)
            pairs += filter(
                None, (_pair(point, others[point.label], board, exchange) for point in wanted)
            )
    return tuple(pairs)


def _pair(point: Outcomes, other: Outcomes, board: Panel, exchange: Exchange) -> Pair | None:
    """Both runs of a point on the problems of its task's board; None where they share none."""
    theirs = make_panel([other])
    shared = tuple(sorted(set(board.problems) & set(theirs.problems)))
    if not shared:
        return None
    here, there = restrict(board, shared), restrict(theirs, shared)
    column = here.column(point.label)
    return Pair(
        baseline=point,
        candidate=other,
        problems=shared,
        accuracy=(here.accuracy[:, column], there.accuracy[:, 0]),
        cost_usd=(here.cost_usd[:, column], there.cost_usd[:, 0]),
        exchange=exchange if here is board else Exchange.of(here),
    )


def ask(
    pairs: Sequence[Pair],
    budgets: Sequence[Budget],
    *,
    margins: Margins,
    window_usd: tuple[float, float] | None,
    scale: Scale = "log",
    doubt: float = 0.05,
) -> tuple[Question, ...]:
    """All questions about pairs, in their order, each task's areas behind its points.

    Args:
        pairs: of any tasks.
        budgets: of the baseline; systems that were told none are held to each of them.
        margins: of each check.
        window_usd: for areas; None asks for none.
        scale: of areas.
        doubt: one less the confidence with which a gain in accuracy must be shown to excuse
            spending.
    """
    questions: list[Question] = []
    for task in dict.fromkeys(pair.baseline.task for pair in pairs):
        of_task = [pair for pair in pairs if pair.baseline.task == task]
        for pair in of_task:
            questions += _ask_pair(pair, margins, budgets, doubt)
        if window_usd is not None:
            questions += _ask_areas(of_task, margins.area, window_usd, scale)
    return tuple(questions)


def restrict(panel: Panel, problems: tuple[str, ...]) -> Panel:
    """The panel on some of its problems, given in its order."""
    if problems == panel.problems:
        return panel
    place = {problem: row for row, problem in enumerate(panel.problems)}
    rows = [place[problem] for problem in problems]
    return replace(
        panel, problems=problems, accuracy=panel.accuracy[rows], cost_usd=panel.cost_usd[rows]
    )


def accuracy_terms(pair: Pair) -> tuple[Array, float]:
    """Terms of the loss of accuracy at matched cost, and the part of the fall that is excused."""
    before, after = pair.accuracy
    excused = pair.exchange.accuracy_terms(pair.cost_usd[0])
    excused = excused - pair.exchange.accuracy_terms(pair.cost_usd[1])
    return before - after - excused, float(excused.mean())


def cost_terms(pair: Pair, doubt: float) -> tuple[Array, float]:
    """Terms of the loss of cost at matched accuracy, and the part of the growth that is excused.

    They are differences, not ratios, of a problem's two costs: those of two runs of the same
    system are as likely to be above zero as below it, however skewed costs are.
    """
    before, after = pair.cost_usd
    unit = float(before.mean()) or float(after.mean()) or 1.0
    gain = lower_bound(pair.accuracy[1] - pair.accuracy[0], 1 - doubt)
    excused = pair.exchange.price_of_gain_usd(float(pair.accuracy[0].mean()), gain) / unit
    return (after - (1 + excused) * before) / unit, excused


def adherence_terms(pair: Pair, budget_usd: Decimal) -> tuple[Array, Array]:
    """Shares of each problem's samples above a budget, in the baseline and in the candidate."""

    def rates(point: Outcomes) -> Array:
        return np.array(
            [
                sum(violates(cost, budget_usd) for cost in costs) / len(costs)
                for costs in (point.costs_usd[problem] for problem in pair.problems)
            ]
        )

    return rates(pair.baseline), rates(pair.candidate)


def lower_bound(terms: Array, confidence: float) -> float:
    """The one-sided lower bound of a mean, by Student's t; -inf of a single term."""
    n = len(terms)
    if n < 2:
        return -math.inf
    spread = float(terms.std(ddof=1)) / math.sqrt(n)
    return float(terms.mean()) - t_quantile(confidence, n - 1) * spread


def _ask_pair(
    pair: Pair, margins: Margins, budgets: Sequence[Budget], doubt: float
) -> Iterator[Question]:
    point = pair.baseline

    def question(
        check: Check,
        figures: tuple[Array, Array],
        terms: Array,
        allowed: float = 0.0,
        *,
        shape: Array | None = None,
        budget: str | None = None,
        bend: float = 0.0,
    ) -> Question:
        return Question(
            check=check,
            task=point.task,
            label=point.label,
            budget=budget,
            margin=margins.of(check),
            before=float(figures[0].mean()),
            after=float(figures[1].mean()),
            allowed=allowed,
            terms=terms,
            shape=np.ones(len(terms)) if shape is None else shape,
            problems=pair.problems,
            bend=bend,
        )

    spent, spends = pair.cost_usd
    noise_usd = float((spends - spent).std()) / math.sqrt(len(spent))
    bend = pair.exchange.bend_at(float(spent.mean()), noise_usd)
    yield question("accuracy", pair.accuracy, *accuracy_terms(pair), bend=bend)
    shape = spent / spent.mean() if spent.any() else None
    yield question("cost", pair.cost_usd, *cost_terms(pair, doubt), shape=shape)
    # A system that was told its budget is held to that one, a blind one to each of the run.
    held_to = budgets
    if point.budget is not None and point.budget_usd is not None:
        held_to = (Budget(point.budget, point.budget_usd),)
    for budget in held_to:
        rates = adherence_terms(pair, budget.usd)
        yield question("adherence", rates, rates[1] - rates[0], budget=budget.name)


def _ask_areas(
    pairs: Sequence[Pair], margin: float, window_usd: tuple[float, float], scale: Scale
) -> Iterator[Question]:
    """Areas of each system with several budgets, then that of all systems together."""
    curves: dict[str, list[Pair]] = {}
    for pair in pairs:
        curves.setdefault(pair.baseline.system, []).append(pair)
    several = {system: curve for system, curve in curves.items() if len(curve) > 1}
    if len(curves) > 1:
        several[ALL_SYSTEMS] = list(pairs)
    for label, curve in several.items():
        shared = tuple(sorted(set.intersection(*(set(pair.problems) for pair in curve))))
        if not shared:
            continue
        rows = [np.searchsorted(np.array(pair.problems), np.array(shared)) for pair in curve]
        terms = [
            area_terms(
                np.stack([p.accuracy[run][at] for p, at in zip(curve, rows, strict=True)], axis=1),
                np.stack([p.cost_usd[run][at] for p, at in zip(curve, rows, strict=True)], axis=1),
                window_usd,
                scale,
            )
            for run in (0, 1)
        ]
        yield Question(
            check="area",
            task=curve[0].baseline.task,
            label=label,
            budget=None,
            margin=margin,
            before=float(terms[0].mean()),
            after=float(terms[1].mean()),
            allowed=0.0,
            terms=terms[0] - terms[1],
            shape=np.ones(len(shared)),
            problems=shared,
        )
