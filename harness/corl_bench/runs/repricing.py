"""A stored run at the prices of another day.

Token counts are facts and stay; only list costs change. Nothing of the run is overwritten, and
what was billed stays what was billed. Fees, and what a system says of its own costs, have no
price list and stay as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from corl_bench.metrics.summary import SystemTraits, summarise
from corl_bench.money.amounts import parse_usd
from corl_bench.money.ledger import LedgerLine, read_ledger
from corl_bench.money.prices import Price
from corl_bench.results import (
    EpisodeRecord,
    Summary,
    read_episodes,
    read_manifest,
    read_summary,
)
from corl_bench.types import Budget


def reprice(run_dir: Path, prices: Mapping[str, Price], note: str) -> Summary:
    """The summary of a run with each ledger line at other prices.

    Args:
        run_dir: a run directory.
        prices: by alias of the expert; all that the ledger names.
        note: what the summary says about itself.

    Raises:
        ConfigError: the directory holds no run.
    """
    manifest = read_manifest(run_dir)
    summary = read_summary(run_dir)
    list_costs: dict[str, Decimal] = defaultdict(Decimal)
    total_usd = Decimal(0)
    for line in read_ledger(run_dir):
        cost_usd = _cost_usd(line, prices)
        list_costs[line.call] += cost_usd
        total_usd += cost_usd
    episodes = [_repriced(record, list_costs) for record in read_episodes(run_dir)]
    return replace(
        summary,
        rows=summarise(
            episodes,
            tasks=list(manifest["tasks"]),
            systems={
                system["name"]: SystemTraits(system["reads_budget"], system["is_oracle"])
                for system in manifest["systems"]
            },
            budgets=[Budget(name, parse_usd(usd)) for name, usd in manifest["budgets"].items()],
        ),
        list_cost_usd=total_usd,
        notes=(*summary.notes, note),
    )


def _cost_usd(line: LedgerLine, prices: Mapping[str, Price]) -> Decimal:
    """What a line costs at other prices, if it is tokens at a price of the expert it names."""
    price = None if line.fee or line.basis != "metered" else prices.get(line.expert)
    if line.usage is None or price is None or line.price.rpartition("@")[0] != price.model:
        return line.list_cost_usd
    return price.cost_usd(line.usage)


def _repriced(record: EpisodeRecord, list_costs: Mapping[str, Decimal]) -> EpisodeRecord:
    calls = tuple(
        replace(call, list_cost_usd=list_costs.get(f"{record.key}#{call.id}", Decimal(0)))
        for call in record.calls
    )
    return replace(record, calls=calls)
