"""Ctrl-C twice: what was on the wire is dropped, and stands as dropped."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from reliability.runs import environment, pool_toml, problems
from servers.fault_server import FaultServer

COMMAND = [sys.executable, "-m", "corl_bench.cli.main"]
WAITS_S = (0.6, 0.9, 1.2, 1.5)
"""Of calls that wait for another try: some end by themselves while the others are let go."""


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_what_a_second_interrupt_drops_is_interrupted_and_no_failure(
    tmp_path: Path, provider: str
) -> None:
    def waits(arrival: Any) -> str:
        number = int(arrival.body["messages"][-1]["content"].split()[2])
        return "ok" if arrival.repeat else f"503:{WAITS_S[number]}"

    def place(server: FaultServer) -> str:
        return server.base_url if provider == "openai" else server.anthropic_url

    (tmp_path / "problems.jsonl").write_text(problems(len(WAITS_S)))
    async with FaultServer(latency_s=60.0) as silent, FaultServer(waits) as failing:
        pool = pool_toml(place(silent), provider=provider, timeout_s=60.0)
        pool += pool_toml(place(failing), provider=provider, name="b", model="gpt-4.1-mini")
        (tmp_path / "pool.toml").write_text(pool)
        command = [*COMMAND, "run", "--task", "problems.jsonl", "--pool", "pool.toml"]
        command += ["--out", "run", "--system", "single:*"]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment(), stdout=-3, stderr=subprocess.PIPE, text=True
        )
        while len(silent.requests) + len(failing.requests) < 2 * len(WAITS_S):
            assert process.poll() is None
            await asyncio.sleep(0.01)
        assert process.stderr is not None
        process.send_signal(signal.SIGINT)
        said = ""
        while "Ctrl-C again drops them" not in said:
            said += await asyncio.to_thread(process.stderr.readline)
        process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(process.wait, 30) == 130
        process.stderr.close()
        silent._latency_s = 0.0

        ledger = rows(tmp_path / "run" / "ledger.jsonl")
        dropped = [line["status"] for line in ledger if not line["settled"]]
        assert dropped == ["interrupted"] * len(WAITS_S)
        # None of them counts as a try of its call, which is answered now.
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=tmp_path, env=environment(), capture_output=True
        )
        assert done.returncode == 0, done.stderr
        bill_usd = silent.bill_usd + failing.bill_usd
    episodes = rows(tmp_path / "run" / "episodes.jsonl")
    attempts = {row["system"]: {call["attempts"] for call in row["calls"]} for row in episodes}
    assert attempts == {"single:a": {1}, "single:b": {2}}
    ledger = rows(tmp_path / "run" / "ledger.jsonl")
    billed_usd = sum(Decimal(line["billed_cost_usd"]) for line in ledger)
    unsettled_usd = sum(Decimal(line.get("unsettled_usd", "0")) for line in ledger)
    assert billed_usd < bill_usd <= billed_usd + unsettled_usd
