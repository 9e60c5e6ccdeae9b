"""Pool shift: the pool changes and the controller does not.

Experts are added, removed, renamed and put in another order, re-priced; each time the new pool's
own exact optimum is the measure. Newcomers are simulated experts that no training has met; what
the controller is told of them is their card, measured on the training split as anybody would.

    study = run(Path("runs/general-0"), Options(only=("added",)))
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.experts.card_file import FILE_NAME as CARDS_NAME
from corl_bench.experts.card_file import read_cards, with_cards
from corl_bench.experts.pools import load_pool
from corl_bench.experts.trials import SimulatedBooth
from corl_bench.runs.plan import parse_budgets
from corl_train.config import parse_config
from corl_train.environment import Environment
from corl_train.evaluation import open_run
from corl_train.material import gather
from corl_train.runs.files import CONFIG_NAME, read_config, recipe_of
from corl_train.setup import budgets_of
from corl_train.studies.budget_sweep import in_short
from corl_train.studies.measuring import measure
from corl_train.studies.study import Options, Part, Row, Study
from corl_train.variety.family import draw_family, pool_of, repriced
from corl_train.variety.world import carded_pool

TAKES = frozenset({"budgets", "only"})
QUESTION = "What does it earn when the pool changes and it does not?"
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


def run(folder: Path, options: Options) -> Study:
    """Plays the recipe's test split with changed pools, one after the other.

    Args:
        folder: of a training run with a simulated pool.
        options: `budgets` are others than the recipe's; `only` chooses changes by how they begin.

    Raises:
        ConfigError: the folder holds no finished controller, its pool is not simulated, or no
            change begins like that.
        CapReachedError: the spending cap leaves no room.
        StorageError: a book of what is billed cannot be written.
    """
    config = parse_config(recipe_of(read_config(folder)), str(folder / CONFIG_NAME))
    pool, train = load_pool(config.data.pool), gather(config.data).train
    known = read_cards(folder / CARDS_NAME) if (folder / CARDS_NAME).is_file() else {}
    budgets = budgets_of(config, pool)
    if options.budgets is not None:
        budgets = parse_budgets(options.budgets, pool)
    rows: list[Row] = []
    with open_run(folder, limit=options.limit, seed=options.seed) as (opened, _):
        for changed in _chosen(pool, options):
            options.say(changed.name)
            carded = pool_of(changed.name, with_cards(changed.experts, known), changed)
            carded = carded_pool(carded, SimulatedBooth(carded), train.problems, TRIALS)
            with Environment(
                carded,
                opened.task,
                opened.task.problems,
                opened.controller,
                opened.policy,
                seed=options.seed,
            ) as environment:
                measured = measure(environment, budgets, samples=options.samples)
            rows += measured.rows(changed.name, opened.task.problems)
    return Study(
        name="pool-shift",
        question=QUESTION,
        run=folder.resolve().name,
        recipe=config.name,
        pool=pool.name,
        simulated=pool.simulated,
        seed=options.seed,
        samples=options.samples,
        parts=(Part("Changed pools, each beside its own optimum", "", tuple(rows)),),
        notes=in_short(rows),
    )


def _chosen(pool: Pool, options: Options) -> list[Pool]:
    shifts = list(shifts_of(pool, seed=options.seed))
    chosen = [s for s in shifts if not options.only or s.name.startswith(options.only)]
    if not chosen:
        raise ConfigError(
            f"no change begins with {', '.join(options.only)}: there are"
            f" {'; '.join(shift.name for shift in shifts)}"
        )
    return chosen
