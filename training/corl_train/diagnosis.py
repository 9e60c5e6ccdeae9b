"""What goes wrong in training, seen in its figures: what was seen, and what usually helps.

Pure functions over the lines of `metrics.jsonl`: the same lines give the same findings, in a
run, after a resume and in a report. A detector looks at the last few iterations together, says
nothing before there are enough of them, and is silent again once what it saw is over.

    findings = diagnose(lines, pool, iterations=60)
    appeared, gone = changes(before, findings)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from types import MappingProxyType
from typing import Any, Literal

from corl_bench.experts.base import Pool
from corl_bench.metrics.collapse import COLLAPSED_SHARE
from corl_bench.money.amounts import display_usd
from corl_bench.report.figures import counted, percent, rough_percent

Line = Mapping[str, Any]
"""One iteration; see `runs.files.MetricsLine`."""
Kind = Literal[
    "all-zero-reward",
    "format-collapse",
    "always-largest",
    "never-call",
    "budget-ignored",
    "entropy-collapse",
    "kl-explosion",
    "blind-critic",
    "overspent",
]

WINDOW = 10
"""Iterations that habits are judged by: with the usual 512 episodes each, shares are good to
about a point a budget."""
SHORT_WINDOW = 5
"""Iterations after which what stops training altogether is said."""
FEW_CALLS = 0.05
"""Calls to experts an episode. Sampling alone brings about more as long as a call is an option."""
LIKE_SPENDS = 1.25
"""Largest over smallest mean spend. Budgets that bind lie a factor of several apart."""
LIKE_CALLS = 0.1
"""Distance of calls at two budgets, from 0 to 1. Equal habits differ by some 0.03 over a window
of the usual size, and by this much over a twelfth of it."""
MANY_VIOLATIONS = 0.25
"""Share of episodes over a budget; the optimum of the simulated pool stays under 0.1."""
MANY_INVALID = 0.5
"""Unreadable turns an episode. Behind a sound warm start there are 0.02 to 0.2 of them."""
NO_ENTROPY = 0.01
"""Nats a token; runs that reach the optimum's neighbourhood still have 0.2 or more at half-time."""
FAR_KL = 2.0
"""Nats a token. To choose one of five experts for certain where the reference tosses a die takes
ln 5 = 1.6 on that one token; a mean above it means words that the reference would never say."""
OVERSPENT = 1.2
"""Mean cost over a budget that holds on average. With the 365 episodes a budget that five
iterations of the recipe `recorded` have, a mean is good to some seven percent."""
BLIND = 1.0
"""1 − explained variance: from here on a constant would predict the returns as well."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `asdict` of it is what stands in `metrics.jsonl`."""

    kind: Kind
    what: str
    """What was seen, in figures; one line."""
    advice: str
    """What usually helps; one line."""
    budget: str | None = None
    """Where it was seen; None: not at one budget in particular."""


@dataclass(frozen=True, slots=True)
class _Habits:
    """Episodes at one budget, several iterations taken together."""

    budget: str
    episodes: int
    best_reward: float
    """Of an iteration."""
    accuracy: float
    mean_cost_usd: float
    violation_rate: float
    calls: Mapping[str, float]
    """To experts, an episode; the controller's own attempts are none."""
    invalid: float

    @property
    def total_calls(self) -> float:
        return math.fsum(self.calls.values())


def diagnose(
    lines: Sequence[Line],
    pool: Pool,
    *,
    iterations: int,
    means_usd: Mapping[str, Decimal] = MappingProxyType({}),
) -> list[Finding]:
    """What is wrong at the end of these iterations, the gravest first.

    Args:
        lines: of the run so far, in order; only the last `WINDOW` are looked at.
        pool: the experts on offer.
        iterations: how many the run will have; some things are early only.
        means_usd: by name, the budgets that hold for what episodes cost on average.
    """
    found: list[Finding] = []
    lines = [line for line in lines[-WINDOW:] if line["train"]]
    if len(lines) >= SHORT_WINDOW:
        last = lines[-SHORT_WINDOW:]
        habits = _habits(last, pool)
        found += _all_zero_reward(habits)
        found += _format_collapse(habits)
        found += _entropy_collapse(last, iterations)
        found += _kl_explosion(last)
        found += _overspent(habits, means_usd)
    if len(lines) == WINDOW:
        habits = _habits(lines, pool)
        stuck = [*_always_largest(habits, dearest(pool)), *_never_call(habits)]
        # Either ignores the budget; to say so as well would be one trouble told twice.
        found += stuck or _budget_ignored(habits)
        found += _blind_critic(lines)
    return found


def changes(
    before: Iterable[Finding], now: Iterable[Finding]
) -> tuple[list[Finding], list[Finding]]:
    """What has appeared since, and what is gone; a finding with other figures is the same one."""
    old = {(finding.kind, finding.budget): finding for finding in before}
    new = {(finding.kind, finding.budget): finding for finding in now}
    appeared = [finding for key, finding in new.items() if key not in old]
    gone = [finding for key, finding in old.items() if key not in new]
    return appeared, gone


def dearest(pool: Pool) -> tuple[str, ...]:
    """The experts with the highest output price, if there are cheaper ones; equals are several."""
    prices = {
        expert.name: expert.price.output_usd_per_mtok
        for expert in pool.experts
        if expert.role == "expert"
    }
    top = max(prices.values(), default=Decimal(0))
    names = tuple(name for name, price in prices.items() if price == top)
    return names if len(names) < len(prices) else ()


def _all_zero_reward(habits: Sequence[_Habits]) -> Iterable[Finding]:
    for at in habits:
        if at.best_reward > 0:
            continue
        if at.accuracy == 0:
            advice = (
                "nothing is right, so there is nothing to learn from: a longer warm start"
                " (warm_start.episodes, warm_start.epochs)"
            )
        else:
            advice = (
                "what is right costs too much: raise the budget (corl-train feasibility shows"
                " what fits into it), or show cheaper episodes in the warm start"
            )
        yield Finding(
            "all-zero-reward",
            f"no mean reward above zero at {at.budget} in {counted(SHORT_WINDOW, 'iteration')}"
            f" ({counted(at.episodes, 'episode')}): {percent(at.accuracy)} right,"
            f" {percent(at.violation_rate)} over the budget",
            advice,
            at.budget,
        )


def _format_collapse(habits: Sequence[_Habits]) -> Iterable[Finding]:
    broken = [at for at in habits if at.invalid >= MANY_INVALID]
    if broken:
        yield Finding(
            "format-collapse",
            "turns that are neither a call nor an answer, an episode:"
            f" {_list_by_budget(broken, lambda at: f'{at.invalid:.2f}')}",
            "a longer warm start; if it began in training, a lower training.learning_rate or a"
            " larger training.kl_weight",
        )


def _overspent(habits: Sequence[_Habits], means_usd: Mapping[str, Decimal]) -> Iterable[Finding]:
    for at in habits:
        budget_usd = means_usd.get(at.budget)
        if budget_usd is not None and at.mean_cost_usd > OVERSPENT * float(budget_usd):
            yield Finding(
                "overspent",
                f"episodes at {at.budget} cost {display_usd(Decimal(repr(at.mean_cost_usd)))} on"
                f" average over {counted(SHORT_WINDOW, 'iteration')}, which the budget is to be",
                "prices of dollars are set before the first iteration: a larger"
                " training.kl_weight keeps to the plan that they come from",
                at.budget,
            )


def _entropy_collapse(lines: Sequence[Line], iterations: int) -> Iterable[Finding]:
    is_early = lines[-1]["iteration"] <= iterations / 2
    highest = max(_figures(lines, "entropy"), default=math.inf)
    if is_early and highest < NO_ENTROPY:
        yield Finding(
            "entropy-collapse",
            f"entropy is at most {highest:.4f} nats a token at iteration"
            f" {lines[-1]['iteration']} of {iterations}: nothing new is tried any more",
            "a larger training.kl_weight or training.entropy_weight, or a lower"
            " training.learning_rate; a warm start that is less sure of itself",
        )


def _kl_explosion(lines: Sequence[Line]) -> Iterable[Finding]:
    figures = _figures(lines, "kl")
    if figures and min(figures) > FAR_KL:
        yield Finding(
            "kl-explosion",
            f"KL to the reference is {figures[-1]:.2f} nats a token, and above {FAR_KL:g} for"
            f" {counted(len(figures), 'iteration')}",
            "a lower training.learning_rate or training.clip, fewer training.epochs, or a larger"
            " training.last_kl_weight",
        )


def _always_largest(habits: Sequence[_Habits], names: Collection[str]) -> Iterable[Finding]:
    if not names:
        return
    shares = [
        math.fsum(at.calls.get(name, 0.0) for name in names) / at.total_calls
        for at in habits
        if at.total_calls > FEW_CALLS
    ]
    if len(shares) == len(habits) > 0 and min(shares) >= COLLAPSED_SHARE:
        yield Finding(
            "always-largest",
            f"at every budget at least {rough_percent(min(shares))} of the calls go to"
            f" {' or '.join(names)}, dearer than all others",
            "lower budgets that rule it out (see corl-train feasibility), or a reward that counts"
            " dollars within the budget, too (reward.kind=soft); a larger training.kl_weight at"
            " the beginning",
        )


def _never_call(habits: Sequence[_Habits]) -> Iterable[Finding]:
    if habits and max(at.total_calls for at in habits) < FEW_CALLS:
        yield Finding(
            "never-call",
            "calls to experts, an episode:"
            f" {_list_by_budget(habits, lambda at: f'{at.total_calls:.3f}')}",
            "a longer warm start, a larger training.kl_weight at the beginning, and budgets into"
            " which a call fits (see corl-train feasibility)",
        )


def _budget_ignored(habits: Sequence[_Habits]) -> Iterable[Finding]:
    if len(habits) < 2:
        return
    spends = [at.mean_cost_usd for at in habits]
    if max(spends) > LIKE_SPENDS * min(spends):
        return
    broken = [at for at in habits if at.violation_rate >= MANY_VIOLATIONS]
    distance = max(_distance(a.calls, b.calls) for a, b in combinations(habits, 2))
    if not broken and distance > LIKE_CALLS:
        return
    over = "".join(
        f"; {rough_percent(at.violation_rate)} of the episodes at {at.budget} are over it"
        for at in broken
    )
    yield Finding(
        "budget-ignored",
        "mean spend hardly differs between the budgets:"
        f" {_list_by_budget(habits, lambda at: display_usd(Decimal(at.mean_cost_usd)))}; their"
        f" calls differ by {distance:.2f}, where 0 is alike and 1 nothing in common{over}",
        "more iterations, and a training.kl_weight that falls sooner: the reference ignores the"
        " budget as well; if every budget fits everything, lower ones (see corl-train feasibility)",
    )


def _blind_critic(lines: Sequence[Line]) -> Iterable[Finding]:
    figures = _figures(lines, "value_error")
    if len(figures) < len(lines):
        return
    mean = math.fsum(figures) / len(figures)
    if mean >= BLIND:
        yield Finding(
            "blind-critic",
            f"the critic's squared error is {mean:.2f} of the returns' variance, no better than a"
            " constant",
            "a larger training.value_weight or warm_start.value_weight, more training.episodes; or"
            " training.estimator=grpo, which has no critic",
        )


def _habits(lines: Sequence[Line], pool: Pool) -> list[_Habits]:
    """Each budget's episodes over some iterations, in the budgets' order; own attempts aside."""
    by_budget: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        for score in line["train"]:
            by_budget.setdefault(score["budget"], []).append(score)
    return [
        _Habits(
            budget=budget,
            episodes=sum(score["episodes"] for score in scores),
            best_reward=max(score["reward"] for score in scores),
            accuracy=_mean(scores, "accuracy"),
            mean_cost_usd=_mean(scores, "mean_cost_usd"),
            violation_rate=_mean(scores, "violation_rate"),
            calls=_mean_calls(scores, pool.own),
            invalid=_mean(scores, "invalid"),
        )
        for budget, scores in by_budget.items()
    ]


def _mean(scores: Sequence[Mapping[str, Any]], name: str) -> float:
    """Of a figure, over all episodes."""
    total = math.fsum(score[name] * score["episodes"] for score in scores)
    return total / math.fsum(score["episodes"] for score in scores)


def _mean_calls(scores: Sequence[Mapping[str, Any]], own: Collection[str]) -> dict[str, float]:
    """Of the calls to each expert, over all episodes."""
    episodes = sum(score["episodes"] for score in scores)
    calls: dict[str, float] = {}
    for score in scores:
        for name, number in score["calls"].items():
            if name not in own:
                calls[name] = calls.get(name, 0.0) + number * score["episodes"] / episodes
    return calls


def _distance(a: Mapping[str, float], b: Mapping[str, float]) -> float:
    """How much calls at two budgets differ: 0 alike, 1 nothing in common; 0 without calls.

    Σ |a − b| / Σ (a + b), the dissimilarity of J. R. Bray and J. T. Curtis (1957).
    """
    total = math.fsum([*a.values(), *b.values()])
    apart = math.fsum(abs(a.get(name, 0.0) - b.get(name, 0.0)) for name in {**a, **b})
    return apart / total if total else 0.0


def _figures(lines: Sequence[Line], name: str) -> list[float]:
    """A figure of the update in each line that has it as a number."""
    values = (line.get(name) for line in lines)
    return [value for value in values if value is not None and math.isfinite(value)]


def _list_by_budget(habits: Sequence[_Habits], said: Callable[[_Habits], str]) -> str:
    return ", ".join(f"{said(at)} at {at.budget}" for at in habits)
