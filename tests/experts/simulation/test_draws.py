"""What is drawn, against what is declared."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from collections import Counter

import pytest

from corl_bench.experts.base import Pool
from corl_bench.experts.simulation.draws import (
    Draw,
    answer_probabilities,
    draw,
    outcomes,
    shuffled,
)
from corl_bench.experts.simulation.tables import Cell, SimulatedExpert, read_simulation

DRAWS = 20_000


def _draws(
    pool: Pool, name: str, cell: Cell, *, occurrence: int = 0, seed: int = 0, n: int = DRAWS
) -> list[Draw]:
    simulation = read_simulation(pool)
    expert = next(e for e in simulation.experts if e.name == name)
    possible = outcomes(expert, cell.level, simulation.token_quantum)
    return [
        draw(
            expert,
            cell,
            possible,
            problem_key=f"problem {sample}",
            draw_seed=occurrence * 1_000_000,
            seed=seed,
        )
        for sample in range(n)
    ]


def _near(count: int, total: int, probability: float) -> bool:
    """Within four and a half standard errors: wrong once in 150,000 comparisons."""
    return abs(count - total * probability) <= 4.5 * math.sqrt(total * probability) + 1


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("nano", Cell("Geometry", 5, 6)),
        ("reasoner", Cell("AIME", 2, 6)),
        ("mini", Cell("AMC", 3, 4)),
    ],
)
def test_frequencies_are_those_that_are_declared(sim_pool: Pool, name: str, cell: Cell) -> None:
    simulation = read_simulation(sim_pool)
    expert = next(e for e in simulation.experts if e.name == name)
    found = _draws(sim_pool, name, cell)
    kinds = Counter((d.outcome.kind, d.outcome.output_tokens) for d in found)
    for outcome in outcomes(expert, cell.level, simulation.token_quantum):
        count = kinds[outcome.kind, outcome.output_tokens]
        assert _near(count, DRAWS, outcome.probability), outcome
    answers = Counter(d.answer for d in found if d.answer is not None)
    total = sum(answers.values())
    right, trap, other = answer_probabilities(expert, cell)
    assert _near(answers[0], total, right)
    assert _near(answers[1], total, trap)
    assert sorted(answers) == list(range(cell.wrong_answers + 1))
    assert all(_near(answers[a], total, other) for a in range(2, cell.wrong_answers + 1))


def test_a_second_draw_repeats_the_first_as_often_as_declared(sim_pool: Pool) -> None:
    cell = Cell("Geometry", 3, 6)
    expert = next(e for e in read_simulation(sim_pool).experts if e.name == "mini")
    pairs = [
        (a.answer, b.answer)
        for a, b in zip(
            _draws(sim_pool, "mini", cell),
            _draws(sim_pool, "mini", cell, occurrence=1),
            strict=True,
        )
        if a.answer is not None and b.answer is not None
    ]
    right, trap, other = answer_probabilities(expert, cell)
    by_chance = right**2 + trap**2 + other**2 * (cell.wrong_answers - 1)
    steady = expert.consistency**2
    same = sum(a == b for a, b in pairs)
    assert _near(same, len(pairs), steady + (1 - steady) * by_chance)


def test_wrong_answers_of_two_experts_coincide_as_often_as_declared(sim_pool: Pool) -> None:
    cell = Cell("AMC", 5, 4)
    by_name = {e.name: e for e in read_simulation(sim_pool).experts}
    pairs = [
        (a.answer, b.answer)
        for a, b in zip(_draws(sim_pool, "self", cell), _draws(sim_pool, "nano", cell), strict=True)
        if a.answer and b.answer
    ]
    trap = by_name["self"].trap * by_name["nano"].trap
    apart = (1 - by_name["self"].trap) * (1 - by_name["nano"].trap)
    expected = trap + apart / (cell.wrong_answers - 1)
    assert _near(sum(a == b for a, b in pairs), len(pairs), expected)


def test_samples_seeds_and_occurrences_differ_and_nothing_else_matters(sim_pool: Pool) -> None:
    cell = Cell("Algebra", 3, 6)
    first = _draws(sim_pool, "nano", cell, n=300)
    assert first == _draws(sim_pool, "nano", cell, n=300)
    assert first != _draws(sim_pool, "nano", cell, n=300, seed=1)
    assert first != _draws(sim_pool, "nano", cell, n=300, occurrence=1)


def test_a_lower_limit_truncates_what_would_have_been_longer(sim_pool: Pool) -> None:
    simulation = read_simulation(sim_pool)
    expert: SimulatedExpert = simulation.experts[1]
    free = outcomes(expert, 3, simulation.token_quantum)
    tight = outcomes(expert, 3, simulation.token_quantum, 250)
    longer = sum(o.probability for o in free if o.kind != "truncated" and o.output_tokens > 250)
    cut = sum(o.probability for o in tight if o.kind == "truncated")
    assert cut == pytest.approx(expert.truncated + longer)
    assert max(o.output_tokens for o in tight) == 250
    tiny = outcomes(expert, 3, simulation.token_quantum, 5)
    assert {(o.kind, o.output_tokens) for o in tiny} == {("truncated", 5)}


def test_the_trap_is_any_of_the_wrong_answers() -> None:
    wrong = ("1", "2", "3", "4")
    first = Counter(shuffled(wrong, f"problem {n}", 0)[0] for n in range(4000))
    assert all(_near(first[w], 4000, 0.25) for w in wrong)
    assert shuffled(wrong, "p", 0) == shuffled(tuple(reversed(wrong)), "p", 0)


def test_draws_are_the_same_in_every_process() -> None:
    script = (
        "from datetime import date\n"
        "from corl_bench.experts.pools import load_pool\n"
        "from corl_bench.experts.simulation.draws import draw, outcomes\n"
        "from corl_bench.experts.simulation.tables import Cell, read_simulation\n"
        "s = read_simulation(load_pool('sim', price_date=date(2026, 11, 1)))\n"
        "for e in s.experts:\n"
        "    for n in range(100):\n"
        "        c = Cell('Precalculus', 1 + n % 5, 6)\n"
        "        print(draw(e, c, outcomes(e, c.level, 40), problem_key=str(n), draw_seed=n,"
        " seed=7))\n"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert len(printed[0].splitlines()) == 500
    assert hashlib.sha256(printed[0]).digest() == hashlib.sha256(printed[1]).digest()
