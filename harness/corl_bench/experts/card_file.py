"""Files of cards: TOML, a table a model, so that an alias may change and a card stays.

    ["openai/gpt-4.1-nano"]
    trials = 900
    silent = 0.02
    calls = [[80, 120], [80, 200]]          # input and output tokens, from short to long
    right = { all = 0.61, Geometry = 0.44 }

Invariant: a file that was written reads back as the cards that were written.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from corl_bench.errors import ConfigError
from corl_bench.experts.base import ExpertSpec
from corl_bench.experts.cards import Card
from corl_bench.experts.pool_file import StrictTable, validate

FILE_NAME = "cards.toml"
"""Beside a controller's file: what it was trained with."""

_OVERALL = "all"
_DIGITS = 4

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class _CardTable(StrictTable):
    trials: Annotated[int, Field(ge=1)]
    silent: Share
    calls: Annotated[
        list[Annotated[list[Count], Field(min_length=2, max_length=2)]], Field(min_length=1)
    ]
    right: dict[str, Share]


def read_cards(path: Path) -> dict[str, Card]:
    """The cards of a file, by model.

    Raises:
        ConfigError: it cannot be read, or holds what no card holds.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read cards {path}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: no TOML: {error}") from None
    cards = {}
    for model, table in data.items():
        cards[model] = read_card(table, file=path.name, where=(model,))
    return cards


def read_card(table: object, *, file: str, where: tuple[str, ...]) -> Card:
    """One card.

    Args:
        table: as TOML gave it.
        file: the name of its file, for the message.
        where: keys that lead to it.

    Raises:
        ConfigError: it holds what no card holds.
    """
    read = validate(_CardTable, table, file=file, where=where)
    if _OVERALL not in read.right:
        raise ConfigError(f"{file}: {'.'.join(where)}.right.{_OVERALL}: missing")
    right = {"" if name == _OVERALL else name: share for name, share in read.right.items()}
    calls = tuple((first, second) for first, second in read.calls)
    return Card(right, read.silent, calls, read.trials)


def card_table(card: Card) -> dict[str, object]:
    """A card as the table that reads back as it."""
    return {
        "trials": card.trials,
        "silent": card.silent,
        "calls": [list(call) for call in card.calls],
        "right": {name or _OVERALL: share for name, share in sorted(card.right.items())},
    }


def encode_cards(cards: Mapping[str, Card]) -> str:
    """The text of a file; JSON writes strings and numbers as TOML does.

    Args:
        cards: by model.
    """
    parts = []
    for model, card in sorted(cards.items()):
        right = ", ".join(
            f"{json.dumps(name or _OVERALL)} = {json.dumps(share)}"
            for name, share in sorted(card.right.items())
        )
        parts.append(
            f"[{json.dumps(model)}]\n"
            f"trials = {card.trials}\n"
            f"silent = {json.dumps(card.silent)}\n"
            f"calls = {json.dumps([list(call) for call in card.calls])}\n"
            f"right = {{ {right} }}\n"
        )
    return "\n".join(parts)


def rounded(card: Card) -> Card:
    """A card with shares of as many digits as a file is to show."""
    return replace(
        card,
        right={name: round(share, _DIGITS) for name, share in card.right.items()},
        silent=round(card.silent, _DIGITS),
    )


def with_cards(experts: Iterable[ExpertSpec], cards: Mapping[str, Card]) -> tuple[ExpertSpec, ...]:
    """Experts with the cards of their models; whoever has one keeps it.

    Args:
        experts: of a pool.
        cards: by model.
    """
    return tuple(
        expert if expert.card is not None else replace(expert, card=cards.get(expert.model))
        for expert in experts
    )
