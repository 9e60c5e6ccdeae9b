"""What a user gets wrong: one line, exit code 2, nothing lost."""

from __future__ import annotations

import json
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

EXPERT = """
[experts.a]
provider = "openai"
model = "{model}"
max_output_tokens = 100
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--task", "mth500"), "math500"),
        (("run", "--task", "nosuch.jsonl"), "nosuch.jsonl"),
        (("run", "--task", "math500"), "--data-dir"),
        (("run", "--task", "synth", "--task", "synth"), "twice"),
        (("run", "--system", "nosuch"), "nosuch"),
        (("run", "--pool", "nosuch"), "nosuch"),
        (("run", "--pool", "unpriced.toml"), "price"),
        (("run", "--pool", "keyless.toml", "--system", "single:a"), "OPENAI_API_KEY"),
        (("run", "--pool", "broken.toml"), "broken.toml:2"),
        (("run", "--task", "math500", "--data-dir", "data"), "digest"),
        (("run", "--data-dir", "nosuch"), "--data-dir nosuch"),
        (("tasks", "validate", "math500", "--data-dir", "rows.jsonl"), "--data-dir rows.jsonl"),
        (("pool", "optimum", "--data-dir", "nosuch"), "--data-dir nosuch"),
        (("run", "--task", "rows.jsonl"), "rows.jsonl:2"),
        (("run", "--budget", "low=abc"), "low=abc"),
        (("run", "--budget", "low=0.1,low=0.2"), "name of its own"),
        (("run", "--max-cost", "-1"), "--max-cost"),
        (("run", "--price-date", "yesterday"), "2026-11-21"),
        (("run", "--price-date", "1999-01-01"), "1999"),
        (("run", "--mode", "replay"), "--recordings"),
        (("run", "--mode", "replay", "--recordings", "nosuch.sqlite"), "nosuch.sqlite"),
        (("run", "--out", "/proc/nosuch"), "/proc/nosuch"),
        (("run", "--workers", "2"), "--workers belongs to --engine ray"),
        (("run", "--engine", "local", "--port", "8000"), "--port belongs to --engine ray"),
        (("run", "--system", "oracle", "--mode", "live"), "oracle"),
        (("run", "--system", "oracle", "--limit", "2"), "single:*"),
        (("run", "--system", "python:broken:Router"), "NameError"),
        (("run", "--task", "half.jsonl"), "half.jsonl:1"),
        (("report", "nosuch"), "nosuch"),
        (("reprice", "nosuch", "--price-date", "2026-01-01"), "nosuch"),
    ],
)
def test_one_line_and_exit_code_two(
    corl: Any, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "unpriced.toml").write_text(EXPERT.format(model="gpt-99"))
    (tmp_path / "keyless.toml").write_text(EXPERT.format(model="gpt-4.1"))
    (tmp_path / "broken.toml").write_text("name = 'x'\nexperts = = 3\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "math500.jsonl").write_text('{"problem": "1+1?", "answer": "2"}\n')
    (tmp_path / "rows.jsonl").write_text('{"problem": "1+1?", "answer": "2"}\n{"problem": 3}\n')
    (tmp_path / "broken.py").write_text("Router = nothing_of_that_name\n")
    (tmp_path / "half.jsonl").write_text('{"problem": "1+1? \\ud800", "answer": "2"}\n')
    assert said in corl.refused(*arguments)
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").rglob("ledger.jsonl"))


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_ray_is_an_extra(corl: Any, tmp_path: Path) -> None:
    line = corl.refused("run", "--engine", "ray", "--limit", "3")
    assert line == "corl-bench: --engine ray needs an extra: pip install 'corl-bench[ray]'"
    assert not (tmp_path / "runs").exists()


def test_a_directory_with_another_run_is_refused_and_left_alone(corl: Any, tmp_path: Path) -> None:
    corl("run", "--limit", "3", "--system", "single:nano", "--out", "a", "--quiet")
    before = (tmp_path / "a" / "episodes.jsonl").read_bytes()
    line = corl.refused("run", "--limit", "3", "--system", "single:mini", "--out", "a")
    assert "systems" in line
    assert (tmp_path / "a" / "episodes.jsonl").read_bytes() == before


def test_two_runs_on_one_directory_do_not_meet(corl: Any, tmp_path: Path) -> None:
    run = ("run", "--limit", "20", "--system", "single:nano", "--out", "a", "--quiet", "--latency")
    made = tmp_path / "a" / "episodes.jsonl"
    first = corl.start_and_wait(made, *run, stdout=subprocess.DEVNULL)
    assert "another run" in corl.refused(*run)
    assert first.wait(60) == 0
    rows = [json.loads(line) for line in (tmp_path / "a" / "episodes.jsonl").open()]
    assert len(rows) == len({row["problem_id"] for row in rows}) == 20


def test_ctrl_c_keeps_what_was_paid_for_and_the_same_command_goes_on(
    corl: Any, tmp_path: Path, canonical: Any
) -> None:
    run = ("run", "--limit", "40", "--system", "single:reasoner", "--concurrency", "4", "--quiet")
    process = corl.start_and_wait(
        *(tmp_path / "a" / "journal.jsonl", *run, "--out", "a", "--latency"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    time.sleep(0.5)
    process.terminate()
    time.sleep(0.2)
    process.terminate()
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "goes on" in error
    corl(*run, "--out", "a")
    corl(*run, "--out", "b")
    assert canonical(tmp_path / "a") == canonical(tmp_path / "b")


def test_a_dry_run_sends_nothing_and_says_where_its_figures_come_from(
    corl: Any, tmp_path: Path
) -> None:
    shown = corl("run", "--dry-run", "--limit", "4", "--max-cost", "0.001").stdout
    rows = {line.split()[0]: line.split() for line in shown.splitlines()}
    # Every expert answers each of the four problems; the systems share these replies.
    for expert in ("self", "nano", "mini", "large", "reasoner"):
        assert rows[expert][1:3] == ["4..4", "4"]
        assert rows[expert][-2:] == ["declared", "simulation"]
        assert all(amount.startswith("$0.") for amount in rows[expert][3:6])
    assert "the cap of $0.00100 is below the worst case" in shown
    assert list(tmp_path.iterdir()) == []


def test_a_run_can_be_priced_at_another_day(corl: Any, tmp_path: Path) -> None:
    corl("run", "--limit", "6", "--system", "single:reasoner", "--out", "a", "--quiet")
    before = (tmp_path / "a" / "summary.json").read_bytes()
    old = json.loads(corl("reprice", "a", "--price-date", "2025-06-01", "--json").stdout)
    same = json.loads(corl("reprice", "a", "--price-date", "2026-11-01", "--json").stdout)
    now = json.loads(before)
    assert same["totals"]["list_cost_usd"] == now["totals"]["list_cost_usd"]
    # o3 cost five times as much until 2025-06-09, input and output alike.
    assert float(old["totals"]["list_cost_usd"]) == pytest.approx(
        5 * float(now["totals"]["list_cost_usd"])
    )
    assert old["totals"]["billed_cost_usd"] == now["totals"]["billed_cost_usd"]
    assert (tmp_path / "a" / "summary.json").read_bytes() == before
