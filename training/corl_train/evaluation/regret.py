"""What each decision of a controller loses against the optimum: its reward without the luck.

Where the optimum's plan is known, so is the value of every state that a controller comes to, and
of whatever it does there. By the performance difference lemma

    reward of the controller = V*(start) − E[Σ over its decisions of V*(s) − Q*(s, what it did)],

so an episode is counted as V*(start) less what its decisions lose. That is its played reward less
a martingale: the luck of each reply, V*(next state) − Q*, and of the verdict, whose means are 0.
The mean over episodes is therefore the controller's true reward, as the played mean is, and near
the optimum it is far surer, for nothing is left of luck but which states were met. Far from it,
the luck that is taken out may be another than the one that was met.

Invariant: losses are at least 0 but for the rounding of floats (10⁻¹²), the last one of an answer
in the controller's own words excepted: that is worth its verdict, as the plan knows nothing of
it. Spends are not rounded: every cost of an expert is whole ticks, the best policy's own tokens
are free, and those of this one are a decision that has its loss. What is below a tick buys
nothing.

What is assumed is that the controller knows of the right answer only what replies tell it. One
that computes may choose among them better than any value here allows; then the played mean and
the counted one differ by more than luck (`evaluation.judgement.Counted`).

    trail = trail_of(rollout, problem, simulation, own="controller")
    account, = accounts_of([trail], pool, budgets, max_calls=4)
    account.counted, account.losses["later_call"]

Sources: S. Kakade and J. Langford, "Approximately optimal approximate reinforcement learning"
(ICML 2002), lemma 6.1; N. Burch et al., "AIVAT" (AAAI 2018), for the control variate.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from corl_bench import grading
from corl_bench.experts.base import Pool
from corl_bench.experts.simulation.tables import Cell, Simulation
from corl_bench.experts.simulation.values import State, Values, values_by_part
from corl_bench.results import CallRecord
from corl_bench.routers.controller import INVALID_TURN
from corl_bench.types import AnswerKind, Budget, Problem
from corl_train.rollouts import Rollout

LOSSES: Mapping[str, str] = {
    "first_call": "whom it asked first",
    "later_call": "whom it asked later",
    "called_on": "calling on when it should stop",
    "stopped_early": "stopping too early",
    "believed_wrong": "believing the wrong reply",
    "malformed": "turns that cannot be read",
    "own_tokens": "its own tokens",
}
"""Kinds of losses, and how they are called."""

_TIE = 1e-12
"""Gains below it are rounding, as in the plan."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One call to an expert, as the plan sees it."""

    expert: str
    answer: str | None
    """None: a visible failure, or a reply that it has had already."""
    cost_usd: Decimal
    extra_usd: Decimal
    """Of the cost, what a long message costs beyond the expert's flat input."""
    is_repeated: bool
    """Asked in other words, an expert repeats its reply; nothing is drawn."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the controller."""

    own_usd: Decimal
    """What its tokens cost."""
    asked: Asked | None = None
    """None: it ended the episode, or could not be read."""


@dataclass(frozen=True, slots=True)
class Trail:
    """An episode as the sequence of its decisions."""

    problem: str
    cell: Cell
    budget_usd: Decimal | None
    turns: tuple[Turn, ...]
    has_answered: bool
    """Whether the last turn was an answer."""
    answer: str | None
    reward: float
    """As it was played."""


@dataclass(frozen=True, slots=True)
class Account:
    """An episode by what its decisions lose."""

    problem: str
    played: float
    counted: float
    """The optimum's reward less the losses; outside of 0 and 1 where luck would have it."""
    losses: Mapping[str, float]
    """By kind, see `LOSSES`."""
    variance: float
    """Of the verdict, given the replies: the least part of the luck."""


def trail_of(
    rollout: Rollout, problem: Problem, simulation: Simulation, *, own: str
) -> Trail | None:
    """The decisions of an episode, with the gate's reward.

    Args:
        rollout: of a pool all of whose experts are simulated in process, with its reward.
        problem: that was asked.
        simulation: of the pool.
        own: name of the controller's own model.

    Returns:
        None where a call ended as no table declares, in a time-out say: then nothing is known of
        how probable that was.
    """
    experts = {expert.name: expert for expert in simulation.experts}
    turns: list[Turn] = []
    said: CallRecord | None = None
    drawn: set[tuple[str, int]] = set()
    for call in rollout.episode.calls:
        if call.expert == own:
            turns.append(Turn(call.list_cost_usd))
            said = call
            continue
        if call.status != "ok" or call.usage is None or not turns:
            return None
        expert = experts[call.expert]
        flat = replace(call.usage, input_tokens=expert.input_tokens)
        # Draws are numbered by how often the very same request was made before.
        draw = (call.expert, int(call.id.rpartition(".")[2]))
        is_repeated = draw in drawn
        drawn.add(draw)
        turns[-1] = replace(
            turns[-1],
            asked=Asked(
                expert=call.expert,
                answer=None if is_repeated else _answer_in(call, problem.kind),
                cost_usd=call.list_cost_usd,
                extra_usd=call.list_cost_usd - expert.spec.price.cost_usd(flat),
                is_repeated=is_repeated,
            ),
        )
    invalid = sum(event.startswith(INVALID_TURN) for event in rollout.episode.events)
    silent = sum(turn.asked is None for turn in turns)
    return Trail(
        problem=problem.id,
        cell=simulation.cell(problem),
        budget_usd=rollout.budget_usd,
        turns=tuple(turns),
        has_answered=silent == invalid + 1 and said is not None and said.text is not None,
        answer=rollout.episode.answer,
        reward=rollout.reward,
    )


def accounts_of(
    trails: Sequence[Trail], pool: Pool, budgets: Sequence[Budget], *, max_calls: int
) -> list[Account]:
    """What the decisions of each episode lose.

    Args:
        trails: of the episodes.
        pool: whose experts they asked.
        budgets: all that were played.
        max_calls: of one episode.

    Raises:
        ConfigError: as `optimum`.
    """
    places: dict[Cell, list[int]] = defaultdict(list)
    for place, trail in enumerate(trails):
        places[trail.cell].append(place)
    accounts: dict[int, Account] = {}
    for values in values_by_part(pool, places, budgets, max_calls=max_calls):
        for cell in values.cells:
            for place in places[cell]:
                accounts[place] = _account(trails[place], values)
    return [accounts[place] for place in range(len(trails))]


def _account(trail: Trail, values: Values) -> Account:
    losses = dict.fromkeys(LOSSES, 0.0)
    variance = 0.0
    state = State(trail.cell, (), trail.budget_usd)
    start = values.best(state)
    for place, turn in enumerate(trail.turns, start=1):
        spoken = _poorer(state, turn.own_usd)
        best = values.best(spoken)
        talk = values.best(state) - best
        if turn.asked is not None:
            losses["own_tokens"] += talk
            after = _behind(spoken, turn.asked)
            kind = "later_call" if state.seen else "first_call"
            if state.seen and values.of_stopping(spoken) >= best - _TIE:
                kind = "called_on"
            losses[kind] += best - _worth(spoken, turn.asked, after, values)
            state = after
        elif place < len(trail.turns) or not trail.has_answered:
            losses["malformed"] += talk
            state = spoken
        else:
            losses["own_tokens"] += talk
            stopping = values.of_stopping(spoken)
            given = trail.reward
            if trail.answer is not None and trail.answer in {answer for _, answer in spoken.seen}:
                given = values.of_answer(spoken, trail.answer)
                variance = given * (1 - given)
            losses["stopped_early"] += best - stopping
            losses["believed_wrong"] += stopping - given
    if not trail.has_answered:
        losses["malformed"] += values.best(state) - trail.reward
    counted = start - math.fsum(losses.values())
    return Account(trail.problem, trail.reward, counted, losses, variance)


def _worth(spoken: State, asked: Asked, after: State, values: Values) -> float:
    """Of a call: a mean over what it may bring; where nothing is drawn, what it has brought."""
    if asked.is_repeated:
        return values.best(after)
    return values.of_call(_poorer(spoken, asked.extra_usd), asked.expert)


def _behind(state: State, asked: Asked) -> State:
    seen = (*state.seen, (asked.expert, asked.answer))
    return replace(_poorer(state, asked.cost_usd), seen=seen)


def _poorer(state: State, usd: Decimal) -> State:
    if state.left_usd is None or not usd:
        return state
    return replace(state, left_usd=state.left_usd - usd)


def _answer_in(call: CallRecord, kind: AnswerKind) -> str | None:
    return grading.extract(call.text, kind=kind) if call.finish == "stop" else None
