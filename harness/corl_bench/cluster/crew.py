"""A run's own side of its workers: who plays what, and an answer to every call.

Workers come to an address with a token, are looked over, and from then on are given episodes. A
call of an episode goes to the run's own caller, under the name that it has in any case, so store,
journal, ledger and cap are those of a run without workers. An episode whose worker is lost is
played again from its start; what was on the wire for it goes on, is stored and is booked, and the
second playing finds it there.

Invariants: an episode comes back once, whoever has played it how often; when it has come back no
call of it is under way; nothing that a worker sends is executed, and no key goes to one.

    async with open_crew(plan, caller, say, host="10.0.0.5", port=0) as crew:
        …                                    # start workers with crew.url, crew.token, crew.data
        await crew.wait_for(2, within_s=120)
        crew.begin()
        record, call_ids = await crew.make(job)
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from secrets import token_hex
from typing import Any

from aiohttp import WSMsgType, web

from corl_bench.cluster import messages
from corl_bench.cluster.assignment import Numbered, difference, facts_of, pack, program
from corl_bench.episode import call_record, charge_record
from corl_bench.errors import CapReachedError, ConfigError, CorlError, StorageError
from corl_bench.experts.attempts import StoppedError
from corl_bench.experts.base import ExpertSpec
from corl_bench.experts.caller import Answering
from corl_bench.money.basis import read_basis
from corl_bench.results import CallRecord, ChargeRecord, EpisodeRecord, decode_episode
from corl_bench.routers.learning import trained_part
from corl_bench.runs.engines import in_process
from corl_bench.runs.execute import Make
from corl_bench.runs.plan import Job, Plan
from corl_bench.serving import listening

SUSPECT_AFTER = 2
"""Lost workers after which an episode may be what has ended them: a worker is given one such
episode at a time, so that no other is blamed for it."""
MAX_LOSSES = 5
"""Lost workers after which an episode ends in error."""
PATIENCE_S = 600.0
"""How long a run waits for a worker when it has none left."""

_FILES = "its files must be at the same paths on every node, or be shipped with --ship DIR"


class _Lost:
    """What an episode ends with whose worker is gone."""


_Ending = dict[str, Any] | Exception | _Lost
"""What a worker says of an episode, or why it has none."""


@dataclass(slots=True, eq=False)
class _Play:
    """One episode, until it has come back."""

    number: int
    job: Job
    ended: asyncio.Future[_Ending] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    calls: set[asyncio.Task[None]] = field(default_factory=set)
    made: dict[str, CallRecord | ChargeRecord] = field(default_factory=dict)
    """Its calls that were answered and its fees, over all of its workers."""
    losses: int = 0

    @property
    def is_suspect(self) -> bool:
        return self.losses >= SUSPECT_AFTER

    def end(self, ending: _Ending) -> None:
        if not self.ended.done():
            self.ended.set_result(ending)


@dataclass(slots=True, eq=False)
class _Hand:
    """One worker that is there."""

    socket: web.WebSocketResponse
    node: str
    plays: dict[int, _Play] = field(default_factory=dict)
    calls: dict[int, asyncio.Task[None]] = field(default_factory=dict)


class Crew:
    """The workers of one run.

    Args:
        plan: what the run is.
        caller: answers calls.
        say: is told of workers that are lost.
        here: plays what no worker can: oracles, which read the store, and systems that have
            learned in this process.
        folder: where relative paths of systems begin; None where their files are shipped.
    """

    def __init__(
        self,
        plan: Plan,
        caller: Answering,
        say: Callable[[str], None],
        *,
        here: Make,
        folder: str | None,
    ) -> None:
        self.url = ""
        """Where workers come to."""
        self.token = token_hex(24)
        self.data = pack(plan, folder)
        """What workers are to play."""
        self._plan = plan
        self._caller = caller
        self._say = say
        self._here = here
        self._own = {
            system.name
            for system in plan.systems
            if system.is_oracle or trained_part(system) is not None
        }
        self._experts: dict[str, dict[str, ExpertSpec]] = {
            system.name: {expert.name: expert for expert in plan.experts_of(system)}
            for system in plan.systems
        }
        self._numbered = Numbered(plan)
        self._facts = facts_of(plan)
        self._numbers = count(1)
        self._hands: list[_Hand] = []
        self._coming: set[web.WebSocketResponse] = set()
        self._change = asyncio.Condition()
        self._failure: CorlError | None = None
        self._begun = False

    def application(self) -> web.Application:
        """The server that workers come to."""
        app = web.Application()
        app.router.add_get(messages.PATH, self._work)
        return app

    @property
    def size(self) -> int:
        """Workers that are there."""
        return len(self._hands)

    async def wait_for(self, workers: int, *, within_s: float) -> int:
        """Waits until so many workers are there, or the time is over.

        Returns:
            How many there are.

        Raises:
            ConfigError: one has come that cannot play the plan.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s), self._change:
                await self._change.wait_for(lambda: self._failure or self.size >= workers)
        if self._failure:
            raise self._failure
        return self.size

    def begin(self) -> None:
        """The first episode comes; a worker that cannot play ends the run no more."""
        self._begun = True

    async def give_up(self, reason: CorlError) -> None:
        """Ends all that waits for a worker: none will come."""
        self._failure = self._failure or reason
        await self._changed()

    async def make(self, job: Job) -> tuple[EpisodeRecord, list[str]]:
        """One episode, by whichever worker has the fewest; see `runs.execute.make_episode`.

        Raises:
            CapReachedError: the cap cut it short.
            StoppedError: the stop of the run did.
            StorageError: a file of the run cannot be written.
            ConfigError: there is no worker, and none will come.
        """
        if job.system.name in self._own:
            return await self._here(job)
        play = _Play(next(self._numbers), job)
        try:
            while isinstance(ending := await self._ending_of(play), _Lost):
                if play.losses >= MAX_LOSSES:
                    break
            # What a lost worker has asked for, or others of an episode that was cut short.
            await asyncio.gather(*play.calls, return_exceptions=True)
        finally:
            for call in play.calls:
                call.cancel()
            await asyncio.gather(*play.calls, return_exceptions=True)
        if isinstance(ending, _Lost):
            return _given_up(play)
        if isinstance(ending, BaseException):
            raise ending
        return decode_episode(ending["episode"]), ending["calls"]

    async def dismiss(self) -> None:
        """Sends all workers home."""
        self._failure = self._failure or ConfigError("the run is over")
        sockets = [*(hand.socket for hand in self._hands), *self._coming]
        for socket in sockets:
            await _say(socket, "end")
        await asyncio.gather(*(socket.close() for socket in sockets))

    async def _ending_of(self, play: _Play) -> _Ending:
        """What comes of giving an episode to one worker."""
        play.ended = asyncio.get_running_loop().create_future()
        hand = await self._free_hand(play)
        hand.plays[play.number] = play
        ending: _Ending | None = None
        try:
            row = self._numbered.write(play.job)
            await _say(hand.socket, "play", play=play.number, job=row)
            ending = await play.ended
        finally:
            del hand.plays[play.number]
            if not isinstance(ending, dict):
                await _say(hand.socket, "drop", play=play.number)
            if play.is_suspect:
                await self._changed()
        return ending

    async def _free_hand(self, play: _Play) -> _Hand:
        """The worker with the fewest episodes, as soon as there is one.

        Raises:
            ConfigError: there is none, and none will come.
        """
        async with self._change:
            while (hand := self._least_busy(play)) is None:
                if self._failure:
                    raise self._failure
                try:
                    async with asyncio.timeout(None if self._hands else PATIENCE_S):
                        await self._change.wait()
                except TimeoutError:
                    raise ConfigError(
                        f"no worker is left, and none has come for {PATIENCE_S:.0f} s; the same"
                        " command goes on when there are some"
                    ) from None
        return hand

    def _least_busy(self, play: _Play) -> _Hand | None:
        able = [
            hand
            for hand in self._hands
            if not (play.is_suspect and any(other.is_suspect for other in hand.plays.values()))
        ]
        return min(able, key=lambda hand: len(hand.plays), default=None)

    async def _changed(self) -> None:
        async with self._change:
            self._change.notify_all()

    async def _work(self, request: web.Request) -> web.StreamResponse:
        """One worker, from its coming to its going."""
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, f"Bearer {self.token}".encode()):
            raise web.HTTPUnauthorized
        messages.keep_alive(request.transport)
        socket = web.WebSocketResponse(max_msg_size=0, compress=False)
        await socket.prepare(request)
        self._coming.add(socket)
        try:
            hand = await self._look_over(socket)
        finally:
            self._coming.discard(socket)
        if hand is not None:
            await self._attend(hand)
        return socket

    async def _look_over(self, socket: web.WebSocketResponse) -> _Hand | None:
        """A worker that can play the plan; None where this one cannot, or is gone."""
        hello = await _heard(socket)
        if hello is None:
            return None
        node, wrong = str(hello["node"]), ""
        if found := difference(program(), hello["program"]):
            wrong = f"has {found}: install the same on all of them"
        else:
            await _say(socket, "build")
            ready = await _heard(socket)
            if ready is None:
                return None
            if "cannot" in ready:
                wrong = f"cannot make the systems of this run: {ready['cannot']}; {_FILES}"
            elif found := difference(self._facts, ready["facts"]):
                wrong = f"has {found}; {_FILES}"
        if not wrong:
            return _Hand(socket, node)
        await _say(socket, "refuse")
        await self.turn_away(f"the worker on {node} {wrong}")
        return None

    async def turn_away(self, reason: str) -> None:
        """A worker will not come: before the first episode that ends the run, later it is said."""
        if self._begun:
            self._say(reason)
        else:
            await self.give_up(ConfigError(reason))

    async def _attend(self, hand: _Hand) -> None:
        """Hears a worker until it is gone."""
        self._hands.append(hand)
        await self._changed()
        try:
            async for message in hand.socket:
                if message.type is WSMsgType.BINARY:
                    self._hear(hand, messages.read(message.data))
        finally:
            self._hands.remove(hand)
            self._lose(hand)
            await self._changed()

    def _lose(self, hand: _Hand) -> None:
        plays = list(hand.plays.values())
        for play in [play for play in plays if play.is_suspect] or plays:
            play.losses += 1
        for play in plays:
            play.end(_Lost())
        if self._failure:
            return
        self._say(
            f"a worker on {hand.node} is gone: its {len(plays)} episodes are played again by others"
        )

    def _hear(self, hand: _Hand, said: dict[str, Any]) -> None:
        """Takes one message, in the order in which they were sent."""
        play = hand.plays.get(said["play"])
        if play is None or play.ended.done():
            return  # of an episode that is over
        match said["do"]:
            case "call":
                task = asyncio.create_task(self._answer(hand, play, said))
                hand.calls[said["call"]] = task
                play.calls.add(task)
                task.add_done_callback(lambda done: _forget(done, hand, play, said["call"]))
            case "leave":
                if call := hand.calls.get(said["call"]):
                    call.cancel()
            case "charge":
                self._charge(play, said)
            case "done":
                play.end(said)
            case "failed":
                play.end(RuntimeError(f"{play.job.key}: a worker's own failure: {said['why']}"))

    async def _answer(self, hand: _Hand, play: _Play, said: dict[str, Any]) -> None:
        """One call, from a worker's wish to the outcome that it is told."""
        job = play.job
        try:
            request = messages.read_request(
                said["request"],
                self._experts[job.system.name][said["request"]["expert"]],
                problem_text=job.problem.text,
                sample=job.sample,
                seed=self._plan.seed,
            )
            outcome = await self._caller.call(request, call_id=said["name"], episode=job.key)
        except (CapReachedError, StoppedError, StorageError) as error:
            play.end(error)
        except Exception as error:  # what a system would have met in the run's own process
            fault = messages.fault_row(error)
            await _say(hand.socket, "answer", call=said["call"], fault=fault)
        else:
            name = said["name"].rpartition("#")[2]
            play.made[name] = call_record(request, outcome, name)
            await _say(
                hand.socket, "answer", call=said["call"], outcome=messages.outcome_row(outcome)
            )

    def _charge(self, play: _Play, said: dict[str, Any]) -> None:
        usd, basis = Decimal(said["usd"]), read_basis(said["basis"])
        try:
            self._caller.charge(said["name"], said["what"], usd, basis, of=said["of"])
        except StorageError as error:
            play.end(error)
            return
        name = said["name"].rpartition("#")[2]
        play.made[name] = charge_record(said["what"], usd, basis, name)


def _given_up(play: _Play) -> tuple[EpisodeRecord, list[str]]:
    """The record of an episode that no worker has lived through, with what was paid for it."""
    job, problem, costs = play.job, play.job.problem, play.made.values()
    record = EpisodeRecord(
        task=job.task.label,
        problem_id=problem.id,
        system=job.system.name,
        budget=None if job.budget is None else job.budget.name,
        budget_usd=None if job.budget is None else job.budget.usd,
        sample=job.sample,
        verdict="error",
        answer=None,
        response=None,
        calls=tuple(cost for cost in costs if isinstance(cost, CallRecord)),
        detail=f"{play.losses} workers have ended while they played it",
        subject=problem.subject,
        level=problem.level,
        charges=tuple(cost for cost in costs if isinstance(cost, ChargeRecord)),
    )
    return record, [f"{job.key}#{name}" for name in play.made]


def _forget(done: asyncio.Task[None], hand: _Hand, play: _Play, number: int) -> None:
    hand.calls.pop(number, None)
    play.calls.discard(done)
    if not done.cancelled() and isinstance(error := done.exception(), Exception):
        play.end(error)


async def _say(socket: web.WebSocketResponse, do: str, **more: Any) -> None:
    """Sends a message; that nobody is there any more shows where the worker is listened to."""
    with contextlib.suppress(ConnectionError, RuntimeError):
        await socket.send_bytes(messages.write(do, **more))


async def _heard(socket: web.WebSocketResponse) -> dict[str, Any] | None:
    """The next message; None where the worker has gone instead."""
    message = await socket.receive()
    return messages.read(message.data) if message.type is WSMsgType.BINARY else None


@asynccontextmanager
async def open_crew(
    plan: Plan,
    caller: Answering,
    say: Callable[[str], None],
    *,
    host: str,
    port: int = 0,
    folder: str | None = None,
) -> AsyncIterator[Crew]:
    """Listens for workers for as long as it is open; nobody has come yet.

    Args:
        plan: what the run is.
        caller: answers calls.
        say: is told of workers that are lost.
        host: address of this machine that workers reach.
        port: 0 takes a free one.
        folder: where relative paths of systems begin; None where their files are shipped.

    Raises:
        ConfigError: nobody can listen there.
    """
    async with in_process(plan, caller, say) as here:
        crew = Crew(plan, caller, say, here=here, folder=folder)
        async with listening(crew.application(), host=host, port=port) as base_url:
            crew.url = f"{base_url.removesuffix('/v1')}{messages.PATH}"
            try:
                yield crew
            finally:
                await crew.dismiss()
