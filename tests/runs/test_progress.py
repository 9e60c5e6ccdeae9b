from __future__ import annotations

from decimal import Decimal
from io import StringIO

import pytest

from corl_bench.runs.progress import PLAIN_LINE_S, REDRAW_S, Progress


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def progress(clock: Clock, stream: StringIO, **changes: object) -> Progress:
    options: dict[str, object] = {
        "total": 100,
        "done": 20,
        "spent_usd": lambda: Decimal("1.5"),
        "stream": stream,
        "clock": clock,
    }
    return Progress(**{**options, **changes})  # type: ignore[arg-type]


def test_rate_and_time_left_are_those_of_what_this_process_made() -> None:
    clock = Clock()
    shown = progress(clock, StringIO())
    for _ in range(20):
        shown.advance("correct")
    clock.now_s += 8.0
    # 20 in 8 s; the 60 that are left take 24 s. The 20 made before took none of this time.
    assert shown.line() == "40/100 episodes, $1.50 billed, 2.50/s, 24 s left"


def test_time_counts_from_the_beginning_of_the_work() -> None:
    clock = Clock()
    shown = progress(clock, StringIO())
    clock.now_s += 60.0  # workers are started
    shown.begin()
    for _ in range(20):
        shown.advance("correct")
    clock.now_s += 8.0
    assert shown.line() == "40/100 episodes, $1.50 billed, 2.50/s, 24 s left"


@pytest.mark.parametrize(
    ("elapsed_s", "rate", "left"),
    [
        (0.5, "20/s", "4 s left"),
        (10.0, "1.00/s", "1 min 10 s left"),
        (600.0, "0.02/s", "1 h 10 min left"),
    ],
)
def test_rates_and_times_are_written_as_people_say_them(
    elapsed_s: float, rate: str, left: str
) -> None:
    clock = Clock()
    shown = progress(clock, StringIO())
    for _ in range(10):
        shown.advance("wrong")
    clock.now_s += elapsed_s
    assert shown.line().split(", ")[2:] == [rate, left]


def test_nothing_is_said_of_the_time_left_before_anything_is_done() -> None:
    clock = Clock()
    shown = progress(clock, StringIO())
    clock.now_s += 5.0
    assert shown.line() == "20/100 episodes, $1.50 billed, 0.00/s"


def test_errors_are_counted_apart() -> None:
    clock = Clock()
    shown = progress(clock, StringIO())
    for verdict in ("correct", "error", "error"):
        shown.advance(verdict)  # type: ignore[arg-type]
    clock.now_s += 1.0
    assert shown.line().endswith(", 2 in error")


def test_a_log_gets_a_line_now_and_then_and_a_last_one() -> None:
    clock, stream = Clock(), StringIO()
    shown = progress(clock, stream)
    for _ in range(30):
        clock.now_s += PLAIN_LINE_S / 10
        shown.advance("correct")
    shown.close()
    lines = stream.getvalue().splitlines()
    assert [line.split(" ")[0] for line in lines] == ["30/100", "40/100", "50/100", "50/100"]
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_gets_one_line_that_is_redrawn() -> None:
    clock, stream = Clock(), Terminal()
    shown = progress(clock, stream)
    shown.advance("correct")  # too early to be shown
    clock.now_s += REDRAW_S
    shown.advance("correct")
    assert stream.getvalue().startswith("\r\x1b[2K22/100 episodes")
    assert "\n" not in stream.getvalue()
    shown.say("cap reached")
    assert stream.getvalue().endswith("\r\x1b[2Kcap reached\n")


def test_quiet_shows_only_what_is_said() -> None:
    clock, stream = Clock(), StringIO()
    shown = progress(clock, stream, quiet=True)
    clock.now_s += 2 * PLAIN_LINE_S
    shown.advance("correct")
    shown.say("cap reached")
    shown.close()
    assert stream.getvalue() == "cap reached\n"


def test_a_run_with_nothing_left_to_do_says_nothing() -> None:
    stream = StringIO()
    progress(Clock(), stream).close()
    assert stream.getvalue() == ""


@pytest.mark.parametrize(("term", "escapes"), [("xterm", True), ("dumb", False)])
def test_a_dumb_terminal_gets_plain_lines(
    monkeypatch: pytest.MonkeyPatch, term: str, escapes: bool
) -> None:
    monkeypatch.setenv("TERM", term)
    clock, stream = Clock(), Terminal()
    shown = progress(clock, stream)
    clock.now_s += PLAIN_LINE_S
    shown.advance("correct")
    shown.close()
    assert ("\x1b" in stream.getvalue()) is escapes


def test_a_run_that_may_end_early_says_how_far_its_decisions_are() -> None:
    clock = Clock()
    shown = progress(clock, StringIO(), reached=lambda: "1 of 3 decided")
    shown.advance("correct")
    clock.now_s += 1.0
    assert shown.line() == "21/100 episodes at most, 1 of 3 decided, $1.50 billed, 1.00/s"
