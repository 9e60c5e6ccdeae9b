"""The values of states and decisions: against an enumeration, the optimum, and each other."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest

from corl_bench.experts.base import Pool
from corl_bench.experts.simulation.optimum import declared_cells, optimum
from corl_bench.experts.simulation.tables import Cell
from corl_bench.experts.simulation.values import State, Values, values_by_part
from corl_bench.types import Budget
from experts.simulation.enumeration import TINY, TINY_CELL, enumerated

NAMES = ("self", "nano", "mini", "large", "reasoner")
CELLS = (Cell("Geometry", 3), Cell("Algebra", 3), Cell("AMC", 5, 4))
LOW = Budget("low", Decimal("0.0006"))
HIGH = Budget("high", Decimal("0.02"))


@pytest.fixture(scope="module")
def values(sim_pool: Pool) -> Values:
    return Values(sim_pool, CELLS, [LOW, HIGH, None])


def _states(count: int) -> list[State]:
    rng = Random(5)
    states = []
    for _ in range(count):
        seen = tuple(
            (rng.choice(NAMES), rng.choice(("1", "2", "3", None))) for _ in range(rng.randrange(5))
        )
        left = rng.choice((None, *(Decimal(rng.randrange(20_001)) / 1_000_000 for _ in range(3))))
        states.append(State(rng.choice(CELLS), seen, left))
    return states


@pytest.mark.parametrize("usd", ["0.00003", "0.00009", "0.00013", "0.0004", None])
@pytest.mark.parametrize("max_calls", [1, 2, 3])
def test_every_state_is_worth_what_an_enumeration_says(usd: str | None, max_calls: int) -> None:
    left = None if usd is None else Decimal(usd)
    largest = Budget("b", Decimal("0.0004"))
    found = Values(TINY, [TINY_CELL], [largest, None], max_calls=max_calls)
    for seen, asked, way in (
        ((), (), ()),
        ((("dear", None),), (), ()),
        ((("dear", "7"),), (1,), (0,)),
        ((("dear", "7"), ("cheap", "7")), (1, 0), (0, 0)),
        ((("dear", "7"), ("cheap", "8")), (1, 0), (0, 1)),
        ((("cheap", "7"), ("cheap", None), ("cheap", "8")), (0, 0), (0, 1)),
    ):
        if len(seen) > max_calls:
            continue
        expected = enumerated(left, max_calls, asked=asked, way=way, calls=len(seen))
        assert found.best(State(TINY_CELL, seen, left)) == pytest.approx(expected, abs=1e-12)


def test_the_best_decision_loses_nothing_and_no_decision_gains(values: Values) -> None:
    for state in _states(300):
        best = values.best(state)
        worth = [values.of_stopping(state)]
        if len(state.seen) < 4:
            worth += [values.of_call(state, name) for name in NAMES]
        assert max(worth) == pytest.approx(best, abs=1e-12)
        assert min(best - x for x in worth) >= -1e-12


def test_the_start_is_worth_the_optimum(sim_pool: Pool, values: Values) -> None:
    for cell in CELLS:
        for result in optimum(sim_pool, {cell: 1.0}, [LOW, HIGH, None]).budgets:
            usd = None if result.budget is None else result.budget.usd
            found = values.best(State(cell, (), usd))
            assert found == pytest.approx(result.optimum.reward, abs=1e-9)


def test_more_money_is_worth_no_less_and_what_is_below_a_tick_nothing(values: Values) -> None:
    tick = Decimal("0.000004")
    for seen in ((), (("mini", "1"),), (("mini", "1"), ("nano", "2")), (("mini", None),) * 3):
        rising = [values.best(State(CELLS[0], seen, tick * n)) for n in range(0, 5001, 50)]
        assert all(b >= a - 1e-12 for a, b in pairwise(rising))
        assert rising[-1] > rising[0]
        assert values.best(State(CELLS[0], seen, tick * 500 + tick / 3)) == values.best(
            State(CELLS[0], seen, tick * 500)
        )
        assert values.best(State(CELLS[0], seen, None)) >= rising[-1]


def test_beyond_the_budget_nothing_is_worth_anything(values: Values) -> None:
    broken = State(CELLS[0], (("large", "1"),), Decimal("-1e-12"))
    assert values.best(broken) == values.of_stopping(broken) == 0
    assert values.of_call(broken, "self") == values.of_answer(broken, "1") == 0
    kept = State(CELLS[0], (("large", "1"),), Decimal(0))
    assert values.best(kept) == values.of_answer(kept, "1") > 0


def test_behind_the_last_call_one_answers(values: Values) -> None:
    state = State(CELLS[0], (("nano", "1"), ("mini", "2"), ("large", None), ("self", "2")), None)
    assert values.best(state) == values.of_stopping(state)
    assert values.of_answer(state, None) == 0
    assert values.of_answer(state, "1") + values.of_answer(state, "2") < 1
    with pytest.raises(ValueError, match="'3'"):
        values.of_answer(state, "3")


def test_parts_hold_every_cell_once(sim_pool: Pool) -> None:
    cells = [cell for cell in declared_cells(sim_pool) if cell.level in (2, 4)]
    parts = list(values_by_part(sim_pool, cells, [LOW]))
    assert sorted(cell for part in parts for cell in part.cells) == sorted(cells)
    alone = Values(sim_pool, cells[:1], [LOW])
    (within,) = (part for part in parts if cells[0] in part.cells)
    state = State(cells[0], (("nano", "1"),), LOW.usd)
    assert alone.best(state) == within.best(state)
