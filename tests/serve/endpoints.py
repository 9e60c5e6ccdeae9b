"""A served routing system in this process, in front of a server of the tests."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from corl_bench.experts.pools import load_pool
from corl_bench.routers.base import own_models
from corl_bench.runs.calling import open_providers
from corl_bench.serve.app import build_app
from corl_bench.serve.books import Books
from corl_bench.serve.exchange import Bench
from corl_bench.serve.keys import LOCAL, Key, read_keys
from corl_bench.serve.metrics import Metrics
from corl_bench.serve.server import make_service_plan
from corl_bench.serve.service import Limits, Service
from corl_bench.serving import listening

ALICE, BOB = "alice-key-0123456789abcdef", "bob-key-0123456789abcdef"


async def until(condition: Callable[[], object]) -> None:
    """Waits for what other tasks and processes bring about."""
    while not condition():  # noqa: ASYNC110 (a server's list or file tells nobody)
        await asyncio.sleep(0.01)


def pool_toml(base_url: str, **settings: Any) -> str:
    """Two experts at one server: `a` costs 2 and 8 dollars a million tokens, `b` a tenth."""
    lines = ['name = "p"', "[budgets]", 'low = "0.0005"', 'high = "0.02"']
    for name, model, price in (("a", "gpt-4.1", (2, 8)), ("b", "gpt-4.1-mini", (0.2, 0.8))):
        lines += [
            f"[experts.{name}]",
            'provider = "openai"',
            f'model = "{model}"',
            f'base_url = "{base_url}"',
            "max_output_tokens = 200",
            f'price = {{ input_usd_per_mtok = "{price[0]}", output_usd_per_mtok = "{price[1]}",'
            ' effective_from = 2026-01-01, source = "test" }',
        ]
        lines += [f"{key} = {value}" for key, value in settings.items()]
    return "\n".join(lines) + "\n"


@dataclass
class Endpoint:
    """What a test holds in its hands."""

    url: str
    folder: Path
    service: Service
    session: aiohttp.ClientSession
    said: list[str] = field(default_factory=list)
    """Lines of the server's log."""

    async def ask(
        self, text: str = "What is 6 times 7?", key: str | None = None, **more: Any
    ) -> tuple[int, dict[str, Any]]:
        """Status and body of one completion."""
        body = {"model": "corl", "messages": [{"role": "user", "content": text}], **more}
        return await self.send(json.dumps(body), key)

    async def send(
        self, body: str | bytes, key: str | None = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        sent = {"Content-Type": "application/json", **headers}
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        address = f"{self.url}/chat/completions"
        async with self.session.post(address, data=body, headers=sent) as answer:
            return answer.status, await answer.json()

    async def stream(self, **more: Any) -> tuple[list[dict[str, Any]], bytes]:
        """The events of a stream, and all its bytes."""
        messages = [{"role": "user", "content": "What is 6 times 7?"}]
        body = {"model": "corl", "messages": messages, "stream": True, **more}
        async with self.session.post(f"{self.url}/chat/completions", json=body) as answer:
            assert answer.status == 200
            assert answer.content_type == "text/event-stream"
            raw = await answer.read()
        events = [part for part in raw.split(b"\n\n") if part.startswith(b"data: ")]
        assert events[-1] == b"data: [DONE]"
        return [json.loads(part[6:]) for part in events[:-1]], raw

    async def idle(self) -> None:
        """Until no request is under way any more."""
        await until(lambda: not self.service.in_flight)

    def lines(self, name: str = "ledger") -> list[dict[str, Any]]:
        path = self.folder / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def total(self, name: str) -> Decimal:
        return sum((Decimal(line.get(name, "0")) for line in self.lines()), Decimal(0))


@asynccontextmanager
async def endpoint(
    folder: Path,
    upstream: str,
    *,
    system: str = "single:a",
    keys: str | None = None,
    cap_usd: str | None = None,
    limits: Limits | None = None,
    timeout_s: float = 20.0,
    settings: dict[str, Any] | None = None,
    problems: Sequence[Any] = (),
) -> AsyncIterator[Endpoint]:
    """Serves until the block ends, then stops as on a signal."""
    pool_path = folder / "pool.toml"
    pool_path.write_text(pool_toml(upstream, **(settings or {})))
    pool = load_pool(str(pool_path))
    ring = None
    if keys is not None:
        keys_path = folder / "keys.toml"
        keys_path.write_text(keys)
        ring = read_keys(keys_path, pool, {**os.environ, "ALICE_KEY": ALICE})
    plan = make_service_plan(system, pool, 0)
    accounts = [Key(LOCAL, all_metrics=True)] if ring is None else list(ring.by_digest.values())
    cap = None if cap_usd is None else Decimal(cap_usd)
    said: list[str] = []
    with Books.open(folder / "out", keys=accounts, cap_usd=cap, described={}) as books:
        async with open_providers(plan, problems) as providers:
            bench = Bench(
                system=plan.systems[0],
                experts=pool.experts,
                own_models=own_models(plan.systems[0]),
                providers=providers,
                books=books,
                timeout_s=timeout_s,
            )
            service = Service(
                bench,
                {budget.name: budget for budget in plan.budgets},
                limits or Limits(grace_s=5.0),
                Metrics(books.accounts, books.cap),
                said.append,
            )
            async with (
                listening(
                    build_app(service, ring), host="127.0.0.1", cancels_the_departed=True
                ) as url,
                aiohttp.ClientSession() as session,
            ):
                try:
                    yield Endpoint(url, folder / "out", service, session, said)
                finally:
                    await service.stop(asyncio.Event())
