"""Rows for OpenRLHF: apart from every test set, at every budget, in whole steps."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from corl_bench.errors import ConfigError
from corl_bench.tasks import load_task
from corl_bench.types import Budget
from corl_train.openrlhf.data import describe_rows, prepare_rows, write_rows
from corl_train.openrlhf.label import Label
from training.openrlhf.recipes_at_hand import problem, recipe_at_hand
from training.openrlhf.recipes_at_hand import write_rows as write_file

LOW, HIGH = Budget("low", Decimal("0.002")), Budget("high", Decimal("0.05"))


def test_what_stands_in_a_test_set_is_never_trained_on(tmp_path: Path) -> None:
    recipe = recipe_at_hand(tmp_path, training__prompts="8", data__validation_problems="4")
    copies = [problem(number, "goats") for number in (3, 4)]
    retyped = dict(problem(5, "goats"))
    retyped["problem"] = retyped["problem"].replace("goats", r"\text{goats}").upper()
    own = [problem(number) for number in range(100, 140)]
    again = [dict(own[0], problem="  " + own[0]["problem"])]
    write_file(tmp_path / "train.jsonl", [*copies, *own, retyped, *again])
    prepared = prepare_rows(recipe, [LOW, HIGH], seed=0)
    report = prepared.report
    assert report.loaded == 44
    (overlap,) = report.overlapping.values()
    assert sum(overlap.values()) == 3
    assert report.repeated == 1
    assert (report.validation, report.trained, report.unused) == (4, 32, 4)
    said = {row["input"] for row in (*prepared.train, *prepared.validation)}
    assert not said & {row["problem"] for row in (*copies, retyped)}
    line = describe_rows(report)
    assert "44 problems, 32 to train on (without 3 of " in line
    assert "16 at low, 16 at high" in line


def test_decimals_tell_problems_apart(tmp_path: Path) -> None:
    recipe = recipe_at_hand(tmp_path, training__prompts="2", data__validation_problems="0")
    write_file(tmp_path / "test.jsonl", [{"problem": "What is 22.5 of it?", "answer": "1"}])
    rows = [{"problem": f"What is {n} of it?", "answer": "2"} for n in ("225", "2.25", "22.5")]
    write_file(tmp_path / "train.jsonl", rows)
    prepared = prepare_rows(recipe, [LOW], seed=0)
    assert {row["input"] for row in prepared.train} == {rows[0]["problem"], rows[1]["problem"]}


def test_rows_carry_all_that_an_episode_takes(tmp_path: Path) -> None:
    recipe = recipe_at_hand(
        tmp_path, training__prompts="16", training__samples="3", training__passes="2"
    )
    prepared = prepare_rows(recipe, [LOW, HIGH], seed=0)
    write_rows(prepared, tmp_path / "data")
    lines = (tmp_path / "data" / "train.jsonl").read_text().splitlines()
    golds = {row["problem"]: row["answer"] for row in map(problem, range(100, 500))}
    seen = {"low": 0, "high": 0}
    for line in lines:
        row = json.loads(line)
        assert set(row) == {"input", "label", "datasource"}
        label = Label.from_text(row["label"])
        assert label.gold == golds[row["input"]]
        assert label.task == prepared.task.label
        assert label.draws == 3  # of each pass the same
        assert label.budget is not None
        seen[label.budget.name] += 1
    assert seen == {"low": 192, "high": 192}
    validation = (tmp_path / "data" / "validation.jsonl").read_text().splitlines()
    assert len(validation) == 2 * 16
    # OpenRLHF's best checkpoint is that of one name: all budgets count in it.
    assert {json.loads(line)["datasource"] for line in validation} == {"validation"}
    assert json.loads((tmp_path / "data" / "data.json").read_text())["trained"] == 384
    trained = {json.loads(line)["input"] for line in lines}
    assert not trained & {json.loads(line)["input"] for line in validation}


def test_budgets_weigh(tmp_path: Path) -> None:
    recipe = recipe_at_hand(tmp_path, training__prompts="16", data__budget_weights="[1, 3]")
    assert prepare_rows(recipe, [LOW, HIGH], seed=0).report.by_budget == {"low": 96, "high": 288}
    with pytest.raises(ConfigError, match=r"budget_weights says 2 numbers, .* 1 budgets \(low\)"):
        prepare_rows(recipe, [LOW], seed=0)


def test_what_is_validated_with_is_not_trained_on_in_other_words(tmp_path: Path) -> None:
    recipe = recipe_at_hand(tmp_path, training__prompts="4", data__validation_problems="8")
    own = [problem(number) for number in range(100, 140)]
    # Each again in words that are mostly the same, and with the same numbers and gold.
    again = [dict(row, problem=f"Read with care. {row['problem']} Say a number.") for row in own]
    write_file(tmp_path / "train.jsonl", [*own, *again])
    prepared = prepare_rows(recipe, [LOW], seed=0)
    report = prepared.report
    held_out = {row["input"] for row in prepared.validation}
    golds = {row["answer"] for row in (*own, *again) if row["problem"] in held_out}
    assert not golds & {Label.from_text(row["label"]).gold for row in prepared.train}
    assert sum(report.like_validation.values()) == len(golds) - (8 - len(golds))
    left = report.loaded - 8 - sum(report.like_validation.values())
    assert report.trained == left - left % 4
    assert "like those for validation" in describe_rows(report)


def test_rows_follow_from_seed_and_ids_alone(tmp_path: Path) -> None:
    recipe = recipe_at_hand(tmp_path, training__prompts="16")
    one, other = (prepare_rows(recipe, [LOW, HIGH], seed=seed).train for seed in (0, 1))
    assert {row["input"] for row in one} != {row["input"] for row in other}
    rows = [dict(problem(number), id=f"p{number}") for number in range(100, 500)]
    made = []
    for order in (rows, rows[::-1]):
        write_file(tmp_path / "train.jsonl", order)
        made.append(prepare_rows(recipe, [LOW, HIGH], seed=0).train)
    assert made[0] == made[1]


def test_a_limit_is_a_sample_and_steps_are_whole(tmp_path: Path) -> None:
    recipe = recipe_at_hand(tmp_path, training__prompts="16", data__limit="100")
    report = prepare_rows(recipe, [LOW], seed=0).report
    assert (report.trained, report.unused) == (96, 288)
    with pytest.raises(ConfigError, match="a step takes 512"):
        prepare_rows(recipe_at_hand(tmp_path, training__prompts="512"), [LOW], seed=0)


def test_rows_come_and_go_through_datasets(tmp_path: Path) -> None:
    """DeepScaleR's way in, from a folder that is laid out like the hub's; OpenRLHF's way, out."""
    datasets = pytest.importorskip("datasets")
    hub = tmp_path / "hub"
    hub.mkdir()
    rows = [problem(number) for number in range(100, 150)]
    write_file(hub / "train.json", [dict(row, solution="") for row in rows])
    (tmp_path / "task.toml").write_text(
        'name = "scaler"\ntitle = "t"\nkind = "math"\nprompt = "{problem}"\n'
        'default_split = "train"\nlicence = "MIT"\nredistributable = false\n'
        f'[splits.train.source]\ndataset = "{hub}"\nsplits = ["train"]\n'
        'problem = ["problem"]\nanswer = "answer"\nid = "scaler/{row}"\n'
    )
    recipe = recipe_at_hand(
        tmp_path, training__prompts="8", data__train=str(tmp_path / "task.toml")
    )
    prepared = prepare_rows(recipe, [LOW, HIGH], seed=0)
    assert prepared.report.task == "scaler"
    assert prepared.report.trained == 32
    write_rows(prepared, tmp_path / "data")
    # As `blending_datasets` of OpenRLHF 0.11.2 loads a file by its suffix.
    table = datasets.load_dataset(
        "json", data_files=str(tmp_path / "data" / "train.jsonl"), cache_dir=str(tmp_path / "c")
    )["train"]
    assert [dict(row) for row in table] == list(prepared.train)


def test_the_published_test_sets_are_kept_apart(shared_dir: Path, tmp_path: Path) -> None:
    """Against the real MATH500, with some of its problems among those that are trained on."""
    datasets = shared_dir / "datasets"
    theirs = load_task("math500", data_dir=datasets).problems
    recipe = recipe_at_hand(tmp_path, training__prompts="16", data__apart_from='["math500"]')
    leaked = [{"problem": p.text.replace("$", ""), "answer": p.answer} for p in theirs[::25]]
    own = [problem(number) for number in range(100, 200)]
    write_file(tmp_path / "train.jsonl", [*leaked, *own])
    report = prepare_rows(recipe, [LOW], seed=0, data_dir=datasets).report
    assert sum(report.overlapping["math500"].values()) == len(leaked)
    assert report.trained == 80
