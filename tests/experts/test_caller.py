"""How a call is answered: modes, sharing, retries, and what the books say afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.experts.attempts import LONGEST_WAIT_S, Asker, StoppedError, settle_unaccounted
from corl_bench.experts.base import (
    CheckResult,
    ExpertSpec,
    ProviderError,
    Reply,
    Request,
    Sampling,
)
from corl_bench.experts.caller import Caller
from corl_bench.experts.recording import problem_key
from corl_bench.experts.store import RecordingStore
from corl_bench.money.cap import SpendingCap
from corl_bench.money.ledger import INTERRUPTED, Ledger, read_ledger
from corl_bench.money.prices import Price
from corl_bench.types import Message, Usage

EXPERT = ExpertSpec(
    name="a",
    provider="scripted",
    model="m",
    price=Price("m", date(2026, 1, 1), "test", Decimal(2), Decimal(8)),
    sampling=Sampling(max_output_tokens=100),
    max_attempts=3,
)
USAGE = Usage(input_tokens=30, output_tokens=50)
COST = Decimal("0.00046")

LIMITED = ProviderError("rate_limited", "slow down", retryable=True, retry_after_s=0.0)
CUT = ProviderError("cut", "cut off", retryable=True, billing="unknown", retry_after_s=0.0)
DOWN = ProviderError("server_error", "down", retryable=True, retry_after_s=0.0)
REFUSED = ProviderError("bad_request", "no such thing")


class Script:
    """A provider that replies, fails or hangs as told, one entry an attempt."""

    def __init__(self, *entries: str | Exception) -> None:
        self.entries = list(entries)
        self.asked = 0
        self.arrived = asyncio.Event()

    async def send(self, request: Request) -> Reply:
        self.asked += 1
        entry = self.entries.pop(0) if self.entries else "again"
        if isinstance(entry, Exception):
            raise entry
        self.arrived.set()
        if entry == "hang":
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        return Reply(entry, USAGE)

    async def check(self) -> CheckResult:
        return CheckResult(None)

    async def aclose(self) -> None:
        pass


class Books:
    """Store and ledger of one folder, and callers that work on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = RecordingStore.open(folder / "store.sqlite")
        self.ledger = Ledger.open(folder)

    def caller(self, script: Script, mode: Any = "auto", run_id: str = "r", **more: Any) -> Caller:
        asker = Asker(
            providers={"a": script},
            store=self.store,
            ledger=self.ledger,
            cap=SpendingCap(None),
            run_id=run_id,
            stopping=more.pop("stopping", lambda: False),
        )
        return Caller(asker, self.store, self.ledger, mode=mode, run_id=run_id, **more)

    def statuses(self) -> list[str]:
        return [line.status for line in read_ledger(self.folder)]

    def reopen(self, *, without: tuple[str, ...] = ()) -> None:
        """As the next process finds them; files named are lost."""
        self.close()
        for name in without:
            (self.folder / name).unlink()
        self.ledger = Ledger.open(self.folder)
        self.store = RecordingStore.open(self.folder / "store.sqlite")

    def close(self) -> None:
        self.ledger.close()
        self.store.close()


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    opened = Books(tmp_path)
    yield opened
    opened.close()


def request(text: str = "q", **fields: Any) -> Request:
    return replace(Request(EXPERT, (Message("user", text),), EXPERT.sampling, text), **fields)


async def test_failures_are_attempts_on_the_ledger(books: Books) -> None:
    outcome = await books.caller(Script(LIMITED, DOWN, "fine")).call(
        request(), call_id="e#0", episode="e"
    )
    assert (outcome.status, outcome.attempts, outcome.list_cost_usd) == ("ok", 3, COST)
    assert books.statuses() == ["rate_limited", "server_error", "ok"]
    assert books.ledger.totals.billed_cost_usd == COST


async def test_what_may_have_been_billed_is_repeated_once(books: Books) -> None:
    script = Script(CUT, CUT, "never reached")
    outcome = await books.caller(script).call(request(), call_id="e#0", episode="e")
    assert outcome.status == "cut"
    assert outcome.reply is None
    assert script.asked == 2
    assert outcome.unsettled_usd == books.ledger.totals.unsettled_usd > 0
    assert books.ledger.totals.billed_cost_usd == 0


@pytest.mark.parametrize(("failure", "attempts"), [(DOWN, 3), (LIMITED, 9), (REFUSED, 1)])
async def test_there_is_an_end_to_trying(
    books: Books, failure: ProviderError, attempts: int
) -> None:
    script = Script(*[failure] * 20)
    outcome = await books.caller(script).call(request(), call_id="e#0", episode="e")
    assert outcome.status == failure.status
    assert script.asked == attempts == outcome.attempts


async def test_a_provider_that_wants_a_day_is_given_up_on(books: Books) -> None:
    busy = ProviderError(
        "rate_limited", "tomorrow", retryable=True, retry_after_s=LONGEST_WAIT_S + 1
    )
    script = Script(busy)
    outcome = await books.caller(script).call(request(), call_id="e#0", episode="e")
    assert outcome.status == "rate_limited"
    again = await books.caller(script).call(request("other"), call_id="e#1", episode="e")
    assert again.status == "ok"  # and does not hold up what comes after


async def test_episodes_share_a_reply_and_the_first_pays(books: Books) -> None:
    script = Script("one")
    caller = books.caller(script)
    outcomes = await asyncio.gather(
        *(caller.call(request(), call_id=f"e{n}#0", episode=f"e{n}") for n in range(5))
    )
    assert {o.reply.text for o in outcomes if o.reply} == {"one"}
    assert script.asked == 1
    assert books.ledger.totals.billed_cost_usd == COST
    assert books.ledger.totals.list_cost_usd == 5 * COST


async def test_live_episodes_do_not_share(books: Books) -> None:
    script = Script("one", "two")
    caller = books.caller(script, "live")
    for n in range(2):
        await caller.call(request(), call_id=f"e{n}#0", episode=f"e{n}")
    assert script.asked == 2
    # The same call after a kill finds its own reply.
    again = await caller.call(request(), call_id="e1#0", episode="e1")
    assert again.reply is not None
    assert again.reply.text == "two"
    assert len(books.statuses()) == 2


async def test_samples_and_occurrences_are_draws_of_their_own(books: Books) -> None:
    script = Script("a", "b", "c")
    caller = books.caller(script)
    for fields in ({}, {"sample": 1}, {"occurrence": 1}, {}):
        await caller.call(request(**fields), call_id=f"e#{fields}", episode="e")
    assert script.asked == 3


async def test_record_asks_what_another_run_has_recorded_and_auto_does_not(books: Books) -> None:
    await books.caller(Script("old"), run_id="first").call(request(), call_id="1#0", episode="1")
    auto = await books.caller(Script("x"), run_id="second").call(
        request(), call_id="2#0", episode="2"
    )
    record = await books.caller(Script("new"), "record", "third").call(
        request(), call_id="3#0", episode="3"
    )
    assert auto.reply is not None
    assert record.reply is not None
    assert (auto.reply.text, record.reply.text) == ("old", "new")


async def test_a_failure_stays_one_until_errors_are_retried(books: Books) -> None:
    await books.caller(Script(REFUSED)).call(request(), call_id="e#0", episode="e")
    same = await books.caller(Script("fine")).call(request(), call_id="f#0", episode="f")
    assert same.status == "bad_request"
    other_run = await books.caller(Script("fine"), run_id="other").call(
        request("new"), call_id="g#0", episode="g"
    )
    assert other_run.status == "ok"

    books.reopen()
    books.ledger.resume(written=set(), again={"e"})
    script = Script("fine")
    retried = await books.caller(script, reuse_failures=False).call(
        request(), call_id="e#0", episode="e"
    )
    assert retried.status == "ok"
    assert retried.attempts == 1
    assert [line.attempt for line in read_ledger(books.folder) if line.call == "e#0"] == [1, 2]


async def test_a_cancelled_attempt_is_written_off_at_its_worst_case(books: Books) -> None:
    script = Script("hang")
    task = asyncio.create_task(books.caller(script).call(request(), call_id="e#0", episode="e"))
    await script.arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert books.statuses() == [INTERRUPTED]
    assert books.ledger.totals.unsettled_usd > COST
    again = await books.caller(Script("fine")).call(request(), call_id="e#0", episode="e")
    assert again.attempts == 1  # what a kill interrupted is no part of the episode


async def test_an_attempt_left_in_flight_is_settled_by_its_stored_reply(books: Books) -> None:
    """The process died between the store and the ledger."""
    await books.caller(Script("fine")).call(request(), call_id="e#0", episode="e")
    books.reopen(without=("ledger.jsonl",))
    assert settle_unaccounted(books.ledger, books.store, "r", {"a": EXPERT.price}) == 0
    assert books.ledger.totals.billed_cost_usd == COST
    assert books.ledger.totals.unsettled_attempts == 0


async def test_an_attempt_whose_reply_is_nowhere_stays_unsettled(books: Books) -> None:
    await books.caller(Script("fine")).call(request(), call_id="e#0", episode="e")
    books.reopen(without=("ledger.jsonl", "store.sqlite"))
    assert settle_unaccounted(books.ledger, books.store, "r", {"a": EXPERT.price}) == 1
    assert books.statuses() == [INTERRUPTED]
    assert books.ledger.totals.billed_cost_usd == 0


async def test_an_earlier_failure_settles_no_attempt_that_was_left_in_flight(books: Books) -> None:
    """It was refused once, asked again, and then the process died: nobody knows the second bill."""
    await books.caller(Script(REFUSED)).call(request(), call_id="e#0", episode="e")
    books.reopen()
    script = Script("hang")
    again = asyncio.create_task(
        books.caller(script, reuse_failures=False).call(request(), call_id="f#0", episode="e")
    )
    await script.arrived.wait()
    killed = (books.folder / "ledger.jsonl").read_bytes()
    again.cancel()
    with pytest.raises(asyncio.CancelledError):
        await again
    (books.folder / "ledger.jsonl").write_bytes(killed)
    books.reopen()
    assert settle_unaccounted(books.ledger, books.store, "r", {"a": EXPERT.price}) == 1
    assert books.statuses() == ["bad_request", INTERRUPTED]
    assert books.ledger.totals.unsettled_usd > COST


async def test_the_failure_of_one_draw_stands_for_no_other(books: Books) -> None:
    first, second = request(), replace(request(), sample=1)
    await books.caller(Script(REFUSED)).call(first, call_id="e#0", episode="e")
    script = Script(REFUSED, "fine")
    caller = books.caller(script, reuse_failures=False)
    assert (await caller.call(second, call_id="e#1", episode="e")).reply is None
    assert (await caller.call(first, call_id="e#2", episode="e")).reply is not None
    assert (await caller.call(second, call_id="e#3", episode="e")).reply is None
    assert script.asked == 2


async def test_a_later_failure_hides_no_reply_that_is_stored(books: Books) -> None:
    """Two runs on one store ask for a draw at once; one is answered, the other refused."""
    refused = Script("hang")
    waiting = asyncio.create_task(
        books.caller(refused, run_id="two").call(request(), call_id="e#0", episode="e")
    )
    await refused.arrived.wait()
    await books.caller(Script("fine"), run_id="one").call(request(), call_id="e#1", episode="e")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    stored = books.store.find(request().key(), 0, 0, episode="")
    assert stored is not None and stored.reply is not None
    books.store.add(replace(stored, run_id="two", reply=None))
    script = Script()
    again = await books.caller(script, run_id="two").call(request(), call_id="e#2", episode="e")
    assert again.reply is not None and again.reply.text == "fine" and script.asked == 0


async def test_nothing_is_sent_once_the_run_is_stopping(books: Books) -> None:
    script = Script("fine")
    with pytest.raises(StoppedError):
        await books.caller(script, stopping=lambda: True).call(
            request(), call_id="e#0", episode="e"
        )
    assert script.asked == 0
    assert books.statuses() == []


async def test_half_a_surrogate_pair_is_replaced_before_anything_is_written(books: Books) -> None:
    outcome = await books.caller(Script("bad \ud800 text")).call(
        request(), call_id="e#0", episode="e"
    )
    assert outcome.reply is not None
    assert outcome.reply.text == "bad \ufffd text"


@pytest.mark.parametrize(
    ("mode", "provider", "remedy"),
    [
        ("replay", "scripted", "run with --mode auto"),
        ("replay", "recorded", "name a live provider"),
        ("auto", "recorded", "name a live provider"),
    ],
)
async def test_what_is_not_recorded_is_named_with_what_to_do(
    books: Books, mode: str, provider: str, remedy: str
) -> None:
    script = Script("fine")
    asked = request("What is 2 + 2?", expert=replace(EXPERT, provider=provider), sample=3)
    outcome = await books.caller(script, mode).call(asked, call_id="e#0", episode="e")
    assert (outcome.status, outcome.reply, outcome.attempts) == ("not_recorded", None, 0)
    assert script.asked == 0
    assert books.statuses() == []
    for part in ("of a (m)", problem_key("What is 2 + 2?")[:12], "sample 3", remedy):
        assert part in outcome.detail
    assert "\n" not in outcome.detail
