"""What a listing says of experts in figures: what is left of a budget, measured in their calls.

A controller would otherwise have to divide dollars by prices times token counts in its head.
Here it is done for it, from three things that anyone may know: the price list, what has been
spent, and the experts' cards. What a call costs stands in the percent of what is left, on a
scale of 24 steps a decade (the E24 series of IEC 60063), so that few different texts come up.

    share_text((0.001, 0.002, 0.004), Decimal("0.01"))     # '20%'
    fits_text((0.001, 0.002, 0.004), Decimal("0.003"))     # '7/10': rounded from two of three
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from corl_bench.errors import ConfigError
from corl_bench.experts.cards import OVERALL, Card

if TYPE_CHECKING:
    from corl_bench.episode import ExpertInfo

LETTERS = "ABCDEFGHIJKLMNOP"
"""What experts are called where a protocol names them by their place in the listing."""

_E24 = (
    *(1.0, 1.1, 1.2, 1.3, 1.5, 1.6, 1.8, 2.0, 2.2, 2.4, 2.7, 3.0),
    *(3.3, 3.6, 3.9, 4.3, 4.7, 5.1, 5.6, 6.2, 6.8, 7.5, 8.2, 9.1),
)
_DECADES = (0.1, 1.0, 10.0, 100.0)
_PERCENTS = tuple(round(step * decade, 3) for decade in _DECADES for step in _E24)
SHARES = tuple(f"{percent:g}%" for percent in _PERCENTS)
"""All shares that are ever written, from small to large."""
FITS = tuple(f"{tenths}/10" for tenths in range(11))
"""All that is ever written of how many calls would fit."""
GRADES = (*(f"0.{percent:02}" for percent in range(0, 100, 5)), "1.00")
"""All shares that a card is ever printed with, as no other figure is written."""
_BETWEEN = tuple(math.sqrt(a * b) for a, b in pairwise(_PERCENTS))


def share_text(costs_usd: Sequence[float], left_usd: Decimal | None) -> str:
    """What a typical call takes of what is left: the mean cost, in percent of it.

    Args:
        costs_usd: of typical calls.
        left_usd: None: there is no budget, and a call takes next to nothing of it.
    """
    if left_usd is None:
        return SHARES[0]
    if left_usd <= 0:
        return SHARES[-1]
    percent = 100 * sum(costs_usd) / len(costs_usd) / float(left_usd)
    return SHARES[bisect_right(_BETWEEN, percent)]


def fits_text(costs_usd: Sequence[float], left_usd: Decimal | None) -> str:
    """How many of ten typical calls cost no more than what is left."""
    fitting = [left_usd is None or cost <= float(left_usd) + 1e-12 for cost in costs_usd]
    return FITS[round(10 * sum(fitting) / len(fitting))]


def cards_text(cards: Mapping[str, Card]) -> str:
    """How often experts were right: a line a subject, so that who knows it can compare them.

    Args:
        cards: by what the controller calls the experts. Where one of them knows nothing of a
            subject, its share of all is written.
    """
    subjects = sorted({name for card in cards.values() for name in card.right if name}) or [""]
    return "\n".join(
        " ".join(
            [subject or OVERALL, *(f"{n} {_grade(c.trust(subject))}" for n, c in cards.items())]
        )
        for subject in subjects
    )


def card_of(expert: ExpertInfo) -> Card:
    """The card of an expert.

    Raises:
        ConfigError: it has none.
    """
    if expert.card is None:
        raise ConfigError(
            f"expert {expert.name!r} has no card, which this protocol lists: measure one with"
            ' `corl-bench pool cards`, and name its file in the pool (cards = "FILE")'
        )
    return expert.card


def costs_of(expert: ExpertInfo) -> tuple[float, ...]:
    """Dollars of an expert's typical calls, from cheap to dear; errors as of `card_of`."""
    return card_of(expert).costs_usd(expert.price)


def lettered(experts: Iterable[ExpertInfo]) -> dict[str, ExpertInfo]:
    """Experts by letters, from cheap to dear by the mean of their typical calls.

    So aliases and the order of a pool's file say nothing: a renamed expert is the same one. Of
    equally dear experts the model decides, and the alias where that is the same as well.

    Raises:
        ConfigError: one has no card, or there are more experts than letters.
    """
    ranked = sorted(
        experts,
        key=lambda one: (sum(costs_of(one)), costs_of(one), one.model, one.name),
    )
    if len(ranked) > len(LETTERS):
        raise ConfigError(f"{len(ranked)} experts: a listing has letters for {len(LETTERS)}")
    return dict(zip(LETTERS, ranked, strict=False))


def left_text(costs_usd: Mapping[str, Sequence[float]], left_usd: Decimal | None) -> str:
    """The experts that what is left may pay for, with share and fits each; `-` where none is.

    Args:
        costs_usd: of typical calls, by what the controller calls the expert.
        left_usd: of the budget; None: there is none.
    """
    told = []
    for name, costs in costs_usd.items():
        fits = fits_text(costs, left_usd)
        if fits != FITS[0]:
            told.append(f"{name} {share_text(costs, left_usd)} {fits}")
    return " ".join(told) or "-"


def _grade(share: float) -> str:
    return GRADES[round(20 * share)]
