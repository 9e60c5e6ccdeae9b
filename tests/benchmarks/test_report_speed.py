"""What the report of a large run costs, beside parsing the run's own file as JSON."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from corl_bench.report.html import write_report
from report.sample_run import sample_run


@pytest.mark.benchmark(timer=time.process_time)
def test_ten_thousand_episodes(benchmark: Any, capsys: Any, tmp_path: Path) -> None:
    run = sample_run(problems=800, restricted=False)
    run.write(tmp_path)
    report = benchmark.pedantic(write_report, args=(tmp_path,), rounds=2, warmup_rounds=1)
    size_mb = report.stat().st_size / 1e6
    lines = (tmp_path / "episodes.jsonl").read_text().split("\n")[:-1]
    assert len(lines) >= 10_000
    if benchmark.stats is None:
        return
    started_s = time.process_time()
    for line in lines:
        json.loads(line)
    json_s = time.process_time() - started_s
    ours_s = benchmark.stats.stats.median
    benchmark.extra_info |= {"cpu_s": round(ours_s, 3), "ratio": round(ours_s / json_s, 1)}
    with capsys.disabled():
        print(
            f"\nreport of {len(lines):,} episodes: {ours_s:.2f} s CPU, {size_mb:.1f} MB,"
            f" {ours_s / json_s:.1f} times parsing the episodes"
        )
