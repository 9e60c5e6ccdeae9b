"""How rows of a study are measured: episodes are played once and then counted in parts.

Where every expert is simulated and draws anew, rewards are counted by decisions
(`corl_train.evaluation.regret`): what a controller earns and what its decisions lose sum to the
optimum of the very problems that were asked, so one plan tells both, of any part of them. Policies
that need no learning are left to `corl-train evaluate`; they take as long again.

    measured = measure(environment, budgets, samples=4)
    measured.rows("all of them", problems), measured.rows("Geometry", geometry)
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from corl_bench.types import Budget, Problem
from corl_train.environment import Environment
from corl_train.evaluation.counting import account, strata_of
from corl_train.evaluation.intervals import reward_interval
from corl_train.evaluation.judgement import counted
from corl_train.evaluation.regret import Account
from corl_train.evaluation.running import open_run, play, rewards_of
from corl_train.evaluation.scores import score_by_budget
from corl_train.rollouts import Rollout
from corl_train.studies.study import Options, Row


@dataclass(frozen=True, slots=True)
class Measured:
    """Episodes of all problems of a task at some budgets, with their accounts."""

    environment: Environment
    budgets: tuple[Budget, ...]
    played: tuple[Sequence[Rollout], ...]
    """Of each budget."""
    accounts: tuple[Sequence[Account] | None, ...]
    """Likewise, in the order of the episodes; None where the decisions cannot be counted."""

    def rows(self, name: str, problems: Sequence[Problem], *, note: str = "") -> tuple[Row, ...]:
        """Some of the problems, a row for each budget.

        Args:
            name: what is special about them.
            problems: of the task; at least one.
            note: stands in each row.
        """
        return tuple(
            self._row(name, problems, note, *one)
            for one in zip(self.budgets, self.played, self.accounts, strict=True)
        )

    def _row(
        self,
        name: str,
        problems: Sequence[Problem],
        note: str,
        budget: Budget,
        played: Sequence[Rollout],
        accounts: Sequence[Account] | None,
    ) -> Row:
        pool = self.environment.pool
        ids = {problem.id for problem in problems}
        rollouts = [rollout for rollout in played if rollout.episode.problem_id in ids]
        (score,) = score_by_budget(rollouts, [budget], [expert.name for expert in pool.experts])
        strata = strata_of(pool, problems)
        reward, interval = score.reward, reward_interval(rewards_of(rollouts), strata)
        optimum = None
        if accounts is not None:
            count = counted([one for one in accounts if one.problem in ids], strata)
            optimum = count.optimum
            if count.holds:
                reward, interval = count.reward, count.interval
        return Row(
            name=name,
            budget=budget.name,
            problems=len(problems),
            episodes=score.episodes,
            reward=reward,
            reward_interval=interval,
            optimum=optimum,
            fraction=reward / optimum if optimum else None,
            interval=(interval[0] / optimum, interval[1] / optimum) if optimum else None,
            accuracy=score.accuracy,
            mean_cost_usd=score.mean_cost_usd,
            violation_rate=score.violation_rate,
            calls=score.calls,
            note=note,
        )


def open_for(
    folder: Path, options: Options, *, task: str | None = None
) -> AbstractContextManager[tuple[Environment, tuple[Budget, ...]]]:
    """The controller of a run as a study asks it; errors as of `open_run`.

    Args:
        folder: of the run.
        options: which problems, whose replies, and who notes what recordings lack.
        task: other problems than the recipe's.
    """
    return open_run(
        folder,
        task=task,
        limit=options.limit,
        seed=options.seed,
        experts=options.experts,
        say=options.note,
    )


def measure(environment: Environment, budgets: Sequence[Budget], *, samples: int) -> Measured:
    """Plays every problem of an environment's task at every budget, and counts.

    Args:
        environment: pool, task and policy.
        budgets: dollars.
        samples: episodes of each problem at each budget; experts draw anew for each.

    Raises:
        ConfigError: a simulated pool's tables are not usable.
        CapReachedError: the spending cap leaves no room.
    """
    played = play(environment, budgets, samples=samples)
    accounts = account(played, environment, environment.task.problems, budgets)
    return Measured(environment, tuple(budgets), tuple(played), tuple(accounts))
