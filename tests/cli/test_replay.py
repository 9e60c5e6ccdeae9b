"""`corl-bench replay` gives what playing the same decisions gives, to the last digit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner, Result

from corl_bench.cli.main import cli
from corl_bench.money.amounts import format_usd
from corl_bench.results.outcomes import read_result_set

EXPERTS = ["nano", "mini", "large", "reasoner", "self"]
BUDGETS = {"low": "0.0006", "high": "0.02"}


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of every expert, two samples a problem, and files of decisions on its problems."""
    folder = tmp_path_factory.mktemp("replay")
    run(folder / "known", "single:*")
    draw = Random("decisions")
    problems = [json.loads(line)["id"] for line in (folder / "known" / "problems.jsonl").open()]
    rows = {
        "plain.jsonl": [{"problem_id": p, "expert": draw.choice(EXPERTS[:4])} for p in problems],
        "fees.jsonl": [
            {"problem_id": p, "expert": draw.choice(EXPERTS[:4]), "cost_usd": f"0.0000{n:02}"}
            for n, p in enumerate(problems)
        ],
        "budgets.jsonl": [
            {"problem_id": p, "expert": draw.choice(EXPERTS[:4]), "budget": b}
            for b in BUDGETS
            for p in problems
        ],
    }
    for name, decided in rows.items():
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in decided))
    return folder


def run(out: Path, *systems: str, **options: object) -> None:
    named = ",".join(f"{name}={usd}" for name, usd in BUDGETS.items())
    arguments: list[object] = ["run", "--limit", 25, "--samples", 2, "--budget", named, "-q"]
    for system in systems:
        arguments += ["--system", system]
    for name, value in options.items():
        arguments += [f"--{name}", value]
    result = invoke(*arguments, "--out", out)
    assert result.exit_code == 0, result.output


def replayed(folder: Path, *names: str) -> list[dict[str, Any]]:
    result = invoke("replay", folder / "known", *(folder / name for name in names), "--json")
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.output)
    return found


@pytest.mark.parametrize("name", ["plain.jsonl", "fees.jsonl", "budgets.jsonl"])
def test_it_comes_to_what_playing_them_comes_to(folder: Path, tmp_path: Path, name: str) -> None:
    store = folder / "known" / "recordings.sqlite"
    run(tmp_path / "played", f"decisions:{folder / name}", recordings=store, mode="replay")
    played = read_result_set(tmp_path / "played").outcomes
    assert replayed(folder, name) == [
        {
            "task": point.task,
            "system": point.system,
            "budget": point.budget,
            "episodes": point.episodes,
            "accuracy": point.accuracy,
            "total_cost_usd": format_usd(point.total_cost_usd),
            "mean_cost_usd": format_usd(point.mean_cost_usd),
            "cost_basis": point.cost_basis,
            "errors": point.errors,
        }
        for point in played
    ]
    assert {point.episodes for point in played} == {50}
    assert {point.cost_basis for point in played} == {
        "self_reported" if name == "fees.jsonl" else "metered"
    }


def test_several_files_are_a_table(folder: Path) -> None:
    result = invoke("replay", folder / "known", folder / "plain.jsonl", folder / "fees.jsonl")
    assert result.exit_code == 0
    (total,) = {row["total_cost_usd"] for row in replayed(folder, "plain.jsonl")}
    assert total in result.output
    assert "decisions:fees.jsonl" in result.output


def test_a_problem_without_a_decision_is_one_line(folder: Path, tmp_path: Path) -> None:
    lines = (folder / "plain.jsonl").read_text().splitlines(keepends=True)
    short = tmp_path / "short.jsonl"
    short.write_text("".join(lines[:-1]))
    result = invoke("replay", folder / "known", short)
    assert isinstance(result.exception, Exception)
    assert "has no decision on problem" in str(result.exception)


def test_an_expert_that_the_run_has_not(folder: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text((folder / "plain.jsonl").read_text().replace('"large"', '"larg"'))
    result = invoke("replay", folder / "known", wrong)
    assert "did you mean 'large'?" in str(result.exception)


def test_the_controllers_own_model_is_nobody_who_is_asked(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.jsonl"
    own.write_text((folder / "plain.jsonl").read_text().replace('"large"', '"self"'))
    said = {
        str(result.exception).partition(";")[0]
        for result in (
            invoke("replay", folder / "known", own),
            invoke("run", "--limit", 25, "--system", f"decisions:{own}", "--out", tmp_path / "run"),
        )
    }
    assert len(said) == 1
    assert "no expert 'self' in pool 'sim'" in said.pop()


def test_files_of_one_name_are_told_apart(folder: Path, tmp_path: Path) -> None:
    again = Path(shutil.copy(folder / "plain.jsonl", tmp_path))
    rows = replayed(folder, "plain.jsonl", str(again))
    assert {row["system"] for row in rows} == {
        f"decisions:{folder / 'plain.jsonl'}",
        f"decisions:{again}",
    }


@pytest.mark.parametrize("lacking", ["pool", "budgets"])
def test_a_manifest_that_says_too_little(folder: Path, tmp_path: Path, lacking: str) -> None:
    run_dir = Path(shutil.copytree(folder / "known", tmp_path / "known"))
    manifest = json.loads((run_dir / "manifest.json").read_text())
    del manifest[lacking]
    (run_dir / "manifest.json").write_text(json.dumps(manifest))
    result = invoke("replay", run_dir, folder / "plain.jsonl")
    assert f"manifest.json is broken (it lacks '{lacking}')" in str(result.exception)


def test_a_run_without_single_experts_says_what_to_do(tmp_path: Path, folder: Path) -> None:
    run(tmp_path / "random", "random")
    result = invoke("replay", tmp_path / "random", folder / "plain.jsonl")
    assert "--system 'single:*'" in str(result.exception)


def test_the_table_marks_what_a_run_marks(folder: Path) -> None:
    result = invoke("replay", folder / "known", folder / "plain.jsonl", folder / "fees.jsonl")
    assert "SIMULATED" in result.output
    (plain,) = (line for line in result.output.splitlines() if "decisions:plain.jsonl " in line)
    (fees, *_) = (line for line in result.output.splitlines() if "decisions:fees.jsonl " in line)
    assert "‡" not in plain
    assert "‡" in fees
    said = " ".join(result.output.split())
    assert "‡ The cost of decisions:fees.jsonl is what the system says of itself" in said


def test_a_run_that_is_not_finished_is_refused(folder: Path, tmp_path: Path) -> None:
    run_dir = Path(shutil.copytree(folder / "known", tmp_path / "known"))
    rows = [json.loads(line) for line in (run_dir / "episodes.jsonl").open()]
    last = rows[-1]["problem_id"]
    kept = [row for row in rows if row["problem_id"] != last]
    (run_dir / "episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    result = invoke("replay", run_dir, folder / "plain.jsonl")
    assert "lacks replies to 1 of 25 problems of synth: finish the run" in str(result.exception)
