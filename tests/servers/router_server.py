"""A server that routes by itself, in a thread of its own, with books of its own.

It sends prompts with the word `prove` (or `Prove`) to its strong model and all others to its weak
one, at prices that a test can hold a ledger against. What it tells of that is up to the test::

    with RouterServer(tells=echo) as server:
        server.url            # http://127.0.0.1:…/v1
        server.requests       # a dict a request: model, headers, body
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from aiohttp import web

WEAK, STRONG = "weak-1", "strong-9"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}

Telling = Callable[[str, dict[str, Any]], Mapping[str, Any]]
"""From the model that answered and the request: more of the body, `headers` among it."""


def echo(model: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """As RouteLLM: the model that answered, with its tokens."""
    return {"model": model, "usage": USAGE}


def by_difficulty(prompt: str) -> str:
    return STRONG if "prove" in prompt.casefold() else WEAK


def at_random(prompt: str) -> str:
    """What a server does whose router has not loaded."""
    return _RANDOM.choice([WEAK, STRONG])


_RANDOM = random.Random(7)


class RouterServer:
    """`with` starts and stops it."""

    def __init__(
        self,
        tells: Telling = echo,
        *,
        routes: Callable[[str], str] = by_difficulty,
        answers: str = r"\boxed{42}",
        faults: list[int] | None = None,
        health: str = '{"router": "mf", "loaded": true}',
    ) -> None:
        self.tells, self.routes, self.answers, self.health = tells, routes, answers, health
        self.faults = list(faults or [])
        """Statuses of the first requests; 200 is an answer."""
        self.requests: list[dict[str, Any]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None
        self.url = ""

    def __enter__(self) -> RouterServer:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/health", self._health)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"

    async def _health(self, request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers
        return web.Response(text=self.health)

    async def _complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        prompt = body["messages"][-1]["content"]
        model = self.routes(prompt)
        seen = {"model": model, "prompt": prompt, "body": body, "headers": dict(request.headers)}
        self.requests.append(seen)
        status = self.faults.pop(0) if self.faults else 200
        if status != 200:
            key = request.headers.get("Authorization", "")
            return web.json_response({"error": {"message": f"no, {key}"}}, status=status)
        told = dict(self.tells(model, body))
        headers = told.pop("headers", {})
        choice = {"message": {"content": self.answers}, "finish_reason": "stop"}
        return web.json_response({"choices": [choice], **told}, headers=headers)
