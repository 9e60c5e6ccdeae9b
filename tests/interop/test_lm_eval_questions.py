"""What lm-eval asks and what it came to, without lm-eval: requests, arguments, money, stops."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.errors import CapReachedError, ConfigError, CorlError
from corl_bench.interop.lm_eval.costs import cost_lines, costs_of
from corl_bench.interop.lm_eval.questions import Chat, read_requests
from corl_bench.interop.lm_eval.rows import problem_of, rows_of
from corl_bench.interop.lm_eval.session import answer
from corl_bench.interop.lm_eval.settings import read_settings
from corl_bench.money.ledger import read_ledger
from corl_bench.results.preflight import read_findings
from corl_bench.routers.endpoint_preflight import PreflightError
from corl_bench.tasks import load_task
from corl_bench.tasks.locate import task_files
from servers.endpoint_run import POOL
from servers.router_server import RouterServer, at_random


@dataclass
class Asked:
    """A request as lm-eval hands it over."""

    doc: Mapping[str, Any]
    context: str
    until: Any = ()
    task_name: str | None = "theirs"
    doc_id: int | None = 0
    args: tuple[Any, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.args = (self.context, {"until": self.until, "temperature": 0.0})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def quiz(here: Path) -> Path:
    """Rows of a task of the user's own."""
    rows = [{"id": str(n), "problem": f"What is {n} + {n}?", "answer": str(2 * n)} for n in (3, 30)]
    (here / "quiz.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return here / "quiz.jsonl"


def test_rows_hold_all_that_makes_the_problem_again(quiz: Path) -> None:
    task = load_task(str(quiz))
    rows = rows_of(str(quiz))
    assert [problem_of(row) for row in rows] == list(task.problems)
    assert problem_of({"problem": "What is 1 + 1?"}) is None


def test_a_row_of_ours_is_known_and_asked_as_a_run_asks(quiz: Path) -> None:
    row = rows_of(str(quiz))[1]
    (question,) = read_requests([Asked(row, row["prompt"], task_name="corl_quiz")], known=())
    assert question.is_known
    assert (question.label, question.problem.id, question.sample) == ("quiz", "30", 0)
    assert [message.content for message in question.prompt] == [row["prompt"]]


@pytest.mark.parametrize(
    ("row", "context"),
    [
        # The few-shot example is a known statement, too, and longer than the question.
        ({"q": "What is 3 + 3?"}, "Q: What is 30 + 30?\nA: 60\n\nQ: What is 3 + 3?\nA:"),
        ({"body": "What is 3", "tail": "+ 3?"}, "Q: What is 3\n+ 3?\nA:"),
    ],
)
def test_a_foreign_row_is_known_by_its_statement(quiz: Path, row: Any, context: str) -> None:
    (question,) = read_requests([Asked(row, context)], known=[load_task(str(quiz))])
    assert (question.label, question.problem.id) == ("quiz", "3")
    assert question.prompt[0].content == context


def test_of_an_unknown_row_the_system_is_told_the_context_and_no_gold() -> None:
    (question,) = read_requests([Asked({"answer": "42", "id": "x"}, "6 × 7?")], known=())
    assert not question.is_known
    assert (question.problem.text, question.problem.answer) == ("6 × 7?", "")


def test_a_request_that_is_none_of_the_known_rows_is_refused(quiz: Path) -> None:
    with pytest.raises(ConfigError, match="request 7 of theirs holds no statement of quiz"):
        read_requests([Asked({}, "What is 4 + 4?", doc_id=7)], known=[load_task(str(quiz))])


def test_repeats_are_samples_and_two_tasks_on_one_problem_have_lines_of_their_own(
    quiz: Path,
) -> None:
    row = rows_of(str(quiz))[0]
    ours, theirs = Asked(row, row["prompt"], task_name="a"), Asked(row, "…", task_name="b")
    questions = read_requests([ours, ours, theirs], known=())
    assert [(q.label, q.sample) for q in questions] == [("quiz", 0), ("quiz", 1), ("quiz@b", 0)]


def test_a_chat_stays_a_conversation() -> None:
    chat = Chat.of([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hm?"}])
    (question,) = read_requests([Asked({}, chat)], known=())
    assert [message.role for message in question.prompt] == ["system", "user"]
    assert question.problem.text == "Hm?"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "name a routing system"),
        ({"system": "single:*"}, "is 5 systems"),
        ({"system": "oracle"}, "looks at golds"),
        ({"system": "nosuch"}, "unknown routing system"),
        ({"system": "random", "budget": "low,high"}, "budget=low,high is 2 budgets"),
        ({"system": "random", "budget": "bogus"}, "budget=bogus: .*names low, medium, high"),
        ({"system": "random", "budget": 0}, "budget=0: write dollars above 0"),
        ({"system": "random", "bugdet": "low"}, "did you mean budget"),
        ({"system": "random", "mode": "fast"}, "is none of auto"),
        ({"system": "random", "mode": "replay"}, "needs recordings=FILE"),
        ({"system": "random", "concurrency": 0}, "no whole number of at least 1"),
        ({"system": "random", "price_date": "today"}, "price_date=today"),
        ({"system": "random", "problems": "nosuch"}, "nosuch"),
    ],
)
def test_arguments_that_cannot_work_are_one_line(given: dict[str, Any], said: str) -> None:
    with pytest.raises(CorlError, match=said) as refused:
        read_settings(given)
    assert "\n" not in str(refused.value)
    # Options of `corl-bench run` are none of lm-eval's.
    assert set(re.findall(r"--[a-z-]+", str(refused.value))) <= {"--model"}


def test_arguments_are_read_as_they_were_written() -> None:
    settings = read_settings(
        {"system": "random", "budget": 0.00005, "batch_size": 1, "device": "cuda:0"}
    )
    assert settings.budget is not None
    assert settings.budget.usd == Decimal("0.00005")
    assert settings.told is None, "random is blind to budgets"
    assert settings.directory.parts[0] == "runs"


def _ask(quiz: Path, count: int = 2, **given: Any) -> Any:
    rows = rows_of(str(quiz))[:count]
    requests = [Asked(r, r["prompt"], task_name="corl_quiz", doc_id=n) for n, r in enumerate(rows)]
    settings = read_settings({"system": "cascade:nano>mini>large", **given})
    questions = read_requests(requests, settings.known)
    return settings, questions, answer(settings, questions, command=["test"])


def test_every_dollar_is_on_the_ledger_and_a_second_time_nothing_is_billed(quiz: Path) -> None:
    settings, questions, answers = _ask(quiz, budget="low", out="books")
    total = sum(answered.list_cost_usd for answered in answers.each)
    lines = list(read_ledger(Path("books")))
    assert 0 < total == sum(line.list_cost_usd for line in lines) == answers.billed_cost_usd
    assert all(line.call.startswith("quiz|") for line in lines)

    costs = costs_of(settings, questions, answers)
    assert costs["tasks"]["corl_quiz"]["requests"] == 2
    assert Decimal(costs["list_cost_usd"]) == total
    assert Decimal(costs["tasks"]["corl_quiz"]["mean_list_cost_usd"]) == total / 2
    above = sum(answered.list_cost_usd > Decimal("0.0006") for answered in answers.each)
    assert costs["tasks"]["corl_quiz"]["over_budget"] == above
    (head, line, last) = cost_lines(costs)
    assert "simulated" in head
    assert "corl_quiz: 2 requests; list cost $" in line
    assert "books" in last
    json.dumps(costs)

    _, _, again = _ask(quiz, budget="low", out="books")
    assert again.each == answers.each
    assert again.billed_cost_usd == 0
    assert list(read_ledger(Path("books"))) == lines


def test_a_directory_of_other_settings_is_refused(quiz: Path) -> None:
    _ask(quiz, out="books")
    with pytest.raises(ConfigError, match="other settings"):
        _ask(quiz, out="books", seed=1)


def test_the_cap_holds_and_what_was_paid_for_is_kept(quiz: Path) -> None:
    with pytest.raises(CapReachedError, match=r"--model_args: .* higher max_cost goes on"):
        _ask(quiz, out="books", max_cost="0.0001")
    _, _, answers = _ask(quiz, out="books")
    assert sum(line.billed_cost_usd for line in read_ledger(Path("books"))) > 0
    assert all(not answered.failure for answered in answers.each)


def test_simulated_experts_want_to_know_the_problems(here: Path) -> None:
    settings = read_settings({"system": "single:nano"})
    questions = read_requests([Asked({}, "6 × 7?")], settings.known)
    with pytest.raises(ConfigError, match="theirs: simulated and recorded experts"):
        answer(settings, questions, command=[])
    assert not (here / "runs").exists()


def test_a_system_that_fails_is_counted_and_answers_nothing(
    quiz: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "breaks_here.py").write_text(
        "class Breaks:\n    name = 'breaks'\n    reads_budget = is_oracle = False\n"
        "    async def solve(self, problem, budget, episode):\n"
        "        await episode.call('nano')\n        raise ValueError('as it happens')\n"
    )
    monkeypatch.syspath_prepend(str(here))
    settings, questions, answers = _ask(quiz, system="python:breaks_here:Breaks")
    assert [answered.text for answered in answers.each] == ["", ""]
    assert all(answered.list_cost_usd > 0 for answered in answers.each)
    costs = costs_of(settings, questions, answers)
    assert costs["tasks"]["corl_quiz"]["failed"] == 2
    assert costs["failures"] == {"ValueError: as it happens": 2}
    assert any("2 failed" in line for line in cost_lines(costs))


def test_every_task_has_its_yaml() -> None:
    for path in task_files().values():
        folder = path.parent
        text = (folder / f"corl_{folder.name}.yaml").read_text()
        assert f"task: corl_{folder.name}\n" in text
        assert f"  corl_task: {folder.name}\n" in text


def _of_endpoint(folder: Path, url: str, **given: Any) -> dict[str, Any]:
    (folder / "pool.toml").write_text(POOL)
    paths = {"pool": str(folder / "pool.toml"), "out": str(folder / "out")}
    return {"system": f"endpoint:{url}#auto", **paths, **given}


def test_a_router_behind_an_address_proves_itself_first(tmp_path: Path) -> None:
    with RouterServer(routes=at_random) as coin:
        given = _of_endpoint(tmp_path, coin.url)
        with pytest.raises(PreflightError, match="picks at random"):
            answer(read_settings(given), [], ["test"])
        skipped = read_settings({**given, "skip_preflight": "true"})
        assert answer(skipped, [], ["test"]).each == ()
    (line,) = read_findings(tmp_path / "out").values()
    assert line.startswith("no preflight")


def test_no_cap_over_a_router_of_which_nobody_says_what_it_may_cost(tmp_path: Path) -> None:
    given = _of_endpoint(tmp_path, "http://127.0.0.1:9/v1", max_cost="1")
    with pytest.raises(ConfigError, match="no spending cap can be kept"):
        read_settings(given)
