"""Dollar amounts as text and back, and sums that cannot lose a digit.

Amounts are written as plain decimal digits, never with an exponent, a sign or a currency mark,
so that a ledger can be read by any tool and summed to the same last digit. An amount that
`parse_usd` accepts has at most 12 digits before the point and 16 after it: at most 28 in all,
the precision of Python's default decimal context. Prices keep to `PRICE_DECIMALS`, so a cost
(a price times whole tokens, over a million) has at most 16 decimals and sums of costs stay
exact up to a trillion dollars, in that context or in `EXACT`.

    >>> parse_usd("0.0005")
    Decimal('0.0005')
    >>> format_usd(Decimal("1E-7")), display_usd(Decimal("0.00040725"))
    ('0.0000001', '$0.000407')
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import (
    ROUND_HALF_EVEN,
    Clamped,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    Subnormal,
    Underflow,
    localcontext,
)

from corl_bench.errors import ConfigError

INTEGER_DIGITS = 12
DECIMALS = 16
PRICE_DECIMALS = 10
"""Of a price in dollars per million tokens; the costs it leads to have six more."""

EXACT = Context(
    prec=60,
    rounding=ROUND_HALF_EVEN,
    traps=[Clamped, DivisionByZero, Inexact, InvalidOperation, Overflow, Subnormal, Underflow],
)
"""Raises where a digit would be lost, whatever the context of the calling thread is."""

_THREE_DIGITS = Context(prec=3, rounding=ROUND_HALF_EVEN)
_PLAIN = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)


def parse_usd(text: str, *, what: str = "amount", decimals: int = DECIMALS) -> Decimal:
    """Reads an amount of dollars written in plain digits.

    Args:
        text: digits, with a point and further digits if need be: `0.0005`, `12`, `3.50`.
        what: what the amount is, for the message.
        decimals: how many digits may follow the point.

    Raises:
        ConfigError: a sign, an exponent, a space, a currency mark, NaN, infinity, or more
            digits than sums can carry exactly.
    """
    if not _PLAIN.fullmatch(text):
        raise ConfigError(
            f"{what} {text[:40]!r} is no plain amount of dollars: write digits like 0.0005, "
            "without sign, exponent or currency"
        )
    whole, _, fraction = text.partition(".")
    if len(whole.lstrip("0")) > INTEGER_DIGITS or len(fraction.rstrip("0")) > decimals:
        raise ConfigError(
            f"{what} {text[:40]!r} has too many digits: at most {INTEGER_DIGITS} before the "
            f"point and {decimals} after it"
        )
    return Decimal(f"{whole}.{fraction.rstrip('0')}")


def parse_json_usd(value: object, *, what: str = "amount") -> Decimal:
    """Reads an amount from a JSON value: plain digits in quotes, or a number.

    A number counts as the shortest text that reads back as it (what stands in the file, as a
    rule), rounded to the last decimal that sums carry.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(value, str):
        return parse_usd(value, what=what)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{what} {ascii(value)[:40]} is no amount of dollars")
    if 0 <= value < 10**INTEGER_DIGITS:  # else it could not be rounded
        return parse_usd(format_usd(round(Decimal(repr(value)), DECIMALS)), what=what)
    raise ConfigError(f"{what} {ascii(value)[:40]} is no amount of dollars")


def format_usd(amount: Decimal) -> str:
    """The exact amount in plain digits, without an exponent or trailing zeros.

    Raises:
        ValueError: the amount is NaN or infinite.
    """
    if not amount.is_finite():
        raise ValueError(f"{amount} is no amount of dollars")
    text = f"{amount:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def display_usd(amount: Decimal) -> str:
    """A rounded amount for tables: cents from a dollar on, three digits that count below it."""
    size = abs(amount)
    if not size:
        return "$0"
    leading = _THREE_DIGITS.plus(size)
    places = 2 if leading >= 1 else 2 - leading.adjusted()
    rounded = size.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)
    return f"{'-' if amount < 0 else ''}${rounded:,f}"


def sum_usd(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum, in any order and any decimal context."""
    found = [*amounts]  # whatever makes them is not run in our context
    with localcontext(EXACT):
        return sum(found, Decimal(0))
