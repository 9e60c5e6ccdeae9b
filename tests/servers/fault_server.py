"""A server that speaks OpenAI's and Anthropic's protocols and misbehaves on demand.

It keeps its own books: every request is counted, logged and billed by the server's own
arithmetic, so that a test can hold a client's ledger against them.

In a test::

    async with FaultServer(schedule=["429", "ok"], answer=lambda question: "42") as server:
        ...                               # server.base_url, server.anthropic_url
        server.requests                   # one dict a request: status, fault, bill_usd, …

As a process, which prints its address as the first line and lives until its standard input
ends (so that no test leaves one behind)::

    python tests/servers/fault_server.py --port 0 --log FILE --mix "429=0.1,cut=0.05,seed=7"

A schedule is a list of faults (by arrival, `ok` when it is used up) or a function of the
`Arrival`. `mix` makes such a function: the fault depends on the conversation and on how often
it has been asked before, never on the order of arrival, so that a concurrent run meets the
same faults every time. A fault is a name and an optional argument: `429:0.2` (Retry-After),
`429:date2` (the same as a date, two seconds from now), `slow:30` (seconds); any status from 400
on is a fault too, and bills nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hashlib
import json
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from email.utils import formatdate
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from aiohttp import web

MTOK = Decimal(1_000_000)

FAULTS: dict[str, tuple[int, bool]] = {
    # name: (status of the answer, whether the server bills it)
    "ok": (200, True),
    "quota": (429, False),
    "too_long": (400, False),  # the prompt exceeds the model's context
    "redirect": (307, False),
    "refuse": (0, False),  # hangs up without a byte and without a bill
    "slow": (200, True),
    "cut": (200, True),
    "reset": (200, True),  # half the answer, then RST
    "malformed": (200, True),
    "no_usage": (200, True),
    "bad_usage": (200, True),
    "huge_usage": (200, True),  # counts a billion tokens of output
    "wrong_model": (200, True),
    "huge": (200, True),
    "bad_utf8": (200, True),
    "gzip_bomb": (200, True),
    "error_in_body": (200, True),
}


@dataclass(frozen=True)
class Arrival:
    """One request as the schedule sees it."""

    number: int
    """Counted from 0 over the server's life."""
    digest: str
    """Of the model, the messages and the seed."""
    repeat: int
    """How often the same digest has arrived before."""
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """What the answering function is asked."""

    model: str
    messages: Sequence[Mapping[str, str]]
    seed: int | None


@dataclass(frozen=True)
class Answer:
    """What the model would say; a plain string will do for `text` alone."""

    text: str
    reasoning_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True)
class Rate:
    """Dollars per million tokens."""

    input_usd: Decimal = Decimal("2")
    cached_usd: Decimal = Decimal("0.5")
    output_usd: Decimal = Decimal("8")


Schedule = Sequence[str] | Callable[[Arrival], str]
Answerer = Callable[[Question], str | Answer]


def read_fault(text: str) -> tuple[str, str, int, bool]:
    """(name, argument, status, billed) of a fault as it is written."""
    name, _, argument = text.partition(":")
    if name.isdecimal() and 400 <= int(name) < 600:
        return name, argument, int(name), False
    if name not in FAULTS:
        raise ValueError(f"unknown fault {name!r}; known are {', '.join(FAULTS)} and any status")
    return name, argument, *FAULTS[name]


def mix(spec: str) -> Callable[[Arrival], str]:
    """A schedule from `429=0.1,cut=0.05,slow:2=0.01,seed=7`: shares of requests by fault."""
    seed = "0"
    shares: list[tuple[str, float]] = []
    for entry in filter(None, spec.split(",")):
        name, _, value = entry.strip().partition("=")
        if name == "seed":
            seed = value
        else:
            read_fault(name)
            shares.append((name, float(value)))

    def fault(arrival: Arrival) -> str:
        text = f"{seed}\n{arrival.digest}\n{arrival.repeat}"
        draw = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
        for name, share in shares:
            draw -= share
            if draw < 0:
                return name
        return "ok"

    return fault


def echo(question: Question) -> str:
    """The default answer: a boxed number made from the question, the same every time."""
    text = "\n".join(message["content"] for message in question.messages)
    digest = hashlib.sha256(f"{question.model}\n{text}\n{question.seed}".encode()).digest()
    return f"Some work later, the answer is \\boxed{{{digest[0]}}}."


class FaultServer:
    """The server, in this process; `async with` starts and stops it."""

    def __init__(
        self,
        schedule: Schedule = (),
        answer: Answerer = echo,
        *,
        rates: Mapping[str, Rate] | None = None,
        key: str | None = None,
        models: Sequence[str] = ("gpt-4.1", "claude-sonnet-4-5"),
        latency_s: float = 0.0,
        port: int = 0,
        log: TextIO | None = None,
        keeps_requests: bool = True,
    ) -> None:
        self._schedule = schedule
        self._answer = answer
        self._rates = rates or {}
        self._key = key
        self._models = models
        self._latency_s = latency_s
        self._port = port
        self._log = log
        self._keeps_requests = keeps_requests
        self._arrived = 0
        self._seen: Counter[str] = Counter()
        self._runner: web.AppRunner | None = None
        self._stopping = asyncio.Event()
        self.requests: list[dict[str, Any]] = []
        """Every POST in order of arrival: number, path, model, digest, repeat, fault, argument,
        status, bill_usd (a string), input_tokens, output_tokens, at_s (of this process's
        monotonic clock); and `headers` and `body`, which the log file leaves out. Empty where
        requests are not kept: the log has them all."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        """For OpenAI's clients."""
        return f"{self.url}/v1"

    @property
    def anthropic_url(self) -> str:
        """For Anthropic's, which add /v1 themselves."""
        return self.url

    @property
    def bill_usd(self) -> Decimal:
        return sum((Decimal(r["bill_usd"]) for r in self.requests), Decimal(0))

    async def __aenter__(self) -> FaultServer:
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_post("/v1/chat/completions", self._serve)
        app.router.add_post("/v1/messages", self._serve)
        app.router.add_get("/v1/models", self._list_models)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        self._stopping.set()
        await self._runner.cleanup()

    async def _list_models(self, request: web.Request) -> web.Response:
        if not self._authorised(request):
            return web.json_response({"error": {"message": "bad key"}}, status=401)
        return web.json_response({"object": "list", "data": [{"id": m} for m in self._models]})

    def _authorised(self, request: web.Request) -> bool:
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return self._key is None or self._key in (bearer, request.headers.get("x-api-key"))

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        arrival = self._register(body)
        scheduled = self._fault(arrival) if self._authorised(request) else "401"
        fault, argument, status, billed = read_fault(scheduled)
        anthropic = request.path.endswith("/messages")
        reply, bill_usd = self._complete(body, anthropic=anthropic)
        # Written down before anything is answered: a client that is killed or goes away cannot
        # take its own bill with it.
        self._write(
            {
                "number": arrival.number,
                "path": request.path,
                "model": body.get("model"),
                "digest": arrival.digest,
                "repeat": arrival.repeat,
                "fault": fault,
                "argument": argument,
                "status": status,
                "bill_usd": str(bill_usd if billed else Decimal(0)),
                "at_s": round(time.monotonic(), 4),
                **reply["_tokens"],
            },
            headers=dict(request.headers),
            body=body,
        )
        del reply["_tokens"]
        if self._latency_s:
            await self._pause(self._latency_s)
        if status != 200:
            return self._refuse(request, fault, status, argument, anthropic=anthropic)
        return await self._misbehave(request, fault, argument, reply)

    def _register(self, body: Mapping[str, Any]) -> Arrival:
        asked = [body.get("model"), body.get("system"), body.get("messages"), body.get("seed")]
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        repeat = self._seen[digest]
        self._seen[digest] += 1
        number = self._arrived
        self._arrived += 1
        return Arrival(number=number, digest=digest, repeat=repeat, body=body)

    def _fault(self, arrival: Arrival) -> str:
        if callable(self._schedule):
            return self._schedule(arrival)
        return self._schedule[arrival.number] if arrival.number < len(self._schedule) else "ok"

    def _write(self, line: dict[str, Any], **beside: Any) -> None:
        if self._log is not None:
            self._log.write(json.dumps(line) + "\n")
            self._log.flush()
        if self._keeps_requests:
            self.requests.append(line | beside)

    def _complete(
        self, body: Mapping[str, Any], *, anthropic: bool
    ) -> tuple[dict[str, Any], Decimal]:
        messages = list(body["messages"])
        if body.get("system"):
            messages.insert(0, {"role": "system", "content": body["system"]})
        answer = self._answer(Question(body["model"], messages, body.get("seed")))
        if isinstance(answer, str):
            answer = Answer(answer)
        answer = replace(answer, text=_stopped(answer.text, body))
        prompt = sum(4 + -(-len(m["content"].encode()) // 4) for m in messages)
        cached = min(answer.cached_tokens, prompt)
        visible = -(-len(answer.text.encode()) // 4)
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or 1_000_000
        reasoning = min(answer.reasoning_tokens, limit)
        output = max(1, min(visible + reasoning, limit))
        cut = visible + reasoning > limit
        text = (
            answer.text.encode()[: 4 * (limit - reasoning)].decode("utf-8", "ignore")
            if cut
            else answer.text
        )
        rate = self._rates.get(body["model"], Rate())
        bill_usd = (
            rate.input_usd * (prompt - cached) + rate.cached_usd * cached + rate.output_usd * output
        ) / MTOK
        if anthropic:
            reply = _anthropic_reply(
                body["model"], text, prompt, cached, output, reasoning, cut=cut
            )
        else:
            reply = _openai_reply(body["model"], text, prompt, cached, output, reasoning, cut=cut)
        reply["_tokens"] = {"input_tokens": prompt, "output_tokens": output}
        return reply, bill_usd

    async def _pause(self, delay_s: float) -> None:
        """Sleeps, unless the server stops first."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), delay_s)

    def _refuse(
        self, request: web.Request, fault: str, status: int, argument: str, *, anthropic: bool
    ) -> web.StreamResponse:
        if fault == "refuse":
            assert request.transport is not None
            request.transport.close()
            return web.Response(status=500)
        headers = {}
        if fault == "redirect":
            headers["Location"] = argument or "http://127.0.0.1:9/elsewhere"
        elif argument.startswith("date"):
            at_s = time.time() + float(argument.removeprefix("date"))
            headers["Retry-After"] = formatdate(at_s, usegmt=True)
        elif argument:
            headers["Retry-After"] = argument
        known = {"quota": "insufficient_quota", "too_long": "context_length_exceeded"}
        code = known.get(fault, f"fault_{fault}")
        kind = {429: "rate_limit_error", 529: "overloaded_error"}.get(status, "api_error")
        words = "prompt is too long" if fault == "too_long" else f"injected {fault}"
        error: dict[str, Any] = {"message": words, "type": kind}
        if anthropic:
            content = {"type": "error", "error": error}
        else:
            content = {"error": error | {"code": code, "param": None}}
        return web.json_response(content, status=status, headers=headers)

    async def _misbehave(
        self, request: web.Request, fault: str, argument: str, reply: dict[str, Any]
    ) -> web.StreamResponse:
        if fault == "no_usage":
            del reply["usage"]
        elif fault == "bad_usage":
            count = "input_tokens" if "input_tokens" in reply["usage"] else "prompt_tokens"
            reply["usage"][count] = -5
        elif fault == "huge_usage":
            name = "output_tokens" if "output_tokens" in reply["usage"] else "completion_tokens"
            reply["usage"][name] = 10**9
        elif fault == "wrong_model":
            reply["model"] = argument or f"{reply['model']}-mini"
        elif fault == "error_in_body":
            reply = {"error": {"message": "the model behind the gateway failed", "code": 502}}
        content = json.dumps(reply).encode()
        if fault == "slow":
            return await self._drip(request, content, float(argument or 60))
        if fault in ("cut", "reset"):
            return await self._cut(request, content, resets=fault == "reset")
        if fault == "malformed":
            content = content[:-10]
        elif fault == "bad_utf8":
            content = content.replace(b'"model"', b'"mod\xff\xfe"')
        elif fault == "huge":
            content += b" " * int(float(argument or 40) * 1024**2)
        elif fault == "gzip_bomb":
            return web.Response(
                body=_bomb(),
                content_type="application/json",
                headers={"Content-Encoding": "gzip"},
            )
        return web.Response(body=content, content_type="application/json")

    async def _drip(
        self, request: web.Request, content: bytes, delay_s: float
    ) -> web.StreamResponse:
        """Headers and the first half at once, the rest when it is late."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = len(content)
        await response.prepare(request)
        await response.write(content[: len(content) // 2])
        await self._pause(delay_s)
        with suppress(ConnectionError):
            await response.write(content[len(content) // 2 :])
        return response

    async def _cut(
        self, request: web.Request, content: bytes, *, resets: bool
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = len(content)
        await response.prepare(request)
        await response.write(content[: len(content) // 2])
        if request.transport is None:
            return response  # the client was faster
        if resets:
            # Closing a socket that does not linger sends RST in the place of FIN.
            request.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            request.transport.abort()
        else:
            request.transport.close()
        return response


@lru_cache(maxsize=1)
def _bomb() -> bytes:
    return gzip.compress(b" " * (64 * 1024**2), compresslevel=1)


def _stopped(text: str, body: Mapping[str, Any]) -> str:
    """Ends in front of the first stop string, or behind it where that is wanted (vLLM)."""
    places = [(text.find(stop), stop) for stop in body.get("stop", ()) if stop in text]
    if not places:
        return text
    place, stop = min(places)
    return text[: place + (len(stop) if body.get("include_stop_str_in_output") else 0)]


def _openai_reply(
    model: str, text: str, prompt: int, cached: int, output: int, reasoning: int, *, cut: bool
) -> dict[str, Any]:
    return {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": "length" if cut else "stop",
            }
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        },
    }


def _anthropic_reply(
    model: str, text: str, prompt: int, cached: int, output: int, reasoning: int, *, cut: bool
) -> dict[str, Any]:
    return {
        "id": "msg_0",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "max_tokens" if cut else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": prompt - cached,
            "cache_read_input_tokens": cached,
            "cache_creation_input_tokens": 0,
            "output_tokens": output,
            "output_tokens_details": {"thinking_tokens": reasoning},
        },
    }


async def _run(options: argparse.Namespace) -> None:
    with Path(options.log).open("a", encoding="utf-8") as log:
        server = FaultServer(
            mix(options.mix),
            port=options.port,
            log=log,
            latency_s=options.latency_s,
            keeps_requests=False,
        )
        async with server:
            print(server.base_url, flush=True)
            await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An LLM server with faults, for tests")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", required=True, help="JSONL, one line a request; appended to")
    parser.add_argument("--mix", default="", help="shares of faults, e.g. 429=0.1,cut=0.05,seed=7")
    parser.add_argument("--latency-s", type=float, default=0.0)
    asyncio.run(_run(parser.parse_args()))
