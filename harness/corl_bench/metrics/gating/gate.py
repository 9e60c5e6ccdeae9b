"""The gate: may this candidate take its baseline's place, as far as the two runs can tell?

It fails on a loss that is significant beyond its margin, among all losses that were looked at,
and on anything that the baseline has and the candidate has not. It says how small a loss it
would have found, since passing means no more than that.

    result = hold_against(baseline, candidate)
    result.passed, [finding.question.label for finding in result.regressions]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

from corl_bench.errors import ConfigError
from corl_bench.metrics.frontier import Scale
from corl_bench.metrics.gating.gaps import Coverage, compare_coverage
from corl_bench.metrics.gating.power import (
    POWER,
    sample_variance,
    smallest_loss,
)
from corl_bench.metrics.gating.regression import Margins, Pair, Question, ask, pair_up
from corl_bench.metrics.gating.suspicion import suspicions
from corl_bench.metrics.inference.estimate import Estimate
from corl_bench.metrics.inference.intervals import mean_interval
from corl_bench.metrics.inference.joint_test import Column, find_losses
from corl_bench.metrics.window import window_of_budgets
from corl_bench.money.basis import BASIS_WORDS, is_known
from corl_bench.results.outcomes import ResultSet


@dataclass(frozen=True, slots=True)
class Rules:
    """What a gate lets pass; all of it is printed with its verdict."""

    margins: Margins = field(default_factory=Margins)
    alpha: float = 0.05
    """Chance of a false alarm of the whole gate, at the most."""
    window_usd: tuple[float, float] | None = None
    """Of areas; None follows from the baseline's budgets."""
    scale: Scale = "log"
    systems: tuple[str, ...] = ()
    """To restrict the gate to; none takes all."""
    fail_on_suspicion: bool = False
    draws: int = 10_000
    seed: int = 0


DEFAULT_RULES = Rules()


@dataclass(frozen=True, slots=True)
class Finding:
    """A question and its answer."""

    question: Question
    loss: Estimate
    """With its 95 % interval, which looks at this loss alone; the p-value looks at all."""
    p_value: float
    """Of a loss within the margin, adjusted for all questions."""
    is_regression: bool
    smallest_loss: float
    """True loss that this comparison finds in at least 80 % of cases, however it falls on problems
    and samples; infinite where there is none."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate's verdict and all that it rests on."""

    baseline: ResultSet
    candidate: ResultSet
    rules: Rules
    window_usd: tuple[float, float] | None
    coverage: Coverage
    findings: tuple[Finding, ...]
    suspicions: tuple[str, ...]
    notes: tuple[str, ...]
    level: float
    """The p-value that a single loss must reach, beside all the others, to be found."""

    @property
    def regressions(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.is_regression)

    @property
    def passed(self) -> bool:
        suspect = self.rules.fail_on_suspicion and self.suspicions
        return not (self.regressions or self.coverage.missing or suspect)


def hold_against(baseline: ResultSet, candidate: ResultSet, rules: Rules = DEFAULT_RULES) -> Gate:
    """Holds a candidate against its baseline.

    Raises:
        ConfigError: they cannot be compared.
    """
    if not baseline.outcomes:
        raise ConfigError(f"the baseline {baseline.name} is empty: it has no episode to compare")
    coverage = compare_coverage(baseline, candidate, rules.systems)
    window = rules.window_usd or window_of_budgets(baseline.budgets)
    pairs = pair_up(baseline, candidate, rules.systems)
    if not pairs and not coverage.missing:
        raise ConfigError(
            f"{baseline.name} has no system to hold {candidate.name} against: oracles are asked"
            " nothing, and neither is who says himself what he costs, or does not say it"
        )
    questions = questions_of(pairs, baseline, rules)
    test = find_losses(
        [
            Column(question.task, question.problems, question.excess, question.differs)
            for question in questions
        ],
        alpha=rules.alpha,
        draws=rules.draws,
        seed=rules.seed,
    )
    # What shows no difference took no part; how it would have fared beside the others can only
    # be bounded.
    bound = rules.alpha / max(1, len(questions))
    findings = tuple(
        Finding(
            question=question,
            loss=_estimate(question),
            p_value=p_value,
            is_regression=p_value <= rules.alpha,
            smallest_loss=smallest_loss(
                len(question.problems),
                _noise_variance(question),
                level=test.level if question.differs else bound,
                margin=question.margin + question.bend,
                counts=question.check != "cost",
                unevenness=sample_variance(question.shape),
            ),
        )
        for question, p_value in zip(questions, test.p_values, strict=True)
    )
    return Gate(
        baseline=baseline,
        candidate=candidate,
        rules=rules,
        window_usd=window,
        coverage=coverage,
        findings=findings,
        suspicions=tuple(
            sentence
            for pair in pairs
            for sentence in suspicions(
                pair, _oracle_accuracy(pair.baseline.task, baseline, candidate)
            )
        ),
        notes=(*_unranked(baseline, candidate), *_notes(pairs, window)),
        level=test.level,
    )


def questions_of(pairs: Sequence[Pair], baseline: ResultSet, rules: Rules) -> tuple[Question, ...]:
    """What a gate asks of pairs of points, by its rules."""
    return ask(
        pairs,
        baseline.budgets,
        margins=rules.margins,
        window_usd=rules.window_usd or window_of_budgets(baseline.budgets),
        scale=rules.scale,
        doubt=rules.alpha,
    )


def _estimate(question: Question) -> Estimate:
    low, high = mean_interval(question.noise.tolist())
    return Estimate(question.loss, question.loss + low, question.loss + high)


def _noise_variance(question: Question) -> float:
    """Of a cost: as if both runs cost the same, for noise grows with what is spent.

    Costs have long tails, and a sample that happens to lack them shows too little variance; so
    for costs this is the upper 80 % bound of the variance.
    """
    variance = sample_variance(question.noise)
    if question.check != "cost" or not (question.before and question.after):
        return variance
    fourth = float((question.noise**4).mean())
    doubt = math.sqrt(max(0.0, fourth - variance**2) / len(question.noise))
    bound = variance + NormalDist().inv_cdf(POWER) * doubt
    return bound * (question.before / question.after) ** 2


def _oracle_accuracy(task: str, *runs: ResultSet) -> float | None:
    found = [point.accuracy for run in runs for point in run.of_task(task) if point.is_oracle]
    return max(found, default=None)


def _unranked(*runs: ResultSet) -> list[str]:
    """A note for each system that takes no part because of its costs."""
    bases = {
        (point.task, point.label): point.cost_basis
        for run in runs
        for point in run.outcomes
        if not is_known(point.cost_basis)
    }
    return [
        f"{task}: {label} is not compared, for its costs are {BASIS_WORDS[basis]}."
        for (task, label), basis in bases.items()
    ]


def _notes(pairs: Sequence[Pair], window: tuple[float, float] | None) -> list[str]:
    notes = []
    for task in dict.fromkeys(pair.baseline.task for pair in pairs):
        exchange = next(pair.exchange for pair in pairs if pair.baseline.task == task)
        if not exchange.has_rate:
            only = f" but {exchange.labels[0]}" if exchange.labels else ""
            notes.append(
                f"{task}: the baseline has no system on its frontier{only}, so nothing says what"
                " a saved dollar may cost: accuracy has to hold at any spend."
            )
    if window is None:
        notes.append("The baseline has no budgets: state a --window to have areas compared.")
    return notes
