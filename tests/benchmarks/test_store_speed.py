"""What storing and finding a call costs, beside deflating and inflating its texts."""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.workloads import aime
from corl_bench.experts.base import Reply
from corl_bench.experts.recording import Attempt, RecordedCall, problem_key
from corl_bench.experts.store import RecordingStore
from corl_bench.types import Usage

CALLS = 1_000
STATEMENT = "Find the number of ordered pairs of integers with x^2 + y^2 <= 50. " * 8


def calls(seed: int) -> list[RecordedCall]:
    said = [response for part in range(CALLS // 200) for _, response, _ in aime(10 * seed + part)]
    usage = Usage(150, output_tokens=120)
    return [
        RecordedCall(
            request_key=hashlib.sha256(f"{seed}/{number}".encode()).hexdigest(),
            sample=0,
            occurrence=0,
            expert="e",
            model="m",
            problem_key=problem_key(STATEMENT),
            attempts=(Attempt("ok", usage, latency_s=1.25),),
            reply=Reply(text * 4, usage, model="m", latency_s=1.25),
            run_id="r",
            request=f"{number}: {STATEMENT}",
        )
        for number, text in enumerate(said)
    ]


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with RecordingStore.open(tmp_path / "recordings.sqlite") as opened:
        yield opened


@pytest.mark.benchmark(timer=time.process_time)
def test_adding(benchmark: Any, capsys: Any, store: RecordingStore) -> None:
    seeds = iter(range(10))

    def fresh() -> tuple[tuple[list[RecordedCall]], dict[str, Any]]:
        return (calls(next(seeds)),), {}

    def add(made: list[RecordedCall]) -> None:
        assert sum(map(store.add, made)) == CALLS

    benchmark.pedantic(add, setup=fresh, rounds=3, warmup_rounds=1)
    texts = [text.encode() for call in calls(99) for text in _texts(call)]
    tell(benchmark, capsys, "storing", lambda: [zlib.compress(text, 1) for text in texts])


@pytest.mark.benchmark(timer=time.process_time)
def test_finding(benchmark: Any, capsys: Any, store: RecordingStore) -> None:
    made = calls(0)
    for call in made:
        store.add(call)

    def find() -> None:
        assert all(store.find(call.request_key, 0, 0) for call in made)

    benchmark.pedantic(find, rounds=3, warmup_rounds=1)
    packed = [zlib.compress(text.encode(), 1) for call in made for text in _texts(call)]
    tell(benchmark, capsys, "finding", lambda: [zlib.decompress(text) for text in packed])
    assert store.find(made[5].request_key, 0, 0) == made[5]


def _texts(call: RecordedCall) -> tuple[str, str]:
    assert call.reply is not None
    return call.reply.text, call.request


def tell(benchmark: Any, capsys: Any, what: str, zlib_alone: Callable[[], object]) -> None:
    """Prints what a call costs and its ratio to zlib's own way with the same texts."""
    if benchmark.stats is None:
        return
    started_s = time.process_time()
    zlib_alone()
    zlib_s = time.process_time() - started_s
    ours_s = benchmark.stats.stats.median
    call_us = 1e6 * ours_s / CALLS
    benchmark.extra_info |= {"us": round(call_us, 1), "ratio": round(ours_s / zlib_s, 2)}
    with capsys.disabled():
        print(f"\n{what} a call: {call_us:.0f} µs CPU, {ours_s / zlib_s:.1f} times zlib's alone")
