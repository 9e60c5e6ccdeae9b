"""The scene of a run on workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cluster.scenes import RATES, Scene, write_files
from serve.endpoints import pool_toml
from servers.fault_server import Answerer, FaultServer, Schedule, echo
from servers.threads import in_thread


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Scene]]:
    """Makes a scene; its expert misbehaves by the schedule. The next one has an expert anew."""
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    with ExitStack() as open_servers:

        def make(
            schedule: Schedule = (), *, answer: Answerer = echo, latency_s: float = 0.0
        ) -> Scene:
            serving = in_thread(
                lambda: FaultServer(schedule, answer, rates=RATES, latency_s=latency_s)
            )
            expert = open_servers.enter_context(serving)
            (tmp_path / "pool.toml").write_text(pool_toml(expert.base_url, send_seed="true"))
            return Scene(tmp_path, expert)

        yield make
