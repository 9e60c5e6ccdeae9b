"""`corl-bench pool share` as a process: workers that are whole runs, a server that is killed."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import openai
import pytest

from corl_bench.cli.main import main
from corl_bench.experts.store import RecordingStore
from corl_bench.money.ledger import read_ledger
from serve.endpoints import pool_toml, until
from serve.processes import COMMAND, environment, process, simulated_pool
from serve.sharing import worker
from servers.fault_server import FaultServer

KEY = "a-worker-key-0123456789"


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_workers_that_are_whole_runs_share_store_and_cap(tmp_path: Path) -> None:
    """Two runs of other systems over the same problems, at the same time."""
    worker = tmp_path / "worker.toml"
    with (
        simulated_pool(tmp_path) as (pool, _),
        process(
            tmp_path,
            *("pool", "share", pool, "--max-cost", "5", "--pool-out", worker),
            *("--key-env", "SHARE_KEY"),
            SHARE_KEY=KEY,
        ),
    ):
        runs = [
            subprocess.Popen(
                [
                    *COMMAND,
                    *("run", "--task", "synth", "--limit", "12", "--pool", str(worker)),
                    *("--system", system, "--samples", "2", "--max-cost", "5", "--seed", "0"),
                    *("--out", str(tmp_path / f"run{number}")),
                ],
                env=environment(SHARE_KEY=KEY),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number, system in enumerate(("cascade:nano>mini", "single:nano"))
        ]
        for run in runs:
            _, told = run.communicate(timeout=200)
            assert run.returncode == 0, told
    upstream = _rows(tmp_path / "upstream.jsonl")
    asked = Counter((row["expert"], row["problem"], row["draw"]) for row in upstream)
    assert set(asked.values()) == {1}
    lines = list(read_ledger(tmp_path / "shared"))
    billed_usd = sum((line.billed_cost_usd for line in lines), Decimal(0))
    assert billed_usd == sum((Decimal(row["bill_usd"]) for row in upstream), Decimal(0))
    # The second run's own calls to `nano` are the first one's, so its list cost is billed once.
    own = [line for run in (0, 1) for line in read_ledger(tmp_path / f"run{run}")]
    assert sum(line.expert == "nano" for line in own) == 48
    assert sum(1 for expert, *_ in asked if expert == "nano") == 24
    listed_usd = sum((line.list_cost_usd for line in own), Decimal(0))
    assert listed_usd == sum((line.list_cost_usd for line in lines), Decimal(0)) > billed_usd


def test_a_run_ends_as_with_a_cap_of_its_own(tmp_path: Path) -> None:
    worker = tmp_path / "worker.toml"
    arguments = [
        *("run", "--task", "synth", "--limit", "30", "--pool", str(worker)),
        *("--system", "single:mini", "--max-cost", "5", "--out", str(tmp_path / "run")),
    ]
    with simulated_pool(tmp_path) as (pool, _):
        share = ("pool", "share", pool, "--pool-out", worker)
        with process(tmp_path, *share, "--max-cost", "0.02"):
            done = subprocess.run(
                [*COMMAND, *arguments],
                env=environment(),
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 3, done.stderr
            assert "the shared pool's spending cap of $0.02 leaves no room" in done.stderr
        written = len(_rows(tmp_path / "run" / "episodes.jsonl"))
        assert 0 < written < 30
        with process(tmp_path, *share, "--max-cost", "5"):
            done = subprocess.run(
                [*COMMAND, *arguments], env=environment(), timeout=120, check=False
            )
            assert done.returncode == 0
    verdicts = Counter(row["verdict"] for row in _rows(tmp_path / "run" / "episodes.jsonl"))
    assert sum(verdicts.values()) == 30 and not verdicts["error"]
    # What the first server had answered was in the second one's store, and in the run's own.
    assert len(_rows(tmp_path / "upstream.jsonl")) == 30


async def test_what_a_kill_leaves_is_settled_by_the_next_server(tmp_path: Path) -> None:
    async with FaultServer(latency_s=0.25) as upstream:
        pool = tmp_path / "pool.toml"
        pool.write_text(pool_toml(upstream.base_url, max_concurrency=4, send_seed="true"))
        share = ("pool", "share", pool, "--max-cost", "5")
        answered: set[int] = set()

        async def ask(session: aiohttp.ClientSession, url: str, seed: int) -> None:
            said = [{"role": "user", "content": "What is 6 times 7?"}]
            body = {"model": "a", "seed": seed, "messages": said}
            try:
                async with session.post(f"{url}/chat/completions", json=body) as answer:
                    assert answer.status == 200, await answer.text()
                    await answer.json()
                    answered.add(seed)
            except aiohttp.ClientError:
                pass  # the server was killed

        async with aiohttp.ClientSession() as session:
            with process(tmp_path, *share) as (server, url):
                asking = [asyncio.create_task(ask(session, url, seed)) for seed in range(20)]
                await until(lambda: len(answered) >= 4 and len(upstream.requests) > 8)
                server.send_signal(signal.SIGKILL)
                await asyncio.gather(*asking)
            before, at_kill = set(answered), len(upstream.requests)
            assert len(before) < at_kill < 20
            with process(tmp_path, *share) as (_, url):
                stats = await _stats(url)
                assert stats["unsettled_attempts"] == stats["attempts"] - _stored(tmp_path)
                assert stats["unsettled_attempts"] > 0
                await asyncio.gather(*(ask(session, url, seed) for seed in range(20)))
        assert answered == set(range(20))
        lines = list(read_ledger(tmp_path / "shared"))
        unsettled = [line for line in lines if not line.settled]
        # Nothing that was stored, told or not, was asked for again. What was journalled and not
        # yet sent is unsettled, too.
        again = [request["digest"] for request in upstream.requests if request["repeat"]]
        assert len(upstream.requests) == 20 + len(again)
        assert len(set(again)) == len(again) <= len(unsettled)
        billed_usd = sum((line.billed_cost_usd for line in lines), Decimal(0))
        worst_usd = sum((line.unsettled_usd for line in lines), Decimal(0))
        assert billed_usd <= upstream.bill_usd <= billed_usd + worst_usd
        told = (tmp_path / "pool.log").read_text()
        assert f"{len(unsettled)} calls were in flight when the last server ended" in told


async def test_a_reply_that_was_stored_and_not_booked_is_booked_by_the_next_server(
    tmp_path: Path,
) -> None:
    """The moment between the two files, in which a kill leaves the attempt in the journal."""
    async with FaultServer() as upstream:
        pool = tmp_path / "pool.toml"
        pool.write_text(pool_toml(upstream.base_url))
        async with aiohttp.ClientSession() as session:
            with process(tmp_path, "pool", "share", pool) as (_, url):
                await _first_draw(session, url)
            ledger = tmp_path / "shared" / "ledger.jsonl"
            (booked,) = _rows(ledger)
            ledger.write_text("")
            with process(tmp_path, "pool", "share", pool) as (_, url):
                stats = await _stats(url)
                assert (await _first_draw(session, url))["corl"]["stored"]
        assert len(upstream.requests) == 1
        assert stats["unsettled_attempts"] == 0
        assert Decimal(stats["billed_usd"]) == upstream.bill_usd > 0
        settled = _rows(ledger)[0]
        assert {name: settled[name] for name in ("call", "billed_cost_usd", "status")} == {
            name: booked[name] for name in ("call", "billed_cost_usd", "status")
        }
        assert "were in flight" not in (tmp_path / "pool.log").read_text()


async def test_a_worker_lives_through_a_server_that_is_killed(tmp_path: Path) -> None:
    """A call in flight at the kill has no open bill on the worker's side: the server has it."""
    async with FaultServer(latency_s=1.0) as upstream:
        pool, out = tmp_path / "pool.toml", tmp_path / "worker.toml"
        pool.write_text(pool_toml(upstream.base_url))
        share = ("pool", "share", pool, "--pool-out", out)
        with process(tmp_path, *share) as (server, url):
            port = str(urlsplit(url).port)
            async with worker(out, tmp_path) as asking:
                calls = [asyncio.create_task(asking.call("a", sample=n)) for n in range(3)]
                await until(lambda: len(upstream.requests) == 3)
                server.send_signal(signal.SIGKILL)
                server.wait()
                with process(tmp_path, *share, "--port", port) as (_, url):
                    outcomes = await asyncio.gather(*calls)
                    stats = await _stats(url)
        assert [outcome.status for outcome in outcomes] == ["ok"] * 3
        assert min(outcome.attempts for outcome in outcomes) > 1
        assert asking.ledger.totals.unsettled_usd == 0
        assert stats["unsettled_attempts"] == 3
        assert len(upstream.requests) == 6


async def test_neither_keys_nor_texts_lie_in_the_servers_files(tmp_path: Path) -> None:
    upstream_key, text = "an-upstream-key-0123456789", "What is nineteen times three?"
    async with FaultServer(key=upstream_key) as upstream:
        pool = tmp_path / "pool.toml"
        pool.write_text(pool_toml(upstream.base_url, key_env='"UPSTREAM_KEY"'))
        keys = {"UPSTREAM_KEY": upstream_key, "SHARE_KEY": KEY}
        share = ("pool", "share", pool, "--key-env", "SHARE_KEY", "--pool-out", "worker.toml")
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
            with process(tmp_path, *share, **keys) as (_, url):
                await _first_draw(session, url, text)
                async with session.post(f"{url}/chat/completions", json={"model": text}) as answer:
                    assert answer.status == 400
        assert len(upstream.requests) == 1
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"served.json", "requests.jsonl", "ledger.jsonl", "journal.jsonl", "pool.log"} <= {
        path.name for path in files
    }
    for path in files:
        held = path.read_bytes()
        assert upstream_key.encode() not in held and KEY.encode() not in held, path
        assert text.encode() not in held or path.name.startswith("recordings.sqlite"), path


async def _first_draw(
    session: aiohttp.ClientSession, url: str, text: str = "What is 6 times 7?"
) -> dict[str, Any]:
    body = {"model": "a", "seed": 0, "messages": [{"role": "user", "content": text}]}
    async with session.post(f"{url}/chat/completions", json=body) as answer:
        assert answer.status == 200, await answer.text()
        reply: dict[str, Any] = await answer.json()
        return reply


async def _stats(url: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/stats") as answer:
        stats: dict[str, Any] = await answer.json()
        return stats


def _stored(folder: Path) -> int:
    with RecordingStore.open(folder / "shared" / "recordings.sqlite", read_only=True) as store:
        return store.stats().calls


async def test_openais_client_needs_nothing_but_the_address(tmp_path: Path) -> None:
    with process(tmp_path, *("pool", "share", "sim", "--key-env", "SHARE_KEY"), SHARE_KEY=KEY) as (
        _,
        url,
    ):
        async with openai.AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
            assert [model.id async for model in client.models.list()][:2] == ["self", "nano"]
            replies = [
                await client.chat.completions.create(
                    model="nano",
                    messages=[{"role": "user", "content": "What is 2 + 2?"}],
                    seed=seed,
                    max_tokens=40,
                )
                for seed in (0, 0, 1)
            ]
            first, again, other = (reply.model_dump() for reply in replies)
            assert first["choices"] == again["choices"]
            assert (first["corl"]["stored"], again["corl"]["stored"]) == (False, True)
            assert not other["corl"]["stored"]
            with pytest.raises(openai.BadRequestError, match="seed"):
                await client.chat.completions.create(
                    model="nano", messages=[{"role": "user", "content": "What is 2 + 2?"}]
                )


def test_two_servers_do_not_share_a_directory(tmp_path: Path) -> None:
    with process(tmp_path, "pool", "share", "sim"):
        second = subprocess.run(
            [*COMMAND, "pool", "share", "sim", "--out", str(tmp_path / "shared")],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert second.returncode == 2
    assert "another server (process " in second.stderr
    assert "stop it, or work in another directory" in second.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sim", "--host", "0.0.0.0"), "name the variable of a key with --key-env"),
        (("sim", "--key-env", "NOT_SET_HERE"), "--key-env: NOT_SET_HERE is not set"),
        (("recorded.toml",), "expert 'a' is recorded"),
        (("unlimited.toml",), "expert 'a' needs max_output_tokens"),
        (("corl-paper",), "no key in OPENAI_API_KEY"),
        (("sim", "--max-cost", "-1"), "--max-cost"),
        (("sim", "--mode", "replay"), "no recordings at"),
        (("sim", "--out", "pool.toml/x"), "cannot reach pool.toml/x"),
        (("routed.toml",), "expert 'a' routes by itself"),
        (("sim", "--host", "0.0.0.0", "--pool-out", "w.toml"), "name this machine's address"),
        (("sim", "--public-url", "10.0.0.1:8200"), "--public-url must look like"),
        (("sim", "--public-url", "http://10.0.0.1:8200"), "--public-url must look like"),
        (("sim", "--public-url", "http://me:secret@10.0.0.1/v1"), "--public-url must look like"),
        (("sim", "--public-url", "http://0.0.0.0:8200/v1"), "--public-url must look like"),
        (("sim", "--pool-out", "nowhere/w.toml"), "cannot write nowhere/w.toml"),
        (("sim", "--max-in-flight", "2000000000"), "open files"),
    ],
)
def test_what_could_not_work_is_said_before_anything_listens(
    arguments: tuple[str, ...],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    known = pool_toml("http://127.0.0.1:9/v1")
    Path("pool.toml").write_text(known)
    Path("unlimited.toml").write_text(known.replace("max_output_tokens = 200\n", ""))
    recorded = re.sub(r"base_url = .*\n", "", known).replace('"openai"', '"recorded"')
    Path("recorded.toml").write_text(recorded)
    Path("routed.toml").write_text(known.replace('"openai"', '"routed"'))
    with pytest.raises(SystemExit) as ended:
        main(["pool", "share", *arguments])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert words in told and len(told.splitlines()) == 1
    assert "secret" not in told
    assert not Path("shared", "served.json").exists()
