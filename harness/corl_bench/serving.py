"""An application behind an address: where it listens, how it ends, and how it says no.

Unless another host is named, nobody but this machine is served. A request that has begun when a
signal comes is answered before the server ends; until then the server listens, so that whoever
comes is told rather than turned away unheard. What cannot be answered is refused in the form that
OpenAI's clients read.

    app = new_app()
    app.router.add_get("/v1/models", models)
    serve_app(app, on_ready=lambda base_url: print(f"ready at {base_url}", flush=True))
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

from corl_bench.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import ValidationError

LOOPBACK = "127.0.0.1"
MAX_BODY_BYTES = 1 << 20
_CLOSING_S = 10.0
"""How long answers that are being sent are waited for when the server closes."""


def new_app() -> web.Application:
    """An application whose own refusals (no such path, too large a body) have OpenAI's form."""
    return web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_refusals_as_json])


def serve_app(
    app: web.Application,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    on_ready: Callable[[str], None] = lambda base_url: None,
) -> None:
    """Serves until SIGINT or SIGTERM; for the main thread, which signals reach.

    Args:
        app: cleaned up in the end.
        host: address to listen on.
        port: 0 takes a free one.
        on_ready: called with the base URL when the server answers.

    Raises:
        ConfigError: nobody can listen there.
    """
    asyncio.run(serve_until_asked(app, host=host, port=port, on_ready=on_ready))


async def serve_until_asked(
    app: web.Application,
    *,
    host: str,
    port: int,
    on_ready: Callable[[str], None],
    ended: asyncio.Future[Exception] | None = None,
    stop: Callable[[asyncio.Event], Awaitable[None]] | None = None,
    cancels_the_departed: bool = False,
) -> None:
    """As `serve_app`, with work of its own that has to end; it listens until that has ended.

    Args:
        app: cleaned up in the end.
        host: address to listen on.
        port: 0 takes a free one.
        on_ready: called with the base URL when the server answers.
        ended: done when there is no sense in going on; why not is raised in the end.
        stop: ends the work under way; the event is set when the user asks once more. Whoever
            asks a fourth time is not kept waiting.
        cancels_the_departed: whether a handler is cancelled when its client leaves.

    Raises:
        ConfigError: nobody can listen there.
        Exception: what `ended` holds.
    """
    loop = asyncio.get_running_loop()
    asked, hurry, times = asyncio.Event(), asyncio.Event(), 0

    def ask() -> None:
        nonlocal times
        times += 1
        if times > 3:
            os._exit(130)
        (hurry if times > 1 else asked).set()

    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, ask)
    waiting = asyncio.create_task(asked.wait())
    ends: list[asyncio.Future[Any]] = [waiting] if ended is None else [waiting, ended]
    try:
        async with listening(
            app, host=host, port=port, cancels_the_departed=cancels_the_departed
        ) as base_url:
            on_ready(base_url)
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if stop is not None:
                await stop(hurry)
    finally:
        waiting.cancel()
        for number in signals:
            loop.remove_signal_handler(number)
    if ended is not None and ended.done():
        raise ended.result()


@asynccontextmanager
async def listening(
    app: web.Application,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    cancels_the_departed: bool = False,
) -> AsyncIterator[str]:
    """Serves for as long as it is open.

    Args:
        app: cleaned up in the end.
        host: address to listen on.
        port: 0 takes a free one.
        cancels_the_departed: whether a handler is cancelled when its client leaves.

    Yields:
        The base URL, as OpenAI's clients take it.

    Raises:
        ConfigError: nobody can listen there.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=cancels_the_departed,
        shutdown_timeout=_CLOSING_S,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise _no_place(host, port, error) from error
        name = f"[{host}]" if ":" in host else host
        yield f"http://{name}:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def require_place(host: str, port: int) -> None:
    """Tries an address without listening there, before anything is done for a server's sake.

    Raises:
        ConfigError: nobody can listen there.
    """
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind, protocol) as tried:
                # As servers do it, so that connections of the one before are in nobody's way.
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                tried.bind(address)
    except OSError as error:
        raise _no_place(host, port, error) from error


def _no_place(host: str, port: int, error: OSError) -> ConfigError:
    # The text that asyncio gives a number repeats the address; an unknown name has none.
    number = error.errno or 0
    reason = os.strerror(number) if number > 0 else error.strerror or str(error)
    return ConfigError(f"cannot serve at {host}:{port}: {reason}; name another --host or --port")


def refusal(
    status: int, message: str, *, param: str | None = None, code: str | None = None
) -> web.Response:
    """An error as OpenAI's API words it."""
    return web.json_response(error_body(message, param=param, code=code), status=status)


def error_body(
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
) -> dict[str, Any]:
    """The body of such an error.

    Args:
        message: for the client's user.
        kind: what OpenAI calls the type of the error.
        param: the field of the request that is at fault.
        code: for the client's program.
    """
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def refusal_of(invalid: ValidationError) -> web.Response:
    """What is wrong with the body of a request: the first mistake, with its place."""
    first = invalid.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return refusal(400, f"{place or 'body'}: {first['msg']}", param=place or None)


@web.middleware
async def _refusals_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return refusal(error.status, error.reason)
