"""The price library: dated prices of well-known models, each with its source.

The rows lie in `prices.toml` beside this module. Ids match whole or not at all: a name that
merely contains or begins like a known one has no price, and a model without a price on the day
asked for is an error, never $0.

    >>> price_at("openai/o3", date(2025, 6, 9)).output_usd_per_mtok
    Decimal('40')
    >>> price_at("openai/o3-2025-04-16", date(2025, 6, 10)).output_usd_per_mtok
    Decimal('8')
"""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from corl_bench.errors import UnpricedModelError
from corl_bench.money.amounts import PRICE_DECIMALS, parse_usd
from corl_bench.money.prices import Price

LIBRARY_FILE = Path(__file__).with_name("prices.toml")

BASES = {
    "release": "since the model's release",
    "change": "since a change of price on this day",
    "known": "known on this day; earlier prices are not",
}

_COLUMNS = {
    "input": "input_usd_per_mtok",
    "output": "output_usd_per_mtok",
    "cached": "cached_input_usd_per_mtok",
    "write": "cache_write_usd_per_mtok",
    "write_1h": "cache_write_1h_usd_per_mtok",
}


@dataclass(frozen=True, slots=True)
class PricedModel:
    """A model of the library with its prices, the earliest first."""

    id: str
    aliases: tuple[str, ...]
    rows: tuple[Price, ...]


@cache
def library() -> Mapping[str, PricedModel]:
    """The models by id, in the order of the file; aliases are not among the keys."""
    data = tomllib.loads(LIBRARY_FILE.read_text(encoding="utf-8"))
    sources: dict[str, str] = data["sources"]
    models = {
        model_id: PricedModel(
            id=model_id,
            aliases=tuple(table.get("aliases", ())),
            rows=tuple(
                _price(model_id, row, sources, table.get("note", "")) for row in table["rows"]
            ),
        )
        for model_id, table in data["models"].items()
    }
    return MappingProxyType(models)


def price_at(model_id: str, on: date) -> Price:
    """The price in force for a model on a day.

    Args:
        model_id: id or alias in the library, whole: `openai/gpt-4.1`.
        on: the day.

    Returns:
        The last row that begins on or before the day, under the model's id.

    Raises:
        UnpricedModelError: the library does not know the id, or has no price of it so early.
    """
    model = _by_name().get(model_id)
    if model is None:
        raise UnpricedModelError(_unknown(model_id))
    for row in reversed(model.rows):
        if row.effective_from <= on:
            return row
    raise UnpricedModelError(
        f"{model_id} has no price on {on}: its first known price is of "
        f"{model.rows[0].effective_from}; take a later price date or give a price in the pool file"
    )


def price_history(model_id: str) -> tuple[Price, ...]:
    """All rows of a model, the earliest first.

    Raises:
        UnpricedModelError: the library does not know the id.
    """
    model = _by_name().get(model_id)
    if model is None:
        raise UnpricedModelError(_unknown(model_id))
    return model.rows


@cache
def library_digest() -> str:
    """sha256 of the library's file, in hexadecimal; line ends count as LF."""
    text = LIBRARY_FILE.read_text(encoding="utf-8")
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _by_name() -> Mapping[str, PricedModel]:
    models = library().values()
    return {name: model for model in models for name in (model.id, *model.aliases)}


def _price(model_id: str, row: dict[str, Any], sources: dict[str, str], note: str) -> Price:
    figures = {
        field: parse_usd(row[column], what=f"{model_id} {column}", decimals=PRICE_DECIMALS)
        for column, field in _COLUMNS.items()
        if column in ("input", "output") or column in row
    }
    remarks = "; ".join(filter(None, (BASES[row["basis"]], note)))
    return Price(
        model=model_id,
        effective_from=row["from"],
        source=f"{sources[row['source']]} [{remarks}]",
        from_library=True,
        **figures,
    )


def _unknown(model_id: str) -> str:
    names = sorted(_by_name())
    tail = model_id.rpartition("/")[2]
    near = [name for name in names if name.rpartition("/")[2] == tail]
    near += [name for name in difflib.get_close_matches(model_id, names) if name not in near]
    hint = f" (did you mean {', '.join(near[:3])}?)" if near else ""
    return (
        f"no price for {model_id!r} in the price library{hint}; give it in the pool file: "
        'price = {input_usd_per_mtok = "…", output_usd_per_mtok = "…", '
        'effective_from = 2026-01-31, source = "…"}'
    )
