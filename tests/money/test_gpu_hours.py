"""Prices by the hour: exact, never too low, and additive over the time that a call takes."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corl_bench.money.amounts import PRICE_DECIMALS
from corl_bench.money.gpu_hours import GpuHours

AMOUNTS = st.decimals("0.0001", "1000", places=4)
RATES = st.decimals("0.01", "1000000", places=2)


@settings(deadline=None)
@given(usd=AMOUNTS, gpus=st.integers(1, 64), read=RATES, written=RATES)
def test_a_price_is_the_exact_one_rounded_up(
    usd: Decimal, gpus: int, read: Decimal, written: Decimal
) -> None:
    hours = GpuHours(usd, gpus, read, written)
    for tokens_per_s, price in (
        (read, hours.input_usd_per_mtok),
        (written, hours.output_usd_per_mtok),
    ):
        exact = Fraction(usd) * gpus / 3600 / Fraction(tokens_per_s) * 10**6
        assert 0 <= Fraction(price) - exact < Fraction(1, 10**PRICE_DECIMALS)


def test_an_hour_of_tokens_costs_an_hour() -> None:
    hours = GpuHours(Decimal("2.50"), 8, Decimal(50000), Decimal(12500))
    hourly_usd = Decimal("2.50") * 8
    mtok = Decimal(1_000_000)
    assert hours.input_usd_per_mtok * 50000 * 3600 / mtok == pytest.approx(
        hourly_usd, rel=Decimal("1e-9")
    )
    assert hours.output_usd_per_mtok * 12500 * 3600 / mtok == pytest.approx(
        hourly_usd, rel=Decimal("1e-9")
    )


@pytest.mark.parametrize("place", range(4))
def test_nothing_of_it_is_nothing(place: int) -> None:
    figures = [Decimal(1), 1, Decimal(1), Decimal(1)]
    figures[place] = figures[place] * 0
    with pytest.raises(ValueError, match="must be above 0"):
        GpuHours(*figures)
