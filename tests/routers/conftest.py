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

    def __init__(self, answers: Mapping[str, list[str | Reply | ProviderError]]) -> None:
        self._answers = {name: list(texts) for name, texts in answers.items()}
        self.asked: list[str] = []
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Reply:
        self.asked.append(request.expert.name)
        self.requests.append(request)
        answer = self._answers[request.expert.name].pop(0)
        if isinstance(answer, ProviderError):
            raise answer
        if isinstance(answer, Reply):
            return answer
        return Reply(answer, Usage(input_tokens=100, output_tokens=10), latency_s=1.0)

    async def check(self) -> CheckResult:
        return CheckResult(None)

    async def aclose(self) -> None:
        pass


def scripted(name: str, usd: str, **changes: Any) -> ExpertSpec:
    """An expert that says what a test tells it, at so many dollars per million tokens."""
    return ExpertSpec(
        name=name,
        provider="scripted",
        model=name,
        price=Price(name, date(2026, 1, 1), "test", Decimal(usd), Decimal(usd)),
        sampling=Sampling(max_output_tokens=100),
        max_attempts=2,
        **changes,
    )


@pytest.fixture
def own_model() -> ExpertSpec:
    """What a controller brings."""
    return scripted("own", "0.1", role="self")


@pytest.fixture
def pool() -> Pool:
    return Pool("test", tuple(scripted(name, usd) for name, usd in PRICES.items()))


@pytest.fixture
def episode_with(tmp_path: Path, pool: Pool) -> Iterator[Callable[..., Any]]:
    """Makes (episode, provider) from the answers of each expert."""
    store = RecordingStore.open(tmp_path / "store.sqlite")
    ledger = Ledger.open(tmp_path)
    made = 0

    def make(
        answers: Mapping[str, list[str | Reply | ProviderError]],
        *,
        gold: str = "42",
        oracle: bool = False,
        mode: Any = "live",
        brought: tuple[ExpertSpec, ...] = (),
    ) -> tuple[Episode, Scripted]:
        nonlocal made
        made += 1
        provider = Scripted(answers)
        experts = (*pool.experts, *brought)
        asker = Asker(
            providers={expert.name: provider for expert in experts},
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
            experts=experts,
            caller=caller,
            sample=0,
            seed=0,
            oracle=oracle,
        )
        return episode, provider

    yield make
    ledger.close()
    store.close()
