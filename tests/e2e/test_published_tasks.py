"""Published tasks with the simulated pool behind HTTP, through the real client."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corl_bench.report.drilldown import embeddable

TASKS = {"math500": 60, "amc23": 40, "aime24": 30, "aime25": 30, "gsm8k": 60}


def test_published_tasks_over_http_equal_those_in_process(
    corl: Any, serve: Callable[..., Any], shared_dir: Path, canonical: Any, tmp_path: Path
) -> None:
    data = shared_dir / "datasets"
    names = [argument for task in TASKS for argument in ("--task", task)]
    common = ("run", *names, "--data-dir", data, "--limit", "60", "--quiet")
    with serve(*names, "--data-dir", data) as served:
        corl(*common, "--pool", served.pool, "--out", "served")
        asked = len(served.requests())
    summary = json.loads((tmp_path / "served" / "summary.json").read_text())
    assert {row["task"]: row["problems"] for row in summary["rows"]} == TASKS
    assert summary["simulated"] is True
    assert asked == 5 * sum(TASKS.values())  # five experts, replies shared by all systems

    corl(*common, "--pool", "sim", "--out", "direct")
    assert verdicts(tmp_path / "served") == verdicts(tmp_path / "direct")

    # Statements that may not be passed on are not in the report.
    report = (tmp_path / "served" / "report.html").read_text()
    rows = [json.loads(line) for line in (tmp_path / "served" / "problems.jsonl").open()]
    hidden = [row["problem"] for row in rows if row["task"] in ("amc23", "aime24", "aime25")]
    assert len(hidden) == 100
    shown = [row["problem"] for row in rows if row["task"] in ("math500", "gsm8k")]
    assert not [text for text in hidden if _beginning(text) in report]
    # Those that may be passed on are, in these very characters.
    assert all(_beginning(text) in report for text in shown)


def _beginning(statement: str) -> str:
    """What the first sentence of a statement looks like inside the report."""
    return embeddable(statement[:80])[1:-1]


def verdicts(run_dir: Path) -> dict[tuple[str, ...], tuple[str, str]]:
    rows = [json.loads(line) for line in (run_dir / "episodes.jsonl").open()]
    return {
        (row["task"], row["problem_id"], row["system"]): (row["verdict"], row["list_cost_usd"])
        for row in rows
    }
