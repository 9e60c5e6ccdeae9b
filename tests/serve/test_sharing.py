"""A pool that many workers share: one store, one cap, and no draw asked for twice."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.errors import CapReachedError, ConfigError, StorageError
from corl_bench.experts.base import ProviderError, SharedPool, draw_of
from corl_bench.experts.pools import load_pool
from corl_bench.experts.providers import ProviderContext, make_provider
from corl_bench.experts.transport import Transport
from corl_bench.runs.calling import open_providers
from corl_bench.runs.plan import Plan
from corl_bench.serve.sharing.broker import ShareLimits
from corl_bench.serve.sharing.worker_pool import worker_pool
from serve.endpoints import until
from serve.sharing import QUESTION, request_of, shared
from servers.fault_server import Answer, FaultServer, Question

KEY = "a-worker-key-0123456789"


async def test_a_worker_is_told_what_the_provider_has_billed(tmp_path: Path) -> None:
    def thinking(question: Question) -> Answer:
        return Answer("So \\boxed{42}.", reasoning_tokens=7, cached_tokens=3)

    async with FaultServer(answer=thinking) as upstream:
        async with (
            shared(tmp_path / "s", upstream.base_url) as pool,
            pool.worker(tmp_path) as worker,
        ):
            outcome = await worker.call("a", sample=4)
            request = request_of(pool.pool, "a", sample=4)
            stored = pool.store.find(request.key(), 4, 0)
            again = await worker.call("a", sample=4, occurrence=2)
        assert stored is not None and stored.reply is not None
        assert outcome.reply.text == stored.reply.text == "So \\boxed{42}."
        assert outcome.reply.usage == stored.reply.usage
        assert outcome.reply.usage.reasoning_tokens == 7
        assert outcome.reply.usage.cached_input_tokens == 3
        assert outcome.list_cost_usd == pool.lines()[0].billed_cost_usd == again.list_cost_usd
        # A request that an episode repeats is another draw.
        assert [line.status for line in pool.lines()] == ["ok", "ok"]
        assert len(upstream.requests) == 2


async def test_the_draw_travels_through_to_servers_that_honour_it(tmp_path: Path) -> None:
    async with FaultServer() as upstream:
        async with (
            shared(tmp_path / "s", upstream.base_url, settings={"send_seed": "true"}) as pool,
            pool.worker(tmp_path) as worker,
        ):
            await worker.call("b", sample=999_999, occurrence=3)
            await worker.call("b", sample=5)
        assert [r["body"]["seed"] for r in upstream.requests] == [3_999_999, 5]
        assert [draw_of(r["body"]["seed"]) for r in upstream.requests] == [(999_999, 3), (5, 0)]


async def test_sampling_of_a_worker_is_that_of_a_run(tmp_path: Path) -> None:
    """Recordings of a run that asked the pool itself are found, and the other way round."""
    async with FaultServer() as upstream, shared(tmp_path / "s", upstream.base_url) as pool:
        status, _ = await pool.ask(temperature=0, top_p=1.0, stop="</call>", max_tokens=50)
        assert status == 200
        spec = pool.pool["a"]
        direct = request_of(pool.pool, "a")
        changed = {"max_output_tokens": 50, "temperature": 0.0, "top_p": 1.0, "stop": ("</call>",)}
        for sampling, there in ((spec.sampling, False), (type(spec.sampling)(**changed), True)):
            request = request_of(pool.pool, "a", sampling=sampling)
            assert (pool.store.find(request.key(), 0, 0) is not None) is there
        assert direct.key() != request.key()


async def test_one_draw_in_flight_is_asked_once_and_shared(tmp_path: Path) -> None:
    async with FaultServer(latency_s=0.3) as upstream:
        async with shared(tmp_path, upstream.base_url) as pool:
            asked = [pool.ask(seed=number % 3) for number in range(24)]
            answers = await asyncio.gather(*asked)
            stats = await pool.stats()
        assert {status for status, _ in answers} == {200}
        assert len(upstream.requests) == 3
        assert sum(not body["corl"]["stored"] for _, body in answers) == 3
        assert (stats["answered_by_asking"], stats["answered_from_store"]) == (3, 21)
        assert Decimal(stats["billed_usd"]) == upstream.bill_usd == Decimal(stats["spent_usd"])
        assert Decimal(stats["list_cost_usd"]) == 8 * upstream.bill_usd


async def test_what_is_stored_is_never_asked_for_again(tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    async with FaultServer() as upstream:
        for folder in ("one", "one", "two"):
            async with shared(tmp_path / folder, upstream.base_url, recordings=store) as pool:
                answers = [await pool.ask(seed=seed) for seed in range(4)]
                assert [status for status, _ in answers] == [200] * 4
        assert len(upstream.requests) == 4
        assert pool.broker.stats()["billed_usd"] == "0"


async def test_the_cap_holds_for_all_workers_and_ends_a_run(tmp_path: Path) -> None:
    async with FaultServer(latency_s=0.02) as upstream:
        async with (
            shared(tmp_path / "s", upstream.base_url, cap_usd="0.004") as pool,
            pool.worker(tmp_path) as worker,
        ):
            asked = [worker.call("a", sample=sample) for sample in range(40)]
            ends = await asyncio.gather(*asked, return_exceptions=True)
            refused = [end for end in ends if isinstance(end, CapReachedError)]
            assert 0 < len(refused) < 40
            assert all(end.reply is not None for end in ends if not isinstance(end, Exception))
            assert "spending cap of $0.004" in str(refused[0])
            assert "higher --max-cost" in str(refused[0])
            # A refusal is no failure that stays: it is in no store, and costs nothing.
            assert worker.ledger.totals.unsettled_usd == 0
            assert worker.ledger.totals.billed_cost_usd == upstream.bill_usd
            stats = await pool.stats()
        assert Decimal(stats["spent_usd"]) == upstream.bill_usd <= Decimal("0.004")
        assert stats["refused_by_cap"] == len(refused)
        answered = len(ends) - len(refused)
        async with (
            shared(tmp_path / "s", upstream.base_url, cap_usd="0.5") as pool,
            pool.worker(tmp_path) as worker,
        ):
            for sample in range(40):
                assert (await worker.call("a", sample=sample)).reply is not None
            assert (await pool.stats())["answered_by_asking"] == 40 - answered
        assert len(upstream.requests) == 40


async def test_a_worker_that_leaves_finds_its_reply_later(tmp_path: Path) -> None:
    async with FaultServer(latency_s=0.4) as upstream:
        async with shared(tmp_path, upstream.base_url) as pool:
            asking = asyncio.create_task(pool.ask())
            await until(lambda: upstream.requests)
            asking.cancel()
            await until(lambda: pool.broker.stats()["answered_by_asking"])
            _, body = await pool.ask()
        assert body["corl"]["stored"]
        assert len(upstream.requests) == 1


async def test_retries_are_made_by_the_server_alone(tmp_path: Path) -> None:
    async with FaultServer(["500"] * 2) as upstream:
        settings = {"max_attempts": 2}
        async with (
            shared(tmp_path / "s", upstream.base_url, settings=settings) as pool,
            pool.worker(tmp_path) as worker,
        ):
            outcome = await worker.call("a")
            assert (outcome.status, outcome.attempts) == ("bad_request", 1)
            assert outcome.detail.startswith("status 424: the call to a failed (server_error)")
            assert len(upstream.requests) == 2


async def test_an_outage_ends_with_those_who_waited_in_it(tmp_path: Path) -> None:
    """Nothing was billed and another try may help, so the next who asks is not told of it."""
    async with FaultServer(["503"] * 2, latency_s=0.2) as upstream:
        settings = {"max_attempts": 2}
        async with shared(tmp_path, upstream.base_url, settings=settings) as pool:
            answers = await asyncio.gather(*(pool.ask() for _ in range(5)))
            assert (
                answers
                == [
                    (
                        424,
                        {
                            "error": {
                                "message": "the call to a failed (server_error) after 2 attempts",
                                "type": "invalid_request_error",
                                "param": None,
                                "code": "expert_failed",
                            }
                        },
                    )
                ]
                * 5
            )
            assert len(upstream.requests) == 2
            assert (await pool.ask())[0] == 200
            assert (await pool.stats())["failed"] == 5


@pytest.mark.parametrize(("fault", "attempts"), [("400", 1), ("cut", 2)])
async def test_what_no_repeat_mends_or_may_be_billed_stands(
    tmp_path: Path, fault: str, attempts: int
) -> None:
    async with FaultServer([fault] * attempts) as upstream:
        async with shared(tmp_path, upstream.base_url) as pool:
            assert [(await pool.ask())[0] for _ in range(3)] == [424] * 3
        assert len(upstream.requests) == attempts
        # The next server tries again.
        async with shared(tmp_path, upstream.base_url) as pool:
            assert (await pool.ask())[0] == 200


async def test_a_conversation_that_is_too_long_is_that_for_a_worker_too(tmp_path: Path) -> None:
    async with (
        FaultServer(["too_long"]) as upstream,
        shared(tmp_path / "s", upstream.base_url) as pool,
        pool.worker(tmp_path) as worker,
    ):
        assert (await worker.call("a")).status == "too_long"


async def test_a_replay_asks_nobody(tmp_path: Path) -> None:
    async with FaultServer() as upstream:
        async with shared(tmp_path, upstream.base_url) as pool:
            await pool.ask()
        async with shared(tmp_path, upstream.base_url, mode="replay") as pool:
            assert (await pool.ask())[0] == 200
            status, body = await pool.ask(seed=1)
            assert (status, body["error"]["code"]) == (404, "not_recorded")
        assert len(upstream.requests) == 1


async def test_a_stop_waits_for_what_is_in_flight(tmp_path: Path) -> None:
    async with FaultServer(latency_s=0.5) as upstream:
        async with shared(tmp_path, upstream.base_url) as pool:
            asking = asyncio.create_task(pool.ask())
            await until(lambda: upstream.requests)
            stopping = asyncio.create_task(pool.broker.stop(asyncio.Event()))
            await until(lambda: pool.broker.stopping)
            status, body = await pool.ask(seed=1)
            assert (status, body["error"]["code"]) == (503, "stopping")
            assert (await asking)[0] == 200
            await stopping
        assert [line.status for line in pool.lines()] == ["ok"]


async def test_who_asks_again_does_not_wait(tmp_path: Path) -> None:
    async with FaultServer(latency_s=60) as upstream:
        async with shared(tmp_path, upstream.base_url) as pool:
            asking = asyncio.create_task(pool.ask())
            await until(lambda: upstream.requests)
            hurry = asyncio.Event()
            stopping = asyncio.create_task(pool.broker.stop(hurry))
            await until(lambda: pool.broker.stopping)
            hurry.set()
            await stopping
            assert (await asking)[0] == 503
        (line,) = pool.lines()
        assert (line.status, line.settled) == ("interrupted", False)
        assert line.unsettled_usd > upstream.bill_usd


async def test_books_that_cannot_be_written_end_the_server(tmp_path: Path) -> None:
    async with FaultServer() as upstream, shared(tmp_path, upstream.base_url) as pool:
        pool.store.close()
        status, body = await pool.ask()
        assert (status, body["error"]["code"]) == (503, "storage")
        assert isinstance(pool.broker.failed.result(), StorageError)


def _body(**changes: Any) -> str:
    said = [{"role": "user", "content": QUESTION}]
    body = {"model": "a", "seed": 0, "messages": said} | changes
    return json.dumps({name: value for name, value in body.items() if value != "missing"})


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        ("{", 400, "invalid_json", "not JSON"),
        ("[1]", 400, "invalid_json", "not a JSON object"),
        ("[" * 100_000, 400, "invalid_json", "not JSON"),
        (_body(model="o3"), 404, "model_not_found", "no expert 'o3' in this pool; there are a, b"),
        (_body(model="x" * 10_000), 404, "model_not_found", "no expert"),
        (_body(model=3), 400, "invalid_value", "model"),
        (_body(seed="missing"), 400, "missing_required_parameter", "which draw"),
        (_body(seed=-1), 400, "invalid_value", "seed"),
        (_body(seed=1.5), 400, "invalid_value", "seed"),
        (_body(seed=2**60), 400, "invalid_value", "seed"),
        (_body(messages=[]), 400, "missing_required_parameter", "messages"),
        (_body(messages="hello"), 400, "invalid_value", "messages"),
        (_body(messages=[{"role": "tool", "content": "x"}]), 400, "invalid_value", "role"),
        (_body(messages=[{"role": "system", "content": "x"}]), 400, "invalid_value", "user"),
        (
            _body(messages=[{"role": "user", "content": "x", "name": "eve"}]),
            400,
            "unsupported_parameter",
            "messages.0.name",
        ),
        (_body(top_k=5), 400, "unsupported_parameter", "recordings are not told apart by it"),
        (_body(tools=[{"type": "function"}]), 400, "unsupported_parameter", "tools"),
        (_body(stream=True), 400, "invalid_value", "stream"),
        (_body(n=2), 400, "invalid_value", "n"),
        (_body(max_tokens=0), 400, "invalid_value", "max_tokens"),
        (_body(max_tokens=10**70), 400, "invalid_value", "max_tokens"),
        (
            _body(
                messages=[
                    {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": 1}]}
                ]
            ),
            400,
            "unsupported_parameter",
            "messages.0.content.0.cache_control",
        ),
        (_body(temperature=-1), 400, "invalid_value", "temperature"),
        ('{"model": "a", "seed": NaN}', 400, "invalid_json", "not JSON"),
    ],
)
async def test_what_cannot_be_carried_out_is_refused(
    tmp_path: Path, body: str, status: int, code: str, words: str
) -> None:
    async with shared(tmp_path, "http://127.0.0.1:9/v1") as pool:
        answered, said = await pool.send(body)
    assert (answered, said["error"]["code"]) == (status, code)
    assert words in said["error"]["message"]
    assert len(said["error"]["message"]) < 400
    assert pool.lines() == []


async def test_nothing_in_a_field_is_no_field(tmp_path: Path) -> None:
    """Clients send back what they were sent, with empty fields that ask for nothing."""
    said = [
        {"role": "user", "content": "Say a\ud800b"},
        {"role": "assistant", "content": "b", "refusal": None, "tool_calls": None},
        {"role": "user", "content": [{"type": "text", "text": "Again."}]},
    ]
    async with FaultServer() as upstream, shared(tmp_path, upstream.base_url) as pool:
        status, _ = await pool.send(_body(messages=said, tools=None, temperature=None, n=1))
        assert status == 200
    assert upstream.requests[0]["body"]["messages"] == [
        {"role": "user", "content": "Say a�b"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "Again."},
    ]


async def test_values_that_no_file_could_hold_are_brought_to_those_that_can(tmp_path: Path) -> None:
    async with FaultServer() as upstream, shared(tmp_path, upstream.base_url) as pool:
        for changes in ({"stop": "\ud800"}, {"reasoning_effort": "\ud800"}):
            assert (await pool.send(_body(**changes)))[0] == 200
        for temperature in (0.0, -0.0, 0):
            assert (await pool.send(_body(temperature=temperature)))[0] == 200
    assert [r["body"].get("stop") for r in upstream.requests] == [
        ["\N{REPLACEMENT CHARACTER}"],
        None,
        None,
    ]


async def test_large_bodies_are_not_read(tmp_path: Path) -> None:
    limits = ShareLimits(max_body_bytes=2000, max_in_flight=1)
    async with shared(tmp_path, "http://127.0.0.1:9/v1", limits=limits) as pool:
        status, body = await pool.ask("x" * 4000)
        assert (status, body["error"]["code"]) == (413, "request_too_large")

        pulled = 0

        async def endless() -> Any:
            nonlocal pulled
            for _ in range(2000):
                pulled += 1
                yield b" " * 100_000
                await asyncio.sleep(0)

        address = f"{pool.url}/chat/completions"
        headers = {"Content-Type": "application/json"}
        async with pool.session.post(address, data=endless(), headers=headers) as answer:
            assert answer.status == 413
        assert pulled < 1000  # of 200 MB, what lies in buffers between two sockets
        status, body = await pool.send(_body(), **{"Content-Type": "text/plain"})
        assert (status, body["error"]["code"]) == (415, "unsupported_media_type")


async def test_memory_is_bounded_by_what_is_under_way(tmp_path: Path) -> None:
    """Not by the number of requests alone: many small ones fit where two large ones do not."""
    limits = ShareLimits(max_in_flight_bytes=20_000, grace_s=5.0)
    async with (
        FaultServer(latency_s=0.5) as upstream,
        shared(tmp_path, upstream.base_url, limits=limits) as pool,
    ):
        large = asyncio.create_task(pool.ask("x" * 15_000))
        await until(lambda: upstream.requests)
        status, body = await pool.ask("y" * 15_000, seed=1)
        assert (status, body["error"]["code"]) == (503, "overloaded")
        small = await asyncio.gather(*(pool.ask(seed=seed) for seed in range(10)))
        assert {status for status, _ in small} == {200}
        assert (await large)[0] == 200
        # What has ended, or was refused, holds nothing any more.
        assert (await pool.ask("y" * 15_000, seed=1))[0] == 200


async def test_too_many_at_a_time_are_told_to_come_back(tmp_path: Path) -> None:
    limits = ShareLimits(max_in_flight=1, grace_s=5.0)
    async with (
        FaultServer(latency_s=0.4) as upstream,
        shared(tmp_path, upstream.base_url, limits=limits) as pool,
    ):
        asking = asyncio.create_task(pool.ask())
        await until(lambda: upstream.requests)
        status, body = await pool.ask(seed=1)
        assert (status, body["error"]["code"]) == (503, "overloaded")
        assert (await asking)[0] == 200


async def test_who_has_no_key_learns_nothing(tmp_path: Path) -> None:
    async with (
        FaultServer() as upstream,
        shared(
            tmp_path, upstream.base_url, key_env="SHARE_KEY", environment={"SHARE_KEY": KEY}
        ) as pool,
    ):
        for key in (None, "", "another-key-0123456789", KEY[:-1]):
            status, body = await pool.ask(key=key)
            assert (status, body["error"]["code"]) == (401, "invalid_api_key")
        for path in ("stats", "models"):
            async with pool.session.get(f"{pool.url}/{path}") as answer:
                assert answer.status == 401
        async with pool.session.get(pool.url.removesuffix("/v1") + "/health") as answer:
            assert await answer.json() == {"status": "ok"}
        assert (await pool.ask(key=KEY))[0] == 200
    assert len(upstream.requests) == 1


async def test_without_a_key_no_other_host_is_answered(tmp_path: Path) -> None:
    async with shared(tmp_path, "http://127.0.0.1:9/v1") as pool:
        status, body = await pool.send(_body(), Host="evil.example")
        assert (status, body["error"]["code"]) == (403, "forbidden_host")
        async with pool.session.get(f"{pool.url}/nothing") as answer:
            assert (await answer.json())["error"]["code"] == "not_found"


async def test_a_worker_waits_for_as_long_as_its_server_is_asking(tmp_path: Path) -> None:
    """Its time-out follows from the server's, not from the provider's, however long the queue."""
    limits = ShareLimits(answer_s=0.3, grace_s=5.0)
    async with FaultServer(latency_s=0.5) as upstream:
        async with (
            shared(
                tmp_path / "s",
                upstream.base_url,
                limits=limits,
                settings={"max_concurrency": 1, "timeout_s": 5.0},
            ) as pool,
            pool.worker(tmp_path) as worker,
        ):
            asked = [worker.call("a", sample=sample) for sample in range(4)]
            outcomes = await asyncio.gather(*asked)
            stats = await pool.stats()
        assert [(outcome.status, outcome.attempts) for outcome in outcomes] == [("ok", 1)] * 4
        assert len(upstream.requests) == 4
        # Whoever comes back for an answer is no further request.
        assert (stats["answered_by_asking"], stats["answered_from_store"]) == (4, 0)
        assert Decimal(stats["list_cost_usd"]) == Decimal(stats["billed_usd"]) == upstream.bill_usd
        assert worker.ledger.totals.unsettled_usd == 0
    text = worker_pool(pool.pool, pool.url, key_env=None, answer_s=limits.answer_s)
    (tmp_path / "w.toml").write_text(text)
    assert load_pool(str(tmp_path / "w.toml"))["a"].timeout_s > limits.answer_s


async def test_a_worker_of_another_pool_is_refused_before_anything_is_spent(tmp_path: Path) -> None:
    async with FaultServer() as upstream:
        async with shared(tmp_path / "s", upstream.base_url) as before:
            (tmp_path / "w.toml").write_text(
                worker_pool(before.pool, "http://127.0.0.1:9/v1", key_env=None, answer_s=60.0)
            )
        async with shared(tmp_path / "s", upstream.base_url, settings={"top_p": 0.5}) as now:
            text = (tmp_path / "w.toml").read_text()
            (tmp_path / "w.toml").write_text(text.replace("http://127.0.0.1:9/v1", now.url))
            pool = load_pool(str(tmp_path / "w.toml"))
            with pytest.raises(ConfigError, match="shares another pool"):
                async with open_providers(Plan((), pool, (), (), 1, 0, None, "auto"), ()):
                    pass
            context = ProviderContext(pool=pool, transport=(transport := Transport()))
            with pytest.raises(ProviderError, match="shares another pool"):
                await make_provider(pool["a"], context).send(request_of(pool, "a"))
            await transport.aclose()
        assert upstream.requests == []


CARDED = """
cards = "cards.toml"
[experts.n]
provider = "openai"
model = "gpt-4.1-nano"
max_output_tokens = 100
usage = "estimate"
description = "small"
stop = ["</a>"]
[experts.n.options.body]
top_k = 5
scale = 0.5
[experts.c]
provider = "anthropic"
model = "claude-sonnet-4-5"
max_output_tokens = 300
[experts.g]
provider = "openai"
model = "own"
base_url = "http://127.0.0.1:9/v1"
max_output_tokens = 50
role = "self"
[experts.g.price]
usd_per_gpu_hour = "1.80"
input_tokens_per_s = 20000
output_tokens_per_s = 3000
effective_from = 2026-11-01
source = "tests"
[budgets]
low = "0.0005"
"""
CARDS = """
["gpt-4.1-nano"]
trials = 9
silent = 0.1
calls = [[80, 120], [90, 140]]
right = { all = 0.5, Geometry = 0.25 }
"""


@pytest.mark.parametrize("name", ["corl-paper", "sim", "carded.toml"])
def test_a_run_with_the_file_of_workers_differs_only_in_where_it_asks(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("carded.toml").write_text(CARDED)
    Path("cards.toml").write_text(CARDS)
    own = load_pool(name)
    for url, over_http in (
        ("http://127.0.0.1:8200/v1", False),
        ("http://10.0.0.1:8200/v1", True),
        ("https://pool.example/v1", False),
    ):
        text = worker_pool(own, url, key_env="SHARE_KEY", answer_s=90.0, seed=3)
        Path("worker.toml").write_text(text)
        workers = load_pool("worker.toml")
        assert workers.digest == own.digest
        assert (workers.name, workers.budgets) == (own.name, own.budgets)
        assert workers.price_date == own.price_date
        for theirs, spec in zip(workers.experts, own.experts, strict=True):
            assert theirs.shared == SharedPool(own.digest, 3)
            assert (theirs.base_url, theirs.key_env) == (url, "SHARE_KEY")
            assert theirs.key_over_http is over_http
            as_in_pool = {
                field: getattr(spec, field)
                for field in ("base_url", "key_env", "key_over_http", "timeout_s", "max_attempts")
            }
            assert replace(theirs, shared=None, **as_in_pool) == spec
            request = request_of(own, spec.name, sample=2, seed=3)
            assert replace(request, expert=theirs, seed=8).key() == request.key()


def test_a_file_of_workers_that_was_changed_is_none(tmp_path: Path) -> None:
    text = worker_pool(load_pool("sim"), "http://127.0.0.1:1/v1", key_env=None, answer_s=9.0)
    (tmp_path / "w.toml").write_text(text.replace("max_output_tokens = ", "max_output_tokens = 1"))
    with pytest.raises(ConfigError, match="not those of the shared pool any more"):
        load_pool(str(tmp_path / "w.toml"))


async def test_what_a_worker_books_is_what_the_server_has_recorded(tmp_path: Path) -> None:
    """Model, latency and counts that were estimated, so that its recordings serve in its stead."""
    async with (
        FaultServer(["no_usage"]) as upstream,
        shared(tmp_path / "s", upstream.base_url, settings={"usage": '"estimate"'}) as pool,
        pool.worker(tmp_path) as worker,
    ):
        outcome = await worker.call("a")
        assert outcome.reply.usage.estimated
        assert outcome.reply.model == "gpt-4.1"
        there = pool.store.find(request_of(pool.pool, "a").key(), 0, 0)
        own = worker.store.find(worker.request("a").key(), 0, 0, episode="e", run_id="w")
        assert there is not None and own is not None
        assert there.reply is not None and own.reply is not None
        assert there.request_key == own.request_key
        assert replace(there.reply, latency_s=0) == replace(own.reply, latency_s=0)
        assert own.reply.latency_s == round(there.attempts[-1].latency_s, 3)
