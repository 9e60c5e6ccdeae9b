"""Fees in ledger and episodes: what a routing decision costs beside the calls."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.money.ledger import Ledger, LedgerLine, read_ledger
from corl_bench.results import (
    CallRecord,
    ChargeRecord,
    EpisodeRecord,
    decode_episode,
    encode_episode,
)

PLAIN = EpisodeRecord(
    task="t",
    problem_id="p",
    system="s",
    budget=None,
    budget_usd=None,
    sample=0,
    verdict="correct",
    answer="1",
    response="1",
    calls=(CallRecord("nano", "m", "ok", list_cost_usd=Decimal("0.5"), id="c.0"),),
)


def a_fee(usd: str = "0.25", basis: Any = "stated", unsettled: str = "0") -> ChargeRecord:
    return ChargeRecord("router fee", Decimal(usd), basis, Decimal(unsettled), "fee-1.0")


def with_charges(*charges: ChargeRecord) -> EpisodeRecord:
    return EpisodeRecord(
        **{name: getattr(PLAIN, name) for name in PLAIN.__slots__ if name != "charges"},
        charges=charges,
    )


def a_line(call: str, *, stored: bool = False, status: str = "ok") -> LedgerLine:
    return LedgerLine(call, 1, "nano", "m", "m@2026-01-01", status, stored=stored)


# Files


def test_what_has_no_fee_is_written_as_ever() -> None:
    row = encode_episode(PLAIN)
    assert row["v"] == 1
    assert "charges" not in row
    assert "basis" not in row["calls"][0]
    line = a_line("e#c").encode()
    assert (line["v"], "basis" in line, "fee" in line) == (1, False, False)


def test_an_episode_with_fees_comes_back_and_older_versions_refuse_it() -> None:
    record = with_charges(a_fee(), a_fee("0", "opaque", "2"))
    row = json.loads(json.dumps(encode_episode(record)))
    assert row["v"] == 2
    assert decode_episode(row) == record
    assert (record.list_cost_usd, record.unsettled_usd) == (Decimal("0.75"), Decimal(2))
    assert record.cost_basis == "opaque"
    assert (row["list_cost_usd"], row["unsettled_usd"]) == ("0.75", "2")


def test_a_basis_that_no_version_knows_is_refused() -> None:
    row = encode_episode(with_charges(a_fee()))
    row["charges"][0]["basis"] = "guessed"
    with pytest.raises(ValueError, match="'guessed' is no basis"):
        decode_episode(row)


# The ledger


def book(ledger: Ledger, usd: str, basis: Any = "stated", of: str | None = None) -> bool:
    line = ledger.book_fee("e#fee", "router fee", Decimal(usd), basis, of=of)
    return line is not None


def test_a_fee_is_booked_and_is_no_attempt(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        assert book(ledger, "0.25")
    with Ledger.open(tmp_path) as ledger:
        assert ledger.totals.list_cost_usd == ledger.totals.billed_cost_usd == Decimal("0.25")
        assert ledger.totals.attempts == 0
        assert ledger.unaccounted() == []
    (line,) = read_ledger(tmp_path)
    assert (line.fee, line.basis, line.expert, line.price) == ("router fee", "stated", "", "")


def test_a_fee_of_a_call_is_owed_once(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.account([a_line("e#c")])
        assert book(ledger, "0.25", of="e#c")
    with Ledger.open(tmp_path) as ledger:
        assert not book(ledger, "0.25", of="e#c")
        assert ledger.totals.billed_cost_usd == Decimal("0.25")


def test_a_decision_that_is_made_again_is_paid_again_and_listed_once(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        assert book(ledger, "0.25")
        assert book(ledger, "0.25")
        assert ledger.totals.list_cost_usd == Decimal("0.25")
        assert ledger.totals.billed_cost_usd == Decimal("0.5")
    assert [line.attempt for line in read_ledger(tmp_path)] == [1, 2]


@pytest.mark.parametrize("status", ["ok", "server_error"])
def test_the_fee_of_a_stored_call_is_no_bill(tmp_path: Path, status: str) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.account([a_line("e#c", stored=True, status=status)])
        assert book(ledger, "0.25", of="e#c")
        assert (ledger.totals.list_cost_usd, ledger.totals.billed_cost_usd) == (
            Decimal("0.25"),
            Decimal(0),
        )


def test_an_opaque_fee_stands_apart_at_its_worst_case(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        assert book(ledger, "0.25", "opaque")
        assert ledger.totals.list_cost_usd == 0
        assert ledger.totals.unsettled_usd == ledger.totals.committed_usd == Decimal("0.25")
        assert ledger.totals.unsettled_attempts == 1
