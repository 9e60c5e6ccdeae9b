"""What came of a soak, in words and as an exit code."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from bookkeeping import early_requests, ledger_faults, sum_of

from corl_bench.files import read_lines
from soaking.holdings import leaks_of, memory_of
from soaking.serving import Clients


def report(
    folder: Path,
    clients: Clients,
    codes: dict[str, int],
    jumps: int,
    used: dict[str, float],
    took_s: float,
) -> int:
    """Prints what came of it; the exit code."""
    faults = [f"{name} ended with {code}" for name, code in codes.items() if code]
    faults += clients.faults
    rows = list(read_lines(folder / "runs" / "runs.jsonl"))
    looks = list(read_lines(folder / "serve" / "serve.jsonl"))
    faults += [f"run {row['run']} ({row['kind']}): {f}" for row in rows for f in row["faults"]]
    for name, samples in (("runs", rows), ("serve", looks)):
        faults += leaks_of(name, samples)
    met: Counter[str] = Counter()
    for row in rows:
        met.update(row["faults_met"])
    served = folder / "serve" / "served"
    ledger = list(read_lines(served / "ledger.jsonl"))
    upstream = list(read_lines(folder / "serve" / "server.jsonl"))
    asked = list(read_lines(served / "requests.jsonl"))
    faults += [f"serve: {fault}" for fault in ledger_faults(ledger, upstream)]
    if sum_of(asked, "list_cost_usd") != sum_of(ledger, "list_cost_usd"):
        faults.append("serve: requests and ledger differ")
    if too_early := early_requests(upstream):
        faults.append(f"serve: {too_early} requests before the time that a 429 had named")
    answers = sum(clients.statuses.values()) - clients.statuses["left early"]
    if not answers <= len(asked) <= sum(clients.statuses.values()):
        faults.append(f"serve: {len(asked)} requests on the books, {clients.statuses} asked")
    print(f"{took_s / 60:.1f} minutes, {jumps} jumps of the wall clock")
    kinds = Counter(row["kind"] for row in rows)
    exits: Counter[str] = Counter()
    for row in rows:
        exits.update(row["exit_codes"])
    print(
        f"runs: {len(rows)} ({', '.join(f'{n} {kind}' for kind, n in kinds.items())}); exit codes"
        f" {', '.join(f'{code} {n} times' for code, n in exits.most_common())}"
    )
    print(
        f"  {sum(row['requests'] for row in rows):,} requests,"
        f" {sum(n for fault, n in met.items() if fault != 'ok'):,} of them with a fault:"
        f" {', '.join(f'{fault} {n}' for fault, n in met.most_common() if fault != 'ok')}"
    )
    print(
        f"  ledger lines {sum(row['lines'] for row in rows):,},"
        f" unsettled {sum(row['unsettled'] for row in rows):,},"
        f" interrupted {sum(row['interrupted'] for row in rows):,}"
    )
    billed, server, unsettled = (
        sum_of(rows, name) for name in ("billed_usd", "server_usd", "unsettled_usd")
    )
    print(
        f"  dollars: booked {billed}, the server's {server}, booked and unsettled"
        f" {billed + unsettled}"
    )
    print(
        f"serve: {len(asked):,} requests"
        f" ({', '.join(f'{s} {n}' for s, n in clients.statuses.most_common())}),"
        f" {len(upstream):,} calls upstream; dollars: booked {sum_of(ledger, 'billed_cost_usd')},"
        f" the server's {sum_of(upstream, 'bill_usd')}, booked and unsettled"
        f" {sum_of(ledger, 'billed_cost_usd') + sum_of(ledger, 'unsettled_usd')}"
    )
    for name, samples in (("runs", rows), ("serve", looks)):
        if samples:
            early, late = memory_of(samples)
            last = samples[-1]
            print(
                f"{name}: at most {early:.1f} MiB in the first third, {late:.1f} in the last; in"
                f" the end descriptors {last['descriptors']}, threads {last['threads']} and"
                f" {last['pooled_threads']} of asyncio's pool, children {last['children']},"
                f" unfinished tasks {last['tasks']}"
            )
    print("CPU: " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in used.items()))
    for fault in faults[:20]:
        print(f"FAULT {fault}")
    print("all of it holds" if not faults else f"{len(faults)} FAULTS")
    return 1 if faults else 0
