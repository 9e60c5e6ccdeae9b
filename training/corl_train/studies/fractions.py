"""How much of the exact optimum a controller earns with a pool, at some budgets.

Counted by decisions (`evaluation.regret`): what it earns and what its decisions lose sum to the
optimum of the very problems that were asked, so one plan tells both. The trivial policies of
`corl-train evaluate` are left out; they take as long again.

    fractions = measure_fractions(environment, budgets, samples=2)
    fractions[0].fraction
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.types import Budget
from corl_train.environment import Environment, Errand
from corl_train.evaluation.counting import count
from corl_train.evaluation.regret import LOSSES
from corl_train.evaluation.scores import rewarded, score_by_budget


@dataclass(frozen=True, slots=True)
class Fraction:
    """A controller with one pool at one budget."""

    pool: str
    budget: str
    usd: str
    episodes: int
    reward: float
    """Counted by decisions."""
    optimum: float
    fraction: float
    interval: tuple[float, float]
    """Of the fraction, 95 %."""
    played: float
    """The reward with the luck of these replies."""
    accuracy: float
    mean_cost_usd: float
    violation_rate: float
    calls: Mapping[str, float]
    losses: Mapping[str, float]
    """In reward an episode, by kind."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure_fractions(
    environment: Environment, budgets: Sequence[Budget], *, samples: int
) -> list[Fraction]:
    """Greedy episodes of every problem at every budget, against the optimum.

    Args:
        environment: pool, task and policy.
        budgets: dollars.
        samples: episodes of each problem at each budget.

    Raises:
        ConfigError: the experts are not simulated in process, so that no optimum is known.
    """
    problems, names = environment.task.problems, [e.name for e in environment.pool.experts]
    played = []
    for budget in budgets:
        errands = [Errand(p, budget, sample) for p in problems for sample in range(samples)]
        played.append([rewarded(r) for r in environment.roll_out(errands, temperature=0.0)])
    found = []
    counts = count(played, environment, problems, budgets)
    for budget, rollouts, counted in zip(budgets, played, counts, strict=True):
        if counted is None:
            raise ConfigError(
                f"pool {environment.pool.name!r} is not simulated in process, so its optimum is"
                " not known: this study takes a simulated pool"
            )
        (score,) = score_by_budget(rollouts, [budget], names)
        optimum = counted.reward + math.fsum(counted.losses.values())
        low, high = (bound / optimum if optimum > 0 else 0.0 for bound in counted.interval)
        found.append(
            Fraction(
                pool=environment.pool.name,
                budget=budget.name,
                usd=format(budget.usd, "f"),
                episodes=score.episodes,
                reward=counted.reward,
                optimum=optimum,
                fraction=counted.reward / optimum if optimum > 0 else 0.0,
                interval=(low, high),
                played=score.reward,
                accuracy=score.accuracy,
                mean_cost_usd=float(score.mean_cost_usd),
                violation_rate=score.violation_rate,
                calls=dict(score.calls),
                losses=dict(counted.losses),
            )
        )
    return found


def mean_fraction(fractions: Sequence[Fraction]) -> float:
    """The plain mean over pools and budgets."""
    return math.fsum(f.fraction for f in fractions) / len(fractions)


def table_of(fractions: Sequence[Fraction]) -> str:
    """Fractions as a table in Markdown, the mean and the least below it."""
    lines = [
        "| pool | budget | of the optimum [95 %] | reward | $ a problem | over | lost most by |",
        "|---|---|---|---|---|---|---|",
    ]
    for f in fractions:
        kind = max(f.losses, key=lambda kind: f.losses[kind])
        share = f.losses[kind] / f.optimum if f.optimum else 0.0
        low, high = f.interval
        lines.append(
            f"| {f.pool} | ${f.usd} | {f.fraction:.1%} [{low:.1%}, {high:.1%}] |"
            f" {f.reward:.3f} of {f.optimum:.3f} | {f.mean_cost_usd:.6f} |"
            f" {f.violation_rate:.1%} | {LOSSES[kind]}, {share:.1%} |"
        )
    least = min(fractions, key=lambda f: f.fraction)
    lines += [
        "",
        f"Mean {mean_fraction(fractions):.1%}; least {least.fraction:.1%}"
        f" ({least.pool} at ${least.usd}); {fractions[0].episodes:,} episodes each.",
    ]
    return "\n".join(lines)
