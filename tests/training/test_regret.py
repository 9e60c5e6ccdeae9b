"""Rewards counted by decisions: exact on a pool that can be enumerated, and kind by kind."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

pytest.importorskip("torch")

from corl_bench.experts.simulation.draws import outcomes
from corl_bench.experts.simulation.spending import outcome_cost_usd
from corl_bench.experts.simulation.tables import read_simulation
from corl_bench.experts.simulation.values import State, Values
from corl_bench.results import CallRecord, EpisodeRecord
from corl_bench.types import Budget, Problem, Usage
from corl_train.evaluation.judgement import counted
from corl_train.evaluation.regret import LOSSES, Account, Asked, Trail, Turn, accounts_of, trail_of
from corl_train.rollouts import Rollout, Transcript
from experts.simulation.enumeration import LABELS, TINY, TINY_CELL, joint

SIMULATION = read_simulation(TINY)
BUDGET = Budget("b", Decimal("0.0002"))
ZERO = Decimal(0)
OWN = Decimal("0.000001")


def trail(*turns: Turn, answer: str | None, reward: float = 0.0, answered: bool = True) -> Trail:
    return Trail("p", TINY_CELL, BUDGET.usd, turns, answered, answer, reward)


def call(
    expert: str,
    answer: str | None,
    *,
    own: Decimal = ZERO,
    cost: str = "0.00003",
    again: bool = False,
) -> Turn:
    return Turn(own, Asked(expert, answer, Decimal(cost), ZERO, again))


def account(episode: Trail) -> Account:
    (found,) = accounts_of([episode], TINY, [BUDGET], max_calls=3)
    return found


@pytest.fixture(scope="module")
def values() -> Values:
    return Values(TINY, [TINY_CELL], [BUDGET], max_calls=3)


# ── in expectation it is what is played, whatever the policy ────────────────────────────────


def _brought(number: int, query_usd: Decimal) -> Iterator[tuple[float, Turn, int | None]]:
    """All that a call can bring: its chance but for the answer, the turn, the explicit answer."""
    expert = SIMULATION.experts[number]
    for outcome in outcomes(expert, TINY_CELL.level, SIMULATION.token_quantum):
        cost_usd = outcome_cost_usd(expert, outcome) + query_usd
        for label in LABELS if outcome.kind == "answer" else (None,):
            answer = None if label is None else str(label)
            asked = Asked(expert.name, answer, cost_usd, query_usd, is_repeated=False)
            yield outcome.probability, Turn(OWN, asked), label


def _episodes(budget_usd: Decimal) -> Iterator[tuple[float, Trail]]:
    """Every episode of a policy that is far from good, with its probability.

    It asks dear, babbles, asks again in a long message, and believes the last reply; where two
    differ it says something else, and where nobody has answered it babbles to the end.
    """
    for p, first, label in _brought(1, ZERO):
        said = () if label is None else ((1, label),)
        number = 0 if label is None else 1
        for q, second, answer in _brought(number, Decimal("0.0000031")):
            now = said if answer is None else (*said, (number, answer))
            turns = (first, Turn(OWN), second, Turn(OWN))
            spent_usd = sum((t.own_usd + (t.asked.cost_usd if t.asked else 0) for t in turns), ZERO)
            told = {each for _, each in now}
            chosen = None if not told else "other" if len(told) > 1 else str(now[-1][1])
            reward = float(chosen == "0" and spent_usd <= budget_usd)
            yield (
                p * q * joint(now),
                Trail("p", TINY_CELL, budget_usd, turns, bool(told), chosen, reward),
            )


@pytest.mark.parametrize("usd", ["0.00009", "0.00021", "0.0003", "0.0003077"])
def test_the_count_is_unbiased_for_a_policy_that_is_far_from_good(usd: str) -> None:
    chances, episodes = zip(*_episodes(Decimal(usd)), strict=True)
    assert math.fsum(chances) == pytest.approx(1, abs=1e-12)
    accounts = accounts_of(episodes, TINY, [Budget("b", Decimal(usd))], max_calls=3)
    played = math.fsum(p * a.played for p, a in zip(chances, accounts, strict=True))
    counts = math.fsum(p * a.counted for p, a in zip(chances, accounts, strict=True))
    assert counts == pytest.approx(played, abs=1e-12)
    assert min(min(a.losses.values()) for a in accounts) >= -1e-11
    assert (played > 0) == (usd != "0.00009")


# ── kind by kind ────────────────────────────────────────────────────────────────────────────


def lost(episode: Trail) -> dict[str, float]:
    """The losses that are any."""
    return {k: v for k, v in account(episode).losses.items() if abs(v) > 1e-12}


def test_a_first_call_loses_what_the_best_one_is_worth_more(values: Values) -> None:
    start = State(TINY_CELL, (), BUDGET.usd)
    worse = min(("cheap", "dear"), key=lambda name: values.of_call(start, name))
    found = lost(trail(call(worse, "7"), Turn(ZERO), answer="7"))
    assert found["first_call"] == pytest.approx(values.best(start) - values.of_call(start, worse))


def test_stopping_early_and_calling_on_are_told_apart(values: Values) -> None:
    two = (call("dear", "7"), call("dear", "7"))
    agreed = State(TINY_CELL, (("dear", "7"), ("dear", "7")), BUDGET.usd - Decimal("0.00006"))
    assert values.best(agreed) == pytest.approx(values.of_stopping(agreed), abs=1e-12)
    on = lost(trail(*two, call("dear", "8", cost="0.00009"), Turn(ZERO), answer="7"))
    assert on["called_on"] > 0 and "stopped_early" not in on
    early = lost(trail(call("cheap", "7"), Turn(ZERO), answer="7"))
    one = State(TINY_CELL, (("cheap", "7"),), BUDGET.usd - Decimal("0.00003"))
    assert early["stopped_early"] == pytest.approx(values.best(one) - values.of_stopping(one))


def test_believing_the_wrong_reply_loses_the_difference(values: Values) -> None:
    turns = (call("dear", "7"), call("cheap", "8"), call("dear", "7"), Turn(ZERO))
    state = State(
        TINY_CELL, (("dear", "7"), ("cheap", "8"), ("dear", "7")), BUDGET.usd - Decimal("0.00009")
    )
    assert "believed_wrong" not in lost(trail(*turns, answer="7"))
    wrong = lost(trail(*turns, answer="8"))["believed_wrong"]
    assert wrong == pytest.approx(values.of_answer(state, "7") - values.of_answer(state, "8"))
    # Words of its own are worth their verdict, whichever it is.
    stopping = values.of_stopping(state)
    assert lost(trail(*turns, answer="9"))["believed_wrong"] == pytest.approx(stopping)
    lucky = lost(trail(*turns, answer="9", reward=1.0))["believed_wrong"]
    assert lucky == pytest.approx(stopping - 1)


def test_what_nobody_can_read_and_its_own_tokens_lose_apart() -> None:
    readable = (call("dear", "7", own=Decimal("0.0001")), Turn(ZERO))
    assert lost(trail(*readable, answer="7"))["own_tokens"] > 0.01
    babbled = lost(trail(Turn(Decimal("0.0001")), *readable, answer="7"))
    assert babbled["malformed"] > 0.01
    silent = trail(Turn(ZERO), Turn(ZERO), answer=None, answered=False)
    found = account(silent)
    assert found.counted == pytest.approx(0, abs=1e-12)
    assert set(lost(silent)) == {"malformed"}


def test_a_repeated_reply_tells_nothing_new(values: Values) -> None:
    episode = trail(call("dear", "7"), call("dear", None, again=True), Turn(ZERO), answer="7")
    before = State(TINY_CELL, (("dear", "7"),), BUDGET.usd - Decimal("0.00003"))
    after = State(TINY_CELL, (*before.seen, ("dear", None)), BUDGET.usd - Decimal("0.00006"))
    found = lost(episode)
    assert values.best(before) > values.of_stopping(before) + 1e-9
    assert found["later_call"] == pytest.approx(values.best(before) - values.best(after))


def test_nothing_is_lost_any_more_once_the_budget_is_broken() -> None:
    broke = call("dear", "7", cost="0.0003")
    found = lost(trail(broke, call("cheap", "8"), Turn(ZERO), answer="8"))
    assert set(found) <= {"first_call"}
    assert set(account(trail(broke, Turn(ZERO), answer="7")).losses) == set(LOSSES)


# ── from episodes to trails ─────────────────────────────────────────────────────────────────


def _record(expert: str, text: str | None, number: int = 0, **changed: object) -> CallRecord:
    usage = Usage(input_tokens=10, output_tokens=20)
    made = CallRecord(
        expert, expert, "ok", finish="stop", text=text, usage=usage, id=f"{expert}.{number}"
    )
    return replace(made, **changed)


def _read(*calls: CallRecord, events: tuple[str, ...] = ()) -> Trail | None:
    problem = Problem(id="p", text="?", answer="7", subject="Algebra", level=1)
    made = EpisodeRecord(
        *("t", "p", "s", "b", BUDGET.usd, 0, "correct", "7", None), calls=calls, events=events
    )
    rollout = Rollout(made, Transcript(), BUDGET.usd, 0, reward=1.0)
    return trail_of(rollout, problem, SIMULATION, own="own")


def test_a_trail_has_the_turns_of_the_episode() -> None:
    says, seven = _record("own", "."), r"It is \boxed{7}."
    found = _read(
        says,
        _record("dear", seven, list_cost_usd=Decimal("0.00009")),
        says,
        _record("dear", seven, 1, list_cost_usd=Decimal("0.000099"), usage=Usage(13, 20)),
        says,
        says,
        _record("dear", seven),
        says,
        _record("cheap", seven, finish="length"),
        says,
        events=("invalid turn: it has no tag",),
    )
    assert found is not None and found.has_answered
    asked = [turn.asked for turn in found.turns]
    assert asked[2] is None and asked[5] is None
    first, second, again, cut = (each for each in asked if each is not None)
    assert (first.answer, first.extra_usd, first.is_repeated) == ("7", 0, False)
    assert (second.answer, second.extra_usd) == ("7", Decimal("0.000009"))
    assert again.is_repeated and again.answer is None
    assert cut.answer is None and not cut.is_repeated


def test_an_end_without_an_answer_is_seen() -> None:
    says, event = _record("own", "well"), "invalid turn: it has no tag"
    babbling = _read(says, says, says, events=(event,) * 3)
    assert babbling is not None and not babbling.has_answered
    failed = _read(_record("own", None, status="too_long"), events=("turn 1 failed: too_long",))
    assert failed is not None and not failed.has_answered


def test_a_call_that_ends_as_no_table_declares_cannot_be_counted() -> None:
    says = _record("own", ".")
    timed_out = _record("dear", None, status="timeout", usage=None, finish=None)
    assert _read(says, timed_out, says) is None


# ── means ───────────────────────────────────────────────────────────────────────────────────


def _accounts(played: float, count: float, variance: float, problems: int = 60) -> list[Account]:
    none = dict.fromkeys(LOSSES, 0.0)
    wobble = (-0.01, 0.01)
    return [Account(str(n), played, count + wobble[n % 2], none, variance) for n in range(problems)]


def test_a_count_that_luck_cannot_explain_does_not_hold() -> None:
    strata = {str(n): n % 5 for n in range(60)}
    assert counted(_accounts(0.8, 0.8, 0.16), strata).holds
    # All sixty right where three in ten are wrong; ten can be so by chance.
    knowing = counted(_accounts(1.0, 0.7, 0.21), strata)
    assert knowing.luck == pytest.approx(0.3) and not knowing.holds
    few = counted(_accounts(1.0, 0.7, 0.21, problems=10), strata)
    assert few.holds
    alone = counted(_accounts(1.0, 0.8, 0.16, problems=1), strata)
    assert alone.holds and alone.interval == (0.0, 1.0)
