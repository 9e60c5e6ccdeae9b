"""Files of cards: TOML, a table a model, so that an alias may change and a card stays.

Experts of one model with other settings (effort, temperature, provider) have cards of their own:
then a table is an alias's, and there is none of the model.

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
from corl_bench.experts.cards import OVERALL, Card
from corl_bench.experts.pool_file import StrictTable, validate
from corl_bench.toml import parse_toml

FILE_NAME = "cards.toml"
"""Beside a controller's file: what it was trained with."""

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
    """The cards of a file, by model, or by alias.

    Raises:
        ConfigError: it cannot be read, or holds what no card holds.
    """
    try:
        data = parse_toml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read cards {path}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: no TOML: {error}") from None
    except ValueError as error:  # a pool file may name a path that no system takes
        raise ConfigError(f"cannot read cards {str(path)!r}: {error}") from None
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
    if OVERALL not in read.right:
        raise ConfigError(f"{file}: {'.'.join(where)}.right.{OVERALL}: missing")
    right = {"" if name == OVERALL else name: share for name, share in read.right.items()}
    calls = tuple((first, second) for first, second in read.calls)
    return Card(right, read.silent, calls, read.trials)


def card_table(card: Card) -> dict[str, object]:
    """A card as the table that reads back as it."""
    return {
        "trials": card.trials,
        "silent": card.silent,
        "calls": [list(call) for call in card.calls],
        "right": {name or OVERALL: share for name, share in sorted(card.right.items())},
    }


def encode_cards(cards: Mapping[str, Card]) -> str:
    """The text of a file; JSON writes strings and numbers as TOML does.

    Args:
        cards: by model, or by alias; see `keyed`.
    """
    parts = []
    for model, card in sorted(cards.items()):
        right = ", ".join(
            f"{json.dumps(name or OVERALL)} = {json.dumps(share)}"
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


def keyed(experts: Iterable[ExpertSpec]) -> dict[str, Card]:
    """The cards that experts have, as a file names them: by model, or alias where some share it.

    Args:
        experts: of a pool; those without a card are left out.
    """
    carded = [(expert, expert.card) for expert in experts if expert.card is not None]
    known: dict[str, Card] = {}
    shared = set()
    for expert, card in carded:
        if known.setdefault(expert.model, card) != card:
            shared.add(expert.model)
    return {
        expert.name if expert.model in shared else expert.model: card for expert, card in carded
    }


def find_card(cards: Mapping[str, Card], *, name: str, model: str) -> Card | None:
    """The card of an expert: its model's, otherwise that of its alias; None: there is neither."""
    return cards.get(model) or cards.get(name)


def with_cards(experts: Iterable[ExpertSpec], cards: Mapping[str, Card]) -> tuple[ExpertSpec, ...]:
    """Experts with the cards of their models, or aliases; whoever has one keeps it.

    Args:
        experts: of a pool.
        cards: as `keyed` gives them.
    """
    return tuple(
        expert
        if expert.card is not None
        else replace(expert, card=find_card(cards, name=expert.name, model=expert.model))
        for expert in experts
    )
