"""Budgeting: a plan for each budget, at the price of dollars that keeps it.

For budgets that hold on average (`data.spend = "mean"`). The census tells how the experts' answers
hang together; a plan at a price of dollars is the best that can be done if they go on like that;
and each budget gets the lowest price at which the plan, on the training problems, spends no more
than it on average.

    budgeted = plan_budgets(demonstrator, setup, environment, say=print)
    budgeted.prices[Decimal("0.0005")]          # right answers that a dollar is worth
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from corl_bench.episode import ExpertInfo
from corl_bench.errors import ConfigError
from corl_train.environment import Environment
from corl_train.setup import Setup
from corl_train.warmstart.advised import Advised
from corl_train.warmstart.census import take_census
from corl_train.warmstart.demonstrator import Demonstrator
from corl_train.warmstart.difficulty import Jury, Sighting, fit_jury
from corl_train.warmstart.panel import choose_panels
from corl_train.warmstart.planning import Plan

_MARK = "\0"


@dataclass(frozen=True, slots=True, eq=False)
class Budgeted:
    """What the training problems speak for, before anything is taught."""

    advised: Advised
    """Who plays by the plans."""
    jury: Jury
    costs_usd: Sequence[float]
    """Of a call to each expert, on average."""
    whole: Sequence[Sighting]
    """Of the training problems to which every expert has replied."""
    prices: Mapping[Decimal, float]
    """By the dollars of each budget: how many right answers a dollar is worth at it."""


def plan_budgets(
    player: Demonstrator, setup: Setup, environment: Environment, *, say: Callable[[str], None]
) -> Budgeted:
    """Asks around, and makes the plans.

    Args:
        player: who spells turns, and knows the experts.
        setup: recipe, budgets, problems.
        environment: where the census is taken.
        say: told what the plans come to.

    Raises:
        ConfigError: there is no problem of which all experts' replies are there.
    """
    sightings = take_census(environment, player, setup.train.problems, setup.budgets[0])
    whole = require_whole(sightings, player.experts, setup.train.label)
    if len(whole) < len(sightings):
        say(
            f"census: plans are made for the {len(whole):,} of {len(sightings):,} training problems"
            " to which every expert has replied"
        )
    costs_usd = np.nanmean([seen.costs_usd for seen in sightings], axis=0).tolist()
    jury = fit_jury(sightings)
    panels = choose_panels(
        jury,
        costs_usd,
        player.protocol.max_calls,
        budgets_usd=[float(budget.usd) for budget in setup.budgets],
        sightings=whole,
    )
    plan_of = {
        panel: Plan(jury, costs_usd, player.protocol.max_calls, panel)
        for panel in dict.fromkeys(panels)
    }
    plans, prices = {}, {}
    infos = [ExpertInfo.of(expert) for expert in setup.pool.experts]
    for budget, panel in zip(setup.budgets, panels, strict=True):
        priced = plan_of[panel].price_for(float(budget.usd), whole)
        plans[setup.protocol.opening(_MARK, budget, infos).split(_MARK)[0]] = priced
        prices[budget.usd] = priced.price
        left_out = [name for place, name in enumerate(player.experts) if place not in panel]
        told = f"; it counts on all but {', '.join(left_out)}" if left_out else ""
        say(
            f"plan at ${budget.usd}: a dollar is worth {priced.price:.4g} right answers,"
            f" ${priced.mean_spend_usd(whole):.6f} a training problem"
            f"{told}"
        )
    advised = Advised(player.policy, player.protocol, player.experts, player.how, plans)
    return Budgeted(advised, jury, costs_usd, whole, prices)


def require_whole(
    sightings: Sequence[Sighting], experts: Sequence[str], label: str
) -> list[Sighting]:
    """The sightings of all experts, which what a plan spends can be told of.

    Args:
        sightings: of training problems.
        experts: in the order of their states.
        label: of the problems.

    Raises:
        ConfigError: there is none.
    """
    whole = [seen for seen in sightings if seen.is_whole]
    if not whole:
        asked = [sum(not math.isnan(usd) for usd in own) for own in _columns(sightings)]
        fewest, name = min(zip(asked, experts, strict=True))
        raise ConfigError(
            f"{label} has no problem to which every expert has replied, and a plan takes such:"
            f" record or import more replies, or take an expert out of the pool ({name} has replied"
            f" to {fewest:,} of {len(sightings):,})"
        )
    return whole


def _columns(sightings: Sequence[Sighting]) -> Iterator[tuple[float, ...]]:
    return zip(*(seen.costs_usd for seen in sightings), strict=True)
