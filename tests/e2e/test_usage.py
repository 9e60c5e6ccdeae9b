"""How the command line behaves as a program among others: its streams, and lines of mistakes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMMAND = f"{sys.executable} -m corl_bench.cli.main"
RUN = "run --limit 2 --system single:nano --quiet --out made"


def in_shell(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `corl ...` in a POSIX shell, for its pipes and redirections."""
    return subprocess.run(
        ["sh", "-c", line.replace("corl ", f"{COMMAND} ")],
        cwd=folder,
        env={**os.environ, **environment},
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--limit", "0"), "--limit"),
        (("run", "--mode", "foo"), "'--mode'"),
        (("run", "--nosuch"), "--nosuch"),
        (("report",), "RUN"),
        (("tasks", "validate", "synth", "--all"), "not both"),
        (("nosuch",), "nosuch"),
    ],
)
def test_wrong_usage_is_one_line_that_says_where_help_is(
    corl: Any, arguments: tuple[str, ...], said: str
) -> None:
    line = corl.refused(*arguments)
    assert said in line
    verb = "" if arguments[0] == "nosuch" else f" {arguments[0]}"
    assert line.startswith("corl-bench: ")
    assert f"see corl-bench{verb}" in line and line.endswith(" --help")


def test_without_a_command_there_is_help(corl: Any) -> None:
    assert "Exit codes" in corl(code=2).stderr


@pytest.mark.parametrize("arguments", ["--help", "prices list", "tasks list", "pool show sim", RUN])
def test_a_reader_that_has_enough_is_no_regression(tmp_path: Path, arguments: str) -> None:
    # The pipe's reader is gone before anything is written.
    done = in_shell(f"(sleep 0.2; corl {arguments}; echo $? >code) | true", tmp_path)
    assert (tmp_path / "code").read_text().strip() == "0"
    assert done.stderr == ""


def test_standard_output_that_takes_nothing_is_one_line(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    done = in_shell("corl prices list >/dev/full", tmp_path)
    assert done.returncode == 2
    assert "standard output" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("line", "code"),
    [(f"corl {RUN} >&-", 0), (f"corl {RUN} 2>&-", 0), ("corl run --task nosuch 2>&-", 2)],
)
def test_closed_streams_are_no_fault(tmp_path: Path, line: str, code: int) -> None:
    done = in_shell(line, tmp_path)
    assert (done.returncode, done.stderr) == (code, "")


def test_an_encoding_without_the_characters_gets_substitutes(tmp_path: Path) -> None:
    done = in_shell("corl pool show sim", tmp_path, PYTHONIOENCODING="latin-1", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert "nano" in done.stdout


def test_things_that_are_no_run_are_one_line(corl: Any, tmp_path: Path) -> None:
    run = tmp_path / "made"
    corl(*RUN.split())
    for path in (run / "summary.json", run / "episodes.jsonl"):
        assert str(path) in corl.refused("report", path)
    for text in ("[]", "7", '{"schema": "corl-bench/summary@1"}', "not json"):
        (run / "summary.json").write_text(text)
        assert "summary.json" in corl.refused("report", run)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folders_that_may_not_be_read_are_one_line(corl: Any, tmp_path: Path) -> None:
    run = tmp_path / "made"
    corl(*RUN.split())
    rows = tmp_path / "closed" / "a.jsonl"
    rows.parent.mkdir()
    rows.write_text(json.dumps({"problem": "1+1?", "answer": "2"}))
    try:
        for folder in (run, rows.parent):
            folder.chmod(0)
        assert "made" in corl.refused("report", run)
        assert "a.jsonl" in corl.refused("run", "--task", rows)
    finally:
        for folder in (run, rows.parent):
            folder.chmod(stat.S_IRWXU)


def test_mode_live_without_a_system_leaves_the_oracle_out_and_says_so(corl: Any) -> None:
    done = corl("run", "--mode", "live", "--limit", "1", "--out", "made")
    assert "Without an oracle" in done.stderr
    assert "\noracle " not in done.stdout
    assert "single:nano" in done.stdout


def test_a_sample_of_a_task_is_said_to_be_one(corl: Any, tmp_path: Path) -> None:
    table = corl(*RUN.split()).stdout
    assert "synth: 2 of 360 problems, drawn by the seed" in table
    assert "2 of 360 problems" in (tmp_path / "made" / "report.html").read_text()


def test_the_commonest_errors_are_printed_with_what_to_do(corl: Any, tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(
        "class Failing:\n"
        "    name, reads_budget, is_oracle = 'failing', False, False\n"
        "    async def solve(self, problem, budget, episode):\n"
        "        raise RuntimeError('no such luck')\n"
    )
    done = corl("run", "--limit", "3", "--system", "python:failing:Failing", "--quiet", code=4)
    *errors, advice = done.stderr.splitlines()
    assert len(errors) == 1
    assert errors[0].startswith("3 in error: ") and "no such luck" in errors[0]
    assert "--retry-errors" in advice
    assert "failing *" not in done.stdout


@pytest.mark.parametrize("verb", ["pool", "recordings", "tasks", "prices"])
def test_help_of_a_verb_cuts_no_sentence(corl: Any, verb: str) -> None:
    lines = corl(verb, "--help").stdout.splitlines()
    commands = lines[lines.index("Commands:") + 1 :]
    assert commands
    assert all(line.endswith(".") and not line.endswith("...") for line in commands)


def test_an_import_that_fails_leaves_nothing_behind(corl: Any, tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text('{"nothing": "of use"}\n')
    corl.refused("recordings", "import", "new.sqlite", "answers.jsonl")
    corl.refused("recordings", "import", "new.sqlite", "nosuch.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["answers.jsonl"]
