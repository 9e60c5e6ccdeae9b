"""The HTTP side: chat completions, models, health and metrics, as OpenAI's clients expect them.

Invariant: whatever is sent, the answer is JSON in OpenAI's form (or a stream of such), and
nothing of it says more than its sender may know. A request is let in before it is read: first
its key, then its size, then what it says.

    app = build_app(service, ring)      # ring None: no key is asked for, on loopback alone
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiohttp import web

from corl_bench.serve.accounts import Account
from corl_bench.serve.chat import read_chat
from corl_bench.serve.exchange import Exchange, status_of
from corl_bench.serve.keys import LOCAL, KeyRing
from corl_bench.serve.metrics import CONTENT_TYPE
from corl_bench.serve.refusals import Refusal
from corl_bench.serve.replies import DONE, KEEP_ALIVE, Completion, event
from corl_bench.serve.request_checks import (
    READ_S,
    errors_as_json,
    no_known_key,
    read_body,
    require_loopback,
)
from corl_bench.serve.service import Service

KEEP_ALIVE_S = 5.0
"""Between two signs of life in a stream."""

UNKNOWN_MODEL = "?"
"""In metrics, for whatever a client made up."""


class _Handlers:
    def __init__(self, service: Service, ring: KeyRing | None) -> None:
        self._service = service
        self._ring = ring

    async def health(self, request: web.Request) -> web.Response:
        """Open to all, so it says no more than whether requests are let in."""
        if self._service.stopping:
            return web.json_response({"status": "stopping"}, status=503)
        return web.json_response({"status": "ok"})

    async def metrics(self, request: web.Request) -> web.Response:
        key = self._account(request).key
        page = self._service.metrics.text(None if key.all_metrics else key.name)
        return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE})

    async def models(self, request: web.Request) -> web.Response:
        self._account(request)
        listed = [_model(name) for name in self._service.models]
        return web.json_response({"object": "list", "data": listed})

    async def model(self, request: web.Request) -> web.Response:
        self._account(request)
        name = request.match_info["name"]
        if name not in self._service.models:
            raise Refusal(404, f"there is no model {name[:80]!r}", code="model_not_found")
        return web.json_response(_model(name))

    async def complete(self, request: web.Request) -> web.StreamResponse:
        service, seconds = self._service, _stopwatch()
        name, model = "", UNKNOWN_MODEL
        try:
            account = self._account(request)
            name = account.key.name
            chat = read_chat(await self._body(request, account))
            model = chat.model if chat.model in service.models else UNKNOWN_MODEL
            exchange = service.admit(account, chat)
        except Refusal as refusal:
            service.metrics.request(name, model, refusal.status, seconds=seconds())
            raise
        exchange.outcome.add_done_callback(
            lambda done: service.metrics.request(
                name, model, status_of(done.result()), seconds=seconds()
            )
        )
        try:
            if chat.stream:
                return await _stream(request, exchange)
            await asyncio.wait([exchange.outcome])
        except (asyncio.CancelledError, ConnectionError):
            # The client has left. What was sent for it is paid for; nothing more will be.
            exchange.give_up(Refusal(499, "the client has left", code="client_left"))
            raise
        outcome = exchange.outcome.result()
        if isinstance(outcome, Refusal):
            raise outcome
        return web.json_response(outcome.whole(), headers={"x-request-id": exchange.id})

    def _account(self, request: web.Request) -> Account:
        """Who asks.

        Raises:
            Refusal: 401; or 403 where a web page in some browser tries to ask on its own.
        """
        accounts = self._service.bench.books.accounts
        if self._ring is None:
            require_loopback(request)
            return accounts[LOCAL]
        key = self._ring.find(request.headers.get("Authorization", ""))
        if key is None:
            raise no_known_key()
        return accounts[key.name]

    async def _body(self, request: web.Request, account: Account) -> bytes:
        """The body, if it is JSON by its header and not too large.

        Raises:
            Refusal: 400, 408, 413 or 415.
        """
        own, most = account.key.max_body_bytes, self._service.limits.max_body_bytes
        return await read_body(request, most_bytes=most if own is None else min(own, most))


async def _stream(request: web.Request, exchange: Exchange) -> web.StreamResponse:
    """Signs of life while the system works, then its answer in chunks, then the ledger."""
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-cache",
            "X-Accel-Buffering": "no",
            "x-request-id": exchange.id,
        }
    )
    await response.prepare(request)
    while not exchange.outcome.done():
        await _write(response, KEEP_ALIVE)
        await asyncio.wait([exchange.outcome], timeout=KEEP_ALIVE_S)
    outcome = exchange.outcome.result()
    if isinstance(outcome, Completion):
        whole = b"".join(outcome.chunks(include_usage=exchange.chat.include_usage))
    else:
        whole = event(outcome.body()) + DONE
    await _write(response, whole)
    await response.write_eof()
    return response


async def _write(response: web.StreamResponse, data: bytes) -> None:
    """Sends; a client that does not read is a client that has left.

    Raises:
        ConnectionError: it has left.
    """
    try:
        async with asyncio.timeout(READ_S):
            await response.write(data)
    except TimeoutError:
        raise ConnectionAbortedError("the client does not read") from None


def _stopwatch() -> Callable[[], float]:
    begun_s = time.monotonic()
    return lambda: time.monotonic() - begun_s


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "corl-bench"}


def build_app(service: Service, ring: KeyRing | None) -> web.Application:
    """The server as an application.

    Args:
        service: works on requests.
        ring: known keys; None where none is asked for.
    """
    handlers = _Handlers(service, ring)
    app = web.Application(
        client_max_size=service.limits.max_body_bytes, middlewares=[errors_as_json(service.say)]
    )
    app.router.add_get("/health", handlers.health)
    app.router.add_get("/metrics", handlers.metrics)
    app.router.add_get("/v1/models", handlers.models)
    app.router.add_get("/v1/models/{name}", handlers.model)
    app.router.add_post("/v1/chat/completions", handlers.complete)
    return app
