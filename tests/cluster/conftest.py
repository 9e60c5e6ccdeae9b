"""What runs on workers are made of here: an expert that counts, systems of every kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.experts.pools import load_pool
from corl_bench.money.ledger import read_ledger
from corl_bench.results import canonical_lines
from corl_bench.runs.engines import Engine, in_process
from corl_bench.runs.plan import make_plan
from corl_bench.runs.run import Finished, run
from serve.endpoints import pool_toml
from servers.fault_server import FaultServer, Rate, Schedule
from servers.threads import in_thread

RATES = {"gpt-4.1-mini": Rate(Decimal("0.2"), Decimal("0.2"), Decimal("0.8"))}
ROWS = 16

SYSTEMS = '''
import asyncio, os, random, signal
from decimal import Decimal


class Busy:
    """Calls one after the other and together, pays fees, notes, fails now and then."""

    name, reads_budget, is_oracle = "busy", True, False

    async def solve(self, problem, budget, episode):
        first = await episode.call("a")
        episode.charge(Decimal("0.000012"), "a fee of that call", of=first)
        episode.note(f"{budget.name} has {budget.usd - episode.spent_usd} left")
        both = await asyncio.gather(
            episode.call("b", "Check \\U0001f600 " + first.text, temperature=0.5, stop=("###",)),
            episode.call("a"),
        )
        episode.charge(Decimal("0.000001") * len(both), "counting", basis="self_reported")
        if episode.rng.random() < 0.2:
            raise ValueError("no luck")
        groups = await episode.agreement([first, *both])
        return both[1].text if groups[0] == groups[2] else None


class Half:
    """Asks with half a character, which cannot be sent, and half of that in what it answers."""

    name, reads_budget, is_oracle = "half", False, False

    async def solve(self, problem, budget, episode):
        episode.note("so \\ud83d\\ude00 it is")
        if len(problem) % 2:
            await episode.call("b", "Check \\ud83d\\ude00")
        return (await episode.call("a")).text


class Deadly:
    """Ends the process that plays one problem, behind its first call."""

    name, reads_budget, is_oracle = "deadly", False, False

    async def solve(self, problem, budget, episode):
        reply = await episode.call("a")
        if problem.startswith("Compute 3 + 3,") and os.path.exists("armed"):
            os.kill(os.getpid(), signal.SIGKILL)
        return reply.text


class Impatient:
    """Gives its only call up."""

    name, reads_budget, is_oracle = "impatient", False, False

    async def solve(self, problem, budget, episode):
        try:
            return (await asyncio.wait_for(episode.call("a"), 0.3)).text
        except TimeoutError:
            return r"\\boxed{1}"


def route(prompt, experts):
    return experts[len(prompt) % len(experts)].name
'''


@dataclass
class Scene:
    """A folder with a task, a pool, systems, and the expert that the pool is of."""

    folder: Path
    expert: FaultServer

    def run(
        self,
        out: str,
        *systems: str,
        engine: Engine = in_process,
        cap_usd: str | None = None,
        samples: int = 1,
        **options: Any,
    ) -> Finished:
        plan = make_plan(
            tasks=("rows.jsonl",),
            pool=load_pool("pool.toml"),
            systems=systems,
            budget=None,
            samples=samples,
            seed=0,
            limit=None,
            mode="auto",
            data_dir=None,
        )
        return run(
            plan,
            self.folder / out,
            command=["test"],
            engine=engine,
            max_cost_usd=None if cap_usd is None else Decimal(cap_usd),
            **options,
        )

    def episodes(self, out: str) -> list[str]:
        """Without timings, sorted."""
        lines = (self.folder / out / "episodes.jsonl").read_text().splitlines()
        return canonical_lines(map(json.loads, lines))

    def billed_usd(self, out: str) -> Decimal:
        return sum((line.billed_cost_usd for line in read_ledger(self.folder / out)), Decimal(0))

    def attempts(self, out: str) -> int:
        return sum(not (line.stored or line.fee) for line in read_ledger(self.folder / out))

    def require_books(self, out: str) -> None:
        """The ledger's sums are those of the episodes."""
        rows = [json.loads(row) for row in self.episodes(out)]
        booked = list(read_ledger(self.folder / out))
        for name in ("list_cost_usd", "unsettled_usd"):
            told = sum((Decimal(row[name]) for row in rows), Decimal(0))
            assert told == sum((getattr(line, name) for line in booked), Decimal(0))


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Scene]]:
    """Makes the scene; its expert misbehaves by the schedule."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SYSTEMS)
    rows = [
        {"id": str(n), "problem": f"Compute {n} + {n}, and say so.", "answer": str(2 * n)}
        for n in range(ROWS)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    chosen = [{"problem_id": str(n), "expert": "ab"[n % 2]} for n in range(ROWS)]
    (tmp_path / "chosen.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chosen))
    opened: list[Any] = []

    def make(schedule: Schedule = (), *, latency_s: float = 0.0) -> Scene:
        server = in_thread(lambda: FaultServer(schedule, rates=RATES, latency_s=latency_s))
        expert = server.__enter__()
        opened.append(server)
        (tmp_path / "pool.toml").write_text(pool_toml(expert.base_url, send_seed="true"))
        return Scene(tmp_path, expert)

    yield make
    for server in opened:
        server.__exit__(None, None, None)
