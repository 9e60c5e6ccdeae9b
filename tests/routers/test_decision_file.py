from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.experts.recording import problem_key
from corl_bench.routers.decision_file import make_players, match_decisions
from corl_bench.routers.decisions import Deciding, DecisionError
from corl_bench.routers.registry import code_digest
from corl_bench.tasks import LoadedTask, load_task
from corl_bench.types import Budget

STATEMENTS = {"a": "What is 6 × 7?", "b": "What is 1 + 1?"}
LOW, HIGH = Budget("low", Decimal("0.01")), Budget("high", Decimal("1"))


@pytest.fixture
def task(tmp_path: Path) -> LoadedTask:
    rows = [{"id": n, "problem": text, "answer": "1"} for n, text in STATEMENTS.items()]
    path = tmp_path / "quiz.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_task(str(path))


@pytest.fixture
def play(tmp_path: Path, pool: Pool) -> Callable[..., Deciding]:
    def make(*rows: Any, name: str = "decided.jsonl") -> Deciding:
        path = tmp_path / name
        text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
        path.write_text(text, encoding="utf-8")
        (system,) = make_players(str(path), pool)
        assert isinstance(system, Deciding)
        return system

    return make


def by_id(**experts: str) -> list[dict[str, str]]:
    return [{"problem_id": problem, "expert": expert} for problem, expert in experts.items()]


@pytest.mark.parametrize(
    "rows",
    [
        by_id(a="dear", b="cheap", other="middle"),
        [
            {"problem_key": problem_key(STATEMENTS["a"]), "expert": "dear"},
            {"problem": " What is  1 + 1?", "expert": "cheap", "task": "quiz"},
        ],
        ["problem_id,expert,cost_usd", "a,dear,", "b,cheap,0.1"],
    ],
)
async def test_a_problem_goes_to_the_expert_of_its_row(
    play: Callable[..., Deciding],
    task: LoadedTask,
    episode_with: Callable[..., Any],
    rows: list[Any],
) -> None:
    name = "decided.csv" if isinstance(rows[0], str) else "decided.jsonl"
    system = match_decisions(play(*rows, name=name), [task], [])
    assert system.name == f"decisions:{name}"
    for problem, expert in (("a", "dear"), ("b", "cheap")):
        episode, provider = episode_with({"dear": ["x"], "cheap": ["y"]})
        await system.solve(STATEMENTS[problem], LOW, episode)
        assert provider.asked == [expert]
    with pytest.raises(DecisionError, match="no decision on this problem"):
        await system.solve("What is 2 + 2?", None, episode_with({})[0])


async def test_decisions_by_budget_and_their_costs(
    play: Callable[..., Deciding], task: LoadedTask, episode_with: Callable[..., Any]
) -> None:
    rows = [
        {"problem_id": n, "expert": expert, "budget": budget, "cost_usd": 1e-5}
        for n in STATEMENTS
        for budget, expert in (("low", "cheap"), ("high", "dear"))
    ]
    system = match_decisions(play(*rows), [task], [LOW, HIGH])
    assert system.reads_budget
    for budget, expert in ((LOW, "cheap"), (HIGH, "dear")):
        episode, provider = episode_with({"dear": ["x"], "cheap": ["y"]})
        await system.solve(STATEMENTS["a"], budget, episode)
        assert provider.asked == [expert]
        assert [charge.list_cost_usd for charge in episode.charges] == [Decimal("0.00001")]
    with pytest.raises(ConfigError, match="no decision on problem 'a' of quiz at budget 'middle'"):
        match_decisions(play(*rows), [task], [replace(LOW, name="middle")])
    with pytest.raises(ConfigError, match="name budgets with --budget"):
        match_decisions(play(*rows), [task], [])


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (by_id(a="deer"), ".jsonl:1: no expert 'deer' in pool 'test'; did you mean 'dear'?"),
        ([*by_id(a="dear"), *by_id(a="dear")], ".jsonl:2 decides on the problem of"),
        (
            [{"problem_id": "a", "exprt": "dear"}],
            ".jsonl:1: no column 'exprt'; did you mean 'expert'",
        ),
        ([{"problem_id": "a"}], ".jsonl:1: no expert"),
        (
            ['{"problem_id": "a", "expert": "dear", "expert": "cheap"}'],
            "an object has a key twice: 'expert'",
        ),
        (['   {"problem_id": "a"} x'], ".jsonl:1: no JSON: Extra data, column 24"),
        ([{"problem_id": "a", "expert": "dear", "budgt": 1}], "did you mean 'budget'?"),
        ([{"expert": "dear"}], ":1: name the problem by one of problem_id, problem_key"),
        ([{"problem_id": "a", "problem": "x", "expert": "dear"}], "by one of"),
        ([{"problem_id": 1.5, "expert": "dear"}], "problem_id must be text or a whole number"),
        ([{"problem_key": "abc", "expert": "dear"}], "problem_key must be a sha256"),
        ([{"problem_id": "a", "expert": ["dear"]}], "expert must be a short printable text"),
        ([{"problem_id": "a", "expert": "dear", "cost_usd": "$1"}], "cost_usd '$1' is no plain"),
        ([{"problem_id": "a", "expert": "dear", "cost_usd": -1}], ":1: cost_usd"),
        (['{"problem_id": "a", "expert": "dear", "cost_usd": NaN}'], ":1: NaN is no number"),
        ([*by_id(a="dear"), "not json"], ".jsonl:2: no JSON"),
        (["[1]"], ".jsonl:1: not a JSON object"),
        (["[" * 100_000], ".jsonl:1: no JSON"),
        ([], "holds no decision"),
        (
            [*by_id(a="dear"), {"problem_id": "b", "expert": "dear", "budget": "low"}],
            ":2: rows with a budget and rows without",
        ),
    ],
)
def test_a_row_that_cannot_be_used_is_one_line_that_says_where(
    play: Callable[..., Deciding], rows: list[Any], line: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        play(*rows)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (["problem_id,expert", "a"], ".csv:2: 1 cells under 2 columns"),
        (["problem_id,problem_id", "a,b"], ".csv:1: two columns have one name"),
        (["problem_id,expert", '"a,dear'], "no CSV"),
        (["problem_id,expert", "a,dear", '"b\nb",deer'], ".csv:4: no expert 'deer'"),
        (["id,expert", "a,dear"], ".csv:2: no column 'id'; there are budget, cost_usd"),
        (["problem_id, expert", "a,dear"], "no column ' expert'; did you mean 'expert'"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_line(
    play: Callable[..., Deciding], rows: list[str], line: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        play(*rows, name="decided.csv")
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_blank_lines_and_odd_separators_are_none(
    play: Callable[..., Deciding], task: LoadedTask
) -> None:
    lines = ["problem_id,expert", "", "a,dear", "b,cheap", "c\u2028d,cheap", "", ""]
    assert match_decisions(play(*lines, name="decided.csv"), [task], [])


def test_a_file_that_does_not_fit_the_problems_is_refused(
    play: Callable[..., Deciding], task: LoadedTask
) -> None:
    with pytest.raises(ConfigError, match="no decision on problem 'b' of quiz: add a row"):
        match_decisions(play(*by_id(a="dear")), [task], [])
    twice = [*by_id(a="dear", b="cheap"), {"problem": STATEMENTS["a"], "expert": "cheap"}]
    with pytest.raises(ConfigError, match=r"'a' of quiz goes to 'cheap', and .* to 'dear'"):
        match_decisions(play(*twice), [task], [])
    elsewhere = {"problem_id": "b", "expert": "dear", "task": "other"}
    with pytest.raises(ConfigError, match="no decision on problem 'b'"):
        match_decisions(play(*by_id(a="dear"), elsewhere), [task], [])


def test_an_id_that_two_tasks_have_needs_the_task(
    play: Callable[..., Deciding], task: LoadedTask, tmp_path: Path
) -> None:
    rows = [
        {"id": "a", "problem": "What is 9 × 9?", "answer": "81"},
        {"id": "c", "problem": STATEMENTS["b"], "answer": "2"},
    ]
    (tmp_path / "exam.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tasks = [task, load_task(str(tmp_path / "exam.jsonl"))]
    both = by_id(a="dear", b="cheap", c="cheap")
    with pytest.raises(ConfigError, match=r"jsonl:1: quiz and exam both have a problem 'a'"):
        match_decisions(play(*both), tasks, [])
    told = [{**both[0], "task": "quiz"}, {**both[0], "task": "exam"}, *both[1:]]
    match_decisions(play(*told), tasks, [])
    # By its statement a problem is the same in every task.
    by_text = [{"problem": STATEMENTS["b"], "expert": "cheap"}, *told[:2]]
    match_decisions(play(*by_text), tasks, [])


def test_a_file_that_cannot_be_read_is_one_line(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe")
    (tmp_path / "decided.txt").write_text("{}")
    for path, line in (
        (tmp_path / "missing.jsonl", "No such file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "bytes.jsonl", "not UTF-8"),
        (tmp_path / "decided.txt", "are a file .jsonl or .csv"),
        (Path("/dev/zero"), "more than 64 MiB"),
    ):
        with pytest.raises(ConfigError, match=line):
            make_players(str(path), pool)
    with pytest.raises(ConfigError, match="write decisions:FILE"):
        make_players("", pool)


async def test_decisions_are_played_by_runs_alone(
    play: Callable[..., Deciding], episode_with: Callable[..., Any]
) -> None:
    with pytest.raises(DecisionError, match="played by runs"):
        await play(*by_id(a="dear")).solve(STATEMENTS["a"], None, episode_with({})[0])


def test_other_decisions_are_another_system(play: Callable[..., Deciding]) -> None:
    first = code_digest(play(*by_id(a="dear")))
    assert first != code_digest(play(*by_id(a="cheap")))
