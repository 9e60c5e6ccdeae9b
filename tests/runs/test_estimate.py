"""Estimates against figures worked out by hand from the declared tables of the pool `sim`.

A problem of which nothing is declared is Algebra of level 3. What the experts then write, in
tokens, at 40 a quantum, by `lengths` (0.5: 0.2, 0.75: 0.3, 1: 0.3, 1.5: 0.2):

    nano  320 typical: 160, 240, 320, 480 -> 296; a refusal 40 (3 %), cut at 1200 (2 %)
          0.95 * 296 + 0.03 * 40 + 0.02 * 1200 = 306.4
    mini  440 typical: 240, 320, 440, 680 -> 412 (220, 330 and 660 round up to whole quanta
          or down: 5.5 to 6, 8.25 to 8, 16.5 to 17); cut at 1600
          0.95 * 412 + 0.03 * 40 + 0.02 * 1600 = 424.6
    large 440 typical: 412; cut at 2000 (1 %)
          0.96 * 412 + 0.03 * 40 + 0.01 * 2000 = 416.72

and 80 tokens of input each.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.experts.base import Reply
from corl_bench.experts.pools import load_pool
from corl_bench.experts.recording import Attempt, RecordedCall, problem_key
from corl_bench.experts.store import RecordingStore
from corl_bench.runs.estimate import Estimate, ExpertEstimate, estimate, render_estimate
from corl_bench.runs.plan import Plan, make_plan
from corl_bench.tasks import render_prompt
from corl_bench.types import Usage

PROBLEMS = 4
NANO_USD = Decimal("0.0001304")  # 80 * 0.1 + 306 * 0.4, a million times dearer
MINI_USD = Decimal("0.000712")  # 80 * 0.4 + 425 * 1.6
LARGE_USD = Decimal("0.003496")  # 80 * 2 + 417 * 8


@pytest.fixture
def task(tmp_path: Path) -> Path:
    rows = ({"id": str(n), "problem": f"What is {n} + {n}?", "answer": str(2 * n)} for n in "1234")
    path = tmp_path / "four.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def plan(task: Path, *systems: str, **changes: Any) -> Plan:
    options: dict[str, Any] = {
        "budget": "none",
        "samples": 1,
        "seed": 0,
        "limit": None,
        "mode": "auto",
        "data_dir": None,
    }
    pool = load_pool("sim")
    return make_plan(tasks=[str(task)], pool=pool, systems=systems, **{**options, **changes})


def of(found: Estimate, name: str) -> ExpertEstimate:
    (expert,) = (expert for expert in found.experts if expert.expert == name)
    return expert


def calls(found: Estimate, name: str) -> tuple[int, float, int]:
    expert = of(found, name)
    return expert.calls_low, expert.calls_expected, expert.calls_worst


def dollars(found: Estimate, name: str) -> tuple[Decimal, Decimal]:
    expert = of(found, name)
    return expert.usd_low, expert.usd_expected


def worst_call_usd(made: Plan, *, input_usd: str, output_usd: str, limit: int) -> Decimal:
    """Every byte of the prompts a token, 96 for the template, the whole output limit."""
    total = Decimal(0)
    for problem in made.tasks[0].problems:
        size = len(render_prompt(made.tasks[0].spec, problem.text).encode())
        total += Decimal(input_usd) * (size + 96) + Decimal(output_usd) * limit
    return total / 1_000_000


def test_a_single_expert_is_asked_once_a_problem(task: Path) -> None:
    made = plan(task, "single:nano")
    found = estimate(made, None, concurrency=2)
    assert found.episodes == PROBLEMS
    assert calls(found, "nano") == (4, 4.0, 4)
    assert dollars(found, "nano") == (4 * NANO_USD, 4 * NANO_USD)
    assert of(found, "nano").usd_worst == worst_call_usd(
        made, input_usd="0.1", output_usd="0.4", limit=1200
    )
    # 0.3 s to the first token, 0.006 s for each of 306.4; four of them, two at a time.
    assert of(found, "nano").time_s == pytest.approx(4 * 2.1384)
    assert found.time_s == pytest.approx(2 * 2.1384)
    assert of(found, "nano").source == "declared simulation"
    for other in ("self", "mini", "large", "reasoner"):
        assert calls(found, other) == (0, 0.0, 0)
        assert of(found, other).usd_worst == 0


def test_a_vote_asks_everyone_as_often_as_it_names_them(task: Path) -> None:
    made = plan(task, "vote:nano,nano,mini")
    found = estimate(made, None, concurrency=1)
    assert calls(found, "nano") == (8, 8.0, 8)
    assert calls(found, "mini") == (4, 4.0, 4)
    assert dollars(found, "nano") == (8 * NANO_USD, 8 * NANO_USD)
    assert dollars(found, "mini") == (4 * MINI_USD, 4 * MINI_USD)
    assert of(found, "mini").usd_worst == worst_call_usd(
        made, input_usd="0.4", output_usd="1.6", limit=1600
    )


def test_a_cascade_asks_two_at_least_and_all_at_the_most(task: Path) -> None:
    made = plan(task, "cascade:nano>mini>large")
    found = estimate(made, None, concurrency=1)
    assert calls(found, "nano") == calls(found, "mini") == (4, 4.0, 4)
    assert calls(found, "large") == (0, 2.0, 4)
    assert dollars(found, "large") == (Decimal(0), 2 * LARGE_USD)
    assert of(found, "large").usd_worst == worst_call_usd(
        made, input_usd="2", output_usd="8", limit=2000
    )


def test_samples_are_draws_of_their_own(task: Path) -> None:
    found = estimate(plan(task, "single:nano", samples=3), None, concurrency=1)
    assert found.episodes == 12
    assert calls(found, "nano") == (12, 12.0, 12)


@pytest.mark.parametrize(
    ("mode", "nano", "mini"),
    [
        # A reply that two systems need is asked once, and the vote's second draw besides.
        ("auto", (8, 8.0, 8), (4, 4.0, 4)),
        ("record", (8, 8.0, 8), (4, 4.0, 4)),
        # Each system asks for itself.
        ("live", (12, 12.0, 12), (4, 6.0, 8)),
    ],
)
def test_systems_share_replies_in_every_mode_but_live(
    task: Path, mode: str, nano: tuple[int, float, int], mini: tuple[int, float, int]
) -> None:
    systems = ("single:nano", "vote:nano,nano,mini", "mix:large,mini@0.5")
    found = estimate(plan(task, *systems, mode=mode), None, concurrency=1)
    assert found.episodes == 12
    assert calls(found, "nano") == nano
    assert calls(found, "mini") == mini
    assert dollars(found, "nano") == (nano[0] * NANO_USD, nano[0] * NANO_USD)


def test_a_replay_costs_nothing(task: Path) -> None:
    found = estimate(plan(task, "single:nano", mode="replay"), None, concurrency=1)
    assert calls(found, "nano") == (4, 4.0, 4)
    assert [(e.usd_low, e.usd_expected, e.usd_worst) for e in found.experts] == [(0, 0, 0)] * 5


def test_stored_replies_are_better_known_than_declared_ones(task: Path, tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    of_pool = load_pool("sim")["nano"].model
    # Another pool's expert has the alias as well; its replies are never found.
    written = ((of_pool, 0, 100), (of_pool, 1, 300), ("another-nano", 0, 9))
    with RecordingStore.open(path) as store:
        for model, sample, output_tokens in written:
            usage = Usage(input_tokens=50, output_tokens=output_tokens)
            call = RecordedCall(
                request_key=model,
                sample=sample,
                occurrence=0,
                expert="nano",
                model=model,
                problem_key=problem_key("p"),
                attempts=(Attempt("ok", usage),),
                reply=Reply("", usage),
                run_id="r",
            )
            assert store.add(call)
    found = estimate(plan(task, "single:nano"), path, concurrency=1)
    # 50 * 0.1 + 200 * 0.4 = 85
    assert dollars(found, "nano") == (4 * Decimal("0.000085"), 4 * Decimal("0.000085"))
    assert of(found, "nano").source == "mean of 2 stored replies"


def test_the_table_shows_every_figure_and_the_cap(task: Path) -> None:
    made = plan(task, "cascade:nano>mini>large", "random")
    found = estimate(made, None, concurrency=1)
    lines = render_estimate(found, made, Decimal("0.01")).splitlines()
    assert lines[0] == "8 episodes in mode auto (simulated: no real dollars)"
    rows = {line.split()[0]: line.split() for line in lines[2:7]}
    # large: nothing, two calls or four; the coin of five expects 0.8 of them, which are shared.
    assert rows["large"][1:5] == ["0..4", "2", "$0", "$0.00699"]
    assert rows["reasoner"][1:3] == ["0..4", "1"]
    assert rows["nano"][1:5] == ["4..4", "4", "$0.000522", "$0.000522"]
    assert lines[7].startswith("total: ")
    assert "cap of $0.0100" in lines[-1]
    assert "cap" not in render_estimate(found, made, Decimal(1))


def test_a_system_that_does_not_say_is_named(
    task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "silent_system.py").write_text(
        "class Silent:\n"
        "    name, reads_budget, is_oracle = 'silent', False, False\n"
        "    async def solve(self, problem, budget, episode): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    made = plan(task, "single:nano", "python:silent_system:Silent")
    found = estimate(made, None, concurrency=1)
    assert found.unpredictable == ("silent",)
    assert calls(found, "nano") == (4, 4.0, 4)
    assert "not counted, calls unknown: silent" in render_estimate(found, made, None)


def test_a_time_that_is_waited_with_latency_only_says_so(task: Path) -> None:
    simulated = plan(task, "single:nano")
    text = render_estimate(estimate(simulated, None, 1), simulated, None)
    assert "--latency only" in text
