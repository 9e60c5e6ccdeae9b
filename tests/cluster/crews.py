"""Engines for tests, without anybody's cluster: workers as processes, or as threads of this one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import corl_bench
from corl_bench.cluster.crew import Crew, open_crew
from corl_bench.cluster.worker import work
from corl_bench.experts.caller import Answering
from corl_bench.runs.execute import Make
from corl_bench.runs.plan import Plan

PLACE = Path(corl_bench.__file__).resolve().parents[1]
"""Where this process has the package from, for workers must have the same."""
_PROGRAM = (
    "import sys; from pathlib import Path; from corl_bench.cluster.worker import work;"
    "url, token, data, node = sys.argv[1:];"
    "sys.exit(work(url, token, Path(data).read_bytes(), node) or 0)"
)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Waits for one that was sent home; one that has come too late looks for the run in vain."""
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass
class Processes:
    """An engine of so many worker processes, each of which is started again when it dies."""

    folder: Path
    count: int = 2
    token: str | None = None
    """Another than the run's."""
    again: bool = True
    crew: Crew | None = None
    running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    started: int = 0
    on_ready: Callable[[], object] = lambda: None

    @asynccontextmanager
    async def __call__(
        self, plan: Plan, caller: Answering, say: Callable[[str], None]
    ) -> AsyncIterator[Make]:
        async with open_crew(
            plan, caller, say, host="127.0.0.1", folder=str(Path.cwd())
        ) as self.crew:
            data = self.folder / "data"
            data.write_bytes(self.crew.data)
            for number in range(self.count):
                self._start(number, data)
            watching = asyncio.create_task(self._watch(data))
            try:
                await self.crew.wait_for(self.count, within_s=900)
                self.crew.begin()
                self.on_ready()
                yield self.crew.make
            finally:
                watching.cancel()
                await self.crew.dismiss()
                for process in self.running.values():
                    await asyncio.to_thread(_end, process)

    def _start(self, number: int, data: Path) -> None:
        assert self.crew is not None
        arguments = [self.crew.url, self.token or self.crew.token, str(data), f"node{number}"]
        places = f"{PLACE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        self.running[number] = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *arguments],
            env={**os.environ, "PYTHONPATH": places},
        )
        self.started += 1

    async def _watch(self, data: Path) -> None:
        while True:
            await asyncio.sleep(0.05)
            for number, process in list(self.running.items()):
                if process.poll() not in (None, 0) and self.again:
                    self._start(number, data)


@asynccontextmanager
async def in_threads(
    plan: Plan, caller: Answering, say: Callable[[str], None]
) -> AsyncIterator[Make]:
    """Two workers that come over real connections and cost no process."""
    async with open_crew(plan, caller, say, host="127.0.0.1", folder=str(Path.cwd())) as crew:
        given = (crew.url, crew.token, crew.data)
        working = [asyncio.create_task(asyncio.to_thread(work, *given, f"node{n}")) for n in (0, 1)]
        try:
            assert await crew.wait_for(2, within_s=300) == 2
            crew.begin()
            yield crew.make
        finally:
            await crew.dismiss()
            assert await asyncio.gather(*working) == ["", ""]
