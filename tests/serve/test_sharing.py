"""A pool that many workers share: one store, one cap, and no draw asked for twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.errors import CapReachedError, StorageError
from corl_bench.experts.base import draw_of
from corl_bench.experts.pools import load_pool
from corl_bench.serve.sharing.desk import ShareLimits
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
        assert pool.desk.stats()["billed_usd"] == "0"


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
            await until(lambda: pool.desk.stats()["answered_by_asking"])
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
            for _ in range(2):
                outcome = await worker.call("a")
                assert (outcome.status, outcome.attempts) == ("bad_request", 1)
            assert outcome.detail.startswith("status 424: the call to a failed (server_error)")
            assert await pool.ask() == (
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
        assert len(upstream.requests) == 2
        # The next server tries again.
        async with shared(tmp_path / "s", upstream.base_url, settings=settings) as pool:
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
            stopping = asyncio.create_task(pool.desk.stop(asyncio.Event()))
            await until(lambda: pool.desk.stopping)
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
            stopping = asyncio.create_task(pool.desk.stop(hurry))
            await until(lambda: pool.desk.stopping)
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
        assert isinstance(pool.desk.failed.result(), StorageError)


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


async def test_large_bodies_are_not_read(tmp_path: Path) -> None:
    limits = ShareLimits(max_body_bytes=2000, max_in_flight=1)
    async with shared(tmp_path, "http://127.0.0.1:9/v1", limits=limits) as pool:
        status, body = await pool.ask("x" * 4000)
        assert (status, body["error"]["code"]) == (413, "request_too_large")

        async def endless() -> Any:
            for _ in range(100):
                yield b" " * 1000

        address = f"{pool.url}/chat/completions"
        headers = {"Content-Type": "application/json"}
        async with pool.session.post(address, data=endless(), headers=headers) as answer:
            assert answer.status == 413
        status, body = await pool.send(_body(), **{"Content-Type": "text/plain"})
        assert (status, body["error"]["code"]) == (415, "unsupported_media_type")


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


def test_the_file_of_workers_says_what_the_pool_says(tmp_path: Path) -> None:
    def with_key(url: str) -> Callable[[str], Any]:
        path = tmp_path / "worker.toml"
        path.write_text(worker_pool(load_pool("corl-paper"), url, key_env="SHARE_KEY"))
        pool = load_pool(str(path))
        return pool.__getitem__

    own = load_pool("corl-paper")
    for url, over_http in (
        ("http://127.0.0.1:8200/v1", False),
        ("http://10.0.0.1:8200/v1", True),
        ("https://pool.example/v1", False),
    ):
        expert = with_key(url)
        for spec in own.experts:
            theirs = expert(spec.name)
            assert theirs.price == spec.price
            assert theirs.sampling == spec.sampling
            assert (theirs.model, theirs.send_seed) == (spec.name, True)
            assert (theirs.base_url, theirs.key_env) == (url, "SHARE_KEY")
            assert theirs.key_over_http is over_http
