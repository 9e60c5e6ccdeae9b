"""Dated prices of models, and the cost of a usage at such a price.

A price row holds from its `effective_from` day until the next row of the same model. Costs
are `Decimal` dollars and exact: tokens times a finite decimal, divided by a million.

    >>> from decimal import Decimal
    >>> from datetime import date
    >>> row = Price("m", date(2025, 1, 1), "https://example.org", Decimal("2"), Decimal("8"))
    >>> row.cost_usd(Usage(input_tokens=1000, output_tokens=100))
    Decimal('0.0028')
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from corl_bench.types import Usage

MTOK = Decimal(1_000_000)


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
        total = (
            self.input_usd_per_mtok * usage.input_tokens
            + cached * usage.cached_input_tokens
            + write * usage.cache_write_tokens
            + write_1h * usage.cache_write_1h_tokens
            + self.output_usd_per_mtok * usage.output_tokens
        )
        return total / MTOK

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
        return (dearest * max_input_tokens + self.output_usd_per_mtok * max_output_tokens) / MTOK
