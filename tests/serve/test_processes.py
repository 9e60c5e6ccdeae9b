"""Whole servers: a client that cannot tell them apart, signals, and a server that is killed."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from corl_bench.cli.main import main
from serve.endpoints import until
from serve.processes import COMMAND, environment, process, simulated_pool
from servers.endpoint_run import POOL
from servers.router_server import RouterServer, at_random

SCRIPT = Path(__file__).with_name("client_script.py")
KEY = "a-test-key-0123456789"
NOBODY = "endpoint:http://127.0.0.1:9/v1"


def _run_script(url: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        env=environment(OPENAI_BASE_URL=url, OPENAI_API_KEY=KEY),
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _sum(rows: list[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(row.get(name, "0")) for row in rows), Decimal(0))


def test_one_client_script_works_with_either_server(tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text('[keys.me]\nenv = "MY_KEY"\n')
    with (
        simulated_pool(tmp_path) as (pool, upstream),
        process(
            tmp_path,
            *("serve", "--system", "single:self", "--pool", pool, "--keys", "keys.toml"),
            MY_KEY=KEY,
        ) as (_, url),
    ):
        ours, theirs = _run_script(url), _run_script(upstream)
    assert ours["models"] == ["corl", "corl-low", "corl-medium", "corl-high"]
    # The first model of the pool is the one that the system asks, so all else is equal.
    assert ours | {"models": None} == theirs | {"models": None}
    assert ours["refused"] == "model_not_found"
    assert ours["field"] == "messages"


async def test_openais_client_reads_streams_costs_and_errors(tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text('[keys.me]\nenv = "MY_KEY"\n')
    serving = ("serve", "--system", "cascade:nano>mini", "--keys", "keys.toml")
    with process(tmp_path, *serving, MY_KEY=KEY) as (_, url):
        async with openai.AsyncOpenAI(base_url=url, api_key="another-key-0123456789") as client:
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()
        async with openai.AsyncOpenAI(base_url=url, api_key=KEY) as client:
            assert (await client.models.retrieve("corl-low")).owned_by == "corl-bench"
            stream = await client.chat.completions.create(
                model="corl-low",
                messages=[{"role": "user", "content": "What is 6 times 7?"}],
                stream=True,
                stream_options={"include_usage": True},
                extra_body={"budget_usd": "0.001"},
            )
            chunks = [chunk async for chunk in stream]
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])
            assert text
            last = chunks[-1]
            assert last.usage is not None
            assert last.usage.total_tokens == 240
            assert last.model_extra is not None
            assert last.model_extra["corl"]["cost_usd"] == "0.00012"
            assert last.model_extra["corl"]["budget"]["usd"] == "0.001"
            with pytest.raises(openai.BadRequestError, match="budget_usd"):
                await client.chat.completions.create(
                    model="corl",
                    messages=[{"role": "user", "content": "x"}],
                    extra_body={"budget_usd": "much"},
                )


def test_what_is_served_is_what_was_measured(tmp_path: Path) -> None:
    system = ("--system", "cascade:nano>mini")
    subprocess.run(
        [*COMMAND, "run", *system, "--limit", "4", "--out", "run", "--quiet"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        timeout=120,
        check=True,
    )
    task = json.loads((tmp_path / "run" / "manifest.json").read_text())["tasks"]["synth"]
    texts = {row["id"]: row["problem"] for row in _rows(tmp_path / "run" / "problems.jsonl")}
    with process(tmp_path, "serve", *system) as (_, url):
        client = openai.OpenAI(base_url=url, api_key="unused")
        for episode in _rows(tmp_path / "run" / "episodes.jsonl"):
            asked = task["prompt"].replace("{problem}", texts[episode["problem_id"]])
            reply = client.chat.completions.create(
                model="corl",
                messages=[{"role": "user", "content": asked}],
                seed=0,  # the sample that the run has asked for
            )
            assert reply.choices[0].message.content == episode["response"]
            assert reply.model_extra is not None
            served = [call["cost_usd"] for call in reply.model_extra["corl"]["calls"]]
            assert served == [call["list_cost_usd"] for call in episode["calls"]]


async def _consume(session: aiohttp.ClientSession, url: str, number: int) -> dict[str, Any]:
    """One streamed request, to its last event."""
    body = {
        "model": "corl",
        "messages": [{"role": "user", "content": f"Question {number}"}],
        "stream": True,
    }
    async with session.post(f"{url}/chat/completions", json=body) as answer:
        raw = await answer.read()
    events = [part for part in raw.split(b"\n\n") if part.startswith(b"data: ")]
    assert events[-1] == b"data: [DONE]", raw[-200:]
    last: dict[str, Any] = json.loads(events[-2][6:])
    return last


async def test_a_signal_lets_every_stream_end_and_the_books_agree(tmp_path: Path) -> None:
    with simulated_pool(tmp_path, "--latency", "2") as (pool, _):
        with process(tmp_path, "serve", "--system", "vote:nano,mini,nano", "--pool", pool) as (
            server,
            url,
        ):
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
                asked = [asyncio.create_task(_consume(session, url, n)) for n in range(40)]
                # However long it takes until the last of them is there.
                while True:
                    async with session.get(url.removesuffix("/v1") + "/metrics") as metrics:
                        if "corl_requests_in_flight 40" in await metrics.text():
                            break
                    assert not any(task.done() for task in asked)
                server.send_signal(signal.SIGTERM)
                lasts = await asyncio.gather(*asked)
            assert await asyncio.to_thread(server.wait, 30) == 0
        upstream = _rows(tmp_path / "upstream.jsonl")
    ledger = _rows(tmp_path / "served" / "ledger.jsonl")
    assert len(ledger) == len(upstream) == 40 * 3
    assert _sum(ledger, "list_cost_usd") == _sum(upstream, "bill_usd")
    assert _sum(ledger, "unsettled_usd") == 0
    replied = sum((Decimal(last["corl"]["cost_usd"]) for last in lasts), Decimal(0))
    assert replied == _sum(upstream, "bill_usd")
    requests = _rows(tmp_path / "served" / "requests.jsonl")
    assert [row["status"] for row in requests] == [200] * 40


async def test_while_a_server_stops_it_says_so_to_whoever_comes(tmp_path: Path) -> None:
    with (
        simulated_pool(tmp_path, "--latency", "3") as (pool, _),
        process(tmp_path, "serve", "--system", "single:nano", "--pool", pool) as (server, url),
    ):
        # A connection for each request: the pool of one that is busy would hide a closed door.
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as s:

            async def health() -> int:
                async with s.get(url.removesuffix("/v1") + "/health") as answer:
                    return answer.status

            asked = asyncio.create_task(_consume(s, url, 1))
            await until((tmp_path / "upstream.jsonl").read_text)
            server.send_signal(signal.SIGTERM)
            while await health() == 200:
                assert not asked.done()
            assert await health() == 503
            body = {"model": "corl", "messages": [{"role": "user", "content": "x"}]}
            async with s.post(f"{url}/chat/completions", json=body) as answer:
                assert answer.status == 503
                assert (await answer.json())["error"]["code"] == "stopping"
            assert (await asked)["corl"]["cost_usd"] != "0"
        assert await asyncio.to_thread(server.wait, 30) == 0


async def test_a_killed_server_goes_on_with_what_it_owes(tmp_path: Path) -> None:
    serving = ("serve", "--system", "single:nano", "--out", "served")
    with simulated_pool(tmp_path, "--latency", "2") as (pool, _):
        with process(tmp_path, *serving, "--pool", pool) as (server, url):
            async with aiohttp.ClientSession() as session:
                asked = asyncio.create_task(_consume(session, url, 1))
                await until((tmp_path / "upstream.jsonl").read_text)
                server.kill()
                await asyncio.wait([asked])
                assert asked.exception() is not None
        billed = _rows(tmp_path / "upstream.jsonl")
        assert _rows(tmp_path / "served" / "ledger.jsonl") == []

        # A cap that what may have been spent has used up already lets nothing more through.
        worst_usd = _rows(tmp_path / "served" / "journal.jsonl")[0]["worst_usd"]
        with process(tmp_path, *serving, "--pool", pool, "--max-cost", worst_usd) as (_, url):
            async with aiohttp.ClientSession() as session:
                body = {"model": "corl", "messages": [{"role": "user", "content": "x"}]}
                async with session.post(f"{url}/chat/completions", json=body) as answer:
                    assert answer.status == 402
        assert "1 calls were in flight" in (tmp_path / "serve.log").read_text()
    (line,) = _rows(tmp_path / "served" / "ledger.jsonl")
    assert (line["status"], line["settled"]) == ("interrupted", False)
    assert Decimal(line["unsettled_usd"]) >= _sum(billed, "bill_usd") > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--system", "single:nano", "--host", "0.0.0.0"), "--keys FILE"),
        (("--system", "single:*"), "5 systems"),
        (("--system", "oracle"), "reads golds"),
        (("--system", "nosuch"), "unknown routing system"),
        (("--system", "single:nano", "--max-cost", "much"), "no plain amount"),
        (("--system", "single:nano", "--keys", "nowhere.toml"), "cannot read"),
        (("--system", "single:nano", "--host", "203.0.113.9", "--keys", "keys.toml"), "cannot"),
        (("--system", "single:nano", "--out", "run"), "holds a run"),
        (("--system", f"{NOBODY}#m", "--max-cost", "1"), "no spending cap can be kept"),
        (("--system", f"{NOBODY}#m", "--keys", "keys.toml"), "no spending cap can be kept"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys.toml").write_text(f'[keys.a]\nsha256 = "{"0" * 64}"\ncap_usd = "1"\n')
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.json").write_text("{}")
    with pytest.raises(SystemExit) as ended:
        main(["serve", *arguments])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1, said
    assert words in said
    assert not (tmp_path / "served").exists(), "what is refused leaves nothing behind"


def test_a_router_behind_an_address_proves_itself_before_it_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pool.toml").write_text(POOL)
    options = ("--pool", "pool.toml")
    with RouterServer(routes=at_random) as coin, pytest.raises(SystemExit) as ended:
        main(["serve", "--system", f"endpoint:{coin.url}#auto", *options])
    assert ended.value.code == 2
    assert "picks at random" in capsys.readouterr().err
    assert len(_rows(tmp_path / "served" / "ledger.jsonl")) == len(coin.requests) > 0
    with (
        RouterServer() as router,
        process(
            tmp_path, "serve", "--system", f"endpoint:{router.url}#auto", *options, "--out", "b"
        ),
    ):
        assert "to the same model 3 times" in (tmp_path / "serve.log").read_text()
        assert len(_rows(tmp_path / "b" / "ledger.jsonl")) == len(router.requests) > 0


def test_two_servers_cannot_share_a_directory(tmp_path: Path) -> None:
    with process(tmp_path, "serve", "--system", "single:nano"):
        done = subprocess.run(
            [*COMMAND, "serve", "--system", "single:nano"],
            cwd=tmp_path,
            env=environment(),
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert "is working in" in done.stderr
