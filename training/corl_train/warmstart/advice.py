"""A warm start by planned play: what a jury of the experts speaks for, at each budget's price.

The policy is told what every choice is worth in the states that plans (`budgeting`), random play
and its own come to; in the end it is said how far it falls short of the plans. The prices are what
`reward.kind = "mean"` then trains with.

    prices = teach_plan(demonstrator, setup, environment, rng=rng, reward=earned, say=print, …)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from random import Random

import numpy as np

from corl_train.environment import Environment
from corl_train.rollouts import Rollout
from corl_train.runs.checkpoints import Halfway
from corl_train.runs.interruption import Stop
from corl_train.setup import Setup
from corl_train.warmstart.budgeting import plan_budgets
from corl_train.warmstart.demonstrator import Demonstrator
from corl_train.warmstart.difficulty import Sighting
from corl_train.warmstart.practice import practise
from corl_train.warmstart.rehearsals import draw_sightings
from corl_train.warmstart.shortfall import shortfalls


def teach_plan(
    player: Demonstrator,
    setup: Setup,
    environment: Environment,
    *,
    rng: Random,
    reward: Callable[[Rollout, Mapping[Decimal, float]], Rollout],
    say: Callable[[str], None],
    stop: Stop,
    halfway: Halfway,
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
        halfway: where it begins, and where each round of rehearsals is kept.

    Returns:
        By the dollars of each budget: how many right answers a dollar is worth at it.

    Raises:
        ConfigError: there is no problem of which all experts' replies are there.
        StoppedEarlyError: it was wanted.
    """
    how = setup.config.warm_start
    budgeted = plan_budgets(player, setup, environment, say=say)
    jury, costs_usd, whole = budgeted.jury, budgeted.costs_usd, budgeted.whole
    dice = np.random.default_rng(rng.getrandbits(64))
    statements = statements_of(setup, rng)

    def draw(number: int) -> list[Sighting]:
        drawn = iter(draw_sightings(jury, costs_usd, number, dice))
        return [
            next(drawn) if rng.random() < how.drawn_share else rng.choice(whole)
            for _ in range(number)
        ]

    practise(
        budgeted.advised,
        setup,
        draw,
        statements,
        rng=rng,
        dice=dice,
        reward=lambda rollout: reward(rollout, budgeted.prices),
        say=say,
        stop=stop,
        halfway=halfway,
    )
    lost = shortfalls(budgeted, setup, statements, rng=rng, stop=stop)
    told = ", ".join(f"{points:.2%} at ${usd}" for usd, points in lost.items())
    say(f"greedy on training problems, it falls short of its plans by their own reckoning: {told}")
    return dict(budgeted.prices)


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
