"""Tampered entries are caught, by the check that is meant to catch them, also where the forger
redoes every digest and every figure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corl_bench.leaderboard.board import read_board
from corl_bench.leaderboard.case import Bench
from corl_bench.leaderboard.raw import withhold
from corl_bench.leaderboard.verification import Verification, verify_board
from leaderboard.conftest import entry_of
from leaderboard.forging import Forgery

Deed = Callable[[Forgery], None]


def verified(path: Path, *, run_again: bool = False) -> Verification:
    bench = Bench.of(read_board(path.parent.parent), run_again=run_again)
    (found,) = verify_board(bench, [path])
    return found


def failed(path: Path, *, run_again: bool = False) -> set[str]:
    found = verified(path, run_again=run_again)
    return {finding.check for finding in found.findings if finding.status == "failed"}


def wrong_row(forgery: Forgery) -> dict[str, Any]:
    """The first episode that was answered wrongly, by one call or more."""
    return next(row for row in forgery.rows if row["verdict"] == "wrong")


def change_tokens(forgery: Forgery) -> None:
    forgery.rows[3]["calls"][0]["usage"]["output_tokens"] -= 40


def swap_answer(forgery: Forgery) -> None:
    wrong_row(forgery)["answer"] = "17"


def swap_verdict(forgery: Forgery) -> None:
    wrong_row(forgery)["verdict"] = "correct"


def remove_row(forgery: Forgery) -> None:
    forgery.drop(wrong_row(forgery))


def add_row(forgery: Forgery) -> None:
    forgery.rows.append({**forgery.rows[0], "problem_id": "small/99999"})


def repeat_row(forgery: Forgery) -> None:
    forgery.rows.append(dict(next(row for row in forgery.rows if row["verdict"] == "correct")))


def edit_cost(forgery: Forgery) -> None:
    row = forgery.rows[5]
    call = row["calls"][0]
    call["list_cost_usd"] = "0.00001"
    for line in forgery.lines_of(row, call):
        line["list_cost_usd"] = "0.00001"
    forgery.add_up(row)


def edit_total(forgery: Forgery) -> None:
    forgery.rows[5]["list_cost_usd"] = "0.00001"


def hide_a_call(forgery: Forgery) -> None:
    row = forgery.rows[7]
    del row["calls"][0]
    del row["timings"]["calls_s"][0]
    forgery.add_up(row)


def edit_figure(forgery: Forgery) -> None:
    forgery.entry["figures"][0]["accuracy"] += 0.01


def edit_pool_digest(forgery: Forgery) -> None:
    forgery.entry["digests"]["pool"] = "0" * 64


def edit_task_digest(forgery: Forgery) -> None:
    forgery.entry["digests"]["tasks"]["small"] = "sha256:" + "0" * 64


def edit_price_digest(forgery: Forgery) -> None:
    forgery.entry["digests"]["prices"] = "sha256:" + "0" * 64


def another_seed(forgery: Forgery) -> None:
    forgery.entry["run"]["seed"] = 1


def another_subject(forgery: Forgery) -> None:
    forgery.rows[0]["subject"] = "Astrology"


DEEDS: tuple[tuple[Deed, set[str]], ...] = (
    (change_tokens, {"bookkeeping", "simulation"}),
    (swap_answer, {"regrading"}),
    (swap_verdict, {"regrading"}),
    (remove_row, {"coverage"}),
    (add_row, {"coverage"}),
    (repeat_row, {"coverage"}),
    (edit_cost, {"repricing"}),
    (edit_total, {"total-of-parts"}),
    (hide_a_call, {"bookkeeping", "total-of-parts"}),
    (edit_pool_digest, {"terms"}),
    (edit_task_digest, {"terms"}),
    (edit_price_digest, {"terms"}),
    (another_seed, {"simulation", "terms"}),
    (another_subject, {"coverage"}),
)


@pytest.mark.parametrize(
    ("deed", "caught_by"), DEEDS, ids=lambda value: getattr(value, "__name__", "")
)
def test_forged_with_all_digests_and_figures_redone(
    board: Path, deed: Deed, caught_by: set[str]
) -> None:
    path = entry_of(board, "cascade-nano-mini-reasoner")
    forgery = Forgery(path)
    deed(forgery)
    path = forgery.save(figures=True)

    found = failed(path)
    assert caught_by <= found
    assert not {"seal", "files", "readable"} & found


@pytest.mark.parametrize("deed", [deed for deed, _ in DEEDS], ids=lambda deed: deed.__name__)
def test_edited_without_touching_digests(board: Path, deed: Deed) -> None:
    path = entry_of(board, "cascade-nano-mini-reasoner")
    forgery = Forgery(path)
    deed(forgery)
    path = forgery.save(digests=False)

    assert failed(path) & {"files", "seal"}


def test_a_figure_that_is_edited_and_sealed_again(board: Path) -> None:
    path = entry_of(board, "random")
    forgery = Forgery(path)
    edit_figure(forgery)
    path = forgery.save(digests=False)
    assert {"seal", "figures"} <= failed(path)
    path = forgery.save()
    assert failed(path) == {"figures"}


def test_tokens_with_ledger_costs_and_figures_redone_meet_the_simulation(board: Path) -> None:
    path = entry_of(board, "single-reasoner")
    forgery = Forgery(path)
    row = forgery.rows[0]
    forgery.bill(row, row["calls"][0], {"input_tokens": 80, "output_tokens": 280})
    path = forgery.save(figures=True)

    assert failed(path) == {"simulation"}


def test_a_right_answer_put_in_the_place_of_a_wrong_one(board: Path) -> None:
    path = entry_of(board, "single-nano")
    forgery = Forgery(path)
    row = wrong_row(forgery)
    gold = Bench.of(forgery.board).problems["small", row["problem_id"]].answer
    row |= {"response": f"So it is $\\boxed{{{gold}}}$.", "answer": gold, "verdict": "correct"}
    path = forgery.save(figures=True)
    assert failed(path) == {"foreign-answers"}

    row["calls"][0]["text"] = row["response"]
    path = forgery.save(figures=True)
    assert failed(path) == {"simulation"}


def test_events_are_kept_and_withheld_by_their_number(board: Path) -> None:
    forgery = Forgery(entry_of(board, "single-nano"))
    row = {**forgery.rows[0], "events": ["invalid turn: 'Let x be' is no expert"]}
    assert withhold(row)["events"] == [""]
    assert "events" not in withhold(forgery.rows[0])
    forgery.rows[0] = row
    assert failed(forgery.save(figures=True)) == set()
    row["events"] = ["x" * 501]
    assert failed(forgery.save(figures=True)) == {"readable"}


def test_a_stamp_beside_a_text_does_not_vouch_for_it(board: Path) -> None:
    path = entry_of(board, "single-nano")
    forgery = Forgery(path)
    row = wrong_row(forgery)
    stamps = withhold(row)
    gold = Bench.of(forgery.board).problems["small", row["problem_id"]].answer
    text = f"So it is $\\boxed{{{gold}}}$."
    row |= {"response": text, "answer": gold, "verdict": "correct"}
    row["response_is"] = stamps["response_is"]
    row["calls"][0] |= {"text": text, "text_is": stamps["calls"][0]["text_is"]}
    path = forgery.save(figures=True)

    assert failed(path) == {"readable"}


@pytest.mark.parametrize(
    "claim",
    [
        {"oracle": False},
        {"name": "single:nano"},
        {"name": "cascade:nano"},
        {"name": "my-router"},
        {"name": "python:mine:Mine"},
    ],
)
def test_a_system_that_is_not_what_its_name_says(board: Path, claim: dict[str, Any]) -> None:
    path = entry_of(board, "oracle")
    forgery = Forgery(path)
    forgery.entry["system"] |= claim
    for row in forgery.rows:
        row["system"] = forgery.entry["system"]["name"]
    for line in forgery.ledger:
        line["call"] = line["call"].replace("|oracle|", f"|{forgery.entry['system']['name']}|")
    path = forgery.save(figures=True)

    assert "system" in failed(path)


@pytest.mark.parametrize("name", ["\x1b[2Jgone", "two\nlines", " ", "x" * 300])
def test_names_that_would_spoil_a_terminal(board: Path, name: str) -> None:
    path = entry_of(board, "random")
    forgery = Forgery(path)
    forgery.entry["submitter"] = name
    path = forgery.save(digests=False)
    assert failed(path) == {"readable"}

    path = entry_of(board, "single-nano")
    forgery = Forgery(path)
    forgery.rows[0]["problem_id"] = name
    path = forgery.save()
    said = " ".join(finding.text for finding in verified(path).findings)
    assert "coverage" in failed(path)
    assert said.isprintable() and len(said) < 5000


def test_calls_to_an_expert_passed_off_as_the_systems_own(board: Path) -> None:
    path = entry_of(board, "single-nano")
    forgery = Forgery(path)
    for row in forgery.rows:
        row["calls"][0]["role"] = "self"
    path = forgery.save(figures=True)
    assert failed(path) == {"bookkeeping"}


def leave_a_reply(row: dict[str, Any]) -> None:
    row["calls"][0]["text"] = "The statement was: ..."


def leave_an_answer(row: dict[str, Any]) -> None:
    row["answer"] = "7"


def leave_it_elsewhere(row: dict[str, Any]) -> None:
    row["statement"] = "What is ...?"


def leave_it_in_a_call(row: dict[str, Any]) -> None:
    row["calls"][0]["request"] = "What is ...?"


@pytest.mark.parametrize(
    "leave", [None, leave_a_reply, leave_an_answer, leave_it_elsewhere, leave_it_in_a_call]
)
def test_texts_that_are_said_to_be_elsewhere_and_lie_here(
    board: Path, leave: Callable[[dict[str, Any]], None] | None
) -> None:
    path = entry_of(board, "single-nano")
    forgery = Forgery(path)
    forgery.withhold("small")
    if leave is not None:
        leave(forgery.rows[0])
    path = forgery.save(figures=True)

    # The simulation draws them again, so the verdicts are checked all the same.
    assert failed(path) == (set() if leave is None else {"readable"})


def test_a_call_hidden_from_episode_and_ledger_is_found_by_running_again(board: Path) -> None:
    path = entry_of(board, "cascade-nano-mini-reasoner")
    forgery = Forgery(path)
    row = next(
        row
        for row in forgery.rows
        if len(row["calls"]) == 3 and row["response"] != row["calls"][0]["text"]
    )
    for line in forgery.lines_of(row, row["calls"][0]):
        forgery.ledger.remove(line)
    del row["calls"][0]
    row["timings"]["latency_s"] -= row["timings"]["calls_s"].pop(0)
    forgery.add_up(row)
    path = forgery.save(figures=True)

    assert failed(path) == set()
    assert failed(path, run_again=True) == {"rerun"}


def test_an_oracle_that_poses_as_a_router(board: Path) -> None:
    path = entry_of(board, "oracle")
    forgery = Forgery(path)
    forgery.rename("clever")
    forgery.entry["system"]["oracle"] = False
    path = forgery.save(figures=True)

    found = verified(path, run_again=True)
    by_check = {finding.check: finding for finding in found.findings}
    assert found.status == "flagged"
    assert by_check["oracle-like"].status == "flagged"
    assert "p = " in by_check["oracle-like"].text
    assert by_check["rerun"].status == by_check["wording"].status == "unchecked"


@pytest.mark.parametrize("count", [-40, 1.5, "280", None])
def test_tokens_that_are_no_number_of_tokens(board: Path, count: object) -> None:
    path = entry_of(board, "single-mini")
    forgery = Forgery(path)
    forgery.rows[0]["calls"][0]["usage"]["output_tokens"] = count
    path = forgery.save()

    assert failed(path) == {"readable"}


@pytest.mark.parametrize("cost", ["NaN", "-1", "1e400", "free"])
def test_costs_that_are_no_dollars(board: Path, cost: str) -> None:
    path = entry_of(board, "single-mini")
    forgery = Forgery(path)
    for place in (forgery.rows[0]["calls"][0], forgery.ledger[0]):
        place["list_cost_usd"] = cost
    path = forgery.save()

    assert failed(path)


@pytest.mark.parametrize("suffix", [".json", ".episodes.jsonl.zst", ".ledger.jsonl.zst"])
@pytest.mark.parametrize("content", [b"\x28\xb5\x2f\xfd broken", None])
def test_a_broken_file_is_a_finding_and_hides_no_other_entry(
    board: Path, suffix: str, content: bytes | None
) -> None:
    path = entry_of(board, "random")
    file = path.with_name(path.stem + suffix)
    file.write_bytes(content) if content is not None else file.unlink()

    found = verify_board(Bench.of(read_board(board)))
    statuses = {result.entry_id: result.status for result in found}
    mine = {name for name, status in statuses.items() if status == "failed"}
    assert all(name.startswith(path.stem) for name in mine)
    # Without the entry's file the other two belong to nobody.
    assert len(mine) == (2 if suffix == ".json" and content is None else 1)
