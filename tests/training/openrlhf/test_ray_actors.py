"""Eight actors of a real Ray cluster, one shared pool, and an expert that counts what it is asked.

The actors are the agent's own stage with an engine that plays a script. Skipped where Ray is not
installed: `tox -e ray`.
"""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

ray = pytest.importorskip("ray", reason="needs Ray: tox -e ray")
pytest.importorskip("transformers")

from corl_bench.money.ledger import read_ledger  # noqa: E402
from corl_bench.types import Problem  # noqa: E402
from serve.endpoints import pool_toml  # noqa: E402
from serve.processes import process  # noqa: E402
from servers.fault_server import FaultServer, Rate  # noqa: E402
from servers.threads import in_thread  # noqa: E402
from training.openrlhf.jobs import HIGH, a_job, label, problems  # noqa: E402
from training.openrlhf.ray_actor import Worker  # noqa: E402

ACTORS = 8
CALLS = 2
"""Of each episode."""
OWN = 2
"""From this draw on, draws are one actor's own."""
RATES = {"gpt-4.1-mini": Rate(Decimal("0.2"), Decimal("0.2"), Decimal("0.8"))}
"""Of expert `b` as its pool has it; `a` has the server's own."""
PLACES = tuple(Path(__file__).resolve().parents[3] / part for part in ("harness", "training"))
TESTS = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.timeout(3600)  # minutes, where eight actors have two cores


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    path = os.pathsep.join(map(str, (*PLACES, TESTS)))
    ray.init(
        num_cpus=ACTORS,
        include_dashboard=False,
        configure_logging=False,
        log_to_driver=False,
        object_store_memory=100_000_000,
        runtime_env={"env_vars": {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}},
    )
    yield
    ray.shutdown()


class Scene:
    """A counting expert, the server that shares it, and the actors that ask."""

    def __init__(self, upstream: FaultServer, folder: Path) -> None:
        self.upstream = upstream
        self.folder = folder
        (folder / "pool.toml").write_text(pool_toml(upstream.base_url, send_seed="true"))
        job = a_job(pool=str(folder / "worker.toml"), experts="gateway")
        self._job = job.model_dump(mode="json", exclude_none=True)
        self.actors: list[Any] = []

    def share(self, cap_usd: str, port: int = 0) -> Any:
        worker = self.folder / "worker.toml"
        return process(
            self.folder,
            *("pool", "share", "pool.toml", "--max-cost", cap_usd, "--pool-out", worker),
            *("--port", str(port)),
        )

    def hire(self, count: int) -> None:
        kind = ray.remote(Worker)
        self.actors += [
            kind.options(num_cpus=1, max_concurrency=64).remote(self._job) for _ in range(count)
        ]

    def dismiss(self) -> None:
        for actor in self.actors:
            ray.kill(actor)
        self.actors.clear()

    def asked_twice(self) -> list[str]:
        return [r["digest"] for r in self.upstream.requests if r["repeat"]]

    def billed_usd(self) -> Decimal:
        lines = read_ledger(self.folder / "shared")
        return sum((line.billed_cost_usd for line in lines), Decimal(0))

    def arrived(self, first_draw: int) -> list[dict[str, Any]]:
        """Calls at the expert for that draw and those behind it."""
        return [r for r in self.upstream.requests if r["body"]["seed"] >= first_draw]

    def ended(self, first_draw: int) -> list[dict[str, Any]]:
        """Which of these have come back, a request each; others waited for them."""
        rows = (self.folder / "shared" / "requests.jsonl").read_text().splitlines()
        asked = [row for row in map(json.loads, rows) if row["ending"] == "asked"]
        return [row for row in asked if row["sample"] >= first_draw]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with in_thread(lambda: FaultServer(latency_s=2.0, rates=RATES)) as upstream:
        made = Scene(upstream, tmp_path)
        yield made
        made.dismiss()


def _stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/stats", timeout=60) as answer:
        stats: dict[str, Any] = json.loads(answer.read())
        return stats


def _until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 900
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def _episodes(of: Sequence[Problem], draws: int) -> list[tuple[str, str]]:
    """Episodes of some problems, so many draws of each."""
    return [(p.text, label(p, HIGH, draws=draws)) for p in of for _ in range(draws)]


def _is_about(request: dict[str, Any], those: Sequence[Problem]) -> bool:
    """Whether a call at the expert asks one of some problems."""
    text = json.dumps(request["body"]["messages"])
    return any(json.dumps(problem.text)[1:-1] in text for problem in those)


@pytest.mark.usefixtures("cluster")
def test_no_reply_is_asked_for_twice_and_none_is_lost_with_its_actor(scene: Scene) -> None:
    """Seven actors make the same episodes; the eighth, in their midst, makes its own and dies."""
    *shared, first, second = problems(8)
    common, own = _episodes(shared, OWN), _episodes((first, second), 3 * OWN)
    draws = CALLS * len(common)
    assert len(own) == len(common)
    with scene.share("5") as (_, url):
        scene.hire(ACTORS)
        victim = scene.actors.pop()
        doomed = victim.roll_out.remote(own)
        others = [actor.roll_out.remote(common) for actor in scene.actors]
        _until(lambda: scene.arrived(OWN))
        ray.kill(victim)
        on_the_wire = len(scene.arrived(OWN)) - len(scene.ended(OWN))
        assert on_the_wire > 0
        with pytest.raises(ray.exceptions.RayActorError):
            ray.get(doomed)
        logs = ray.get(others, timeout=1800)
        # What was on the wire for the dead came back, is stored and is settled.
        _until(lambda: not _stats(url)["in_flight"])
        assert len(scene.ended(OWN)) == len(scene.arrived(OWN)) >= on_the_wire
        left = [r for r in scene.upstream.requests if _is_about(r, (first, second))]
        assert Decimal(_stats(url)["billed_usd"]) == scene.upstream.bill_usd
        # Who takes its place finds it.
        scene.hire(1)
        logs.append(ray.get(scene.actors[-1].roll_out.remote(own), timeout=1800))
        stats = _stats(url)
    assert [len(made) for made in logs] == [len(common)] * ACTORS
    assert {log["corl/bad"] for made in logs for log in made} == {0}
    assert {log["corl/calls"] for made in logs for log in made} == {CALLS}
    assert scene.asked_twice() == []
    assert len(scene.upstream.requests) == 2 * draws == stats["answered_by_asking"]
    assert stats["unsettled_attempts"] == 0
    assert stats["answered_from_store"] == (ACTORS - 2) * draws + len(left)
    assert scene.billed_usd() == scene.upstream.bill_usd
    # All paid for what they were told, in their rewards; the bill came once.
    assert Decimal(stats["list_cost_usd"]) > 3 * scene.upstream.bill_usd


@pytest.mark.usefixtures("cluster")
def test_actors_live_through_a_server_that_is_killed(scene: Scene) -> None:
    common = _episodes(problems(6), OWN)
    draws = CALLS * len(common)
    with scene.share("5") as (server, url):
        port = urlsplit(url).port
        assert port is not None
        scene.hire(ACTORS)
        working = [actor.roll_out.remote(common) for actor in scene.actors]
        _until(lambda: scene.ended(0) and len(scene.arrived(0)) > len(scene.ended(0)))
        server.send_signal(signal.SIGKILL)
        server.wait()
    with scene.share("5", port) as (_, url):
        logs = ray.get(working, timeout=1800)
        stats = _stats(url)
    assert {log["corl/bad"] for made in logs for log in made} == {0}
    assert {log["corl/calls"] for made in logs for log in made} == {CALLS}
    # Asked again is what was on the wire when the server died, once, and nothing that was stored.
    unsettled = stats["unsettled_attempts"]
    assert 0 < len(scene.asked_twice()) <= unsettled
    assert len(set(scene.asked_twice())) == len(scene.asked_twice())
    assert len(scene.upstream.requests) == draws + len(scene.asked_twice())
    billed_usd = scene.billed_usd()
    worst_usd = Decimal(stats["unsettled_usd"])
    assert billed_usd <= scene.upstream.bill_usd <= billed_usd + worst_usd


@pytest.mark.usefixtures("cluster")
def test_one_cap_holds_for_all_actors(scene: Scene) -> None:
    """Each actor makes episodes of its own, more than the cap has room for."""
    cap_usd = Decimal("0.006")
    with scene.share(str(cap_usd)) as (_, url):
        scene.hire(ACTORS)
        logs = ray.get(
            [
                actor.roll_out.remote(
                    [(p.text, label(p)) for p in problems(6 * ACTORS)[number::ACTORS]]
                )
                for number, actor in enumerate(scene.actors)
            ],
            timeout=1800,
        )
        stats = _stats(url)
    flat = [log for made in logs for log in made]
    ended = sum(log["corl/bad"] for log in flat)
    assert 0 < ended < len(flat)
    assert stats["refused_by_cap"] >= ended
    assert scene.upstream.bill_usd == scene.billed_usd() == Decimal(stats["spent_usd"]) <= cap_usd
    assert scene.asked_twice() == []
