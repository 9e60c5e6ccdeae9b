"""A small simulated pool, and the best policy on it by enumeration of everything."""

from __future__ import annotations

import itertools
import math
from datetime import date
from decimal import Decimal
from functools import cache

from corl_bench.experts.base import ExpertSpec, Pool, Sampling
from corl_bench.experts.simulation.draws import answer_probabilities, outcomes
from corl_bench.experts.simulation.tables import Cell, read_simulation
from corl_bench.money.prices import Price
from corl_bench.types import Usage


def _expert(name: str, price: str, right: float, **table: object) -> ExpertSpec:
    return ExpertSpec(
        name=name,
        provider="simulated",
        model=f"simulated-{name}",
        price=Price(name, date(2026, 1, 1), "test", Decimal(price), Decimal(price)),
        sampling=Sampling(max_output_tokens=100),
        options={
            "simulation": {
                "input_tokens": 10,
                "answer_tokens": [20] * 5,
                "lengths": [[1.0, 0.6], [2.0, 0.4]],
                "refusal": 0.05,
                "truncated": 0.02,
                "no_answer": 0.08,
                "trap": 0.4,
                "consistency": 0.6,
                "right": {"Algebra": [right] * 5},
                **table,
            }
        },
    )


TINY = Pool(
    "tiny",
    (
        _expert("cheap", "1", 0.45),
        _expert("dear", "3", 0.7, consistency=0.3, trap=0.2, no_answer=0.15),
    ),
    options={
        "simulation": {"token_quantum": 10, "fallback": {"subject": "Algebra", "level": 1}},
    },
)
TINY_CELL = Cell("Algebra", 1, 4)


LABELS = range(TINY_CELL.wrong_answers + 1)
"""Explicit answers: the right one, the trap, the others."""


@cache
def joint(said: tuple[tuple[int, int], ...]) -> float:
    """Probability that experts, by number, have given these explicit answers."""
    total = 1.0
    for e, expert in enumerate(read_simulation(TINY).experts):
        right, trap, other = answer_probabilities(expert, TINY_CELL)
        share = [right, trap] + [other] * (TINY_CELL.wrong_answers - 1)
        steady = expert.consistency
        total *= sum(
            share[opinion]
            * math.prod(
                steady * (a == opinion) + (1 - steady) * share[a] for who, a in said if who == e
            )
            for opinion in LABELS
        )
    return total


def enumerated(
    left_usd: Decimal | None,
    max_calls: int,
    *,
    asked: tuple[int, ...] = (),
    way: tuple[int, ...] = (),
    calls: int = 0,
) -> float:
    """The value of the best policy, by walking through every history of explicit answers.

    Shares nothing with the planner but the declared probabilities: no views, no ticks, no
    merging of histories. A history is what the policy has seen; its weight is the probability
    of it, summed over the explicit answers (right, trap, others) that look the same.

    Args:
        left_usd: of the budget.
        max_calls: of a policy, those behind it included.
        asked: experts who have answered, by number.
        way: of each of these, the place of the first one with the same answer.
        calls: how many were made.
    """
    simulation = read_simulation(TINY)

    @cache
    def weights(asked: tuple[int, ...], way: tuple[int, ...]) -> tuple[float, dict[int, float]]:
        """Probability that the answers are equal in this way, in all and for each being right."""
        total, right = 0.0, dict.fromkeys(way, 0.0)
        for answers in itertools.product(LABELS, repeat=len(asked)):
            if tuple(answers.index(a) for a in answers) == way:
                probability = joint(tuple(zip(asked, answers, strict=True)))
                total += probability
                for place in right:
                    right[place] += probability * (answers[place] == 0)
        return total, right

    def value(asked: tuple[int, ...], way: tuple[int, ...], calls: int, spent: Decimal) -> float:
        if left_usd is not None and spent > left_usd:
            return 0.0
        best = max(weights(asked, way)[1].values(), default=0.0)
        if calls == max_calls:
            return best
        for e, expert in enumerate(simulation.experts):
            worth = 0.0
            for outcome in outcomes(expert, TINY_CELL.level, simulation.token_quantum):
                usage = Usage(expert.input_tokens, output_tokens=outcome.output_tokens)
                after = spent + expert.spec.price.cost_usd(usage)
                if outcome.kind == "answer":
                    places = sorted({*way, len(way)})
                    worth += outcome.probability * sum(
                        value((*asked, e), (*way, place), calls + 1, after) for place in places
                    )
                else:
                    worth += outcome.probability * value(asked, way, calls + 1, after)
            best = max(best, worth)
        return best

    return value(asked, way, calls, Decimal(0)) / weights(asked, way)[0]
