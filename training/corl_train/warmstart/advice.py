"""A warm start by planned play: what a jury of the experts speaks for, at each budget's price.

For budgets that hold on average (`data.spend = "mean"`). The census tells how the experts' answers
hang together; a plan at a price of dollars is the best that can be done if they go on like that;
and each budget gets the lowest price at which the plan, on the training problems, spends no more
than it on average. The policy is shown what every choice is worth in the states that plans and
random play come to. The prices are what `reward.kind = "mean"` then trains with.

    prices = teach_plan(demonstrator, setup, environment, rng=rng, reward=earned, say=print, …)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from random import Random

import numpy as np

from corl_bench.episode import ExpertInfo
from corl_bench.errors import ConfigError
from corl_train.environment import Environment
from corl_train.rollouts import Rollout
from corl_train.runs.interruption import Stop
from corl_train.setup import Setup
from corl_train.warmstart.advised import Advised
from corl_train.warmstart.census import take_census
from corl_train.warmstart.demonstrator import Demonstrator
from corl_train.warmstart.difficulty import Sighting, fit_jury
from corl_train.warmstart.panel import choose_panels
from corl_train.warmstart.planning import Plan
from corl_train.warmstart.practice import practise
from corl_train.warmstart.rehearsals import draw_sightings

_MARK = "\0"


def teach_plan(
    player: Demonstrator,
    setup: Setup,
    environment: Environment,
    *,
    rng: Random,
    reward: Callable[[Rollout, Mapping[Decimal, float]], Rollout],
    say: Callable[[str], None],
    stop: Stop,
) -> dict[Decimal, float]:
    """Teaches a policy what plans speak for.

    Args:
        player: who spells turns, and whose policy learns.
        setup: recipe, budgets, problems.
        environment: where the census is taken.
        rng: draws rehearsals and shuffles.
        reward: rewards an episode, given the prices.
        say: told how it goes.
        stop: looked at before each minibatch.

    Returns:
        By the dollars of each budget: how many right answers a dollar is worth at it.

    Raises:
        ConfigError: there is no problem of which all experts' replies are there.
        StoppedEarlyError: it was wanted.
    """
    how, problems = setup.config.warm_start, setup.train.problems
    sightings = take_census(environment, player, problems, setup.budgets[0])
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
    advised = Advised(player.policy, player.protocol, player.experts, how, plans)
    dice = np.random.default_rng(rng.getrandbits(64))
    statements = statements_of(setup, rng)

    def draw(number: int) -> list[Sighting]:
        drawn = iter(draw_sightings(jury, costs_usd, number, dice))
        return [
            next(drawn) if rng.random() < how.drawn_share else rng.choice(whole)
            for _ in range(number)
        ]

    practise(
        advised,
        setup,
        draw,
        statements,
        rng=rng,
        reward=lambda rollout: reward(rollout, prices),
        say=say,
        stop=stop,
    )
    return prices


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


def statements_of(setup: Setup, rng: Random) -> Callable[[Sighting], str]:
    """What the problem of a sighting says.

    Nobody knows how a problem that is drawn would be worded. A policy that reads no words finds
    any statement alike; to one that does nothing is said.
    """
    table = setup.config.policy
    texts = {problem.id: problem.text for problem in setup.train.problems}
    if table.kind == "tiny" and not table.words:
        return lambda seen: texts[seen.problem] if seen.problem else rng.choice([*texts.values()])
    return lambda seen: texts.get(seen.problem, "")
