"""Rows through the real `datasets` library, from local folders laid out as on the hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from corl_bench.errors import ConfigError, DigestMismatchError, MissingExtraError
from corl_bench.tasks import load_task, rows_digest
from corl_bench.types import Problem

datasets = pytest.importorskip("datasets", reason="needs the extra corl-bench[datasets]")

HEAD = """
name = "tiny"
title = "Tiny"
kind = "{kind}"
prompt = "{{problem}}"
default_split = "test"
licence = "MIT"
redistributable = true
"""


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for a dataset; the library caches elsewhere under tmp_path."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CORL_DATA_DIR", raising=False)
    datasets.disable_progress_bars()
    folder = tmp_path / "hub"
    folder.mkdir()
    return folder


def publish(hub: Path, tables: dict[tuple[str, str], list[dict[str, Any]]]) -> None:
    """Writes rows by (configuration, split), with the card that says which file is which."""
    card: dict[str, list[str]] = {}
    for (configuration, split), rows in tables.items():
        file = hub / configuration / f"{split}.jsonl"
        file.parent.mkdir(exist_ok=True)
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        entry = f"  - split: {split}\n    path: {configuration}/{split}.jsonl\n"
        card.setdefault(configuration, []).append(entry)
    configurations = "".join(
        f"- config_name: {name}\n  data_files:\n{''.join(entries)}"
        for name, entries in card.items()
    )
    (hub / "README.md").write_text(f"---\nconfigs:\n{configurations}---\n")


def declare(
    hub: Path,
    *,
    kind: str = "integer",
    count: int | None = None,
    digest: str | None = None,
    **source: Any,
) -> str:
    """A task file whose test split comes from the folder `hub`; gives its path."""
    split = {"count": count, "digest": digest}
    source = {
        "dataset": str(hub),
        "splits": ["test"],
        "problem": ["problem"],
        "answer": "answer",
        **source,
    }
    text = f"{HEAD.format(kind=kind)}[splits.test]\n{table(split)}[splits.test.source]\n"
    path = hub.parent / "task.toml"
    path.write_text(text + table(source))
    return str(path)


def table(values: dict[str, Any]) -> str:
    """TOML of a flat table; its strings, numbers and lists are those of JSON."""
    return "".join(
        f"{key} = {json.dumps(value)}\n"
        if not isinstance(value, dict)
        else f"{key} = {{ {', '.join(table(value).splitlines())} }}\n"
        for key, value in values.items()
        if value is not None
    )


def test_a_dataset_of_several_configurations_like_math(hub: Path, tmp_path: Path) -> None:
    def row(subject: str, level: str, gold: str) -> dict[str, str]:
        solution = f"Not $\\boxed{{1}}$ but $\\boxed{{{gold}}}$."
        problem = f"A {subject} problem with {gold}?"
        return {"problem": problem, "level": level, "type": subject, "solution": solution}

    publish(
        hub,
        {
            ("algebra", "train"): [row("Algebra", "Level 1", "0")],
            ("algebra", "test"): [row("Algebra", "Level 3", r"\frac{1}{2}")],
            ("number_theory", "test"): [
                row("Number Theory", "Level ?", "07"),
                row("Number Theory", "Level 5", "8.0"),
            ],
        },
    )
    spec = declare(
        hub,
        kind="math",
        configurations=["algebra", "number_theory"],
        answer="solution",
        answer_form="boxed",
        subject="type",
        level="level",
        id="math/test/{row}",
    )
    task = load_task(spec)
    assert [(p.id, p.answer, p.subject, p.level) for p in task.problems] == [
        ("math/test/0", r"\frac{1}{2}", "Algebra", 3),
        ("math/test/1", "7", "Number Theory", None),
        ("math/test/2", "8", "Number Theory", 5),
    ]
    assert task.source == f"{hub}@unpinned"
    assert task.digest_status == "unpinned"

    local = tmp_path / "data"
    local.mkdir()
    rows = [{"problem": p.text, "answer": p.answer} for p in reversed(task.problems)]
    (local / "tiny.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert load_task(spec, data_dir=local).digest == task.digest


def test_golds_behind_hashes_like_gsm8k(hub: Path) -> None:
    solution = "He pays 2 * 617 = <<2*617=1234>>1234.\n#### 1,234"
    publish(hub, {("main", "test"): [{"question": "How much?\n", "answer": solution}]})
    spec = declare(
        hub,
        configurations=["main"],
        problem=["question"],
        answer_form="hashes",
        id="gsm8k/{row}",
    )
    assert load_task(spec).problems == (Problem("gsm8k/0", "How much?", "1234", "integer"),)


def test_joined_columns_and_merged_splits_like_svamp(hub: Path) -> None:
    first = {"ID": "c-1", "Body": "There are 3 cats ", "Question": "How many?", "Answer": "3"}
    second = {"ID": "c-2", "Body": "There are 4 cats.", "Question": " How many? ", "Answer": "4.0"}
    publish(hub, {("default", "train"): [first], ("default", "test"): [second]})
    spec = declare(
        hub,
        splits=["train", "test"],
        problem=["Body", "Question"],
        answer="Answer",
        id="svamp/{ID}",
    )
    assert load_task(spec).problems == (
        Problem("svamp/c-1", "There are 3 cats. How many?", "3", "integer"),
        Problem("svamp/c-2", "There are 4 cats. How many?", "4", "integer"),
    )


def test_ids_taken_from_an_address_like_aime_and_floats_like_amc(hub: Path) -> None:
    url = "https://example.org/wiki/2024_AIME_II_Problems/Problem_10"
    publish(hub, {("default", "train"): [{"id": 0, "problem": "?", "answer": 73.0, "url": url}]})
    pattern = r"(?P<year>\d+)_AIME_(?P<paper>I+)_.*_(?P<number>\d+)"
    spec = declare(
        hub,
        splits=["train"],
        id="aime/{year}-{paper}-{number}",
        id_pattern={"column": "url", "pattern": pattern},
        metadata=["url"],
    )
    expected = Problem("aime/2024-II-10", "?", "73", "integer", metadata={"url": url})
    assert load_task(spec).problems == (expected,)


def test_the_digest_guards_the_hub_as_it_guards_a_file(hub: Path) -> None:
    publish(hub, {("default", "test"): [{"problem": "1 + 1?", "answer": "2"}]})
    right = rows_digest([Problem("", "1 + 1?", "2")])
    wrong = rows_digest([Problem("", "1 + 1?", "3")])
    assert load_task(declare(hub, digest=right)).digest_status == "pinned"
    with pytest.raises(DigestMismatchError, match=f"digest {right} where {wrong} is pinned"):
        load_task(declare(hub, digest=wrong))


def test_a_source_of_other_rows_is_unpinned_and_counted(hub: Path) -> None:
    publish(hub, {("default", "test"): [{"problem": "1 + 1?", "answer": "2"}]})
    digest = rows_digest([])
    with pytest.raises(DigestMismatchError, match="1 rows where 2 are expected"):
        load_task(declare(hub, count=2, digest=digest, same_rows=False))
    spec = declare(hub, count=2, digest=digest, same_rows=False)
    Path(spec).write_text(f"{Path(spec).read_text()}count = 1\n")
    assert load_task(spec).digest_status == "unpinned"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"splits": ["dev"]}, "cannot load tiny from"),
        ({"configurations": ["none"]}, "cannot load tiny from"),
        ({"answer": "gold"}, "row 0: no column 'gold'"),
        ({"id": "{number}"}, "row 0: no column 'number'"),
        ({"answer_form": "hashes"}, "row 0: the answer has no ####"),
        ({"answer_form": "boxed"}, "row 0: the solution has no boxed answer"),
        (
            {"id_pattern": {"column": "problem", "pattern": "AIME"}},
            "row 0: column problem does not fit the id pattern",
        ),
    ],
)
def test_what_the_library_cannot_give_is_said_in_one_line(
    hub: Path, source: dict[str, Any], message: str
) -> None:
    publish(hub, {("default", "test"): [{"problem": "1 + 1?", "answer": "2"}]})
    with pytest.raises(ConfigError, match=message) as caught:
        load_task(declare(hub, **source))
    assert "\n" not in str(caught.value)


def test_without_a_network_one_line_says_what_to_do(tmp_path: Path) -> None:
    program = "from corl_bench.tasks import load_task; load_task('math500')"
    environment = {name: value for name, value in os.environ.items() if name != "CORL_DATA_DIR"}
    environment |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    *_, last = done.stderr.strip().splitlines()
    assert last.startswith(
        "corl_bench.errors.ConfigError: cannot load math500 from HuggingFaceH4/MATH-500: "
    )
    assert "--data-dir DIR" in last


def test_without_the_library_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError) as caught:
        load_task("gsm8k:train")
    message = "Loading gsm8k:train without --data-dir needs an extra"
    assert str(caught.value) == f"{message}: pip install 'corl-bench[datasets]'"
