"""Runs with systems that learn: on real files, with the simulated pool."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.errors import ConfigError
from corl_bench.experts.pools import load_pool
from corl_bench.money.amounts import sum_usd
from corl_bench.money.ledger import read_ledger
from corl_bench.results import read_episodes, read_summary
from corl_bench.runs.estimate import estimate, render_estimate
from corl_bench.runs.plan import Plan, make_plan
from corl_bench.runs.run import Finished, run
from corl_bench.runs.training import MARK, RECORDS_NAME

MODULE = """
import json, os

class Turns:
    '''Takes turns while it learns, then the expert with the most rewards.'''
    name = "turns"
    def __init__(self, experts):
        self.names = [expert.name for expert in experts]
        self.rewards = dict.fromkeys(self.names, 0)
        self.asked = 0
        self.frozen = False

    def decide(self, prompt):
        if self.frozen:
            return max(self.names, key=self.rewards.__getitem__)
        self.asked += 1
        return self.names[self.asked % 2]

    def learn(self, prompt, expert, reward, cost_usd):
        assert not self.frozen
        self.rewards[expert] += reward
        with open(os.environ["DIARY"], "a") as diary:
            print(json.dumps([prompt, expert, reward, str(cost_usd)]), file=diary)
        if os.environ.get("STOP_AT") == str(self.asked):
            os._exit(9)

    def freeze(self):
        self.frozen = True

def length(prompt):
    return len(prompt)
"""

ROWS, PROBLEMS = 6, 4


@pytest.fixture
def diary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the learner writes down what it is taught."""
    (tmp_path / "turns_router.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIARY", str(tmp_path / "diary"))
    synth = make_plan(**settings(task="synth", limit=ROWS + PROBLEMS)).tasks[0].problems
    for name, problems in (("train", synth[:ROWS]), ("test", synth[ROWS:])):
        with (tmp_path / f"{name}.jsonl").open("w") as file:
            for problem in problems:
                row = {"id": problem.id, "problem": problem.text, "answer": problem.answer}
                file.write(json.dumps(row) + "\n")
    return tmp_path / "diary"


def settings(task: str = "test.jsonl", **changes: Any) -> dict[str, Any]:
    return {
        "tasks": [task],
        "pool": load_pool("sim"),
        "systems": ["single:nano"],
        "budget": "none",
        "samples": 1,
        "seed": 0,
        "limit": None,
        "mode": "auto",
        "data_dir": None,
        **changes,
    }


def plan(system: str = "python:turns_router:Turns", **changes: Any) -> Plan:
    return make_plan(**settings(**{"systems": [system], "train": "train.jsonl", **changes}))


def make(path: Path, *systems: str, **changes: Any) -> Finished:
    made = plan(**({"systems": list(systems)} if systems else {}), **changes)
    return run(made, path, command=["test"], quiet=True)


def test_a_learner_is_shown_rows_in_order_and_their_money_stands_apart(
    diary: Path, tmp_path: Path
) -> None:
    finished = make(tmp_path / "run", "python:turns_router:Turns", "single:nano")
    assert finished.exit_code == 0
    taught = [json.loads(line) for line in diary.read_text().splitlines()]
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert [row[0] for row in taught] == [row["problem"] for row in rows]
    assert [row[1] for row in taught] == ["mini", "nano"] * (ROWS // 2)
    assert {row[2] for row in taught} <= {0.0, 1.0}

    lines = list(read_ledger(tmp_path / "run"))
    training_usd = sum_usd(line.list_cost_usd for line in lines if line.call.startswith(MARK))
    assert training_usd == sum_usd(Decimal(row[3]) for row in taught) > 0
    episodes = read_episodes(tmp_path / "run")
    assert len(episodes) == 2 * PROBLEMS
    scored_usd = sum_usd(episode.list_cost_usd for episode in episodes)
    assert finished.summary.list_cost_usd == training_usd + scored_usd
    (note,) = read_summary(tmp_path / "run").notes  # and none about costs that do not add up
    assert "turns: learned from 6 of 6 rows of train, then frozen; its calls cost $" in note


def test_a_run_that_was_cut_short_learns_the_same_and_pays_nothing_twice(
    diary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "from tests_of_training import *\nmake(Path('cut'))\n"
    (tmp_path / "tests_of_training.py").write_text(Path(__file__).read_text())
    monkeypatch.setenv("STOP_AT", "4")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == 9
    assert not (tmp_path / "cut/episodes.jsonl").read_text()
    paid = [line.call for line in read_ledger(tmp_path / "cut")]
    assert len(paid) == 4
    monkeypatch.delenv("STOP_AT")
    diary.unlink()
    finished = make(tmp_path / "cut")
    whole = make(tmp_path / "whole")
    assert finished.exit_code == 0
    calls = [line.call for line in read_ledger(tmp_path / "cut")]
    assert len(calls) == len(set(calls)) == ROWS + PROBLEMS
    assert finished.summary.rows == whole.summary.rows
    assert finished.summary.list_cost_usd == whole.summary.list_cost_usd
    assert finished.summary.notes == whole.summary.notes
    taught = diary.read_text().splitlines()
    assert taught[:ROWS] == taught[ROWS:]


def test_a_finished_run_learns_no_more(diary: Path, tmp_path: Path) -> None:
    first = make(tmp_path / "run")
    written = diary.read_text()
    again = make(tmp_path / "run")
    assert diary.read_text() == written
    assert again.summary == first.summary


def test_one_that_learns_something_else_the_second_time_is_refused(
    diary: Path, tmp_path: Path
) -> None:
    made = plan("python:turns_router:Turns")
    run(made, tmp_path / "run", command=["test"], quiet=True)
    lines = (tmp_path / "run/episodes.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "run/episodes.jsonl").write_text("".join(lines[:-1]))
    records = (
        (tmp_path / "run" / RECORDS_NAME).read_text().replace('"expert":"mini"', '"expert":"large"')
    )
    (tmp_path / "run" / RECORDS_NAME).write_text(records)
    with pytest.raises(ConfigError, match="turns does not learn the same thing twice") as caught:
        make(tmp_path / "run")
    assert "\n" not in str(caught.value)


def test_the_cap_holds_while_learning(diary: Path, tmp_path: Path) -> None:
    finished = run(
        plan(), tmp_path / "run", command=["test"], quiet=True, max_cost_usd=Decimal("0.000001")
    )
    assert finished.exit_code == 3
    assert not diary.exists()
    assert not read_episodes(tmp_path / "run")
    assert make(tmp_path / "run").exit_code == 0


def test_a_threshold_needs_no_call(diary: Path, tmp_path: Path) -> None:
    finished = make(tmp_path / "run", "python:turns_router:length@share=0.5")
    assert {line.call.startswith(MARK) for line in read_ledger(tmp_path / "run")} == {False}
    (note,) = finished.summary.notes
    assert "from 6 rows of train: strong (reasoner) from this score on, 3 rows or 50.0%" in note
    assert note.endswith("; no calls")


def test_an_estimate_says_what_learning_may_cost(diary: Path) -> None:
    made = plan(systems=["python:turns_router:Turns", "python:turns_router:length@share=0.5"])
    text = render_estimate(estimate(made, None, 1), made, None)
    assert "on top: turns learns from 6 rows of train, a call for each: at the worst $" in text
    replay = replace(made, mode="replay")
    assert "at the worst $0 a system" in render_estimate(estimate(replay, None, 1), replay, None)


def test_rows_and_learners_belong_together(diary: Path) -> None:
    cases: list[tuple[Callable[[], Plan], str]] = [
        (lambda: plan(train=None), "'turns' learns first: name rows with --train"),
        (lambda: plan("single:nano"), "none of the systems learns; drop it"),
        (lambda: plan(train="test.jsonl"), "4 of its problems are scored in test"),
    ]
    for make_it, line in cases:
        with pytest.raises(ConfigError) as caught:
            make_it()
        assert line in str(caught.value)


def test_other_rows_are_another_run(diary: Path, tmp_path: Path) -> None:
    first = plan().run_id
    lines = (tmp_path / "train.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "fewer.jsonl").write_text("".join(lines[:3]))
    assert plan(train="fewer.jsonl").run_id != first
    assert plan().run_id == first


def test_budgets_take_turns_over_the_rows(diary: Path, tmp_path: Path) -> None:
    (tmp_path / "budget_router.py").write_text(
        "class Reads:\n"
        "    def decide(self, prompt, experts, budget):\n"
        "        return experts[0 if budget.name == 'low' else 1].name\n"
        "    def learn(self, prompt): ...\n"
    )
    made = plan("python:budget_router:Reads", budget="low=0.001,high=0.1")
    run(made, tmp_path / "run", command=["test"], quiet=True)
    records = (tmp_path / "run" / RECORDS_NAME).read_text().splitlines()
    assert [json.loads(line)["budget"] for line in records] == ["low", "high"] * (ROWS // 2)
