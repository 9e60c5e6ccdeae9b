"""The HTTP side of a shared pool: chat completions, models, health and what was spent.

Invariant: a request is let in before it is read: first its key, then its size, then what it says.
Whatever is sent, the answer is JSON in OpenAI's form, with the tokens that the provider billed.

    app = build_app(desk, ring)      # ring None: no key is asked for, on loopback alone
"""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from corl_bench.experts.base import FinishReason
from corl_bench.money.amounts import format_usd
from corl_bench.serve.doorway import errors_as_json, no_known_key, read_body, require_loopback
from corl_bench.serve.keys import KeyRing
from corl_bench.serve.sharing.asked import read_asked
from corl_bench.serve.sharing.desk import Answered, Desk
from corl_bench.types import Usage

_FINISH: dict[FinishReason, str] = {
    "stop": "stop",
    "length": "length",
    "refusal": "content_filter",
}


class _Handlers:
    def __init__(self, desk: Desk, ring: KeyRing | None) -> None:
        self._desk = desk
        self._ring = ring

    async def health(self, request: web.Request) -> web.Response:
        """Open to all, so it says no more than whether requests are let in."""
        if self._desk.stopping:
            return web.json_response({"status": "stopping"}, status=503)
        return web.json_response({"status": "ok"})

    async def stats(self, request: web.Request) -> web.Response:
        self._let_in(request)
        return web.json_response(self._desk.stats())

    async def models(self, request: web.Request) -> web.Response:
        self._let_in(request)
        listed = [_model(name) for name in self._desk.experts]
        return web.json_response({"object": "list", "data": listed})

    async def complete(self, request: web.Request) -> web.Response:
        self._let_in(request)
        body = await read_body(request, most_bytes=self._desk.limits.max_body_bytes)
        answered = await self._desk.answer(read_asked(body))
        return web.json_response(_completion(answered), headers={"x-request-id": answered.id})

    def _let_in(self, request: web.Request) -> None:
        """Checks who asks.

        Raises:
            Refusal: 401; or 403 where a web page in some browser tries to ask on its own.
        """
        if self._ring is None:
            require_loopback(request)
        elif self._ring.find(request.headers.get("Authorization", "")) is None:
            raise no_known_key()


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


def build_app(desk: Desk, ring: KeyRing | None) -> web.Application:
    """The server as an application.

    Args:
        desk: answers requests.
        ring: known keys; None where none is asked for.
    """
    handlers = _Handlers(desk, ring)
    app = web.Application(
        client_max_size=desk.limits.max_body_bytes, middlewares=[errors_as_json(desk.say)]
    )
    app.router.add_get("/health", handlers.health)
    app.router.add_get("/v1/stats", handlers.stats)
    app.router.add_get("/v1/models", handlers.models)
    app.router.add_post("/v1/chat/completions", handlers.complete)
    return app
