from __future__ import annotations

import json
from pathlib import Path

from corl_bench.experts.pools import load_pool
from corl_bench.grading import grader_digest
from corl_bench.results import read_manifest
from corl_bench.runs.directory import RunDirectory
from corl_bench.runs.plan import make_plan


def test_the_manifest_names_all_that_decides_verdicts_and_dollars(tmp_path: Path) -> None:
    plan = make_plan(
        tasks=["synth"],
        pool=load_pool("sim"),
        systems=[],
        budget="low",
        samples=2,
        seed=5,
        limit=3,
        mode="auto",
        data_dir=None,
    )
    command = ["corl-bench", "run", "--limit", "3"]
    with RunDirectory.open(tmp_path / "run", plan, command) as directory:
        written = directory.manifest
    manifest = read_manifest(tmp_path / "run")
    assert manifest == json.loads(json.dumps(written))
    assert (manifest["seed"], manifest["samples"], manifest["limit"]) == (5, 2, 3)
    assert manifest["command"] == command
    assert manifest["grader_digest"] == grader_digest()
    assert manifest["tasks"]["synth"]["digest"] == plan.tasks[0].digest
    assert manifest["pool"]["digest"] == plan.pool.digest
    assert all(expert["price"]["source"] for expert in manifest["pool"]["experts"])
    with RunDirectory.open(tmp_path / "run", plan, ["another"]) as directory:
        assert directory.manifest["command"] == command
