"""What grading costs, beside Math-Verify on the same rows in the same run."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.cpu import cpu_s
from benchmarks.workloads import ROWS, WORKLOADS, Row
from corl_bench.grading import is_correct

Check = Callable[[str, str], bool]

ROUNDS = 5

# Both checkers are in the main thread here: Math-Verify cannot work in another, and takes
# SIGALRM for itself.
pytestmark = pytest.mark.timeout(func_only=True, method="thread")


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.benchmark(timer=cpu_s)
def test_corl_bench(benchmark: Any, workload: str) -> None:
    measure(benchmark, workload, "corl_bench", is_correct)


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.benchmark(timer=cpu_s)
def test_math_verify(benchmark: Any, workload: str) -> None:
    pytest.importorskip("math_verify", reason="needs pip install 'corl-bench[bench]'")
    baseline = importlib.import_module("benchmarks.math_verify_baseline")
    measure(benchmark, workload, "math_verify", baseline.is_correct)


def measure(benchmark: Any, workload: str, checker: str, check: Check) -> None:
    """Rounds of rows that neither has met before; round 0 warms up."""
    benchmark.group = workload
    rounds = iter(range(ROUNDS + 1))
    mistakes: list[Row] = []

    def fresh_rows() -> tuple[tuple[list[Row]], dict[str, Any]]:
        return (WORKLOADS[workload](next(rounds)),), {}

    def check_all(rows: list[Row]) -> None:
        found = [check(gold, response) for gold, response, _ in rows]
        mistakes.extend(row for row, verdict in zip(rows, found, strict=True) if verdict != row[2])

    benchmark.pedantic(check_all, setup=fresh_rows, rounds=ROUNDS, iterations=1, warmup_rounds=1)
    benchmark.extra_info |= {
        "checker": checker,
        "rows": ROWS * (ROUNDS + 1),
        "mistakes": len(mistakes),
        "ms": 1000 * benchmark.stats.stats.median / ROWS if benchmark.stats else 0.0,
    }
    if check is is_correct:
        assert mistakes == []
