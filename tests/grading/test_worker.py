"""What runs inside a worker, called in this process: the protocol, the limits, the algebra."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from corl_bench.grading import symbolic, worker
from corl_bench.grading.expression import Expression, parse


@pytest.fixture
def timers() -> Iterator[None]:
    """The worker's timers are this process's; none of them may go on running."""
    yield
    assert signal.getitimer(signal.ITIMER_PROF)[0] == 0
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_main_answers_line_by_line(
    timers: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pairs = [(r"\sqrt{3+2\sqrt2}", r"1+\sqrt2"), (r"\sqrt2", "1.5"), ("gcd(x,y)", "lcm(x,y)")]
    lines = "".join(json.dumps([parse(a), parse(b)]) + "\n" for a, b in pairs)
    monkeypatch.setattr(sys, "argv", ["worker", "20", "20", str(1 << 50)])
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: None)
    monkeypatch.setattr(os, "dup2", lambda one, other: other)
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        worker.main()
    finally:
        signal.signal(signal.SIGINT, interrupt)
    assert capfd.readouterr().out.split() == ["equal", "unequal", "unknown"]


@pytest.mark.parametrize("error", [MemoryError, RecursionError])
def test_running_out_is_an_answer(
    timers: None, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(left: Expression, right: Expression) -> str:
        raise error

    monkeypatch.setattr(symbolic, "settle", fail)
    assert worker._settle(parse("1"), parse("2"), 20.0, 20.0) == "limit"


def test_memory_is_limited_in_a_process_of_its_own() -> None:
    code = """
        import resource
        from corl_bench.grading.worker import _limit_memory
        _limit_memory(300 * 1024 * 1024)
        print(resource.getrlimit(resource.RLIMIT_AS)[0], resource.getrlimit(resource.RLIMIT_CORE))
    """
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(line.strip() for line in code.splitlines())],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split(maxsplit=1) == [str(300 * 1024 * 1024), "(0, 0)\n"]


@pytest.mark.parametrize(
    ("left", "right", "outcome"),
    [
        (r"\conj(3+i)", "3-i", "equal"),
        (r"\Im(3+4i)", "4", "equal"),
        (r"\Re(3+4i)", "4", "unequal"),
        (r"\sqrt[3]{-8}", "-2", "equal"),
        (r"(-8)^{2/3}", "4", "equal"),
        (r"\log_{2}{10}", r"1+\log_{2}{5}", "equal"),
        (r"\ln(x^2)", r"2\ln x", "equal"),
        (r"\binom{7}{3}", "35", "equal"),
        (r"\max(2,x)-\max(x,2)", "0", "equal"),
        (r"\lfloor\pi\rfloor", "3", "equal"),
        (r"\lceil\pi\rceil", "4", "equal"),
        (r"\lfloor 3\rfloor", "3", "equal"),
        (r"\arcsin(1/2)", r"\pi/6", "equal"),
        (r"\tanh(x)", r"\frac{e^x-e^{-x}}{e^x+e^{-x}}", "equal"),
        ("5%", "0.05", "equal"),
        (r"90°", r"\pi/2", "equal"),
        ("(x+1)!", "(x+1)(x!)", "equal"),
        (r"x \bmod x", "0", "equal"),
        ("f(x)+1", "1+f(x)", "equal"),
        ("f(x)", "f(x)+1", "unequal"),
        ("f(x)", "f(y)", "unknown"),
        ("0^x", "0", "equal"),
        (r"\infty", "1", "unknown"),
        (r"\frac{1}{0}", "1", "unknown"),
        (r"9^{9^{9}}", "1", "unequal"),
        (r"9^{9^{9^{9}}}", "1", "unknown"),
        ("((10^{9})!)!", "1", "unknown"),
        (r"f(x)+\binom{9999}{5}", "1", "unknown"),
        (r"f(x)+2^{99999}", "1", "unknown"),
        ("f(x)+e^{2x}-(e^x)^2", "f(x)", "equal"),
        (r"f(x)+\sqrt[3]{8}+\log_2 8", "f(x)+5", "equal"),
        (r"f(x)+50%+\pi\cdot\gcd(x,y)", "1", "unknown"),
        (r"f(x)+180°", r"f(x)+\pi", "equal"),
        (r"f(x)+3!-i^2", "f(x)+7", "equal"),
        (r"f(x)+7 \bmod 4", "f(x)+3", "equal"),
    ],
)
def test_settle(left: str, right: str, outcome: str) -> None:
    assert symbolic.settle(parse(left), parse(right)) == outcome


def test_what_is_too_large_is_left_open() -> None:
    long = parse("+".join(["f(x)"] * 300))
    assert symbolic.settle(long, parse("x")) == "unknown"
    huge = (*long,) * 12
    assert symbolic.settle(huge, parse("x")) == "unknown"
