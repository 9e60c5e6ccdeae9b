"""An application behind an address: where it listens, how it ends, and how it says no.

Unless another host is named, nobody but this machine is served. A request that has begun when a
signal comes is answered before the server ends. What cannot be answered is refused in the form
that OpenAI's clients read.

    app = new_app()
    app.router.add_get("/v1/models", models)
    serve_app(app, on_ready=lambda base_url: print(f"ready at {base_url}", flush=True))
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from corl_bench.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import ValidationError

LOOPBACK = "127.0.0.1"
MAX_BODY_BYTES = 1 << 20
_GRACE_S = 10.0
"""How long requests that have begun are waited for."""


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
    asyncio.run(_serve(app, host, port, on_ready))


async def _serve(
    app: web.Application, host: str, port: int, on_ready: Callable[[str], None]
) -> None:
    async with listening(app, host=host, port=port) as base_url:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        on_ready(base_url)
        await stop.wait()


@asynccontextmanager
async def listening(
    app: web.Application, *, host: str = LOOPBACK, port: int = 0
) -> AsyncIterator[str]:
    """Serves for as long as it is open; arguments, errors and base URL as of `open_door`."""
    async with open_door(app, host=host, port=port) as door:
        yield door.base_url


@dataclass(frozen=True, slots=True)
class Door:
    """Where an application can be reached."""

    base_url: str
    """As OpenAI's clients take it."""
    close: Callable[[], Awaitable[None]]
    """Takes no further connection; requests that have begun go on."""


@asynccontextmanager
async def open_door(
    app: web.Application,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    cancels_the_departed: bool = False,
) -> AsyncIterator[Door]:
    """Serves for as long as it is open.

    Args:
        app: cleaned up in the end.
        host: address to listen on.
        port: 0 takes a free one.
        cancels_the_departed: whether a handler is cancelled when its client leaves.

    Raises:
        ConfigError: nobody can listen there.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=cancels_the_departed,
        shutdown_timeout=_GRACE_S,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            # The text that asyncio gives a number repeats the address; an unknown name has none.
            number = error.errno or 0
            reason = os.strerror(number) if number > 0 else error.strerror or str(error)
            raise ConfigError(
                f"cannot serve at {host}:{port}: {reason}; name another --host or --port"
            ) from error
        name = f"[{host}]" if ":" in host else host
        yield Door(f"http://{name}:{runner.addresses[0][1]}/v1", site.stop)
    finally:
        await runner.cleanup()


def refusal(
    status: int, message: str, *, param: str | None = None, code: str | None = None
) -> web.Response:
    """An error as OpenAI's API words it."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return web.json_response({"error": error}, status=status)


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
