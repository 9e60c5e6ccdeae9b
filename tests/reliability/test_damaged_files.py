"""A file of a run that was damaged: one line that says which and what to do, and no loss.

A torn last line is what a kill leaves, and is passed over; anything else is not ours to guess.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from corl_bench.cli.main import main
from corl_bench.results import canonical_lines

RUN = ("run", "--limit", "3", "--system", "single:nano", "--quiet", "--out")
LINES = {
    "bytes": b"gar\xffbage\n",
    "a number": b"42\n",
    "null": b"null\n",
    "no fields": b"{}\n",
    "another kind": b'{"v":"x"}\n',
    "nested": b"[" * 100_000 + b"\n",
    "zeros": b"\0" * 80 + b"\n",
}
"""What may stand in the place of the last line."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damaged") / "run"
    with pytest.raises(SystemExit) as left:
        main([*RUN, str(folder)])
    assert not left.value.code
    return folder


@pytest.fixture
def run_dir(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def with_last_line(path: Path, line: bytes) -> None:
    kept = path.read_bytes().splitlines(keepends=True)[:-1]
    path.write_bytes(b"".join(kept) + line)


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("name", ["ledger.jsonl", "journal.jsonl", "episodes.jsonl"])
def test_a_line_that_is_none_is_named_and_left_alone(
    run_dir: Path, corl: Callable[..., tuple[int, str]], name: str, line: str
) -> None:
    with_last_line(run_dir / name, LINES[line])
    before = contents(run_dir)
    code, said = corl(*RUN, run_dir)
    assert code == 2
    assert len(said.splitlines()) == 1
    assert f"{run_dir / name}:3" in said
    assert contents(run_dir) == before


def test_an_attempt_that_stands_twice_on_the_ledger_is_not_paid_twice(
    run_dir: Path, corl: Callable[..., tuple[int, str]]
) -> None:
    ledger = run_dir / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join([*lines, lines[0]]))
    before = contents(run_dir)
    code, said = corl(*RUN, run_dir)
    assert code == 2
    assert len(said.splitlines()) == 1
    assert f"{ledger}: attempt 1 of " in said
    assert "stands there twice" in said
    assert contents(run_dir) == before
    ledger.write_bytes(b"".join(lines))
    assert corl(*RUN, run_dir)[0] == 0


@pytest.mark.parametrize("verb", ["report", "regrade"])
@pytest.mark.parametrize("line", LINES)
def test_a_problem_that_is_none_is_named(
    run_dir: Path, corl: Callable[..., tuple[int, str]], verb: str, line: str
) -> None:
    with_last_line(run_dir / "problems.jsonl", LINES[line])
    code, said = corl(verb, run_dir)
    assert code == 2
    assert len(said.splitlines()) == 1
    assert f"{run_dir / 'problems.jsonl'}:3" in said


@pytest.mark.parametrize("name", ["ledger.jsonl", "journal.jsonl", "episodes.jsonl"])
def test_a_torn_last_line_costs_what_was_in_it_and_no_more(
    whole: Path, run_dir: Path, corl: Callable[..., tuple[int, str]], name: str
) -> None:
    path = run_dir / name
    path.write_bytes(path.read_bytes()[:-20])
    assert corl(*RUN, run_dir)[0] == 0
    episodes = [
        canonical_lines(map(json.loads, (d / "episodes.jsonl").read_text().splitlines()))
        for d in (whole, run_dir)
    ]
    assert episodes[0] == episodes[1]
    # The reply was stored: what its ledger line had said is said by it, and nobody is asked.
    ledgers = [sorted((d / "ledger.jsonl").read_text().splitlines()) for d in (whole, run_dir)]
    assert ledgers[0] == ledgers[1]


def test_a_line_taken_out_of_the_ledger_is_settled_by_the_stored_reply(
    whole: Path, run_dir: Path, corl: Callable[..., tuple[int, str]]
) -> None:
    """What the message about a line of the ledger tells the user to do."""
    with_last_line(run_dir / "ledger.jsonl", LINES["bytes"])
    assert "take the line out" not in corl(*RUN, run_dir)[1]  # not JSON: no more can be said
    with_last_line(run_dir / "ledger.jsonl", LINES["no fields"])
    assert "take the line out" in corl(*RUN, run_dir)[1]
    with_last_line(run_dir / "ledger.jsonl", b"")
    assert corl(*RUN, run_dir)[0] == 0
    ledgers = [sorted((d / "ledger.jsonl").read_text().splitlines()) for d in (whole, run_dir)]
    assert ledgers[0] == ledgers[1]


@pytest.mark.parametrize(
    ("name", "field", "newer"),
    [
        ("ledger.jsonl", '"v":1', '"v":9'),
        ("journal.jsonl", '"v":1', '"v":9'),
        ("episodes.jsonl", '"v":1', '"v":9'),
        ("manifest.json", "manifest@1", "manifest@9"),
    ],
)
def test_files_of_a_newer_version_are_refused_and_left_alone(
    run_dir: Path, corl: Callable[..., tuple[int, str]], name: str, field: str, newer: str
) -> None:
    path = run_dir / name
    text = path.read_text()
    assert field in text
    path.write_text(text.replace(field, newer))
    before = contents(run_dir)
    code, said = corl(*RUN, run_dir)
    assert (code, len(said.splitlines())) == (2, 1)
    assert name in said or "journal" in said
    assert contents(run_dir) == before


@pytest.mark.parametrize("keep", [0, 60])
@pytest.mark.parametrize("name", ["manifest.json", "summary.json", "recordings.sqlite"])
def test_a_document_that_was_cut_is_one_line_or_made_again(
    run_dir: Path, corl: Callable[..., tuple[int, str]], name: str, keep: int
) -> None:
    path = run_dir / name
    path.write_bytes(path.read_bytes()[:keep])
    code, said = corl(*RUN, run_dir)
    if name == "manifest.json" or (name == "recordings.sqlite" and keep):
        assert (code, len(said.splitlines())) == (2, 1)
        assert str(path) in said
        assert path.stat().st_size == keep
    else:
        # The summary is derived; an empty store is a new one, and nothing is owed any more.
        assert code == 0
        assert json.loads((run_dir / "summary.json").read_text())["finished"]
