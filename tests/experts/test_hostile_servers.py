"""Servers that mean harm: bounded time and memory, one attempt, and every dollar accounted for.

Each is asked through the run's own asker, so what is shown is what a run would book. What any
fault of the well-meaning comes to is in `test_faults.py`, the transport alone in
`test_transport.py`.
"""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from corl_bench.experts.attempts import Asker
from corl_bench.experts.caller import Caller, CallOutcome
from corl_bench.experts.openai import OpenAIProvider
from corl_bench.experts.store import RecordingStore
from corl_bench.experts.transport import Transport
from corl_bench.money.cap import SpendingCap
from corl_bench.money.ledger import Ledger
from servers.byte_server import http
from servers.experts import ENVIRONMENT, KEY, ask, expert_at

MEMORY_BYTES = 24 << 20
LIMIT_BYTES = 4 << 20

Stream = Callable[[asyncio.StreamWriter], Awaitable[None]]


def reply(**changes: Any) -> bytes:
    body = {
        "model": "gpt-4.1",
        "choices": [{"message": {"content": "42"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }
    return json.dumps({**body, **changes}).encode()


def using(**usage: Any) -> bytes:
    return http(reply(usage={"prompt_tokens": 10, "completion_tokens": 5, **usage}))


async def endless(writer: asyncio.StreamWriter, head: bytes, again: bytes) -> None:
    writer.write(head)
    while True:
        writer.write(again)
        await writer.drain()


async def dripping(writer: asyncio.StreamWriter, head: bytes, again: bytes) -> None:
    writer.write(head)
    while True:
        writer.write(again)
        await writer.drain()
        await asyncio.sleep(0.01)


CHUNK = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENTS = CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Type: text/event-stream\r\n\r\n")
EVENT = b'data: {"choices": [{"delta": {"content": "4"}}]}\n\n'

STREAMS: dict[str, tuple[Stream, str]] = {
    "a body without end": (lambda w: endless(w, CHUNKED, CHUNK), "malformed"),
    "a body without end or length": (
        lambda w: endless(w, b"HTTP/1.1 200 OK\r\n\r\n", b"[" * 65536),
        "malformed",
    ),
    "events without end": (
        lambda w: endless(w, EVENTS, b"%x\r\n%s\r\n" % (len(EVENT) * 999, EVENT * 999)),
        "malformed",
    ),
    "events that drip": (
        lambda w: dripping(w, EVENTS, b"%x\r\n%s\r\n" % (len(EVENT), EVENT)),
        "timeout",
    ),
    "headers without end": (
        lambda w: endless(w, b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"y" * 4000 + b"\r\n"),
        "malformed",
    ),
    "a header without end": (
        lambda w: endless(w, b"HTTP/1.1 200 OK\r\nX-More: ", b"y" * 65536),
        "malformed",
    ),
    "headers that drip": (
        lambda w: dripping(w, b"HTTP/1.1 200 OK\r\n", b"X-More: y\r\n"),
        "timeout",
    ),
    "provisional answers without end": (
        lambda w: dripping(w, b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        "timeout",
    ),
    "an error without end": (
        lambda w: endless(w, CHUNKED.replace(b"200", b"400"), CHUNK),
        "bad_request",
    ),
}
ANSWERS: dict[str, tuple[bytes, str]] = {
    "a length that is too long": (http(reply(), headers={"Content-Length": "999999"}), "cut"),
    "a length that is too short": (http(reply(), headers={"Content-Length": "20"}), "malformed"),
    "a length below zero": (http(reply(), headers={"Content-Length": "-1"}), "malformed"),
    "two lengths": (
        http(reply()).replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n", 1),
        "malformed",
    ),
    "a chunk that lies": (CHUNKED + b"zz\r\nhello\r\n", "malformed"),
    "gzip that is none": (http(reply(), headers={"Content-Encoding": "gzip"}), "cut"),
    "a redirection": (
        http(b"", 307, {"Location": "http://127.0.0.1:1/v1/chat/completions"}),
        "bad_request",
    ),
    "NaN tokens": (using(prompt_tokens=float("nan")), "malformed"),
    "infinite tokens": (using(completion_tokens=float("inf")), "malformed"),
    "tokens below zero": (using(prompt_tokens=-10), "malformed"),
    "half a token": (using(completion_tokens=5.5), "malformed"),
    "tokens as text": (using(completion_tokens="5"), "malformed"),
    "more tokens than there are": (using(prompt_tokens=10**30), "malformed"),
    "more tokens than were allowed": (using(completion_tokens=10**6), "malformed"),
    "a table for a number": (using(prompt_tokens={"a": 1}), "malformed"),
    "usage as a list": (http(reply(usage=[1, 2])), "missing_usage"),
    "depth": (http(b"[" * 100_000), "malformed"),
    "a number of a million digits": (http(b'{"model": ' + b"9" * 10**6 + b"}"), "malformed"),
    "text as a number": (http(reply(choices=[{"message": {"content": 42}}])), "ok"),
    "half a character": (http(reply(choices=[{"message": {"content": "4\ud800"}}])), "ok"),
    "five megabytes in one line": (
        http(reply(choices=[{"message": {"content": "4" * (5 << 20)}}])),
        "malformed",
    ),
}


@asynccontextmanager
async def serving(stream: Stream) -> AsyncIterator[str]:
    tasks: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await stream(writer)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def outcome_of(stream: Stream, folder: Path) -> tuple[CallOutcome, Ledger]:
    """One call to a server, with at most two attempts of half a second."""
    transport = Transport({}, max_body_bytes=LIMIT_BYTES)
    async with serving(stream) as url:
        spec = expert_at(url, timeout_s=0.5, max_attempts=1)
        with RecordingStore.open(folder / "s.sqlite") as store, Ledger.open(folder) as ledger:
            asker = Asker(
                providers={spec.name: OpenAIProvider(spec, transport, ENVIRONMENT)},
                store=store,
                ledger=ledger,
                cap=SpendingCap(None),
                run_id="r",
            )
            caller = Caller(asker, store, ledger, mode="live", run_id="r")
            try:
                outcome = await caller.call(ask(spec), call_id="e#0", episode="e")
            finally:
                await transport.aclose()
    return outcome, ledger


def check(outcome: CallOutcome, ledger: Ledger, status: str, folder: Path) -> None:
    # On a machine that is busy a server without end is out of time before it is out of bounds.
    assert outcome.status in (status, "timeout" if status == "malformed" else status)
    assert outcome.detail.isprintable()
    assert len(outcome.detail) <= 200
    totals = ledger.totals
    assert totals.attempts == outcome.attempts == 1
    assert totals.list_cost_usd == outcome.list_cost_usd == totals.billed_cost_usd
    assert totals.unsettled_usd == outcome.unsettled_usd
    # A refusal is free, a reply has its price, and of everything else nobody knows the bill.
    known = status in ("ok", "bad_request")
    assert (outcome.list_cost_usd > 0) == (status == "ok")
    assert (outcome.unsettled_usd > 0) == (not known)
    for path in folder.iterdir():
        assert KEY.encode() not in path.read_bytes()


@pytest.mark.parametrize("name", STREAMS)
async def test_what_never_ends(name: str, tmp_path: Path) -> None:
    stream, status = STREAMS[name]
    tracemalloc.start()
    try:
        outcome, ledger = await outcome_of(stream, tmp_path)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    check(outcome, ledger, status, tmp_path)
    assert most_bytes < MEMORY_BYTES


@pytest.mark.parametrize("name", ANSWERS)
async def test_what_cannot_be(name: str, tmp_path: Path) -> None:
    answer, status = ANSWERS[name]

    async def once(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    outcome, ledger = await outcome_of(once, tmp_path)
    check(outcome, ledger, status, tmp_path)
    if outcome.reply is not None:
        outcome.reply.text.encode()
