"""Errands with pools and budgets that vary from group to group.

errands = varied(draw_errands(...), world, rng)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from corl_bench.types import Budget
from corl_train.environment import Errand
from corl_train.rollouts import Rollout
from corl_train.variety.world import World


def varied(errands: Sequence[Errand], world: World, rng: Random) -> list[Errand]:
    """The errands, each group with one of a few pools and a budget of its own.

    Args:
        errands: groups stand together.
        world: what pools and budgets are drawn from.
        rng: draws them.
    """
    pools = [world.draw_pool(rng) for _ in range(world.table.pools)]
    drawn = {}
    for group in dict.fromkeys(errand.group for errand in errands):
        drawn[group] = (rng.choice(pools), world.draw_budget(rng))
    return [
        replace(errand, pool=drawn[errand.group][0], budget=drawn[errand.group][1])
        for errand in errands
    ]


def under_nearest(rollout: Rollout, budgets: Sequence[Budget]) -> Rollout:
    """A rollout under the name of the budget whose dollars are nearest by ratio."""
    if rollout.budget_usd is None:
        return rollout
    dollars = math.log(float(rollout.budget_usd))
    nearest = min(budgets, key=lambda budget: abs(math.log(float(budget.usd)) - dollars))
    return replace(rollout, episode=replace(rollout.episode, budget=nearest.name))
