"""Budget sweep: a controller at dollar budgets that it was never trained on.

A recipe with pools and budgets that vary holds some amounts out (`variety.held_out_usd`), between
which and beside which it is trained. Every amount is a row, with the recipe's own pool.

    study = run(Path("runs/general-0"), Options(samples=4))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from corl_bench.errors import ConfigError
from corl_bench.money.amounts import parse_usd
from corl_bench.runs.plan import parse_budgets
from corl_bench.types import Budget
from corl_train.config import Config, parse_config
from corl_train.runs.files import CONFIG_NAME, read_config, recipe_of
from corl_train.studies.measuring import measure, open_for
from corl_train.studies.study import Options, Part, Row, Study

TAKES = frozenset({"budgets"})
QUESTION = "What does it earn at dollars that it was never trained on?"


def run(folder: Path, options: Options) -> Study:
    """Plays the recipe's test split at the amounts that the recipe holds out.

    Args:
        folder: of a training run.
        options: `budgets` are other amounts.

    Raises:
        ConfigError: the folder holds no finished controller, or there is no amount to play.
        CapReachedError: the spending cap leaves no room.
        StorageError: a book of what is billed cannot be written.
    """
    config = parse_config(recipe_of(read_config(folder)), str(folder / CONFIG_NAME))
    with open_for(folder, options) as (environment, _):
        pool, problems = environment.pool, environment.task.problems
        if options.budgets is None:
            budgets = _held_out(config, folder)
        else:
            budgets = parse_budgets(options.budgets, pool)
        episodes = len(problems) * len(budgets) * options.samples
        options.say(f"{environment.task.label}: {episodes:,} episodes")
        measured = measure(environment, budgets, samples=options.samples)
        rows = measured.rows(environment.task.label, problems)
    return Study(
        name="budget-sweep",
        question=QUESTION,
        run=folder.resolve().name,
        recipe=config.name,
        pool=pool.name,
        simulated=pool.simulated,
        seed=options.seed,
        samples=options.samples,
        parts=(Part(_title(config, budgets), "", rows),),
        notes=in_short(rows),
    )


def _title(config: Config, budgets: Sequence[Budget]) -> str:
    """What the amounts have been to the training."""
    variety = config.variety
    if variety is not None and {budget.usd for budget in budgets} <= {
        parse_usd(usd) for usd in variety.held_out_usd
    }:
        return "Dollars that no episode of the training had"
    return "Dollars that were asked for, whether or not it was trained on them"


def in_short(rows: Sequence[Row]) -> tuple[str, ...]:
    """The mean and the least share of the optimum, in a sentence."""
    known = [(row, row.fraction) for row in rows if row.fraction is not None]
    if not known:
        return ("Nobody knows the optimum of this pool: rewards stand alone.",)
    mean = sum(share for _, share in known) / len(known)
    row, least = min(known, key=lambda one: one[1])
    return (
        f"On average {mean:.1%} of the optimum; the least is {least:.1%} ({row.name},"
        f" {row.budget}).",
    )


def _held_out(config: Config, folder: Path) -> tuple[Budget, ...]:
    held_out = () if config.variety is None else config.variety.held_out_usd
    if not held_out:
        raise ConfigError(
            f"the recipe of {folder} holds out no budgets: name some, --budget 0.001,0.004"
        )
    amounts = sorted(parse_usd(usd) for usd in held_out)
    return tuple(Budget(format(usd, "f"), usd) for usd in amounts)
