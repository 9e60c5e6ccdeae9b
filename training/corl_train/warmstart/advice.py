"""A warm start by planned play: what a jury of the experts speaks for, at each budget's price.

For budgets that hold on average (`data.spend = "mean"`). The census tells how the experts' answers
hang together; a plan at a price of dollars is the best that can be done if they go on like that;
and each budget gets the lowest price at which the plan, on the training problems, spends no more
than it on average. The policy is shown what every choice is worth in the states that plans and
random play come to. The prices are what `reward.kind = "mean"` then trains with.

    prices = teach_plan(demonstrator, setup, environment, rng=rng, reward=earned, say=print, …)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

import numpy as np
import torch

from corl_bench.episode import ExpertInfo
from corl_bench.errors import ConfigError
from corl_train.environment import Environment
from corl_train.losses import masked_mean
from corl_train.rollouts import Rollout, pad, split
from corl_train.runs.interruption import Stop
from corl_train.setup import Setup
from corl_train.warmstart.census import code_of, take_census
from corl_train.warmstart.demonstrator import Demonstrator, results_of
from corl_train.warmstart.difficulty import Sighting, State, fit_jury
from corl_train.warmstart.lessons import Targets, pad_targets, targets_of
from corl_train.warmstart.panel import choose_panels
from corl_train.warmstart.planning import Plan, PricedPlan
from corl_train.warmstart.rehearsals import draw_sightings, rehearse

_MARK = "\0"
_MOST_TIMES = 4
"""That the same conversation is taught. A plan for little money comes to a handful of them, which
would else be most of what is taught; one for much money to thousands."""
_MOST_TRIES = 4
"""Rehearsals that are played for each that is wanted."""


@dataclass(slots=True)
class Advised(Demonstrator):
    """Plays what the plan of a conversation's budget finds to be worth most, and some at random."""

    plans: Mapping[str, PricedPlan] = field(default_factory=dict)
    """By how the first message at a budget begins."""
    _known: dict[tuple[str, State, bool], dict[str, float]] = field(default_factory=dict)

    def session(self) -> Advised:
        return self

    def odds(
        self, texts: Sequence[str], trust: Mapping[str, float] | None = None
    ) -> dict[str, float]:
        """As of a `Demonstrator`, but `counsel_weight` of it is what the plan speaks for."""
        at_random = Demonstrator.odds(self, texts, trust)
        weight, planned = self.how.counsel_weight, self.planned_odds(texts)
        return {
            turn: (1 - weight) * at_random.get(turn, 0.0) + weight * planned.get(turn, 0.0)
            for turn in {**at_random, **planned}
        }

    def planned_odds(self, texts: Sequence[str]) -> dict[str, float]:
        """What the plan alone speaks for.

        A choice is e times as probable as another for each `counsel_heat` that it is worth more.
        """
        begins = next(begins for begins in self.plans if texts[0].startswith(begins))
        state = code_of(texts, self.experts)
        may_call = len(results_of(texts)) < self.protocol.max_calls
        if (begins, state, may_call) not in self._known:
            odds = self._odds_of(self.plans[begins], state, may_call, texts)
            self._known[begins, state, may_call] = odds
        return self._known[begins, state, may_call]

    def _odds_of(
        self, plan: PricedPlan, state: State, may_call: bool, texts: Sequence[str]
    ) -> dict[str, float]:
        believed = [self.answer(self.experts[place]) for place in plan.believed(state)]
        worth: dict[str, tuple[float, int]] = {}
        for choice, value in plan.worth(state).items():
            if choice is not None and not may_call:
                continue  # calls to whom the plan does not count on were made as well
            turns = believed if choice is None else [self.call(self.experts[choice])]
            worth.update((turn, (value, len(turns))) for turn in turns)
        if not worth:
            return Demonstrator.odds(self, texts)
        best = max(value for value, _ in worth.values())
        shares = {
            turn: math.exp((value - best) / self.how.counsel_heat) / alike
            for turn, (value, alike) in worth.items()
        }
        total = sum(shares.values())
        return {turn: share / total for turn, share in shares.items()}


def teach_plan(
    player: Demonstrator,
    setup: Setup,
    environment: Environment,
    *,
    rng: Random,
    reward: Callable[[Rollout, Mapping[Decimal, float]], Rollout],
    say: Callable[[str], None],
    stop: Stop,
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

    Returns:
        By the dollars of each budget: how many right answers a dollar is worth at it.

    Raises:
        ConfigError: there is no problem of which all experts' replies are there.
        StoppedEarlyError: it was wanted.
    """
    how, problems = setup.config.warm_start, setup.train.problems
    sightings = take_census(environment, player, problems, setup.budgets[0])
    whole = require_whole(sightings, player.experts, setup.train.label)
    if len(whole) < len(sightings):
        say(
            f"census: plans are made for the {len(whole):,} of {len(sightings):,} training problems"
            " to which every expert has replied"
        )
    costs_usd = np.nanmean([seen.costs_usd for seen in sightings], axis=0).tolist()
    jury = fit_jury(sightings)
    panels = choose_panels(
        jury,
        costs_usd,
        player.protocol.max_calls,
        budgets_usd=[float(budget.usd) for budget in setup.budgets],
        sightings=whole,
    )
    plan_of = {panel: Plan(jury, costs_usd, player.protocol.max_calls, panel) for panel in panels}
    plans, prices = {}, {}
    infos = [ExpertInfo.of(expert) for expert in setup.pool.experts]
    for budget, panel in zip(setup.budgets, panels, strict=True):
        priced = plan_of[panel].price_for(float(budget.usd), whole)
        plans[setup.protocol.opening(_MARK, budget, infos).split(_MARK)[0]] = priced
        prices[budget.usd] = priced.price
        left_out = [name for place, name in enumerate(player.experts) if place not in panel]
        told = f"; it counts on all but {', '.join(left_out)}" if left_out else ""
        say(
            f"plan at ${budget.usd}: a dollar is worth {priced.price:.4g} right answers,"
            f" ${priced.mean_spend_usd(whole):.6f} a training problem"
            f"{told}"
        )
    advised = Advised(player.policy, player.protocol, player.experts, how, plans)
    dice = np.random.default_rng(rng.getrandbits(64))
    statements = statements_of(setup, rng)
    played: list[Rollout] = []
    times: Counter[tuple[int, ...]] = Counter()
    tries = _MOST_TRIES * how.episodes
    drawn = iter(draw_sightings(jury, costs_usd, tries, dice))
    for number in range(tries):
        if len(played) == how.episodes:
            break
        stop.check()
        seen = next(drawn) if rng.random() < how.drawn_share else rng.choice(whole)
        budget = setup.budgets[number % len(setup.budgets)]
        rollout = rehearse(advised, setup, budget, seen, statements(seen), rng)
        ids = tuple(rollout.transcript.ids)
        times[ids] += 1
        if times[ids] <= _MOST_TIMES:
            played.append(reward(rollout, prices))
    say(f"warm start: {len(played):,} rehearsals, of {times.total():,} that were played")
    stops = setup.protocol.stops
    targets = [
        targets_of(player.policy, rollout.transcript, stops, advised.planned_odds)
        for rollout in played
    ]
    school = torch.optim.AdamW(
        player.policy.module.parameters(),
        lr=how.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=0.0,
    )
    for epoch in range(how.epochs):
        for group in school.param_groups:
            group["lr"] = how.learning_rate * (1 - epoch / how.epochs)
        loss = _teach(player, played, targets, school, setup, rng, stop)
        say(f"warm start, planned play {epoch + 1}/{how.epochs}: loss {loss:.4f}")
    return prices


def require_whole(
    sightings: Sequence[Sighting], experts: Sequence[str], label: str
) -> list[Sighting]:
    """The sightings of all experts, which what a plan spends can be told of.

    Args:
        sightings: of training problems.
        experts: in the order of their states.
        label: of the problems.

    Raises:
        ConfigError: there is none.
    """
    whole = [seen for seen in sightings if seen.is_whole]
    if not whole:
        asked = [sum(not math.isnan(usd) for usd in own) for own in _columns(sightings)]
        fewest, name = min(zip(asked, experts, strict=True))
        raise ConfigError(
            f"{label} has no problem to which every expert has replied, and a plan takes such:"
            f" record or import more replies, or take an expert out of the pool ({name} has replied"
            f" to {fewest:,} of {len(sightings):,})"
        )
    return whole


def _columns(sightings: Sequence[Sighting]) -> Iterator[tuple[float, ...]]:
    return zip(*(seen.costs_usd for seen in sightings), strict=True)


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


def _teach(
    player: Demonstrator,
    played: Sequence[Rollout],
    targets: Sequence[Targets],
    optimiser: torch.optim.Optimizer,
    setup: Setup,
    rng: Random,
    stop: Stop,
) -> float:
    """One epoch; returns the mean divergence from what was advised, nats a token."""
    how, policy = setup.config.warm_start, player.policy
    batch = pad(played)
    minibatches = split(batch.lengths.argsort(stable=True), how.minibatch)
    rng.shuffle(minibatches)
    total = 0.0
    for rows in minibatches:
        stop.check()
        part = batch.rows(rows)
        scores = policy.score(part.ids, part.mask)
        if scores.distributions is None:
            loss = -masked_mean(scores.log_probs, part.mask)
        else:
            places, shares = pad_targets([t for row in rows.tolist() for t in targets[row]])
            surprise = shares * (
                shares.clamp_min(1e-12).log() - scores.distributions.gather(1, places)
            )
            loss = surprise.sum(dim=1).mean()
        errors = (scores.values - part.rewards[:, None]) ** 2
        whole = loss + how.value_weight * masked_mean(errors, part.mask)
        optimiser.zero_grad()
        torch.autograd.backward(whole)
        torch.nn.utils.clip_grad_norm_(policy.module.parameters(), 1.0)
        optimiser.step()
        total += loss.item()
    return total / len(minibatches)
