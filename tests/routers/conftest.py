"""Episodes with experts that say what a test tells them; everything between is the real thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.episode import Episode
from corl_bench.experts.attempts import Asker
from corl_bench.experts.base import (
    CheckResult,
    ExpertSpec,
    Pool,
    ProviderError,
    Reply,
    Request,
    Sampling,
)
from corl_bench.experts.caller import Caller
from corl_bench.experts.store import RecordingStore
from corl_bench.money.cap import SpendingCap
from corl_bench.money.ledger import Ledger
from corl_bench.money.prices import Price
from corl_bench.types import Message, Problem, Usage

PRICES = {"cheap": "1", "middle": "2", "dear": "8"}


class Scripted:
    """A provider whose experts answer with given texts, one after another."""

    def __init__(self, answers: Mapping[str, list[str | ProviderError]]) -> None:
        self._answers = {name: list(texts) for name, texts in answers.items()}
        self.asked: list[str] = []

    async def send(self, request: Request) -> Reply:
        self.asked.append(request.expert.name)
        answer = self._answers[request.expert.name].pop(0)
        if isinstance(answer, ProviderError):
            raise answer
        return Reply(answer, Usage(input_tokens=100, output_tokens=10), latency_s=1.0)

    async def check(self) -> CheckResult:
        return CheckResult(None)

    async def aclose(self) -> None:
        pass


@pytest.fixture
def pool() -> Pool:
    experts = tuple(
        ExpertSpec(
            name=name,
            provider="scripted",
            model=name,
            price=Price(name, date(2026, 1, 1), "test", Decimal(usd), Decimal(usd)),
            sampling=Sampling(max_output_tokens=100),
            max_attempts=2,
        )
        for name, usd in PRICES.items()
    )
    return Pool("test", experts)


@pytest.fixture
def episode_with(tmp_path: Path, pool: Pool) -> Iterator[Callable[..., Any]]:
    """Makes (episode, provider) from the answers of each expert."""
    store = RecordingStore.open(tmp_path / "store.sqlite")
    ledger = Ledger.open(tmp_path)
    made = 0

    def make(
        answers: Mapping[str, list[str | ProviderError]],
        *,
        gold: str = "42",
        oracle: bool = False,
        mode: Any = "live",
    ) -> tuple[Episode, Scripted]:
        nonlocal made
        made += 1
        provider = Scripted(answers)
        asker = Asker(
            providers={expert.name: provider for expert in pool.experts},
            store=store,
            ledger=ledger,
            cap=SpendingCap(None),
            run_id="test",
        )
        caller = Caller(asker, store, ledger, mode=mode, run_id="test")
        episode = Episode(
            key=f"episode-{made}",
            problem=Problem("1", "What is 6 × 7?", gold),
            prompt=[Message("user", "What is 6 × 7? Box it.")],
            experts=pool.experts,
            caller=caller,
            sample=0,
            seed=0,
            oracle=oracle,
        )
        return episode, provider

    yield make
    ledger.close()
    store.close()
