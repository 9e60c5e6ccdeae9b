"""`corl-bench recordings import | export | stats` from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from corl_bench.cli.recordings import command
from corl_bench.errors import ConfigError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [
        {
            "problem_id": problem_id,
            "model": model,
            "response_text": answer,
            "prompt_tokens": 1000,
            "completion_tokens": 5,
            "token_source": "estimated-words",
            "correct_by_source_grader": answer == "4",
            "gold": "4",
        }
        for model, answer in (("small", "5"), ("large", "4"))
        for problem_id in ("a", "b")
    ]
    problems = [{"problem_id": "a", "problem": "2 + 2?"}, {"problem_id": "b", "problem": "1 + 3?"}]
    for name, content in (("answers.jsonl", rows), ("problems.jsonl", problems)):
        Path(name).write_text("".join(json.dumps(row) + "\n" for row in content))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def output_of(*arguments: str) -> list[str]:
    result = run(*arguments)
    assert result.exception is None, result.exception
    assert result.exit_code == 0
    return result.output.splitlines()


def refusal_of(*arguments: str) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, ConfigError)
    assert "\n" not in str(result.exception)
    return str(result.exception)


def test_import_sums_up_what_it_read() -> None:
    lines = output_of("import", "s.sqlite", "answers.jsonl", "--problems", "problems.jsonl")
    assert lines[0] == "imported 4 rows from 1 file into s.sqlite"
    assert " ".join(lines[1].split()) == "expert rows problems samples input output judged"
    assert " ".join(lines[2].split()) == "large 2 2 1 2,000~ 10~ 100.00 % of 2"
    assert " ".join(lines[3].split()) == "small 2 2 1 2,000~ 10~ 0.00 % of 2"
    assert "estimated" in lines[4]
    assert lines[5] == "columns not needed: gold"


def test_import_again_says_that_there_is_nothing_new() -> None:
    files = ("answers.jsonl", "problems.jsonl")
    output_of("import", "s.sqlite", *files)
    before = Path("s.sqlite").read_bytes()
    assert output_of("import", "s.sqlite", *files)[0] == (
        "nothing new: s.sqlite has all 4 rows already"
    )
    assert Path("s.sqlite").read_bytes() == before


def test_import_of_a_folder() -> None:
    assert output_of("import", "sub/s.sqlite", ".")[0].startswith("imported 4 rows from 1 file")


def test_import_with_names_for_columns_and_expert() -> None:
    row = {"q": "2 + 2?", "text": "4", "usage": {"input_tokens": 1, "output_tokens": 1}}
    Path("mine.jsonl").write_text(json.dumps(row))
    columns = ("--column", "problem=q", "--column", "response=text")
    options = (*columns, "--expert", "mine", "--label", "by hand")
    output_of("import", "s.sqlite", "mine.jsonl", *options)
    (line,) = output_of("export", "s.sqlite")
    assert json.loads(line) == {
        "problem": "2 + 2?",
        "expert": "mine",
        "model": "mine",
        "sample": 0,
        "label": "by hand",
        "response": "4",
        "usage": {"input_tokens": 1, "output_tokens": 1},
        "finish": "stop",
    }


def test_import_that_fails_is_one_line_and_stores_nothing() -> None:
    assert refusal_of("import", "s.sqlite", "answers.jsonl").startswith("answers.jsonl:1: ")
    assert "OURS=THEIRS" in refusal_of("import", "s.sqlite", "answers.jsonl", "--column", "a=")
    assert not Path("s.sqlite").exists()
    output_of("import", "s.sqlite", ".")
    refusal_of("import", "s.sqlite", "answers.jsonl", "--column", "a=")
    assert output_of("stats", "s.sqlite")[0].startswith("s.sqlite: 4 calls")


def test_export_to_a_file_and_back() -> None:
    output_of("import", "s.sqlite", ".")
    assert output_of("export", "s.sqlite", "--out", "out.zst") == ["wrote 4 calls to out.zst"]
    assert output_of("import", "t.sqlite", "out.zst")[0] == (
        "imported 4 rows from 1 file into t.sqlite"
    )
    assert output_of("export", "t.sqlite") == output_of("export", "s.sqlite")
    assert len(output_of("export", "s.sqlite", "--expert", "small")) == 2
    assert "has no recording of 'huge'" in refusal_of("export", "s.sqlite", "--expert", "huge")


def test_export_never_overwrites_the_store() -> None:
    output_of("import", "s.sqlite", ".")
    before = Path("s.sqlite").read_bytes()
    Path("link.sqlite").symlink_to("s.sqlite")
    for out in ("s.sqlite", "./s.sqlite", "link.sqlite"):
        assert "is the store itself" in refusal_of("export", "s.sqlite", "--out", out)
    assert Path("s.sqlite").read_bytes() == before


def test_stats_as_table_and_as_json() -> None:
    output_of("import", "s.sqlite", ".")
    lines = output_of("stats", "s.sqlite")
    assert lines[0].startswith("s.sqlite: 4 calls, ")
    assert " ".join(lines[2].split()) == "large 2 2 2 1 0 2,000~ 10~ 0 100.00 % of 2"
    stats = json.loads("\n".join(output_of("stats", "s.sqlite", "--json")))
    assert (stats["calls"], stats["schema_version"], stats["path"]) == (4, 1, "s.sqlite")
    assert stats["experts"][1] == {
        "expert": "small",
        "model": "small",
        "calls": 2,
        "imported": 2,
        "problems": 2,
        "samples": 1,
        "attempts": 2,
        "errors": 0,
        "input_tokens": 2000,
        "cached_input_tokens": 0,
        "output_tokens": 10,
        "reasoning_tokens": 0,
        "estimated": 2,
        "judged": 2,
        "judged_correct": 0,
    }


@pytest.mark.parametrize("verb", ["export", "stats"])
def test_a_missing_store_is_one_line(verb: str) -> None:
    assert "no recordings at none.sqlite" in refusal_of(verb, "none.sqlite")
    assert not Path("none.sqlite").exists()
