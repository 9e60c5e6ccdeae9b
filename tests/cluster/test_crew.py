"""Runs on workers that are processes of this machine: the same results, under one set of books."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from cluster.crews import Processes
from cluster.scenes import ROWS, Scene
from corl_bench.cluster import worker
from corl_bench.cluster.crew import MAX_LOSSES
from corl_bench.errors import ConfigError
from corl_bench.money.ledger import read_ledger
from servers.fault_server import Arrival, mix

DRIVER = Path(__file__).with_name("driver.py")
EVERY_KIND = (
    *("single:*", "random", "mix:a,b@0.5", "cascade:b>a", "vote:a,b", "oracle"),
    *("python:mine:Busy", "python:mine:Half", "python:mine:route", "decisions:chosen.jsonl"),
)


def test_results_are_those_of_the_local_engine(scene: Callable[..., Scene]) -> None:
    """With faults at the expert, which meet a conversation alike in whatever order it comes."""
    faults = mix("429:0.05=0.2,quota=0.02,bad_usage=0.02,seed=3")
    made = scene(faults)
    local = made.run("local", *EVERY_KIND, samples=2)
    asked = len(made.expert.requests)
    made = scene(faults)
    spread = made.run("spread", *EVERY_KIND, samples=2, engine=Processes(made.folder))
    assert made.episodes("spread") == made.episodes("local")
    assert len(made.episodes("local")) == 2 * ROWS * (len(EVERY_KIND) + 2)
    assert spread.summary.list_cost_usd == local.summary.list_cost_usd
    assert spread.exit_code == local.exit_code == 4
    assert len(made.expert.requests) == asked == made.attempts("spread")
    made.require_books("spread")


def test_a_worker_that_is_killed_costs_nothing_twice(scene: Callable[..., Scene]) -> None:
    made = scene(latency_s=0.2)
    systems = ("python:mine:Busy", "vote:a,b")
    made.run("local", *systems)
    before, bill_usd = len(made.expert.requests), made.expert.bill_usd
    engine = Processes(made.folder)

    def kill() -> None:
        while len(made.expert.requests) < before + 10:
            time.sleep(0.01)
        engine.running[0].kill()

    engine.on_ready = threading.Thread(target=kill).start
    made.run("spread", *systems, engine=engine)
    assert engine.started == 3
    assert made.episodes("spread") == made.episodes("local")
    assert len(made.expert.requests) == 2 * before == 2 * made.attempts("spread")
    assert made.expert.bill_usd == 2 * bill_usd
    fees_usd = sum(
        (line.billed_cost_usd for line in read_ledger(made.folder / "spread") if line.fee),
        Decimal(0),
    )
    assert made.billed_usd("spread") == bill_usd + fees_usd
    # A fee that belongs to no call is owed each time that an episode is played, and listed once.
    made.require_books("spread")


def test_one_cap_holds_for_all_workers_and_either_engine_goes_on(
    scene: Callable[..., Scene],
) -> None:
    made = scene(latency_s=0.05)
    systems = ("single:*", "vote:a,b")
    made.run("whole", *systems, samples=3)
    bill_usd = made.expert.bill_usd
    spread = Processes(made.folder)
    stopped = made.run("run", *systems, samples=3, engine=spread, cap_usd="0.004")
    assert stopped.exit_code == 3
    assert 0 < made.expert.bill_usd - bill_usd == made.billed_usd("run") <= Decimal("0.004")
    stopped = made.run("run", *systems, samples=3, cap_usd="0.006")
    assert stopped.exit_code == 3
    assert 0 < len(made.episodes("run")) < len(made.episodes("whole"))
    made.run("run", *systems, samples=3, engine=Processes(made.folder), cap_usd="1")
    assert made.episodes("run") == made.episodes("whole")
    assert made.expert.bill_usd == 2 * bill_usd == 2 * made.billed_usd("run")
    made.require_books("run")


def test_a_call_that_is_given_up_is_dropped_and_booked_as_such(
    scene: Callable[..., Scene],
) -> None:

    def hang(arrival: Arrival) -> str:
        number = arrival.body["messages"][-1]["content"].split()[1]
        Path(f"arrived-{number}").touch()
        return "slow:60"

    made = scene(hang)
    made.run("run", "python:mine:Impatient", engine=Processes(made.folder, 1))
    lines = list(read_ledger(made.folder / "run"))
    assert [line.status for line in lines] == ["interrupted"] * ROWS
    made.require_books("run")
    assert {json.loads(row)["calls"][0]["status"] for row in made.episodes("run")} == {
        "interrupted"
    }


def test_what_kills_every_worker_is_one_episode_in_error(scene: Callable[..., Scene]) -> None:
    made = scene()
    made.run("local", "python:mine:Deadly", "single:b")
    (made.folder / "armed").touch()
    engine = Processes(made.folder, 1)
    finished = made.run("spread", "python:mine:Deadly", "single:b", engine=engine)
    assert finished.exit_code == 4
    assert engine.started == 1 + MAX_LOSSES
    mine, theirs = set(made.episodes("spread")), set(made.episodes("local"))
    (failed,) = map(json.loads, mine - theirs)
    assert len(mine) == len(theirs)
    assert (failed["problem_id"], failed["verdict"]) == ("3", "error")
    assert failed["detail"] == f"{MAX_LOSSES} workers have ended while they played it"
    assert len(failed["calls"]) == 1  # paid for once, and not forgotten
    made.require_books("spread")
    (made.folder / "armed").unlink()
    made.run("spread", "python:mine:Deadly", "single:b", retry_errors=True)
    assert len(made.expert.requests) == 4 * ROWS
    assert made.run("spread", "python:mine:Deadly", "single:b").exit_code == 0


def _driver(made: Scene, *arguments: str) -> subprocess.Popen[str]:
    systems = ("python:mine:Busy", "single:b")
    named = [part for system in systems for part in ("--system", system)]
    return subprocess.Popen(
        [
            *(sys.executable, str(DRIVER), str(made.folder), "2", "run"),
            *("--task", "rows.jsonl", "--pool", "pool.toml", "--out", "run", *named, *arguments),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def _wait_for(made: Scene, requests: int) -> None:
    while len(made.expert.requests) < requests:
        time.sleep(0.01)


def test_a_driver_that_is_killed_goes_on_where_it_was(scene: Callable[..., Scene]) -> None:
    """Begun on workers, killed, gone on with on workers, killed, ended in the one process."""
    made = scene(latency_s=0.3)
    for requests in (10, 30):
        with _driver(made) as driver:
            _wait_for(made, requests)
            driver.send_signal(signal.SIGKILL)
            driver.wait()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(driver.pid, signal.SIGKILL)  # workers look for it for ten minutes
    made.run("run", "python:mine:Busy", "single:b")
    asked = made.expert.requests
    lines = list(read_ledger(made.folder / "run"))
    unsettled = sum(not line.settled for line in lines)
    assert unsettled > 0
    assert made.attempts("run") - unsettled <= len(asked) <= made.attempts("run")
    assert sum(r["repeat"] > 0 for r in asked) <= unsettled
    assert {r["repeat"] for r in asked} <= {0, 1, 2}
    made.run("whole", "python:mine:Busy", "single:b")
    assert made.episodes("run") == made.episodes("whole")


def test_an_interrupted_driver_loses_nothing(scene: Callable[..., Scene]) -> None:
    made = scene(latency_s=0.3)
    with _driver(made) as driver:
        _wait_for(made, 10)
        driver.send_signal(signal.SIGINT)
        assert driver.stderr is not None
        told = driver.stderr.read()
    assert driver.returncode == 130
    assert "calls in flight are let finish" in told
    assert "Interrupted; the same command goes on where it stopped." in told
    first = len(made.expert.requests)
    made.run("run", "python:mine:Busy", "single:b", engine=Processes(made.folder))
    assert first < len(made.expert.requests) == made.attempts("run")
    assert not [r for r in made.expert.requests if r["repeat"]]
    made.require_books("run")


class Elsewhere(Processes):
    """Workers that start in a folder in which something is otherwise."""

    def __init__(self, folder: Path, change: Callable[[Path], object]) -> None:
        super().__init__(folder, 1, again=False)
        self.change = change

    def _start(self, number: int, data: Path) -> None:
        self.change(self.folder)
        super()._start(number, data)


@pytest.mark.parametrize(
    ("change", "system", "said"),
    [
        (
            lambda folder: (folder / "mine.py").write_text("def route(prompt): return 'b'"),
            "python:mine:route",
            "the worker on node0 has python:mine:route .* where this run has .*same paths on every",
        ),
        (
            lambda folder: (folder / "chosen.jsonl").unlink(),
            "decisions:chosen.jsonl",
            "the worker on node0 cannot make the systems .* chosen.jsonl: No such file",
        ),
    ],
)
def test_a_worker_with_other_systems_is_refused_before_anything_is_asked(
    scene: Callable[..., Scene], change: Callable[[Path], object], system: str, said: str
) -> None:
    made = scene()
    with pytest.raises(ConfigError, match=said) as refused:
        made.run("run", system, engine=Elsewhere(made.folder, change))
    assert "\n" not in str(refused.value)
    assert made.expert.requests == []
    assert list(read_ledger(made.folder / "run")) == []


def test_a_worker_of_another_version_is_refused(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = scene()
    programs = {"corl-bench": "0.0.1 (of old)", "Python": "3.11"}
    monkeypatch.setattr("corl_bench.cluster.crew.program", lambda: programs)
    with pytest.raises(ConfigError, match=r"the worker on node0 has corl-bench .* where this run"):
        made.run("run", "single:b", engine=Processes(made.folder, 1, again=False))
    assert made.expert.requests == []


def test_a_worker_without_the_token_or_the_way_says_so(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "COMING_S", 0.0)
    url = "http://127.0.0.1:9/v1/work"
    reason = worker.work(url, "token", b"", "node7")
    assert reason.startswith(f"the worker on node7 cannot reach this run at {url}: ")
    made = scene()

    told: list[str] = []

    def knock(url: str) -> None:
        told.append(worker.work(url, "guessed", b"", "node7"))

    class Knocking(Processes):
        def _start(self, number: int, data: Path) -> None:
            super()._start(number, data)
            assert self.crew is not None
            threading.Thread(target=knock, args=(self.crew.url,)).start()

    made.run("run", "single:b", engine=Knocking(made.folder, 1))
    assert "401" in told[0]
    assert len(made.expert.requests) == ROWS
