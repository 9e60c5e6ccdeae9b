"""What a listing says in figures, and the protocol that lists cards."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from corl_bench.episode import ExpertInfo
from corl_bench.errors import ConfigError
from corl_bench.experts.cards import Card
from corl_bench.experts.pools import load_pool
from corl_bench.routers.outlook import (
    FITS,
    SHARES,
    cards_text,
    fits_text,
    left_text,
    lettered,
    share_text,
)
from corl_bench.routers.protocol import CallReport, Voice, load_protocol
from corl_bench.types import Budget

CARDS = load_protocol("cards")
CARD = Card({"": 0.5, "Geometry": 0.874, "Algebra": 0.376}, 0.1, ((80, 100), (80, 300)), 40)
POOL = load_pool("sim")
INFOS = [replace(ExpertInfo.of(expert), card=CARD) for expert in POOL.experts]


@pytest.mark.parametrize(
    ("left", "share", "fits"),
    [
        ("0.02", "10%", "10/10"),
        ("0.004", "51%", "10/10"),  # 50 % lies nearer to 51 than to 47
        ("0.003", "68%", "10/10"),
        ("0.0029", "68%", "5/10"),
        ("0.0009", "220%", "0/10"),
        ("0", SHARES[-1], "0/10"),
        ("-1", SHARES[-1], "0/10"),
        ("1000000", SHARES[0], "10/10"),
    ],
)
def test_figures_are_of_what_is_left(left: str, share: str, fits: str) -> None:
    costs_usd = (0.001, 0.003)
    assert share_text(costs_usd, Decimal(left)) == share
    assert fits_text(costs_usd, Decimal(left)) == fits


def test_without_a_budget_everything_fits() -> None:
    assert share_text((0.001,), None) == SHARES[0]
    assert fits_text((0.001,), None) == FITS[-1]


def test_cards_are_a_line_a_subject_in_steps_of_a_twentieth() -> None:
    other = replace(CARD, right={"": 0.21, "Geometry": 0.999})
    told = cards_text({"A": CARD, "B": other})
    assert told == "Algebra A 0.40 B 0.20\nGeometry A 0.85 B 1.00"
    assert cards_text({"A": replace(CARD, right={"": 0.5})}) == "all A 0.50"


def test_who_cannot_be_paid_is_not_said_to_be_left() -> None:
    costs_usd = {"A": (0.001,), "B": (0.01, 0.02), "C": (1.0,)}
    assert left_text(costs_usd, Decimal("0.01")) == "A 10% 10/10 B 150% 5/10"
    assert left_text(costs_usd, Decimal("0.0001")) == "-"


def test_letters_go_by_cost_and_neither_by_name_nor_by_order() -> None:
    letters = lettered(INFOS)
    assert [letters[letter].name for letter in "AB"] == ["self", "nano"]
    renamed = [replace(info, name=f"x{n}") for n, info in enumerate(reversed(INFOS))]
    again = lettered(renamed)
    assert {k: v.model for k, v in again.items() if k < "D"} == {
        k: v.model for k, v in letters.items() if k < "D"
    }


def test_equally_dear_experts_keep_their_letters_when_they_are_renamed() -> None:
    twins = [
        replace(INFOS[0], name=name, model=model) for name, model in (("b", "m1"), ("a", "m2"))
    ]
    renamed = [replace(info, name=name) for info, name in zip(twins, ("x", "y"), strict=True)]
    for infos in (twins, list(reversed(twins)), renamed):
        assert [info.model for info in lettered(infos).values()] == ["m1", "m2"]


def test_the_opening_states_dollars_and_figures() -> None:
    budget = Budget("0.0018", Decimal("0.0018"))
    listed = [replace(info, name=letter) for letter, info in lettered(INFOS).items()]
    first, problem, right, *cards, experts, a, b, c, d, e, _ = CARDS.opening(
        "How many?", budget, listed
    ).split("\n")
    assert (first, problem) == ("budget $0.0018", "How many?")
    assert (right, experts) == ("right:", "experts:")
    assert cards[0] == "Algebra A 0.40 B 0.40 C 0.40 D 0.40 E 0.40"
    assert len(cards) == 2
    assert a == "A 1.3% 10/10"
    assert [line[0] for line in (b, c, d, e)] == list("BCDE")


def test_a_result_says_what_is_left_to_be_called() -> None:
    report = CallReport(
        *("B", 1, Decimal("0.001"), Decimal("0.006"), Decimal("0.01")),
        calls_left=3,
        costs_usd={"A": (0.001,), "B": (0.004,), "C": (0.1,)},
    )
    told = CARDS.result(report, reply="7", voices=[Voice("B", 0)])
    assert 'left="A 24% 10/10 B 100% 10/10"' in told
    assert 'expert="B" number="1" tally="B">7</result>' in told


def test_an_expert_without_a_card_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'self' has no card.*corl-bench pool cards"):
        lettered([ExpertInfo.of(expert) for expert in POOL.experts])
