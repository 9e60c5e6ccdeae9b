"""The HTTP side of a shared pool: chat completions, models, health and what was spent.

Invariant: a request is let in before it is read: first its key, then its size, then what it says.
Whatever is sent, the answer is JSON in OpenAI's form, with the tokens that the provider billed.

    app = build_app(broker, ring, pool.digest)   # ring None: no key is asked for, on loopback
"""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from corl_bench.experts.base import FinishReason
from corl_bench.experts.shared import POOL_HEADER, REQUEST_HEADER
from corl_bench.money.amounts import format_usd
from corl_bench.serve.keys import KeyRing
from corl_bench.serve.refusals import Refusal
from corl_bench.serve.request_checks import (
    errors_as_json,
    no_known_key,
    read_body,
    require_loopback,
)
from corl_bench.serve.sharing.broker import Answered, Broker
from corl_bench.serve.sharing.draw_request import read_draw_request
from corl_bench.types import Usage

_FINISH: dict[FinishReason, str] = {
    "stop": "stop",
    "length": "length",
    "refusal": "content_filter",
}


class _Handlers:
    def __init__(self, broker: Broker, ring: KeyRing | None, digest: str) -> None:
        self._broker = broker
        self._ring = ring
        self._digest = digest

    async def health(self, request: web.Request) -> web.Response:
        """Open to all, so it says no more than whether requests are let in."""
        if self._broker.stopping:
            return web.json_response({"status": "stopping"}, status=503)
        return web.json_response({"status": "ok"})

    async def stats(self, request: web.Request) -> web.Response:
        self._let_in(request)
        return web.json_response(self._broker.stats())

    async def models(self, request: web.Request) -> web.Response:
        self._let_in(request)
        listed = [_model(name) for name in self._broker.experts]
        return web.json_response({"object": "list", "data": listed})

    async def complete(self, request: web.Request) -> web.Response:
        self._let_in(request)
        most_bytes = self._broker.limits.max_body_bytes
        told_bytes = request.content_length
        with self._broker.room(most_bytes if told_bytes is None else min(told_bytes, most_bytes)):
            body = await read_body(request, most_bytes=most_bytes)
        name = request.headers.get(REQUEST_HEADER, "")
        answered = await self._broker.answer(read_draw_request(body), size=len(body), name=name)
        return web.json_response(_completion(answered), headers={"x-request-id": answered.id})

    def _let_in(self, request: web.Request) -> None:
        """Checks who asks, and of which pool.

        Raises:
            Refusal: 401; 403 where a web page in some browser tries to ask on its own; 412 where
                a worker means another pool than this one.
        """
        if self._ring is None:
            require_loopback(request)
        elif self._ring.find(request.headers.get("Authorization", "")) is None:
            raise no_known_key()
        meant = request.headers.get(POOL_HEADER, self._digest)
        if meant != self._digest:
            raise Refusal(
                412,
                "this server shares another pool than your pool file is of: take the file that it"
                " has written (--pool-out)",
                code="another_pool",
            )


def _completion(answered: Answered) -> dict[str, Any]:
    outcome = answered.outcome
    reply = outcome.reply
    assert reply is not None
    return {
        "id": f"chatcmpl-{answered.id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answered.asked.expert,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": reply.text, "refusal": None},
                "logprobs": None,
                "finish_reason": _FINISH[reply.finish],
            }
        ],
        "usage": _usage(reply.usage),
        "corl": {
            "request": answered.id,
            "model": reply.model,
            "stored": answered.stored,
            "attempts": outcome.attempts,
            "cost_usd": format_usd(outcome.list_cost_usd),
            "unsettled_usd": format_usd(outcome.unsettled_usd),
            "basis": outcome.basis,
            "usage": reply.usage.as_dict(),
            "latency_s": round(outcome.latency_s, 3),
        },
    }


def _usage(usage: Usage) -> dict[str, Any]:
    """The counts in OpenAI's classes, of which cached input and reasoning are parts."""
    written = usage.cache_write_tokens + usage.cache_write_1h_tokens
    return {
        "prompt_tokens": usage.total_input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_input_tokens,
            "cache_write_tokens": written,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "corl-bench"}


def build_app(broker: Broker, ring: KeyRing | None, digest: str) -> web.Application:
    """The server as an application.

    Args:
        broker: answers requests.
        ring: known keys; None where none is asked for.
        digest: of the pool.
    """
    handlers = _Handlers(broker, ring, digest)
    app = web.Application(
        client_max_size=broker.limits.max_body_bytes, middlewares=[errors_as_json(broker.say)]
    )
    app.router.add_get("/health", handlers.health)
    app.router.add_get("/v1/stats", handlers.stats)
    app.router.add_get("/v1/models", handlers.models)
    app.router.add_post("/v1/chat/completions", handlers.complete)
    return app
