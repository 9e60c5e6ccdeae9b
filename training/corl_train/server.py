"""A trained controller behind an OpenAI-compatible address, without vLLM.

For machines that vLLM does not run on, and for the tiny policy, which nothing else loads. The
server keeps nothing between requests: a conversation is read from its messages. What is asked
at the same time is sampled as one batch.

    corl-train serve runs/smollm2 --port 8000                   # writes runs/smollm2/served.toml
    corl-bench run --system controller:runs/smollm2/served.toml
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from secrets import randbits
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from corl_bench.errors import ConfigError
from corl_bench.experts.base import ExpertSpec
from corl_bench.serving import LOOPBACK, new_app, refusal, refusal_of, serve_app
from corl_train.policies.base import Policy, Said, Speaking
from corl_train.policies.loading import Computing, computing, open_policy
from corl_train.rollouts import Transcript

Limit = Annotated[int, Field(ge=1)]


class _Message(BaseModel):
    role: Literal["user", "assistant"]
    content: str


class _Asked(BaseModel):
    """What is read of a request; parameters that do not matter here are passed over."""

    model_config = ConfigDict(strict=True)

    model: str
    messages: Annotated[list[_Message], Field(min_length=1)]
    max_tokens: Limit | None = None
    max_completion_tokens: Limit | None = None
    temperature: Annotated[float, Field(ge=0, strict=False)] = 1.0
    seed: int | None = None
    stop: str | list[str] | None = None
    n: Literal[1] | None = None
    stream: Literal[False] | None = None

    @property
    def how(self) -> Speaking:
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        limit = self.max_completion_tokens or self.max_tokens or 1024
        return Speaking(limit, tuple(stop for stop in stops if stop), self.temperature)


class _Voice:
    """Answers requests in batches, off the event loop."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._waiting: list[tuple[Transcript, Speaking, int, asyncio.Future[Said]]] = []
        self._wanted = asyncio.Event()

    async def say(self, transcript: Transcript, how: Speaking, seed: int) -> Said:
        said: asyncio.Future[Said] = asyncio.get_running_loop().create_future()
        self._waiting.append((transcript, how, seed, said))
        self._wanted.set()
        return await said

    async def run(self) -> None:
        """Speaks for ever: to all who have asked while it last spoke and want alike."""
        while True:
            await self._wanted.wait()
            _, how, _, _ = self._waiting[0]
            batch = [asked for asked in self._waiting if asked[1] == how]
            self._waiting = [asked for asked in self._waiting if asked[1] != how]
            if not self._waiting:
                self._wanted.clear()
            transcripts = [transcript for transcript, _, _, _ in batch]
            seeds = [seed for _, _, seed, _ in batch]
            try:
                turns = await asyncio.to_thread(
                    self._policy.session().speak, transcripts, how, seeds
                )
            except Exception as error:  # theirs alone: whoever asks next is answered
                for _, _, _, said in batch:
                    if not said.done():
                        said.set_exception(error)
                continue
            for (_, _, _, said), turn in zip(batch, turns, strict=True):
                if not said.done():  # whoever has gone is not told
                    said.set_result(turn)


def build_app(policy: Policy, *, model: str) -> web.Application:
    """The server as an application, for `serve` and for tests.

    Args:
        policy: what speaks.
        model: the id under which it is listed; requests for another are refused.
    """
    voice = _Voice(policy)

    async def models(request: web.Request) -> web.Response:
        listed = {"id": model, "object": "model", "created": 0, "owned_by": "corl-train"}
        return web.json_response({"object": "list", "data": [listed]})

    async def complete(request: web.Request) -> web.Response:
        try:
            asked = _Asked.model_validate_json(await request.read())
        except ValidationError as error:
            return refusal_of(error)
        if asked.model != model:
            return refusal(404, f"there is no model {asked.model!r}", code="model_not_found")
        transcript = Transcript()
        for message in asked.messages:
            if message.role == "assistant":
                # A client has put back the stop string that ended it, and then nothing else did.
                transcript.read(policy.spell(message.content, asked.how.stops))
            else:
                try:
                    ids = policy.read("user", message.content, behind=transcript.ids)
                except ConfigError as error:
                    return refusal(400, str(error))
                transcript.read(ids)
        seed = randbits(48) if asked.seed is None else asked.seed
        said = await voice.say(transcript, asked.how, seed)
        if said.finish == "context":
            why = f"the prompt's {len(transcript.ids)} tokens leave no room to speak"
            return refusal(400, why, code="context_length_exceeded")
        return web.json_response(_completion(model, asked.how, said, len(transcript.ids)))

    async def speaking(app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(voice.run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    app = new_app()
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/chat/completions", complete)
    app.cleanup_ctx.append(speaking)
    return app


def serve(
    weights: Path,
    *,
    model: str,
    host: str = LOOPBACK,
    port: int = 0,
    how: Computing | None = None,
    on_ready: Callable[[str], None] = lambda base_url: None,
) -> None:
    """Serves until SIGINT or SIGTERM.

    Args:
        weights: folder of a policy.
        model: the id under which it is listed.
        host: address to listen on.
        port: 0 takes a free one.
        how: device, dtype and context of a Hugging Face policy; None takes what fits.
        on_ready: called with the base URL when the server answers.

    Raises:
        ConfigError: the folder holds no policy, or nobody can listen there.
    """
    app = build_app(open_policy(weights, **(how or computing({}))), model=model)
    serve_app(app, host=host, port=port, on_ready=on_ready)


def describe_served(own: ExpertSpec, *, base_url: str, model: str) -> str:
    """The `controller.toml` of the served controller, to stand beside its protocol.

    Args:
        own: its model, as the trainer has described it: alias and price stay.
        base_url: where it is served.
        model: the id under which it is listed there.
    """
    price = own.price
    return (
        f"name = {json.dumps(own.name)}\n"
        'protocol = "protocol.toml"\n\n'
        "[model]\n"
        'provider = "openai"\n'
        f"base_url = {json.dumps(base_url)}\n"
        f"model = {json.dumps(model)}\n"
        "temperature = 0\n\n"
        "[model.price]\n"
        f'input_usd_per_mtok = "{price.input_usd_per_mtok:f}"\n'
        f'output_usd_per_mtok = "{price.output_usd_per_mtok:f}"\n'
        f"effective_from = {price.effective_from.isoformat()}\n"
        f"source = {json.dumps(price.source)}\n"
    )


def _completion(model: str, how: Speaking, said: Said, read: int) -> dict[str, Any]:
    # As OpenAI has it, a reply ends in front of its stop string.
    ends = [place for stop in how.stops if (place := said.text.find(stop)) >= 0]
    text = said.text[: min(ends)] if ends else said.text
    return {
        "id": f"chatcmpl-{randbits(64):016x}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop" if said.finish == "stop" else "length",
            }
        ],
        "usage": {
            "prompt_tokens": read,
            "completion_tokens": len(said.ids),
            "total_tokens": read + len(said.ids),
        },
    }
