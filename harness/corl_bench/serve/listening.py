"""Listening until a signal, and ending in good order.

await listen(app, host="127.0.0.1", port=0, on_ready=print, ended=failed, stop=service.stop)
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from corl_bench.serving import open_door


async def listen(
    app: web.Application,
    *,
    host: str,
    port: int,
    on_ready: Callable[[str], None],
    ended: asyncio.Future[Any],
    stop: Callable[[asyncio.Event], Awaitable[None]],
) -> None:
    """Serves until SIGINT, SIGTERM or `ended`, then takes no connection and stops.

    Args:
        app: what is served; its handlers are cancelled where their client leaves.
        host: address to listen on.
        port: 0 takes a free one.
        on_ready: called with the base URL when the server answers.
        ended: done when there is no sense in going on.
        stop: ends the work under way; the event is set when the user asks once more. Whoever
            asks a fourth time is not kept waiting.

    Raises:
        ConfigError: nobody can listen there.
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
    try:
        async with open_door(app, host=host, port=port, cancels_the_departed=True) as door:
            on_ready(door.base_url)
            waiting = asyncio.create_task(asked.wait())
            await asyncio.wait([waiting, ended], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            await door.close()
            await stop(hurry)
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
