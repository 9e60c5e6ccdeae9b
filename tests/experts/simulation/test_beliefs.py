"""The weights of views against an enumeration of every answer that could have been given."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from corl_bench.experts.base import Pool
from corl_bench.experts.simulation.beliefs import Beliefs, View, children, extend
from corl_bench.experts.simulation.draws import answer_probabilities
from corl_bench.experts.simulation.tables import Cell, SimulatedExpert, read_simulation


def joint(experts: list[SimulatedExpert], cell: Cell, said: list[tuple[int, int]]) -> float:
    """Probability of explicit answers (0 right, 1 trap, 2… others), expert by expert."""
    probability = 1.0
    for e, expert in enumerate(experts):
        right, trap, other = answer_probabilities(expert, cell)
        share = [right, trap, *[other] * (cell.wrong_answers - 1)]
        own = [answer for who, answer in said if who == e]
        steady = expert.consistency
        probability *= sum(
            share[opinion]
            * math.prod(
                [steady * (answer == opinion) + (1 - steady) * share[answer] for answer in own]
            )
            for opinion in range(cell.wrong_answers + 1)
        )
    return float(probability)


@pytest.mark.parametrize("cell", [Cell("Geometry", 2, 6), Cell("AMC", 4, 4)])
@pytest.mark.parametrize(
    "order", [(0,), (1, 1), (0, 2), (1, 1, 2), (0, 1, 2), (1, 1, 1), (2, 1, 1)]
)
def test_weights_equal_the_sum_over_all_answers(
    sim_pool: Pool, cell: Cell, order: tuple[int, ...]
) -> None:
    experts = list(read_simulation(sim_pool).experts[1:4])
    # A way to divide the replies, as the place of each reply's first equal, and who is right.
    expected: dict[tuple[int, ...], dict[int | None, float]] = {}
    for answers in itertools.product(range(cell.wrong_answers + 1), repeat=len(order)):
        way = tuple(answers.index(answer) for answer in answers)
        right = answers.index(0) if 0 in answers else None
        probability = joint(experts, cell, list(zip(order, answers, strict=True)))
        rights = expected.setdefault(way, {})
        rights[right] = rights.get(right, 0.0) + probability
    beliefs = Beliefs(experts, [cell])
    total = 0.0
    for way, rights in expected.items():
        groups = {
            first: tuple(sorted(who for who, of in zip(order, way, strict=True) if of == first))
            for first in way
        }
        view = tuple(sorted(groups.values()))
        rows = beliefs.weights(view)[:, 0]
        total += rows.sum()
        assert rows[-1] == pytest.approx(rights.get(None, 0.0), rel=1e-12)
        for first, group in groups.items():
            assert rows[view.index(group)] == pytest.approx(rights.get(first, 0.0), rel=1e-12)
    assert total == pytest.approx(1, abs=1e-12)


def test_the_next_views_of_any_expert_exhaust_what_can_come(sim_pool: Pool) -> None:
    simulation = read_simulation(sim_pool)
    cells = [Cell("Algebra", 1, 6), Cell("AMC", 5, 4)]
    beliefs = Beliefs(simulation.experts, cells)
    view = ((0, 1), (1,), (3,))
    for expert in range(5):
        after = sum(n * beliefs.weights(v).sum(axis=0) for v, n in children(view, expert).items())
        np.testing.assert_allclose(after, beliefs.weights(view).sum(axis=0), rtol=1e-12)


def test_agreement_of_two_experts_is_stronger_than_one_repeating_itself(sim_pool: Pool) -> None:
    simulation = read_simulation(sim_pool)
    beliefs = Beliefs(simulation.experts, [Cell("Counting & Probability", 3, 6)])

    def right(view: View) -> float:
        rows = beliefs.weights(view)[:, 0]
        return float(rows[:-1].max() / rows.sum())

    alone = right(extend((), 1, None))
    assert right(((1, 1),)) > alone
    assert right(((0, 1),)) > right(((1, 1),))
