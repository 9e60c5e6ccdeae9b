"""Amounts as text: strict in, exact out, rounded only for tables."""

from __future__ import annotations

from decimal import Decimal, Inexact, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corl_bench.errors import ConfigError
from corl_bench.money.amounts import (
    DECIMALS,
    EXACT,
    INTEGER_DIGITS,
    display_usd,
    format_usd,
    parse_json_usd,
    parse_usd,
    sum_usd,
)

NOT_AMOUNTS = [
    *[
        "",
        " 1",
        "1 ",
        "1\n",
        "-1",
        "+1",
        "1e-3",
        "1E5",
        "nan",
        "inf",
        "Infinity",
        "$1",
        "1,000",
        "1_000",
        ".5",
        "5.",
        "1.2.3",
        "0x1",
        "١٢",
        "１",
    ],
    "1" * (INTEGER_DIGITS + 1),
    "0." + "1" * (DECIMALS + 1),
]

amounts = st.decimals(
    min_value=0, max_value=10**INTEGER_DIGITS - 1, allow_nan=False, places=DECIMALS
)


@pytest.mark.parametrize(
    ("text", "amount"),
    [("0.0005", "0.0005"), ("12", "12"), ("3.50", "3.5"), ("007", "7"), ("0", "0")],
)
def test_plain_digits_are_read(text: str, amount: str) -> None:
    assert parse_usd(text) == Decimal(amount)


@pytest.mark.parametrize("text", NOT_AMOUNTS)
def test_everything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_usd(text, what="budget low")
    assert str(caught.value).startswith("budget low ")
    assert "\n" not in str(caught.value)


def test_a_long_text_is_not_repeated_whole() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_usd("x" * 10_000)
    assert len(str(caught.value)) < 300


@given(amounts)
def test_reading_what_was_written_gives_the_same_amount(amount: Decimal) -> None:
    assert parse_usd(format_usd(amount)) == amount


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("1E-7", "0.0000001"),
        ("1E+3", "1000"),
        ("3.50", "3.5"),
        ("100", "100"),
        ("0.000", "0"),
        ("-0.0", "0"),
        ("-2.50", "-2.5"),
    ],
)
def test_written_amounts_have_no_exponent_and_no_trailing_zeros(amount: str, text: str) -> None:
    assert format_usd(Decimal(amount)) == text


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity"])
def test_no_amount_cannot_be_written(amount: str) -> None:
    with pytest.raises(ValueError, match="no amount"):
        format_usd(Decimal(amount))


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "$0"),
        ("0.00040725", "$0.000407"),
        ("0.000009", "$0.00000900"),
        ("0.9994", "$0.999"),
        ("0.9996", "$1.00"),
        ("12.345", "$12.34"),
        ("1234567.891", "$1,234,567.89"),
        ("-0.0512", "-$0.0512"),
    ],
)
def test_tables_show_cents_or_three_digits(amount: str, shown: str) -> None:
    assert display_usd(Decimal(amount)) == shown


@given(st.lists(amounts, max_size=50))
def test_sums_are_exact_in_any_order_and_context(values: list[Decimal]) -> None:
    exact = sum(map(Fraction, values), Fraction(0))
    with localcontext() as context:
        context.prec = 5
        assert Fraction(sum_usd(values)) == exact
        assert Fraction(sum_usd(reversed(values))) == exact


def test_the_exact_context_raises_rather_than_round() -> None:
    with pytest.raises(Inexact):
        EXACT.divide(Decimal(1), Decimal(3))


@pytest.mark.parametrize(
    ("value", "amount"),
    [("0.0005", "0.0005"), (1e-05, "0.00001"), (0.1, "0.1"), (3, "3"), (1e-30, "0")],
)
def test_an_amount_in_json_is_what_stands_there(value: object, amount: str) -> None:
    assert parse_json_usd(value) == Decimal(amount)


@pytest.mark.parametrize("value", [None, True, -0.1, float("nan"), float("inf"), 1e300, "1e-5", []])
def test_what_is_no_amount_in_json_is_refused(value: object) -> None:
    with pytest.raises(ConfigError):
        parse_json_usd(value)
