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
from corl_train.warmstart.difficulty import SILENT, UNASKED, Jury, Sighting, fit_jury
from corl_train.warmstart.panel import choose_panels
from corl_train.warmstart.planning import Plan, PricedPlan

_MARK = "\0"
LEAST_WHOLE = 30
"""Problems to which every expert has replied: what a plan spends is told of these alone."""


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
        ConfigError: there are too few problems of which all experts' replies are there, or the
            protocol names budgets too late.
    """
    sightings = take_census(environment, player, setup.train.problems, setup.budgets[0])
    whole = require_whole(sightings, player.experts, setup.train.label)
    if len(whole) < len(sightings):
        say(
            f"census: plans are made for the {len(whole):,} of {len(sightings):,} training problems"
            " to which every expert has replied"
        )
    for name, share in _silent(sightings, player.experts).items():
        say(f"census: {share:.0%} of the replies of {name} state no answer that counts")
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
    plans: dict[str, PricedPlan] = {}
    prices = {}
    infos = [ExpertInfo.of(expert) for expert in setup.pool.experts]
    for budget, panel in zip(setup.budgets, panels, strict=True):
        priced = plan_of[panel].price_for(float(budget.usd), whole)
        begins = setup.protocol.opening(_MARK, budget, infos).split(_MARK)[0]
        if any(begins.startswith(other) or other.startswith(begins) for other in plans):
            raise ConfigError(
                f"data.protocol: {setup.protocol.name!r} says nothing of the budget before the"
                " problem, by which plans are told apart: put {budget} before {problem}"
            )
        plans[begins] = priced
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


def _silent(sightings: Sequence[Sighting], experts: Sequence[str]) -> dict[str, float]:
    """The experts who mostly state no answer, with the share of their replies."""
    found = {}
    for place, name in enumerate(experts):
        codes = [seen.state[place] for seen in sightings if seen.state[place] != UNASKED]
        if codes and 2 * codes.count(SILENT) > len(codes):
            found[name] = codes.count(SILENT) / len(codes)
    return found


def require_whole(
    sightings: Sequence[Sighting], experts: Sequence[str], label: str
) -> list[Sighting]:
    """The sightings of all experts, which what a plan spends can be told of.

    Args:
        sightings: of training problems.
        experts: in the order of their states.
        label: of the problems.

    Raises:
        ConfigError: there are fewer than `LEAST_WHOLE`, or than half of the problems.
    """
    whole = [seen for seen in sightings if seen.is_whole]
    if len(whole) < min(LEAST_WHOLE, len(sightings) / 2) or not whole:
        asked = [sum(not math.isnan(usd) for usd in own) for own in _columns(sightings)]
        fewest, name = min(zip(asked, experts, strict=True))
        raise ConfigError(
            f"{label}: to {len(whole):,} of {len(sightings):,} problems every expert has replied,"
            " too few for a plan: record or import more replies, or take an expert out of the pool"
            f" ({name} has replied to {fewest:,})"
        )
    return whole


def _columns(sightings: Sequence[Sighting]) -> Iterator[tuple[float, ...]]:
    return zip(*(seen.costs_usd for seen in sightings), strict=True)
