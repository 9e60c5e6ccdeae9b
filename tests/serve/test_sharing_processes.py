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

import aiohttp
import openai
import pytest

from corl_bench.cli.main import main
from corl_bench.experts.store import RecordingStore
from corl_bench.money.ledger import read_ledger
from serve.endpoints import pool_toml, until
from serve.processes import COMMAND, environment, process, simulated_pool
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
        pool.write_text(pool_toml(upstream.base_url, max_concurrency=4))
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
                async with session.get(f"{url}/stats") as answer:
                    stats = await answer.json()
                assert stats["unsettled_attempts"] == stats["attempts"] - _stored(tmp_path)
                assert stats["unsettled_attempts"] > 0
                await asyncio.gather(*(ask(session, url, seed) for seed in range(20)))
        assert answered == set(range(20))
        lines = list(read_ledger(tmp_path / "shared"))
        unsettled = [line for line in lines if not line.settled]
        # Nothing that was stored, told or not, was asked for again.
        assert len(upstream.requests) == 20 + len(unsettled)
        billed_usd = sum((line.billed_cost_usd for line in lines), Decimal(0))
        worst_usd = sum((line.unsettled_usd for line in lines), Decimal(0))
        assert billed_usd <= upstream.bill_usd <= billed_usd + worst_usd
        told = (tmp_path / "pool.log").read_text()
        assert f"{len(unsettled)} calls were in flight when the last server ended" in told


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
    assert "another run" in second.stderr


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
    with pytest.raises(SystemExit) as ended:
        main(["pool", "share", *arguments])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert words in told and len(told.splitlines()) == 1
