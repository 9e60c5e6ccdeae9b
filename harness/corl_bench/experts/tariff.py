"""What a call costs where the server chooses the model: facts of the reply, and prices by model.

A server that routes by itself says afterwards who has answered. `RoutedCall` keeps what it said,
in recordings too, so that a replay costs the same; `Tariff` holds the prices that such a call can
have. `corl_bench.experts.costs` brings the two together. No price is ever guessed from a name that
is merely similar, and what cannot be priced is never $0: it is what the server says that it cost,
or it is opaque.

    Tariff(rates={"gpt-4.1": Rate(price, "large")}, on=date(2026, 1, 31))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from corl_bench.money.amounts import EXACT
from corl_bench.money.prices import MTOK, Price
from corl_bench.types import Usage


@dataclass(frozen=True, slots=True)
class RoutedCall:
    """One call that a server has made for a reply, as the server tells it."""

    model: str
    """Who answered; empty where nobody says."""
    usage: Usage | None = None
    """None: no counts, or counts that are not of this call alone."""
    reported_usd: Decimal | None = None
    """What the server says that it cost."""


@dataclass(frozen=True, slots=True)
class Fees:
    """What a router itself takes for a reply, as the user states it."""

    usd_per_call: Decimal = Decimal(0)
    usd_per_mtok: Decimal = Decimal(0)
    """For a million tokens, input and output together."""

    def due(self, tokens: int) -> Decimal:
        """The fee for a reply of so many tokens, exactly."""
        by_token = EXACT.divide(EXACT.multiply(self.usd_per_mtok, tokens), MTOK)
        return EXACT.add(self.usd_per_call, by_token)


@dataclass(frozen=True, slots=True)
class Rate:
    """The price of one model."""

    price: Price
    expert: str = ""
    """Alias of the pool's expert that this is, if it is one; the call is booked on it."""
    model: str = ""
    """Model id of that expert."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """How the calls of one server are priced."""

    rates: Mapping[str, Rate | None]
    """By the name that the server gives a model; None where a name means several prices."""
    on: date
    """The day whose library prices hold for models that are not among the rates."""
    worst_case_usd: Decimal | None = None
    """Of one call without fees, as the user states it; None where nobody does."""
    fees: Fees = field(default_factory=Fees)
