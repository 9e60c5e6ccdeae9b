"""A controller judged: its scores beside the optimum's, and beside what needs no learning.

evaluation.budgets[0].fraction        # of the optimum
evaluation.contrasts[0].interval      # reward less the best single expert's
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from corl_bench.experts.simulation.optimum import BudgetResult
from corl_train.evaluation.scores import BudgetScore


@dataclass(frozen=True, slots=True)
class Contrast:
    """The controller's mean reward less that of a policy that needs no learning."""

    budget: str
    against: str
    difference: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Judged:
    """One budget, beside the optimum where there is one."""

    score: BudgetScore
    reward_interval: tuple[float, float]
    strong_share: float | None
    """Of the calls to experts, how many went to those that the pool declares strong."""
    yardstick: BudgetResult | None

    @property
    def fraction(self) -> float | None:
        """Reward as a share of the optimum's; None without a yardstick."""
        return None if self.yardstick is None else self.yardstick.fraction(self.score.reward)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the fraction."""
        if self.yardstick is None:
            return None
        low, high = map(self.yardstick.fraction, self.reward_interval)
        return (low, high)

    def to_json(self) -> dict[str, Any]:
        """As one of `budgets` in `Evaluation.to_json`."""
        best = None if self.yardstick is None else self.yardstick.optimum
        return {
            **self.score.to_json(),
            "reward_interval": self.reward_interval,
            "optimum": None if best is None else best.reward,
            "fraction": self.fraction,
            "interval": self.interval,
            "optimum_violation_rate": None if best is None else best.violation_rate,
            "optimum_mean_cost_usd": None if best is None else float(best.mean_cost_usd),
            "strong_share": self.strong_share,
            "trivial": {}
            if self.yardstick is None
            else {
                policy.policy: self.yardstick.fraction(policy.reward)
                for policy in self.yardstick.trivial
            },
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A controller on one task."""

    task: str
    pool: str
    seed: int
    samples: int
    budgets: tuple[Judged, ...]

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        """At each budget: against the controller's own attempt, and the best single expert."""
        found = []
        for judged in self.budgets:
            if judged.yardstick is None:
                continue
            single = {
                policy.policy: policy.reward
                for policy in judged.yardstick.trivial
                if policy.policy.startswith("always ")
            }
            best = max(single, key=lambda name: single[name])
            alone = {p.policy: p.reward for p in judged.yardstick.trivial}.get("never calling")
            others = {f"the best single expert, {best}": single[best]}
            if alone is not None:
                others["the controller's own attempts, never calling"] = alone
            for name, reward in others.items():
                low, high = judged.reward_interval
                found.append(
                    Contrast(
                        budget=judged.score.budget,
                        against=name,
                        difference=judged.score.reward - reward,
                        interval=(low - reward, high - reward),
                    )
                )
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """As `corl-train evaluate --json` prints it."""
        return {
            "task": self.task,
            "pool": self.pool,
            "seed": self.seed,
            "samples": self.samples,
            "budgets": [judged.to_json() for judged in self.budgets],
            "contrasts": [asdict(contrast) for contrast in self.contrasts],
        }
