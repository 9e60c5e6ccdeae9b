"""Dated prices of models, and the cost of a usage at such a price.

A price row holds from its `effective_from` day until the next row of the same model. Costs
are `Decimal` dollars and exact: tokens times a finite decimal, divided by a million, computed
in a context that raises where a digit would be lost (`corl_bench.money.amounts.EXACT`).

    >>> from decimal import Decimal
    >>> from datetime import date
    >>> row = Price("m", date(2025, 1, 1), "https://example.org", Decimal("2"), Decimal("8"))
    >>> row.cost_usd(Usage(input_tokens=1000, output_tokens=100))
    Decimal('0.0028')
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from corl_bench.money.amounts import EXACT, PRICE_DECIMALS, format_usd, parse_usd
from corl_bench.types import Usage

MTOK = Decimal(1_000_000)

FIGURES = (
    "input_usd_per_mtok",
    "output_usd_per_mtok",
    "cached_input_usd_per_mtok",
    "cache_write_usd_per_mtok",
    "cache_write_1h_usd_per_mtok",
)
"""Names of the price's amounts; the first two are always known."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a model's tokens cost from a day on, in dollars per million tokens."""

    model: str
    """The id in the price library (`openai/gpt-4.1`), or the name a pool file gives."""
    effective_from: date
    source: str
    """Where the figures were read: a URL or a citation."""
    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal
    cached_input_usd_per_mtok: Decimal | None = None
    """None: cached input costs what input costs."""
    cache_write_usd_per_mtok: Decimal | None = None
    """None: writing to a cache costs what input costs."""
    cache_write_1h_usd_per_mtok: Decimal | None = None
    """None: as `cache_write_usd_per_mtok`."""
    from_library: bool = False
    """True: `model` is an id of the price library, so another date can be asked for."""

    @property
    def row_id(self) -> str:
        """Names this row in ledgers: the model and the day from which the price holds."""
        return f"{self.model}@{self.effective_from.isoformat()}"

    def cost_usd(self, usage: Usage) -> Decimal:
        """Exact list cost of `usage`; reasoning is part of output and not added again."""
        cached = self.cached_input_usd_per_mtok
        write = self.cache_write_usd_per_mtok
        write_1h = self.cache_write_1h_usd_per_mtok
        if cached is None:
            cached = self.input_usd_per_mtok
        if write is None:
            write = self.input_usd_per_mtok
        if write_1h is None:
            write_1h = write
        total = EXACT.multiply(self.input_usd_per_mtok, usage.input_tokens)
        total = EXACT.fma(self.output_usd_per_mtok, usage.output_tokens, total)
        total = EXACT.fma(cached, usage.cached_input_tokens, total)
        total = EXACT.fma(write, usage.cache_write_tokens, total)
        total = EXACT.fma(write_1h, usage.cache_write_1h_tokens, total)
        return EXACT.divide(total, MTOK)

    def worst_case_usd(self, max_input_tokens: int, max_output_tokens: int) -> Decimal:
        """An upper bound: every input token in its dearest class, every output token used."""
        dearest = max(
            price
            for price in (
                self.input_usd_per_mtok,
                self.cached_input_usd_per_mtok,
                self.cache_write_usd_per_mtok,
                self.cache_write_1h_usd_per_mtok,
            )
            if price is not None
        )
        total = EXACT.multiply(dearest, max_input_tokens)
        total = EXACT.fma(self.output_usd_per_mtok, max_output_tokens, total)
        return EXACT.divide(total, MTOK)

    def figures(self) -> dict[str, str]:
        """The amounts that are known, in plain digits: all that a cost depends on."""
        known = ((name, getattr(self, name)) for name in FIGURES)
        return {name: format_usd(amount) for name, amount in known if amount is not None}

    def as_dict(self) -> dict[str, Any]:
        """The whole row for a file; `price_from_dict` is the way back."""
        return {
            "model": self.model,
            "effective_from": self.effective_from.isoformat(),
            "source": self.source,
            **self.figures(),
            "from_library": self.from_library,
        }


def price_from_dict(row: Mapping[str, Any]) -> Price:
    """The price that `Price.as_dict` wrote.

    Raises:
        ConfigError: an amount is not written in plain digits.
        KeyError: a field is missing.
    """
    return Price(
        model=row["model"],
        effective_from=date.fromisoformat(row["effective_from"]),
        source=row["source"],
        from_library=row.get("from_library", False),
        **{
            name: parse_usd(row[name], what=name, decimals=PRICE_DECIMALS)
            for name in FIGURES
            if name in FIGURES[:2] or name in row
        },
    )


class Priced(Protocol):
    """An expert, or what a routing system may know of one."""

    @property
    def price(self) -> Price: ...


AnyPriced = TypeVar("AnyPriced", bound=Priced)


def cheapest_first(experts: Iterable[AnyPriced]) -> list[AnyPriced]:
    """Experts by the price of their output, then of their input; equals stay in their order."""
    return sorted(experts, key=lambda e: (e.price.output_usd_per_mtok, e.price.input_usd_per_mtok))
