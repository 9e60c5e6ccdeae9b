"""What a system charges beside its calls: a decision of its own, a judge, a router's fee."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.errors import ConfigError
from corl_bench.money.ledger import read_ledger


async def test_charges_are_part_of_what_an_episode_has_spent(episode_with: Any) -> None:
    episode, _ = episode_with({"cheap": ["42"]})
    reply = await episode.call("cheap")
    episode.charge(Decimal("0.001"), "a  judge\n of\tours", basis="metered")
    episode.charge(Decimal("0.5"), "what it says", basis="self_reported", of=reply)
    episode.charge(Decimal(3), "who knows", basis="opaque")
    assert episode.spent_usd == reply.cost_usd + Decimal("0.501")
    assert [(c.what, c.basis, c.list_cost_usd, c.unsettled_usd) for c in episode.charges] == [
        ("a judge of ours", "metered", Decimal("0.001"), 0),
        ("what it says", "self_reported", Decimal("0.5"), 0),
        ("who knows", "opaque", 0, Decimal(3)),
    ]
    assert len(set(episode.call_ids)) == 4


async def test_the_same_fee_twice_is_two_fees(episode_with: Any, tmp_path: Path) -> None:
    episode, _ = episode_with({})
    for _ in range(3):
        episode.charge(Decimal("0.1"), "a vote")
    assert episode.spent_usd == Decimal("0.3")
    assert len({line.call for line in read_ledger(tmp_path)}) == 3


@pytest.mark.parametrize(
    "usd", [0.1, "0.1", Decimal("-1"), Decimal("NaN"), Decimal("Infinity"), Decimal("1e-20"), None]
)
async def test_what_is_no_amount_is_booked_nowhere(
    episode_with: Any, tmp_path: Path, usd: Any
) -> None:
    episode, _ = episode_with({})
    with pytest.raises(ConfigError, match="fee"):
        episode.charge(usd, "x")
    with pytest.raises(ConfigError, match="no basis"):
        episode.charge(Decimal(1), "x", basis="free")
    assert episode.charges == ()
    assert list(read_ledger(tmp_path)) == []


async def test_nothing_is_charged_after_the_answer(episode_with: Any) -> None:
    episode, _ = episode_with({})
    episode.close()
    with pytest.raises(ConfigError, match="the episode is over"):
        episode.charge(Decimal(1), "late")


async def test_no_key_and_no_novel_reaches_the_ledger(episode_with: Any, tmp_path: Path) -> None:
    episode, _ = episode_with({})
    episode.charge(Decimal(1), "with sk-proj-abcdefghijklmnopqrstuvwxyz0123456789 " + "x" * 900)
    text = (tmp_path / "ledger.jsonl").read_text()
    assert "abcdefghijklmnop" not in text
    assert len(episode.charges[0].what) == 200
