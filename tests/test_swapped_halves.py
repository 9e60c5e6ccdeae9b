"""`benchmarks/swapped_halves.py`, against halves that are worked out by hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from corl_bench.metrics import make_panel
from corl_bench.results import CallRecord, EpisodeRecord, encode_episode
from scripts import load_script


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("swapped_halves")


def episode(
    problem: str, system: str, answer: str | None, usd: str, **figures: Any
) -> EpisodeRecord:
    """One episode of a single call; the gold is always 1."""
    text = None if answer is None else f"So \\boxed{{{answer}}}."
    call = CallRecord(
        "e",
        "m",
        "ok",
        text=text,
        list_cost_usd=Decimal(usd),
        source_correct=figures.pop("source", None),
    )
    verdict = "no_answer" if answer is None else "correct" if answer == "1" else "wrong"
    told = {"budget": None, "budget_usd": None, "sample": 0, **figures}
    return EpisodeRecord(
        "t", problem, system, verdict=verdict, answer=answer, response=text, calls=(call,), **told
    )


def half(prefix: str, rows: Sequence[str], costs: Sequence[str]) -> list[EpisodeRecord]:
    """Answers of the experts a, b, … to problems, a letter of a row each; `-` is none."""
    return [
        episode(f"{prefix}{number}", f"single:{name}", None if answer == "-" else answer, usd)
        for number, row in enumerate(rows)
        for name, answer, usd in zip("abcd", row, costs, strict=False)
    ]


def test_published_verdicts_replace_ours_where_there_are_any(script: ModuleType) -> None:
    told = [
        episode("p", "single:a", "1", "0.1", source=False),
        episode("q", "single:a", "1", "0.1"),
    ]
    assert [e.verdict for e in script.rejudged(told, "recorded")] == ["wrong", "correct"]
    assert [e.verdict for e in script.rejudged(told, "ours")] == ["correct", "correct"]


def test_points_are_those_that_both_halves_have(script: ModuleType) -> None:
    one = half("x", ["1", "2"], ["0.1"])
    other = [*half("y", ["1", "1"], ["0.1"]), episode("y0", "router", "1", "0.2")]
    (point,) = script.joined([one, other])
    assert point.system == "single:a" and len(point.right) == 4 and point.accuracy == 0.75


def test_experts_are_ordered_by_what_they_cost_on_the_other_half(script: ModuleType) -> None:
    """Who is cheap on the half that is tested is not looked at."""
    tested = half("x", ["12"], ["0.1", "0.2"])
    other = half("y", ["12"], ["0.4", "0.3"])
    there = script.single_replies(tested, other)
    assert there.experts == 2
    assert there.own["x0"].costs_usd == (Decimal("0.2"), Decimal("0.1"))  # b, then a
    assert there.own["x0"].right == (False, True)
    assert there.other[0].costs_usd == (Decimal("0.3"), Decimal("0.4"))
    back = script.single_replies(other, tested)
    assert back.own["y0"].costs_usd == (Decimal("0.4"), Decimal("0.3"))  # a, then b


@pytest.mark.parametrize(
    ("row", "order", "stops", "right", "usd"),
    [
        ("2113", (0, 1, 2, 3), False, True, "1.111"),  # two of four agree
        ("2113", (0, 1, 2, 3), True, True, "0.111"),  # and then nobody else is asked
        ("2231", (0, 1, 2, 3), True, False, "0.011"),
        ("2341", (0, 1, 2, 3), True, False, "1.111"),  # nobody agrees: the cheapest is believed
        ("-1--", (0, 1), True, True, "0.011"),  # no answer agrees with nothing
        ("----", (0, 2), True, False, "0.101"),
        ("21--", (1,), False, True, "0.010"),
    ],
)
def test_votes_and_cascades(
    script: ModuleType, row: str, order: tuple[int, ...], stops: bool, right: bool, usd: str
) -> None:
    costs = ["0.001", "0.010", "0.100", "1.000"]
    there = script.single_replies(half("x", [row], costs), half("y", [row], costs))
    assert script.asked(there.own["x0"], order=order, stops=stops) == (right, Decimal(usd))


def test_families_are_all_sets_of_experts(script: ModuleType) -> None:
    found = script.families(4)
    assert {name: len(own) for name, own in found.items()} == {
        "single": 4,
        "vote": 11,
        "cascade": 11,
    }


def test_whoever_states_no_whole_number_may_be_taken_to_be_silent(script: ModuleType) -> None:
    costs = ["0.1", "0.2", "0.3"]
    tested, other = half("x", ["xx1"], costs), half("y", ["xx1"], costs)
    for answers, ends in (("any", (False, Decimal("0.3"))), ("integer", (True, Decimal("0.6")))):
        (replies,) = script.single_replies(tested, other, answers).own.values()
        assert script.asked(replies, order=(0, 1, 2), stops=True) == ends


def test_what_is_tuned_is_chosen_on_the_other_half(script: ModuleType) -> None:
    costs = ["0.1", "0.2"]
    x, y = half("x", ["12", "12"], costs), half("y", ["21", "21"], costs)
    tests = [script.single_replies(x, y), script.single_replies(y, x)]
    singles = script.families(2)["single"]
    found = script.tuned("single", singles, tests, Decimal("0.2"))
    # On y only b is right, and on x only a is: each choice is the wrong one where it is tested.
    assert found.accuracy == 0
    assert found.costs_usd["x0"] == (Decimal("0.2"),) and found.costs_usd["y0"] == (Decimal("0.1"),)
    cheap = script.tuned("single", singles, tests, Decimal("0.1"))
    assert cheap.right["x0"] == (True,)  # b does not fit, although it is right on y
    nothing = script.tuned("single", singles, tests, Decimal("0.01"))
    assert nothing.costs_usd["x0"] == nothing.costs_usd["y0"] == (Decimal("0.1"),)


def test_coins_between_levels(script: ModuleType) -> None:
    spends = np.array([0.001, 0.003, 0.010])
    assert script.shares_at(0.001, spends).tolist() == [1, 0, 0]
    assert script.shares_at(0.0025, spends) == pytest.approx([0.25, 0.75, 0])
    assert script.shares_at(0.5, spends).tolist() == [0, 0, 1]


def test_no_mix_is_cheaper_than_the_cheapest_level(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """At $0.0005 nobody has bought what the level at $0.0008 is right about."""
    told = [
        *(episode(f"p{n}", "single:a", "1" if n else "2", "0.001") for n in range(4)),
        *(
            episode(f"p{n}", "router", answer, usd, budget=name, budget_usd=Decimal(name))
            for name, usd, answer in (("0.0005", "0.0008", "2"), ("0.002", "0.0020", "1"))
            for n in range(4)
        ),
    ]
    panel = make_panel(script.joined([told]))
    budgets = [Decimal(usd) for usd in ("0.0005", "0.0008", "0.0014", "0.01")]
    script.print_mixes(panel, "single:a", budgets)
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if "router" in line]
    assert [row[2].strip() for row in rows] == ["0.0008", "0.0014", "0.002"]
    assert [row[3].split()[0] for row in rows] == ["0.0%", "50.0%", "100.0%"]


def test_seeds_have_a_row_of_their_mean(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each problem counts for as much of an answer as controllers have it right."""
    told = [episode(f"p{n}", "single:a", "2", "0.001") for n in range(4)]
    for seed, answers in enumerate(("1112", "1222")):
        told += [
            episode(
                f"p{n}",
                f"controller:seed-{seed}",
                answer,
                "0.0008",
                budget="low",
                budget_usd=Decimal("0.001"),
            )
            for n, answer in enumerate(answers)
        ]
    script.print_mixes(make_panel(script.joined([told])), "single:a", [Decimal("0.001")])
    *_, row = capsys.readouterr().out.splitlines()
    assert row.startswith("| 2 controllers, 25.0% to 75.0% | 0.0008 | 50.0% [")
    assert "| +50.0 [" in row


def test_every_other_system_meets_the_controllers_at_its_own_spend(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """A single expert for $0.002 against the level for $0.003 and the one for $0.001, each half."""
    answers = {"0.001": "2222", "0.003": "1111"}
    told = [
        episode(
            f"p{number}",
            "controller:seed-0",
            answer,
            usd,
            budget=usd,
            budget_usd=Decimal(usd),
        )
        for usd, row in answers.items()
        for number, answer in enumerate(row)
    ]
    told += half("p", ["1", "2", "2", "2"], ["0.002"])
    told += [
        episode(f"p{number}", "single:cheap", "1", "0.0005") for number in range(4)
    ]  # cheaper than any level: there is nothing to hold it against
    script.print_rivals(make_panel(script.joined([told])))
    *_, row = capsys.readouterr().out.splitlines()
    assert row.startswith("| single:a | 0.002 | 25.0% | 50.0% | +25.0 [")


def test_without_controllers_nothing_is_held_against_them(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    script.print_rivals(make_panel(script.joined([half("p", ["1", "2"], ["0.002"])])))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("names", [("", ""), ("ab", "b")])
def test_the_same_experts_have_to_stand_alone_on_both_halves(
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    names: tuple[str, str],
) -> None:
    for folder, systems in zip(("one", "other"), names, strict=True):
        told = [episode("p", f"single:{name}", "1", "0.1") for name in systems]
        told.append(episode("p", "controller:seed-0", "1", "0.1"))
        (tmp_path / folder).mkdir()
        lines = "".join(json.dumps(encode_episode(one)) + "\n" for one in told)
        (tmp_path / folder / "episodes.jsonl").write_text(lines)
    runs = [str(tmp_path / "one"), str(tmp_path / "other")]
    monkeypatch.setattr(sys, "argv", ["swapped_halves.py", *runs])
    with pytest.raises(SystemExit) as left:
        script.main()
    assert left.value.code == 2
    assert capsys.readouterr().err.endswith("both halves, --system 'single:*'\n")
