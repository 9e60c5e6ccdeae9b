"""Routers with virtualenvs of their own: the commands that their examples show, as they stand.

They run where a variable names the Python of such a virtualenv, and skip otherwise.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "routers"
pytestmark = pytest.mark.timeout(1800)


def python_of(variable: str) -> str:
    """The Python that a variable names."""
    if variable not in os.environ:
        pytest.skip(f"{variable} names no Python with that router: CONTRIBUTING.md says how")
    return os.environ[variable]


@pytest.fixture(scope="module")
def routellm() -> str:
    return python_of("CORL_ROUTELLM_PYTHON")


@pytest.fixture(scope="module")
def llmrouter() -> str:
    return python_of("CORL_LLMROUTER_PYTHON")


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, beside a run of every expert on some training problems."""
    made = tmp_path_factory.mktemp("lessons")
    shutil.copytree(EXAMPLES, made, dirs_exist_ok=True)
    run = [*command("recorded.py", "run --task synth:train"), "--limit", "60", "--quiet"]
    within(made, sys.executable, "-m", "corl_bench.cli.main", *run)
    shutil.copy(made / "runs/train/problems.jsonl", made / "rows.jsonl")
    return made


@pytest.fixture(scope="module")
def fitted(routellm: str, lessons: Path) -> str:
    """What RouteLLM's fit says; its weights lie with the lessons."""
    return within(lessons, routellm, *command("routellm_fit.py", "routellm_fit.py"))


@pytest.fixture
def folder(tmp_path: Path, lessons: Path) -> Path:
    """A copy of the lessons, in the folder in which the bench is started."""
    shutil.copytree(lessons, tmp_path, dirs_exist_ok=True)
    return tmp_path


def within(folder: Path, *words: str, code: int = 0) -> str:
    """What a process in a folder has printed."""
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def command(page: str, start: str, python: str = "") -> list[str]:
    """The one command of an example's page that starts so, without the program's name."""
    text = (EXAMPLES / page).read_text(encoding="utf-8")
    (found,) = re.findall(rf"^    (?:corl-bench|/opt/\w+/bin/python) ({start}.*)$", text, re.M)
    words = [word.strip('"') for word in re.findall(r'"[^"]+"|\S+', found)]
    patient = [word.replace("start=600", "start=900,timeout=300") for word in words]
    return [re.sub(r"/opt/\w+/bin/python", python, word) for word in patient]


def decided(folder: Path) -> dict[str, Counter[str]]:
    """How often each system of the last run asked whom; no episode may have failed."""
    made: dict[str, Counter[str]] = {}
    for line in (folder / "run/episodes.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert row["verdict"] != "error", row["detail"]
        (call,) = row["calls"]
        made.setdefault(row["system"], Counter())[call["expert"]] += 1
    return made


def test_routellm_scores_at_random_and_with_weights_of_its_own(
    routellm: str, corl: Any, fitted: str, folder: Path
) -> None:
    assert "60 of 60 problems have a verdict" in fitted
    systems = [
        word
        for kind in ("random", "mf/routellm")
        for word in command("routellm_router.py", f"run .*routellm_router.py {kind}", routellm)
        if word.startswith("exec:")
    ]
    corl(
        *("run", "--limit", "20", "--out", "run", "--quiet", "--train", "rows.jsonl"),
        *(word for system in systems for word in ("-s", system)),
    )
    made = decided(folder)
    assert set(made) == set(systems)
    assert all(set(counts) <= {"nano", "large"} for counts in made.values())
    notes = json.loads((folder / "run/summary.json").read_text())["notes"]
    assert sum("30 rows or 50.0%" in note for note in notes) == 2, notes


def test_weights_that_routellm_passes_over_are_refused(
    routellm: str, fitted: str, folder: Path
) -> None:
    script = (
        "from routellm_router import ROUTER_CLS, check_weights, prepare\n"
        "from safetensors.torch import load_file, save_file\n"
        "settings = prepare('mf/routellm.yaml')['mf']\n"
        "weights = load_file('mf/model.safetensors')\n"
        "weights = {name.replace('.0.', '.'): values for name, values in weights.items()}\n"
        "save_file(weights, 'mf/model.safetensors')\n"
        "router = ROUTER_CLS['mf'](**settings)\n"
        "print(0 < router.calculate_strong_win_rate('What is 2 + 2?') < 1)\n"
        "check_weights(router, 'mf')\n"
    )
    said = within(folder, routellm, "-c", script, code=1).splitlines()
    assert said[-2:] == ["True", "the weights in mf are none of MFModel's"]


def test_routellms_server_is_metered_and_a_coin_in_its_place_is_seen(
    routellm: str, corl: Any, fitted: str, folder: Path, serve: Any
) -> None:
    run = [*command("routellm_server.py", "run --pool"), "--limit", "12", "--quiet"]
    start = [routellm, *command("routellm_server.py", "routellm_server.py")]
    endpoint = folder / "routellm_endpoint.toml"
    pair = tomllib.loads(endpoint.read_text())["preflight"]
    between = (
        "from routellm_router import ROUTER_CLS, prepare\n"
        "router = ROUTER_CLS['mf'](**prepare('mf/routellm.yaml')['mf'])\n"
        f"print(sum(map(router.calculate_strong_win_rate, {[pair['easy'], pair['hard']]})) / 2)\n"
    )
    threshold = within(folder, routellm, "-c", between).split()[-1]
    endpoint.write_text(endpoint.read_text().replace("mf-0.65", f"mf-{threshold}"))
    upstream = free_port()
    start[start.index("--base-url") + 1] = f"http://127.0.0.1:{upstream}/v1"
    with serve("--port", upstream):
        with routellm_serving(start, folder):
            corl(*run, "--out", "run")
            assert set(decided(folder)["endpoint:routellm-server"]) <= {"nano", "large"}
            notes = json.loads((folder / "run/summary.json").read_text())["notes"]
            assert any("the easy question went to" in note for note in notes), notes
        endpoint.write_text(endpoint.read_text().replace(f"mf-{threshold}", "random-0.5"))
        start[start.index("--routers") + 1] = "random"
        with routellm_serving(start, folder):
            assert "picks at random" in corl.refused(*run, "--out", "coin")


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@contextmanager
def routellm_serving(start: list[str], folder: Path) -> Iterator[None]:
    """RouteLLM's server, on a free port that the endpoint file is told of."""
    port = free_port()
    start[start.index("--port") + 1] = port
    endpoint = folder / "routellm_endpoint.toml"
    endpoint.write_text(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", endpoint.read_text()))
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(start, cwd=folder, stdout=log, stderr=log)
    try:
        while server.poll() is None:
            with socket.socket() as asking:
                if asking.connect_ex(("127.0.0.1", int(port))) == 0:
                    break
            time.sleep(0.1)
        assert server.poll() is None, (folder / "server.log").read_text()
        yield
    finally:
        server.terminate()
        server.wait(60)


def test_six_routers_of_llmrouter_are_fitted_and_route(
    llmrouter: str, corl: Any, folder: Path
) -> None:
    said = within(folder, llmrouter, *command("llmrouter_fit.py", "llmrouter_fit.py"))
    assert "best of a problem: the cheapest expert of those that tie" in said
    shown = next(
        word
        for word in command("llmrouter_router.py", "run", llmrouter)
        if word.startswith("exec:")
    )
    systems = {
        name: shown.replace("knn", name).replace("graph.pkl", "graph.pt")
        for name in ("knn", "svm", "mlp", "mf", "elo", "graph")
    }
    corl(
        *("run", "--limit", "12", "--out", "run", "--quiet"),
        *(word for system in systems.values() for word in ("-s", system)),
    )
    made = decided(folder)
    assert set(made) == set(systems.values())
    assert len(made[systems["elo"]]) == 1  # it asks the same expert always
