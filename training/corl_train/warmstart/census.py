"""The census: every expert is asked once about each training problem, before anything is taught.

What experts agree on, who was right and what it has cost is all that a plan is made from. The
calls go through the environment like any other: recorded and simulated experts answer for
nothing, live ones bill what the cap allows. One episode asks everybody, whatever the protocol
allows a controller, so that all answers to a problem are compared with each other.

    sightings = take_census(environment, demonstrator, problems, budget)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from corl_bench.types import Budget, Problem
from corl_train.environment import Environment, Errand
from corl_train.policies.base import Said, Speaking
from corl_train.rollouts import Rollout, Transcript
from corl_train.warmstart.demonstrator import Demonstrator, results_of, tally_of
from corl_train.warmstart.difficulty import FIRST_GROUP, SILENT, UNASKED, Sighting
from corl_train.warmstart.planning import ordered


@dataclass(slots=True)
class _Census(Demonstrator):
    """Asks whoever was not asked yet, at random, until nobody is left."""

    def session(self) -> _Census:
        return self

    def speak(
        self, transcripts: Sequence[Transcript], how: Speaking, seeds: Sequence[int]
    ) -> list[Said]:
        said = []
        for transcript, seed in zip(transcripts, seeds, strict=True):
            results = results_of(transcript.texts)
            asked = {result.expert for result in results}
            left = [name for name in self.experts if name not in asked]
            if left:
                text = self.call(Random(seed).choice(left))
            else:
                answered = [result.expert for result in results if result.reply is not None]
                text = self.answer((answered or self.experts)[0])
            ids = self.policy.spell(text, how.stops)
            said.append(Said(ids, [0.0] * len(ids), text, "stop"))
        return said


def take_census(
    environment: Environment, player: Demonstrator, problems: Sequence[Problem], budget: Budget
) -> list[Sighting]:
    """Asks around.

    Args:
        environment: where episodes are made.
        player: who spells turns, and knows the experts.
        problems: of the training split.
        budget: any of those that the controller is trained for; a census minds none.

    Returns:
        One for each problem. Of an expert whose reply is not recorded nothing is known there.
    """
    census = _Census(player.policy, player.protocol, player.experts, player.how)
    controller, everybody = environment.controller, len(player.experts)
    protocol = replace(controller.protocol, max_calls=max(player.protocol.max_calls, everybody))
    rollouts = environment.roll_out(
        [Errand(problem, budget, -1) for problem in problems],
        temperature=1.0,
        policy=census,
        controller=replace(controller, protocol=protocol),
    )
    return [
        sighting_of(rollout, problem, player.experts, environment)
        for rollout, problem in zip(rollouts, problems, strict=True)
    ]


def sighting_of(
    rollout: Rollout, problem: Problem, experts: Sequence[str], environment: Environment
) -> Sighting:
    """What an episode has seen of its problem.

    Args:
        rollout: the episode.
        problem: with its answer.
        experts: in the order of the state.
        environment: whose verdicts count.
    """
    texts = rollout.transcript.texts
    marks: dict[str, bool] = {}
    costs_usd = dict.fromkeys(experts, math.nan)
    calls = [call for call in rollout.episode.calls if call.expert in costs_usd]
    answers: dict[str, str | None] = {}
    for call, result in zip(calls, results_of(texts), strict=True):
        if call.status == "not_recorded":
            continue
        costs_usd[call.expert] = float(call.list_cost_usd)
        answers[call.expert] = result.reply
        if result.reply is not None:
            marks[call.expert] = environment.judging.of_reply(problem, result.reply, call)
    codes = ordered(
        [
            code if name in answers else UNASKED
            for name, code in zip(experts, code_of(texts, experts), strict=True)
        ]
    )
    shares: dict[int, list[bool]] = {}
    for name, code in zip(experts, codes, strict=True):
        if name in marks and code >= FIRST_GROUP:
            shares.setdefault(code - FIRST_GROUP, []).append(marks[name])
    # Whoever published the verdicts may have drawn the lines between answers elsewhere.
    right = [group for group, several in shares.items() if 2 * sum(several) > len(several)]
    largest = max(right, key=lambda group: len(shares[group]), default=-1)
    return Sighting(
        codes,
        largest,
        tuple(costs_usd[name] for name in experts),
        problem.id,
        tuple(answers.get(name) for name in experts),
    )


def code_of(texts: Sequence[str], experts: Sequence[str]) -> tuple[int, ...]:
    """The state of a conversation, from its messages."""
    codes = {result.expert: SILENT for result in results_of(texts)}
    for number, group in enumerate(tally_of(texts)):
        codes.update(dict.fromkeys(group, number + FIRST_GROUP))
    return ordered([codes.get(name, UNASKED) for name in experts])
