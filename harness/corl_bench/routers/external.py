"""Routers out of process: `exec:COMMAND`, JSON lines, a virtualenv of their own.

The process is started with the first question. It is told the experts, says which version of
the protocol it speaks and what it does, and then answers: `decide` with an expert, `score` with
a number, `learn` with nothing. A process that fails is killed, and its question is the episode's
error; the next question starts it again, unless it failed three times in a row or has taken with
it what it had learned. What the command does stands in its options, for that decides what a run
is before anything is started: `exec:venv/bin/python router.py @share=0.3,timeout=60`.

docs/routers.md describes each message; `examples/routers/exec_router.py` is the other end.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from corl_bench.environments import without_keys_in
from corl_bench.episode import ExpertInfo
from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.money.amounts import format_usd, parse_json_usd
from corl_bench.routers.base import Router
from corl_bench.routers.decisions import (
    Choice,
    Decider,
    Deciding,
    DecisionError,
    Question,
    on_offer,
    shown,
)
from corl_bench.routers.external_process import ExternalProcess, ProcessError
from corl_bench.routers.learning import Feedback, Learning
from corl_bench.routers.options import read_fee, read_flag, read_number, read_options
from corl_bench.routers.scores import SCORE_OPTIONS, make_thresholded, wants_scores

PROTOCOL_VERSION = 1
MAX_FAILURES = 3
"""In a row; then the command is given up."""
TIMEOUT_S = 30.0
START_TIMEOUT_S = 180.0
"""Models of two gigabytes take their time."""
MAX_TOGETHER = 256
"""Questions that a process may ask to have at a time."""

Task = Literal["decide", "score", "learn"]

_OPTIONS = ("name", "fee", "timeout", "start", "budget", "learns", "keys", *SCORE_OPTIONS)


def make_execs(rest: str, pool: Pool) -> list[Router]:
    """The system that `exec:` and this text name; nothing is started yet.

    Raises:
        ConfigError: there is no such command, or an option is not usable.
    """
    text = f"exec:{rest}"
    command_text, options_text = _split(rest)
    try:
        command = shlex.split(command_text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no command line: {error}") from None
    if not command:
        raise ConfigError(f"{text!r}: write exec:COMMAND, say exec:venv/bin/python router.py")
    if shutil.which(command[0]) is None:
        raise ConfigError(f"{text!r}: there is no command {command[0]!r}")
    options = read_options(options_text, text, _OPTIONS)
    learns, scores = read_flag(options, "learns", text), wants_scores(options)
    if learns and scores:
        raise ConfigError(f"{text!r} either learns or scores: drop one")
    task: Task = "learn" if learns else "score" if scores else "decide"
    router = ExternalRouter(
        command,
        task,
        on_offer(map(ExpertInfo.of, pool.experts)),
        timeout_s=_seconds(options, "timeout", text) or TIMEOUT_S,
        start_timeout_s=_seconds(options, "start", text) or START_TIMEOUT_S,
        hidden=None
        if read_flag(options, "keys", text)
        else frozenset(expert.key_env for expert in pool.experts if expert.key_env),
    )
    decider: Decider = router
    if learns:
        decider = Learning(router)
    elif scores:
        decider = make_thresholded(router, options, text, pool)
    return [
        Deciding(
            name=options.get("name") or text,
            decider=decider,
            reads_budget=read_flag(options, "budget", text),
            fee_usd=read_fee(options, text),
            digest=_digest(command, options),
        )
    ]


class ExternalRouter:
    """Decides, scores or learns as its process says; starts it when it is needed.

    Args:
        command: program and arguments.
        task: what it is for.
        experts: on offer; it is told of them once.
        timeout_s: for each answer.
        start_timeout_s: for the first, which is given when everything is loaded.
        hidden: variables of the pool's keys, which it is not handed, nor anything else that is
            named like a secret; None hands it the whole environment.
    """

    def __init__(
        self,
        command: Sequence[str],
        task: Task,
        experts: tuple[ExpertInfo, ...],
        *,
        timeout_s: float = TIMEOUT_S,
        start_timeout_s: float = START_TIMEOUT_S,
        hidden: frozenset[str] | None = frozenset(),
    ) -> None:
        self._command = tuple(command)
        self._hidden = hidden
        self._task: Task = task
        self._experts = experts
        self._timeout_s = timeout_s
        self._start_timeout_s = start_timeout_s
        self._life = 0
        self._forget()

    def _forget(self) -> None:
        """As if nothing had been started; locks belong to one event loop."""
        self._process: ExternalProcess | None = None
        self._loading: asyncio.Task[ExternalProcess] | None = None
        self._slots = asyncio.Semaphore(1)
        self._starting = asyncio.Lock()
        self._failures = 0
        self._given_up = ""
        self._has_learned = False

    async def decide(self, question: Question) -> Choice:
        """The expert that the process names."""
        answer = await self._ask(
            {
                "type": "decide",
                "prompt": question.text,
                "budget_usd": None if question.budget is None else format_usd(question.budget.usd),
            }
        )
        expert, note = answer.get("expert"), answer.get("note", "")
        if not isinstance(expert, str) or not isinstance(note, str):
            raise DecisionError(f"the router's decision names no expert: {shown(answer)}")
        return Choice(expert, note, _cost(answer))

    async def scores(self, questions: Sequence[Question]) -> Sequence[float]:
        """A score for each question; as many at a time as the process takes."""
        answers = await asyncio.gather(
            *(self._ask({"type": "score", "prompt": question.text}) for question in questions)
        )
        return [answer.get("score", "missing") for answer in answers]

    async def learn(self, feedback: Feedback) -> None:
        """Tells the process what came of its decision."""
        self._has_learned = True
        await self._ask(
            {
                "type": "learn",
                "prompt": feedback.question.text,
                "expert": feedback.expert,
                "reward": feedback.reward,
                "cost_usd": format_usd(feedback.cost_usd),
            }
        )

    async def freeze(self) -> None:
        """Tells the process that what follows is scored and teaches nothing."""
        await self._ask({"type": "freeze"})

    async def aclose(self) -> None:
        """Ends the process, and every question that waits; a later one begins a new life."""
        self._life += 1
        process, loading = self._process, self._loading
        self._forget()
        if process is not None:
            await process.end()
        if loading is not None:
            await asyncio.wait({loading})

    async def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """One answer, from a process that is started if there is none."""
        life = self._life
        while True:
            process = await self._running(life)
            async with self._slots:
                if process is not self._process or process.failure is not None:
                    continue  # it ended while this question waited
                try:
                    answer = await process.ask(request, self._timeout_s)
                except ProcessError:
                    await self._bury(process)
                    raise
                self._failures = 0
                return answer

    async def _running(self, life: int) -> ExternalProcess:
        async with self._starting:
            if self._life != life:
                raise DecisionError("the router has been closed")
            if self._process is not None and self._process.failure is not None:
                await self._bury(self._process)  # it died while nobody asked
            if self._given_up:
                raise DecisionError(self._given_up)
            if self._process is None and (self._loading is None or self._loading.done()):
                self._loading = asyncio.create_task(self._start(life))
                # Its error may find nobody who still asks, and the next start brings it again.
                self._loading.add_done_callback(lambda task: task.cancelled() or task.exception())
            if self._loading is None:
                assert self._process is not None
                return self._process
            # Whoever asks first may leave while the process loads; the others go on waiting.
            process = await asyncio.shield(self._loading)
            self._loading = None
            return process

    async def _start(self, life: int) -> ExternalProcess:
        hello = {
            "type": "hello",
            "version": PROTOCOL_VERSION,
            "task": self._task,
            "experts": [
                {
                    "name": expert.name,
                    "model": expert.model,
                    "description": expert.description,
                    "input_usd_per_mtok": format_usd(expert.price.input_usd_per_mtok),
                    "output_usd_per_mtok": format_usd(expert.price.output_usd_per_mtok),
                }
                for expert in self._experts
            ],
        }
        known = os.environ if self._hidden is None else without_keys_in(os.environ, self._hidden)
        process = await ExternalProcess.start(self._command, known)
        if self._life != life:
            await process.end()
            raise DecisionError("the router has been closed")
        self._process = process
        try:
            together = self._agree(await process.ask(hello, self._start_timeout_s))
        except ProcessError:
            await self._bury(process)
            raise
        except DecisionError as error:
            self._given_up = str(error)
            raise
        self._slots = asyncio.Semaphore(together)
        return process

    def _agree(self, answer: Mapping[str, Any]) -> int:
        """How many questions at a time the process takes, once both mean the same.

        Raises:
            DecisionError: it speaks another version, or does something else.
        """
        if answer.get("version") != PROTOCOL_VERSION:
            raise DecisionError(
                f"the router's process speaks version {shown(answer.get('version'))} of the"
                f" protocol, this bench version {PROTOCOL_VERSION}"
            )
        task = answer.get("task", self._task)
        if task != self._task:
            wanted = {"score": "@threshold=T or @share=P", "learn": "@learns"}.get(str(task))
            raise DecisionError(
                f"the router's process is there to {shown(task)}, and was started to"
                f" {self._task!r}: write {wanted or 'no such option'} behind the command"
            )
        together = answer.get("concurrency", 1)
        if type(together) is not int or not 1 <= together <= MAX_TOGETHER:
            raise DecisionError(
                f"the router's process takes {shown(together)} questions at a time;"
                f" concurrency is a whole number from 1 to {MAX_TOGETHER}"
            )
        return together

    async def _bury(self, process: ExternalProcess) -> None:
        """Counts a dead process once, however many questions failed with it, and clears it up."""
        if process is self._process:
            self._process = None
            self._failures += 1
            if self._has_learned:
                self._given_up = (
                    f"{process.failure}; what it had learned is lost with it, --retry-errors"
                    " teaches it again"
                )
            elif self._failures >= MAX_FAILURES:
                self._given_up = (
                    f"given up after {self._failures} failures in a row; {process.failure}"
                )
        await process.end()


def _cost(answer: Mapping[str, Any]) -> Decimal | None:
    """What the process says that its decision cost."""
    cost = answer.get("cost_usd")
    try:
        return None if cost is None else parse_json_usd(cost, what="cost_usd")
    except ConfigError as error:
        raise DecisionError(f"the router's {error}") from None


def _split(rest: str) -> tuple[str, str]:
    """Command and options: the last word where it begins with an `@`."""
    command, _, last = rest.rstrip().rpartition(" ")
    return (command, last[1:]) if last.startswith("@") else (rest, "")


def _seconds(options: Mapping[str, str], name: str, text: str) -> float | None:
    return read_number(options, name, text, least=0.01, most=86400, what="seconds")


def _digest(command: Sequence[str], options: Mapping[str, str]) -> str:
    """sha256 of the command, of the script and other files that it names, and of the options.

    The interpreter is left out: where it lies says nothing, and what it is changes with each
    upgrade. So are the time limits.
    """
    contents = {}
    for place, word in enumerate(command):
        if place == 0:
            path = Path(shutil.which(word) or word)
        else:  # `--weights=mf.bin` names a file as well
            path = Path(word if Path(word).exists() else word.partition("=")[2] or word)
        if path.is_file() and (place > 0 or _is_script(path)):
            with path.open("rb") as file:
                contents[str(place)] = hashlib.file_digest(file, "sha256").hexdigest()
    decisive = {k: v for k, v in options.items() if k not in ("name", "timeout", "start", "keys")}
    made_of = {"command": list(command), "files": contents, "options": decisive}
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def _is_script(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"
