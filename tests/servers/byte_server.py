"""A server that answers with exactly the bytes that a test gives it, HTTP or not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType


def http(
    body: bytes | str = b"{}", status: int = 200, headers: Mapping[str, str] | None = None
) -> bytes:
    """A well-formed answer with its length; `headers` replace the ones made here."""
    content = body.encode() if isinstance(body, str) else body
    lines = {
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Something\r\n{head}\r\n".encode() + content


class ByteServer:
    """Answers the n-th request with the n-th of `answers`; `async with` starts and stops it.

    None hangs up without a byte; an answer that is shorter than it says is followed by hanging
    up. The connection stays open otherwise.
    """

    def __init__(self, answers: Sequence[bytes | None]) -> None:
        self._answers = answers
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.requests: list[tuple[str, dict[str, str]]] = []
        """Request line and headers (names in lower case) of every request."""
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> ByteServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in head[1:] if line)
                }
                await reader.readexactly(int(headers.get("content-length", "0")))
                answer = self._answers[len(self.requests)]
                self.requests.append((head[0], headers))
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if not _is_whole(answer):
                    break
        writer.close()


def _is_whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    return False
