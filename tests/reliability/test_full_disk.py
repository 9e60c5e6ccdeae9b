"""A disk without room, and one that may only be read: one line each, and nothing lost."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.cli.main import main
from corl_bench.experts.store import RecordingStore
from corl_bench.results import canonical_lines
from reliability.conftest import Disk
from reliability.runs import environment

Corl = Callable[..., tuple[int, str]]
SYSTEMS = ("--system", "single:nano", "--system", "vote:nano,mini,large")
RUN = ("run", "--limit", "6", *SYSTEMS, "--quiet", "--out")
ANSWERS = 400


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def episodes(run_dir: Path) -> list[str]:
    return canonical_lines(rows(run_dir / "episodes.jsonl"))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def write_answers(path: Path) -> Path:
    lines = (
        {"problem": f"What is {n} + {n}?", "expert": "small", "response": f"{2 * n}. " * 50}
        | {"gold": str(2 * n), "usage": {"input_tokens": 14, "output_tokens": 6}}
        for n in range(ANSWERS)
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.raises(SystemExit) as left:
        main([*RUN, str(folder)])
    assert not left.value.code
    return folder


# --- full ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kib", [4, 24, 52, 88, 124, 160])
def test_a_run_on_a_full_disk_goes_on_when_there_is_room(
    disk: Disk, corl: Corl, whole: Path, kib: int
) -> None:
    run_dir = disk.path / "run"
    disk.remount(f"size={kib}k")
    code, said = corl(*RUN, run_dir)
    assert (code, len(said.splitlines())) == (2, 1), said
    assert "No space left" in said or "disk" in said
    kept = rows(run_dir / "ledger.jsonl") if (run_dir / "ledger.jsonl").exists() else []

    disk.remount("size=8m")
    code, said = corl(*RUN, run_dir)
    assert code == 0, said
    assert episodes(run_dir) == episodes(whole)
    ledger = rows(run_dir / "ledger.jsonl")
    assert ledger[: len(kept)] == kept
    made = [line for line in ledger if not line["stored"]]
    # Whatever had been answered before the disk was full was not asked again.
    answered = [line["call"] for line in made if line["status"] == "ok"]
    assert len(answered) == len(set(answered)) == 3 * 6
    assert all((line["status"] == "interrupted") != line["settled"] for line in made)


def test_recordings_on_a_full_disk_keep_what_they_had(disk: Disk, corl: Corl) -> None:
    store = disk.path / "store.sqlite"
    answers = write_answers(disk.path.parent / "answers.jsonl")
    disk.remount("size=120k")
    code, said = corl("recordings", "import", store, answers)
    assert (code, len(said.splitlines())) == (2, 1), said
    disk.remount("size=8m")
    if store.exists():
        with RecordingStore.open(store, read_only=True) as opened:
            assert opened.stats().calls == 0
    assert corl("recordings", "import", store, answers)[0] == 0
    with RecordingStore.open(store, read_only=True) as opened:
        assert opened.stats().calls == ANSWERS


@pytest.mark.parametrize("verb", ["grade", "report", "export", "baseline", "recordings"])
def test_what_does_not_fit_is_not_there_in_part(
    disk: Disk, corl: Corl, whole: Path, tmp_path: Path, verb: str
) -> None:
    out = disk.path / "out.json"
    answers = write_answers(tmp_path / "answers.jsonl")
    commands: dict[str, tuple[str | Path, ...]] = {
        "grade": ("grade", answers, "--out", out),
        "report": ("report", whole, "--out", out),
        "export": ("export", whole, "--format", "csv", "--out", out),
        "baseline": ("baseline", "set", whole, "--to", out),
        "recordings": ("recordings", "export", whole / "recordings.sqlite", "--out", out),
    }
    disk.remount("size=4k")
    code, said = corl(*commands[verb])
    assert (code, len(said.splitlines())) == (2, 1), said
    assert [path.name for path in disk.path.iterdir()] == []
    disk.remount("size=8m")
    code, said = corl(*commands[verb])
    assert code == 0, said
    assert out.exists()


def test_a_server_whose_disk_is_full_ends_with_every_answer_on_its_books(disk: Disk) -> None:
    out = disk.path / "served"
    disk.remount("size=24k")
    server = subprocess.Popen(
        [sys.executable, "-m", "corl_bench.cli.main", "serve", "--system", "single:nano"]
        + ["--out", str(out), "--quiet"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    url = server.stdout.readline().split()[-1]
    body = {"model": "corl", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}
    replied: list[dict[str, Any]] = []
    refused = None
    while refused is None and len(replied) < 200:
        request = urllib.request.Request(
            f"{url}/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                replied.append(json.load(answer)["corl"])
        except (urllib.error.URLError, ConnectionError) as error:
            refused = error
    _, said = server.communicate(timeout=60)
    assert server.returncode == 2
    assert len(said.splitlines()) == 1, said
    assert "No space left" in said
    assert replied
    booked = {
        line["call"].partition("#")[0].partition("/")[2]: Decimal(line["list_cost_usd"])
        for line in rows(out / "ledger.jsonl")
    }
    assert all(booked[costs["request"]] == Decimal(costs["cost_usd"]) for costs in replied)


def test_training_on_a_full_disk_goes_on_when_there_is_room(
    disk: Disk, tmp_path: Path, corl: Corl
) -> None:
    pytest.importorskip("torch")
    from corl_train.cli.main import main as corl_train
    from training.tiny_runs import TINY, figures, weights

    settings = [word for setting in TINY for word in ("--set", setting)]
    run = ("run", "quickstart", *settings, "--quiet", "--out")
    assert corl(*run, tmp_path / "whole", program=corl_train)[0] == 0
    whole = tmp_path / "whole"
    size = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file())
    folder = disk.path / "run"
    disk.remount(f"size={size // 2048}k")
    code, said = corl(*run, folder, program=corl_train)
    assert (code, len(said.splitlines())) == (2, 1), said
    assert not [path for path in folder.rglob("*") if path.suffix == ".new"]
    disk.remount("size=64m")
    code, said = corl(*run, folder, program=corl_train)
    assert code == 0, said
    assert figures(folder) == figures(whole)
    assert weights(folder) == weights(whole)


# --- for reading alone -----------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["new", "again", "record", "regrade", "report", "grade", "serve"])
def test_a_disk_for_reading_alone_is_one_line(
    disk: Disk, corl: Corl, tmp_path: Path, verb: str
) -> None:
    run_dir, answers = disk.path / "run", write_answers(tmp_path / "answers.jsonl")
    run = ("run", "--limit", "2", "--system", "single:nano", "--quiet")
    assert corl(*run, "--out", run_dir)[0] == 0
    store = run_dir / "recordings.sqlite"
    commands: dict[str, tuple[str | Path, ...]] = {
        "new": (*run, "--out", disk.path / "other"),
        "again": (*run, "--out", run_dir),
        "record": (*run, "--out", tmp_path / "own", "--mode", "record", "--recordings", store),
        "regrade": ("regrade", run_dir, "--write"),
        "report": ("report", run_dir),
        "grade": ("grade", answers, "--out", disk.path / "graded.jsonl"),
        "serve": ("serve", "--system", "single:nano", "--out", disk.path / "served"),
    }
    before = contents(disk.path)
    disk.remount("ro")
    code, said = corl(*commands[verb])
    assert (code, len(said.splitlines())) == (2, 1), said
    assert str(disk.path) in said
    assert contents(disk.path) == before


def test_recordings_on_a_disk_for_reading_alone_can_be_replayed(
    disk: Disk, corl: Corl, tmp_path: Path
) -> None:
    run = ("run", "--limit", "2", "--system", "single:nano", "--quiet")
    assert corl(*run, "--out", disk.path / "run")[0] == 0
    disk.remount("ro")
    replay = ("--mode", "replay", "--recordings", disk.path / "run")
    assert corl(*run, *replay, "--out", tmp_path / "replayed")[0] == 0
    assert episodes(tmp_path / "replayed") == episodes(disk.path / "run")
