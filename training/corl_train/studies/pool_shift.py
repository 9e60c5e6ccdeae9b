"""The study `pool-shift`: the pool changes and the controller does not.

Experts are added, removed, renamed and put in another order, re-priced; each time the new pool's
own exact optimum is the measure. Newcomers are simulated experts that no training has met; what
the controller is told of them is their card, measured on the training split as anybody would.

    corl-train study pool-shift runs/general-0
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from corl_bench.experts.base import Pool
from corl_bench.experts.card_file import FILE_NAME as CARDS_NAME
from corl_bench.experts.card_file import read_cards, with_cards
from corl_bench.experts.pools import load_pool
from corl_bench.experts.trials import SimulatedBooth
from corl_bench.runs.plan import parse_budgets
from corl_bench.tasks import load_task
from corl_train.config import parse_config
from corl_train.environment import Environment
from corl_train.evaluation.running import open_run
from corl_train.runs.files import CONFIG_NAME, read_config, recipe_of
from corl_train.studies.fractions import Fraction, measure_fractions
from corl_train.variety.family import draw_family, pool_of, repriced
from corl_train.variety.world import carded_pool

TRIALS = 100
"""Problems of each subject on which a newcomer's card is measured."""


def shifts_of(base: Pool, *, seed: int) -> Iterator[Pool]:
    """Changed pools, named by what was changed.

    Args:
        base: a simulated pool.
        seed: of the newcomers.
    """
    experts = base.experts
    newcomers = draw_family(base, 3, Random(f"newcomers {seed}"))
    for number, newcomer in enumerate(newcomers[:2], start=1):
        yield pool_of(f"added {number}", [*experts, newcomer], base)
    for gone in experts[1:]:
        others = [expert for expert in experts if expert is not gone]
        yield pool_of(f"without {gone.name}", others, base)
    renamed = [replace(e, name=f"m{place}") for place, e in enumerate(reversed(experts), start=1)]
    yield pool_of("renamed, in another order", renamed, base)
    for factor in (0.5, 2.0):
        yield pool_of(f"all at {factor:g} times", [repriced(e, factor) for e in experts], base)
    dearest, cheapest = experts[-1], experts[1]
    swapped = {
        dearest.name: repriced(dearest, 1 / 3),
        cheapest.name: repriced(cheapest, 3.0),
    }
    yield pool_of(
        f"{dearest.name} at a third, {cheapest.name} at 3 times",
        [swapped.get(expert.name, expert) for expert in experts],
        base,
    )
    yield pool_of(
        f"a newcomer for {experts[2].name}",
        [newcomers[2] if expert is experts[2] else expert for expert in experts],
        base,
    )


def shift(
    run: Path,
    *,
    budgets: str | None = None,
    samples: int = 1,
    limit: int | None = None,
    seed: int = 0,
    only: Sequence[str] = (),
) -> Iterator[list[Fraction]]:
    """Plays a run's controller with changed pools, one after the other.

    Args:
        run: directory of a training run with a simulated pool.
        budgets: as after `--budget`; None: those that the recipe names.
        samples: episodes of each problem at each of them.
        limit: the first so many problems alone.
        seed: of the newcomers and of the replies.
        only: pools whose names begin so; none: all.

    Raises:
        ConfigError: there is no controller, or its pool is not simulated.
    """
    config = parse_config(recipe_of(read_config(run)), str(run / CONFIG_NAME))
    pool, train = load_pool(config.data.pool), load_task(config.data.train)
    known = read_cards(run / CARDS_NAME) if (run / CARDS_NAME).is_file() else {}
    chosen = parse_budgets(budgets if budgets is not None else config.data.budgets, pool)
    with open_run(run, limit=limit, seed=seed) as (environment, _):
        for changed in shifts_of(pool, seed=seed):
            if only and not changed.name.startswith(tuple(only)):
                continue
            carded = pool_of(changed.name, with_cards(changed.experts, known), changed)
            carded = carded_pool(carded, SimulatedBooth(carded), train.problems, TRIALS)
            with Environment(
                carded,
                environment.task,
                environment.task.problems,
                environment.controller,
                environment.policy,
                seed=seed,
            ) as changed_environment:
                yield measure_fractions(changed_environment, chosen, samples=samples)
