"""What a recipe trains on: its subjects, and nothing that it is tested on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corl_bench.errors import ConfigError
from corl_bench.tasks import load_task
from corl_train.config import Config, DataTable, load_recipe
from corl_train.material import gather, keep_apart
from corl_train.setup import prepare
from training.tiny_runs import recipe

GEOMETRY = 'data.subjects=["Geometry"]'


def write(path: Path, *problems: tuple[str, str]) -> str:
    rows = ({"problem": text, "answer": answer} for text, answer in problems)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def data(*settings: str) -> DataTable:
    config: Config = recipe(*settings)
    return config.data


def test_problems_of_some_subjects_alone() -> None:
    material = gather(data(GEOMETRY))
    assert {p.subject for p in material.train.problems} == {"Geometry"}
    assert {p.subject for p in material.validation.problems} == {"Geometry"}
    assert len(material.train.problems) == 400  # five of forty-five, of 3,600
    # What a split is does not change with what is taken of it.
    assert material.train.digest == gather(data()).train.digest


def test_problems_of_all_subjects_but_some() -> None:
    material = gather(data('data.without_subjects=["Geometry", "AIME"]'))
    subjects = {p.subject for p in material.train.problems}
    assert len(subjects) == 7
    assert subjects.isdisjoint({"Geometry", "AIME"})


def test_subjects_that_nobody_has_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"synth:train has no subject 'Geometrie'.*Geometry"):
        gather(data('data.subjects=["Geometrie"]'))
    with pytest.raises(ConfigError, match=r"data: set subjects or without_subjects, not both"):
        load_recipe("quickstart", settings=[GEOMETRY, 'data.without_subjects=["AIME"]'])


def test_splits_of_one_generator_are_apart() -> None:
    material = gather(data())
    assert (material.left_out, len(material.train.problems)) == ((), 3600)


def test_what_is_tested_on_is_not_trained_on(tmp_path: Path) -> None:
    train = write(tmp_path / "a.jsonl", ("1 + 1 = ?", "2"), ("2 + 2 = ?", "4"), ("3 + 3 = ?", "6"))
    test = write(tmp_path / "b.jsonl", ("$1+1=$?", "2"))
    other = write(tmp_path / "c.jsonl", ("3+3=", "6"), ("5+5=", "10"))
    material = gather(
        DataTable(train=train, validation=train, test=test, decontaminate=(other, "synth"))
    )
    assert [p.answer for p in material.train.problems] == ["4"]
    assert [p.answer for p in material.validation.problems] == ["2", "4", "6"]
    assert [one.to_json() for one in material.left_out] == [
        {"name": "b", "digest": material.left_out[0].digest, "exact": 1},
        {"name": "c", "digest": material.left_out[1].digest, "exact": 1},
        {"name": "synth", "digest": material.left_out[2].digest},
    ]
    assert str(material.left_out[0]) == "left out of the training problems for b: 1 exact"
    assert str(material.left_out[2]) == "left out of the training problems for synth: none"


def test_nothing_left_is_refused(tmp_path: Path) -> None:
    train = write(tmp_path / "a.jsonl", ("1 + 1 = ?", "2"))
    with pytest.raises(ConfigError, match="every problem of it stands in a, which it is tested on"):
        gather(DataTable(train=train, test=train))


def test_the_best_controller_is_not_chosen_on_what_is_tested(tmp_path: Path) -> None:
    train = write(tmp_path / "a.jsonl", ("1 + 1 = ?", "2"), ("2 + 2 = ?", "4"), ("3 + 3 = ?", "6"))
    test = write(tmp_path / "b.jsonl", ("$1+1=$?", "2"))
    named = [f"data.{key}={value}" for key, value in (("train", train), ("validation", train))]
    settings = [*named, f"data.test={test}", "data.pool=sim"]
    best = prepare(recipe(*settings))
    assert [p.answer for p in best.validation.problems] == ["4", "6"]
    assert str(best.left_out[-1]) == "left out of the validation problems for b: 1 exact"
    assert best.left_out[-1].to_json()["of"] == "validation"
    last = prepare(recipe(*settings, "schedule.keep=last"))
    assert [p.answer for p in last.validation.problems] == ["2", "4", "6"]
    assert last.left_out == best.left_out[:-1]
    with pytest.raises(ConfigError, match=r"data.validation b: every problem of it.*keep=last"):
        prepare(recipe(*settings, f"data.validation={test}"))


def test_a_problem_that_stands_in_several_sets_is_told_for_each(tmp_path: Path) -> None:
    train = write(tmp_path / "a.jsonl", ("1 + 1 = ?", "2"), ("2 + 2 = ?", "4"))
    others = [load_task(write(tmp_path / f"{name}.jsonl", ("$1+1=$?", "2"))) for name in ("b", "c")]
    kept, found = keep_apart(load_task(train).problems, others)
    assert [p.answer for p in kept] == ["4"]
    assert [[match.kind for match in matches] for matches in found] == [["exact"], ["exact"]]
