"""The warm start of a recipe whose pools and budgets vary: rehearsals, round after round.

Every round rehearses with new pools and teaches what was rehearsed a few times, then forgets it:
what is learned is to read listings and not to know pools. The learning rate falls like a cosine.

    rehearse(policy, protocol, problems, world, own_price, how, rng=rng, say=print, stop=stop)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random

from corl_bench.money.prices import Price
from corl_bench.routers.protocol import Protocol
from corl_bench.types import Problem, Usage
from corl_train.config import WarmStartTable
from corl_train.policies.base import Policy
from corl_train.runs.interruption import Stop
from corl_train.variety.rehearsals import Rehearsal, Stage
from corl_train.variety.school import School
from corl_train.variety.world import World

ROUND = 960
"""Rehearsals of one round."""
_WARMING = 2000
"""Rehearsals after which the learning rate is what it should be."""
_LAST_RATE = 0.05
"""Of the learning rate, in the end."""
_EXAMINED = 240


def rehearse(
    policy: Policy,
    protocol: Protocol,
    problems: Sequence[Problem],
    world: World,
    own_price: Price,
    how: WarmStartTable,
    *,
    rng: Random,
    say: Callable[[str], None],
    stop: Stop,
) -> None:
    """Teaches a policy to play with any pool at any budget.

    Args:
        policy: what learns.
        protocol: that it speaks.
        problems: of the training split.
        world: what pools and budgets are drawn from, and how many rehearsals there are.
        own_price: of the policy's tokens.
        how: learning rate, minibatch and weights.
        rng: draws and shuffles.
        say: told of the rounds.
        stop: looked at before each round.

    Raises:
        StoppedEarlyError: it was wanted.
    """
    table = world.table
    stage = Stage(
        booth=world.booth,
        protocol=protocol,
        problems=problems,
        manners=world.manners,
        wildness=table.wildness,
        held_out_usd=world.held_out_usd,
        turn_usd=own_price.cost_usd(Usage(policy.context // 2, 1)),
    )
    subjects = sorted({problem.subject or "" for problem in problems})
    school = School(policy, protocol, subjects, rng, how, heat=table.heat)
    unseen = [school.drill(r) for r in _rehearsals(stage, world, _EXAMINED, rng)]
    done, told = 0, school.examine(unseen)
    while done < table.rehearsals:
        stop.check()
        count = min(ROUND, table.rehearsals - done)
        drills = [
            drill
            for drill in map(school.drill, _rehearsals(stage, world, count, rng))
            if len(drill.ids) <= policy.context
        ]
        falling = 0.5 * (1 + math.cos(math.pi * done / table.rehearsals))
        rising = min(1.0, (done + count) / _WARMING)
        rate = how.learning_rate * rising * (_LAST_RATE + (1 - _LAST_RATE) * falling)
        for _ in range(how.epochs):
            told = school.teach(drills, rate=rate)
        done += count
        if (done // ROUND) % 5 == 0 or done == table.rehearsals:
            known = school.examine(unseen)
            say(
                f"rehearsals {done:,}: loss {told.loss:.3f}; unseen {known.loss:.3f}, falls"
                f" {known.regret:.4f} short a turn, tells {known.subject:.0%} of the subjects"
            )


def _rehearsals(stage: Stage, world: World, count: int, rng: Random) -> list[Rehearsal]:
    made: list[Rehearsal] = []
    while len(made) < count:
        largest = world.draw_budget(rng)
        several = min(world.table.rehearsals_a_pool, count - len(made))
        made += stage.rehearse(world.draw_pool(rng), largest.usd, several, rng)
    return made
