"""The warm start of a recipe whose pools and budgets vary: rehearsals, round after round.

Every round rehearses with new pools and teaches what was rehearsed a few times, then forgets it:
what is learned is to read listings and not to know pools. The learning rate falls like a cosine.

Invariant: every round has dice of its own, so one that was left between two rounds goes on to what
it would have come to.

    teach_foresight(policy, protocol, problems, world, own_price, how, dice=dice, say=print,
                    stop=stop, halfway=halfway)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from corl_bench.errors import ConfigError
from corl_bench.money.amounts import parse_usd
from corl_bench.money.prices import Price
from corl_bench.routers.protocol import Protocol
from corl_bench.types import Problem, Usage
from corl_train.config import WarmStartTable
from corl_train.policies.base import Policy
from corl_train.runs.checkpoints import Halfway
from corl_train.runs.interruption import Stop
from corl_train.variety.own_play import OwnPlay
from corl_train.variety.rehearsals import Rehearsal, Stage
from corl_train.variety.school import Drill, School
from corl_train.variety.world import World
from corl_train.warmstart.teaching import cosine

ROUND = 960
"""Rehearsals of one round."""
_WARMING = 2000
"""Rehearsals after which the learning rate is what it should be."""
_OWN_FROM = 1 / 4
"""Of the rehearsals: behind them the policy plays some of them itself."""
_EXAMINED = 240
_ROUNDS_TOLD = 5
"""After so many rounds it is said how it goes."""


def teach_foresight(
    policy: Policy,
    protocol: Protocol,
    problems: Sequence[Problem],
    world: World,
    own_price: Price,
    how: WarmStartTable,
    *,
    dice: Callable[[str], Random],
    say: Callable[[str], None],
    stop: Stop,
    halfway: Halfway,
) -> None:
    """Teaches a policy to play with any pool at any budget.

    Args:
        policy: what learns.
        protocol: that it speaks.
        problems: of the training split.
        world: what pools and budgets are drawn from, and how many rehearsals there are.
        own_price: of the policy's tokens.
        how: learning rate, epochs, minibatch and weights.
        dice: for each use, by its name; the same ones whenever they are asked for.
        say: told of the rounds.
        stop: looked at before each round; where it has come to is kept first.
        halfway: where it begins, and where each round is kept.

    Raises:
        ConfigError: no rehearsal fits into the policy's context.
        StoppedEarlyError: it was wanted.
        StorageError: it cannot be kept.
    """
    table = world.table
    stage = Stage(
        booth=world.booth,
        protocol=protocol,
        problems=problems,
        manners=world.manners,
        wildness=table.wildness,
        least_usd=parse_usd(table.least_usd),
        held_out_usd=world.held_out_usd,
        turn_usd=own_price.cost_usd(Usage(policy.context // 2, 1)),
    )
    subjects = sorted({problem.subject or "" for problem in problems})
    school = School(policy, protocol, subjects, how, heat=table.heat)

    def drills(name: str, count: int, *, own_share: float = 0.0) -> list[Drill]:
        rng, rehearsed = dice(name), list[Rehearsal]()
        while len(rehearsed) < count:
            largest_usd = world.draw_horizon(rng)
            several = min(table.rehearsals_a_pool, count - len(rehearsed))
            pool = world.draw_pool(rng)
            chooser = None
            if rng.random() < own_share:
                chooser = OwnPlay(policy, protocol, temperature=rng.choice((0.0, 1.0)))
            rehearsed += stage.rehearse(pool, largest_usd, several, rng, chooser=chooser)
        return [d for d in map(school.drill, rehearsed) if len(d.ids) <= policy.context]

    unseen = drills("unseen rehearsals", _EXAMINED)
    if not unseen:
        raise ConfigError(
            f"no rehearsal fits into a context of {policy.context} tokens: raise policy.context"
        )
    done, too_long = 0, 0
    if (state := halfway.load()) is not None:
        done, too_long = state["done"], state["too_long"]
        school.teaching.restore(state["school"])
        say(f"going on behind {done:,} rehearsals")
    told = school.examine(unseen)
    while done < table.rehearsals:
        stop.check()
        count = min(ROUND, table.rehearsals - done)
        # What the policy does before it can play teaches little about what it will do.
        own_share = table.own_share if done >= _OWN_FROM * table.rehearsals else 0.0
        lessons = drills(f"rehearsals {done}", count, own_share=own_share)
        too_long += count - len(lessons)
        rate = cosine(how.learning_rate, done, done + count, table.rehearsals, warming=_WARMING)
        for epoch in range(how.epochs):
            told = school.teach(lessons, rate=rate, rng=dice(f"order {done} {epoch}"))
        done += count
        if (done // ROUND) % _ROUNDS_TOLD == 0 or done == table.rehearsals:
            known = school.examine(unseen)
            say(
                f"rehearsals {done:,}: loss {told.loss:.3f}; unseen {known.loss:.3f}, falls"
                f" {known.regret:.4f} short a turn and believes {known.misplaced:.4f} short, tells"
                f" {known.subject:.0%} of the subjects"
            )
        halfway.save({"done": done, "too_long": too_long, "school": school.teaching.state()})
    if too_long:
        say(
            f"{too_long:,} of {done:,} rehearsals did not fit into a context of {policy.context}"
            " tokens: raise policy.context"
        )
