"""A family of simulated experts, drawn at random around those of a simulated pool.

Half of them are an expert of the pool with its skills and its replies' lengths shaken; the others
have skills of their own. All have tables as a pool file would declare them, so whatever plays with
`sim` plays with any of them: replies, ledger, exact optimum.

Invariant: prices are multiples of $0.05 (input) and $0.10 (output) a million tokens, so that with
40 tokens a quantum every cost is a multiple of four millionths of a dollar and the optimum of any
pool of these can be computed.

    family = draw_family(load_pool("sim"), 200, Random(0))
    pool_of("mine", family[:4], load_pool("sim"))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

from corl_bench.experts.base import ExpertSpec, Pool
from corl_bench.experts.pools import pool_digest
from corl_bench.experts.simulation.tables import SimulatedExpert, read_simulation

INPUT_STEP_USD, OUTPUT_STEP_USD = Decimal("0.05"), Decimal("0.10")
"""A million tokens cost whole multiples of these."""
_LENGTHS = (
    [[0.5, 0.25], [1.0, 0.5], [1.5, 0.25]],
    [[0.5, 0.2], [0.75, 0.3], [1.0, 0.3], [1.5, 0.2]],
    [[0.5, 0.25], [1.0, 0.45], [1.5, 0.25], [2.0, 0.05]],
    [[0.75, 0.5], [1.25, 0.5]],
)


def draw_family(base: Pool, size: int, rng: Random) -> tuple[ExpertSpec, ...]:
    """Experts around those of a simulated pool; their aliases tell nothing of them.

    Args:
        base: gives subjects, and experts to shake.
        size: how many.
        rng: draws them.

    Raises:
        ConfigError: the pool is not simulated.
    """
    known = read_simulation(base).experts
    return tuple(_draw_expert(f"x{number:03}", known, rng) for number in range(size))


def priced(expert: ExpertSpec, input_usd: Decimal, output_usd: Decimal) -> ExpertSpec:
    """An expert at other prices, on the steps of the family."""
    price = replace(
        expert.price,
        input_usd_per_mtok=_on_steps(input_usd, INPUT_STEP_USD),
        output_usd_per_mtok=_on_steps(output_usd, OUTPUT_STEP_USD),
        cached_input_usd_per_mtok=None,
    )
    return replace(expert, price=price)


def repriced(expert: ExpertSpec, factor: float) -> ExpertSpec:
    """An expert at so many times its price, as near as the steps come."""
    times = Decimal(repr(factor))
    price = expert.price
    return priced(expert, price.input_usd_per_mtok * times, price.output_usd_per_mtok * times)


def pool_of(name: str, experts: Sequence[ExpertSpec], base: Pool) -> Pool:
    """A pool of some experts, with whatever else a pool declares taken from another one."""
    pool = replace(base, name=name, experts=tuple(experts))
    return replace(pool, digest=pool_digest(pool))


def _draw_expert(name: str, known: Sequence[SimulatedExpert], rng: Random) -> ExpertSpec:
    shaken = rng.choice(known)
    right = _shaken_skills(shaken, rng) if rng.random() < 0.5 else _own_skills(shaken, rng)
    tokens = _quanta(math.exp(rng.uniform(math.log(200), math.log(600))))
    thoughts = _quanta(math.exp(rng.uniform(math.log(400), math.log(1600))))
    thinks = rng.random() < 0.25
    table: dict[str, Any] = {
        "input_tokens": 80,
        "answer_tokens": [_quanta(tokens * (1 + 0.08 * step)) for step in range(5)],
        "reasoning_tokens": [
            _quanta(thoughts * (1 + 0.05 * step)) if thinks else 0 for step in range(5)
        ],
        "lengths": rng.choice(_LENGTHS),
        "refusal": round(rng.uniform(0.01, 0.05), 3),
        "truncated": round(rng.uniform(0.005, 0.03), 3),
        "no_answer": round(rng.uniform(0.03, 0.15), 3),
        "trap": round(rng.uniform(0.15, 0.35), 3),
        "consistency": 0.85,
        "right": right,
    }
    output_usd = math.exp(rng.uniform(math.log(0.1), math.log(12.0)))
    expert = replace(
        shaken.spec,
        name=name,
        model=f"simulated-{name}",
        description="simulated expert, drawn at random",
        role="expert",
        card=None,
        sampling=replace(shaken.spec.sampling, max_output_tokens=8000),
        options={"simulation": table},
    )
    return priced(expert, Decimal(repr(output_usd / 4)), Decimal(repr(output_usd)))


def _shaken_skills(expert: SimulatedExpert, rng: Random) -> dict[str, list[float]]:
    general = rng.gauss(0.0, 0.3)
    return {
        subject: _by_level(_logit(row[2]) + general + rng.gauss(0.0, 0.4))
        for subject, row in expert.right.items()
    }


def _own_skills(expert: SimulatedExpert, rng: Random) -> dict[str, list[float]]:
    """A level of its own, and good and bad sides; hard subjects are hard for all."""
    general = rng.uniform(-0.8, 2.2)
    hardness = {"AIME": -1.2, "Prealgebra": 0.5}
    return {
        subject: _by_level(general + hardness.get(subject, 0.0) + rng.gauss(0.0, 0.9))
        for subject in expert.right
    }


def _by_level(logit: float) -> list[float]:
    middle = 1 / (1 + math.exp(-logit))
    return [round(min(0.98, max(0.04, middle + 0.02 * step)), 3) for step in (2, 1, 0, -1, -2)]


def _logit(share: float) -> float:
    return math.log(share / (1 - share))


def _quanta(tokens: float) -> int:
    return 40 * max(1, round(tokens / 40))


def _on_steps(usd: Decimal, step: Decimal) -> Decimal:
    return max(1, round(usd / step)) * step
