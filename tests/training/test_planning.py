"""The jury and its plans, against worlds worked out by hand and games played to their end."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from corl_bench.errors import ConfigError
from corl_train.warmstart import planning
from corl_train.warmstart.budgeting import require_whole
from corl_train.warmstart.difficulty import FIRST_GROUP, SILENT, UNASKED, Jury, Sighting, fit_jury
from corl_train.warmstart.panel import choose_panels
from corl_train.warmstart.planning import Plan, PricedPlan, count_states, largest_panel, ordered
from corl_train.warmstart.rehearsals import draw_sightings

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
    seen, fresh = world(1000, seed=3), world(1000, seed=4)
    spends, marks = [], []
    for budget_usd in (0.0015, 0.005, 0.02, 1.0):
        priced = plan.price_for(budget_usd, seen)
        spends.append(priced.mean_spend_usd(fresh))
        assert spends[-1] <= 1.1 * budget_usd  # on problems that no price was looked for on
        marks.append(sum(_is_right(priced, sighting) for sighting in fresh) / len(fresh))
    assert spends == sorted(spends)
    assert marks[0] < marks[1] < marks[2]


def test_no_price_is_so_low_that_a_budget_is_worth_nothing(jury: Jury) -> None:
    """A whole budget is worth a hundredth of a right answer at the least."""
    plan, seen = Plan(jury, COSTS, 3), world(300, seed=3)
    assert plan.priced(0.1).mean_spend_usd(seen) <= 0.05  # even that would be within it
    assert plan.price_for(0.05, seen).price == pytest.approx(0.01 / 0.05, rel=1e-2)


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


@pytest.mark.parametrize("experts", range(1, 6))
def test_states_are_counted_without_being_listed(experts: int) -> None:
    for calls in range(1, experts + 1):
        assert count_states(experts, calls) == len(list(planning._states(experts, calls)))


def test_a_panel_is_as_large_as_its_states_allow() -> None:
    assert count_states(8, 8) == 94_828 and count_states(9, 8) == 446_620
    assert [largest_panel(n, 8) for n in (1, 8, 9, 12, 50)] == [1, 8, 8, 8, 8]
    assert largest_panel(12, 3) == 12


def many(strong: Sequence[float], weak: int) -> Jury:
    """A jury of experts who are good for something, and of some who are seldom right."""
    jury = Jury(len(strong) + weak)
    with torch.no_grad():
        jury.ability[:] = torch.tensor([*strong, *[-4.0] * weak])
    return jury


@pytest.mark.parametrize("experts", [9, 12])
def test_of_many_experts_those_count_who_add_something(
    experts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "MOST_STATES", 2_000)
    jury = many([0.2, 0.5, 1.0, 2.0], experts - 4)
    costs = [0.001, 0.001, 0.002, 0.01, *[0.0005] * (experts - 4)]
    seen = draw_sightings(jury, costs, 200, np.random.default_rng(0))
    assert largest_panel(experts, 8) == 5
    panels = choose_panels(jury, costs, 8, budgets_usd=[0.002, 0.02], sightings=seen)
    assert len(panels) == 2 and all(len(panel) == 5 for panel in panels)
    assert {0, 1, 2} <= set(panels[0]) and {0, 1, 2, 3} <= set(panels[1])
    priced = Plan(jury, costs, 8, panels[1]).price_for(0.02, seen)
    fresh = draw_sightings(jury, costs, 300, np.random.default_rng(1))
    assert 0 < priced.mean_spend_usd(fresh) < 0.03
    asked = {expert for sighting in fresh for expert in priced.follow(sighting)}
    assert asked <= set(panels[1])
    right = sum(_is_right(priced, sighting) for sighting in fresh)
    alone = sum(s.state[3] == s.right + FIRST_GROUP for s in fresh)
    assert right > alone  # than the best of them


def test_a_few_experts_are_all_counted_on(jury: Jury) -> None:
    panels = choose_panels(jury, COSTS, 3, budgets_usd=[0.005], sightings=world(50))
    assert panels == [(0, 1, 2)]


def test_who_is_not_on_the_panel_changes_nothing(jury: Jury) -> None:
    priced = Plan(jury, COSTS, 3, panel=(0, 2)).priced(20.0)
    alone = Plan(jury.of([0, 2]), [COSTS[0], COSTS[2]], 3).priced(20.0)
    for state in ((2, UNASKED, UNASKED), (2, 3, UNASKED), (2, 2, UNASKED)):
        worth, expected = priced.worth(state), alone.worth((2, UNASKED))
        assert worth == {None: expected[None], 2: expected[1]}
        assert priced.believed(state) == [0]
    assert priced.believed((UNASKED, 2, UNASKED)) == []


def test_a_plan_does_not_stop_for_want_of_a_reply(jury: Jury) -> None:
    """Leaving a call out would make the plan look cheaper than it is."""
    partial = Sighting((UNASKED, UNASKED, UNASKED), -1, (math.nan,) * 3, problem="p7")
    with pytest.raises(ValueError, match=r"expert \d was not asked about problem 'p7'"):
        Plan(jury, COSTS, 3).priced(1e-9).mean_spend_usd([partial])


def test_prices_take_problems_to_which_everybody_has_replied() -> None:
    partial = [
        Sighting((2, UNASKED, 2), 0, (0.001, math.nan, 0.02)),
        Sighting((UNASKED, UNASKED, 2), 0, (math.nan, math.nan, 0.02)),
    ]
    whole = Sighting((2, 2, 2), 0, COSTS)
    assert require_whole([*partial, whole, whole], "abc", "x:train") == [whole, whole]
    with pytest.raises(ConfigError, match="to 1 of 3 problems every expert has replied, too few"):
        require_whole([*partial, whole], "abc", "x:train")
    with pytest.raises(ConfigError, match=r"x:train: .*out of the pool \(b has replied to 0\)"):
        require_whole(partial, "abc", "x:train")


def _is_right(priced: PricedPlan, seen: Sighting) -> bool:
    known = [UNASKED] * len(seen.state)
    for expert in priced.follow(seen):
        known[expert] = seen.state[expert]
    believed = priced.believed(ordered(known))
    return bool(believed) and seen.state[believed[0]] == seen.right + FIRST_GROUP
