"""Routers in real processes, most of them broken."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.episode import ExpertInfo
from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.routers.decisions import Closing, Deciding, DecisionError, Question
from corl_bench.routers.external import make_execs
from corl_bench.routers.learning import Feedback, Trained
from corl_bench.types import Budget

READY = """
import json, os, sys, time
def read():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)
def say(request, **fields):
    print(json.dumps({"id": request["id"], **fields}))
hello = read()
"""
AGREED = READY + "say(hello, version=1)\n"
STARTS = "open(os.environ['STARTS'], 'a').write(f'{os.getpid()}\\n')\n"


@pytest.fixture
async def make(
    tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., Deciding]]:
    """Makes a system from the code of a router; what it has started is ended after the test."""
    monkeypatch.setenv("STARTS", str(tmp_path / "starts"))
    made: list[Closing] = []

    def of(code: str, options: str = "", name: str = "router.py") -> Deciding:
        script = tmp_path / name
        script.write_text(textwrap.dedent(code))
        text = f"{sys.executable} {script}" + (f" @{options}" if options else "")
        (system,) = make_execs(text, pool)
        assert isinstance(system, Deciding)
        made.append(system)
        return system

    yield of
    for system in made:
        await system.aclose()
    for pid in started(tmp_path):
        assert not is_running(pid), "a router outlived its run"


def started(tmp_path: Path) -> list[int]:
    path = tmp_path / "starts"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def question(pool: Pool, text: str = "What is 6 × 7?", usd: str | None = None) -> Question:
    budget = None if usd is None else Budget("low", Decimal(usd))
    return Question(text, tuple(map(ExpertInfo.of, pool.experts)), budget)


ECHO = AGREED + (
    "while True:\n"
    "    asked = read()\n"
    "    say(asked, expert=hello['experts'][-1]['name'], note=json.dumps([asked['prompt'],"
    " asked['budget_usd']]), cost_usd=1e-05)\n"
)


async def test_it_is_told_the_experts_and_asked_with_prompt_and_budget(
    make: Callable[..., Deciding], pool: Pool, episode_with: Callable[..., Any]
) -> None:
    system = make(ECHO, "budget")
    assert system.reads_budget
    episode, provider = episode_with({"dear": ["It is 42.", "Still 42."]})
    asked = "What is\n6 × 7?\ud83d"  # half a character, as a cut text can end in one
    assert await system.solve(asked, Budget("low", Decimal("0.0010")), episode) == "It is 42."
    assert await system.solve("Again?", None, episode) == "Still 42."
    assert provider.asked == ["dear", "dear"]
    assert [charge.list_cost_usd for charge in episode.charges] == [Decimal("0.00001")] * 2
    assert [charge.basis for charge in episode.charges] == ["self_reported"] * 2
    assert '"What is\\n6 \\u00d7 7?\\ufffd", "0.001"' in episode.events[0]
    assert '["Again?", null]' in episode.events[1]


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("import sys; sys.exit('no module named torch')", "ended with exit code 1; its last words"),
        ("raise ModuleNotFoundError('torch')", "ModuleNotFoundError: torch"),
        (READY + "os.kill(os.getpid(), 9)", "died of SIGKILL"),
        (AGREED + "read(); sys.exit(3)", "ended with exit code 3"),
        (AGREED + "read(); print('Loading model…')", "no answer: 'Loading model…'"),
        (AGREED + "read(); print('[1, 2]')", "no answer: '[1, 2]'"),
        (AGREED + "read(); print('{}')", "no answer: '{}'"),
        (AGREED + "read(); print(json.dumps({'id': 7, 'expert': 'cheap'}))", "answered 7"),
        (AGREED + "read(); print('[' * 100000)", "no answer"),
        (
            AGREED + "read(); sys.stdout.buffer.write(b'\\xff\\xfe\\n'); sys.stdout.flush()",
            "no answer",
        ),
        (
            AGREED + "read(); sys.stdout.write('x' * (3 << 20)); time.sleep(60)",
            "a line of more than",
        ),
        (AGREED + "read(); sys.stdout.write('x'); sys.exit()", "no answer: 'x'"),
        (AGREED + "os.close(1); time.sleep(60)", "closed its output"),
        (READY + "say(hello, version=2)\nread()", "speaks version 2 of the protocol"),
        (READY + "say(hello, version=1, task='score')\nread()", "@threshold=T or @share=P"),
        (READY + "say(hello, version=1, concurrency=0)\nread()", "takes 0 questions at a time"),
        (AGREED + "say(read(), error='no such prompt')\nread()", "says: 'no such prompt'"),
        (AGREED + "say(read(), expert='cheep')\nread()", "did you mean 'cheap'?"),
        (AGREED + "say(read(), expert=3)\nread()", "names no expert"),
        (AGREED + "say(read(), expert='cheap', cost_usd='free')\nread()", "cost_usd 'free'"),
        (AGREED + "say(read(), expert='cheap', cost_usd=-1)\nread()", "cost_usd"),
    ],
)
async def test_whatever_it_does_wrong_is_one_line(
    make: Callable[..., Deciding], episode_with: Callable[..., Any], code: str, line: str
) -> None:
    episode, provider = episode_with({})
    with pytest.raises(DecisionError) as caught:
        await make(code).solve("?", None, episode)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert not provider.asked


@pytest.mark.parametrize(
    "code",
    [READY + "time.sleep(60)", AGREED + "read(); time.sleep(60)", "import time; time.sleep(60)"],
)
async def test_one_that_hangs_is_killed(
    make: Callable[..., Deciding], episode_with: Callable[..., Any], code: str
) -> None:
    episode, _ = episode_with({})
    code = f"import os\n{STARTS}{code}"
    system = make(code, "timeout=0.3,start=1")
    with pytest.raises(DecisionError, match=r"gave no answer within (0\.3|1) s"):
        await system.solve("?", None, episode)


async def test_one_that_does_not_read_is_killed(make: Callable[..., Deciding], pool: Pool) -> None:
    """A question that does not fit into the pipe must not wait for ever either."""
    system = make("import time; time.sleep(60)", "timeout=0.3,start=0.3")
    with pytest.raises(DecisionError, match="gave no answer"):
        await system.decider.decide(question(pool, "x" * (4 << 20)))


async def test_what_it_starts_dies_with_it(
    make: Callable[..., Deciding], tmp_path: Path, pool: Pool
) -> None:
    code = (
        AGREED
        + STARTS
        + (
            "import subprocess\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
            "open(os.environ['STARTS'], 'a').write(f'{child.pid}\\n')\n"
            "read(); time.sleep(60)\n"
        )
    )
    with pytest.raises(DecisionError, match="gave no answer"):
        await make(code, "timeout=0.5").decider.decide(question(pool))
    assert len(started(tmp_path)) == 2  # the fixture looks whether they are gone


@pytest.mark.parametrize("ends", ["read(); time.sleep(600)", "read()"])
async def test_a_server_that_it_leaves_behind_is_not_waited_for(
    make: Callable[..., Deciding], tmp_path: Path, pool: Pool, ends: str
) -> None:
    """One in a session of its own, which holds the pipes that it was given."""
    code = (
        "import subprocess\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " start_new_session=True)\n"
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))\n"
        "say(read(), expert='dear')\n"
    )
    system = make(f"{AGREED}{STARTS}{code}{ends}\n")
    try:
        assert (await system.decider.decide(question(pool))).expert == "dear"
        await asyncio.wait_for(system.aclose(), 60)
        assert not is_running(*started(tmp_path))
    finally:
        os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


async def test_the_next_question_starts_it_again_until_three_failures_in_a_row(
    make: Callable[..., Deciding], tmp_path: Path, pool: Pool
) -> None:
    decider = make(READY + STARTS + "say(hello, version=1); read(); sys.exit(1)").decider
    for _ in range(2):
        with pytest.raises(DecisionError, match=r"exit code 1$"):
            await decider.decide(question(pool))
    for _ in range(3):
        with pytest.raises(DecisionError, match=r"exit code 1$|given up after 3 failures in a row"):
            await decider.decide(question(pool))
    assert len(started(tmp_path)) == 3


async def test_one_that_dies_now_and_then_goes_on(
    make: Callable[..., Deciding], tmp_path: Path, pool: Pool
) -> None:
    """It answers one question and dies; the next finds it dead and starts another."""
    decider = make(AGREED + STARTS + "say(read(), expert='cheap'); sys.exit(1)").decider
    for _ in range(5):
        for _ in range(2):  # its death may come before the next question or with it
            try:
                assert (await decider.decide(question(pool))).expert == "cheap"
                break
            except DecisionError as error:
                assert "exit code 1" in str(error)
    assert len(started(tmp_path)) >= 5


async def test_as_many_questions_at_a_time_as_it_takes(
    make: Callable[..., Deciding], pool: Pool
) -> None:
    """It answers when it has three, the last first; with fewer at a time it would hang."""
    code = READY + (
        "say(hello, version=1, concurrency=3)\n"
        "while True:\n"
        "    for asked in [read(), read(), read()][::-1]:\n"
        "        say(asked, expert='cheap', note=asked['prompt'])\n"
    )
    decider = make(code, "timeout=20").decider
    choices = await asyncio.gather(*(decider.decide(question(pool, str(n))) for n in range(6)))
    assert [choice.note for choice in choices] == list("012345")


async def test_all_questions_that_it_had_fail_with_it_and_count_once(
    make: Callable[..., Deciding], tmp_path: Path, pool: Pool
) -> None:
    code = READY + STARTS + "say(hello, version=1, concurrency=4); read(); read(); sys.exit(1)\n"
    decider = make(code).decider
    ends = await asyncio.gather(
        *(decider.decide(question(pool)) for _ in range(4)), return_exceptions=True
    )
    assert all(isinstance(end, DecisionError) for end in ends)
    assert not any("given up" in str(end) for end in ends)
    assert len(started(tmp_path)) <= 2


async def test_scores_and_a_threshold(
    make: Callable[..., Deciding], pool: Pool, episode_with: Callable[..., Any]
) -> None:
    code = READY + (
        "say(hello, version=1, task='score')\n"
        "while True:\n    asked = read(); say(asked, score=len(asked['prompt']) / 10)\n"
    )
    system = make(code, "threshold=0.3,strong=middle")
    for text, expert in (("12", "cheap"), ("123", "middle")):
        assert (await system.decider.decide(question(pool, text))).expert == expert
    nan = READY + 'say(hello, version=1)\nread(); print(\'{"id": 1, "score": NaN}\')\nread()'
    with pytest.raises(DecisionError, match="no finite number: nan"):
        await make(nan, "threshold=0.3", "nan.py").decider.decide(question(pool))
    missing = AGREED + "say(read())\nread()"
    with pytest.raises(DecisionError, match="no finite number: 'missing'"):
        await make(missing, "threshold=0.3", "missing.py").decider.decide(question(pool))


LEARNER = READY + (
    "say(hello, version=1, task='learn')\n"
    "last = 'cheap'\n"
    "while True:\n"
    "    asked = read()\n"
    "    if asked['type'] == 'learn':\n"
    "        last = 'dear' if asked['reward'] else 'cheap'\n"
    "        say(asked)\n"
    "    elif asked['type'] == 'freeze':\n"
    "        say(asked)\n"
    "    elif 'die' in asked['prompt']:\n"
    "        sys.exit(1)\n"
    "    else:\n"
    "        say(asked, expert=last)\n"
)


class Rows:
    """Training rows on which every expert is right."""

    task = "math:train"

    def __init__(self, pool: Pool, *texts: str) -> None:
        self.questions = tuple(question(pool, text) for text in texts)

    async def ask(self, row: int, choice: Any) -> Feedback | None:
        return Feedback(self.questions[row], choice.expert, 1.0, Decimal("0.1"))


async def test_it_learns_and_is_not_started_again_without_what_it_has_learned(
    make: Callable[..., Deciding], pool: Pool
) -> None:
    decider = make(LEARNER, "learns").decider
    assert isinstance(decider, Trained)
    assert await decider.train(Rows(pool, "1", "2")) == (
        "learned from 2 of 2 rows of math:train, then frozen"
    )
    assert (await decider.decide(question(pool))).expert == "dear"
    for text in ("die", "What now?"):
        with pytest.raises(DecisionError, match="exit code 1"):
            await decider.decide(question(pool, text))
    with pytest.raises(DecisionError, match="--retry-errors teaches it again"):
        await decider.decide(question(pool))


async def test_one_that_is_closed_can_be_asked_again(
    make: Callable[..., Deciding], pool: Pool
) -> None:
    system = make(ECHO)
    for _ in range(2):
        assert (await system.decider.decide(question(pool))).expert == "dear"
        await system.aclose()


async def test_one_that_loads_is_waited_for_though_who_asked_first_has_left(
    make: Callable[..., Deciding], tmp_path: Path, pool: Pool
) -> None:
    loads = f"while not os.path.exists({str(tmp_path / 'weights')!r}): time.sleep(0.01)\n"
    system = make(READY + STARTS + loads + "say(hello, version=2)\nread()\n")
    first = asyncio.ensure_future(system.decider.decide(question(pool)))
    while not started(tmp_path):  # noqa: ASYNC110  (a file says it)
        await asyncio.sleep(0.02)
    first.cancel()
    second = asyncio.ensure_future(system.decider.decide(question(pool)))
    await asyncio.sleep(0)
    (tmp_path / "weights").touch()
    # The greeting that the first one sent is what the second one is told of.
    with pytest.raises(DecisionError, match="speaks version 2"):
        await second
    assert len(started(tmp_path)) == 1


async def test_a_router_that_is_busy_is_not_waited_for(
    make: Callable[..., Deciding], tmp_path: Path, pool: Pool
) -> None:
    system = make(AGREED + STARTS + "read()\nwhile True:\n    time.sleep(60)\n")
    asking = asyncio.ensure_future(system.decider.decide(question(pool)))
    while not started(tmp_path):  # noqa: ASYNC110  (a file says it)
        await asyncio.sleep(0.02)
    await system.aclose()
    with pytest.raises(DecisionError, match=r"has been closed|has been ended"):
        await asking


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_a_bench_that_is_killed_leaves_no_router_behind(tmp_path: Path) -> None:
    script = tmp_path / "router.py"
    script.write_text(AGREED + STARTS + "read(); time.sleep(600)\n")
    bench = textwrap.dedent(
        f"""
        import asyncio
        from corl_bench.routers.external_process import ExternalProcess
        async def main():
            process = await ExternalProcess.start([{sys.executable!r}, {str(script)!r}])
            await process.ask({{"type": "hello"}}, 30)
            await process.ask({{"type": "decide"}}, 600)
        asyncio.run(main())
        """
    )
    environment = {**os.environ, "STARTS": str(tmp_path / "starts")}
    process = subprocess.Popen([sys.executable, "-c", bench], env=environment)
    while not started(tmp_path):
        assert process.poll() is None
        time.sleep(0.02)
    (router,) = started(tmp_path)
    assert is_running(router)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for _ in range(1000):
        if not is_running(router):
            return
        time.sleep(0.01)
    pytest.fail("the router outlived the bench")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "write exec:COMMAND"),
        ("'open", "is no command line"),
        ("a_command_that_nobody_has x", "there is no command 'a_command_that_nobody_has'"),
        ("python x.py @timeout=0", "is not seconds"),
        ("python x.py @learn", "did you mean 'learns'?"),
        ("python x.py @learns=yes", "takes no value"),
        ("python x.py @learns,share=0.5", "either learns or scores"),
    ],
)
def test_a_command_that_cannot_be_is_one_line(pool: Pool, text: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_execs(text, pool)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_router_is_its_command_its_script_and_its_options(pool: Pool, tmp_path: Path) -> None:
    script = tmp_path / "router.py"
    script.write_text("1")

    def digest(options: str = "") -> str:
        (system,) = make_execs(f"{sys.executable} {script} {options}", pool)
        assert isinstance(system, Deciding)
        return system.digest

    plain = digest()
    assert plain == digest("@timeout=3,start=4,name=other")
    assert plain != digest("--seed=1")
    assert plain != digest("@fee=0.1")
    weights = tmp_path / "weights.bin"
    weights.write_text("1")
    named = digest(f"--weights={weights}")
    weights.write_text("2")
    assert named != digest(f"--weights={weights}")
    script.write_text("2")
    assert plain != digest()
