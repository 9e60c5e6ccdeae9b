"""Recording and replaying: the same episodes byte for byte, for nothing and without a key."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SYSTEMS = (
    *("--system", "single:*", "--system", "random", "--system", "mix:nano,reasoner@0.5"),
    *("--system", "cascade:nano>mini>large", "--system", "vote:nano,nano,mini"),
    *("--system", "python:rounds:Rounds"),
)

ROUNDS = '''
"""Asks, shows the answer to another expert, and asks again: several rounds, own messages."""


class Rounds:
    name = "rounds"
    reads_budget = True
    is_oracle = False

    async def solve(self, problem, budget, episode):
        first = await episode.call("nano")
        check = await episode.call("mini", f"{problem}\\n\\nSomebody answered: {first.text}")
        if budget and budget.usd > episode.spent_usd * 4:
            return (await episode.call("nano")).text
        return check.text or first.text
'''


@pytest.mark.parametrize("mode", ["record", "live", "auto"])
def test_replay_equals_the_original(
    corl: Any,
    serve: Callable[..., Any],
    canonical: Callable[[Path], list[str]],
    money: Callable[[Path], dict[str, Any]],
    tmp_path: Path,
    mode: str,
) -> None:
    (tmp_path / "rounds.py").write_text(ROUNDS)
    common = ("run", "--limit", "8", "--samples", "2", "--quiet", *SYSTEMS)
    with serve("--task", "synth") as served:
        corl(*common, "--pool", served.pool, "--mode", mode, "--out", "original")
        asked = len(served.requests())
    # The server is gone; whoever asked now would find nobody.
    corl(
        *common,
        *("--pool", served.pool, "--mode", "replay", "--out", "replayed"),
        *("--recordings", "original"),
    )
    original, replayed = tmp_path / "original", tmp_path / "replayed"
    assert canonical(original) == canonical(replayed)
    assert money(original)["billed_cost_usd"] > 0
    assert money(replayed)["billed_cost_usd"] == 0
    assert money(replayed)["list_cost_usd"] == money(original)["list_cost_usd"]
    ledger = (original / "ledger.jsonl").read_text().splitlines()
    assert sum(not json.loads(line)["stored"] for line in ledger) == asked


def test_an_exported_run_replays_after_an_import(
    corl: Any, canonical: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    common = ("run", "--limit", "4", "--quiet", "--system", "vote:nano,nano,mini")
    corl(*common, "--out", "a")
    corl("recordings", "export", "a/recordings.sqlite", "--out", "calls.jsonl.zst")
    corl("recordings", "import", "copy.sqlite", "calls.jsonl.zst")
    corl(*common, "--mode", "replay", "--recordings", "copy.sqlite", "--out", "b")
    assert canonical(tmp_path / "a") == canonical(tmp_path / "b")


def test_live_asks_each_system_anew_and_auto_shares(
    corl: Any, serve: Callable[..., Any], tmp_path: Path
) -> None:
    common = ("run", "--limit", "5", "--quiet", "--system", "single:nano", "--budget", "none")
    with serve("--task", "synth") as served:
        voting = ("--system", "vote:nano,mini", "--pool", served.pool)
        corl(*common, *voting, "--mode", "live", "--out", "live")
        live = len(served.requests())
        corl(*common, *voting, "--mode", "auto", "--out", "auto")
        auto = len(served.requests()) - live
        corl(
            *common,
            *voting,
            "--mode",
            "auto",
            "--out",
            "b",
            "--recordings",
            "auto/recordings.sqlite",
        )
        assert len(served.requests()) == live + auto
    assert (live, auto) == (15, 10)


def test_one_seed_gives_one_result_on_any_number_of_workers(
    corl: Any, canonical: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    common = ("run", "--limit", "30", "--samples", "2", "--quiet", "--seed", "3")
    corl(*common, "--concurrency", "1", "--out", "one")
    corl(*common, "--concurrency", "200", "--out", "many")
    assert canonical(tmp_path / "one") == canonical(tmp_path / "many")
    one, many = (
        json.loads((tmp_path / name / "summary.json").read_text()) for name in ("one", "many")
    )
    for summary in (one, many):
        for row in summary["rows"]:
            del row["timings"]
    assert one == many


def test_replay_of_what_is_not_recorded_is_an_error_verdict(corl: Any, tmp_path: Path) -> None:
    corl("run", "--limit", "3", "--quiet", "--system", "single:nano", "--out", "a")
    done = corl(
        *("run", "--limit", "3", "--quiet", "--system", "single:mini", "--out", "b"),
        *("--mode", "replay", "--recordings", "a/recordings.sqlite"),
        code=4,
    )
    row = json.loads((tmp_path / "b" / "episodes.jsonl").read_text().splitlines()[0])
    assert row["verdict"] == "error"
    assert "no recorded reply of mini" in row["detail"]
    assert done.stdout
