"""Systems of every other kind on workers: what learns, what is decided, processes and servers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from cluster.crews import in_threads
from cluster.scenes import ROWS, Scene, write_rows
from corl_bench.cli.main import cli
from corl_bench.cluster import worker
from corl_bench.money.ledger import read_ledger
from corl_bench.results import read_summary
from corl_bench.runs.execute import make_episode
from servers.fault_server import Question

LEARNER = '''
class Turns:
    """Takes turns while it learns, then the expert with the most rewards."""

    name = "turns"

    def __init__(self, experts):
        self.rewards = {expert.name: 0 for expert in experts}
        self.asked = 0
        self.frozen = False

    def decide(self, prompt):
        if self.frozen:
            return max(self.rewards, key=self.rewards.get)
        self.asked += 1
        return sorted(self.rewards)[self.asked % 2]

    def learn(self, prompt, expert, reward, cost_usd):
        self.rewards[expert] += reward

    def freeze(self):
        self.frozen = True
'''
ROUTER = """
import json, os, sys
open("starts", "a").write("one\\n")
for line in sys.stdin:
    asked = json.loads(line)
    if "prompt" not in asked:
        print(json.dumps({"id": asked["id"], "version": 1}), flush=True)
        continue
    even = int(asked["prompt"].split(" + ")[1].split(",")[0]) % 2 == 0
    said = {"id": asked["id"], "expert": "b" if even else "a", "cost_usd": 0.00001}
    print(json.dumps(said), flush=True)
"""
MODEL = """
[model]
provider = "openai"
base_url = "{url}"
model = "own-1"
[model.price]
input_usd_per_mtok = "2"
output_usd_per_mtok = "8"
effective_from = 2026-01-01
source = "test"
"""
ENDPOINT = """
name = "proxy"
[model]
base_url = "{url}"
model = "gpt-4.1-mini"
[cost]
fee_usd_per_call = "0.00001"
"""


def _sum(question: Question) -> int:
    """What the problem asks for, wherever in the conversation it stands."""
    said = "\n".join(message["content"] for message in question.messages)
    return 2 * int(said.partition("Compute ")[2].split()[0])


def knowing(question: Question) -> str:
    """`a` knows all, `b` the sums of even numbers; a controller asks `b` and believes it."""
    answer = _sum(question)
    if question.model == "own-1":
        is_told = "<result" in question.messages[-1]["content"]
        return f"<answer>{answer}</answer>" if is_told else '<call expert="b"></call>'
    knows = question.model == "gpt-4.1" or answer % 4 == 0
    return f"\\boxed{{{answer if knows else -1}}}"


def failing(question: Question) -> str:
    """Two of three sums wrong."""
    answer = _sum(question)
    return f"\\boxed{{{answer if answer % 3 == 0 else -1}}}"


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Systems whose episodes were played by workers."""
    found: list[str] = []

    def playing(job: Any, *rest: Any) -> Any:
        found.append(job.system.name)
        return make_episode(job, *rest)

    monkeypatch.setattr(worker, "make_episode", playing)
    return found


def test_processes_servers_controllers_and_fitted_routers_play_on_workers(
    scene: Callable[..., Scene], played: list[str]
) -> None:
    made = scene(answer=knowing)
    write_rows(made.folder / "past.jsonl", range(50, 70))
    made.run("recorded", "single:*", task="past.jsonl")
    arguments = ["fit", "--router", "knn", "--pool", "pool.toml", "--task", "past.jsonl"]
    fitting = [*arguments, "--recordings", "recorded/recordings.sqlite", "--out", "fitted"]
    assert CliRunner().invoke(cli, fitting, catch_exceptions=False).exit_code == 0
    (made.folder / "router.py").write_text(ROUTER)
    made = scene(answer=knowing)  # which has been asked nothing
    url = made.expert.base_url
    (made.folder / "controller.toml").write_text('name = "own"\n' + MODEL.format(url=url))
    (made.folder / "endpoint.toml").write_text(ENDPOINT.format(url=url))
    systems = (
        f"exec:{sys.executable} router.py",
        "learned:fitted",
        "controller:controller.toml",
        "endpoint:endpoint.toml",
    )
    made.run("local", *systems, skip_preflight=True)
    asked, bill_usd = len(made.expert.requests), made.expert.bill_usd
    starts = (made.folder / "starts").read_text().splitlines()
    made.run("spread", *systems, skip_preflight=True, engine=in_threads)
    assert made.episodes("spread") == made.episodes("local")
    owed = [(row["system"], row["budget"], row["verdict"]) for row in _rows(made, "spread")]
    assert sorted(played) == sorted(system for system, _, _ in owed)
    assert len(set(played)) == len(systems)
    assert {verdict for _, _, verdict in owed} == {"correct", "wrong"}
    assert len(made.expert.requests) == 2 * asked == 2 * made.attempts("spread")
    assert made.expert.bill_usd == 2 * bill_usd
    assert len((made.folder / "starts").read_text().splitlines()) == len(starts) + 2
    fees = {line.call for line in read_ledger(made.folder / "spread") if line.fee}
    assert {name.split("|")[2].partition(":")[0] for name in fees} == {"exec", "endpoint"}
    made.require_books("spread")


def test_what_learns_is_played_by_the_run_and_all_else_by_workers(
    scene: Callable[..., Scene], played: list[str]
) -> None:
    made = scene(answer=knowing)
    (made.folder / "learner.py").write_text(LEARNER)
    write_rows(made.folder / "train.jsonl", range(50, 58))
    systems = ("python:learner:Turns", "single:b")
    made.run("local", *systems, train="train.jsonl")
    asked = len(made.expert.requests)
    made.run("spread", *systems, train="train.jsonl", engine=in_threads)
    assert made.episodes("spread") == made.episodes("local")
    assert played == ["single:b"] * ROWS
    (taught,) = [note for note in read_summary(made.folder / "spread").notes if "turns" in note]
    assert "learned from 8 of 8 rows" in taught
    assert len(made.expert.requests) == 2 * asked == 2 * made.attempts("spread")


def test_a_run_on_workers_stops_when_it_is_decided_and_says_the_same(
    scene: Callable[..., Scene], played: list[str]
) -> None:
    made = scene(answer=knowing)
    write_rows(made.folder / "rows.jsonl", range(120))
    made.run("base", "single:a")
    made = scene(answer=failing)
    local = made.run("local", "single:a", baseline="base")
    asked = len(made.expert.requests)
    spread = made.run("spread", "single:a", baseline="base", engine=in_threads)
    (arm,) = _arms(made, "spread")
    assert arm["verdict"] == "loss"
    assert _arms(made, "local") == [arm]
    assert spread.exit_code == local.exit_code == 1
    assert made.episodes("spread") == made.episodes("local")
    assert len(played) == arm["problems"] < 60
    assert len(made.expert.requests) == 2 * asked == 2 * arm["problems"]


def _rows(made: Scene, out: str) -> list[Any]:
    return list(map(json.loads, made.episodes(out)))


def _arms(made: Scene, out: str) -> list[Any]:
    arms: list[Any] = json.loads((made.folder / out / "decisions.json").read_text())["arms"]
    return arms
