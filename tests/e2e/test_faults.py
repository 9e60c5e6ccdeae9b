"""A provider that fails in every way: each case ends in a verdict and a ledger line."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from servers.fault_server import FaultServer

FAULTS = (
    *("429:0.3", "500", "503", "529", "slow:9", "cut", "malformed", "no_usage", "bad_usage"),
    *("wrong_model", "bad_utf8", "error_in_body", "redirect", "401", "404", "refuse"),
)
PASSING = ("429:0.3", "500", "503", "529", "slow:9", "cut", "malformed", "bad_utf8", "refuse")
"""Faults after which another attempt can help."""
MAYBE_BILLED = ("slow:9", "cut", "malformed", "bad_utf8")
PROVIDERS = ("openai", "anthropic")


def _pool(provider: str, url: str, **settings: Any) -> str:
    lines = [
        "[experts.a]",
        f'provider = "{provider}"',
        'model = "gpt-4.1"',
        f'base_url = "{url}"',
        "max_output_tokens = 200",
        "timeout_s = 1.0",
        "max_attempts = 3",
        'price = { input_usd_per_mtok = "2", cached_input_usd_per_mtok = "0.5",'
        ' output_usd_per_mtok = "8", effective_from = 2026-01-01, source = "test" }',
    ]
    lines += [f"{name} = {value}" for name, value in settings.items()]
    return "\n".join(lines) + "\n"


def _problems(count: int) -> str:
    rows = (
        {"id": str(n), "problem": f"Problem {n}: what is {n} + {n}?", "answer": str(2 * n)}
        for n in range(count)
    )
    return "".join(json.dumps(row) + "\n" for row in rows)


async def _score(corl: Any, *arguments: str, codes: tuple[int, ...] = (0, 4)) -> int:
    process = await asyncio.to_thread(corl.start, *arguments, stdout=-3, stderr=-1)
    _, error = await asyncio.to_thread(process.communicate)
    assert process.returncode in codes, error
    return int(process.returncode)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_every_fault_has_a_verdict_and_its_attempts_are_counted(
    corl: Any,
    money: Callable[[Path], dict[str, Decimal]],
    tmp_path: Path,
    provider: str,
) -> None:
    """Problem n meets fault n at its first asking and, for odd n, at every other one too."""

    def schedule(arrival: Any) -> str:
        text = arrival.body["messages"][-1]["content"]
        number = int(text.split("Problem ")[1].split(":")[0])
        again = arrival.repeat == 0 or number >= len(FAULTS)
        return FAULTS[number % len(FAULTS)] if again else "ok"

    def answer(question: Any) -> str:
        number = int(question.messages[-1]["content"].split("Problem ")[1].split(":")[0])
        return f"Doubling gives \\boxed{{{2 * number}}}."

    (tmp_path / "problems.jsonl").write_text(_problems(2 * len(FAULTS)))
    async with FaultServer(schedule, answer) as server:
        url = server.base_url if provider == "openai" else server.anthropic_url
        (tmp_path / "pool.toml").write_text(_pool(provider, url))
        code = await _score(
            corl,
            *("run", "--task", "problems.jsonl", "--pool", "pool.toml", "--out", "run"),
            *("--system", "single:a", "--quiet"),
        )
        requests, bill = list(server.requests), server.bill_usd
    assert code == 4

    run_dir = tmp_path / "run"
    ledger = _rows(run_dir / "ledger.jsonl")
    episodes = {int(row["problem_id"]): row for row in _rows(run_dir / "episodes.jsonl")}
    assert sorted(episodes) == list(range(2 * len(FAULTS)))
    assert len(ledger) == len(requests)
    sums = money(run_dir)
    assert sums["billed_cost_usd"] <= bill <= sums["billed_cost_usd"] + sums["unsettled_usd"]

    for number, fault in enumerate(FAULTS):
        once, always = episodes[number], episodes[number + len(FAULTS)]
        assert always["verdict"] == "error", fault
        assert always["detail"], fault
        if fault in PASSING:
            assert once["verdict"] == "correct", (fault, once["detail"])
            assert once["calls"][0]["attempts"] == 2
        if fault in MAYBE_BILLED:
            # What may have been billed is repeated once and no more, and stays open.
            problem = always["problem_id"]
            made = [line for line in ledger if line["call"].split("|")[1] == problem]
            assert len(made) == 2, fault
            assert not any(line["settled"] for line in made), fault


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_no_request_comes_before_its_time(corl: Any, tmp_path: Path) -> None:
    """Ten per cent of 429s with Retry-After, 32 in flight: nothing lost, nobody early."""
    closed_until = 0.0
    early: list[float] = []

    def schedule(arrival: Any) -> str:
        nonlocal closed_until
        now = time.monotonic()
        # Requests that were on the wire when the gate closed are not early; one network
        # round trip on loopback and a busy machine are allowed for.
        if now < closed_until - 0.5 and now > closed_until - 0.75:
            early.append(closed_until - now)
        if arrival.number % 10 == 9:
            closed_until = now + 1.0
            return "429:1"
        return "ok"

    (tmp_path / "problems.jsonl").write_text(_problems(60))
    async with FaultServer(schedule, lambda question: "\\boxed{1}") as server:
        (tmp_path / "pool.toml").write_text(_pool("openai", server.base_url, max_concurrency=32))
        code = await _score(
            corl,
            *("run", "--task", "problems.jsonl", "--pool", "pool.toml", "--out", "run"),
            *("--system", "single:a", "--quiet"),
            codes=(0,),
        )
    assert code == 0
    assert early == []
    rows = _rows(tmp_path / "run" / "episodes.jsonl")
    assert len(rows) == 60
    assert all(row["calls"][0]["status"] == "ok" for row in rows)


async def test_a_reply_without_usage_is_estimated_where_that_is_declared(
    corl: Any, tmp_path: Path
) -> None:
    (tmp_path / "problems.jsonl").write_text(_problems(2))
    async with FaultServer(lambda _: "no_usage", lambda _: "\\boxed{2}") as server:
        (tmp_path / "pool.toml").write_text(_pool("openai", server.base_url, usage='"estimate"'))
        await _score(
            corl,
            *("run", "--task", "problems.jsonl", "--pool", "pool.toml", "--out", "run"),
            *("--system", "single:a", "--quiet"),
            codes=(0,),
        )
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["rows"][0]["estimated_calls"] == 2
    assert Decimal(summary["totals"]["billed_cost_usd"]) > 0
