"""Shortfall: what a policy that has practised loses against its plans, by their own reckoning.

It plays greedily, as it will be evaluated, and each of its turns loses what the best one was worth
more. Under the jury the sum over a conversation is, on average, what the policy earns less than
its plan; it says how well a plan was learned, and nothing of how good the plan is.

    shortfalls(budgeted, setup, statements, rng=rng, stop=stop)     # {Decimal("0.0005"): 0.0002}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random

from corl_bench.types import Budget
from corl_train.rollouts import play_out
from corl_train.runs.interruption import Stop
from corl_train.setup import Setup
from corl_train.warmstart.advised import Advised
from corl_train.warmstart.budgeting import Budgeted
from corl_train.warmstart.demonstrator import results_of
from corl_train.warmstart.difficulty import Sighting
from corl_train.warmstart.practice import Pupil
from corl_train.warmstart.rehearsals import converse

MOST_PROBLEMS = 500
"""That are played at each budget: some seconds of a tiny policy."""
_SHARE = 8
"""Of the rehearsals one in so many at most: to look must cost little beside what it looks at."""


def shortfalls(
    budgeted: Budgeted,
    setup: Setup,
    statements: Callable[[Sighting], str],
    *,
    rng: Random,
    stop: Stop,
) -> dict[Decimal, float]:
    """What greedy play loses on training problems.

    Args:
        budgeted: the plans, and whose policy plays.
        setup: protocol and budgets.
        statements: of the problems.
        rng: draws problems, where there are more than `MOST_PROBLEMS`, or few were rehearsed.
        stop: looked at before each budget.

    Returns:
        By the dollars of each budget: right answers a problem, the spend at the plan's price taken
        off.

    Raises:
        StoppedEarlyError: it was wanted.
    """
    rehearsed = setup.config.warm_start.episodes // (_SHARE * len(setup.budgets))
    number = min(MOST_PROBLEMS, len(budgeted.whole), max(1, rehearsed))
    some = rng.sample(budgeted.whole, number)
    found = {}
    for budget in setup.budgets:
        stop.check()
        lost = _lost(budgeted, setup, budget, some, statements, rng)
        found[budget.usd] = math.fsum(lost) / number
    return found


def _lost(
    budgeted: Budgeted,
    setup: Setup,
    budget: Budget,
    sightings: Sequence[Sighting],
    statements: Callable[[Sighting], str],
    rng: Random,
) -> list[float]:
    """By conversation."""
    advised, price = budgeted.advised, budgeted.prices[budget.usd]
    played = play_out(
        [converse(advised, setup, budget, seen, statements(seen)) for seen in sightings],
        Pupil(advised, 0.0, rng).say,
    )
    costs = [price * usd for usd in budgeted.costs_usd]
    lost = []
    for rollout in played:
        texts = rollout.transcript.texts
        turns = range(1, len(texts), 2)
        lost.append(math.fsum(loses(advised, texts[:turn], texts[turn], costs) for turn in turns))
    return lost


def loses(advised: Advised, texts: Sequence[str], turn: str, costs: Sequence[float]) -> float:
    """What a turn is worth less than the best one; one that the protocol forbids is worth nothing.

    Args:
        advised: who knows the plan.
        texts: messages before the turn.
        turn: as it was said.
        costs: of a call to each expert, in right answers.
    """
    advice = advised.advice(texts)
    best = max(worth for worth in advice.worth if not math.isnan(worth))
    for place, name in enumerate(advised.experts):
        if turn == advised.call(name) and len(results_of(texts)) < advised.protocol.max_calls:
            # Whom the plan does not count on, or has heard, tells it nothing.
            worth = advice.worth[place]
            return costs[place] if math.isnan(worth) else best - worth
        if turn == advised.answer(name):
            right = advice.rights[place]
            return best - (0.0 if math.isnan(right) else right)
    return best
