"""Studies of a controller: what they say is what was played, printed and drawn."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

pytest.importorskip("torch")

from corl_bench.errors import ConfigError
from corl_bench.experts.pools import load_pool
from corl_bench.report.plain import render_terminal
from corl_bench.report.screen import Screen
from corl_train.evaluation import evaluate, open_run
from corl_train.runs.files import read_config
from corl_train.studies import STUDIES, pool_shift, run_study
from corl_train.studies.measuring import measure
from corl_train.studies.page import whiskers, write_page
from corl_train.studies.study import Options, Part, Row, Study
from corl_train.studies.table import describe
from corl_train.trainer import train
from training.tiny_runs import recipe

LIMIT = 12


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "held-out"
    config = recipe('data.without_subjects=["Geometry", "AIME"]', "training.iterations=1")
    train(config, folder, seed=0)
    return folder


@pytest.fixture(scope="module")
def study(run: Path) -> Study:
    return run_study("transfer", run, Options(samples=1, limit=LIMIT))


ROW = Row(
    name="Words",
    budget="low",
    problems=9,
    episodes=18,
    reward=0.5,
    reward_interval=(0.4, 0.6),
    optimum=0.8,
    fraction=0.625,
    interval=(0.5, 0.75),
    accuracy=0.55,
    mean_cost_usd=Decimal("0.0003"),
    violation_rate=0.01,
    calls={"nano": 1.25, "large": 0.0},
)
UNKNOWN = replace(ROW, optimum=None, fraction=None, interval=None)


def made_up(*rows: Row) -> Study:
    return Study(
        "transfer", "Why?", "mine", "r", "sim", True, 0, 2, (Part("One <b>", "", rows),), ("So.",)
    )


def test_subjects_stand_where_the_recipe_puts_them(study: Study) -> None:
    trained, held_out, other = study.parts
    assert {row.name for row in held_out.rows} - {"all of them"} <= {"Geometry", "AIME"}
    assert not {"Geometry", "AIME"} & {row.name for row in trained.rows}
    assert other.title.endswith("everyday")
    assert {"Words", "Orders"} <= {row.name for row in other.rows}
    whole = [row for part in study.parts for row in part.rows if row.name == "all of them"]
    assert [row.budget for row in whole] == ["low", "medium", "high"] * 3
    assert sum(row.problems for row in whole[::3]) == 2 * LIMIT


def test_a_part_is_the_sum_of_its_subjects(study: Study) -> None:
    for part in study.parts:
        for budget in ("low", "medium", "high"):
            whole, *subjects = [row for row in part.rows if row.budget == budget]
            assert whole.episodes == whole.problems
            if subjects:
                assert sum(row.problems for row in subjects) == whole.problems
                for figure in ("accuracy", "optimum"):
                    total = math.fsum(getattr(row, figure) * row.problems for row in subjects)
                    assert total / whole.problems == pytest.approx(getattr(whole, figure))


def test_it_measures_what_evaluation_does(run: Path) -> None:
    with open_run(run, limit=2) as (environment, budgets):
        problems = environment.task.problems
        rows = measure(environment, budgets, samples=2).rows("both", problems)
    with open_run(run, limit=2) as (environment, budgets):
        judged = evaluate(environment, budgets, samples=2).budgets
    for row, one in zip(rows, judged, strict=True):
        assert one.yardstick is not None
        assert one.interval is not None
        assert row.budget == one.score.budget
        assert row.optimum == pytest.approx(one.yardstick.optimum.reward)
        assert row.reward == pytest.approx(one.reward)
        assert row.fraction == pytest.approx(one.fraction)
        assert row.interval == pytest.approx(one.interval)
        assert (row.accuracy, row.calls) == (one.score.accuracy, one.score.calls)


def test_a_study_is_printed(study: Study) -> None:
    said = render_terminal(describe(study), Screen())
    assert "SIMULATED" in said
    assert "Subjects that it was not trained on" in said
    said = render_terminal(describe(made_up(ROW, UNKNOWN)), Screen())
    assert re.search(r"Words +low +9 +62\.5% \[50\.0, 75\.0\]", said)
    assert re.search(r"Words +low +9 +– ", said)
    assert "nano 1.25" in said
    assert "large" not in said


def test_its_page_needs_nothing_else(run: Path, study: Study, tmp_path: Path) -> None:
    page = write_page(study, read_config(run), tmp_path / "study.html").read_text()
    assert "Content-Security-Policy" in page
    assert not re.search(r"(?:src|href)=[\"'](?!#|data:)", page)
    assert page.count('<section id="part-') == 3
    drawn = write_page(made_up(ROW), {"name": "<script>"}, tmp_path / "made.html").read_text()
    assert "One &lt;b&gt;" in drawn
    assert "&lt;script&gt;" in drawn
    assert "62.5%" in drawn


def test_all_whiskers_have_one_scale() -> None:
    wide = replace(ROW, fraction=0.9, interval=(0.0, 1.0))
    places = whiskers(made_up(ROW, wide, UNKNOWN))
    assert places(wide) == (4.0, 86.8, 96.0, 96.0)
    assert places(ROW) == (50.0, 61.5, 73.0, 96.0)
    assert places(UNKNOWN) is None
    alone = whiskers(made_up(replace(ROW, fraction=1.0, interval=(1.0, 1.0))))
    assert alone(replace(ROW, fraction=1.0, interval=(1.0, 1.0))) == (4.0, 4.0, 4.0, 4.0)


def test_a_change_of_prices_is_what_its_name_says() -> None:
    """Prices of simulated experts have steps: who stays on the lowest one is named."""
    base = load_pool("sim")
    for pool in pool_shift.shifts_of(base, seed=0):
        found = re.fullmatch(r"all at (0\.5|2) times(?:, but (.*))?", pool.name)
        if not found:
            continue
        same = found[2].split(", ") if found[2] else []
        for expert in pool.experts:
            before, now = base[expert.name].price, expert.price
            if expert.name in same:
                assert now.output_usd_per_mtok == before.output_usd_per_mtok
            else:
                share = now.output_usd_per_mtok / before.output_usd_per_mtok
                assert share == Decimal(found[1])
        assert len(same) < len(base.experts)


def test_an_unknown_study_is_refused(run: Path) -> None:
    with pytest.raises(ConfigError, match=f"there are {', '.join(STUDIES)}"):
        run_study("tansfer", run, Options())
    with pytest.raises(ConfigError, match="the study transfer has no use for --only"):
        run_study("transfer", run, Options(only=("x",)))


def test_the_command_prints_json_and_leaves_a_page(run: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "corl_train.cli.main", "study", "transfer", str(run)]
    done = subprocess.run(
        [*command, "--limit", "2", "--samples", "1", "--json", "--task", "everyday"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["study"] == "transfer"
    assert printed["simulated"] is True
    rows = [row for part in printed["parts"] for row in part["rows"]]
    assert all(Decimal(row["mean_cost_usd"]) > 0 for row in rows)
    assert (run / "study-transfer.html").is_file()
    assert "synth: 6 episodes" in done.stderr
