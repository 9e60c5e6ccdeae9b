"""A process that answers JSON lines, and everything that can go wrong with one.

One request a line on its standard input, one answer a line on its standard output, matched by
`id`. Whatever breaks that (it ends, is silent for too long, writes what is no answer or a line
without end) ends the process and raises one line that says so, with its last words on standard
error. It runs in a session of its own, so that Ctrl-C reaches it through its bench alone; it is
killed with all that it started, and on Linux the kernel kills it if the bench is killed.

    process = await ExternalProcess.start(["python", "router.py"])
    answer = await process.ask({"type": "decide", "prompt": "…"}, timeout_s=30)
    await process.end()
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process, SubprocessStreamProtocol
from collections.abc import Mapping, Sequence
from typing import Any, Self

from corl_bench.routers.decisions import DecisionError, shown
from corl_bench.text import well_formed, without_keys

MAX_LINE_BYTES = 1 << 20
"""Of an answer; a decision is a name or a number."""
MAX_STDERR_BYTES = 4096
"""The end of standard error that is kept."""
GRACE_S = 2.0
"""How long a process may take to end once its input is closed."""
LOOK_S = 0.01
"""How often is looked whether it has ended."""
LAST_WORDS_S = 0.5
"""How long is waited for the rest of a dead process's standard error."""

# Runs before the router's own command and becomes it: asks the kernel for its death with its
# parent's, and makes sure that the parent has not died in between.
_LEASH = (
    "import ctypes, os, signal, sys\n"
    "ctypes.CDLL(None).prctl(1, signal.SIGKILL)\n"
    "if os.getppid() != int(sys.argv[1]): sys.exit(1)\n"
    "try: os.execvp(sys.argv[2], sys.argv[2:])\n"
    "except OSError as error: sys.exit(f'{sys.argv[2]}: {error.strerror}')\n"
)


class ProcessError(DecisionError):
    """The process can answer nothing more; it has been killed."""


class ExternalProcess:
    """A running process; ends for good with its first breach of the protocol."""

    def __init__(self, process: Process, transport: asyncio.SubprocessTransport) -> None:
        self._process = process
        self._transport = transport
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._asked = 0
        self._stderr = bytearray()
        self._listening = asyncio.create_task(self._listen())
        self._overhearing = asyncio.create_task(self._overhear())
        self.failure: str | None = None
        """Why it is over, once it is."""

    @classmethod
    async def start(
        cls, command: Sequence[str], environment: Mapping[str, str] = os.environ
    ) -> Self:
        """Starts a process.

        Args:
            command: program and arguments.
            environment: what it may know of ours.

        Raises:
            DecisionError: the system could not start it.
        """
        leashed = [*command]
        if sys.platform == "linux":
            leashed = [sys.executable, "-I", "-S", "-c", _LEASH, str(os.getpid()), *command]
        loop = asyncio.get_running_loop()
        try:
            # As `create_subprocess_exec` does it, which keeps the transport to itself.
            transport, protocol = await loop.subprocess_exec(
                lambda: SubprocessStreamProtocol(limit=MAX_LINE_BYTES, loop=loop),
                *leashed,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                start_new_session=True,
                # A Python that prints its answer and forgets to flush would hang, and both wait.
                env={**environment, "PYTHONUNBUFFERED": "1"},
            )
        except OSError as error:
            raise DecisionError(
                f"the router's process cannot be started: {error.strerror}"
            ) from error
        return cls(Process(transport, protocol, loop), transport)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Sends a request and waits for its answer.

        Raises:
            ProcessError: the process broke the protocol, here or at a request beside this one.
            DecisionError: it answered that it could not.
        """
        if self.failure is not None:
            raise ProcessError(self.failure)
        number = self._asked
        self._asked += 1
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        line = json.dumps({"id": number, **request}, ensure_ascii=False, separators=(",", ":"))
        try:
            async with asyncio.timeout(timeout_s):
                assert self._process.stdin is not None
                self._process.stdin.write(well_formed(line).encode() + b"\n")
                with contextlib.suppress(ConnectionError):  # its end is told by its output
                    await self._process.stdin.drain()
                answer = await future
        except TimeoutError:
            self._fail(f"gave no answer within {timeout_s:g} s")
            raise ProcessError(str(self.failure)) from None
        if "error" in answer:
            raise DecisionError(f"the router says: {shown(answer['error'], 300)}")
        return answer

    async def end(self) -> None:
        """Lets the process end by itself for a moment, then kills what is left of it."""
        if self.failure is None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._exit(), GRACE_S)
        self._fail("has been ended")
        await self._exit()
        self._transport.close()
        await self._process.wait()
        for task in (self._listening, self._overhearing):
            task.cancel()
        await asyncio.gather(self._listening, self._overhearing, return_exceptions=True)

    async def _exit(self) -> None:
        """Waits for the end of the process alone; `wait` waits for whoever holds its pipes, too.

        That may be a server that it has started and that is to outlive it.
        """
        while self._process.returncode is None:  # noqa: ASYNC110 (nothing else tells)
            await asyncio.sleep(LOOK_S)

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        try:
            while line := await self._process.stdout.readline():
                number, answer = _read_answer(line)
                future = self._waiting.pop(number, None)
                if future is None:
                    raise ValueError(f"answered {number}, which was not asked")
                if not future.done():  # whoever asked may have been cancelled
                    future.set_result(answer)
        except ValueError as error:
            too_long = "Separator is" in str(error)
            what = f"wrote a line of more than {MAX_LINE_BYTES:,} bytes" if too_long else str(error)
            self._fail(what)
            return
        # Its output ends a moment before it does; what it said last tells why.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._overhearing), LAST_WORDS_S)
            await asyncio.wait_for(self._process.wait(), LAST_WORDS_S)
        code = self._process.returncode
        if code is None:
            how = "closed its output"
        elif code < 0:
            how = f"died of {signal.Signals(-code).name}"
        else:
            how = f"ended with exit code {code}"
        self._fail(how)

    async def _overhear(self) -> None:
        assert self._process.stderr is not None
        while chunk := await self._process.stderr.read(MAX_STDERR_BYTES):
            self._stderr += chunk
            del self._stderr[:-MAX_STDERR_BYTES]

    def _fail(self, what: str) -> None:
        """Ends the process, and every wait for it with one line that says why."""
        if self.failure is None:
            self.failure = f"the router's process {what}{self._last_words()}"
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ProcessError(self.failure))
        self._waiting.clear()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _last_words(self) -> str:
        """The last line on standard error, as a tail of a message."""
        lines = self._stderr.decode("utf-8", "replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "")
        return f"; its last words: {shown(without_keys(last.strip()), 200)}" if last else ""


def _read_answer(line: bytes) -> tuple[int, dict[str, Any]]:
    """The number and the fields of an answer.

    Raises:
        ValueError: it is none.
    """
    text = line.decode("utf-8", "replace")
    try:
        answer = json.loads(text)
        number = answer["id"]
        if type(number) is not int:
            raise TypeError
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError(f"wrote what is no answer: {shown(text.strip())}") from None
    return number, answer
