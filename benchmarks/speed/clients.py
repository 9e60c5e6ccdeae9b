"""Bare clients: what the call itself costs, without a ledger, a store, grading or a report.

    python benchmarks/speed/clients.py aiohttp http://127.0.0.1:8000 5000 64

asks as many questions with as many in flight, and prints how many were answered and the CPU
seconds of importing the client (`start_s`). Who starts it reads the CPU time and the memory of
the whole process.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from questions import question

Ask = Callable[[int], Awaitable[bool]]


def _body(number: int) -> dict[str, object]:
    return {
        "model": "m",
        "messages": [{"role": "user", "content": question(number)}],
        "max_tokens": 1000,
    }


@asynccontextmanager
async def with_aiohttp(url: str, in_flight: int) -> AsyncIterator[Ask]:
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(number: int) -> bool:
            async with session.post(f"{url}/v1/chat/completions", json=_body(number)) as reply:
                return reply.status == 200 and bool((await reply.json())["choices"])

        yield ask


@asynccontextmanager
async def with_httpx2(url: str, in_flight: int) -> AsyncIterator[Ask]:
    import httpx2

    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx2.AsyncClient(limits=limits, timeout=600) as client:

        async def ask(number: int) -> bool:
            reply = await client.post(f"{url}/v1/chat/completions", json=_body(number))
            return reply.status_code == 200 and bool(reply.json()["choices"])

        yield ask


@asynccontextmanager
async def with_openai(url: str, in_flight: int) -> AsyncIterator[Ask]:
    import openai

    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k") as client:

        async def ask(number: int) -> bool:
            try:
                reply = await client.chat.completions.create(
                    model="m",
                    messages=[{"role": "user", "content": question(number)}],
                    max_tokens=1000,
                )
            except openai.APIError:
                return False
            return bool(reply.choices)

        yield ask


@asynccontextmanager
async def with_asyncio(url: str, in_flight: int) -> AsyncIterator[Ask]:
    """The least that there is: a stream of bytes for each of those in flight."""
    host, port = url.removeprefix("http://").split(":")
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(number: int) -> bool:
        body = json.dumps(_body(number)).encode()
        reader, writer = idle.pop() if idle else await asyncio.open_connection(host, port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}"
        writer.write(head.encode() + b"\r\n\r\n" + body)
        reply = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(reply.partition("Content-Length: ")[2].partition("\r\n")[0])
        answer = json.loads(await reader.readexactly(length))
        idle.append((reader, writer))
        return " 200 " in reply[:20] and bool(answer["choices"])

    yield ask
    for _, writer in idle:
        writer.close()


CLIENTS = {
    "asyncio": with_asyncio,
    "aiohttp": with_aiohttp,
    "httpx2": with_httpx2,
    "openai": with_openai,
}


async def _ask_all(name: str, url: str, calls: int, in_flight: int) -> dict[str, float]:
    started_s = time.process_time()
    async with CLIENTS[name](url, in_flight) as ask:
        start_s = time.process_time() - started_s
        numbers = iter(range(calls))

        async def work() -> int:
            return sum([await ask(number) for number in numbers])

        answered = sum(await asyncio.gather(*(work() for _ in range(in_flight))))
    return {"answered": answered, "start_s": round(start_s, 3)}


if __name__ == "__main__":
    name, url, calls, in_flight = sys.argv[1:]
    print(json.dumps(asyncio.run(_ask_all(name, url, int(calls), int(in_flight)))))
