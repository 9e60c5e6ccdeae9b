"""Rollouts counted by what their decisions lose, where the optimum's plan knows all that they met.

counts = count([rollouts_at_low, rollouts_at_high], environment, task.problems, budgets)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from corl_bench.experts.base import Pool
from corl_bench.experts.simulation.tables import read_simulation
from corl_bench.types import Budget, Problem
from corl_train.environment import Environment
from corl_train.evaluation.judgement import Counted, counted
from corl_train.evaluation.regret import Account, Trail, accounts_of, trail_of
from corl_train.rollouts import Rollout


def count(
    played: Sequence[Sequence[Rollout]],
    environment: Environment,
    problems: Sequence[Problem],
    budgets: Sequence[Budget],
) -> list[Counted | None]:
    """What the rollouts of each budget earn, counted by their decisions.

    Args:
        played: of each budget, with the gate's rewards; as many of each problem.
        environment: that made them.
        problems: that were asked.
        budgets: all have one plan, which takes seconds to make.

    Returns:
        None where the plan does not know what they met: experts that are not simulated in
        process or do not draw anew, or a call that ended as no table declares. Nor does it know
        budgets that hold on average: its own are the most that an episode may cost.
    """
    strata = strata_of(environment.pool, problems)
    return [
        None if episodes is None else counted(episodes, strata)
        for episodes in account(played, environment, problems, budgets)
    ]


def account(
    played: Sequence[Sequence[Rollout]],
    environment: Environment,
    problems: Sequence[Problem],
    budgets: Sequence[Budget],
) -> list[list[Account] | None]:
    """What the decisions of each rollout lose, in the order of the rollouts of each budget.

    Args and what is None are as of `count`.
    """
    trails = [_trails(rollouts, environment, problems) for rollouts in played]
    known = [trail for episodes in trails if episodes is not None for trail in episodes]
    accounts = iter(
        accounts_of(
            known,
            environment.pool,
            budgets,
            max_calls=environment.controller.protocol.max_calls,
        )
        if known
        else ()
    )
    return [
        None if episodes is None else list(islice(accounts, len(episodes))) for episodes in trails
    ]


def is_declared(pool: Pool) -> bool:
    """Whether the pool has the tables of its simulation; over HTTP they stay with the server."""
    return pool.simulated and not pool.served


def strata_of(pool: Pool, problems: Sequence[Problem]) -> dict[str, object]:
    """Of each problem: its cell where experts are simulated; otherwise all are one stratum."""
    if not is_declared(pool):
        return {problem.id: None for problem in problems}
    simulation = read_simulation(pool)
    return {problem.id: simulation.cell(problem) for problem in problems}


def _trails(
    rollouts: Sequence[Rollout], environment: Environment, problems: Sequence[Problem]
) -> list[Trail] | None:
    pool = environment.pool
    if not all(expert.provider == "simulated" for expert in pool.experts):
        return None
    if environment.desk.has_recordings or environment.judging.spend == "mean":
        return None  # a stored reply is no fresh draw, and the optimum knows no mean budget
    simulation = read_simulation(pool)
    by_id = {problem.id: problem for problem in problems}
    own = environment.controller.own_model.name
    trails = []
    for rollout in rollouts:
        trail = trail_of(rollout, by_id[rollout.episode.problem_id], simulation, own=own)
        if trail is None:
            return None
        trails.append(trail)
    return trails
