"""From names and files to problems, with the digest on guard."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from corl_bench.errors import ConfigError, DigestMismatchError
from corl_bench.tasks import load_task, rows_digest
from corl_bench.tasks.loading import sample
from corl_bench.types import Problem

SPEC = """
name = "tiny"
title = "Tiny"
kind = "integer"
prompt = "{problem}"
default_split = "test"
licence = "MIT"
redistributable = true
[splits.test]
count = 3
digest = "DIGEST"
[splits.train]
[[mend]]
field = "problem"
find = "\\u000Crac"
replace = '\\frac'
[[mend]]
field = "answer"
find = ""
replace = "5"
where = "no gold"
"""

ROWS: list[dict[str, Any]] = [
    {"id": "a", "problem": r"What is $\frac{4}{2}$?", "answer": "2.0", "level": 4, "subject": "A"},
    {"id": "b", "question": "Half of 146?", "gold": "073"},
    {"id": "c", "problem": "There is no gold here: 2 + 3?", "answer": ""},
]
PROBLEMS = [
    Problem("a", r"What is $\frac{4}{2}$?", "2", "integer", "A", 4),
    Problem("b", "Half of 146?", "73", "integer"),
    Problem("c", "There is no gold here: 2 + 3?", "5", "integer"),
]


@pytest.fixture(autouse=True)
def no_data_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CORL_DATA_DIR", raising=False)


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """A task file, pinned to `PROBLEMS`, with its rows in tmp_path/data."""
    path = tmp_path / "task.toml"
    path.write_text(SPEC.replace("DIGEST", rows_digest(PROBLEMS)))
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "tiny_test.jsonl", ROWS)
    return str(path)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_rows_are_mended_normalised_and_pinned(tiny: str, tmp_path: Path) -> None:
    task = load_task(tiny, data_dir=tmp_path / "data")
    assert list(task.problems) == PROBLEMS
    assert (task.split, task.digest_status, task.total) == ("test", "pinned", 3)
    assert task.source == str(tmp_path / "data" / "tiny_test.jsonl")
    assert task.label == "tiny"


def test_a_damaged_copy_is_mended_to_the_same_digest(tiny: str, tmp_path: Path) -> None:
    damaged = [{**ROWS[0], "problem": "What is $\frac{4}{2}$?"}, *ROWS[:0:-1]]
    assert "\f" in str(damaged[0]["problem"])
    write(tmp_path / "data" / "tiny_test.jsonl", damaged)
    assert load_task(tiny, data_dir=tmp_path / "data").digest_status == "pinned"


def test_other_rows_are_refused_in_one_line(tiny: str, tmp_path: Path) -> None:
    file = write(tmp_path / "data" / "tiny_test.jsonl", [*ROWS[:2], {**ROWS[2], "answer": "6"}])
    with pytest.raises(DigestMismatchError) as caught:
        load_task(tiny, data_dir=tmp_path / "data")
    message = str(caught.value)
    task = load_task(tiny, data_dir=tmp_path / "data", allow_digest_mismatch=True)
    assert task.digest_status == "mismatch-allowed"
    for part in (str(file), rows_digest(PROBLEMS), task.digest, "--allow-digest-mismatch"):
        assert part in message
    assert "\n" not in message
    assert caught.value.exit_code == 2


def test_a_missing_row_is_counted(tiny: str, tmp_path: Path) -> None:
    write(tmp_path / "data" / "tiny_test.jsonl", ROWS[:2])
    with pytest.raises(DigestMismatchError, match="2 rows where 3 are expected"):
        load_task(tiny, data_dir=tmp_path / "data")


def test_a_split_without_a_digest_is_unpinned(tiny: str, tmp_path: Path) -> None:
    write(tmp_path / "data" / "tiny_train.jsonl", ROWS[:1])
    task = load_task(f"{tiny}:train", data_dir=tmp_path / "data")
    assert (task.digest_status, task.digest, task.label) == (
        "unpinned",
        rows_digest(PROBLEMS[:1]),
        "tiny:train",
    )
    assert load_task(tiny, split="train", data_dir=tmp_path / "data") == task


def test_the_default_split_may_do_without_its_name(tiny: str, tmp_path: Path) -> None:
    (tmp_path / "data" / "tiny_test.jsonl").rename(tmp_path / "data" / "tiny.jsonl")
    assert load_task(tiny, data_dir=tmp_path / "data").digest_status == "pinned"
    with pytest.raises(ConfigError, match=r"has no tiny_train\.jsonl, rows"):
        load_task(tiny, split="train", data_dir=tmp_path / "data")


def test_the_environment_names_the_folder_too(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORL_DATA_DIR", str(tmp_path / "data"))
    assert load_task(tiny).digest_status == "pinned"


def test_rows_that_no_library_has_are_asked_for(tiny: str) -> None:
    with pytest.raises(ConfigError, match=r"tiny_test\.jsonl into a folder and pass --data-dir"):
        load_task(tiny)


def test_rows_without_a_gold_stop_the_load_or_are_left_out(tiny: str, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"problem": "1?", "answer": " "},
        {"question": "2?", "gold": 2},
        {"problem": "3?"},
    ]
    file = write(tmp_path / "data" / "tiny_train.jsonl", rows)
    with pytest.raises(ConfigError, match=f"^{re.escape(str(file))}:1: the answer is empty$"):
        load_task(tiny, split="train", data_dir=tmp_path / "data")
    text = Path(tiny).read_text()
    Path(tiny).write_text(text.replace("[splits.train]", "[splits.train]\nskip_unanswered = true"))
    task = load_task(tiny, split="train", data_dir=tmp_path / "data")
    assert [problem.text for problem in task.problems] == ["2?"]


def test_a_broken_row_is_named_by_file_and_line(tiny: str, tmp_path: Path) -> None:
    file = write(tmp_path / "data" / "tiny_test.jsonl", [*ROWS, {"problem": "x", "answer": "y"}])
    with pytest.raises(ConfigError) as caught:
        load_task(tiny, data_dir=tmp_path / "data")
    assert str(caught.value) == f"{file}:4: the answer 'y' is not an integer"


def test_an_id_that_stands_twice_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.jsonl", [ROWS[0], ROWS[1], ROWS[0]])
    with pytest.raises(ConfigError, match=r"mine\.jsonl:3: id 'a' is row 1's too"):
        load_task(str(file))


def test_a_declared_difficulty_stands_in_every_problem(tiny: str, tmp_path: Path) -> None:
    text = Path(tiny).read_text()
    Path(tiny).write_text(text + '[simulation]\nsubject = "AIME"\nlevel = 5\n')
    problems = load_task(tiny, data_dir=tmp_path / "data").problems
    assert {(problem.subject, problem.level) for problem in problems} == {("AIME", 5)}


def test_any_file_of_problems_is_a_task(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"problem": "1 + 1?", "answer": 2.0},
        {"question": "2 + 2?", "gold": "4"},
    ]
    task = load_task(str(write(tmp_path / "mine.jsonl", rows)))
    assert [(p.id, p.answer, p.kind) for p in task.problems] == [
        ("mine/0", "2", "math"),
        ("mine/1", "4", "math"),
    ]
    assert (task.spec.name, task.split, task.digest_status) == ("mine", "all", "unpinned")
    assert task.label == "mine"


def test_a_files_rows_may_name_their_kind_and_split(tmp_path: Path) -> None:
    rows = [
        {"problem": "A or B?", "answer": "A", "kind": "choice", "split": "train"},
        {"problem": "C or D?", "answer": "d", "kind": "choice", "split": "test"},
    ]
    file = write(tmp_path / "mine.jsonl", rows)
    assert load_task(str(file)).spec.kind == "choice"
    only = load_task(f"{file}:test")
    assert [(problem.id, problem.answer) for problem in only.problems] == [("mine/1", "D")]
    assert load_task(str(file), split="test") == only
    with pytest.raises(ConfigError, match="no row whose `split` is 'dev'"):
        load_task(f"{file}:dev")


def test_an_empty_file_is_no_task(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no rows"):
        load_task(str(write(tmp_path / "mine.jsonl", [])))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("math5000", r"no task or file 'math5000'; near: math500"),
        ("gsmk8:train", r"near: gsm8k"),
        ("zzz", r"there are aime24, aime25"),
        ("gsm8k:dev", r"task gsm8k has no split 'dev'; it has test, train"),
        ("./none.jsonl", r"none\.jsonl: cannot be read"),
        ("none.toml", r"none\.toml: not a readable task file"),
        ("", r"no task or file ''"),
    ],
)
def test_a_name_that_is_nothing_is_answered_with_what_there_is(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_task(name)
    assert "\n" not in str(caught.value)


def test_two_splits_are_one_too_many() -> None:
    with pytest.raises(ConfigError, match="two splits"):
        load_task("gsm8k:train", split="test")


def test_a_built_in_name_wins_over_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gsm8k").mkdir()
    with pytest.raises(ConfigError, match=r"gsm8k has no gsm8k_test\.jsonl or gsm8k\.jsonl"):
        load_task("gsm8k", data_dir=Path("gsm8k"))


def test_a_file_called_like_a_built_in_task_is_not_shown_as_that_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"problem": "1+1?", "answer": "2"}]
    assert load_task(str(write(Path("gsm8k.jsonl"), rows))).label == "gsm8k.jsonl"
    Path("math500").mkdir()
    folder = load_task(str(write(Path("math500/problems.jsonl"), rows)))
    assert folder.label == "math500/problems.jsonl"


def test_a_limit_is_a_seeded_sample_in_task_order(tmp_path: Path) -> None:
    rows = [{"id": f"p{n:03d}", "problem": f"{n}?", "answer": n} for n in range(200)]
    file = str(write(tmp_path / "mine.jsonl", rows))
    whole = load_task(file)
    task = load_task(file, limit=20)
    ids = [problem.id for problem in task.problems]
    assert len(ids) == 20
    assert ids == sorted(ids)
    assert ids != [f"p{n:03d}" for n in range(20)]
    assert task == load_task(file, limit=20, seed=0)
    assert ids != [problem.id for problem in load_task(file, limit=20, seed=1).problems]
    assert (task.digest, task.total) == (whole.digest, 200)
    assert load_task(file, limit=200) == load_task(file, limit=999) == whole


def test_the_sample_is_the_same_on_every_machine_and_grows() -> None:
    problems = tuple(Problem(f"p{n}", "?", "1") for n in range(10))
    few = [problem.id for problem in sample(problems, 3, seed=7)]
    assert few == ["p2", "p5", "p6"]
    assert set(few) < {problem.id for problem in sample(problems, 6, seed=7)}


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_is_at_least_one(limit: int) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        load_task("gsm8k", limit=limit)


@pytest.mark.parametrize("split", ["test", "validation", "train"])
def test_the_generated_task_needs_no_data_and_is_pinned(split: str) -> None:
    task = load_task("synth", split=split)
    assert (task.digest_status, task.source) == ("pinned", "generated")
    assert load_task("synth", split=split, seed=5).problems == task.problems
    assert len(load_task("synth", split=split, limit=7).problems) == 7
