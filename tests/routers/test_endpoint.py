"""Servers that route by themselves: what they tell, what that is worth, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from corl_bench.errors import ConfigError
from corl_bench.money.ledger import read_ledger
from corl_bench.results import EpisodeRecord, OperatingPoint, read_episodes
from corl_bench.runs.run import Finished
from servers.endpoint_run import STRONG_USD, WEAK_USD, run_endpoint
from servers.router_server import STRONG, USAGE, WEAK, RouterServer

Make = Callable[..., Finished]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Runs one endpoint over three problems; keywords become the endpoint's file."""
    return partial(run_endpoint, tmp_path)


def the_row(finished: Finished) -> OperatingPoint:
    (row,) = finished.summary.rows
    return row


def episodes_of(finished: Finished) -> dict[str, EpisodeRecord]:
    return {record.problem_id: record for record in read_episodes(finished.directory)}


def telling(**told: Any) -> Callable[..., dict[str, Any]]:
    return lambda model, request: told


# What a reply is worth


def test_a_model_of_the_pool_is_booked_and_priced_as_that_expert(make: Make) -> None:
    with RouterServer() as server:
        finished = make(server)
    row = the_row(finished)
    assert (row.cost_basis, row.is_ranked) == ("metered", True)
    assert row.total_cost_usd == 2 * WEAK_USD + STRONG_USD
    assert row.calls_by_expert == {"strong": 1, "weak": 2}
    assert (row.expert_calls, row.self_calls) == (3, 0)
    assert row.accuracy == pytest.approx(2 / 3)
    assert [seen["body"]["model"] for seen in server.requests] == ["auto"] * 3
    lines = list(read_ledger(finished.directory))
    assert {(line.expert, line.model, line.price) for line in lines} == {
        ("weak", "weak-1", "openai/weak-1@2026-01-01"),
        ("strong", "strong-9", "openai/strong-9@2026-01-01"),
    }
    assert '"v":1' in (finished.directory / "episodes.jsonl").read_text()


@pytest.mark.parametrize(
    ("name", "usd"),
    [
        ("weak-1-2026-02-03", WEAK_USD),  # a dated snapshot
        ("weak", WEAK_USD),  # the alias
        ("openai/gpt-4.1-nano", Decimal("0.00014")),  # by its whole id in the price library
    ],
)
def test_names_by_which_a_model_is_known(make: Make, name: str, usd: Decimal) -> None:
    with RouterServer(telling(model=name, usage=USAGE)) as server:
        row = the_row(make(server))
    assert (row.cost_basis, row.total_cost_usd) == ("metered", 3 * usd)


@pytest.mark.parametrize("name", ["weak-10", "weak-1-mini", "gpt-4.1-nano", "my-weak-1", "auto"])
def test_no_name_that_is_merely_similar_has_a_price(make: Make, name: str) -> None:
    with RouterServer(telling(model=name, usage={**USAGE, "cost": 0.95})) as server:
        finished = make(server)
    row = the_row(finished)
    assert (row.cost_basis, row.is_ranked) == ("self_reported", False)
    assert row.total_cost_usd == Decimal("2.85")
    assert all(line.price == "" for line in read_ledger(finished.directory))


def test_the_users_own_names_go_before_all_others(make: Make) -> None:
    with RouterServer(telling(model="gpt-4-1106-preview", usage=USAGE)) as server:
        row = the_row(make(server, '[models]\n"gpt-4-1106-preview" = "strong"'))
    assert (row.cost_basis, row.total_cost_usd) == ("metered", 3 * STRONG_USD)
    assert row.calls_by_expert == {"strong": 3}


def test_a_reply_without_anything_is_opaque_at_the_stated_worst_case(make: Make) -> None:
    with RouterServer(telling(model="auto", usage=USAGE)) as server:
        finished = make(server, '[cost]\nworst_case_usd = "0.05"')
    row = the_row(finished)
    assert (row.cost_basis, row.is_ranked) == ("opaque", False)
    assert (row.total_cost_usd, row.unsettled_usd) == (Decimal(0), Decimal("0.15"))
    assert finished.summary.unsettled_usd == Decimal("0.15")
    assert finished.summary.unsettled_attempts == 3


def test_tokens_that_were_not_counted_are_never_priced(make: Make) -> None:
    """What we would estimate for an expert is no meter of a server that chooses its model."""
    with RouterServer(telling(model=WEAK, usage={"cost": "0.01"})) as server:
        row = the_row(make(server))
    assert (row.cost_basis, row.total_cost_usd) == ("self_reported", Decimal("0.03"))
    assert row.estimated_calls == 3


def test_headers_say_who_answered_and_what_it_cost(make: Make) -> None:
    def tells(model: str, request: object) -> dict[str, Any]:
        headers = {"x-model": model if model == WEAK else "unknown", "x-cost": "0.0125"}
        return {"model": "auto", "usage": USAGE, "headers": headers}

    with RouterServer(tells) as server:
        finished = make(server, '[cost]\nmodel_header = "X-Model"\ncost_header = "X-Cost"')
    bases = {key: record.cost_basis for key, record in episodes_of(finished).items()}
    assert bases == {"0": "metered", "1": "self_reported", "2": "metered"}
    assert the_row(finished).total_cost_usd == 2 * WEAK_USD + Decimal("0.0125")
    assert the_row(finished).cost_basis == "self_reported"


def test_a_stated_total_goes_before_tokens_that_are_of_no_single_call(make: Make) -> None:
    """xRouter's server counts characters for tokens and calls several models for a reply."""
    metadata = {"model_used": WEAK, "total_cost": 0.0071, "call_history": []}
    with RouterServer(telling(model="auto", usage=USAGE, router_metadata=metadata)) as server:
        row = the_row(make(server))
    assert (row.cost_basis, row.total_cost_usd) == ("self_reported", Decimal("0.0213"))


def test_metadata_without_a_total_names_the_model(make: Make) -> None:
    metadata = {"selected_model": STRONG, "router": "mf"}
    with RouterServer(telling(model="auto", usage=USAGE, router_metadata=metadata)) as server:
        row = the_row(make(server))
    assert (row.cost_basis, row.total_cost_usd) == ("metered", 3 * STRONG_USD)


def ledger(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "corl-low", "usage": USAGE, "corl": {"calls": list(calls), **more}}


def a_call(model: str, **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 1000, "output_tokens": 100}
    return {"expert": "x", "model": model, "usage": usage, "cost_usd": "9", "attempts": 1, **more}


@pytest.mark.parametrize(
    ("told", "basis", "usd", "unsettled"),
    [
        (ledger(a_call(WEAK), a_call(STRONG)), "metered", "0.006", "0"),
        (ledger(a_call(WEAK)), "metered", "0.002", "0"),
        (ledger(a_call(WEAK), a_call("secret", cost_usd="0.5")), "self_reported", "0.502", "0"),
        # Of several attempts, the tokens are those of the last alone.
        (ledger(a_call(WEAK, attempts=2, cost_usd="0.003")), "self_reported", "0.003", "0"),
        (ledger(a_call(WEAK), a_call(WEAK, usage=None, cost_usd="0")), "metered", "0.002", "0"),
        # Zeros are what servers send that count nothing, and no free call.
        (
            ledger(a_call(WEAK, usage={"input_tokens": 0, "output_tokens": 0}, cost_usd="0.5")),
            "self_reported",
            "0.5",
            "0",
        ),
        (
            ledger(a_call(WEAK), charges=[{"what": "router", "cost_usd": "0.1"}]),
            "self_reported",
            "0.102",
            "0",
        ),
        (ledger(a_call(WEAK), a_call(WEAK, unsettled_usd="1")), "opaque", "0.002", "0.05"),
        (ledger(cost_usd="0"), "self_reported", "0", "0"),
    ],
)
def test_the_ledger_of_a_reply_is_priced_call_by_call(
    make: Make, told: dict[str, Any], basis: str, usd: str, unsettled: str
) -> None:
    with RouterServer(telling(**told)) as server:
        finished = make(server, '[cost]\nworst_case_usd = "0.05"')
    record = episodes_of(finished)["0"]
    assert (record.cost_basis, record.list_cost_usd) == (basis, Decimal(usd))
    assert record.unsettled_usd == Decimal(unsettled)


@pytest.mark.parametrize(
    "told",
    [
        {"usage": {**USAGE, "cost": -1}},
        {"usage": {**USAGE, "cost": True}},
        {"usage": {**USAGE, "cost": "free"}},
        {"usage": {**USAGE, "cost": 1e30}},
        {"usage": {**USAGE, "prompt_tokens": -5}},
        {"router_metadata": {"total_cost": "NaN"}},
        {"corl": {"calls": [7]}},
        {"corl": {"calls": [a_call(WEAK, usage={"input_tokens": 1.5})]}},
        {"corl": {"calls": [{}] * 1001}},
    ],
)
def test_impossible_figures_are_an_error_and_no_price(make: Make, told: dict[str, Any]) -> None:
    with RouterServer(telling(model="auto", **told)) as server:
        finished = make(server, '[cost]\nworst_case_usd = "0.05"')
    row = the_row(finished)
    assert (row.verdicts["error"], row.total_cost_usd) == (3, Decimal(0))
    assert row.unsettled_usd == Decimal("0.15")
    assert len(server.requests) == 3  # a retry would bring the same
    assert "malformed" in episodes_of(finished)["0"].detail


# Fees, caps, attempts


FEES = '[cost]\nworst_case_usd = "0.05"\nfee_usd_per_call = "0.001"\nfee_usd_per_mtok = "2"'
FEE_USD = Decimal("0.0032")
"""Of one reply: a thousandth, and 1,100 tokens."""


def test_a_fee_is_a_line_of_its_own(make: Make) -> None:
    with RouterServer() as server:
        finished = make(server, FEES)
    row = the_row(finished)
    assert (row.cost_basis, row.is_ranked) == ("stated", True)
    assert row.fees_usd == 3 * FEE_USD
    assert row.total_cost_usd == 2 * WEAK_USD + STRONG_USD + 3 * FEE_USD
    fees = [line for line in read_ledger(finished.directory) if line.fee]
    assert [(line.fee, line.list_cost_usd, line.expert) for line in fees] == [
        ("router fee", FEE_USD, "")
    ] * 3
    assert finished.summary.list_cost_usd == row.total_cost_usd
    assert (finished.summary.attempts, finished.summary.notes[1:]) == (3, ())


def test_a_replay_costs_the_same_and_bills_nothing(make: Make) -> None:
    with RouterServer() as server:
        first = make(server, FEES)
        again = make(
            server,
            FEES,
            out="replayed",
            mode="replay",
            recordings=first.directory / "recordings.sqlite",
        )
    assert len(server.requests) == 3
    assert the_row(again).total_cost_usd == the_row(first).total_cost_usd
    assert again.summary.billed_cost_usd == 0
    assert first.summary.billed_cost_usd == first.summary.list_cost_usd
    first_records, records = episodes_of(first), episodes_of(again)
    assert [replace(records[key], latency_s=0) for key in records] == [
        replace(first_records[key], latency_s=0) for key in records
    ]


def test_self_reported_dollars_survive_a_replay(make: Make) -> None:
    with RouterServer(telling(model="auto", usage={**USAGE, "cost": 0.95})) as server:
        first = make(server)
        store = first.directory / "recordings.sqlite"
        again = make(server, out="replayed", mode="replay", recordings=store)
    assert the_row(again).total_cost_usd == Decimal("2.85")
    assert the_row(again).cost_basis == "self_reported"


def test_a_cap_over_a_server_needs_a_stated_worst_case(make: Make) -> None:
    with RouterServer() as server, pytest.raises(ConfigError, match="worst_case_usd"):
        make(server, max_cost_usd=Decimal(1))
    assert server.requests == []


def test_spending_never_passes_the_cap_with_fees(make: Make) -> None:
    """After the first call there is room for the worst case of another, but for its fee."""
    worst_usd = Decimal("0.0518")  # some 400 bytes and tokens at the fee, beside what is stated
    cap_usd = worst_usd + WEAK_USD + FEE_USD / 2
    with RouterServer() as server:
        finished = make(server, FEES, max_cost_usd=cap_usd, concurrency=3)
    assert finished.cap is not None
    assert finished.summary.billed_cost_usd == WEAK_USD + FEE_USD
    assert len(server.requests) == 1
    with RouterServer() as server:
        rest = make(server, FEES, max_cost_usd=Decimal(1), concurrency=3, out="run")
    assert rest.cap is None
    assert rest.summary.list_cost_usd == 2 * WEAK_USD + STRONG_USD + 3 * FEE_USD
    assert rest.summary.billed_cost_usd == rest.summary.list_cost_usd


def test_many_at_once_do_not_wait_for_each_other_for_good(make: Make) -> None:
    with RouterServer() as server:
        finished = make(server, FEES, max_cost_usd=Decimal("0.14"), concurrency=8)
    assert finished.cap is None
    assert len(server.requests) == 3


def test_every_attempt_is_on_the_ledger_and_no_key_in_any_file(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_ROUTER_KEY", "sk-test-51Hx9QpZr8")
    with RouterServer(faults=[500, 200, 401]) as server:
        finished = make(server, FEES, model='key_env = "A_ROUTER_KEY"', concurrency=1)
    assert server.requests[0]["headers"]["Authorization"] == "Bearer sk-test-51Hx9QpZr8"
    assert finished.summary.attempts == len(server.requests) == 4
    assert sorted(record.verdict for record in episodes_of(finished).values()) == [
        "correct",
        "error",
        "wrong",
    ]
    # A call without a reply has no fee.
    assert the_row(finished).fees_usd == 2 * FEE_USD
    for path in finished.directory.iterdir():
        assert b"51Hx9QpZr8" not in path.read_bytes(), path


def test_a_missing_key_is_found_before_anything_is_sent(make: Make) -> None:
    with RouterServer() as server, pytest.raises(ConfigError, match="NO_SUCH_KEY"):
        make(server, model='key_env = "NO_SUCH_KEY"')
    assert server.requests == []


def test_a_fee_that_a_kill_left_out_is_booked_by_the_resume(make: Make) -> None:
    """The reply and its line are there, the fee's line and the episode are not."""
    with RouterServer() as server:
        finished = make(server, FEES)
        ledger_path = finished.directory / "ledger.jsonl"
        kept = [line for line in ledger_path.read_text().splitlines() if '"fee"' not in line]
        ledger_path.write_text("".join(f"{line}\n" for line in kept))
        (finished.directory / "episodes.jsonl").write_text("")
        resumed = make(server, FEES)
        assert len(server.requests) == 3
    assert resumed.summary.billed_cost_usd == 2 * WEAK_USD + STRONG_USD + 3 * FEE_USD
    assert resumed.summary.billed_cost_usd == resumed.summary.list_cost_usd


def test_two_servers_that_are_asked_for_one_model_share_no_reply(
    make: Make, tmp_path: Path
) -> None:
    store = tmp_path / "store.sqlite"
    with RouterServer() as first, RouterServer(answers="13") as second:
        make(first, recordings=store)
        same = make(second, out="same", recordings=store)
        assert second.requests == []  # the very same name: the very same system
        other = make(second, name="other", out="other", recordings=store)
        assert len(second.requests) == 3
    assert the_row(same).accuracy == pytest.approx(2 / 3)
    assert the_row(other).accuracy == pytest.approx(1 / 3)
