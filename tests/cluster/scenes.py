"""What runs on workers are made of here: an expert that counts, systems of every kind."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from corl_bench.experts.pools import load_pool
from corl_bench.money.ledger import read_ledger
from corl_bench.results import canonical_lines
from corl_bench.results.baseline import read_results
from corl_bench.runs.engines import Engine, in_process
from corl_bench.runs.plan import make_plan
from corl_bench.runs.run import Finished, run
from corl_bench.runs.stopping import make_rule
from servers.fault_server import FaultServer, Rate

RATES = {"gpt-4.1-mini": Rate(Decimal("0.2"), Decimal("0.2"), Decimal("0.8"))}
"""Of expert `b`; `a` has the server's own."""
ROWS = 16
ZERO = Decimal(0)

SYSTEMS = '''
import asyncio, os, signal
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
        if int(problem.split()[1]) % 2:
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
    """Gives its only call up when it has arrived."""

    name, reads_budget, is_oracle = "impatient", False, False

    async def solve(self, problem, budget, episode):
        call = asyncio.ensure_future(episode.call("a"))
        while not os.path.exists(f"arrived-{problem.split()[1]}"):
            await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.wait([call])
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
        task: str = "rows.jsonl",
        train: str | None = None,
        baseline: str | None = None,
        **options: Any,
    ) -> Finished:
        """Makes a run, or goes on with it; against a baseline it stops when it is decided."""
        plan = make_plan(
            tasks=(task,),
            pool=load_pool("pool.toml"),
            systems=systems,
            budget=None,
            samples=samples,
            seed=0,
            limit=None,
            mode="auto",
            data_dir=None,
            train=train,
        )
        if baseline is not None:
            rule = make_rule(plan, read_results(self.folder / baseline), margin=0.02)
            plan = replace(plan, stopping=rule)
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
        """The ledger's list cost is that of the episodes, to the last digit."""
        told = sum((Decimal(json.loads(row)["list_cost_usd"]) for row in self.episodes(out)), ZERO)
        lines = read_ledger(self.folder / out)
        assert told == sum((line.list_cost_usd for line in lines), ZERO)


def write_rows(path: Path, numbers: Iterable[int]) -> None:
    """A task of sums, which may be fitted on."""
    rows = [
        {
            "id": str(n),
            "problem": f"Compute {n} + {n}, and say so.",
            "answer": str(2 * n),
            "split": "train",
        }
        for n in numbers
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_files(folder: Path) -> None:
    """The task, the systems and a file of decisions."""
    (folder / "mine.py").write_text(SYSTEMS)
    write_rows(folder / "rows.jsonl", range(ROWS))
    chosen = [{"problem_id": str(n), "expert": "ab"[n % 2]} for n in range(ROWS)]
    (folder / "chosen.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chosen))
