"""Asking a trained controller: opening its run, and greedy episodes of every problem and budget.

A pool that bills is asked by one process at a time: two would each spend the whole cap.

    with open_run(Path("runs/quickstart")) as (environment, budgets):
        evaluation = evaluate(environment, budgets, samples=12)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from corl_bench.experts.pools import load_pool
from corl_bench.experts.simulation.optimum import BudgetResult, cells_of, optimum
from corl_bench.experts.simulation.tables import read_simulation
from corl_bench.results import EpisodeRecord
from corl_bench.routers.controller_file import read_controller
from corl_bench.tasks import load_task
from corl_bench.types import Budget
from corl_train.config import parse_config
from corl_train.coverage import require_covered
from corl_train.environment import Environment, Errand
from corl_train.evaluation.counting import count, is_declared, strata_of
from corl_train.evaluation.intervals import reward_interval
from corl_train.evaluation.judgement import Evaluation, Judged
from corl_train.evaluation.scores import BudgetScore, rewarded, score_by_budget
from corl_train.experts import ANY_EXPERTS, Experts
from corl_train.judging import Judging
from corl_train.policies.loading import computing, open_policy
from corl_train.provider import weights_of
from corl_train.rollouts import Rollout
from corl_train.runs.directory import locked, price_date_of
from corl_train.runs.files import CONFIG_NAME, read_config, recipe_of, require_controller
from corl_train.setup import budgets_of

EVALUATION_FOLDER = "evaluation"
"""Inside a run: what live experts were paid and replied while it was evaluated."""


@contextmanager
def open_run(
    folder: Path,
    *,
    task: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    experts: Experts = ANY_EXPERTS,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[tuple[Environment, tuple[Budget, ...]]]:
    """The controller of a training run, with the pool, budgets and test split of its recipe.

    Args:
        folder: the run's directory.
        task: other problems than the recipe's.
        limit: the first so many alone.
        seed: of the experts' replies.
        experts: where these come from. What live ones bill is kept in `folder/evaluation`, apart
            from the books of the training, and so is its cap.
        say: told what recordings lack.

    Raises:
        ConfigError: the folder holds no finished controller, or names something that is gone; the
            recordings have no problem of the task; or experts cannot be asked like this, or
            another process is paying them.
        StorageError: the books of what is billed cannot be written.
    """
    kept = read_config(folder)
    config = parse_config(recipe_of(kept), str(folder / CONFIG_NAME))
    require_controller(folder)
    pool = load_pool(config.data.pool, price_date=price_date_of(folder))
    controller = read_controller(str(folder), pool)
    own = controller.own_model
    loaded = load_task(task or config.data.test, limit=limit)
    experts = replace(experts, folder=folder / EVALUATION_FOLDER)
    experts.check(pool)
    require_covered(pool, (loaded,), experts, say=say, by=any)
    with ExitStack() as opened:
        if experts.billed(pool):
            opened.enter_context(locked(folder / EVALUATION_FOLDER))
        environment = opened.enter_context(
            Environment(
                pool,
                loaded,
                loaded.problems,
                controller,
                open_policy(weights_of(own), **computing(own.options)),
                experts=experts,
                seed=seed,
                judging=Judging.of_recipe(config.data),
            )
        )
        yield environment, budgets_of(config, pool)


def evaluate(
    environment: Environment,
    budgets: Sequence[Budget],
    *,
    samples: int,
    after: Callable[[EpisodeRecord], None] = lambda record: None,
) -> Evaluation:
    """Greedy episodes of every problem at every budget, against the yardstick.

    Where every expert is simulated and draws anew, the rewards are counted by decisions too. Of
    budgets that hold on average nobody knows the optimum: what is known is that of budgets that
    hold for each episode, which earns less.

    Args:
        environment: pool, task and policy.
        budgets: named amounts.
        samples: episodes of each problem at each budget; experts draw anew for each.
        after: told of each episode as it ends.

    Raises:
        ConfigError: a simulated pool's tables are not usable.
        CapReachedError: the spending cap leaves no room.
    """
    pool, problems = environment.pool, environment.task.problems
    yardsticks: dict[str, BudgetResult] = {}
    strong: set[str] | None = None
    if is_declared(pool) and environment.judging.spend == "each":
        report = optimum(
            pool,
            cells_of(pool, problems),
            budgets,
            max_calls=environment.controller.protocol.max_calls,
        )
        yardsticks = {result.budget.name: result for result in report.budgets if result.budget}
        strong = {expert.name for expert in read_simulation(pool).experts if expert.strong}
    names = [expert.name for expert in pool.experts]
    strata = strata_of(pool, problems)
    found = []
    played = play(environment, budgets, samples=samples, after=after)
    for budget, rollouts in zip(budgets, played, strict=True):
        (score,) = score_by_budget(rollouts, [budget], names)
        found.append(
            Judged(
                score=score,
                played_interval=reward_interval(rewards_of(rollouts), strata),
                strong_share=None if strong is None else _strong_share(score, strong, pool.own),
                yardstick=yardsticks.get(budget.name),
            )
        )
    counts = count(played, environment, problems, budgets)
    return Evaluation(
        task=environment.task.label,
        pool=pool.name,
        seed=environment.seed,
        samples=samples,
        budgets=tuple(
            replace(judged, counted=count) for judged, count in zip(found, counts, strict=True)
        ),
    )


def play(
    environment: Environment,
    budgets: Sequence[Budget],
    *,
    samples: int,
    after: Callable[[EpisodeRecord], None] = lambda record: None,
) -> list[list[Rollout]]:
    """Greedy episodes of every problem, a list for each budget, with the gate's rewards.

    Args and errors are those of `evaluate`.
    """
    problems = environment.task.problems
    played = []
    for budget in budgets:
        errands = [Errand(p, budget, sample) for p in problems for sample in range(samples)]
        rollouts = environment.roll_out(errands, temperature=0.0, after=after)
        played.append([rewarded(rollout) for rollout in rollouts])
    return played


def rewards_of(rollouts: Sequence[Rollout]) -> dict[str, list[float]]:
    """Of the samples of each problem."""
    rewards: dict[str, list[float]] = defaultdict(list)
    for rollout in rollouts:
        rewards[rollout.episode.problem_id].append(rollout.reward)
    return rewards


def _strong_share(score: BudgetScore, strong: Collection[str], own: Collection[str]) -> float:
    to_experts = {name: number for name, number in score.calls.items() if name not in own}
    total = sum(to_experts.values())
    return (
        sum(number for name, number in to_experts.items() if name in strong) / total
        if total
        else 0.0
    )
