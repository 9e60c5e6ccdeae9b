"""`corl-bench run --engine ray` on a real Ray cluster of several nodes, whose workers are killed.

All nodes are on this machine, each with processes of its own. Skipped where Ray is not installed:
`tox -e ray`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs Ray: tox -e ray")

from ray.cluster_utils import Cluster

from cluster.crews import PLACE
from cluster.scenes import Scene
from corl_bench.money.ledger import read_ledger

ENTRY = "from corl_bench.cli.main import main; main()"
SYSTEMS = ("python:mine:Busy", "vote:a,b", "oracle")
ERRORS = 4
"""Exit code of a run with that system, which fails now and then."""
MEMORY_BYTES = 80_000_000
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # A machine that is busy with other tests is slow and not dead.
    "RAY_health_check_timeout_ms": "120000",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_raylet_start_wait_time_s": "300",
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(PLACE),
}

pytestmark = pytest.mark.timeout(3600)  # a minute each, on a machine that has nothing else to do


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head without CPUs, and two nodes of one each."""
    before = dict(os.environ)
    os.environ.update(SETTINGS)
    made = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "object_store_memory": MEMORY_BYTES,
            "include_dashboard": False,
        },
    )
    try:
        for _ in range(2):
            made.add_node(num_cpus=1, object_store_memory=MEMORY_BYTES, wait=False)
        made.wait_for_nodes(300)
        yield made
    finally:
        made.shutdown()
        os.environ.clear()
        os.environ.update(before)


def _command(cluster: Cluster, *more: str, systems: tuple[str, ...] = SYSTEMS) -> list[str]:
    named = [part for system in systems for part in ("--system", system)]
    return [
        *(sys.executable, "-m", "corl_bench.cli.main", "run", "--engine", "ray"),
        *("--ray-address", cluster.address, "--task", "rows.jsonl", "--pool", "pool.toml"),
        *("--out", "run", *named, *more),
    ]


def _start(made: Scene, command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=made.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **SETTINGS},
    )


def _finish(driver: subprocess.Popen[str], code: int = 0) -> str:
    _, told = driver.communicate(timeout=1500)
    assert driver.returncode == code, told
    return told


def _refused(made: Scene, command: list[str]) -> str:
    told = _finish(_start(made, command), code=2)
    assert len(told.splitlines()) == 1, told
    assert made.expert.requests == []
    return told


def _wait_for(made: Scene, requests: int) -> None:
    deadline_s = time.monotonic() + 1200
    while len(made.expert.requests) < requests:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def _workers() -> dict[int, int]:
    """Processes of Ray that are at work for a run, with those of their nodes that started them."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and b"ray::_play" in (entry / "cmdline").read_bytes():
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                found[int(entry.name)] = int(fields[1])
        except OSError:
            continue  # gone meanwhile
    return found


def test_a_killed_worker_and_a_killed_node_change_nothing(
    cluster: Cluster, scene: Callable[..., Scene]
) -> None:
    made = scene(latency_s=0.3)
    made.run("local", *SYSTEMS)
    asked, bill_usd = len(made.expert.requests), made.expert.bill_usd
    node = cluster.add_node(num_cpus=1, object_store_memory=MEMORY_BYTES)
    driver = _start(made, _command(cluster, "--concurrency", "6"))
    _wait_for(made, asked + 8)
    (raylet,) = node.all_processes["raylet"]
    elsewhere = [worker for worker, parent in _workers().items() if parent != raylet.process.pid]
    assert len(elsewhere) == 2
    os.kill(elsewhere[0], signal.SIGKILL)
    _wait_for(made, asked + 16)
    cluster.remove_node(node, allow_graceful=False)
    told = _finish(driver, code=ERRORS)
    assert told.count("episodes are played again by others") == 2
    assert made.episodes("run") == made.episodes("local")
    assert len(made.expert.requests) == 2 * asked == 2 * made.attempts("run")
    assert not [line for line in read_ledger(made.folder / "run") if not line.settled]
    calls_usd = sum(
        (line.billed_cost_usd for line in read_ledger(made.folder / "run") if not line.fee),
        Decimal(0),
    )
    assert made.expert.bill_usd - bill_usd == calls_usd == bill_usd
    made.require_books("run")
    assert not _workers()


def test_a_killed_driver_goes_on_here_or_there(
    cluster: Cluster, scene: Callable[..., Scene]
) -> None:
    """Local, killed; on Ray, killed; on Ray again, to its end."""
    made = scene(latency_s=0.3)
    local = _command(cluster)
    local = [word for word in local if word not in ("--engine", "ray", "--ray-address")]
    local.remove(cluster.address)
    for command in (local, _command(cluster)):
        before = len(made.expert.requests)
        driver = _start(made, [*command, "--concurrency", "6"])
        _wait_for(made, before + 20)
        driver.kill()
        driver.communicate()
        assert (made.folder / "run" / "episodes.jsonl").stat().st_size
    _finish(_start(made, _command(cluster)), code=ERRORS)
    lines = list(read_ledger(made.folder / "run"))
    unsettled = sum(not line.settled for line in lines)
    assert unsettled > 0
    assert made.attempts("run") - unsettled <= len(made.expert.requests) <= made.attempts("run")
    assert sum(r["repeat"] > 0 for r in made.expert.requests) <= unsettled
    made.run("whole", *SYSTEMS)
    assert made.episodes("run") == made.episodes("whole")


def test_one_cap_holds_and_a_polite_stop_loses_nothing(
    cluster: Cluster, scene: Callable[..., Scene]
) -> None:
    made = scene(latency_s=0.2)
    told = _finish(_start(made, _command(cluster, "--max-cost", "0.003")), code=3)
    assert "--max-cost" in told
    lines = list(read_ledger(made.folder / "run"))
    calls_usd = sum((line.billed_cost_usd for line in lines if not line.fee), Decimal(0))
    assert 0 < made.expert.bill_usd == calls_usd <= Decimal("0.003")
    first = len(made.expert.requests)
    driver = _start(made, _command(cluster, "--max-cost", "1"))
    _wait_for(made, first + 5)
    driver.send_signal(signal.SIGTERM)
    told = _finish(driver, code=130)
    assert "calls in flight are let finish" in told
    assert "Interrupted; the same command goes on" in told
    _finish(_start(made, _command(cluster, "--max-cost", "1")), code=ERRORS)
    assert len(made.expert.requests) == made.attempts("run")
    assert not [r for r in made.expert.requests if r["repeat"]]
    made.require_books("run")


def test_files_are_shipped_where_nodes_have_them_not(
    cluster: Cluster, scene: Callable[..., Scene]
) -> None:
    made = scene()
    shipped = made.folder / "shipped"
    shipped.mkdir()
    for name in ("mine.py", "chosen.jsonl"):
        (shipped / name).write_bytes((made.folder / name).read_bytes())
    systems = ("python:mine:route", "decisions:chosen.jsonl")
    made.run("local", *systems)
    made = scene()
    _finish(_start(made, _command(cluster, "--ship", "shipped", systems=systems)))
    assert made.episodes("run") == made.episodes("local")
    (shipped / "chosen.jsonl").write_text('{"problem_id": "0", "expert": "a"}\n')
    made = scene()
    command = _command(cluster, "--ship", "shipped", "--out", "other", systems=systems)
    assert "has no decision on problem" in _refused(made, command)


def test_what_cannot_work_is_refused_in_a_line(
    cluster: Cluster, scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = scene()
    command = _command(cluster)
    assert "the Ray cluster has 2 CPUs" in _refused(made, [*command, "--workers", "9"])
    told = _refused(made, [*command, "--ray-address", "ray://127.0.0.1:10001"])
    assert "Ray Client is not supported" in told
    assert "cannot serve at 203.0.113.7" in _refused(made, [*command, "--host", "203.0.113.7"])
    with monkeypatch.context() as patched:
        patched.setenv("RAY_ADDRESS", "127.0.0.1:9")
        nowhere = _refused(made, [*command, "--ray-address", "auto"])
    assert nowhere.startswith("corl-bench: no Ray cluster at 127.0.0.1:9: start one")
    at = command.index("run")
    of_old = f"import ray; ray.__version__ = '2.54.0'; {ENTRY}"
    told = _refused(made, [sys.executable, "-c", of_old, *command[at:]])
    assert "the Ray cluster is another one than this environment is made for" in told
    of_old = f"import corl_bench; corl_bench.__version__ = '0.0.1'; {ENTRY}"
    told = _refused(made, [sys.executable, "-c", of_old, *command[at:]])
    assert "install the same on all of them" in told
