"""Pool shift: the pool changes and the controller does not.

Experts are added, removed, renamed and put in another order, re-priced. Of a simulated pool each
change stands beside the new pool's own exact optimum, and newcomers are drawn that no training has
met. Of a recorded one the unchanged pool is the measure, and newcomers are those of the pool files
that are named: recordings and a price are all that they take. Where the protocol lists cards, a
newcomer's is measured on the training split as anybody would.

    study = run(Path("runs/general-0"), Options(only=("added",)))
    study = run(Path("runs/recorded-0"), Options(pools=("larger.toml",), experts=replies))
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random

from corl_bench.errors import ConfigError
from corl_bench.experts.base import ExpertSpec, Pool
from corl_bench.experts.card_file import FILE_NAME as CARDS_NAME
from corl_bench.experts.card_file import read_cards, with_cards
from corl_bench.experts.pools import load_pool
from corl_bench.experts.store import RecordingStore
from corl_bench.experts.trials import Booth, RecordedBooth, SimulatedBooth
from corl_bench.routers.protocol import Naming, Protocol
from corl_bench.runs.plan import parse_budgets
from corl_bench.tasks import LoadedTask
from corl_train.config import DataTable, parse_config
from corl_train.coverage import require_covered
from corl_train.environment import Environment
from corl_train.experts import Experts
from corl_train.judging import Judging
from corl_train.material import gather
from corl_train.runs.directory import price_date_of
from corl_train.runs.files import CONFIG_NAME, read_config, recipe_of
from corl_train.setup import budgets_of
from corl_train.studies.budget_sweep import in_short
from corl_train.studies.measuring import Measured, measure, open_for
from corl_train.studies.study import Options, Part, Row, Study
from corl_train.variety.family import draw_family, pool_of, repriced
from corl_train.variety.world import carded_pool

TAKES = frozenset({"budgets", "only", "pools"})
QUESTION = "What does it earn when the pool changes and it does not?"
TRIALS = 400
"""Problems of each subject on which a newcomer's card is measured."""


def shifts_of(base: Pool, *, seed: int) -> Iterator[Pool]:
    """Changes of a simulated pool, named by what was changed.

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
        changed = [repriced(expert, factor) for expert in experts]
        # Prices of simulated experts have steps, below which nobody falls.
        same = [e.name for e, old in zip(changed, experts, strict=True) if e.price == old.price]
        but = f", but {', '.join(same)}" if same else ""
        yield pool_of(f"all at {factor:g} times{but}", changed, base)
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


def shifts_to(base: Pool, changed: Sequence[Pool]) -> Iterator[Pool]:
    """Pools that somebody has changed, named by whom they add.

    Args:
        base: as it was.
        changed: pools of files, newcomers among their experts.
    """
    known = {expert.name for expert in base.experts}
    for pool in changed:
        added = [expert.name for expert in pool.experts if expert.name not in known]
        told = f"added {', '.join(added)}" if added else "changed"
        yield pool_of(f"{told} ({pool.name})", pool.experts, pool)


def shifts_of_recorded(base: Pool, *, naming: Naming) -> Iterator[Pool]:
    """Changes of a pool whose experts are recorded, named by what was changed.

    Args:
        base: the pool.
        naming: how the protocol names experts; whoever is known by name is not renamed.
    """
    experts = base.experts
    yield pool_of("as it was", experts, base)
    if len(experts) > 1:
        for gone in experts:
            others = [expert for expert in experts if expert is not gone]
            yield pool_of(f"without {gone.name}", others, base)
    turned = list(reversed(experts))
    if naming == "letter":
        # Recordings are found by the model, whatever the alias.
        turned = [replace(e, name=f"m{place}") for place, e in enumerate(turned, start=1)]
    told = "renamed, in another order" if naming == "letter" else "in another order"
    yield pool_of(told, turned, base)
    for factor in (Decimal("0.5"), Decimal(2)):
        changed = [_at(expert, factor) for expert in experts]
        yield pool_of(f"all at {factor} times", changed, base)


def run(folder: Path, options: Options) -> Study:
    """Plays the recipe's test split with changed pools, one after the other.

    Args:
        folder: of a training run whose experts are simulated or recorded.
        options: `budgets` are others than the recipe's; `only` chooses changes by how they begin;
            `pools` are files of pools with newcomers.

    Raises:
        ConfigError: the folder holds no finished controller, somebody would bill, a pool of
            `pools` cannot be used, or no change begins like that.
        StorageError: recordings cannot be read.
    """
    config = parse_config(recipe_of(read_config(folder)), str(folder / CONFIG_NAME))
    on = price_date_of(folder)
    pool, train = load_pool(config.data.pool, price_date=on), gather(config.data).train
    larger = [load_pool(file, price_date=on) for file in options.pools]
    for asked in (pool, *larger):
        _require_unbilled(asked, options.experts)
    budgets = budgets_of(config, pool)
    if options.budgets is not None:
        budgets = parse_budgets(options.budgets, pool)
    rows: list[Row] = []
    with open_for(folder, options) as (opened, _):
        protocol = opened.controller.protocol
        for asked in larger:
            require_covered(asked, (opened.task,), options.experts, say=options.note, by=any)
        for changed in _chosen(pool, larger, protocol, options):
            options.say(changed.name)
            if protocol.lists_cards:
                changed = _carded(changed, folder, train, config.data, options.experts)
            with Environment(
                changed,
                opened.task,
                opened.task.problems,
                opened.controller,
                opened.policy,
                experts=options.experts,
                seed=options.seed,
                judging=Judging.of_recipe(config.data),
            ) as environment:
                measured = measure(environment, budgets, samples=options.samples)
            known = {expert.model for expert in pool.experts}
            strangers = {e.name for e in changed.experts if e.model not in known}
            rows += _rows(changed.name, measured, strangers)
    return Study(
        name="pool-shift",
        question=QUESTION,
        run=folder.resolve().name,
        recipe=config.name,
        pool=pool.name,
        simulated=pool.simulated,
        seed=options.seed,
        samples=options.samples,
        parts=(
            Part(
                "Changed pools, each beside its own optimum" if pool.simulated else "Changed pools",
                "",
                tuple(rows),
            ),
        ),
        notes=(*in_short(rows), *_said_of_newcomers(protocol, larger)),
    )


def _rows(name: str, measured: Measured, strangers: Collection[str]) -> Iterator[Row]:
    for row in measured.rows(name, measured.environment.task.problems):
        silent = sorted(stranger for stranger in strangers if not row.calls.get(stranger))
        yield replace(row, note=f"never calls {', '.join(silent)}" if silent else "")


def _said_of_newcomers(protocol: Protocol, larger: Sequence[Pool]) -> tuple[str, ...]:
    if not larger or protocol.naming == "letter":
        return ()
    return (
        f"The protocol {protocol.name!r} knows experts by their names, so a newcomer is not called"
        " before the controller was trained again, with the same command and the larger pool.",
    )


def _require_unbilled(pool: Pool, experts: Experts) -> None:
    if billed := experts.billed(pool):
        raise ConfigError(
            f"pool {pool.name!r} asks live experts ({', '.join(e.name for e in billed)}), and this"
            " study asks them again for every change: record their replies first, and take"
            " --mode replay"
        )


def _chosen(pool: Pool, larger: Sequence[Pool], protocol: Protocol, options: Options) -> list[Pool]:
    made = (
        shifts_of(pool, seed=options.seed)
        if pool.simulated
        else shifts_of_recorded(pool, naming=protocol.naming)
    )
    shifts = [*shifts_to(pool, larger), *made]
    chosen = [s for s in shifts if not options.only or s.name.startswith(options.only)]
    if not chosen:
        raise ConfigError(
            f"no change begins with {', '.join(options.only)}: there are"
            f" {'; '.join(shift.name for shift in shifts)}"
        )
    return chosen


def _carded(pool: Pool, folder: Path, train: LoadedTask, data: DataTable, experts: Experts) -> Pool:
    """The pool with the cards that the controller brings, and those of newcomers measured."""
    known = read_cards(folder / CARDS_NAME) if (folder / CARDS_NAME).is_file() else {}
    carded = pool_of(pool.name, with_cards(pool.experts, known), pool)
    with ExitStack() as opened:
        booth: Booth
        if carded.simulated:
            booth = SimulatedBooth(carded)
        elif experts.recordings is not None:
            store = RecordingStore.open(experts.recordings, create=False, read_only=True)
            booth = RecordedBooth(
                carded, train, opened.enter_context(store), verdicts=data.verdicts
            )
        else:
            raise ConfigError("cards are measured on recordings: name them, --recordings FILE")
        return carded_pool(carded, booth, train.problems, TRIALS)


def _at(expert: ExpertSpec, factor: Decimal) -> ExpertSpec:
    """An expert at exactly so many times its price."""
    price = expert.price
    figures = {
        name: getattr(price, name) * factor
        for name in (
            "input_usd_per_mtok",
            "output_usd_per_mtok",
            "cached_input_usd_per_mtok",
            "cache_write_usd_per_mtok",
            "cache_write_1h_usd_per_mtok",
        )
        if getattr(price, name) is not None
    }
    return replace(expert, price=replace(price, **figures))
