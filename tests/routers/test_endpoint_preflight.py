"""What shows that a router behind an address is at work, and what that costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from corl_bench.money.ledger import read_ledger
from corl_bench.results.preflight import read_findings
from corl_bench.routers.endpoint_preflight import PROMPTS, PreflightError
from corl_bench.runs.run import Finished
from servers.endpoint_run import PROBLEMS, STRONG_USD, WEAK_USD, run_endpoint
from servers.router_server import STRONG, USAGE, WEAK, RouterServer, at_random

Make = Callable[..., Finished]
PAIR = '[preflight]\neasy = "What is 1 + 1?"\nhard = "Prove it."'
ASKED = 3 * len(PROMPTS)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return partial(run_endpoint, tmp_path, skip_preflight=False)


def hidden(model: str, request: object) -> dict[str, Any]:
    """A server that does not say who answers."""
    return {"model": "auto", "usage": USAGE}


def probes(server: RouterServer) -> list[dict[str, Any]]:
    """Requests before the first of an episode."""
    texts = [text for text, _ in PROBLEMS]
    return [seen for seen in server.requests if not any(t in seen["prompt"] for t in texts)]


def test_a_router_at_work_passes_and_the_run_says_what_that_shows(make: Make) -> None:
    with RouterServer() as server:
        finished = make(server, PAIR)
    asked = probes(server)
    assert asked == server.requests[: ASKED + 2]
    assert {seen["body"]["max_tokens"] for seen in asked} == {64}
    notes = " ".join(finished.summary.notes)
    assert "the easy question went to weak-1, the hard one to strong-9" in notes
    assert "chance of 0.39%" in notes
    spent = [line for line in read_ledger(finished.directory) if line.call.startswith("preflight|")]
    assert len(spent) == ASKED + 2
    cost = sum((line.list_cost_usd for line in spent), Decimal(0))
    assert cost == (ASKED + 1) * WEAK_USD + STRONG_USD
    (row,) = finished.summary.rows
    assert row.total_cost_usd + cost == finished.summary.list_cost_usd
    assert "is not that of the episodes" not in notes
    assert f"preflights cost ${cost}" in notes


def test_a_coin_is_found_out_before_the_first_episode(make: Make, tmp_path: Path) -> None:
    with (
        RouterServer(routes=at_random) as server,
        pytest.raises(PreflightError, match=r"endpoint:mine: the same question.*picks at random"),
    ):
        make(server)
    assert server.requests == probes(server)
    assert (tmp_path / "run" / "episodes.jsonl").read_text() == ""
    assert not (tmp_path / "run" / "preflight.json").exists()
    # What it cost to find out is on the ledger all the same.
    assert len(list(read_ledger(tmp_path / "run"))) == len(server.requests)


def test_a_constant_fallback_fails_the_pair_alone(make: Make) -> None:
    with RouterServer(routes=lambda prompt: STRONG) as server:
        with pytest.raises(PreflightError, match="both answered by strong-9"):
            make(server, PAIR)
        finished = make(server)
    assert "as a constant fallback would send them" in " ".join(finished.summary.notes)


def test_a_server_that_hides_who_answers_needs_its_health_page(make: Make) -> None:
    health = '[preflight]\nhealth_url = "/health"\nhealth_expects = "\\"loaded\\": true"'
    with RouterServer(hidden) as server:
        with pytest.raises(PreflightError, match="does not say which model answers"):
            make(server)
        with pytest.raises(PreflightError, match="easy and the hard question"):
            make(server, PAIR)
        finished = make(server, health)
    assert "its health page says" in " ".join(finished.summary.notes)


@pytest.mark.parametrize(
    ("expects", "path", "message"),
    [
        ("loaded: false", "/health", "does not contain"),
        ("mf", "/nowhere", "answers with status 404"),
    ],
)
def test_a_health_page_that_says_something_else(
    make: Make, expects: str, path: str, message: str
) -> None:
    table = f'[preflight]\nhealth_url = "{path}"\nhealth_expects = "{expects}"'
    with RouterServer() as server, pytest.raises(PreflightError, match=message):
        make(server, table)
    assert server.requests == []


def test_a_health_page_on_a_dead_port(make: Make) -> None:
    table = '[preflight]\nhealth_url = "http://127.0.0.1:9/health"'
    with RouterServer() as server, pytest.raises(PreflightError, match="cannot reach"):
        make(server, table)
    assert server.requests == []


def test_a_server_that_refuses_the_probes(make: Make) -> None:
    with (
        RouterServer(faults=[401]) as server,
        pytest.raises(PreflightError, match=r"a probe failed \(auth"),
    ):
        make(server)
    assert len(server.requests) == 1


def test_a_router_that_is_meant_to_vary_may_say_so(make: Make) -> None:
    with RouterServer(routes=at_random) as server:
        finished = make(server, "[preflight]\nrepeats = 1")
    assert len(probes(server)) == len(PROMPTS)
    assert "coin" not in " ".join(finished.summary.notes)


def test_it_can_be_skipped_and_the_run_says_so(make: Make) -> None:
    with RouterServer(routes=at_random) as server:
        finished = make(server, skip_preflight=True)
    assert probes(server) == []
    assert finished.summary.notes == (
        "endpoint:mine: no preflight: nothing shows that its router was at work",
    )


def test_who_owes_nothing_is_asked_nothing_and_keeps_what_was_found(make: Make) -> None:
    with RouterServer() as server:
        first = make(server)
        asked = len(server.requests)
        again = make(server)
        assert len(server.requests) == asked
    assert again.summary.notes == first.summary.notes
    assert list(read_findings(again.directory)) == ["endpoint:mine"]


def test_each_resume_asks_anew(make: Make) -> None:
    """The server may have been started again without its weights."""
    with RouterServer() as server:
        first = make(server)
        episodes = first.directory / "episodes.jsonl"
        kept = episodes.read_text().splitlines()[:2]
        episodes.write_text("".join(f"{line}\n" for line in kept))
        asked = len(server.requests)
        again = make(server)
        assert len(server.requests) == asked + ASKED  # the episode's own reply is stored
    assert again.summary.finished
    calls = {line.call for line in read_ledger(again.directory)}
    assert len({call.partition("#")[0] for call in calls if call.startswith("preflight|")}) == 2


def test_a_replay_sends_nothing(make: Make) -> None:
    with RouterServer() as server:
        first = make(server)
        asked = len(server.requests)
        store = first.directory / "recordings.sqlite"
        again = make(server, out="replayed", mode="replay", recordings=store)
        assert len(server.requests) == asked
    assert again.summary.notes == ()


def test_the_cap_holds_for_probes(make: Make) -> None:
    with RouterServer() as server:
        finished = make(server, '[cost]\nworst_case_usd = "0.05"', max_cost_usd=Decimal("0.06"))
    assert finished.cap is not None
    assert finished.exit_code == 3
    assert finished.summary.billed_cost_usd <= Decimal("0.06")
    assert finished.summary.rows == ()
    assert WEAK in json.dumps([seen["model"] for seen in server.requests])
