"""The jury and its plans, against worlds worked out by hand and games played to their end."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from corl_bench.errors import ConfigError
from corl_train.warmstart.difficulty import FIRST_GROUP, SILENT, UNASKED, Jury, Sighting, fit_jury
from corl_train.warmstart.planning import Plan, ordered

ABILITY = np.array([-1.0, 0.5, 1.5])
COSTS = (0.001, 0.002, 0.02)


def world(problems: int, seed: int = 0) -> list[Sighting]:
    """Problems of which all replies are known: three experts, hard and easy, one trap in two."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(problems):
        difficulty = rng.normal()
        answers: list[object] = []
        for place, ability in enumerate(ABILITY):
            if rng.random() < 1 / (1 + math.exp(-(ability + 2 * difficulty))):
                answers.append("right")
            elif rng.random() < 0.05:
                answers.append(None)
            else:
                answers.append("trap" if rng.random() < 0.5 else place)
        names: dict[object, int] = {}
        codes = tuple(
            SILENT if a is None else names.setdefault(a, len(names) + FIRST_GROUP) for a in answers
        )
        right = names["right"] - FIRST_GROUP if "right" in names else -1
        found.append(Sighting(codes, right, COSTS))
    return found


@pytest.fixture(scope="module")
def jury() -> Jury:
    return fit_jury(world(400))


def test_groups_are_numbered_by_first_appearance() -> None:
    assert ordered((5, 1, 0, 3, 5)) == (2, 1, 0, 3, 2)
    assert ordered((0, 0)) == (0, 0)


def test_all_that_can_be_seen_of_everybody_is_certain_to_be(jury: Jury) -> None:
    """The states in which all were asked are a partition of what can happen."""
    whole = {
        ordered(codes) for codes in itertools.product(range(SILENT, FIRST_GROUP + 3), repeat=3)
    }
    chance, right = jury.tables(sorted(whole))
    assert chance.sum() == pytest.approx(1, abs=1e-9)
    assert (right.sum(axis=1) <= chance + 1e-12).all()


def test_who_was_not_asked_makes_no_difference(jury: Jury) -> None:
    """A state's probability is the sum over all that the next expert may add to it."""
    before = (2, UNASKED, UNASKED)
    after = [(2, code, UNASKED) for code in (SILENT, 2, 3)]
    (one,), _ = jury.tables([before])
    several, _ = jury.tables(after)
    assert several.sum() == pytest.approx(one, abs=1e-12)


def test_what_was_seen_is_what_is_expected(jury: Jury) -> None:
    seen = world(4000, seed=1)
    shares = [np.mean([s.right >= 0 and s.state[e] == s.right + 2 for s in seen]) for e in range(3)]
    alone = [ordered([2 if e == own else 0 for e in range(3)]) for own in range(3)]
    _, right = jury.tables(alone)
    assert right[:, 0] == pytest.approx(shares, abs=0.06)
    # Agreement tells: two that agree are right more often than either of them.
    chance, right = jury.tables([(2, 2, 0), (2, 3, 0)])
    agreed, apart = (right / chance[:, None]).max(axis=1)
    assert agreed > max(shares[:2]) > apart
    told = np.mean([s.right == 0 for s in seen if s.state[0] == s.state[1] == 2])
    assert agreed == pytest.approx(told, abs=0.06)


def test_a_jury_is_the_same_each_time(jury: Jury) -> None:
    again = fit_jury(world(400))
    for one, other in zip(jury.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_free_plan_asks_everybody_and_a_dear_one_nobody(jury: Jury) -> None:
    plan = Plan(jury, COSTS, most_calls=3)
    seen = world(50, seed=2)
    free, dear = plan.priced(1e-9), plan.priced(1e6)
    assert dear.mean_spend_usd(seen) == 0
    assert dear.worth((0, 0, 0))[None] == 0 and dear.believed((0, 0, 0)) == []
    # Where two agree and one is left, another voice may still be of no use.
    assert 0.003 < free.mean_spend_usd(seen) <= sum(COSTS) + 1e-12


def test_values_are_those_of_the_game_played_to_its_end(jury: Jury) -> None:
    """Against a search that knows conditional probabilities and no table."""
    plan = Plan(jury, COSTS, most_calls=2)
    price = 20.0
    priced = plan.priced(price)

    def value(state: tuple[int, ...], calls: int) -> float:
        (chance,), right = jury.tables([state])
        best = float(right.max()) / float(chance)
        for expert in range(3):
            if state[expert] == UNASKED and calls:
                total = -price * COSTS[expert]
                for code in range(SILENT, max(*state, SILENT) + 2):
                    after = ordered((*state[:expert], code, *state[expert + 1 :]))
                    (next_chance,), _ = jury.tables([after])
                    total += float(next_chance) / float(chance) * value(after, calls - 1)
                best = max(best, total)
        return best

    assert max(priced.worth((0, 0, 0)).values()) == pytest.approx(value((0, 0, 0), 2), abs=1e-9)
    assert max(priced.worth((2, 0, 0)).values()) == pytest.approx(value((2, 0, 0), 1), abs=1e-9)
    assert set(priced.worth((2, 3, 0))) == {None}  # no call is left


def test_a_budget_is_kept_on_average_and_a_larger_one_buys_more(jury: Jury) -> None:
    plan = Plan(jury, COSTS, most_calls=3)
    seen = world(300, seed=3)
    spends, marks = [], []
    for budget_usd in (0.0015, 0.005, 0.02, 1.0):
        priced = plan.price_for(budget_usd, seen)
        spends.append(priced.mean_spend_usd(seen))
        assert spends[-1] <= budget_usd
        right = 0
        for sighting in seen:
            known = [UNASKED] * 3
            for expert in priced.follow(sighting):
                known[expert] = sighting.state[expert]
            believed = priced.believed(ordered(known))
            right += bool(believed) and sighting.state[believed[0]] == sighting.right + FIRST_GROUP
        marks.append(right / len(seen))
    assert spends == sorted(spends)
    assert marks[0] < marks[1] < marks[2]


def test_expert_orders_do_not_matter() -> None:
    """The same world with its experts in another order gives the same plan."""
    seen = world(200)
    turned = [
        Sighting(
            state := ordered([s.state[2], s.state[0], s.state[1]]),
            -1 if s.right < 0 else _group_of(s, state),
            (s.costs_usd[2], s.costs_usd[0], s.costs_usd[1]),
        )
        for s in seen
    ]
    one = Plan(fit_jury(seen), COSTS, 2).priced(20.0)
    other = Plan(fit_jury(turned), (COSTS[2], COSTS[0], COSTS[1]), 2).priced(20.0)
    here, there = one.worth((0, 0, 0)), other.worth((0, 0, 0))
    assert [there[1], there[2], there[0]] == pytest.approx([here[0], here[1], here[2]], abs=1e-3)


def _group_of(sighting: Sighting, turned: tuple[int, ...]) -> int:
    member = sighting.state.index(sighting.right + FIRST_GROUP)
    return turned[(member + 1) % 3] - FIRST_GROUP


def test_too_many_experts_are_refused_in_one_line() -> None:
    jury = Jury(24)
    with pytest.raises(ConfigError, match=r"24 experts and 8 calls .* fewer max_calls"):
        Plan(jury, [0.001] * 24, most_calls=8)
