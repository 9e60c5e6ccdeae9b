"""A controller judged: its scores beside the optimum's, and beside what needs no learning.

Where its decisions can be counted (`regret`), what it earns is that count, and what it has played
stands beside it; elsewhere it is what it has played.

evaluation.budgets[0].fraction            # of the optimum
evaluation.budgets[0].played_fraction     # the same with the luck of these replies
evaluation.contrasts[0].interval          # reward less the best single expert's
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from corl_bench.experts.simulation.optimum import BudgetResult
from corl_train.evaluation.intervals import mean_interval, stratified_mean
from corl_train.evaluation.regret import LOSSES, Account
from corl_train.evaluation.scores import BudgetScore

_NO_LUCK = 4.0
"""Standard errors by which no luck sets the played mean apart from the counted one: one
evaluation in some five thousand."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """The controller's mean reward less that of a policy that needs no learning."""

    budget: str
    against: str
    difference: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Counted:
    """What a controller earns at one budget, counted by its decisions."""

    reward: float
    interval: tuple[float, float]
    losses: Mapping[str, float]
    """By kind, see `regret.LOSSES`, an episode; with the reward they sum to the optimum's."""
    luck: float
    """Of the played mean: what it is above the counted one."""
    luck_error: float
    """Standard error of that, were it luck."""

    @property
    def optimum(self) -> float:
        """What the best possible policy earns on the very same problems."""
        return self.reward + math.fsum(self.losses.values())

    @property
    def holds(self) -> bool:
        """Whether luck can be all that sets the played mean apart.

        If not, the controller knows more of the right answers than replies tell, and its
        decisions are worth something else than the plan says.
        """
        return abs(self.luck) <= _NO_LUCK * self.luck_error + 1e-9


def counted(accounts: Sequence[Account], strata: Mapping[str, object]) -> Counted:
    """Means over the episodes of one budget, with intervals as those of played means.

    Args:
        accounts: of the episodes, as many of each problem.
        strata: where each problem belongs.
    """
    rewards: dict[str, list[float]] = defaultdict(list)
    lucks: dict[str, list[float]] = defaultdict(list)
    for account in accounts:
        rewards[account.problem].append(account.counted)
        lucks[account.problem].append(account.played - account.counted)
    n = len(accounts)
    luck, error, _ = stratified_mean(lucks, strata)
    # Few problems can be alike by chance; the verdicts alone vary by this much.
    least = math.sqrt(math.fsum(account.variance for account in accounts)) / n
    return Counted(
        reward=math.fsum(account.counted for account in accounts) / n,
        interval=mean_interval(rewards, strata),
        losses={
            kind: math.fsum(account.losses[kind] for account in accounts) / n for kind in LOSSES
        },
        luck=luck,
        luck_error=max(error, least),
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """One budget, beside the optimum where there is one."""

    score: BudgetScore
    played_interval: tuple[float, float]
    """Of the score's reward."""
    strong_share: float | None
    """Of the calls to experts, how many went to those that the pool declares strong."""
    yardstick: BudgetResult | None
    counted: Counted | None = None
    """None where the decisions cannot be counted."""

    @property
    def sound(self) -> Counted | None:
        """The count, if there is one and it holds."""
        return self.counted if self.counted is not None and self.counted.holds else None

    @property
    def reward(self) -> float:
        """What it earns: counted by its decisions, else played."""
        return self.score.reward if self.sound is None else self.sound.reward

    @property
    def reward_interval(self) -> tuple[float, float]:
        """Of the reward."""
        return self.played_interval if self.sound is None else self.sound.interval

    @property
    def fraction(self) -> float | None:
        """Reward as a share of the optimum's; None without a yardstick."""
        return None if self.yardstick is None else self.yardstick.fraction(self.reward)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the fraction."""
        return self._fractions(self.reward_interval)

    @property
    def played_fraction(self) -> float | None:
        """Played reward as a share of the optimum's; None without a yardstick."""
        return None if self.yardstick is None else self.yardstick.fraction(self.score.reward)

    def _fractions(self, interval: tuple[float, float]) -> tuple[float, float] | None:
        if self.yardstick is None:
            return None
        low, high = map(self.yardstick.fraction, interval)
        return (low, high)

    def to_json(self) -> dict[str, Any]:
        """As one of `budgets` in `Evaluation.to_json`."""
        best = None if self.yardstick is None else self.yardstick.optimum
        return {
            **self.score.to_json(),
            "reward": self.reward,
            "reward_interval": self.reward_interval,
            "optimum": None if best is None else best.reward,
            "fraction": self.fraction,
            "interval": self.interval,
            "played_reward": self.score.reward,
            "played_reward_interval": self.played_interval,
            "played_fraction": self.played_fraction,
            "played_interval": self._fractions(self.played_interval),
            "losses": None if self.sound is None else dict(self.sound.losses),
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
                        difference=judged.reward - reward,
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
