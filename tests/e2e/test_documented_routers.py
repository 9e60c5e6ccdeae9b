"""Sequences of commands that pages show, pasted as they stand: real processes, real sockets."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.money.amounts import display_usd
from corl_bench.results import OperatingPoint, read_episodes, read_summary

CHECKOUT = Path(__file__).resolve().parents[2]
PORTS = ("8130", "8131", "8132")


class Paste:
    """What a page shows, done in one folder: on free ports, and with few words said."""

    def __init__(self, folder: Path, page: str, heading: str) -> None:
        text = (CHECKOUT / "docs" / page).read_text(encoding="utf-8")
        self.section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        block = re.search(r"```console\n(.*?)```", self.section, re.DOTALL)
        assert block, f"{page} shows no commands under {heading}"
        self._ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
        lines = [line for line in block[1].splitlines() if line and not line.startswith("pip ")]
        copied = re.fullmatch(r"cp -r (\S+) (\w+) && cd \2", lines.pop(0))
        assert copied
        self.folder = folder / copied[2]
        shutil.copytree(CHECKOUT / copied[1], self.folder)
        for path in self.folder.rglob("*.toml"):
            path.write_text(self._on_free_ports(path.read_text(encoding="utf-8")))
        self._lines = [self._on_free_ports(line) for line in lines]
        self._servers = ExitStack()

    def __enter__(self) -> Paste:
        return self

    def __exit__(self, *_: object) -> None:
        self._servers.close()

    def run(self) -> str:
        """Everything, line by line; what the last command has printed."""
        said = ""
        for line in self._lines:
            if line.endswith("&"):
                self._serve(line.removesuffix("&").strip())
            else:
                done = subprocess.run(
                    ["bash", "-c", line], cwd=self.folder, env=_environment(), text=True,
                    capture_output=True, timeout=280, check=False,
                )  # fmt: skip
                assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
                assert "Traceback" not in done.stderr
                said = done.stdout
        return said

    def _serve(self, line: str) -> None:
        log = self._servers.enter_context((self.folder / "server.log").open("a+"))
        server = subprocess.Popen(
            ["bash", "-c", f"exec {line}"], cwd=self.folder, env=_environment(),
            stdout=log, stderr=log,
        )  # fmt: skip
        self._servers.callback(server.wait, 30)
        self._servers.callback(server.terminate)
        port = next(int(port) for port in self._ports.values() if port in line)
        made = re.search(r"--pool-out (\S+)", line)
        while not (_listens(port) and (made is None or (self.folder / made[1]).exists())):
            assert server.poll() is None, f"{line}\n{Path(log.name).read_text()}"
            time.sleep(0.05)

    def _on_free_ports(self, text: str) -> str:
        for shown, free in self._ports.items():
            text = re.sub(rf"\b{shown}\b", free, text)
        return text


def _environment() -> dict[str, str]:
    """Without keys, with this Python's programs first."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def _free_ports(count: int) -> Iterator[str]:
    with ExitStack() as held:
        for _ in range(count):
            door = held.enter_context(socket.create_server(("127.0.0.1", 0)))
            yield str(door.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _rows(run_dir: Path) -> dict[str, OperatingPoint]:
    """A point for each system; of several budgets the last."""
    return {row.system: row for row in read_summary(run_dir).rows}


@pytest.mark.skipif(
    importlib.util.find_spec("prometheus_client") is None, reason="needs the extra serve"
)
def test_a_router_of_every_shape_in_one_table(tmp_path: Path) -> None:
    with Paste(tmp_path, "routers.md", "Every shape in one table") as paste:
        said = paste.run()
    run = paste.folder / "runs/shapes"
    rows = _rows(run)
    (elsewhere,) = _rows(paste.folder / "runs/elsewhere").values()
    table = said.partition("synth: 60 problems")[2].partition("Pairs,")[0]
    assert "costs self-reported, compared with no coin" in table
    # What the page says of each shape is what came out.
    shown = re.findall(r"\| `([^`]+)` \| (\S+) % \| ([\d.]+)", paste.section)
    assert len(shown) == 9
    for label, accuracy, cost in shown:
        row = {**rows, "elsewhere": elsewhere}[label.removesuffix("@high")]
        figures = f"{100 * row.accuracy:.1f}", display_usd(row.mean_cost_usd)
        assert figures == (accuracy, f"${cost}"), label
        line = rf"^{re.escape(label)} .* {accuracy}% .* \${cost} "
        assert re.search(line, table, re.MULTILINE), label
    assert {row.cost_basis for row in rows.values()} == {"metered"}
    assert not sum(row.errors for row in rows.values())
    # One rule in process, out of process and as a file chooses alike.
    by_rule = [rows[s] for s in ("python:lengths:by_length", "own-process")]
    by_rule.append(rows["decisions:decisions.jsonl"])
    assert len({(row.accuracy, row.total_cost_usd) for row in by_rule}) == 1
    notes = " ".join(read_summary(run).notes)
    assert "100 of 100 rows" in notes
    assert "30 rows or 30.0% where 30.0% were wanted" in notes
    assert "endpoint:served-cascade: 4 prompts went to the same model 3 times" in notes
    episodes = list(read_episodes(run))
    spoke = Counter(
        (record.system, call.role)
        for record in episodes
        if record.system.startswith("controller:")
        for call in record.calls
    )
    assert len(spoke) == 4  # each spoke itself, and called experts
    assert all(not record.events for record in episodes)

    assert (elsewhere.cost_basis, elsewhere.is_ranked) == ("self_reported", False)
    assert read_summary(paste.folder / "runs/elsewhere").simulated
    assert "Some of the runs are simulated" not in said
    assert elsewhere.calls_by_expert["nano"] == 60


@pytest.mark.skipif(
    any(importlib.util.find_spec(m) is None for m in ("wayfinder_router", "fastapi", "uvicorn")),
    reason="needs wayfinder-router[gateway]",
)
def test_wayfinders_own_server_is_an_endpoint(tmp_path: Path) -> None:
    with Paste(tmp_path, "routers-endpoints.md", "A real one") as paste:
        paste.run()
        log = (paste.folder / "requests.jsonl").read_text().splitlines()
    run = paste.folder / "runs/wayfinder"
    summary, rows = read_summary(run), _rows(run)
    row = rows["endpoint:wayfinder"]
    assert (row.cost_basis, row.is_ranked, row.errors) == ("metered", True, 0)
    # Its headers say who answered, who is booked as the expert that this is in the pool.
    assert set(row.calls_by_expert) == {"nano", "large"}
    assert min(row.calls_by_expert.values()) > 5
    (notes,) = [note for note in summary.notes if note.startswith("endpoint:wayfinder")]
    for seen in ("its health page says", "went to local, the hard one to cloud", "3 times"):
        assert seen in notes
    # It forwards seeds, so who is asked through it says what it says alone, up to the limits.
    said: dict[str, dict[str, Any]] = {}
    for record in read_episodes(run):
        said.setdefault(record.system, {})[record.problem_id] = record
    for problem, record in said["endpoint:wayfinder"].items():
        (call,) = record.calls
        alone = said[f"single:{call.expert}"][problem]
        if call.finish != "length":
            assert (call.text, call.usage) == (alone.response, alone.calls[0].usage)
            assert record.list_cost_usd == alone.list_cost_usd
    # Everything that the pool has billed is on the ledger, and nothing else.
    billed_usd = sum((Decimal(json.loads(line)["bill_usd"]) for line in log), Decimal(0))
    assert summary.billed_cost_usd == summary.list_cost_usd == billed_usd
    assert summary.attempts == len(log)
