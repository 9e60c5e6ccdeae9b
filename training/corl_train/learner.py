"""A policy that learns: what it is asked, what its episodes earn, what an update makes of them.

Every random choice follows from the run's seed and the number of the iteration, so a learner with
the same weights, optimiser and number goes on alike.

    learner = Learner(setup, policy, environment, seed=0)
    learner.warm_up(stop, say, halfway)
    line = learner.step()          # one iteration, as `metrics.jsonl` has it
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from decimal import Decimal
from random import Random
from typing import Any

import torch

from corl_bench.money.prices import cheapest_first
from corl_train.environment import Environment, Errand, draw_errands
from corl_train.evaluation.counting import count
from corl_train.evaluation.scores import BudgetScore, rewarded, score_by_budget
from corl_train.pointing import pointings_of
from corl_train.policies.base import Player, Policy
from corl_train.ppo import update
from corl_train.rewards import Mean, Percentile, Reward
from corl_train.rollouts import Rollout, pad
from corl_train.runs.checkpoints import Checkpoint, Halfway
from corl_train.runs.hardware import gpu_figures
from corl_train.runs.interruption import Stop
from corl_train.runs.lines import zero_groups
from corl_train.setup import Setup, make_reward
from corl_train.variety.errands import under_nearest, varied
from corl_train.variety.warming import teach_foresight
from corl_train.warmstart import Demonstrator, teach_plan, verdicts_by_turn, warm_up


class Learner:
    """A policy, the reference that it is held near to, and how far both have come.

    Args:
        setup: what the recipe comes to.
        policy: what learns.
        environment: where its episodes are made.
        seed: of everything random.
    """

    def __init__(
        self, setup: Setup, policy: Policy, environment: Environment, *, seed: int
    ) -> None:
        self.setup, self.policy, self.seed = setup, policy, seed
        self.config = setup.config
        self.iteration = 0
        """How many were made."""
        self.reward: Reward = make_reward(self.config.reward, setup.budgets)
        self.optimiser = torch.optim.AdamW(
            [p for p in policy.module.parameters() if p.requires_grad],
            lr=self.config.training.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=0.0,
        )
        self.reference = copy.deepcopy(policy)
        for parameter in self.reference.module.parameters():
            parameter.requires_grad_(False)
        self.prices: dict[Decimal, float] = {}
        """By a budget's dollars, what a dollar is worth at it, as far as a plan has found out."""
        self._environment = environment
        self._problems = {problem.id: problem for problem in setup.train.problems}

    @property
    def recent_usd(self) -> list[Any]:
        """What the percentile reward looks back on; empty for the others."""
        return list(self.reward.recent_usd) if isinstance(self.reward, Percentile) else []

    def set_prices(self, prices: Mapping[Decimal, float]) -> None:
        """What a dollar is worth from now on, by a budget's dollars; see `prices`."""
        self.prices = dict(prices)
        if isinstance(self.reward, Mean):
            self.reward = replace(self.reward, per_usd=self.prices)

    def restore(self, kept: Checkpoint) -> None:
        """Goes back, or on, to a checkpoint."""
        self.policy.module.load_state_dict(kept.policy)
        self.reference.module.load_state_dict(kept.reference)
        self.optimiser.load_state_dict(kept.optimiser)
        if isinstance(self.reward, Percentile):
            self.reward = replace(self.reward, recent_usd=tuple(kept.recent_usd))
        self.iteration = kept.iteration
        self.set_prices({Decimal(usd): price for usd, price in kept.prices.items()})

    def warm_up(self, stop: Stop, say: Callable[[str], None], halfway: Halfway) -> None:
        """Plays demonstrations and learns from them; what comes of it is the reference.

        Args:
            stop: leaves it.
            say: told how it goes.
            halfway: where a long one is kept meanwhile.

        Raises:
            StoppedEarlyError: it was wanted.
        """
        how, setup = self.config.warm_start, self.setup
        if setup.world is not None:
            teach_foresight(
                self.policy,
                setup.protocol,
                setup.train.problems,
                setup.world,
                setup.controller.own_model.price,
                how,
                dice=self.rng,
                say=say,
                stop=stop,
                halfway=halfway,
            )
            self.reference.module.load_state_dict(self.policy.module.state_dict())
            return
        if not how.episodes:
            return
        experts = tuple(expert.name for expert in cheapest_first(setup.pool.experts))
        demonstrator = Demonstrator(self.policy, setup.protocol, experts, how)
        if how.plays == "plan":
            prices = teach_plan(
                demonstrator,
                setup,
                self._environment,
                rng=self.rng("warm start"),
                reward=self._rewarded_at,
                say=say,
                stop=stop,
                halfway=halfway,
            )
            self.set_prices(prices)
            self.reference.module.load_state_dict(self.policy.module.state_dict())
            return

        def play(name: str, episodes: int, by: Player) -> list[Rollout]:
            errands = draw_errands(
                setup.train.problems,
                setup.budgets,
                episodes,
                1,
                first_sample=1,
                rng=self.rng(name),
            )
            played = self._environment.roll_out(errands, temperature=1.0, policy=by)
            return [self._rewarded(rollout) for rollout in played]

        warm_up(
            demonstrator,
            play("demonstrations", how.episodes, demonstrator),
            setup,
            rehearse=lambda n: play(f"rehearsal {n}", how.rehearsal_episodes, self.policy),
            rng=self.rng("warm start"),
            say=say,
            stop=stop,
        )
        self.reference.module.load_state_dict(self.policy.module.state_dict())

    def step(self) -> dict[str, Any]:
        """One iteration: roll out, reward, update.

        Returns:
            Its figures.

        Raises:
            TrainingDivergedError: a loss is not a number; the policy is of no use any more.
            CapReachedError: the experts' cap leaves no room; nothing has changed.
        """
        how = self.config.training
        began_s = time.monotonic()
        rollouts = self._environment.roll_out(
            self._errands(), temperature=1.0, opener=self.reference
        )
        earned = [self._rewarded(rollout) for rollout in rollouts]
        if how.answer_weight or how.share_replies:
            earned = [self._looked_back(rollout) for rollout in earned]
        if isinstance(self.reward, Percentile):
            costs = [rollout.episode.list_cost_usd for rollout in rollouts]
            self.reward = self.reward.after(costs)
        batch = pad(earned)
        moved = update(
            self.policy,
            self.reference,
            self.optimiser,
            batch,
            how,
            progress=self.iteration / max(1, how.iterations - 1),
            rng=self.rng("shuffle"),
        )
        self.iteration += 1
        whole = [rollout for rollout in earned if not rollout.opening]
        return {
            **asdict(moved),
            "zero_groups": zero_groups(whole),
            "tokens_per_s": int(batch.lengths.sum()) / (time.monotonic() - began_s),
            **gpu_figures(next(self.policy.module.parameters()).device),
            "train": [score.to_json() for score in self.scores(self._binned(whole))],
        }

    def play_validation(self) -> list[Rollout]:
        """Greedy episodes on the validation split, each problem at each budget.

        Raises:
            CapReachedError: the experts' cap leaves no room.
        """
        task = self.setup.validation
        problems = task.problems[: self.config.schedule.validation_problems]
        errands = [Errand(p, b, 0, task=task) for p in problems for b in self.setup.budgets]
        return [rewarded(r) for r in self._environment.roll_out(errands, temperature=0.0)]

    def scores(self, rollouts: Sequence[Rollout]) -> list[BudgetScore]:
        """Of rollouts with their rewards, by budget."""
        names = [expert.name for expert in self.setup.pool.experts]
        return score_by_budget(rollouts, self.setup.budgets, names)

    def validated(self, rollouts: Sequence[Rollout]) -> list[BudgetScore]:
        """Scores of a validation, with rewards counted by decisions where that can be done.

        A played reward has the luck of a few hundred verdicts in it, which is more than what
        one checkpoint has over another.
        """
        budgets = self.setup.budgets
        by_budget = [[r for r in rollouts if r.episode.budget == b.name] for b in budgets]
        problems = self.setup.validation.problems
        counts = count(by_budget, self._environment, problems, budgets)
        return [
            score if counted is None or not counted.holds else replace(score, reward=counted.reward)
            for score, counted in zip(self.scores(rollouts), counts, strict=True)
        ]

    def _binned(self, rollouts: Sequence[Rollout]) -> Sequence[Rollout]:
        """Where budgets vary, each rollout under the name of the nearest budget that has one."""
        if self.setup.world is None:
            return rollouts
        return [under_nearest(rollout, self.setup.budgets) for rollout in rollouts]

    def rng(self, what: str) -> Random:
        """The dice of this iteration, others for each use."""
        digest = hashlib.sha256(f"{self.seed}|{self.iteration}|{what}".encode()).digest()
        return Random(int.from_bytes(digest[:8], "big"))

    def _errands(self) -> list[Errand]:
        """Problems drawn by the iteration's own dice, budgets in turn, a sample number for each.

        The warm start has the first iteration's numbers, with problems of its own.
        """
        how = self.config.training
        errands = draw_errands(
            self.setup.train.problems,
            self.setup.budgets,
            how.episodes,
            how.samples,
            first_sample=1 + self.iteration * how.episodes,
            rng=self.rng("problems"),
            weights=how.budget_weights,
            share_replies=how.share_replies,
            opening_rate=how.opening_rate,
            longest_opening=self.setup.protocol.max_calls - 1,
        )
        if self.setup.world is None:
            return errands
        return varied(errands, self.setup.world, self.rng("pools"))

    def _rewarded_at(self, rollout: Rollout, prices: Mapping[Decimal, float]) -> Rollout:
        """The rollout with its reward, at prices that are only being found."""
        self.set_prices(prices)
        return self._rewarded(rollout)

    def _rewarded(self, rollout: Rollout) -> Rollout:
        value = self.reward(
            right=rollout.right,
            cost_usd=rollout.episode.list_cost_usd,
            budget_usd=rollout.budget_usd,
        )
        return replace(rollout, reward=value)

    def _looked_back(self, rollout: Rollout) -> Rollout:
        """With what is known of its replies now: whom to believe, and what they were worth."""
        problem = self._problems[rollout.episode.problem_id]
        verdicts = verdicts_by_turn(rollout, problem, self._environment.judging)
        spent_usd = rollout.spent_usd(self.setup.controller.own_model.name)
        return replace(
            rollout,
            pointings=pointings_of(rollout.transcript, verdicts, self.policy, self.setup.protocol),
            at_once=tuple(
                sum(
                    self.reward(right=right, cost_usd=usd, budget_usd=rollout.budget_usd)
                    for right in told.values()
                )
                / max(1, len(told))
                for told, usd in zip(verdicts, spent_usd, strict=False)
            ),
        )
