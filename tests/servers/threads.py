"""Servers in a thread of their own, for code that makes its own event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

Server = TypeVar("Server")


@contextmanager
def in_thread(new_server: Callable[[], AbstractAsyncContextManager[Server]]) -> Iterator[Server]:
    """Runs a server for as long as it is open.

    Args:
        new_server: makes it; called in the thread.

    Yields:
        What its own context yields.
    """
    ready = threading.Event()
    servers: list[Server] = []
    over: list[Callable[[], object]] = []

    async def serve() -> None:
        ending = asyncio.Event()
        loop = asyncio.get_running_loop()
        async with new_server() as server:
            servers.append(server)
            over.append(lambda: loop.call_soon_threadsafe(ending.set))
            ready.set()
            await ending.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield servers[0]
    finally:
        for end in over:
            end()
        thread.join(10)
