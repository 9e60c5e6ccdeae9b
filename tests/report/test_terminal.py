from __future__ import annotations

import io
import os
import pty
import re
import threading
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from corl_bench.report.analysis import assess_tasks
from corl_bench.report.screen import Screen
from corl_bench.report.terminal import render_table, write_table
from corl_bench.results import OperatingPoint, Summary
from report.sample_run import sample_run

LOW, HIGH = Decimal("0.0005"), Decimal("0.01")


def row(system: str, budget: str, **fields: object) -> OperatingPoint:
    plain = OperatingPoint(
        task="synth",
        system=system,
        budget=budget,
        budget_usd={"low": LOW, "high": HIGH}[budget],
        told_budget=False,
        oracle=False,
        problems=500,
        samples=1,
        episodes=500,
        accuracy=0.6,
        accuracy_interval=(0.556, 0.642),
        accuracy_as_recorded=None,
        verdicts={"correct": 300, "wrong": 200},
        mean_cost_usd=Decimal("0.000405"),
        total_cost_usd=Decimal("0.2025"),
        unsettled_usd=Decimal(0),
        calls=500,
        expert_calls=500,
        self_calls=0,
        expert_call_ratio=1.0,
        calls_by_expert={"nano": 500},
        violations=0,
        violation_rate=0.0,
        truncated=3,
        refused=0,
        errors=0,
        input_tokens=1,
        output_tokens=1,
        reasoning_tokens=0,
        estimated_calls=0,
        latency_p50_s=1.25,
        latency_p95_s=42.4,
    )
    return replace(plain, **fields)


def summary(*rows: OperatingPoint, **fields: object) -> Summary:
    plain = Summary(
        run_id="3f2a90c41b7e",
        simulated=True,
        finished=True,
        tasks={
            "synth": {
                "title": "Generated problems",
                "digest_status": "pinned",
                "problems": 500,
                "redistributable": True,
            }
        },
        rows=rows
        or (
            row("single:nano", "low", violation_rate=0.124),
            row("single:nano", "high", violation_rate=0.002),
            row(
                "controller",
                "low",
                told_budget=True,
                accuracy=0.55,
                accuracy_interval=(0.506, 0.593),
                mean_cost_usd=Decimal("0.00041"),
                violation_rate=0.05,
                errors=2,
            ),
            row(
                "controller",
                "high",
                told_budget=True,
                accuracy=0.9,
                accuracy_interval=(0.871, 0.923),
                mean_cost_usd=Decimal("0.0123456"),
                expert_call_ratio=1.5,
                violation_rate=1.0,
            ),
            row(
                "oracle",
                "low",
                oracle=True,
                accuracy=1.0,
                accuracy_interval=(0.992, 1.0),
                violation_rate=0.5,
            ),
            row(
                "oracle",
                "high",
                oracle=True,
                accuracy=1.0,
                accuracy_interval=(0.992, 1.0),
                violation_rate=0.0,
            ),
        ),
        list_cost_usd=Decimal("12.3456"),
        billed_cost_usd=Decimal(0),
        unsettled_usd=Decimal("0.0031"),
        unsettled_attempts=2,
        attempts=2504,
    )
    return replace(plain, **fields)


def golden(name: str) -> str:
    return (Path(__file__).parent / "golden" / name).read_text(encoding="utf-8")


def test_the_whole_table_as_it_is_printed_into_a_pipe() -> None:
    assert render_table(summary(), Screen()) == golden("wide.txt")


def test_a_narrow_ascii_terminal_gets_every_column_in_two_tables() -> None:
    text = render_table(summary(), Screen(width=80, encoding="ANSI_X3.4-1968"))
    assert text == golden("narrow_ascii.txt")
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 120, 200])
def test_no_width_cuts_a_figure_or_a_name(width: int) -> None:
    text = render_table(summary(), Screen(width=width))
    for figure in ("$0.000405", "[55.6, 64.2]", "single:nano *", "42 s", "truncated", "> high"):
        assert figure in text
    assert "…" not in text


@pytest.mark.parametrize(("encoding", "gap"), [("utf-8", "…"), ("ascii", "...")])
def test_long_names_are_shortened_on_a_narrow_terminal_and_listed_below(
    encoding: str, gap: str
) -> None:
    experts = [f"a-model-of-a-long-name-{n}" for n in range(4)]
    names = ["cascade:" + ">".join(experts), "vote:" + ",".join(experts), "x" * 60, "xx" + "x" * 59]
    text = render_table(
        summary(*(row(name, "low") for name in names)), Screen(width=80, encoding=encoding)
    )
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("accuracy [95%]") == 1
    assert text.count("truncated ") <= 2
    unbroken = "".join(text.split())
    assert all(f"is{name}" in unbroken for name in names)
    shown = [line.split()[0] for line in text.splitlines() if gap in line]
    assert len(set(shown)) == len(names)
    wide = render_table(summary(*(row(name, "low") for name in names)), Screen())
    assert gap not in wide


def test_a_sample_of_a_task_says_of_how_many() -> None:
    drawn = summary(tasks={"synth": {"problems": 30, "total": 1500}})
    text = render_table(drawn, Screen())
    assert "synth: 30 of 1,500 problems, drawn by the seed" in text
    whole = summary(tasks={"synth": {"problems": 30, "total": 30}})
    assert "synth: 30 problems\n" in render_table(whole, Screen())


def test_colour_adds_nothing_but_escapes() -> None:
    plain = render_table(summary(), Screen(width=140))
    coloured = render_table(summary(), Screen(width=140, colour=True))
    assert "\x1b[" in coloured
    assert "\x1b" not in plain
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in stripped.splitlines()] == plain.splitlines()


def test_budget_blind_systems_have_one_line() -> None:
    text = render_table(summary(), Screen())
    assert text.count("single:nano") == 1
    assert text.count("controller ") == 2


def test_tasks_are_set_apart_when_there_are_several() -> None:
    text = render_table(sample_run().summary, Screen())
    assert re.search(r"^synth\n  single:qwen-7b", text, re.MULTILINE)
    assert re.search(r"^contest\n  single:qwen-7b", text, re.MULTILINE)
    assert "contest: 12 problems · digest unpinned" in text


def test_what_is_not_so_is_not_said() -> None:
    rows = (replace(row("single:nano", "low"), budget=None, budget_usd=None, violation_rate=None),)
    text = render_table(summary(*rows, simulated=False, unsettled_attempts=0), Screen())
    for word in ("SIMULATED", "nsettled", "udget", "oracle sees", "recorded", "NOT FINISHED", "> "):
        assert word not in text


def test_what_is_so_is_said() -> None:
    rows = (row("single:nano", "low", samples=4, accuracy_as_recorded=0.59, estimated_calls=7),)
    text = render_table(summary(*rows, finished=False, notes=("mind the gap",)), Screen())
    assert "NOT FINISHED" in text
    assert "pass@1, the mean over 4 samples a problem" in text
    assert "as recorded" in text
    assert "59.0%" in text
    assert "7 calls with estimated token counts" in text
    assert "events" not in text.lower()
    assert "mind the gap" in text


def test_events_have_a_column_where_there_are_some() -> None:
    rows = (row("single:nano", "low"), row("controller:x", "low", events=1234))
    text = render_table(summary(*rows), Screen())
    heading, blind, controller = (
        next(line for line in text.splitlines() if line.startswith(name))
        for name in ("system", "single:nano", "controller:x")
    )
    assert heading.split()[-1] == "events"
    assert (blind.split()[-1], controller.split()[-1]) == ("0", "1,234")
    assert "Events are what a system noted" in text


def test_names_cannot_act_on_the_terminal() -> None:
    text = render_table(summary(row("evil\x1b[2J[bold]\u202e", "low"), notes=("a\nb",)), Screen())
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "evil\\x1b[2J[bold]\\u202e" in text
    assert "a\\nb" in text


def test_ascii_keeps_foreign_names_readable() -> None:
    text = render_table(summary(row("modèle", "low")), Screen(encoding="latin-1"))
    assert "mod\\xe8le" in text


def test_a_summary_without_rows_is_no_crash() -> None:
    empty = replace(summary(), rows=())
    assert "3f2a90c41b7e" in render_table(empty, Screen(width=80))


def test_a_pipe_gets_no_colour_and_its_own_encoding() -> None:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii") as stream:
        write_table(summary(), stream)
        stream.flush()
        printed = raw.getvalue()
    expected = render_table(summary(), Screen(encoding="ascii"))
    assert printed.decode("ascii") == expected


def test_a_terminal_gets_its_width_and_no_color_is_heeded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    controller, terminal = pty.openpty()
    try:
        with open(terminal, "w", encoding="utf-8", closefd=False) as stream:
            for no_color, escapes in (("", True), ("1", False)):
                monkeypatch.setenv("NO_COLOR", no_color)
                monkeypatch.setenv("COLUMNS", "80")
                monkeypatch.setenv("TERM", "xterm")
                few = summary(row("single:nano", "low"))
                reader = threading.Thread(target=write_table, args=(few, stream))
                reader.start()
                printed = b""
                while b"list cost is above that budget." not in printed:
                    printed += os.read(controller, 4096)
                reader.join()
                stream.flush()
                assert (b"\x1b[" in printed) is escapes
                lines = re.sub(r"\x1b\[[0-9;]*m", "", printed.decode()).splitlines()
                assert max(map(len, lines)) <= 80
    finally:
        os.close(controller)
        os.close(terminal)


def test_each_router_says_whether_it_beats_the_coin() -> None:
    run = sample_run(problems=40)
    assessments = assess_tasks(run.summary, run.episodes)
    text = render_table(run.summary, Screen(), assessments=assessments)
    _, _, after = text.partition(
        "Against the coin at the same spend, in percentage points [95%]:\n"
    )
    lines = after.split("\n\n")[0].splitlines()
    assert lines[0] == "synth"
    assert "contest" in lines
    pattern = re.compile(
        r"  (\S+) +([+-]?\d+\.\d) \[([+-]?\d+\.\d), ([+-]?\d+\.\d)\]  (beats it|loses to it|ind.*)"
    )
    found = [match.groups() for line in lines if (match := pattern.fullmatch(line))]
    assert len(found) == len(lines) - 2
    assert {name for name, *_ in found} >= {"random", "controller@low", "vote:nano,mid,large"}
    assert not [name for name, *_ in found if name.startswith(("single:", "oracle"))]
    for _, value, low, high, verdict in found:
        assert float(low) <= float(value) <= float(high)
        expected = "beats it" if float(low) > 0 else "loses to it" if float(high) < 0 else None
        assert expected in (verdict, None)
    assert "The coin: the best random mix of single experts" in text
    narrow = render_table(run.summary, Screen(width=80, encoding="ascii"), assessments=assessments)
    assert narrow.isascii()
    assert max(map(len, narrow.splitlines())) <= 80


def test_without_a_router_the_coin_is_not_mentioned() -> None:
    assert "coin" not in render_table(summary(), Screen(), assessments={})
