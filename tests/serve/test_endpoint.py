"""The endpoint over HTTP: answers, errors, money, and clients that leave."""

from __future__ import annotations

import asyncio
import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from corl_bench.serve.request_checks import errors_as_json
from corl_bench.serve.service import Limits
from corl_bench.serving import listening
from serve.endpoints import ALICE, BOB, endpoint, until
from servers.fault_server import Arrival, FaultServer, Question

ASKING = "python:serve.asking_systems"


def answer(question: Question) -> str:
    return f"{question.model} says \\boxed{{42}} to {len(question.messages)} messages"


def keys(alice: str = "", bob: str = "") -> str:
    digest = hashlib.sha256(BOB.encode()).hexdigest()
    return f'[keys.alice]\nenv = "ALICE_KEY"\n{alice}\n[keys.bob]\nsha256 = "{digest}"\n{bob}\n'


async def test_a_reply_carries_its_tokens_its_cost_and_its_ledger(tmp_path: Path) -> None:
    async with (
        FaultServer(["500", "ok"], answer) as upstream,
        endpoint(tmp_path, upstream.base_url, system=f"{ASKING}:Twice") as served,
    ):
        status, reply = await served.ask(model="corl-high")
        assert status == 200
        assert reply["choices"][0]["message"]["content"] == (
            "gpt-4.1 says \\boxed{42} to 1 messages|gpt-4.1-mini says \\boxed{42} to 1 messages"
        )
        assert reply["choices"][0]["finish_reason"] == "stop"
        costs = reply["corl"]
        # The pool says what is paid here; the server bills both models alike.
        first, second = costs["calls"]
        assert (first["expert"], first["model"], first["attempts"]) == ("a", "gpt-4.1", 2)
        assert (second["expert"], second["model"], second["attempts"]) == ("b", "gpt-4.1-mini", 1)
        assert costs["budget"] == {"name": "high", "usd": "0.02", "kept": True}
        assert Decimal(costs["cost_usd"]) == served.total("list_cost_usd") > 0
        assert sum(Decimal(call["cost_usd"]) for call in costs["calls"]) == Decimal(
            costs["cost_usd"]
        )
        tokens = [call["usage"] for call in costs["calls"]]
        assert reply["usage"]["prompt_tokens"] == sum(u["input_tokens"] for u in tokens)
        assert reply["usage"]["completion_tokens"] == sum(u["output_tokens"] for u in tokens)
        assert [line["call"].partition("#")[0] for line in served.lines()] == [
            f"local/{costs['request']}"
        ] * 3
        (row,) = served.lines("requests")
        assert (row["status"], row["calls"]) == (200, 2)
        assert row["list_cost_usd"] == costs["cost_usd"]


CONTROLLER = """
name = "chief"
protocol = "corl"
[model]
provider = "openai"
model = "own"
base_url = "{url}"
temperature = 0
[model.price]
input_usd_per_mtok = "1"
output_usd_per_mtok = "1"
effective_from = 2026-01-01
source = "test"
"""


async def test_a_controller_calls_within_its_budget_and_its_own_tokens_are_paid_for(
    tmp_path: Path,
) -> None:
    def speak(question: Question) -> str:
        if question.model != "own":
            return "Surely \\boxed{42}."
        return '<answer from="1"/>' if len(question.messages) > 1 else '<call expert="b"></call>'

    async with FaultServer([], speak) as upstream:
        (tmp_path / "controller.toml").write_text(CONTROLLER.format(url=upstream.base_url))
        async with endpoint(tmp_path, upstream.base_url, system=f"controller:{tmp_path}") as served:
            _, reply = await served.ask(model="corl-low", max_tokens=50)
        assert reply["choices"][0]["message"]["content"] == "Surely \\boxed{42}."
        roles = [(call["expert"], call["role"]) for call in reply["corl"]["calls"]]
        assert roles == [("chief", "self"), ("b", "expert"), ("chief", "self")]
        assert Decimal(reply["corl"]["cost_usd"]) == served.total("list_cost_usd")
        opening, asked, _ = (request["body"] for request in upstream.requests)
        assert "0.0005" in opening["messages"][0]["content"]
        assert "What is 6 times 7?" in opening["messages"][0]["content"]
        assert asked["messages"] == [{"role": "user", "content": "What is 6 times 7?"}]
        # A client may have experts say less; how long a controller's turn is, is its protocol's.
        limits = [
            max(b.get("max_tokens") or 0, b.get("max_completion_tokens") or 0)
            for b in (opening, asked)
        ]
        assert limits[0] > 50 == limits[1]


async def test_a_stream_is_the_same_reply_in_chunks(tmp_path: Path) -> None:
    async with (
        FaultServer([], lambda q: "word " * 100 + "\\boxed{42}") as upstream,
        endpoint(tmp_path, upstream.base_url) as served,
    ):
        _, whole = await served.ask(seed=3)
        events, raw = await served.stream(seed=3, stream_options={"include_usage": True})
        assert raw.startswith(b": ")
        *chunks, finish, last = events
        text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
        assert text == whole["choices"][0]["message"]["content"]
        assert len(chunks) > 5
        assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
        assert finish["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
        assert last["choices"] == []
        assert last["usage"] == whole["usage"]
        assert last["corl"]["cost_usd"] == whole["corl"]["cost_usd"]

        events, _ = await served.stream(seed=3)
        assert all(event["choices"] for event in events)
        assert events[-1]["corl"]["cost_usd"] == whole["corl"]["cost_usd"]
        assert not any("usage" in event for event in events)


async def test_the_budget_comes_by_model_by_request_or_by_key(tmp_path: Path) -> None:
    async with (
        FaultServer([], lambda q: "x") as upstream,
        endpoint(
            tmp_path,
            upstream.base_url,
            system=f"{ASKING}:Frugal",
            keys=keys(alice='budget = "low"'),
        ) as served,
    ):
        cases: list[tuple[str, dict[str, Any], str]] = [
            (BOB, {}, "no budget"),
            (ALICE, {}, "low=0.0005"),
            (ALICE, {"model": "corl-high"}, "high=0.02"),
            (BOB, {"model": "corl-high", "budget_usd": "0.0001"}, "0.0001=0.0001"),
            (BOB, {"budget_usd": 0.25}, "0.25=0.25"),
        ]
        for key, asked, told in cases:
            _, reply = await served.ask(key=key, **asked)
            assert reply["choices"][0]["message"]["content"].startswith(told + " ")
        _, reply = await served.ask(key=BOB, budget_usd="0.0000001")
        assert reply["corl"]["budget"]["kept"] is False


async def test_a_seed_repeats_draws_and_coins_and_its_absence_does_not(tmp_path: Path) -> None:
    async with (
        FaultServer([], lambda q: f"draw {q.seed}") as upstream,
        endpoint(
            tmp_path,
            upstream.base_url,
            system=f"{ASKING}:Frugal",
            settings={"send_seed": "true"},
        ) as served,
    ):

        async def text(**more: Any) -> str:
            _, reply = await served.ask(**more)
            said: str = reply["choices"][0]["message"]["content"]
            return said

        assert await text(seed=5) == await text(seed=5) != await text(seed=6)
        assert (await text(seed=5)).startswith("no budget draw 5 ")
        assert await text() != await text()


async def test_a_client_may_ask_for_less_text_and_for_a_stop(tmp_path: Path) -> None:
    async with (
        FaultServer([], lambda q: "one two three four " * 50) as upstream,
        endpoint(tmp_path, upstream.base_url) as served,
    ):
        _, reply = await served.ask(max_tokens=7)
        assert reply["usage"]["completion_tokens"] == 7
        assert reply["choices"][0]["finish_reason"] == "length"
        _, reply = await served.ask(stop=[" three"])
        assert reply["choices"][0]["message"]["content"] == "one two"
        assert reply["choices"][0]["finish_reason"] == "stop"
        _, reply = await served.ask(max_tokens=100_000)
        assert reply["usage"]["completion_tokens"] == 200  # the pool's own limit


async def test_the_whole_conversation_reaches_the_experts(tmp_path: Path) -> None:
    async with (
        FaultServer([], answer) as upstream,
        endpoint(tmp_path, upstream.base_url) as served,
    ):
        messages = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is 6 times 7?"},
        ]
        await served.ask(messages=messages)
        assert upstream.requests[0]["body"]["messages"] == messages


async def test_fees_are_on_the_ledger_of_the_reply(tmp_path: Path) -> None:
    async with (
        FaultServer([], answer) as upstream,
        endpoint(
            tmp_path,
            upstream.base_url,
            system=f"{ASKING}:Charging",
            keys=keys(alice='cap_usd = "0.5"'),
        ) as served,
    ):
        _, reply = await served.ask(key=ALICE)
        (charge,) = reply["corl"]["charges"]
        assert charge == {"what": "the decision", "cost_usd": "0.001", "basis": "stated"}
        assert Decimal(reply["corl"]["cost_usd"]) == served.total("billed_cost_usd") > 0.001
        spent_usd = served.service.bench.books.accounts["alice"].cap.spent_usd
        assert spent_usd == served.total("billed_cost_usd")


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", {}, 400, "invalid_json"),
        (b"{}", {}, 400, "missing_required_parameter"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (b'{"a": "' + b"x" * 3000 + b'"}', {}, 413, "request_too_large"),
        (b"{}", {"Content-Encoding": "gzip"}, 400, "invalid_body"),
        (b"{}", {"Host": "evil.example"}, 403, "forbidden_host"),
    ],
    ids=["no json", "empty", "type", "size", "encoding", "host"],
)
async def test_requests_that_are_none_are_refused_without_a_call(
    tmp_path: Path, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    async with (
        FaultServer() as upstream,
        endpoint(tmp_path, upstream.base_url, limits=Limits(max_body_bytes=2000)) as served,
    ):
        refused = await served.send(body, **headers)
        assert (refused[0], refused[1]["error"]["code"]) == (status, code)
        assert refused[1]["error"]["message"]
        assert set(refused[1]["error"]) == {"message", "type", "param", "code"}
        assert served.lines() == upstream.requests == []


async def test_a_body_without_a_length_is_cut_off_where_it_is_too_large(tmp_path: Path) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b"x" * 1000

    async with (
        FaultServer() as upstream,
        endpoint(tmp_path, upstream.base_url, limits=Limits(max_body_bytes=2000)) as served,
    ):
        address = f"{served.url}/chat/completions"
        headers = {"Content-Type": "application/json"}
        async with served.session.post(address, data=endless(), headers=headers) as reply:
            assert reply.status == 413
            assert (await reply.json())["error"]["code"] == "request_too_large"


async def test_unknown_models_and_paths_are_not_found(tmp_path: Path) -> None:
    async with (
        FaultServer() as upstream,
        endpoint(tmp_path, upstream.base_url) as served,
    ):
        status, reply = await served.ask(model="gpt-4.1")
        assert (status, reply["error"]["code"]) == (404, "model_not_found")
        assert reply["error"]["param"] == "model"
        assert "corl, corl-low, corl-high" in reply["error"]["message"]
        for method, path, expected in (
            ("GET", "/models/nobody", 404),
            ("GET", "/nowhere", 404),
            ("GET", "/chat/completions", 405),
        ):
            async with served.session.request(method, served.url + path) as told:
                assert told.status == expected
                assert (await told.json())["error"]["message"]
        async with served.session.get(f"{served.url}/models/corl-low") as told:
            assert (await told.json())["id"] == "corl-low"


async def test_keys_are_asked_for_limited_and_capped(tmp_path: Path) -> None:
    limited = 'cap_usd = "0.004"\nrequests_per_minute = 3\nmax_body_bytes = 400'
    async with (
        FaultServer([], answer) as upstream,
        endpoint(tmp_path, upstream.base_url, keys=keys(alice=limited)) as served,
    ):
        for key in (None, "", "wrong-key-0123456789", ALICE + "x"):
            status, reply = await served.ask(key=key)
            assert (status, reply["error"]["code"]) == (401, "invalid_api_key")
            assert reply["error"]["type"] == "authentication_error"
        for path in ("/v1/models", "/metrics"):
            async with served.session.get(served.url.removesuffix("/v1") + path) as told:
                assert told.status == 401
        async with served.session.get(served.url.removesuffix("/v1") + "/health") as told:
            assert await told.json() == {"status": "ok"}

        status, reply = await served.ask("long " * 200, key=ALICE)
        assert (status, reply["error"]["code"]) == (413, "request_too_large")
        status, _ = await served.ask(key=ALICE)
        assert status == 200
        # Short of its cap by less than the worst case of a call, though not yet at it.
        account = served.service.bench.books.accounts["alice"]
        account.cap.settle(Decimal(0), Decimal("0.003"))
        status, reply = await served.ask(key=ALICE)
        assert (status, reply["error"]["code"]) == (402, "key_cap_reached")
        assert reply["corl"]["cost_usd"] == "0"
        account.cap.settle(Decimal(0), Decimal("0.001"))
        status, reply = await served.ask(key=ALICE)
        assert (status, reply["error"]["code"]) == (402, "key_cap_reached")
        account.cap.spent_usd = Decimal(0)
        status, _ = await served.ask(key=ALICE)
        assert status == 200
        status, reply = await served.ask(key=ALICE)
        assert (status, reply["error"]["code"]) == (429, "rate_limit_exceeded")
        status, _ = await served.ask(key=BOB)
        assert status == 200
        assert len(upstream.requests) == 3


async def test_the_servers_cap_is_everybodys(tmp_path: Path) -> None:
    async with (
        FaultServer([], answer) as upstream,
        endpoint(tmp_path, upstream.base_url, keys=keys(), cap_usd="0.0001") as served,
    ):
        status, reply = await served.ask(key=BOB)
        assert (status, reply["error"]["code"]) == (402, "server_cap_reached")
        assert "0.0001" not in json.dumps(reply)
        events, _ = await _with_key(served, BOB)
        assert events[-1]["error"]["code"] == "server_cap_reached"
        assert upstream.requests == []


async def _with_key(served: Any, key: str) -> tuple[list[dict[str, Any]], bytes]:
    served.session.headers["Authorization"] = f"Bearer {key}"
    result: tuple[list[dict[str, Any]], bytes] = await served.stream()
    return result


async def test_concurrent_requests_never_pass_a_cap(tmp_path: Path) -> None:
    cap_usd = Decimal("0.0036")  # about twice a call's worst case, and 36 times its cost
    async with (
        FaultServer([], answer, latency_s=0.02) as upstream,
        endpoint(tmp_path, upstream.base_url, keys=keys(alice=f'cap_usd = "{cap_usd}"')) as served,
    ):
        answers = await asyncio.gather(*(served.ask(key=ALICE) for _ in range(60)))
        statuses = {status for status, _ in answers}
        assert statuses == {200, 402}
        spent_usd = served.total("billed_cost_usd")
        assert cap_usd / 3 < spent_usd <= cap_usd
        assert sum(status == 200 for status, _ in answers) == len(upstream.requests)


async def test_too_many_requests_at_a_time_are_told_to_come_again(tmp_path: Path) -> None:
    async with (
        FaultServer([], answer, latency_s=0.3) as upstream,
        endpoint(
            tmp_path,
            upstream.base_url,
            keys=keys(alice="max_in_flight = 1"),
            limits=Limits(max_in_flight=2),
        ) as served,
    ):
        asked = [asyncio.create_task(served.ask(key=key)) for key in (ALICE, BOB)]
        await until(lambda: len(upstream.requests) == 2)
        status, reply = await served.ask(key=BOB)
        assert (status, reply["error"]["code"]) == (503, "overloaded")
        assert [status for status, _ in await asyncio.gather(*asked)] == [200, 200]
        asked = [asyncio.create_task(served.ask(key=ALICE))]
        await until(lambda: len(upstream.requests) == 3)
        status, reply = await served.ask(key=ALICE)
        assert (status, reply["error"]["code"]) == (429, "too_many_in_flight")
        await asyncio.gather(*asked)


@pytest.mark.parametrize(
    ("system", "fault", "status", "code"),
    [
        ("single:a", "401", 502, "expert_failed"),
        ("single:a", "too_long", 400, "context_length_exceeded"),
        (f"{ASKING}:Broken", "ok", 502, "no_answer"),
    ],
)
async def test_failures_say_what_the_client_may_know_and_what_they_cost(
    tmp_path: Path, system: str, fault: str, status: int, code: str
) -> None:
    async with (
        FaultServer([fault]) as upstream,
        endpoint(tmp_path, upstream.base_url, system=system) as served,
    ):
        refused, reply = await served.ask("a private question")
        assert (refused, reply["error"]["code"]) == (status, code)
        assert Decimal(reply["corl"]["cost_usd"]) == served.total("list_cost_usd")
        await served.idle()
        everything = json.dumps(reply) + "\n".join(served.said) + str(served.lines("requests"))
        for secret in ("sk-proj", upstream.base_url, "injected"):
            assert secret not in json.dumps(reply)
            assert secret not in everything or secret == "injected"


async def test_a_request_that_takes_too_long_is_answered_and_settled(tmp_path: Path) -> None:
    async with (
        FaultServer(["slow:1"], answer) as upstream,
        endpoint(tmp_path, upstream.base_url, system=f"{ASKING}:Twice", timeout_s=0.3) as served,
    ):
        status, reply = await served.ask()
        assert (status, reply["error"]["code"]) == (504, "timeout")
        assert reply["corl"]["calls"] == []
        await served.idle()
        # The call that was on the wire was let come to its end; the second was never made.
        assert len(upstream.requests) == 1
        assert served.total("list_cost_usd") == upstream.bill_usd
        assert served.total("unsettled_usd") == 0
        (row,) = served.lines("requests")
        assert (row["status"], row["calls"]) == (504, 1)
        assert Decimal(row["list_cost_usd"]) == upstream.bill_usd


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_client_that_leaves_ends_the_spending_not_the_booking(
    tmp_path: Path, streamed: bool
) -> None:
    async with (
        FaultServer(["slow:0.5"], answer) as upstream,
        endpoint(tmp_path, upstream.base_url, system=f"{ASKING}:Twice") as served,
    ):
        asked = asyncio.create_task(served.stream() if streamed else served.ask())
        await until(lambda: upstream.requests)
        asked.cancel()
        await asyncio.wait([asked])
        await served.idle()
        assert len(upstream.requests) == 1
        assert served.total("list_cost_usd") == upstream.bill_usd > 0
        assert served.total("unsettled_usd") == 0
        (row,) = served.lines("requests")
        assert (row["status"], row["code"]) == (499, "client_left")


async def test_a_system_that_will_not_end_is_left_behind(tmp_path: Path) -> None:
    async with (
        FaultServer([], answer) as upstream,
        endpoint(tmp_path, upstream.base_url, system=f"{ASKING}:Stubborn", timeout_s=0.2) as served,
    ):
        status, _ = await served.ask()
        assert status == 504
        await served.idle()
        made = len(upstream.requests)
        assert served.total("list_cost_usd") == upstream.bill_usd
        await asyncio.sleep(0.1)
        assert len(upstream.requests) == made


async def test_a_stop_answers_what_has_begun_and_lets_nothing_in(tmp_path: Path) -> None:
    async with FaultServer([], answer, latency_s=0.4) as upstream:
        async with endpoint(tmp_path, upstream.base_url, system=f"{ASKING}:Twice") as served:
            asked = asyncio.create_task(served.ask())
            await until(lambda: upstream.requests)
            stopping = asyncio.create_task(served.service.stop(asyncio.Event()))
            await asyncio.sleep(0)
            status, reply = await served.ask()
            assert (status, reply["error"]["code"]) == (503, "stopping")
            async with served.session.get(served.url.removesuffix("/v1") + "/health") as health:
                assert health.status == 503
            status, _ = await asked
            assert status == 200
            await stopping
        assert len(upstream.requests) == 2
        assert served.total("list_cost_usd") > 0


async def test_an_impatient_stop_books_what_it_drops_at_its_worst_case(tmp_path: Path) -> None:
    async with (
        FaultServer(["slow:30"], answer) as upstream,
        endpoint(tmp_path, upstream.base_url) as served,
    ):
        asked = asyncio.create_task(served.ask())
        await until(lambda: upstream.requests)
        hurry = asyncio.Event()
        stopping = asyncio.create_task(served.service.stop(hurry))
        for _ in range(2):
            await asyncio.sleep(0.05)
            hurry.set()
        await stopping
        status, reply = await asked
        assert (status, reply["error"]["code"]) == (503, "stopping")
        (line,) = served.lines()
        assert line["status"] == "interrupted"
        assert Decimal(line["unsettled_usd"]) >= upstream.bill_usd


async def test_books_that_cannot_be_written_end_the_server(tmp_path: Path) -> None:
    async with (
        FaultServer([], answer) as upstream,
        endpoint(tmp_path, upstream.base_url) as served,
    ):
        ledger = served.service.bench.books.ledger

        def full(rows: Any) -> None:
            from corl_bench.errors import StorageError

            raise StorageError("the disk is full")

        ledger._journal.append = full  # type: ignore[method-assign]
        status, reply = await served.ask()
        assert (status, reply["error"]["code"]) == (503, "storage")
        await served.idle()
        assert str(served.service.failed.result()) == "the disk is full"
        assert upstream.requests == []


async def test_prometheus_reads_what_was_done(tmp_path: Path) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    def schedule(arrival: Arrival) -> str:
        return "401" if arrival.number == 2 else "ok"

    async with (
        FaultServer(schedule, answer) as upstream,
        endpoint(
            tmp_path,
            upstream.base_url,
            keys=keys(alice='cap_usd = "1"', bob="all_metrics = true"),
        ) as served,
    ):

        async def samples_for(key: str) -> dict[tuple[str, ...], float]:
            headers = {"Authorization": f"Bearer {key}"}
            address = served.url.removesuffix("/v1") + "/metrics"
            async with served.session.get(address, headers=headers) as answered:
                assert answered.content_type == "text/plain"
                page = await answered.text()
            return {
                (sample.name, *sorted(sample.labels.values())): sample.value
                for family in text_string_to_metric_families(page)
                for sample in family.samples
            }

        for key in (ALICE, BOB, BOB, "nobody-key-0123456789"):
            await served.ask(key=key)
        await served.ask(key=BOB, model="made\nup")
        samples, of_one = await samples_for(BOB), await samples_for(ALICE)
    assert samples["corl_requests_total", "200", "alice", "corl"] == 1
    assert samples["corl_requests_total", "502", "bob", "corl"] == 1
    assert samples["corl_requests_total", "", "401", "?"] == 1
    assert samples["corl_requests_total", "404", "?", "bob"] == 1
    assert samples["corl_calls_total", "a", "ok"] == 2
    assert samples["corl_calls_total", "a", "auth"] == 1
    assert samples["corl_requests_in_flight",] == 0
    assert samples["corl_cap_usd", "alice"] == 1
    of_alice = [line for line in served.lines() if line["call"].startswith("alice/")]
    assert samples["corl_spent_usd", "alice"] == float(of_alice[0]["billed_cost_usd"])
    # What others and the server have spent is nothing that every key should know.
    assert of_one == {name: value for name, value in samples.items() if "alice" in name}
    assert samples["corl_spent_usd", ""] > of_one["corl_spent_usd", "alice"] > 0
    assert samples["corl_cost_usd_total", "a"] == pytest.approx(
        float(served.total("list_cost_usd"))
    )


async def test_nothing_of_what_is_asked_or_answered_is_written_down(tmp_path: Path) -> None:
    async with (
        FaultServer([], answer) as upstream,
        endpoint(tmp_path, upstream.base_url, keys=keys()) as served,
    ):
        await served.ask("a private question", key=ALICE)
        await served.idle()
        written = b"".join(path.read_bytes() for path in served.folder.iterdir())
        written += "\n".join(served.said).encode()
        for secret in (b"private", b"boxed", ALICE.encode(), BOB.encode()):
            assert secret not in written


async def test_a_body_that_does_not_come_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corl_bench.serve.request_checks.READ_S", 0.1)
    async with (
        FaultServer() as upstream,
        endpoint(tmp_path, upstream.base_url) as served,
    ):
        host, port = served.url.removesuffix("/v1").removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        await writer.drain()
        assert b" 408 " in await asyncio.wait_for(reader.readline(), 10)
        writer.close()


async def test_a_malformed_host_is_no_defect(tmp_path: Path) -> None:
    async with (
        FaultServer() as upstream,
        endpoint(tmp_path, upstream.base_url) as served,
    ):
        host, port = served.url.removesuffix("/v1").removeprefix("http://").split(":")
        for name in (b"[:::", b"a b", b"", b"\xff", b"localhost:99999999"):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /v1/models HTTP/1.1\r\nHost: " + name + b"\r\n\r\n")
            await writer.drain()
            line = await asyncio.wait_for(reader.readline(), 5)
            writer.close()
            assert b" 40" in line or b" 200 " in line, (name, line)
        assert not any("defect" in said for said in served.said)


async def test_a_client_that_is_gone_is_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    said: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        raise ConnectionResetError("Cannot write to closing transport")

    app = web.Application(middlewares=[errors_as_json(said.append)])
    app.router.add_get("/", handler)
    async with listening(app) as url, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.get(url.removesuffix("/v1"))
    assert not [record for record in caplog.records if record.name == "aiohttp.server"]
    assert said == []
