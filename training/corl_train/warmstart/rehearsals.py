"""Rehearsals: conversations about problems whose replies are known, or drawn from the jury.

Word for word what an episode would be, for a hundredth of the time: the protocol writes the
messages, and who agrees with whom is known beforehand. Those that are drawn keep a policy from
learning a few hundred problems by heart: it meets whatever the jury takes for possible.

    seen = draw_sightings(jury, costs_usd, 100, np.random.default_rng(0))
    played = play_out([converse(advised, setup, budget, one, "") for one in seen], choose)
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from decimal import Decimal

import numpy as np
import torch

from corl_bench.episode import ExpertInfo
from corl_bench.results import CallRecord, EpisodeRecord
from corl_bench.routers.protocol import CallReport, Voice
from corl_bench.types import Budget
from corl_train.rollouts import Rollout, Transcript
from corl_train.setup import Setup
from corl_train.warmstart.demonstrator import Demonstrator
from corl_train.warmstart.difficulty import FIRST_GROUP, SILENT, Jury, Sighting
from corl_train.warmstart.planning import ordered

_PICODOLLARS = 12
"""Decimals of what a call costs in a rehearsal."""


def draw_sightings(
    jury: Jury, costs_usd: Sequence[float], number: int, rng: np.random.Generator
) -> list[Sighting]:
    """Problems as the jury takes them to be, with the replies of every expert.

    Args:
        jury: how answers hang together.
        costs_usd: of a call to each expert.
        number: how many.
        rng: draws difficulties and replies.
    """
    with torch.no_grad():
        right, silent, traps, _ = jury.chances(torch.tensor(rng.standard_normal(number)))
    steps = np.cumsum([part.numpy() for part in (right, silent, *traps)], axis=0)
    kinds = (rng.random(right.shape) > steps).sum(axis=0)  # (experts, problems)
    found = []
    for own in kinds.T.tolist():
        # 0 is right, 1 silent; traps are shared, and what lies beyond them is said by nobody else.
        answers = [
            SILENT if kind == 1 else FIRST_GROUP + (kind if kind < len(steps) else 100 + expert)
            for expert, kind in enumerate(own)
        ]
        state = ordered(answers)
        group = state[own.index(0)] - FIRST_GROUP if 0 in own else -1
        found.append(Sighting(state, group, tuple(costs_usd)))
    return found


def converse(
    player: Demonstrator, setup: Setup, budget: Budget, seen: Sighting, statement: str
) -> Generator[Transcript, str, Rollout]:
    """One conversation in turns, as the environment would have it.

    Args:
        player: whose turns are calls and answers, and whose policy reads and spells.
        setup: protocol and pool.
        budget: which stands in the first message.
        seen: the replies that it meets, of all experts; of drawn ones the number of the group
            stands for the answer.
        statement: of a problem.

    Yields:
        The transcript before each turn; takes the turn, and whatever is no call that the protocol
        allows ends it.

    Returns:
        The episode.
    """
    protocol, policy = player.protocol, player.policy
    infos = [ExpertInfo.of(expert) for expert in setup.pool.experts]
    transcript = Transcript()
    calls = {player.call(name): name for name in player.experts}
    answers = {player.answer(name): place for place, name in enumerate(player.experts)}
    voices: list[Voice] = []
    made: list[CallRecord] = []
    spent_usd = Decimal(0)
    spoken = seen.answers or [str(code) for code in seen.state]
    text = protocol.opening(statement, budget, infos)
    while True:
        transcript.texts.append(text)
        transcript.read(policy.read("user", text, transcript.ids))
        turn = yield transcript
        ids = policy.spell(turn, protocol.stops)
        transcript.say(ids, [0.0] * len(ids))
        transcript.texts.append(turn)
        if turn not in calls or len(made) >= protocol.max_calls:
            break
        name = calls[turn]
        place = player.experts.index(name)
        cost_usd = Decimal(f"{seen.costs_usd[place]:.{_PICODOLLARS}f}")
        spent_usd += cost_usd
        made.append(CallRecord(name, name, "ok", list_cost_usd=cost_usd))
        is_silent = seen.state[place] == SILENT
        voices.append(Voice(name, None if is_silent else seen.state[place]))
        report = CallReport(
            expert=name,
            number=len(made),
            cost_usd=cost_usd,
            spent_usd=spent_usd,
            budget_usd=budget.usd,
            calls_left=protocol.max_calls - len(made),
        )
        text = protocol.result(
            report,
            reply=None if is_silent else spoken[place],
            voices=voices,
            failure="no answer" if is_silent else "",
        )
    asked = {voice.expert for voice in voices if voice.group is not None}
    believed = answers.get(turn)
    is_right = (
        believed is not None
        and player.experts[believed] in asked
        and seen.state[believed] == seen.right + FIRST_GROUP
    )
    episode = EpisodeRecord(
        task="rehearsal",
        problem_id="",
        system=setup.controller.name,
        budget=budget.name,
        budget_usd=budget.usd,
        sample=0,
        verdict="correct" if is_right else "wrong",
        answer=None,
        response=None,
        calls=tuple(made),
    )
    return Rollout(episode, transcript, budget.usd, group=0, on_average=True)
