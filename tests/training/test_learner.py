"""What a learner makes of what was played."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from corl_train.environment import Environment, Errand
from corl_train.evaluation.counting import count
from corl_train.evaluation.scores import rewarded
from corl_train.learner import Learner
from corl_train.setup import new_policy, prepare
from training.scripted_policy import calls_then_answers
from training.tiny_runs import recipe


def test_a_validation_counts_decisions_and_not_their_luck() -> None:
    setup = prepare(recipe("schedule.validation_problems=24"))
    problems = setup.validation.problems[:24]
    policy = new_policy(setup, seed=0)
    always_nano = calls_then_answers("nano", answer='<answer from="nano"/>')
    errands = [Errand(p, b, 0, task=setup.validation) for p in problems for b in setup.budgets]
    with Environment(
        setup.pool,
        setup.train,
        (*setup.train.problems, *setup.validation.problems),
        setup.controller,
        policy,
    ) as environment:
        learner = Learner(setup, policy, environment, seed=0)
        played = environment.roll_out(errands, temperature=0.0, policy=always_nano)
        rollouts = [rewarded(rollout) for rollout in played]
        scores, plain = learner.validated(rollouts), learner.scores(rollouts)
        by_budget = [[r for r in rollouts if r.episode.budget == b.name] for b in setup.budgets]
        counts = count(by_budget, environment, problems, setup.budgets)
    for score, played_score, counted in zip(scores, plain, counts, strict=True):
        assert counted is not None
        assert score.reward == counted.reward != played_score.reward
        assert score.accuracy == played_score.accuracy
