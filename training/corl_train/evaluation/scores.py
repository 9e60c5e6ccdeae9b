"""What episodes come to at each budget: the reward of evaluation, accuracy, cost, calls.

Validation and evaluation count the gate, whatever reward trains; so their scores can be compared.

    scores = score_by_budget([rewarded(rollout) for rollout in rollouts], budgets, ["nano"])
    scores[0].reward, scores[0].calls["nano"]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from corl_bench.metrics.adherence import violates
from corl_bench.money.amounts import sum_usd
from corl_bench.routers.controller import INVALID_TURN
from corl_bench.types import Budget
from corl_train.rewards import gate
from corl_train.rollouts import Rollout


@dataclass(frozen=True, slots=True)
class BudgetScore:
    """Episodes at one budget."""

    budget: str
    episodes: int
    reward: float
    accuracy: float
    mean_cost_usd: Decimal
    violation_rate: float
    calls: Mapping[str, float]
    """By expert: calls an episode; the controller's own turns are none."""
    invalid: float
    """Turns that could not be read, an episode."""

    def to_json(self) -> dict[str, Any]:
        """As it stands in files; see `runs.files.Score`. There the mean cost is a float."""
        return {**asdict(self), "mean_cost_usd": float(self.mean_cost_usd)}


def rewarded(rollout: Rollout) -> Rollout:
    """The rollout with what evaluation gives it, whatever training did: right and affordable."""
    value = gate(
        right=rollout.right,
        cost_usd=rollout.episode.list_cost_usd,
        budget_usd=rollout.limit_usd,
    )
    return replace(rollout, reward=value)


def score_by_budget(
    rollouts: Sequence[Rollout], budgets: Sequence[Budget], experts: Collection[str]
) -> list[BudgetScore]:
    """Means over the rollouts of each budget, in the budgets' order.

    Args:
        rollouts: with rewards.
        budgets: of which scores are wanted; one without rollouts has none.
        experts: whose calls are counted.
    """
    scores = []
    for budget in budgets:
        own = [rollout for rollout in rollouts if rollout.episode.budget == budget.name]
        if not own:
            continue
        n = len(own)
        calls = Counter(call.expert for rollout in own for call in rollout.episode.calls)
        costs = [rollout.episode.list_cost_usd for rollout in own]
        scores.append(
            BudgetScore(
                budget=budget.name,
                episodes=n,
                reward=sum(rollout.reward for rollout in own) / n,
                accuracy=sum(rollout.right for rollout in own) / n,
                mean_cost_usd=sum_usd(costs) / n,
                violation_rate=sum(map(_violates, own)) / n,
                calls={name: calls[name] / n for name in experts},
                invalid=sum(map(_invalid_turns, own)) / n,
            )
        )
    return scores


def _violates(rollout: Rollout) -> bool:
    """Against its own budget, which may be near the one that it is counted under."""
    usd = rollout.budget_usd
    return usd is not None and violates(rollout.episode.list_cost_usd, usd)


def _invalid_turns(rollout: Rollout) -> int:
    return sum(event.startswith(INVALID_TURN) for event in rollout.episode.events)
