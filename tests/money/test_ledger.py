from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corl_bench.errors import ConfigError
from corl_bench.money.ledger import INTERRUPTED, Intent, Ledger, LedgerLine, read_ledger
from corl_bench.types import Usage


def _intent(call: str, attempt: int) -> Intent:
    return Intent(call, attempt, "nano", "m", "m@2026-01-01", Decimal("0.5"), "key", 0, 0, "")


def _line(call: str, attempt: int, cost: str = "0.1", status: str = "ok") -> LedgerLine:
    return LedgerLine(
        call=call,
        attempt=attempt,
        expert="nano",
        model="m",
        price="m@2026-01-01",
        status=status,
        usage=Usage(input_tokens=3, output_tokens=4, reasoning_tokens=1),
        list_cost_usd=Decimal(cost),
        billed_cost_usd=Decimal(cost),
    )


def test_an_attempt_in_the_journal_alone_is_unaccounted_after_reopening(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.announce(_intent("e#0", 1))
        ledger.announce(_intent("e#1", 1))
        ledger.account([_line("e#0", 1)])
    with Ledger.open(tmp_path) as ledger:
        assert [intent.call for intent in ledger.unaccounted()] == ["e#1"]
        assert ledger.unaccounted()[0] == _intent("e#1", 1)
        assert ledger.next_attempt("e#1") == 2
        assert ledger.totals.billed_cost_usd == Decimal("0.1")


def test_interrupted_attempts_are_no_part_of_a_calls_lines(tmp_path: Path) -> None:
    interrupted = LedgerLine(
        "e#0", 1, "nano", "m", "p", INTERRUPTED, settled=False, unsettled_usd=Decimal("0.5")
    )
    with Ledger.open(tmp_path) as ledger:
        ledger.announce(_intent("e#0", 1))
        ledger.account([interrupted])
        ledger.announce(_intent("e#0", 2))
        ledger.account([_line("e#0", 2)])
        assert ledger.lines_of("e#0") == [_line("e#0", 2)]
    with Ledger.open(tmp_path) as ledger:
        assert ledger.totals.unsettled_usd == Decimal("0.5")
        assert ledger.totals.unsettled_attempts == 1
        assert ledger.totals.committed_usd == Decimal("0.6")
        assert ledger.unaccounted() == []


def test_an_attempt_at_price_zero_can_be_unsettled(tmp_path: Path) -> None:
    free = LedgerLine("e#0", 1, "nano", "m", "p", "cut", settled=False)
    with Ledger.open(tmp_path) as ledger:
        ledger.account([free])
    assert list(read_ledger(tmp_path)) == [free]
    with Ledger.open(tmp_path) as ledger:
        assert ledger.totals.unsettled_attempts == 1


@pytest.mark.parametrize("name", ["ledger", "journal"])
def test_lines_of_a_newer_version_are_refused(tmp_path: Path, name: str) -> None:
    row = (_line("e#0", 1) if name == "ledger" else _intent("e#0", 1)).encode()
    (tmp_path / f"{name}.jsonl").write_text(json.dumps({**row, "v": 3}) + "\n")
    with pytest.raises(ConfigError, match=f"the {name} is of schema 3.*upgrade corl-bench"):
        Ledger.open(tmp_path)


@settings(max_examples=25)
@given(st.lists(st.decimals(0, 10**6, places=14, allow_nan=False), max_size=30))
def test_the_file_adds_up_to_the_totals_to_the_last_digit(costs: list[Decimal]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        with Ledger.open(Path(folder)) as ledger:
            for position, cost in enumerate(costs):
                ledger.account([_line(f"e#{position}", 1, str(cost))])
            totals = ledger.totals.list_cost_usd
        text = (Path(folder) / "ledger.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert sum((Decimal(row["list_cost_usd"]) for row in rows), Decimal(0)) == totals
    assert "E" not in "".join(row["list_cost_usd"] for row in rows)
