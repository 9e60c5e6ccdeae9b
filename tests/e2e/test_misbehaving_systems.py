"""Routing systems that do what they should not: a bad episode is data, and money is booked."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

SYSTEMS = '''
import asyncio, sys


class Base:
    reads_budget = False
    is_oracle = False

    @property
    def name(self):
        return type(self).__name__


class Cancels(Base):
    async def solve(self, problem, budget, episode):
        task = asyncio.create_task(asyncio.sleep(9))
        task.cancel()
        await task


class Leaves(Base):
    async def solve(self, problem, budget, episode):
        sys.exit(0)


class Breaks(Base):
    async def solve(self, problem, budget, episode):
        class Odd(BaseException):
            pass
        raise Odd("out")


class Unlimited(Base):
    async def solve(self, problem, budget, episode):
        return (await episode.call("large", max_output_tokens=0)).text


class OwnLimit(Base):
    async def solve(self, problem, budget, episode):
        return (await episode.call("large", max_output_tokens=None)).text


class Swallows(Base):
    async def solve(self, problem, budget, episode):
        while True:
            try:
                await episode.call("reasoner", problem + " again")
            except Exception:
                pass


class Wanders(Base):
    """Answers at once and goes on asking behind the bench's back."""

    async def solve(self, problem, budget, episode):
        async def more():
            for n in range(4):
                await episode.call("nano", f"{problem} {n}")
        self.task = asyncio.create_task(more())
        await asyncio.sleep(0)
        return "42"


class Chains(Base):
    """Three conversations at the same time, two rounds each."""

    async def solve(self, problem, budget, episode):
        async def chain(expert):
            first = await episode.call(expert)
            return await episode.call(expert, f"{problem} Check: {first.text}")
        replies = await asyncio.gather(*map(chain, ("nano", "mini", "large")))
        return replies[0].text


class Fails(Base):
    async def solve(self, problem, budget, episode):
        await episode.call("nano")
        await episode.call("mini")
        raise RuntimeError("after two good calls")
'''


@pytest.fixture
def run(corl: Any, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    (tmp_path / "bad.py").write_text(SYSTEMS)

    def running(system: str, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        corl(
            *("run", "--limit", "6", "--system", f"python:bad:{system}", "--out", "run"),
            *("--quiet", *arguments),
            code=code,
        )
        return [json.loads(line) for line in (tmp_path / "run" / "episodes.jsonl").open()]

    return running


def episodes_usd(rows: list[dict[str, Any]]) -> Decimal:
    last = {row["problem_id"]: row for row in rows}
    return sum((Decimal(row["list_cost_usd"]) for row in last.values()), Decimal(0))


@pytest.mark.parametrize(
    ("system", "said"),
    [
        ("Cancels", "cancelled itself"),
        ("Leaves", "SystemExit"),
        ("Breaks", "Odd: out"),
        ("Unlimited", "max_output_tokens=0"),
    ],
)
def test_leaving_is_an_error_of_the_episode(
    run: Callable[..., Any], system: str, said: str
) -> None:
    rows = run(system, code=4)
    assert len(rows) == 6
    assert {row["verdict"] for row in rows} == {"error"}
    assert all(said in row["detail"] for row in rows)


def test_no_system_gets_around_the_cap(
    run: Callable[..., Any], money: Callable[[Path], dict[str, Decimal]], tmp_path: Path
) -> None:
    run("OwnLimit", "--max-cost", "0.02", "--concurrency", "1", code=3)
    assert Decimal(0) < money(tmp_path / "run")["billed_cost_usd"] <= Decimal("0.02")


def test_a_system_that_swallows_the_cap_is_let_go(
    run: Callable[..., Any], money: Callable[[Path], dict[str, Decimal]], tmp_path: Path
) -> None:
    assert run("Swallows", "--max-cost", "0.5", code=3) == []
    assert money(tmp_path / "run")["billed_cost_usd"] <= Decimal("0.5")


def test_calls_behind_the_benchs_back_are_on_the_bill(
    run: Callable[..., Any], money: Callable[[Path], dict[str, Decimal]], tmp_path: Path
) -> None:
    rows = run("Wanders")
    assert {len(row["calls"]) for row in rows} == {4}
    assert episodes_usd(rows) == money(tmp_path / "run")["list_cost_usd"]


def test_errors_that_are_retried_are_not_paid_or_booked_twice(
    run: Callable[..., Any], money: Callable[[Path], dict[str, Decimal]], tmp_path: Path
) -> None:
    rows = run("Fails", code=4)
    before = money(tmp_path / "run")
    rows = run("Fails", "--retry-errors", code=4)
    assert len(rows) == 12
    assert money(tmp_path / "run") == before
    assert episodes_usd(rows) == before["list_cost_usd"]


def test_conversations_side_by_side_survive_a_kill_with_the_right_bill(
    corl: Any,
    serve: Callable[..., Any],
    canonical: Callable[[Path], list[str]],
    money: Callable[[Path], dict[str, Decimal]],
    tmp_path: Path,
) -> None:
    (tmp_path / "bad.py").write_text(SYSTEMS)
    with serve("--task", "synth", "--latency", "0.02") as served:
        run = ("run", "--limit", "6", "--system", "python:bad:Chains", "--quiet")
        run = (*run, "--pool", served.pool, "--concurrency", "3")
        corl(*run, "--out", "whole")
        made = tmp_path / "run" / "ledger.jsonl"
        process = corl.start_and_wait(made, *run, "--out", "run", stdout=-3, stderr=-3)
        while made.read_text().count("\n") < 7:
            assert process.poll() is None
        process.kill()
        process.wait()
        corl(*run, "--out", "run")

    def costs(name: str) -> dict[str, Any]:
        rows = [json.loads(line) for line in (tmp_path / name / "episodes.jsonl").open()]
        return {
            row["problem_id"]: (row["list_cost_usd"], sorted(c["id"] for c in row["calls"]))
            for row in rows
        }

    assert costs("run") == costs("whole")
    total = sum((Decimal(cost) for cost, _ in costs("run").values()), Decimal(0))
    assert money(tmp_path / "run")["list_cost_usd"] == total
