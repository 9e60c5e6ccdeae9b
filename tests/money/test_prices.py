"""Costs of usages: every token class once, exact to the last digit."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corl_bench.errors import ConfigError
from corl_bench.money.amounts import PRICE_DECIMALS
from corl_bench.money.prices import Price, price_from_dict
from corl_bench.types import Usage

FULL = Price(
    model="m",
    effective_from=date(2026, 1, 31),
    source="a test",
    input_usd_per_mtok=Decimal("3"),
    output_usd_per_mtok=Decimal("15"),
    cached_input_usd_per_mtok=Decimal("0.3"),
    cache_write_usd_per_mtok=Decimal("3.75"),
    cache_write_1h_usd_per_mtok=Decimal("6"),
)
BARE = Price("m", date(2026, 1, 31), "a test", Decimal("3"), Decimal("15"))

figures = st.decimals(min_value=0, max_value=10_000, allow_nan=False, places=PRICE_DECIMALS)
tokens = st.integers(min_value=0, max_value=10**9)


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        (Usage(input_tokens=1_000_000), "3"),
        (Usage(cached_input_tokens=1_000_000), "0.3"),
        (Usage(cache_write_tokens=1_000_000), "3.75"),
        (Usage(cache_write_1h_tokens=1_000_000), "6"),
        (Usage(output_tokens=1_000_000), "15"),
        (Usage(output_tokens=1_000_000, reasoning_tokens=900_000), "15"),
        (Usage(1000, 100, 10, 1, 500), "0.0105735"),
        (Usage(), "0"),
    ],
)
def test_each_class_is_billed_once_at_its_own_price(usage: Usage, usd: str) -> None:
    assert FULL.cost_usd(usage) == Decimal(usd)


def test_classes_without_a_price_cost_what_input_costs() -> None:
    assert BARE.cost_usd(Usage(1, 2, 3, 4, 0)) == BARE.cost_usd(Usage(input_tokens=10))


def test_one_hour_writes_without_a_price_cost_what_five_minute_writes_cost() -> None:
    price = Price(
        "m",
        date(2026, 1, 31),
        "a test",
        Decimal("3"),
        Decimal("15"),
        cache_write_usd_per_mtok=Decimal("3.75"),
    )
    assert price.cost_usd(Usage(cache_write_1h_tokens=1_000_000)) == Decimal("3.75")


@given(figures, figures, figures, tokens, tokens, tokens)
def test_costs_are_exact_whatever_the_decimal_context(
    input_price: Decimal,
    output_price: Decimal,
    cached_price: Decimal,
    input_tokens: int,
    output_tokens: int,
    cached_tokens: int,
) -> None:
    price = Price("m", date(2026, 1, 31), "a test", input_price, output_price, cached_price)
    usage = Usage(input_tokens, cached_tokens, output_tokens=output_tokens)
    with localcontext() as context:
        context.prec = 4
        cost = price.cost_usd(usage)
    millionths = (
        Fraction(input_price) * input_tokens
        + Fraction(cached_price) * cached_tokens
        + Fraction(output_price) * output_tokens
    )
    assert Fraction(cost) == millionths / 1_000_000


@given(tokens, tokens, tokens, tokens, tokens)
def test_the_worst_case_bounds_every_split_of_the_same_tokens(
    full: int, cached: int, written: int, written_1h: int, output: int
) -> None:
    usage = Usage(full, cached, written, written_1h, output)
    for price in (FULL, BARE):
        assert price.cost_usd(usage) <= price.worst_case_usd(usage.total_input_tokens, output)


@pytest.mark.parametrize("price", [FULL, BARE])
def test_a_price_survives_a_file(price: Price) -> None:
    assert price_from_dict(json.loads(json.dumps(price.as_dict()))) == price


def test_a_price_in_a_file_cannot_be_negative() -> None:
    with pytest.raises(ConfigError, match="input_usd_per_mtok"):
        price_from_dict({**BARE.as_dict(), "input_usd_per_mtok": "-3"})
