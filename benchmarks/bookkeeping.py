"""A run's books held against those of the server that it asked: does every dollar stand?

`benchmarks/soak.py` and `benchmarks/crash_points.py` make runs go wrong on purpose, against
`tests/servers/fault_server.py`, which writes a line for each request before it answers. What a
run's directory must then say, whatever has happened:

- summary, ledger and episodes agree to the last digit, and so do the ledger and the store;
- what the server has billed lies between what is booked as billed, and that and the worst case
  of what is unsettled;
- no attempt was sent that is not on the ledger, and none is on it that was not sent, but for
  those that an interruption or a time-out may have stopped on their way;
- what was answered is not asked again, unless the answer was lost in an interruption or came
  too late.

    faults = faults_of(Path("run"), requests)       # [] where all of it holds
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

from corl_bench.experts.store import RecordingStore
from corl_bench.files import read_lines

CHECKOUT = Path(__file__).resolve().parents[1]
SERVER = CHECKOUT / "tests" / "servers" / "fault_server.py"
COMMAND = [sys.executable, "-m", "corl_bench.cli.main"]

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_ANSWERED = ("ok", "slow")
"""Faults of the server with which an answer that can be used arrives, if it arrives in time."""
_LOST = ("interrupted", "timeout")
"""Attempts whose answer may have been there, and nobody has read it."""

_EXPERT = """
[experts.{alias}]
provider = "{provider}"
model = "{model}-{alias}"
base_url = "{url}"
max_output_tokens = 200
timeout_s = {timeout_s}
max_attempts = 3
max_concurrency = {in_flight}
price = {{ input_usd_per_mtok = "2", cached_input_usd_per_mtok = "0.5", \
output_usd_per_mtok = "8", effective_from = 2026-01-01, source = "the fault server's own" }}
"""


def write_pool(path: Path, url: str, model: str, *, timeout_s: float, in_flight: int) -> None:
    """Two experts behind one fault server, `a` by OpenAI's protocol and `b` by Anthropic's.

    Args:
        path: of the pool.
        url: as the server prints it.
        model: what their models' names begin with: tells whose a request was.
        timeout_s: of an attempt.
        in_flight: of each.
    """
    experts = (("a", "openai", url), ("b", "anthropic", url.removesuffix("/v1")))
    parts = (
        _EXPERT.format(
            alias=alias,
            provider=provider,
            model=model,
            url=place,
            timeout_s=timeout_s,
            in_flight=in_flight,
        )
        for alias, provider, place in experts
    )
    path.write_text("price_date = 2026-06-01\n" + "".join(parts), encoding="utf-8")


def write_problems(path: Path, count: int) -> None:
    """Sums, with their answers."""
    rows = (
        {"id": str(n), "problem": f"What is {n} + {n}? Show your work.", "answer": str(2 * n)}
        for n in range(count)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def start_server(stack: ExitStack, log: Path, mix: str, latency_s: float) -> tuple[int, str]:
    """A fault server as a process, which ends with the stack: its number and its address."""
    log.touch()
    server = subprocess.Popen(
        [sys.executable, str(SERVER), "--log", str(log), "--mix", mix]
        + ["--latency-s", str(latency_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    stack.callback(server.wait, 30)
    stack.callback(server.stdout.close)
    stack.callback(server.stdin.close)
    return server.pid, server.stdout.readline().strip()


class Log:
    """What the server has written since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def news(self) -> list[dict[str, Any]]:
        """Whole lines only; one that is being written is there at the next look."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        data = data[: data.rfind(b"\n") + 1]
        self._offset += len(data)
        return [json.loads(line) for line in data.splitlines()]

    def size(self) -> int:
        """Bytes, written and being written; a cheap sign of progress."""
        return self._path.stat().st_size


def sum_of(rows: Iterable[Mapping[str, Any]], name: str) -> Decimal:
    """Exact; rows without such an amount count as zero."""
    return sum((Decimal(row.get(name, "0")) for row in rows), Decimal(0))


def faults_of(
    run_dir: Path,
    requests: Sequence[Mapping[str, Any]],
    *,
    store: Path | None = None,
    shares: bool = True,
) -> list[str]:
    """What does not hold in the directory of a finished run.

    Args:
        run_dir: the run.
        requests: lines of the server's log that are this run's.
        store: where its replies are; None is its own.
        shares: whether its systems share replies (all modes but live).
    """
    ledger = list(read_lines(run_dir / "ledger.jsonl"))
    episodes = list(read_lines(run_dir / "episodes.jsonl"))
    summary = json.loads((run_dir / "summary.json").read_bytes())
    instance = json.loads((run_dir / "manifest.json").read_bytes())["instance"]
    faults = ledger_faults(ledger, requests)
    if not summary["finished"]:
        faults.append("the run is not finished")
    for name in ("list_cost_usd", "billed_cost_usd", "unsettled_usd"):
        total = Decimal(summary["totals"][name])
        if total != sum_of(ledger, name):
            faults.append(f"{name}: summary {total}, ledger {sum_of(ledger, name)}")
    last = {_key(row): row for row in episodes}
    if sum_of(last.values(), "list_cost_usd") != sum_of(ledger, "list_cost_usd"):
        faults.append(
            f"list cost: episodes {sum_of(last.values(), 'list_cost_usd')},"
            f" ledger {sum_of(ledger, 'list_cost_usd')}"
        )
    with RecordingStore.open(store or run_dir / "recordings.sqlite", read_only=True) as opened:
        calls = [call for call in opened.calls() if call.run_id == instance]
    replies = sum(call.reply is not None for call in calls)
    booked = sum(line["status"] == "ok" and not line["stored"] for line in ledger)
    if replies != booked:
        faults.append(f"replies: {replies} stored, {booked} booked")
    if shares:
        answered = Counter(row["digest"] for row in requests if row["fault"] in _ANSWERED)
        again = sum(count - 1 for count in answered.values())
        lost = sum(line["status"] in _LOST for line in ledger)
        if again > lost:
            faults.append(f"{again} answered questions asked again, {lost} attempts were lost")
    return faults


def ledger_faults(
    ledger: Sequence[Mapping[str, Any]], requests: Sequence[Mapping[str, Any]]
) -> list[str]:
    """What a ledger and the server that was asked disagree in.

    Args:
        ledger: lines of a ledger.
        requests: lines of the server's log.
    """
    faults = []
    made = [line for line in ledger if not line["stored"] and not line.get("fee")]
    # What was given up may not have left, or may have waited unread at a server that was busy.
    lost = sum(line["status"] in _LOST for line in made)
    if not len(made) - lost <= len(requests) <= len(made):
        faults.append(
            f"attempts: {len(made)} booked, {lost} of them interrupted or too late,"
            f" {len(requests)} arrived"
        )
    bill_usd, billed_usd = sum_of(requests, "bill_usd"), sum_of(ledger, "billed_cost_usd")
    unsettled_usd = sum_of(ledger, "unsettled_usd")
    if not billed_usd <= bill_usd <= billed_usd + unsettled_usd:
        faults.append(
            f"dollars: the server billed {bill_usd}, booked {billed_usd}"
            f" and unsettled {unsettled_usd}"
        )
    if any((Decimal(line.get("unsettled_usd", "0")) > 0) == line["settled"] for line in made):
        faults.append("a line is settled and has an unsettled amount, or neither")
    names = Counter((line["call"], line["attempt"]) for line in ledger)
    if doubled := [name for name, count in names.items() if count > 1]:
        faults.append(f"{len(doubled)} attempts are booked twice, {doubled[0]} for one")
    return faults


def early_requests(requests: Sequence[Mapping[str, Any]]) -> int:
    """How many came back before the time that a 429 had named, by the server's own clock.

    Args:
        requests: of one process: the next one does not know what was said to the last.
    """
    free_s: dict[str, float] = {}
    early = 0
    for row in requests:
        early += row["at_s"] < free_s.get(row["digest"], 0.0) - 0.02
        if row["fault"] == "429":
            # A date is written in whole seconds, so up to one of them is lost.
            is_date = row["argument"].startswith("date")
            wait_s = float(row["argument"].removeprefix("date")) - is_date
            free_s[row["digest"]] = row["at_s"] + wait_s
    return early


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("task", "problem_id", "system", "budget", "sample"))


def memory_mib(pid: int | str = "self") -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def cpu_s(pid: int | str) -> float:
    """CPU time of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / _TICKS_PER_S
