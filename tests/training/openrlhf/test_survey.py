"""A survey of a real Ray cluster: what it has, and what others hold of it.

Skipped where Ray is not installed: `tox -e ray`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs Ray: tox -e ray")

from corl_train.openrlhf.job import FILE_NAME
from corl_train.openrlhf.survey import digest_of_file, read_survey

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.timeout(900)

CLUSTER = """
import os, subprocess, sys
import ray

ray.init(num_cpus=3, num_gpus=4, include_dashboard=False, object_store_memory=100_000_000)

@ray.remote(num_cpus=1, num_gpus=3)
class Holder:
    def ready(self):
        return True

holder = Holder.remote()
ray.get(holder.ready.remote())
address = ray.get_runtime_context().gcs_address
command = [sys.executable, "-m", "corl_train.openrlhf.survey", *sys.argv[1:]]
sys.exit(subprocess.run(command, env={**os.environ, "RAY_ADDRESS": address}).returncode)
"""


def test_gpus_that_another_job_holds_are_not_free(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("{}")
    digest = digest_of_file(tmp_path / FILE_NAME)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "harness", ROOT / "training"))),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    environment.pop("RAY_ADDRESS", None)
    done = subprocess.run(
        [sys.executable, "-c", CLUSTER, str(tmp_path), digest],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    (node,) = read_survey(tmp_path)
    assert (node.gpus, node.free_gpus) == (4, 1)
    assert (node.cpus, node.free_cpus) == (3, 2)
    assert node.sees_job and node.experts == node.model == ""
