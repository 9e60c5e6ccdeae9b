"""A provider that fails in every way: each case ends in a verdict and a ledger line."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from servers.fault_server import FaultServer, mix

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
    """Two 429s with Retry-After, 32 requests in flight: nothing lost, nobody early."""
    problems, retry_after_s, latency_s, grace_s = 200, 1.0, 0.1, 0.25
    closed: list[tuple[float, float]] = []
    arrived: list[float] = []

    def schedule(arrival: Any) -> str:
        now = time.monotonic()
        arrived.append(now)
        if arrival.number in (40, 120):
            # The 429 is written after the latency; what the client sent before it has read it
            # may still arrive.
            written = now + latency_s
            closed.append((written + grace_s, written + retry_after_s))
            return f"429:{retry_after_s:g}"
        return "ok"

    (tmp_path / "problems.jsonl").write_text(_problems(problems))
    answer = "\\boxed{1}"
    async with FaultServer(schedule, lambda _: answer, latency_s=latency_s) as server:
        (tmp_path / "pool.toml").write_text(_pool("openai", server.base_url, max_concurrency=32))
        await _score(
            corl,
            *("run", "--task", "problems.jsonl", "--pool", "pool.toml", "--out", "run"),
            *("--system", "single:a", "--quiet"),
            codes=(0,),
        )
    assert len(closed) == 2
    early = [now - start for start, end in closed for now in arrived if start < now < end]
    assert early == []
    # There was something to hold back each time.
    assert all(sum(now > end for now in arrived) > 32 for _, end in closed)
    rows = _rows(tmp_path / "run" / "episodes.jsonl")
    assert len(rows) == problems
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


async def test_kills_among_failures_leave_ledger_and_episodes_in_agreement(
    corl: Any, money: Callable[[Path], dict[str, Decimal]], tmp_path: Path
) -> None:
    """Systems share replies; one whose own attempts failed before the kill still books one."""
    moments = random.Random(3)
    (tmp_path / "problems.jsonl").write_text(_problems(30))
    async with FaultServer(mix("500=0.35,seed=4"), latency_s=0.02) as server:
        second = _pool("openai", server.base_url).replace("[experts.a]", "[experts.b]")
        second = second.replace('model = "gpt-4.1"', 'model = "gpt-4.1"\ntemperature = 0.5')
        (tmp_path / "pool.toml").write_text(
            _pool("openai", server.base_url).replace("max_attempts = 3", "max_attempts = 9")
            + second
        )
        run = ("run", "--task", "problems.jsonl", "--pool", "pool.toml", "--out", "run", "--quiet")
        run = (*run, "--concurrency", "8", "--system", "single:*", "--system", "vote:a,b")
        killed = 0
        for _ in range(4):
            process = corl.start(*run, stdout=-3, stderr=-3)
            await asyncio.sleep(moments.uniform(0.8, 1.6))
            killed += process.poll() is None
            process.kill()
            await asyncio.to_thread(process.wait)
        await _score(corl, *run)
        bill = server.bill_usd
    sums = money(tmp_path / "run")
    episodes = _rows(tmp_path / "run" / "episodes.jsonl")
    assert killed
    assert len(episodes) == 90
    assert sum(Decimal(row["list_cost_usd"]) for row in episodes) == sums["list_cost_usd"]
    assert sums["billed_cost_usd"] <= bill <= sums["billed_cost_usd"] + sums["unsettled_usd"]
