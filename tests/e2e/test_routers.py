"""The examples of third-party routers, run as their pages say, and routers that are in the way."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLES = CHECKOUT / "examples" / "routers"
NEEDS = {
    "wayfinder.py": "wayfinder_router",
    "local_llm.py": "local_llm_router",
    "pareto.py": "pareto_bandit",
}
OWN_VIRTUALENV = ("llmrouter_", "minilm", "recorded", "routellm_")
"""Examples that test_real_routers.py runs."""
PAGES = [path for path in sorted(EXAMPLES.glob("*.py")) if not path.name.startswith(OWN_VIRTUALENV)]
COMMANDS = [
    pytest.param(path.name, command, id=f"{path.stem}-{number}")
    for path in PAGES
    for number, command in enumerate(
        re.findall(r"corl-bench (run [^`\n]+)", path.read_text(encoding="utf-8"))
    )
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The examples, in the folder in which the bench is started."""
    shutil.copytree(EXAMPLES, tmp_path, dirs_exist_ok=True)
    return tmp_path


def words(command: str) -> list[str]:
    """As a shell would split it, with this Python for `python`, and few problems."""
    found = [word.strip('"') for word in re.findall(r'"[^"]+"|\S+', command)]
    return [word.replace("exec:python", f"exec:{sys.executable}") for word in found] + [
        *("--limit", "20", "--out", "run", "--quiet")
    ]


def episodes(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "run/episodes.jsonl").read_text().splitlines()]


def test_every_example_is_a_command(corl: Any) -> None:
    assert {values.values[0] for values in COMMANDS} == {path.name for path in PAGES}


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_an_example_runs_as_its_page_says(corl: Any, folder: Path, name: str, command: str) -> None:
    if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")
    if name == "decide_elsewhere.py":
        _decide_elsewhere(corl, folder)
    if "--train" in command:
        (folder / "rows.jsonl").write_text(_rows(corl, folder))
    done = corl(*[word.replace("synth:train", "rows.jsonl") for word in words(command)])
    made = episodes(folder)
    assert made
    assert not [row["detail"] for row in made if row["verdict"] == "error"]
    assert all(len(row["calls"]) == 1 for row in made)
    if "--train" in command:
        notes = json.loads((folder / "run/summary.json").read_text())["notes"]
        assert any("40 of 40 rows" in note or "from 40 rows" in note for note in notes), notes
    assert "Traceback" not in done.stderr


def _rows(corl: Any, folder: Path) -> str:
    """Forty training rows."""
    run = ("run", "--limit", "40", "-s", "single:nano", "--quiet")
    corl(*run, "--task", "synth:train", "--out", "rows")
    return (folder / "rows/problems.jsonl").read_text()


def _decide_elsewhere(corl: Any, folder: Path) -> None:
    """Writes decisions as the page says."""
    corl("run", "--limit", "20", "-s", "single:nano", "--out", "known", "--quiet")
    script = [sys.executable, "decide_elsewhere.py", "known/problems.jsonl"]
    done = subprocess.run(script, cwd=folder, capture_output=True, text=True, check=True)
    (folder / "decisions.jsonl").write_text(done.stdout)


def test_the_same_rule_in_and_out_of_process_is_the_same_router(corl: Any, folder: Path) -> None:
    corl(
        *words("run --task synth -s python:lengths:by_length"),
        *("-s", f"exec:{sys.executable} exec_router.py @name=outside", "--concurrency", "8"),
    )
    chosen: dict[str, dict[str, str]] = {}
    for row in episodes(folder):
        chosen.setdefault(row["system"], {})[row["problem_id"]] = row["calls"][0]["expert"]
    assert chosen["outside"] == chosen["python:lengths:by_length"]
    assert len(set(chosen["outside"].values())) == 2


def test_a_router_that_dies_costs_its_episodes_and_not_the_run(corl: Any, tmp_path: Path) -> None:
    (tmp_path / "dies.py").write_text("raise SystemExit('no weights in weights.bin')\n")
    done = corl(
        *("run", "--limit", "6", "--out", "run", "--quiet", "-s", "single:nano"),
        *("-s", f"exec:{sys.executable} dies.py @name=dies"),
        code=4,
    )
    verdicts = Counter((row["system"], row["verdict"] == "error") for row in episodes(tmp_path))
    assert verdicts[("dies", True)] == 6
    assert ("single:nano", True) not in verdicts
    assert "no weights in weights.bin" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_system_that_fails_at_the_end_has_its_results(corl: Any, tmp_path: Path) -> None:
    (tmp_path / "leaves.py").write_text(
        "class Leaves:\n"
        "    name, reads_budget, is_oracle = 'leaves', False, False\n"
        "    async def solve(self, problem, budget, episode):\n"
        "        return (await episode.call('nano')).text\n"
        "    async def aclose(self):\n"
        "        raise RuntimeError('the model is gone')\n"
    )
    done = corl("run", "--limit", "6", "--out", "run", "--quiet", "-s", "python:leaves:Leaves")
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "run/summary.json").read_text())["finished"]


@pytest.mark.parametrize(("times", "options"), [(1, ""), (3, ""), (1, " @learns")])
def test_ctrl_c_leaves_no_router_behind(
    corl: Any, tmp_path: Path, times: int, options: str
) -> None:
    (tmp_path / "hangs.py").write_text(
        "import json, os, sys, time\n"
        "request = json.loads(sys.stdin.readline())\n"
        "print(json.dumps({'id': request['id'], 'version': 1}))\n"
        "sys.stdin.readline()\n"
        "open('pid.new', 'w').write(str(os.getpid()))\n"
        "os.rename('pid.new', 'pid')\n"
        "time.sleep(600)\n"
    )
    process = corl.start_and_wait(
        tmp_path / "pid",
        *("run", "--limit", "6", "--out", "run", "--quiet"),
        *("-s", f"exec:{sys.executable} hangs.py{options}"),
        *(("--train", "synth:train") if options else ()),
    )
    router = int((tmp_path / "pid").read_text())
    for _ in range(times):
        process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    for _ in range(1000):
        try:
            os.kill(router, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{router}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.01)
    pytest.fail("the router outlived the run")
