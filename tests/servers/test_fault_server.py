"""The fault server's own books, on which other tests rely."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from decimal import Decimal
from pathlib import Path

import pytest

from servers import fault_server
from servers.fault_server import Answer, Arrival, FaultServer, Question, mix


def test_a_mix_depends_on_the_question_and_its_repetition_alone() -> None:
    schedule = mix("429:0.1=0.2,cut=0.1,seed=3")
    arrivals = [Arrival(n, f"digest {n % 500}", n // 500, {}) for n in range(2000)]
    faults = [schedule(a) for a in arrivals]
    assert faults.count("429:0.1") in range(330, 470)
    assert faults.count("cut") in range(140, 260)
    moved = [Arrival(0, a.digest, a.repeat, {"other": 1}) for a in arrivals]
    assert [schedule(a) for a in moved] == faults
    assert [mix("429:0.1=0.2,cut=0.1,seed=4")(a) for a in arrivals] != faults
    assert mix("")(arrivals[0]) == "ok"
    with pytest.raises(ValueError, match="unknown fault 'typo'"):
        mix("typo=1")


@pytest.mark.parametrize("anthropic", [False, True])
def test_the_bill_is_simple_arithmetic(anthropic: bool) -> None:
    server = FaultServer(answer=lambda _: Answer("x" * 40, reasoning_tokens=100, cached_tokens=3))
    body = {"model": "m", "messages": [{"role": "user", "content": "y" * 24}], "max_tokens": 500}
    _, bill_usd = server._complete(body, anthropic=anthropic)
    # 10 tokens in, 3 of them cached; 110 out; at 2, 0.5 and 8 dollars a million.
    assert bill_usd == Decimal("0.0008955")


def test_the_same_question_has_the_same_answer() -> None:
    def answer(seed: int | None) -> str:
        return fault_server.echo(Question("m", [{"role": "user", "content": "Hi"}], seed))

    assert answer(1) == answer(1)
    assert len({answer(seed) for seed in range(20)}) > 10


def test_it_runs_as_a_process_and_logs_before_it_answers(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    process = subprocess.Popen(
        [sys.executable, fault_server.__file__, "--log", str(log), "--mix", "500=1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout
    base_url = process.stdout.readline().strip()
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    request = urllib.request.Request(
        f"{base_url}/chat/completions", json.dumps(body).encode(), {"Authorization": "Bearer k"}
    )
    for _ in range(2):
        with pytest.raises(urllib.error.HTTPError, match="500"):
            urllib.request.urlopen(request, timeout=10)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["number"], line["repeat"]) for line in lines] == [(0, 0), (1, 1)]
    assert {line["fault"] for line in lines} == {"500"}
    assert {line["bill_usd"] for line in lines} == {"0"}
    assert "Bearer" not in log.read_text()
    process.stdin.close()
    assert process.wait(timeout=10) == 0
    process.stdout.close()
