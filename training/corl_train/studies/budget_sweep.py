"""The study `budget-sweep`: a controller at dollar budgets that it was never trained on.

corl-train study budget-sweep runs/general-0
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from corl_bench.errors import ConfigError
from corl_bench.files import write_json, write_text
from corl_bench.money.amounts import parse_usd
from corl_bench.types import Budget
from corl_train.evaluation.running import open_run
from corl_train.runs.files import read_config
from corl_train.studies.fractions import Fraction, measure_fractions, table_of

FOLDER = "studies"
"""Inside a run: what studies leave."""


def sweep(
    run: Path,
    *,
    usd: Sequence[str] = (),
    samples: int = 2,
    limit: int | None = None,
    seed: int = 0,
) -> list[Fraction]:
    """Plays a run's controller at amounts that its recipe holds out, or at others.

    Args:
        run: directory of a training run.
        usd: amounts; none: those that the recipe holds out.
        samples: episodes of each problem at each of them.
        limit: the first so many problems alone.
        seed: of the replies.

    Raises:
        ConfigError: there is no controller, or no amount to play.
    """
    held_out = (read_config(run).get("variety") or {}).get("held_out_usd", ())
    amounts = [parse_usd(amount) for amount in usd or held_out]
    if not amounts:
        raise ConfigError(f"{run} holds out no budgets: name some with --usd 0.001,0.004")
    budgets = [Budget(format(amount, "f"), amount) for amount in sorted(amounts)]
    with open_run(run, limit=limit, seed=seed) as (environment, _):
        return measure_fractions(environment, budgets, samples=samples)


def write_report(run: Path, name: str, title: str, fractions: Sequence[Fraction]) -> Path:
    """Leaves a study's figures and its page in the run's directory.

    Returns:
        The page, in Markdown; beside it stands the same as JSON.
    """
    folder = run / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{name}.json", [fraction.to_json() for fraction in fractions])
    page = folder / f"{name}.md"
    write_text(page, f"# {title}\n\n{table_of(fractions)}\n")
    return page
