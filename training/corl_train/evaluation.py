"""What a controller earns at each budget, and how much of the exact optimum that is.

On a simulated pool the best possible policy is known (`corl-bench pool optimum`), and so is what
policies earn that need no learning: always one expert, never calling, ignoring the budget. The
optimum is that of the very problems that are asked, so which problems they are is no source of
error; the interval speaks of the draws alone.

    with open_run(Path("runs/quickstart")) as (environment, budgets):
        evaluation = evaluate(environment, budgets, samples=12)
    evaluation.budgets[0].fraction      # of the optimum; `evaluation_table` writes all of it
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.experts.pools import load_pool
from corl_bench.experts.simulation.optimum import BudgetResult, cells_of, optimum
from corl_bench.experts.simulation.tables import read_simulation
from corl_bench.metrics.adherence import violates
from corl_bench.metrics.inference.distributions import t_quantile
from corl_bench.money.amounts import sum_usd
from corl_bench.results import EpisodeRecord
from corl_bench.routers.controller import INVALID_TURN
from corl_bench.routers.controller_file import FILE_NAME, read_controller
from corl_bench.tasks import load_task
from corl_bench.types import Budget
from corl_train.config import parse_config
from corl_train.environment import Environment, Errand
from corl_train.experts import ANY_EXPERTS, Experts
from corl_train.policies.loading import computing, open_policy
from corl_train.rewards import gate
from corl_train.rollouts import Rollout
from corl_train.run_files import CONFIG_NAME, read_config, recipe_of
from corl_train.setup import WEIGHTS_FOLDER, budgets_of

CONFIDENCE = 0.95
EVALUATION_FOLDER = "evaluation"
"""Inside a run: what live experts were paid and replied while it was evaluated."""


@dataclass(frozen=True, slots=True)
class BudgetScore:
    """Episodes at one budget."""

    budget: str
    episodes: int
    reward: float
    accuracy: float
    mean_cost_usd: Decimal
    violation_rate: float
    calls: Mapping[str, float]
    """By expert: calls an episode; the controller's own turns are none."""
    invalid: float
    """Turns that could not be read, an episode."""

    def to_json(self) -> dict[str, Any]:
        """As it stands in files; see `run_files.Score`. There the mean cost is a float."""
        return {**asdict(self), "mean_cost_usd": float(self.mean_cost_usd)}


@dataclass(frozen=True, slots=True)
class Contrast:
    """The controller's mean reward less that of a policy that needs no learning."""

    budget: str
    against: str
    difference: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Judged:
    """One budget, beside the optimum where there is one."""

    score: BudgetScore
    reward_interval: tuple[float, float]
    strong_share: float | None
    """Of the calls to experts, how many went to those that the pool declares strong."""
    yardstick: BudgetResult | None

    @property
    def fraction(self) -> float | None:
        """Reward as a share of the optimum's; None without a yardstick."""
        return None if self.yardstick is None else self.yardstick.fraction(self.score.reward)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the fraction."""
        if self.yardstick is None:
            return None
        low, high = map(self.yardstick.fraction, self.reward_interval)
        return (low, high)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A controller on one task."""

    task: str
    pool: str
    seed: int
    samples: int
    budgets: tuple[Judged, ...]

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        """At each budget: against the controller's own attempt, and the best single expert."""
        found = []
        for judged in self.budgets:
            if judged.yardstick is None:
                continue
            single = {
                policy.policy: policy.reward
                for policy in judged.yardstick.trivial
                if policy.policy.startswith("always ")
            }
            best = max(single, key=lambda name: single[name])
            alone = {p.policy: p.reward for p in judged.yardstick.trivial}.get("never calling")
            others = {f"the best single expert, {best}": single[best]}
            if alone is not None:
                others["the controller's own attempts, never calling"] = alone
            for name, reward in others.items():
                low, high = judged.reward_interval
                found.append(
                    Contrast(
                        budget=judged.score.budget,
                        against=name,
                        difference=judged.score.reward - reward,
                        interval=(low - reward, high - reward),
                    )
                )
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """As `corl-train evaluate --json` prints it."""
        return {
            "task": self.task,
            "pool": self.pool,
            "seed": self.seed,
            "samples": self.samples,
            "budgets": [_judged_json(judged) for judged in self.budgets],
            "contrasts": [asdict(contrast) for contrast in self.contrasts],
        }


@contextmanager
def open_run(
    folder: Path,
    *,
    task: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    experts: Experts = ANY_EXPERTS,
) -> Iterator[tuple[Environment, tuple[Budget, ...]]]:
    """The controller of a training run, with the pool, budgets and test split of its recipe.

    Args:
        folder: the run's directory.
        task: other problems than the recipe's.
        limit: the first so many alone.
        seed: of the experts' replies.
        experts: where these come from. What live ones bill is kept in `folder/evaluation`, apart
            from the books of the training, and so is its cap.

    Raises:
        ConfigError: the folder holds no finished controller, or names something that is gone;
            or experts that cannot be asked like this.
    """
    kept = read_config(folder)
    config = parse_config(recipe_of(kept), str(folder / CONFIG_NAME))
    if not (folder / FILE_NAME).exists():
        raise ConfigError(
            f"{folder} holds no controller yet: a run leaves one when it ends or is interrupted;"
            " repeat its command"
        )
    pool = load_pool(config.data.pool)
    controller = read_controller(str(folder), pool)
    loaded = load_task(task or config.data.test, limit=limit)
    with Environment(
        pool,
        loaded,
        loaded.problems,
        controller,
        open_policy(folder / WEIGHTS_FOLDER, **computing(controller.own_model.options)),
        experts=replace(experts, folder=folder / EVALUATION_FOLDER),
        seed=seed,
    ) as environment:
        yield environment, budgets_of(config, pool)


def evaluate(
    environment: Environment,
    budgets: Sequence[Budget],
    *,
    samples: int,
    after: Callable[[EpisodeRecord], None] = lambda record: None,
) -> Evaluation:
    """Greedy episodes of every problem at every budget, against the yardstick.

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
    if _is_declared(pool):
        report = optimum(
            pool,
            cells_of(pool, problems),
            budgets,
            max_calls=environment.controller.protocol.max_calls,
        )
        yardsticks = {result.budget.name: result for result in report.budgets if result.budget}
        strong = {expert.name for expert in read_simulation(pool).experts if expert.strong}
    names = [expert.name for expert in pool.experts]
    strata = _strata(environment)
    judged = []
    for budget in budgets:
        errands = [Errand(p, budget, sample) for p in problems for sample in range(samples)]
        rollouts = [
            rewarded(rollout)
            for rollout in environment.roll_out(errands, temperature=0.0, after=after)
        ]
        (score,) = score_by_budget(rollouts, [budget], names)
        judged.append(
            Judged(
                score=score,
                reward_interval=_interval(rollouts, strata),
                strong_share=None if strong is None else _strong_share(score, strong, pool.own),
                yardstick=yardsticks.get(budget.name),
            )
        )
    return Evaluation(
        task=environment.task.label,
        pool=pool.name,
        seed=environment.seed,
        samples=samples,
        budgets=tuple(judged),
    )


def rewarded(rollout: Rollout) -> Rollout:
    """The rollout with what evaluation gives it, whatever training did: right and affordable."""
    value = gate(
        right=rollout.episode.verdict == "correct",
        cost_usd=rollout.episode.list_cost_usd,
        budget_usd=rollout.budget_usd,
    )
    return replace(rollout, reward=value)


def score_by_budget(
    rollouts: Sequence[Rollout], budgets: Sequence[Budget], experts: Collection[str]
) -> list[BudgetScore]:
    """Means over the rollouts of each budget, in the budgets' order.

    Args:
        rollouts: with rewards.
        budgets: of which scores are wanted; one without rollouts has none.
        experts: whose calls are counted.
    """
    scores = []
    for budget in budgets:
        own = [rollout for rollout in rollouts if rollout.episode.budget == budget.name]
        if not own:
            continue
        n = len(own)
        calls = Counter(call.expert for rollout in own for call in rollout.episode.calls)
        costs = [rollout.episode.list_cost_usd for rollout in own]
        scores.append(
            BudgetScore(
                budget=budget.name,
                episodes=n,
                reward=sum(rollout.reward for rollout in own) / n,
                accuracy=sum(rollout.episode.verdict == "correct" for rollout in own) / n,
                mean_cost_usd=sum_usd(costs) / n,
                violation_rate=sum(violates(cost, budget.usd) for cost in costs) / n,
                calls={name: calls[name] / n for name in experts},
                invalid=sum(map(_invalid_turns, own)) / n,
            )
        )
    return scores


def _invalid_turns(rollout: Rollout) -> int:
    return sum(event.startswith(INVALID_TURN) for event in rollout.episode.events)


def _judged_json(judged: Judged) -> dict[str, Any]:
    best = None if judged.yardstick is None else judged.yardstick.optimum
    return {
        **judged.score.to_json(),
        "reward_interval": judged.reward_interval,
        "optimum": None if best is None else best.reward,
        "fraction": judged.fraction,
        "interval": judged.interval,
        "optimum_violation_rate": None if best is None else best.violation_rate,
        "optimum_mean_cost_usd": None if best is None else float(best.mean_cost_usd),
        "strong_share": judged.strong_share,
        "trivial": {}
        if judged.yardstick is None
        else {
            policy.policy: judged.yardstick.fraction(policy.reward)
            for policy in judged.yardstick.trivial
        },
    }


def _is_declared(pool: Pool) -> bool:
    """Whether the pool has the tables of its simulation; over HTTP they stay with the server."""
    return pool.simulated and not pool.served


def _strong_share(score: BudgetScore, strong: Collection[str], own: Collection[str]) -> float:
    to_experts = {name: number for name, number in score.calls.items() if name not in own}
    total = sum(to_experts.values())
    return (
        sum(number for name, number in to_experts.items() if name in strong) / total
        if total
        else 0.0
    )


def _strata(environment: Environment) -> dict[str, object]:
    """Of each problem: its cell where experts are simulated; otherwise all are one stratum."""
    if not _is_declared(environment.pool):
        return {problem.id: None for problem in environment.task.problems}
    simulation = read_simulation(environment.pool)
    return {problem.id: simulation.cell(problem) for problem in environment.task.problems}


def _interval(rollouts: Sequence[Rollout], strata: Mapping[str, object]) -> tuple[float, float]:
    """Student's interval of the mean reward, from what varies between problems of one stratum.

    The variance of a stratified mean: Σ (n_h / n)² s_h² / n_h over strata of n_h problems, each
    problem the mean of its samples. A stratum of one problem borrows the pooled variance.

    Source: W. G. Cochran, "Sampling Techniques" (1977), section 5.6.
    """
    by_problem: dict[str, list[float]] = defaultdict(list)
    for rollout in rollouts:
        by_problem[rollout.episode.problem_id].append(rollout.reward)
    by_stratum: dict[object, list[float]] = defaultdict(list)
    for problem, rewards in by_problem.items():
        by_stratum[strata[problem]].append(math.fsum(rewards) / len(rewards))
    n = len(by_problem)
    mean = math.fsum(map(math.fsum, by_stratum.values())) / n
    squares = {h: _squares(values) for h, values in by_stratum.items()}
    degrees = n - len(by_stratum)
    if degrees < 1:
        return (0.0, 1.0)
    pooled = math.fsum(squares.values()) / degrees
    variance = (
        math.fsum(
            len(values) * (squares[h] / (len(values) - 1) if len(values) > 1 else pooled)
            for h, values in by_stratum.items()
        )
        / n**2
    )
    half = t_quantile((1 + CONFIDENCE) / 2, degrees) * math.sqrt(variance)
    return (max(0.0, mean - half), min(1.0, mean + half))


def _squares(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)
