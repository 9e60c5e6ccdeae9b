"""What was found to pass once: each cheat, done as well as a forger can, and what says no now."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corl_bench.leaderboard.board import read_board
from corl_bench.leaderboard.case import Bench
from corl_bench.leaderboard.checks import OWN_FAMILIES
from corl_bench.leaderboard.ranking import make_standings
from corl_bench.leaderboard.raw import LIMIT_BYTES, canonical, sha256_of, write_packed
from corl_bench.leaderboard.redrawing import plain_request
from corl_bench.leaderboard.verification import Verification, status_of_board, verify_board
from corl_bench.routers.registry import FAMILIES
from leaderboard.conftest import entry_of
from leaderboard.forging import Forgery

Deed = Callable[[Forgery], None]


def verified(path: Path) -> Verification:
    (found,) = verify_board(Bench.of(read_board(path.parent.parent)), [path])
    return found


def by_status(path: Path, status: str) -> set[str]:
    return {finding.check for finding in verified(path).findings if finding.status == status}


def failed(path: Path) -> set[str]:
    return by_status(path, "failed")


def draw_until_right(forgery: Forgery) -> int:
    """Puts later draws of the same request in the place of wrong replies, bills and all."""
    bench = Bench.of(forgery.board)
    simulation, lucky = bench.simulation(0), 0
    for row in forgery.rows:
        (call,) = row["calls"]
        problem = bench.problems["small", row["problem_id"]]
        expert = forgery.board.pool[call["expert"]]
        request = plain_request(bench, 0, expert, problem, "small")
        size = sum(len(message.content.encode()) for message in request.messages)
        for draw in range(1, 40) if row["verdict"] != "correct" else ():
            reply = simulation.reply(
                expert.name,
                problem,
                n_bytes=size,
                draw_seed=1_000_000 * draw,
                max_output_tokens=request.sampling.max_output_tokens,
            )
            if f"boxed{{{problem.answer}}}" in reply.text:
                forgery.bill(row, call, reply.usage.as_dict())
                (line,) = forgery.lines_of(row, call)
                call |= {"id": f"{call['id'][:12]}.{draw}", "text": reply.text}
                call["finish"] = reply.finish
                line["call"] = f"{forgery.key(row)}#{call['id']}"
                row |= {"response": reply.text, "answer": problem.answer, "verdict": "correct"}
                row["timings"] = {"latency_s": reply.latency_s, "calls_s": [reply.latency_s]}
                lucky += 1
                break
    return lucky


def test_only_the_lucky_draw_of_many(board: Path) -> None:
    forgery = Forgery(entry_of(board, "single-large"))
    assert draw_until_right(forgery) >= 3
    assert failed(forgery.save(figures=True)) == {"bookkeeping"}


@pytest.mark.parametrize("name", ["single:nano", "single:clever", "oracle", "vote:nano,mini"])
def test_a_name_of_the_benchs_own_for_somebody_elses_code(board: Path, name: str) -> None:
    forgery = Forgery(entry_of(board, "oracle"))
    forgery.rename(name)
    forgery.entry["system"]["oracle"] = False
    assert failed(forgery.save(figures=True)) == {"system"}


@pytest.mark.parametrize("code", [None, "0" * 64])
@pytest.mark.parametrize(
    "name",
    [
        "python:stranger:Router",
        "exec:./stranger --serve",
        "decisions:stranger.jsonl",
        "endpoint:http://127.0.0.1:9/v1#m",
        "controller:stranger",
        "learned:stranger@0.1",
    ],
)
def test_nothing_that_a_stranger_names_is_opened_run_or_asked(
    board: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: str | None
) -> None:
    made: list[str] = []

    def make(rest: str, pool: object) -> list[Any]:
        made.append(rest)
        return []

    for family in FAMILIES.keys() - OWN_FAMILIES:
        monkeypatch.setitem(FAMILIES, family, make)
    forgery = Forgery(entry_of(board, "spender"))
    forgery.rename(name, code)
    path = forgery.save(figures=True)
    bench = Bench.of(read_board(board), run_again=True)
    (found,) = verify_board(bench, [path])
    (said,) = (finding for finding in found.findings if finding.check == "system")
    if code is None:
        assert (said.status, said.text[:33]) == ("failed", "neither a system of the bench nor")
    else:
        assert said.status == "passed"
    make_standings(read_board(board), resamples=50)
    assert made == []


def test_every_family_that_is_not_the_benchs_own_is_a_strangers() -> None:
    foreign = {"python", "exec", "decisions", "endpoint", "controller", "learned"}
    assert FAMILIES.keys() - OWN_FAMILIES == foreign


def test_an_entry_that_fails_is_held_against_no_other(board: Path) -> None:
    before = {found.entry_id: found.status for found in verify_board(Bench.of(read_board(board)))}
    honest = entry_of(board, "single-nano")
    saved = {p: p.read_bytes() for p in (board / "entries").glob("single-nano-*")}
    forgery = Forgery(honest)
    for row in forgery.rows:
        row["verdict"] = "correct"
    forged = forgery.save(figures=True)
    for path, data in saved.items():
        path.write_bytes(data)

    after = {found.entry_id: found.status for found in verify_board(Bench.of(read_board(board)))}
    assert after.pop(forged.stem) == "failed"
    assert after == before


def test_nothing_is_said_of_a_board_whose_rows_are_not_here(board: Path) -> None:
    rows = board / "small.jsonl"
    rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:-1]))
    bench = Bench.of(read_board(board))
    assert status_of_board(verify_board(bench), bench) == "unchecked"
    assert status_of_board((), bench) == "unchecked"
    standings = make_standings(read_board(board), resamples=200)
    assert {row.rank for row in standings.rows} == {None}
    assert "digest" in standings.tasks[0].absent


def test_verdicts_without_texts_are_held_against_the_replies_drawn_again(board: Path) -> None:
    forgery = Forgery(entry_of(board, "single-nano"))
    forgery.withhold("small")
    for row in forgery.rows:
        row["verdict"] = "correct"
    assert failed(forgery.save(figures=True)) == {"regrading"}


def test_what_nobody_can_grade_has_no_rank_and_moves_no_other(board: Path) -> None:
    before = {row.label: row for row in make_standings(read_board(board), resamples=200).rows}
    forgery = Forgery(entry_of(board, "spender"))
    forgery.rename("mine")
    forgery.withhold("small")
    for row in forgery.rows:
        row["verdict"] = "correct"
        # No reply of the simulation: texts of the system's own.
        row["response_is"] = {"sha256": "0" * 64, "bytes": 40}
    path = forgery.save(figures=True)
    assert verified(path).status == "unchecked"

    rows = {row.label: row for row in make_standings(read_board(board), resamples=200).rows}
    assert rows["mine@low"].accuracy.value == 1
    assert rows["mine@low"].rank is None and rows["mine@low"].gain_over_coin is None
    ranks = {row.rank for row in rows.values() if row.rank is not None}
    assert min(ranks) == 1 and max(ranks) <= len(before) - 2


def test_a_copy_under_another_id_and_with_other_times(board: Path) -> None:
    path = entry_of(board, "random")
    copied = Forgery(path)
    copied.entry["id"] = "random-copy"
    (path.with_name("random-copy.json")).write_text(json.dumps(copied.entry))
    for suffix in (".episodes.jsonl.zst", ".ledger.jsonl.zst"):
        shutil.copy(path.with_name(path.stem + suffix), path.with_name("random-copy" + suffix))
    assert {"files", "seal"} <= failed(path.with_name("random-copy.json"))
    for file in path.parent.glob("random-copy*"):
        file.unlink()

    saved = {file: file.read_bytes() for file in path.parent.glob(f"{path.stem}*")}
    copied = Forgery(path)
    for row in copied.rows:
        row["timings"]["calls_s"][0] += 5e-7
    copy = copied.save()
    for file, data in saved.items():
        file.write_bytes(data)
    assert failed(copy) == failed(path) == {"duplicate"}

    copied.rename("mine")
    copy = copied.save(figures=True)
    assert failed(copy) == set() and "duplicate" in by_status(copy, "flagged")


@pytest.mark.parametrize("space", ["", "\n"])
def test_golds_in_place_of_replies(board: Path, space: str) -> None:
    forgery = Forgery(entry_of(board, "single-self"))
    forgery.rename("mine")
    golds = Bench.of(forgery.board).problems
    for row in forgery.rows:
        gold = golds["small", row["problem_id"]].answer
        row |= {"response": f"\\boxed{{{gold}}}{space}", "answer": gold, "verdict": "correct"}
    path = forgery.save(figures=True)
    assert by_status(path, "flagged") == {"foreign-answers", "oracle-like"}


def test_a_blank_behind_the_reply_does_not_hide_a_choice(board: Path) -> None:
    forgery = Forgery(entry_of(board, "oracle"))
    forgery.rename("mine")
    forgery.entry["system"]["oracle"] = False
    for row in forgery.rows:
        row["response"] = row["response"] and f"{row['response']}\n"
    path = forgery.save(figures=True)
    assert failed(path) == set()
    assert by_status(path, "flagged") == {"oracle-like"}


def call(**changes: Any) -> Deed:
    return lambda forgery: forgery.rows[0]["calls"][0].update(changes)


def row(**changes: Any) -> Deed:
    return lambda forgery: forgery.rows[0].update(changes)


def line(**changes: Any) -> Deed:
    return lambda forgery: forgery.ledger[0].update(changes)


def times(**changes: Any) -> Deed:
    return lambda forgery: forgery.rows[0]["timings"].update(changes)


ODD: tuple[Deed, ...] = (
    call(text=5),
    call(list_cost_usd="sNaN"),
    call(list_cost_usd="1E-7"),
    call(unsettled_usd="-1"),
    call(attempts="1"),
    call(attempts={}),
    call(source_correct="What is ...?"),
    call(status="What is ...?"),
    call(id="0.0"),
    call(usage=[]),
    call(usage={"output_tokens": True}),
    call(detail=[]),
    row(task=[]),
    row(problem_id={}),
    row(subject=5),
    row(level=True),
    row(sample=-1),
    row(verdict="right"),
    row(calls=None),
    row(v=3),
    row(statement="What is ...?"),
    times(latency_s=float("nan")),
    times(latency_s=-5),
    times(latency_s=1e308),
    times(calls_s=[]),
    times(note="What is ...?"),
    line(settled=0),
    line(settled=False, unsettled_usd="-1"),
    line(settled=False),
    line(attempt="<script>"),
    line(note="What is ...?"),
    line(usage="free"),
)


@pytest.mark.parametrize("deed", ODD)
def test_values_that_no_run_writes(board: Path, deed: Deed) -> None:
    forgery = Forgery(entry_of(board, "single-nano"))
    deed(forgery)
    assert failed(forgery.save()) == {"readable"}


def test_a_finding_is_short_whatever_it_is_about(board: Path) -> None:
    forgery = Forgery(entry_of(board, "single-nano"))
    forgery.rows[0]["\x1b[2J" * 10_000] = 1
    (finding,) = verified(forgery.save()).findings
    assert finding.text.isprintable() and len(finding.text) < 1100


@pytest.mark.parametrize(
    ("deed", "check"),
    [(call(attempts=99), "bookkeeping"), (times(latency_s=5000.0), "total-of-parts")],
)
def test_values_that_do_not_follow(board: Path, deed: Deed, check: str) -> None:
    forgery = Forgery(entry_of(board, "single-nano"))
    deed(forgery)
    assert failed(forgery.save()) == {check}


def reseal(forgery: Forgery, data: bytes) -> Path:
    """Gives an entry other lines as its episodes, digest and all, but not the id."""
    path = forgery.save(figures=True)
    document = json.loads(path.read_text())
    document["episodes"]["sha256"] = sha256_of(data)
    path.write_text(json.dumps(document))
    write_packed(path.with_name(f"{path.stem}.episodes.jsonl.zst"), data)
    return path


def test_one_key_twice_hides_no_text(board: Path) -> None:
    forgery = Forgery(entry_of(board, "single-nano"))
    forgery.withhold("small")
    leak = b'"response":"What is ...?","response":null'
    data = canonical(forgery.rows).replace(b'"response":null', leak)
    path = reseal(forgery, data)
    assert failed(path) == {"readable"}
    assert "each key once" in verified(path).findings[0].text


@pytest.mark.parametrize("tail", [b"What is ...?", b"\x50\x2a\x4d\x18\x04\x00\x00\x00leak"])
def test_nothing_stands_behind_the_frame(board: Path, tail: bytes) -> None:
    path = entry_of(board, "single-nano")
    file = path.with_name(f"{path.stem}.ledger.jsonl.zst")
    file.write_bytes(file.read_bytes() + tail)
    assert failed(path) == {"readable"}


def test_little_that_unpacks_to_much(board: Path) -> None:
    path = entry_of(board, "single-nano")
    file = path.with_name(f"{path.stem}.episodes.jsonl.zst")
    for data in (b"{}\n" * (LIMIT_BYTES // 6), b" " * (LIMIT_BYTES + 1)):
        write_packed(file, data)
        assert failed(path) == {"readable"}


@pytest.mark.parametrize("suffix", [".json", ".episodes.jsonl.zst"])
def test_what_is_no_regular_file_is_not_read(board: Path, suffix: str) -> None:
    path = entry_of(board, "single-nano")
    file = path.with_name(path.stem + suffix)
    file.unlink()
    file.symlink_to("/dev/zero")
    assert failed(path) == {"readable"}
    file.unlink()
    os.mkfifo(file)
    assert failed(path) == {"readable"}


@pytest.mark.parametrize(
    "name", ["a b.json", "\x1b[2J.json", "A.json", "leak.txt", "no.full.jsonl.zst"]
)
def test_files_that_belong_to_no_entry_are_named_and_stop_nothing(board: Path, name: str) -> None:
    (board / "entries" / name).write_text("What is ...?")
    bench = Bench.of(read_board(board))
    found = verify_board(bench)
    (odd,) = [result for result in found if result.status == "failed"]
    assert odd.path.name == name
    assert odd.entry_id.isprintable() and " " not in odd.entry_id
    assert all(finding.text.isprintable() for finding in odd.findings)
    assert status_of_board(found, bench) == "failed"
    standings = make_standings(read_board(board), resamples=200)
    assert standings.entrant(odd.entry_id).status == "failed"
    assert len(standings.rows) == 10


@pytest.mark.parametrize(
    ("facts", "check"),
    [
        ({"place": "https://example.org"}, "readable"),
        ({"withheld": ["small"]}, "readable"),
        (
            {
                "withheld": ["nosuch"],
                "place": "https://example.org",
                "full_sha256": f"sha256:{64 * '0'}",
            },
            "texts",
        ),
        (
            {
                "withheld": ["small"],
                "place": "https://example.org",
                "full_sha256": f"sha256:{64 * '0'}",
            },
            "texts",
        ),
    ],
)
def test_a_place_of_texts_that_lie_here(board: Path, facts: dict[str, Any], check: str) -> None:
    path = entry_of(board, "single-nano")
    document = json.loads(path.read_text())
    document["episodes"] |= facts
    path.write_text(json.dumps(document))
    assert check in failed(path)


@pytest.mark.parametrize("fact", ["mode", "corl_bench", "run_id", "grader"])
def test_facts_of_a_run_are_no_free_text(board: Path, fact: str) -> None:
    path = entry_of(board, "single-nano")
    document = json.loads(path.read_text())
    document["run"][fact] = "What is ...?"
    path.write_text(json.dumps(document))
    assert failed(path) == {"readable"}
