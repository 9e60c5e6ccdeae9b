"""Where an import writes, and what of its command line is refused before anything is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from corl_bench.errors import ConfigError, StorageError
from corl_bench.experts.store import RecordingStore
from corl_bench.interop.staging import require_free, staged

Call = Callable[..., tuple[int, str, str]]
Lines = Callable[[Path, Iterable[Any]], Path]


@pytest.fixture
def trace(tmp_path: Path, lines: Lines) -> Path:
    spent = {"input_tokens": 14, "output_tokens": 3}
    calls = [{"expert": "nano", "model": "openai/gpt-4.1-nano", "usage": spent, "text": "4"}]
    row = {"task": "quiz", "problem_id": "1", "problem": "2 + 2?", "gold": "4", "system": "mine"}
    return lines(tmp_path / "trace.jsonl", [{**row, "calls": calls, "answer": "4"}])


def reply(number: int, **facts: Any) -> dict[str, Any]:
    row = {
        "global_index": f"AIME_{number}",
        "question": f"Question {number}",
        "llm_selected": "haiku",
        "generated_answer": "610",
        "token_usage": {"input_tokens": 349, "output_tokens": 120},
        "success": True,
        "evaluation_result": {"ground_truth": "610", "score": 1.0, "inference_cost": 0.1},
    }
    return {**row, **facts}


def everything(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def test_a_task_is_not_written_over_what_is_there(tmp_path: Path, call: Call, trace: Path) -> None:
    before = everything(tmp_path)
    code, out, said = call(
        *("import", "trace", trace, "--out", tmp_path / "run", "--write-task", trace)
    )
    assert (code, out) == (2, "")
    assert f"{trace} is there already: name another place with --write-task" in said
    assert everything(tmp_path) == before


@pytest.mark.parametrize("target", ["--out", "--recordings"])
@pytest.mark.parametrize("name", ["new.jsonl", "folder/new.jsonl", "trace.jsonl/x"])
def test_what_is_no_task_leaves_no_results_either(
    tmp_path: Path, call: Call, lines: Lines, trace: Path, target: str, name: str
) -> None:
    """The second reply has no gold, so that results can be written and a task cannot."""
    rows = [reply(1), reply(2)]
    rows[1]["evaluation_result"].pop("ground_truth")
    path = lines(tmp_path / "cached.jsonl", rows)
    before = everything(tmp_path)
    code, out, said = call(
        *("import", "routerarena", path, target, tmp_path / "to", "--write-task", tmp_path / name)
    )
    assert (code, out) == (2, "")
    assert said.count("\n") == 1
    assert everything(tmp_path) == before


def test_what_cannot_be_stored_leaves_no_task(tmp_path: Path, call: Call, lines: Lines) -> None:
    path = lines(tmp_path / "cached.jsonl", [reply(1), reply(2, token_usage=None)])
    before = everything(tmp_path)
    places = ("--recordings", tmp_path / "s.sqlite", "--write-task", tmp_path / "deep/t.jsonl")
    code, _, said = call("import", "routerarena", path, *places)
    assert code == 2
    assert "no token counts" in said
    assert everything(tmp_path) == before


@pytest.mark.parametrize("target", ["--out", "--recordings"])
def test_both_are_written(tmp_path: Path, call: Call, lines: Lines, target: str) -> None:
    path = lines(tmp_path / "cached.jsonl", [reply(1)])
    task = tmp_path / "deep/t.jsonl"
    code, said, _ = call(
        *("import", "routerarena", path, target, tmp_path / "to", "--write-task", task)
    )
    assert code == 0, said
    assert said.splitlines()[-1] == f"wrote 1 problems to {task}"
    assert json.loads(task.read_text())["answer"] == "610"
    if target == "--recordings":
        with RecordingStore.open(tmp_path / "to") as store:
            assert [expert.expert for expert in store.stats().experts] == ["haiku"]
    else:
        assert (tmp_path / "to/summary.json").exists()


@pytest.mark.parametrize(
    ("out", "task"), [("new", "new"), ("new", "new/t.jsonl"), ("new/run", "new"), (".", "t.jsonl")]
)
def test_places_within_each_other(
    tmp_path: Path, call: Call, trace: Path, monkeypatch: pytest.MonkeyPatch, out: str, task: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = everything(tmp_path)
    code, _, said = call("import", "trace", trace, "--out", out, "--write-task", task)
    assert (code, said.count("\n")) == (2, 1)
    assert everything(tmp_path) == before


def test_a_taken_name_is_refused_before_anything_is_read(tmp_path: Path, call: Call) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/notes.txt").write_text("mine")
    code, _, said = call("import", "trace", tmp_path / "missing", "--out", tmp_path / "run")
    assert code == 2
    assert "run is there already" in said


def test_an_empty_folder_is_nothing(tmp_path: Path, call: Call, trace: Path) -> None:
    (tmp_path / "run").mkdir()
    assert call("import", "trace", trace, "--out", tmp_path / "run/../run")[0] == 0
    assert (tmp_path / "run/summary.json").exists()


def test_the_working_directory_is_refused_in_one_line(
    tmp_path: Path, call: Call, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    for place in (".", here, "../here"):
        code, _, said = call("import", "trace", trace, "--out", place)
        assert code == 2
        assert said.endswith("is the folder that you are in: name a new one with --out\n")


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError), staged(tmp_path / "a/b/c") as part:
        part.mkdir()
        (part / "file").write_text("half")
        raise ConfigError("no")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file is no folder"):
        require_free(tmp_path / "file/below")


@pytest.mark.parametrize(
    ("form", "options", "words"),
    [
        ("routerbench", ("--out", "x", "--system", "mine"), "--system means nothing here"),
        ("routerbench", ("--out", "x", "--scorer", "acc"), "--scorer means nothing here"),
        ("trace", ("--out", "x", "--scorer", "acc"), "trace has one score a reply"),
        ("trace", ("--out", "x", "--label", "mine"), "--label means nothing here: it belongs to"),
        ("zeroeval", ("--out", "x", "--estimate-tokens"), "--estimate-tokens means nothing here"),
        ("inspect", ("--out", "x", "--pool", "p.toml"), "--pool means nothing here"),
        ("inspect", ("--out", "x", "--price-date", "2026-01-01"), "it belongs to --costs prices"),
        ("inspect", ("--recordings", "x", "--costs", "prices"), "token counts and no costs"),
    ],
)
def test_options_that_mean_nothing(
    call: Call, form: str, options: tuple[str, ...], words: str
) -> None:
    code, _, said = call("import", form, "missing", *options)
    assert (code, said.count("\n")) == (2, 1)
    assert words in said
