"""Servers that are killed while they are asked."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
from bookkeeping import sum_of

from corl_bench.files import read_lines
from crash.bench import PER_FOLDER, Bench
from crash.history import History


def kill_servers(bench: Bench, kills: int) -> None:
    """`corl-bench serve` while it is asked."""
    number = 0
    bench.log.news()
    while bench.kills["serve"] < kills:
        out = bench.folder / f"serve-{number}"
        history = History(bench, out, draws_are_one=False)
        replies: list[dict[str, Any]] = []
        command = [
            *("corl-bench", "serve", "--system", "cascade:nano>mini", "--pool", str(bench.pool)),
            *("--out", str(out), "--quiet"),
        ]
        for _ in range(min(PER_FOLDER, kills - bench.kills["serve"])):
            at = bench.random.randint(1, 90)
            with serving(bench, command, under=out, at=at) as (server, url):
                if url:
                    replies += asyncio.run(ask_until_gone(url, enough=200))
                code = os.waitstatus_to_exitcode(os.waitpid(server, 0)[1])
            bench.expect(code == -signal.SIGKILL, f"{out}: exit {code} behind a kill")
            bench.kills["serve"] += 1
            history.look()
        with serving(bench, command, under=out, at=0) as (server, url):
            replies += asyncio.run(ask_until_gone(url, enough=5))
            os.kill(server, signal.SIGTERM)
            code = os.waitstatus_to_exitcode(os.waitpid(server, 0)[1])
        bench.expect(code == 0, f"{out}: exit {code} of a server that was asked to end")
        ledger = history.close()
        # What a client was told stands: an answer is booked before it is given.
        booked: dict[str, list[Mapping[str, Any]]] = {}
        for line in ledger:
            booked.setdefault(line["call"].partition("#")[0].partition("/")[2], []).append(line)
        for reply in replies:
            costs = reply["corl"]
            usd = sum_of(booked.get(costs["request"], ()), "list_cost_usd")
            bench.expect(usd == Decimal(costs["cost_usd"]), f"{out}: {costs} is not booked")
        bench.cut_short["answers that clients had"] += len(replies)
        list(read_lines(out / "requests.jsonl"))
        shutil.rmtree(out)
        number += 1


@contextmanager
def serving(
    bench: Bench, command: Sequence[str], *, under: Path, at: int
) -> Iterator[tuple[int, str]]:
    """A server's number and address, which is empty where it was killed before it had one."""
    reading, writing = os.pipe()
    server = bench.fork(command, writing, under=under, at=at)
    os.close(writing)
    with os.fdopen(reading) as said:
        yield server, (said.readline().split() or [""])[-1]
        if more := said.read().strip():
            bench.faults.append(f"a server said {more[-400:]}")


async def ask_until_gone(url: str, *, enough: int) -> list[dict[str, Any]]:
    """Answers of a server, four at a time, until it is gone or there are enough."""
    replies: list[dict[str, Any]] = []

    async def ask(session: aiohttp.ClientSession) -> None:
        while len(replies) < enough:
            body = {
                "model": "corl",
                "messages": [{"role": "user", "content": f"What is {len(replies)} + 1?"}],
            }
            async with session.post(f"{url}/chat/completions", json=body) as answer:
                replies.append(await answer.json())

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(ask(session) for _ in range(4)), return_exceptions=True)
    return replies
