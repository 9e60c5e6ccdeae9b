"""What an attempt cost, and who says so: the one place where usage becomes dollars.

Usage times the expert's price, for an expert that is what it says. Where a server routes by
itself, each call that it reports is priced by us if the model that answered has a price (in the
pool or, by its whole id, in the price library) and its tokens were counted; else it costs what
the server says, which nobody has checked; else nobody knows.

    cost = cost_of(expert.pricing, attempt, reply)
    cost.usd, cost.basis
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from corl_bench.errors import UnpricedModelError
from corl_bench.experts.base import Reply
from corl_bench.experts.recording import Attempt
from corl_bench.experts.tariff import Rate, RoutedCall, Tariff
from corl_bench.experts.wire import is_same_model
from corl_bench.money.amounts import sum_usd
from corl_bench.money.basis import CostBasis, weakest
from corl_bench.money.price_library import price_at
from corl_bench.money.prices import Price

MOST_ROWS = 8
"""Price rows that one ledger line names; beyond them only their number is kept."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one attempt cost."""

    usd: Decimal
    basis: CostBasis
    price: str
    """Price row or rows; empty where nothing was priced by us."""
    expert: str = ""
    """Alias of the pool's expert that answered for a server; empty: as the call was asked."""
    model: str = ""
    """The model that answered for a server; empty: as the call was asked."""


def cost_of(pricing: Price | Tariff, attempt: Attempt, reply: Reply | None) -> Cost:
    """The cost of an attempt.

    Args:
        pricing: of the expert that was asked.
        attempt: as it ended.
        reply: what it brought; None for one that failed.
    """
    if isinstance(pricing, Price):
        usd = Decimal(0) if attempt.usage is None else pricing.cost_usd(attempt.usage)
        return Cost(usd, "metered", pricing.row_id)
    if reply is None:
        # Nothing is known of it, and nothing was billed, or it is not settled.
        return Cost(Decimal(0), "metered", "")
    made = attempt.routed or (RoutedCall(reply.model, attempt.usage),)
    parts = [_part(pricing, call) for call in made]
    if len(parts) == 1:
        return parts[0]
    return Cost(
        sum_usd(part.usd for part in parts),
        weakest(part.basis for part in parts),
        _rows(parts),
        model=reply.model,
    )


def rate_of(tariff: Tariff, model: str) -> Rate | None:
    """The price of the model that a server names, if there is exactly one.

    In this order: a name that the tariff has as it stands; the id of one of its models with a
    date behind it; an id of the price library.
    """
    if model in tariff.rates:
        return tariff.rates[model]
    if not model:
        return None
    snapshots = {
        id(rate): rate for name, rate in tariff.rates.items() if is_same_model(name, model)
    }
    if snapshots:
        return next(iter(snapshots.values())) if len(snapshots) == 1 else None
    try:
        return Rate(price_at(model, tariff.on))
    except UnpricedModelError:
        return None


def _part(tariff: Tariff, call: RoutedCall) -> Cost:
    rate = rate_of(tariff, call.model)
    expert, model = ("", call.model) if rate is None else (rate.expert, rate.model or call.model)
    if rate is not None and call.usage is not None and not call.usage.estimated:
        price = rate.price
        return Cost(price.cost_usd(call.usage), "metered", price.row_id, expert, model)
    if call.reported_usd is not None:
        return Cost(call.reported_usd, "self_reported", "", expert, model)
    return Cost(Decimal(0), "opaque", "", expert, model)


def _rows(parts: Sequence[Cost]) -> str:
    rows = list(dict.fromkeys(part.price for part in parts if part.price))
    return " + ".join(rows) if len(rows) <= MOST_ROWS else f"{len(rows)} price rows"
