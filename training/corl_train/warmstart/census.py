"""The census: every expert is asked once about each training problem, before anything is taught.

What experts agree on, who was right and what it has cost is all that a plan is made from. The
calls go through the environment like any other: recorded and simulated experts answer for
nothing, live ones bill what the cap allows.

    sightings = take_census(environment, demonstrator, problems, budget, rng=Random(0))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
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
    """Asks whoever was not asked yet, at random, until nobody is left or no call is."""

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
            if left and len(results) < self.protocol.max_calls:
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
        One for each problem; where there are more experts than calls, several, each of as many
        experts as there are calls.
    """
    census = _Census(player.policy, player.protocol, player.experts, player.how)
    often = math.ceil(len(player.experts) / player.protocol.max_calls)
    errands = [
        Errand(problem, budget, -1 - sample) for problem in problems for sample in range(often)
    ]
    rollouts = environment.roll_out(errands, temperature=1.0, policy=census)
    by_id = {problem.id: problem for problem in problems}
    return [
        sighting_of(rollout, by_id[rollout.episode.problem_id], player.experts, environment)
        for rollout in rollouts
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
    results = iter(results_of(texts))
    for call in rollout.episode.calls:
        if call.expert not in costs_usd:
            continue
        result = next(results)
        costs_usd[call.expert] = float(call.list_cost_usd)
        if result.reply is not None:
            marks[call.expert] = environment.judging.of_reply(problem, result.reply, call)
    codes = code_of(texts, experts)
    shares: dict[int, list[bool]] = {}
    for name, code in zip(experts, codes, strict=True):
        if name in marks and code >= FIRST_GROUP:
            shares.setdefault(code - FIRST_GROUP, []).append(marks[name])
    # Whoever published the verdicts may have drawn the lines between answers elsewhere.
    right = [group for group, several in shares.items() if 2 * sum(several) > len(several)]
    largest = max(right, key=lambda group: len(shares[group]), default=-1)
    return Sighting(codes, largest, tuple(costs_usd[name] for name in experts))


def code_of(texts: Sequence[str], experts: Sequence[str]) -> tuple[int, ...]:
    """The state of a conversation, from its messages."""
    codes = {result.expert: SILENT for result in results_of(texts)}
    for number, group in enumerate(tally_of(texts)):
        codes.update(dict.fromkeys(group, number + FIRST_GROUP))
    return ordered([codes.get(name, UNASKED) for name in experts])
