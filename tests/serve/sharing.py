"""A shared pool in this process, in front of a server of the tests, and workers that ask it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from corl_bench.experts.attempts import Asker
from corl_bench.experts.base import Pool, Request
from corl_bench.experts.caller import Caller
from corl_bench.experts.pools import load_pool
from corl_bench.experts.providers import ProviderContext, make_provider
from corl_bench.experts.store import RecordingStore
from corl_bench.experts.transport import Transport
from corl_bench.money.cap import SpendingCap
from corl_bench.money.ledger import Ledger, LedgerLine, read_ledger
from corl_bench.runs.calling import open_providers
from corl_bench.runs.plan import Plan
from corl_bench.serve.books import Books
from corl_bench.serve.keys import LOCAL, Key, single_key
from corl_bench.serve.sharing.app import build_app
from corl_bench.serve.sharing.broker import Broker, ShareLimits
from corl_bench.serve.sharing.worker_pool import worker_pool
from corl_bench.serving import listening
from corl_bench.types import Message
from serve.endpoints import pool_toml

QUESTION = "What is 6 times 7?"


@dataclass
class Shared:
    """What a test holds in its hands."""

    url: str
    folder: Path
    pool: Pool
    """What is shared."""
    broker: Broker
    store: RecordingStore
    session: aiohttp.ClientSession
    said: list[str] = field(default_factory=list)

    async def ask(
        self, text: str = QUESTION, *, key: str | None = None, **more: Any
    ) -> tuple[int, dict[str, Any]]:
        """Status and body of one completion; the first draw of expert `a`, if nothing is said."""
        body = {"model": "a", "seed": 0, "messages": [{"role": "user", "content": text}], **more}
        return await self.send(json.dumps(body), key=key)

    async def send(
        self, body: str | bytes, *, key: str | None = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        sent = {"Content-Type": "application/json", **headers}
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        address = f"{self.url}/chat/completions"
        async with self.session.post(address, data=body, headers=sent) as answer:
            return answer.status, await answer.json()

    async def stats(self) -> dict[str, Any]:
        async with self.session.get(f"{self.url}/stats") as answer:
            shown: dict[str, Any] = await answer.json()
            return shown

    def lines(self) -> list[LedgerLine]:
        return list(read_ledger(self.folder))

    @asynccontextmanager
    async def worker(self, folder: Path, *, answer_s: float = 60.0) -> AsyncIterator[Worker]:
        """A worker with books of its own, which has only the file that is written for workers."""
        path = folder / "worker.toml"
        path.write_text(worker_pool(self.pool, self.url, key_env=None, answer_s=answer_s))
        async with worker(path, folder) as asking:
            yield asking


@dataclass(frozen=True)
class Worker:
    """Asks as an episode does."""

    pool: Pool
    caller: Caller
    ledger: Ledger
    store: RecordingStore

    async def call(self, expert: str, text: str = QUESTION, **more: Any) -> Any:
        request = self.request(expert, text, **more)
        return await self.caller.call(request, call_id=f"e{request.draw_seed}#0", episode="e")

    def request(self, expert: str, text: str = QUESTION, **more: Any) -> Request:
        return request_of(self.pool, expert, text, **more)


@asynccontextmanager
async def worker(path: Path, folder: Path) -> AsyncIterator[Worker]:
    """A worker that asks with a pool file, and keeps its books in a folder."""
    pool = load_pool(str(path))
    transport = Transport()
    context = ProviderContext(pool=pool, transport=transport)
    with RecordingStore.open(folder / "own.sqlite") as store, Ledger.open(folder) as ledger:
        asker = Asker(
            providers={e.name: make_provider(e, context) for e in pool.experts},
            store=store,
            ledger=ledger,
            cap=SpendingCap(None),
            run_id="w",
        )
        caller = Caller(asker, store, ledger, mode="live", run_id="w")
        try:
            yield Worker(pool, caller, ledger, store)
        finally:
            await transport.aclose()


def request_of(pool: Pool, expert: str, text: str = QUESTION, **more: Any) -> Request:
    spec = pool[expert]
    return replace(Request(spec, (Message("user", text),), spec.sampling, text), **more)


@asynccontextmanager
async def shared(
    folder: Path,
    upstream: str,
    *,
    cap_usd: str | None = None,
    key_env: str | None = None,
    environment: dict[str, str] | None = None,
    limits: ShareLimits | None = None,
    recordings: Path | None = None,
    mode: Any = "auto",
    settings: dict[str, Any] | None = None,
) -> AsyncIterator[Shared]:
    """Shares until the block ends, then stops as on a signal."""
    folder.mkdir(exist_ok=True)
    pool_path = folder / "pool.toml"
    pool_path.write_text(pool_toml(upstream, **(settings or {})))
    pool = load_pool(str(pool_path))
    plan = Plan((), pool, (), (), 1, 0, None, mode)
    said: list[str] = []
    with (
        RecordingStore.open(recordings or folder / "recordings.sqlite") as store,
        Books.open(
            folder,
            keys=[Key(LOCAL)],
            cap_usd=None if cap_usd is None else Decimal(cap_usd),
            described={},
            store=store,
            pricing={expert.name: expert.pricing for expert in pool.experts},
        ) as books,
    ):
        async with open_providers(plan, ()) as providers:
            broker = Broker(
                {expert.name: expert for expert in pool.experts},
                books,
                providers,
                mode=mode,
                limits=limits or ShareLimits(grace_s=5.0),
                say=said.append,
            )
            ring = None if key_env is None else single_key(key_env, environment or {}, "--key-env")
            async with (
                listening(build_app(broker, ring, pool.digest)) as url,
                aiohttp.ClientSession() as session,
            ):
                try:
                    yield Shared(url, folder, pool, broker, store, session, said)
                finally:
                    await broker.stop(asyncio.Event())
