"""Costs that no price list explains: an entry must say so, and has no rank by them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from corl_bench.errors import ConfigError
from corl_bench.experts.pools import load_pool
from corl_bench.leaderboard.adding import add_run
from corl_bench.leaderboard.admission import Submission
from corl_bench.leaderboard.board import read_board
from corl_bench.leaderboard.case import Bench
from corl_bench.leaderboard.ranking import make_standings
from corl_bench.leaderboard.raw import (
    EPISODES_SUFFIX,
    LEDGER_SUFFIX,
    canonical,
    read_packed,
    write_packed,
)
from corl_bench.leaderboard.verification import verify_board
from corl_bench.runs.plan import make_plan
from corl_bench.runs.run import run
from leaderboard.conftest import entry_of

SUBMISSION = Submission("tests", day=date(2026, 11, 22), cost="self-reported")


@pytest.fixture
def lenient(board: Path) -> Path:
    """The filled board, admitting costs that are not metered."""
    path = board / "board.toml"
    path.write_text('costs = ["metered", "self-reported"]\n' + path.read_text())
    return board


def run_of(system: str, board: Path, folder: Path) -> Path:
    plan = make_plan(
        tasks=[str(board / "small.jsonl")],
        pool=load_pool("sim", price_date=date(2026, 11, 1)),
        systems=[f"python:leaderboard.judge:{system}"],
        budget="low=0.0006,high=0.02",
        samples=1,
        seed=0,
        limit=None,
        mode="auto",
        data_dir=None,
    )
    run(plan, folder / "run", command=["corl-bench", "run"], quiet=True)
    return folder / "run"


@pytest.mark.parametrize("system", ["Judge", "Boaster"])
def test_an_entry_with_fees_is_shown_and_not_ranked(
    lenient: Path, tmp_path: Path, system: str
) -> None:
    run_dir = run_of(system, lenient, tmp_path)
    bench = Bench.of(read_board(lenient))
    with pytest.raises(ConfigError, match="nobody but the system states"):
        add_run(run_dir, bench, replace(SUBMISSION, cost="metered"))
    (added,) = add_run(run_dir, bench, SUBMISSION)
    (found,) = verify_board(bench, [added.path])
    statuses = {finding.check: finding.status for finding in found.findings}
    assert statuses["repricing"] == "unchecked"
    assert statuses["bookkeeping"] == "passed"
    standings = make_standings(read_board(lenient), resamples=100)
    (row,) = (row for row in standings.rows if row.system == system.lower())
    assert (row.rank, row.cost_mark, row.coin_words) == (
        None,
        "self-reported",
        "costs not metered",
    )
    assert not row.on_frontier
    (nano,) = (row for row in standings.rows if row.system == "single:nano")
    assert row.cost_usd.value == pytest.approx(nano.cost_usd.value + 0.0001)


def test_the_ledger_on_the_board_has_no_words_of_the_system(lenient: Path, tmp_path: Path) -> None:
    run_dir = run_of("Judge", lenient, tmp_path)
    (added,) = add_run(run_dir, Bench.of(read_board(lenient)), SUBMISSION)
    rows = read_packed(added.path.with_name(f"{added.path.stem}{LEDGER_SUFFIX}"))
    assert {row["fee"] for row in rows if "fee" in row} == {"fee"}


@pytest.mark.parametrize(
    ("field", "value"), [("list_cost_usd", "0.00001"), ("basis", "metered"), ("id", None)]
)
def test_a_fee_that_was_edited_is_found(
    lenient: Path, tmp_path: Path, field: str, value: str | None
) -> None:
    run_dir = run_of("Judge", lenient, tmp_path)
    bench = Bench.of(read_board(lenient))
    add_run(run_dir, bench, SUBMISSION)
    path = entry_of(lenient, "judge")
    episodes = path.with_name(f"{path.stem}{EPISODES_SUFFIX}")
    rows = read_packed(episodes)
    charge = rows[0]["charges"][0]
    charge[field] = charge["id"][:-1] + "1" if value is None else value
    write_packed(episodes, canonical(rows))
    (found,) = verify_board(bench, [path])
    assert found.status == "failed"
    failed = {finding.check for finding in found.findings if finding.status == "failed"}
    assert "bookkeeping" in failed
