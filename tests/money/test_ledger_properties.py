"""The books under any interleaving of attempts, retries, cancellations and kills.

A server that keeps its own bill answers, refuses, cuts off and hangs by the dice, while episodes
call through the run's own caller, asker, journal, ledger and store. Some episodes are cancelled
and begun again. A kill is what is on disk at one moment: the files are copied between two steps
(before the server has answered, after it, and between the two writes of a reply), what goes on
afterwards is thrown away, and a new process opens the copy. Its bill goes on from that moment.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corl_bench.errors import CapReachedError
from corl_bench.experts import attempts
from corl_bench.experts.attempts import Asker, settle_unaccounted
from corl_bench.experts.base import (
    CheckResult,
    ExpertSpec,
    ProviderError,
    Reply,
    Request,
    Sampling,
)
from corl_bench.experts.caller import Caller, CallOutcome
from corl_bench.experts.recording import RecordedCall
from corl_bench.experts.store import RecordingStore
from corl_bench.money.cap import SpendingCap
from corl_bench.money.ledger import INTERRUPTED, Ledger, LedgerLine, read_ledger
from corl_bench.money.prices import Price
from corl_bench.types import Message, Mode, Usage

EXPERT = ExpertSpec(
    name="a",
    provider="scripted",
    model="m",
    price=Price("m", date(2026, 1, 1), "test", Decimal(2), Decimal(8)),
    sampling=Sampling(max_output_tokens=100),
    max_attempts=3,
)
MTOK = Decimal(1_000_000)


class KilledError(Exception):
    """What happens from here on happens to nobody: the process is dead."""


@dataclass
class World:
    """What outlives a process: its files, and what the server has counted."""

    folder: Path
    dice: random.Random
    kill_at: int
    """The moment of the kill, counted in places where one can happen."""
    bill_usd: Decimal = Decimal(0)
    moments: int = 0
    snapshot: tuple[Path, Decimal] | None = None
    asked: Counter[str] = field(default_factory=Counter)

    def moment(self) -> None:
        """A place where the process may be killed."""
        self.moments += 1
        if self.moments != self.kill_at:
            return
        copy = self.folder.with_name(self.folder.name + "+")
        copy.mkdir()
        for path in self.folder.iterdir():
            if not path.name.endswith("-shm"):  # an index of memory, made anew from the log
                shutil.copy(path, copy / path.name)
        self.snapshot = copy, self.bill_usd


class Server:
    """Answers by the dice, and bills what it answers, seen or not."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def send(self, request: Request) -> Reply:
        world, dice = self.world, self.world.dice
        world.asked[request.messages[-1].content] += 1
        world.moment()
        for _ in range(dice.randrange(3)):
            await asyncio.sleep(0)
        usage = Usage(input_tokens=dice.randint(1, 60), output_tokens=dice.randint(1, 100))
        cost_usd = (2 * usage.input_tokens + 8 * usage.output_tokens) / MTOK
        fate = dice.choice(("ok", "ok", "ok", "down", "limited", "cut", "refused", "hang"))
        if fate in ("ok", "cut", "hang") and (fate == "ok" or dice.random() < 0.5):
            world.bill_usd += cost_usd
        world.moment()
        if fate == "hang":
            await asyncio.sleep(0.002)
            raise ProviderError(
                "timeout", "late", retryable=True, billing="unknown", retry_after_s=0.0
            )
        if fate == "cut":
            raise ProviderError("cut", "cut", retryable=True, billing="unknown", retry_after_s=0.0)
        if fate == "refused":
            raise ProviderError("bad_request", "no such thing")
        if fate in ("down", "limited"):
            status: Any = {"down": "server_error", "limited": "rate_limited"}[fate]
            raise ProviderError(status, fate, retryable=True, retry_after_s=0.0)
        return Reply(text=f"{dice.random()}", usage=usage, model="m")

    async def check(self) -> CheckResult:
        return CheckResult(reachable=True)

    async def aclose(self) -> None:
        """Nothing is open."""


class WatchedStore:
    """A store, and a moment between its write and the ledger's."""

    def __init__(self, store: RecordingStore, moment: Callable[[], None]) -> None:
        self._store = store
        self._moment = moment

    def add(self, call: RecordedCall) -> bool:
        added = self._store.add(call)
        self._moment()
        return added

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


async def live(
    world: World, mode: Mode, questions: list[list[str]], cap_usd: Decimal | None, *, first: bool
) -> dict[str, CallOutcome]:
    """One process: opens the folder, settles what it finds, makes all episodes."""
    outcomes: dict[str, CallOutcome] = {}
    path = world.folder / "recordings.sqlite"
    with RecordingStore.open(path) as stored, Ledger.open(world.folder) as ledger:
        store: Any = WatchedStore(stored, world.moment)
        settle_unaccounted(ledger, store, "r", {"a": EXPERT.pricing})
        assert not ledger.unaccounted()
        cap = SpendingCap(cap_usd, ledger.totals.committed_usd)
        asker = Asker(
            providers={"a": Server(world)}, store=store, ledger=ledger, cap=cap, run_id="r"
        )
        caller = Caller(asker, store, ledger, mode=mode, run_id="r")

        async def episode(number: int) -> None:
            for place, question in enumerate(questions[number]):
                request = Request(
                    EXPERT, (Message("user", question),), EXPERT.sampling, problem_text=question
                )
                call_id = f"e{number}#{place}"
                outcomes[call_id] = await caller.call(
                    request, call_id=call_id, episode=f"e{number}"
                )

        async def stubborn(number: int) -> None:
            """Some are cancelled half-way and begun again, as a resume does it."""
            for _ in range(world.dice.randrange(3) if first else 0):
                task = asyncio.create_task(episode(number))
                for _ in range(world.dice.randrange(1, 8)):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            try:
                await episode(number)
            except CapReachedError:
                return

        await asyncio.gather(*map(stubborn, range(len(questions))))
        if cap_usd is not None:
            assert cap.spent_usd <= cap_usd
            assert not cap.reserved_usd
        assert ledger.totals.committed_usd == cap.spent_usd
    return outcomes


def check_books(
    world: World, outcomes: dict[str, CallOutcome], *, whole: bool, shared: bool
) -> list[LedgerLine]:
    lines = list(read_ledger(world.folder))
    journal = [
        json.loads(line) for line in (world.folder / "journal.jsonl").read_text().splitlines()
    ]
    # Every attempt is in the journal once and in the ledger once.
    announced = [(row["call"], row["attempt"]) for row in journal]
    accounted = [(line.call, line.attempt) for line in lines if not line.stored]
    assert len(set(announced)) == len(announced)
    assert sorted(announced) == sorted(accounted)
    assert len({(line.call, line.attempt) for line in lines}) == len(lines)
    # What the server has counted lies between what is known and what may be.
    billed_usd = sum((line.billed_cost_usd for line in lines), Decimal(0))
    unsettled_usd = sum((line.unsettled_usd for line in lines), Decimal(0))
    assert billed_usd <= world.bill_usd <= billed_usd + unsettled_usd
    # Lines and episodes come to the same list cost, and to the same open bills but for those
    # of attempts that nobody waited for any more.
    if whole:
        listed_usd = sum((line.list_cost_usd for line in lines), Decimal(0))
        assert listed_usd == sum((o.list_cost_usd for o in outcomes.values()), Decimal(0))
        if not shared:
            left_usd = sum(
                (ln.unsettled_usd for ln in lines if ln.status == INTERRUPTED), Decimal(0)
            )
            open_usd = sum((o.unsettled_usd for o in outcomes.values()), Decimal(0))
            assert unsettled_usd == open_usd + left_usd
    return lines


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long is waited before another try is no matter of these tests."""
    monkeypatch.setattr(attempts, "backoff_s", lambda *_, **__: 0.0)


@settings(
    max_examples=int(os.environ.get("CORL_LEDGER_EXAMPLES", "60")),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    seed=st.integers(0, 2**32),
    mode=st.sampled_from(["auto", "live", "record"]),
    kill_at=st.integers(0, 60),
    cap_usd=st.sampled_from([None, None, Decimal("0.004"), Decimal("0.02")]),
    shared=st.booleans(),
)
def test_books_balance_and_bracket_the_servers(
    seed: int, mode: Mode, kill_at: int, cap_usd: Decimal | None, shared: bool
) -> None:
    dice = random.Random(seed)
    count = iter(range(10_000))
    questions = [
        [f"q{dice.randrange(4) if shared else next(count)}" for _ in range(dice.randint(1, 3))]
        for _ in range(dice.randint(1, 5))
    ]
    if shared:  # the same question twice in an episode is another draw, which is the caller's
        questions = [list(dict.fromkeys(asked)) for asked in questions]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "run")
        folder.mkdir()
        world = World(folder, dice, kill_at)
        outcomes = asyncio.run(live(world, mode, questions, cap_usd, first=True))
        whole = len(outcomes) == sum(map(len, questions))
        check_books(world, outcomes, whole=whole, shared=shared)
        if world.snapshot is None:
            return
        copy, bill_usd = world.snapshot
        killed = World(copy, dice, kill_at=0, bill_usd=bill_usd)
        before = {(line.call, line.attempt) for line in read_ledger(copy)}
        outcomes = asyncio.run(live(killed, mode, questions, cap_usd, first=False))
        whole = len(outcomes) == sum(map(len, questions))
        lines = check_books(killed, outcomes, whole=whole, shared=shared)
        assert before <= {(line.call, line.attempt) for line in lines}
