from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from corl_bench.errors import ConfigError, StorageError
from corl_bench.files import (
    LineFile,
    path_of,
    read_lines,
    remove_partials,
    write_json,
    write_text,
)


def test_a_torn_last_line_is_cut_off_and_the_rest_kept(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'{"a":1}\n{"a":2}\n{"a":')
    assert [row["a"] for row in read_lines(path)] == [1, 2]
    with LineFile.open(path) as lines:
        lines.append([{"a": 3}, {"a": 4}])
    assert [row["a"] for row in read_lines(path)] == [1, 2, 3, 4]


@pytest.mark.parametrize("size", [0, 1, 70_000, 200_000])
def test_a_file_without_any_newline_is_one_torn_line(tmp_path: Path, size: int) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b"x" * size)
    with LineFile.open(path) as lines:
        lines.append([{"a": 1}])
    assert list(read_lines(path)) == [{"a": 1}]


def test_text_that_no_file_can_hold_does_not_end_the_run(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    with LineFile.open(path) as lines:
        lines.append([{"a": "\ud800 \u2028 \x00"}])
    assert list(read_lines(path)) == [{"a": "\ufffd \u2028 \x00"}]


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"a":1}\nnonsense\n{"a":2}\n')
    with pytest.raises(StorageError, match=r"lines\.jsonl:2"):
        list(read_lines(path))


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"):
        LineFile.open(tmp_path / "nosuch" / "lines.jsonl")


def test_a_full_disk_is_one_line() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    with (
        LineFile(full, os.open(full, os.O_WRONLY)) as lines,
        pytest.raises(StorageError, match="No space left"),
    ):
        lines.append([{"a": 1}])


def test_half_a_line_of_a_full_disk_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    program = (
        "import resource, signal; from pathlib import Path\n"
        "from corl_bench.errors import StorageError; from corl_bench.files import LineFile\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"lines = LineFile.open(Path({str(path)!r})); lines.append([{{'a': 1}}])\n"
        "most = resource.RLIM_INFINITY; resource.setrlimit(resource.RLIMIT_FSIZE, (20, most))\n"
        "try: lines.append([{'a': 2, 'pad': 'x' * 50}]); raise SystemExit('fits')\n"
        "except StorageError: pass\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)); lines.append([{'a': 3}])\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert [row["a"] for row in read_lines(path)] == [1, 3]


def test_what_append_returned_from_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    program = (
        "import sys; from pathlib import Path; from corl_bench.files import LineFile\n"
        f"lines = LineFile.open(Path({str(path)!r}))\n"
        "n = 0\n"
        "while True:\n"
        "    lines.append([{'n': n, 'pad': 'x' * 5000}]); print(n, flush=True); n += 1\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        for _ in range(200):
            reported = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        reported = max([reported, *map(int, writer.stdout.read().split())])
    written = [row["n"] for row in read_lines(path)]
    assert written == list(range(len(written)))
    assert written[-1] >= reported


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "document.json"
    path.write_text("old")
    write_json(path, {"name": "modèle \ud83d", "n": [1]})
    assert path.read_text("utf-8") == '{\n  "name": "modèle \ufffd",\n  "n": [\n    1\n  ]\n}\n'
    assert [p.name for p in tmp_path.iterdir()] == ["document.json"]


def test_what_cannot_be_replaced_is_one_line_and_leaves_no_partial_file(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "file").write_text("no folder")
    for path in (tmp_path / "taken", tmp_path / "no" / "where.txt", tmp_path / "file" / "x.txt"):
        with pytest.raises(StorageError, match="cannot write") as caught:
            write_text(path, "text")
        assert "\n" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "taken"]


def test_a_disk_that_is_full_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    program = (
        "import resource, signal; from pathlib import Path\n"
        "from corl_bench.errors import StorageError; from corl_bench.files import write_text\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20, resource.RLIM_INFINITY))\n"
        f"try: write_text(Path({str(path)!r}), 'x' * 50); raise SystemExit('fits')\n"
        "except StorageError: pass\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_what_killed_processes_left_half_written_goes_and_nothing_else(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = tmp_path / f".summary.json.{gone.pid}"
    kept = [
        tmp_path / f".summary.json.{os.getpid()}",
        tmp_path / f".notes.txt.{gone.pid}",
        tmp_path / ".summary.json.old",
        tmp_path / "summary.json",
    ]
    for path in (left, *kept):
        path.touch()
    remove_partials(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_a_path_is_its_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert path_of("~/runs") == tmp_path / "runs"  # whether it is there or not
    assert path_of("runs/a b") == Path("runs/a b")


@pytest.mark.parametrize(
    "text", ["~nosuchuser0/runs", "x\0y", "~" + "x" * 5000, "x\0" * 3000, "x" * 300, "a/" * 3000]
)
def test_what_names_no_file_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match="names no file") as caught:
        path_of(text)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 200
