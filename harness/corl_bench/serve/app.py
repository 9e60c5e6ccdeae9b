"""The HTTP side: chat completions, models, health and metrics, as OpenAI's clients expect them.

Invariant: whatever is sent, the answer is JSON in OpenAI's form (or a stream of such), and
nothing of it says more than its sender may know. A request is let in before it is read: first
its key, then its size, then what it says.

    app = build_app(service, ring)      # ring None: no key is asked for, on loopback alone
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from corl_bench.experts.transport import is_loopback
from corl_bench.serve.accounts import Account
from corl_bench.serve.chat import read_chat
from corl_bench.serve.exchange import Exchange, status_of
from corl_bench.serve.keys import LOCAL, KeyRing
from corl_bench.serve.metrics import CONTENT_TYPE
from corl_bench.serve.refusals import Refusal
from corl_bench.serve.replies import DONE, KEEP_ALIVE, Completion, event
from corl_bench.serve.service import Service

KEEP_ALIVE_S = 5.0
"""Between two signs of life in a stream."""

READ_S = 30.0
"""How long a client may take to send its request, and to read its answer."""

UNKNOWN_MODEL = "?"
"""In metrics, for whatever a client made up."""

_HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 413: "request_too_large"}


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
            # A page of another site may have its name point here, but not change what it is.
            if not is_loopback(_host(request)):
                raise Refusal(403, "without keys only loopback is answered", code="forbidden_host")
            return accounts[LOCAL]
        key = self._ring.find(request.headers.get("Authorization", ""))
        if key is None:
            raise Refusal(
                401,
                "no known key: send one as `Authorization: Bearer KEY`",
                code="invalid_api_key",
            )
        return accounts[key.name]

    async def _body(self, request: web.Request, account: Account) -> bytes:
        """The body, if it is JSON by its header and not too large.

        Raises:
            Refusal: 408, 413 or 415.
        """
        if request.content_type != "application/json":
            raise Refusal(
                415, "send JSON with Content-Type: application/json", code="unsupported_media_type"
            )
        own, most = account.key.max_body_bytes, self._service.limits.max_body_bytes
        most = most if own is None else min(own, most)
        too_large = Refusal(
            413, f"the request is larger than {most} bytes", code="request_too_large"
        )
        if request.content_length is not None and request.content_length > most:
            raise too_large
        try:
            async with asyncio.timeout(READ_S):
                body = await request.read()
        except TimeoutError:
            raise Refusal(
                408, f"the request did not arrive within {READ_S:g} s", code="request_timeout"
            ) from None
        except web.HTTPRequestEntityTooLarge:
            raise too_large from None
        except web.RequestPayloadError:
            raise Refusal(400, "the body cannot be decoded", code="invalid_body") from None
        if len(body) > most:
            raise too_large
        return body


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


def _errors_as_json(service: Service) -> Middleware:
    """Every error in OpenAI's form; a defect of the server says where it is, to its log alone."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refusal as refusal:
            return _answer(refusal)
        except web.HTTPException as error:
            code = _HTTP_CODES.get(error.status, "bad_request")
            return _answer(Refusal(error.status, error.reason, code=code))
        except ConnectionError:
            raise
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            service.say(f"defect: {type(error).__name__} at {place.filename}:{place.lineno}")
            return _answer(Refusal(500, "an error of the server", code="internal_error"))

    return middleware


def _host(request: web.Request) -> str:
    """The host that is asked, by the request's own word; empty where that is none."""
    try:
        return urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
    except ValueError:
        return ""


def _stopwatch() -> Callable[[], float]:
    begun_s = time.monotonic()
    return lambda: time.monotonic() - begun_s


def _answer(refusal: Refusal) -> web.Response:
    return web.json_response(refusal.body(), status=refusal.status, headers=refusal.headers)


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
        client_max_size=service.limits.max_body_bytes, middlewares=[_errors_as_json(service)]
    )
    app.router.add_get("/health", handlers.health)
    app.router.add_get("/metrics", handlers.metrics)
    app.router.add_get("/v1/models", handlers.models)
    app.router.add_get("/v1/models/{name}", handlers.model)
    app.router.add_post("/v1/chat/completions", handlers.complete)
    return app
