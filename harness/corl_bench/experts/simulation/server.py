"""The simulated pool behind HTTP: an OpenAI-compatible server with a request log.

Invariant: a reply over HTTP is the reply that `SimulatedProvider` gives in process for the
same seed, expert, statement and draw; the draw travels as the request's `seed`. Every request
that is billed stands in the log, flushed, before its answer leaves.

    corl-bench pool serve sim --port 8123
    curl http://127.0.0.1:8123/v1/models
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from corl_bench.experts.base import ExpertSpec, Pool, Reply
from corl_bench.experts.recording import problem_key
from corl_bench.experts.simulation.book import ProblemBook
from corl_bench.experts.simulation.provider import SimulatedProvider
from corl_bench.money.amounts import format_usd
from corl_bench.serving import LOOPBACK, new_app, refusal, refusal_of, serve_app
from corl_bench.types import Problem

Limit = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    type: str
    text: str = ""


class _Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Part] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class _ChatRequest(BaseModel):
    """What is read of a request; parameters that do not matter here are passed over."""

    model_config = ConfigDict(strict=True)

    model: str
    messages: Annotated[list[_Message], Field(min_length=1)]
    seed: Annotated[int, Field(ge=0)] | None = None
    max_tokens: Limit | None = None
    max_completion_tokens: Limit | None = None
    n: Literal[1] | None = None
    stream: Literal[False] | None = None


class RequestLog:
    """One line of JSON a billed request; a log that exists is continued, but counted anew.

    Args:
        path: where it is written; None: it is only counted.
    """

    def __init__(self, path: Path | None) -> None:
        self._file: TextIO | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
        self.count = 0
        self.bill_usd = Decimal(0)

    def write(
        self, expert: ExpertSpec, problem: Problem | None, draw_seed: int, reply: Reply
    ) -> None:
        """Counts a request, and writes and flushes its line."""
        cost_usd = expert.price.cost_usd(reply.usage)
        self.count += 1
        self.bill_usd += cost_usd
        if self._file is None:
            return
        line = {
            "count": self.count,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "expert": expert.name,
            "model": expert.model,
            "problem": problem_key(problem.text) if problem else None,
            "draw": draw_seed,
            "finish": reply.finish,
            "usage": reply.usage.as_dict(),
            "bill_usd": format_usd(cost_usd),
        }
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()


class _Handlers:
    def __init__(self, pool: Pool, book: ProblemBook, provider: SimulatedProvider, log: RequestLog):
        self._pool = pool
        self._book = book
        self._provider = provider
        self._log = log
        served = [expert.spec for expert in provider.simulation.experts]
        self._experts = {spec.model: spec for spec in served} | {spec.name: spec for spec in served}

    async def health(self, request: web.Request) -> web.Response:
        body = {
            "status": "ok",
            "simulated": True,
            "pool": self._pool.name,
            "requests": self._log.count,
            "bill_usd": format_usd(self._log.bill_usd),
        }
        return web.json_response(body)

    async def models(self, request: web.Request) -> web.Response:
        listed = [
            {"id": name, "object": "model", "created": 0, "owned_by": "simulated"}
            for name in self._experts
        ]
        return web.json_response({"object": "list", "data": listed})

    async def complete(self, request: web.Request) -> web.Response:
        try:
            asked = _ChatRequest.model_validate_json(await request.read())
        except ValidationError as error:
            return refusal_of(error)
        expert = self._experts.get(asked.model)
        if expert is None:
            message = f"The model `{asked.model}` does not exist in the simulated pool"
            return refusal(404, message, param="model", code="model_not_found")
        problem = self._find(asked.messages)
        draw_seed = asked.seed or 0
        reply = self._provider.reply(
            expert.name,
            problem,
            n_bytes=sum(len(message.text.encode()) for message in asked.messages),
            draw_seed=draw_seed,
            max_output_tokens=asked.max_completion_tokens or asked.max_tokens,
        )
        self._log.write(expert, problem, draw_seed, reply)
        await self._provider.wait(reply)
        return web.json_response(_completion(asked.model, reply, self._log.count))

    def _find(self, messages: list[_Message]) -> Problem | None:
        """The problem in the last message of the user, else anywhere in the conversation."""
        asked = [message.text for message in messages if message.role == "user"]
        found = self._book.find(asked[-1]) if asked else None
        return found or self._book.find("\n".join(message.text for message in messages))


def build_app(
    pool: Pool,
    book: ProblemBook,
    *,
    seed: int = 0,
    log_path: Path | None = None,
    latency_scale: float | None = None,
) -> web.Application:
    """The server as an application, for `serve` and for tests.

    Args:
        pool: with `simulation` tables.
        book: the problems that it knows.
        seed: of all draws.
        log_path: request log, one line of JSON a request; None: no log.
        latency_scale: how much of the declared latency is waited; None: what the pool says.

    Raises:
        ConfigError: the pool's tables are not usable.
    """
    provider = SimulatedProvider(pool, book, seed=seed, latency_scale=latency_scale)
    log = RequestLog(log_path)
    handlers = _Handlers(pool, book, provider, log)
    app = new_app()
    app.router.add_get("/health", handlers.health)
    app.router.add_get("/v1/models", handlers.models)
    app.router.add_post("/v1/chat/completions", handlers.complete)

    async def close(_: web.Application) -> None:
        log.close()

    app.on_cleanup.append(close)
    return app


def serve(
    pool: Pool,
    book: ProblemBook,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    seed: int = 0,
    log_path: Path | None = None,
    latency_scale: float | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serves until SIGINT or SIGTERM; requests that have begun are answered.

    Args:
        pool: with `simulation` tables.
        book: the problems that it knows.
        host: address to listen on.
        port: 0 takes a free one, which the printed line tells.
        seed: of all draws.
        log_path: request log; None: no log.
        latency_scale: how much of the declared latency is waited; None: what the pool says.
        on_ready: called with the base URL when the server answers, after the line is printed.

    Raises:
        ConfigError: the pool's tables are not usable, or nobody can listen there.
    """
    app = build_app(pool, book, seed=seed, log_path=log_path, latency_scale=latency_scale)

    def tell(base_url: str) -> None:
        print(f"simulated pool {pool.name} serves at {base_url}", flush=True)
        if on_ready is not None:
            on_ready(base_url)

    serve_app(app, host=host, port=port, on_ready=tell)


def _completion(model: str, reply: Reply, count: int) -> dict[str, Any]:
    usage = reply.usage
    refused = reply.finish == "refusal"
    return {
        "id": f"chatcmpl-simulated-{count}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": "simulated",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": None if refused else reply.text,
                    "refusal": reply.text if refused else None,
                },
                "logprobs": None,
                "finish_reason": "length" if reply.finish == "length" else "stop",
            }
        ],
        "usage": {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        },
    }
