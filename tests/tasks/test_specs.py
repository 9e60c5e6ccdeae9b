"""Task files: the built-in ones are complete, and a wrong one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from corl_bench.errors import ConfigError
from corl_bench.tasks import TaskSpec, list_tasks, render_prompt
from corl_bench.tasks.locate import task_files
from corl_bench.tasks.schema import read_spec

SPECS = list_tasks()

MINIMAL = """
name = "tiny"
title = "Tiny"
kind = "math"
prompt = "{problem}"
default_split = "test"
licence = "MIT"
redistributable = true
[splits.test]
count = 2
"""


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_built_in_task_is_declared_in_full(spec: TaskSpec) -> None:
    assert task_files()[spec.name].parent.name == spec.name
    assert "\\boxed{}" in spec.prompt
    for name, split in spec.splits.items():
        assert sum((split.source is not None, split.generated, bool(split.how_to_get))) == 1, name
        assert split.digest is None or split.count is not None
        if split.source:
            assert split.source.revision is not None


def test_the_tasks_of_the_field_are_all_there() -> None:
    counts = {spec.name: spec.splits[spec.default_split].count for spec in SPECS}
    expected = {"math500": 500, "amc23": 40, "amc_validation": 83, "aime24": 30, "aime25": 30}
    expected |= {"gsm8k": 1319, "math": 5000, "svamp": 1000, "multiarith": 600}
    expected |= {"aime_1983_2023": 975}
    assert expected.items() <= counts.items()
    assert {"deepscaler", "synth"} <= counts.keys()
    assert list(counts) == sorted(counts)


def test_no_statement_of_the_maa_may_be_published() -> None:
    competitions = [spec for spec in SPECS if "MAA" in spec.licence]
    names = {"aime24", "aime25", "aime_1983_2023", "amc23", "amc_validation", "deepscaler"}
    assert {spec.name for spec in competitions} == names
    assert not any(spec.redistributable for spec in competitions)


def test_what_was_never_seen_here_is_unpinned() -> None:
    unpinned = {
        f"{spec.name}:{name}"
        for spec in SPECS
        for name, split in spec.splits.items()
        if split.digest is None and not split.generated
    }
    assert unpinned == {"deepscaler:train"}


def test_the_prompt_surrounds_the_statement_whatever_it_holds() -> None:
    spec = TaskSpec.of_file("mine", kind="choice")
    text = r"Is {problem} or \frac{a}{b} {0} %s?"
    prompt = render_prompt(spec, text)
    assert prompt.startswith(f"{text}\n\n")
    assert "letter" in prompt


def test_a_file_of_ones_own_is_ones_own_to_publish() -> None:
    assert TaskSpec.of_file("mine").redistributable


def test_a_minimal_file_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "task.toml"
    path.write_text(MINIMAL)
    spec = read_spec(path)
    assert spec.splits["test"].count == 2
    assert spec.splits["test"].digest is None
    assert spec.difficulty is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("default_split = ", "default_split "), "not a readable task file"),
        (('kind = "math"', 'kind = "essay"'), "kind: "),
        (('licence = "MIT"\n', ""), "licence: "),
        (('default_split = "test"', 'default_split = "dev"'), "not among the splits"),
        (('prompt = "{problem}"', 'prompt = "Solve it."'), "exactly once"),
        (("count = 2", "counts = 2"), "splits.test.counts: "),
        (("count = 2", "count = 0"), "splits.test.count: "),
        (("count = 2", 'digest = "md5:1"'), "splits.test.digest: "),
        (("count = 2", 'count = "2"'), "splits.test.count: "),
        (('name = "tiny"', 'name = "Tiny Task"'), "name: "),
    ],
)
def test_a_wrong_declaration_is_named_in_one_line(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    path = tmp_path / "task.toml"
    assert change[0] in MINIMAL
    path.write_text(MINIMAL.replace(*change))
    with pytest.raises(ConfigError) as caught:
        read_spec(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mend_of_empty_answers_must_say_which(tmp_path: Path) -> None:
    path = tmp_path / "task.toml"
    mend = '[[mend]]\nfield = "answer"\nfind = ""\nreplace = "1"\n'
    path.write_text(MINIMAL + mend)
    with pytest.raises(ConfigError, match="needs a `where`"):
        read_spec(path)


def test_an_id_pattern_must_be_one(tmp_path: Path) -> None:
    path = tmp_path / "task.toml"
    source = """
[splits.test.source]
dataset = "d"
splits = ["test"]
problem = ["p"]
answer = "a"
id_pattern = { column = "url", pattern = "(" }
"""
    path.write_text(MINIMAL + source)
    with pytest.raises(ConfigError, match=r"id_pattern\.pattern: .*not a regular expression"):
        read_spec(path)


def test_tasks_are_found_in_the_first_folder_that_has_any(tmp_path: Path) -> None:
    packaged, checkout = tmp_path / "_tasks", tmp_path / "tasks"
    for folder in (packaged, checkout):
        folder.mkdir()
    (checkout / "b").mkdir()
    (checkout / "b" / "task.toml").touch()
    assert task_files((packaged, checkout)) == {"b": checkout / "b" / "task.toml"}
    (packaged / "a").mkdir()
    (packaged / "a" / "task.toml").touch()
    assert list(task_files((packaged, checkout))) == ["a"]


def test_a_broken_installation_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="reinstall corl-bench"):
        task_files((tmp_path / "none",))
