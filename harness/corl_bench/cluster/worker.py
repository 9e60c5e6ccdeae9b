"""One worker of a run: it comes to the run's address, makes the systems and plays what it is given.

Invariant: it asks no expert and writes no file. Calls and fees of its episodes go to the run, in
the order in which they were made, and what comes back is all that an episode can see of either.

    reason = work("http://10.0.0.5:41123/v1/work", token, data, node="10.0.0.7")
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import count
from typing import Any, Literal

import aiohttp

from corl_bench.cluster import messages
from corl_bench.cluster.assignment import Numbered, facts_of, program, unpack
from corl_bench.errors import CorlError
from corl_bench.experts.base import Request
from corl_bench.experts.caller import CallOutcome
from corl_bench.money.basis import CostBasis
from corl_bench.results import encode_episode
from corl_bench.routers.playing import dismiss
from corl_bench.runs.execute import GRADING_THREADS, make_episode
from corl_bench.runs.plan import Plan

COMING_S = 20.0
"""How long a worker tries to reach a run that it has never reached."""
RETURNING_S = 600.0
"""How long one tries that was cut off."""
_BETWEEN_TRIES_S = 1.0


def work(url: str, token: str, data: bytes, node: str) -> str:
    """Works until the run sends it home.

    Args:
        url: of the run, `http://HOST:PORT/v1/work`.
        token: of the run.
        data: `Crew.data`.
        node: what this machine is called in messages.

    Returns:
        Why it could not go on; empty where the run has said that it is over, or knows why.
    """
    return asyncio.run(_work(url, token, data, node))


async def _work(url: str, token: str, data: bytes, node: str) -> str:
    worker = _Worker(data, node)
    deadline_s = time.monotonic() + COMING_S
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10.0)
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
            while True:
                try:
                    async with session.ws_connect(url, max_msg_size=0, compress=0) as socket:
                        messages.keep_alive(socket.get_extra_info("socket_transport"))
                        try:
                            if await worker.attend(socket):
                                return ""
                        finally:
                            deadline_s = time.monotonic() + RETURNING_S
                except aiohttp.ClientError as error:
                    if time.monotonic() > deadline_s:
                        return f"the worker on {node} cannot reach this run at {url}: {error}"
                await asyncio.sleep(_BETWEEN_TRIES_S)
    finally:
        await worker.close()


class _Worker:
    """The systems of a run, and whoever may play them over one connection after the other."""

    def __init__(self, data: bytes, node: str) -> None:
        self._data = data
        self._node = node
        self._plan: Plan | None = None
        self._threads = ThreadPoolExecutor(GRADING_THREADS, thread_name_prefix="grading")

    async def attend(self, socket: aiohttp.ClientWebSocketResponse) -> bool:
        """Does what is said over one connection, until it ends.

        Returns:
            Whether the run wants no more of this worker.
        """
        shift: _Shift | None = None
        over = False
        await socket.send_bytes(messages.write("hello", node=self._node, program=program()))
        try:
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.BINARY:
                    break
                said = messages.read(message.data)
                match said["do"]:
                    case "build":
                        await socket.send_bytes(self._build())
                        if self._plan is not None:
                            shift = _Shift(self._plan, socket, self._threads)
                    case "end" | "refuse":
                        over = True
                        break
                    case _ if shift is not None:
                        shift.hear(said)
        finally:
            if shift is not None:
                await shift.end()
        return over

    async def close(self) -> None:
        """Has the systems give back what they hold."""
        for system in () if self._plan is None else self._plan.systems:
            await dismiss(system)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _build(self) -> bytes:
        """Makes the systems, once; what they are, or why they cannot be."""
        try:
            self._plan = self._plan or unpack(self._data)
        except CorlError as error:
            return messages.write("ready", cannot=str(error))
        return messages.write("ready", facts=facts_of(self._plan))


class _Shift:
    """The episodes that are played over one connection."""

    def __init__(
        self, plan: Plan, socket: aiohttp.ClientWebSocketResponse, threads: ThreadPoolExecutor
    ) -> None:
        self._plan = plan
        self._numbered = Numbered(plan)
        self._socket = socket
        self._threads = threads
        self._plays: dict[int, asyncio.Task[None]] = {}
        self._waiting: dict[int, asyncio.Future[CallOutcome]] = {}
        self._numbers = count(1)
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._sending = asyncio.create_task(self._send())

    def hear(self, said: dict[str, Any]) -> None:
        """Takes what the run says."""
        match said["do"]:
            case "play":
                task = asyncio.create_task(self._play(said["play"], said["job"]))
                self._plays[said["play"]] = task
                task.add_done_callback(lambda _: self._plays.pop(said["play"], None))
            case "drop":
                if playing := self._plays.get(said["play"]):
                    playing.cancel()
            case "answer":
                waiting = self._waiting.get(said["call"])
                if waiting is None or waiting.done():
                    return  # whoever has asked has gone
                if "fault" in said:
                    waiting.set_exception(messages.read_fault(said["fault"]))
                else:
                    waiting.set_result(messages.read_outcome(said["outcome"]))

    def say(self, do: Literal["call", "leave", "charge", "done", "failed"], **more: Any) -> None:
        """Has something sent, behind all that was said before."""
        self._outbox.put_nowait(messages.write(do, **more))

    async def ask(self, play: int, **more: Any) -> CallOutcome:
        """Has the run make a call; it is dropped there where it is given up here."""
        number = next(self._numbers)
        waiting: asyncio.Future[CallOutcome] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        self.say("call", play=play, call=number, **more)
        try:
            return await waiting
        except asyncio.CancelledError:
            self.say("leave", play=play, call=number)
            raise
        finally:
            del self._waiting[number]

    async def end(self) -> None:
        """Gives up all episodes; the run has others play them, if it still goes on."""
        plays = list(self._plays.values())
        for task in plays:
            task.cancel()
        await asyncio.gather(*plays, return_exceptions=True)
        self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)

    async def _play(self, number: int, row: list[Any]) -> None:
        try:
            job = self._numbered.read(row)
            record, names = await make_episode(
                job, self._plan, _Caller(self, number), self._threads
            )
            self.say("done", play=number, episode=encode_episode(record), calls=names)
        except Exception as error:
            self.say("failed", play=number, why=f"{type(error).__name__}: {error}")

    async def _send(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await self._socket.send_bytes(await self._outbox.get())


class _Caller:
    """What stands for the run's caller in an episode."""

    def __init__(self, shift: _Shift, play: int) -> None:
        self._shift = shift
        self._play = play

    async def call(self, request: Request, *, call_id: str, episode: str) -> CallOutcome:
        """The run's answer; see `corl_bench.experts.caller.Caller.call`."""
        row = messages.request_row(request)
        return await self._shift.ask(self._play, name=call_id, request=row)

    def stored(self, request: Request) -> CallOutcome | None:
        """Nothing: oracles are played by the run itself."""
        return None

    def charge(
        self, name: str, what: str, usd: Decimal, basis: CostBasis, *, of: str | None
    ) -> None:
        """Tells the run of a fee, which books it before whatever is said next."""
        self._shift.say(
            "charge", play=self._play, name=name, what=what, usd=str(usd), basis=basis, of=of
        )
