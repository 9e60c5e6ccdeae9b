"""A server of chat completions that costs next to nothing and watches when it is asked.

It answers every question of `questions.py` after a fixed time, and may refuse a share of the
requests with 429 and a Retry-After. What it has seen is told at `/stats`: how many requests came,
how many were refused, how many of those came back before their time, how many questions have
their answer. It is a process of its own, so that its work is not counted with a client's, and
ends with its standard input.

    python benchmarks/speed/loopback.py --latency 0.02 --refuse 0.1 --retry-after 0.2
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from questions import NUMBER, reply_to

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass
class Books:
    """What has been seen, and what is answered to it."""

    latency_s: float
    refused_share: float
    retry_after_s: float
    requests: int = 0
    refused: int = 0
    too_early: int = 0
    """Repeats of a refused request that came before their time."""
    in_flight: int = 0
    most_in_flight: int = 0
    _asked: Counter[int] = field(default_factory=Counter)
    _answered: set[int] = field(default_factory=set)
    _not_before_s: dict[int, float] = field(default_factory=dict)

    def answer(self, body: bytes) -> tuple[bytes, float]:
        """The whole answer to a request, and after how many seconds it is sent."""
        found = NUMBER.search(body)
        number = int(found[1]) if found else -1
        self.requests += 1
        self.too_early += time.monotonic() < self._not_before_s.pop(number, 0.0)
        repeat, self._asked[number] = self._asked[number], self._asked[number] + 1
        draw = hashlib.sha256(f"{number}/{repeat}".encode()).digest()
        if int.from_bytes(draw[:4], "big") < self.refused_share * 2**32:
            self.refused += 1
            self._not_before_s[number] = time.monotonic() + self.retry_after_s
            refusal = {"error": {"message": "slow down", "type": "rate_limit_error"}}
            extra = f"Retry-After: {self.retry_after_s:g}\r\n"
            return _response("429 Too Many Requests", refusal, extra), 0.0
        self._answered.add(number)
        return _response("200 OK", _completion(number)), self.latency_s

    def stats(self) -> dict[str, int]:
        return {
            "requests": self.requests,
            "refused": self.refused,
            "too_early": self.too_early,
            "answered": len(self._answered),
            "most_in_flight": self.most_in_flight,
        }


class Exchange(asyncio.Protocol):
    """One connection, kept alive."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._received, 0, end)
            total = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < total:
                return
            head, body = self._received[:end], self._received[end + 4 : total]
            self._received = self._received[total:]
            if head.startswith(b"GET /stats"):
                self._transport.write(_response("200 OK", self._books.stats()))
                continue
            self._books.in_flight += 1
            self._books.most_in_flight = max(self._books.most_in_flight, self._books.in_flight)
            answer, delay_s = self._books.answer(body)
            asyncio.get_running_loop().call_later(delay_s, self._send, answer)

    def _send(self, answer: bytes) -> None:
        self._books.in_flight -= 1
        if not self._transport.is_closing():
            self._transport.write(answer)


def _response(status: str, content: object, extra: str = "") -> bytes:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{extra}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _completion(number: int) -> dict[str, object]:
    text = reply_to(number)
    return {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 150,
            "completion_tokens": len(text) // 4,
            "total_tokens": 150 + len(text) // 4,
        },
    }


async def _serve(books: Books) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Exchange(books), "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--latency", type=float, default=0.02)
    parser.add_argument("--refuse", type=float, default=0.0)
    parser.add_argument("--retry-after", type=float, default=0.2)
    wanted = parser.parse_args()
    asyncio.run(_serve(Books(wanted.latency, wanted.refuse, wanted.retry_after)))
