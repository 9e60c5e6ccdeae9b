"""A run directory from what somebody else reports: for reports, comparisons and gates.

Invariant: the directory is there whole or not at all, and everything in it says where it comes
from: the manifest has `imported`, every call and ledger line the basis of its cost, the summary
notes. Golds that nobody gave stand as null, so that such a run can be read and not re-graded.

    summary = write_run(reading, Judge("source", "source"), Path("runs/theirs"), command=[...])
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from corl_bench import grading
from corl_bench.errors import ConfigError
from corl_bench.experts.recording_columns import quoted
from corl_bench.files import LineFile, write_json, write_text
from corl_bench.interop.judging import Judge
from corl_bench.interop.reported import Reading, ReportedEpisode
from corl_bench.interop.staging import staged
from corl_bench.metrics.summary import summarise_run
from corl_bench.money.amounts import format_usd
from corl_bench.money.ledger import LedgerLine, Totals
from corl_bench.money.price_library import library_digest
from corl_bench.results import (
    EPISODE_SCHEMA,
    MANIFEST_NAME,
    SUMMARY_NAME,
    EpisodeRecord,
    Summary,
    describe_origin,
    encode_episode,
    encode_summary,
)
from corl_bench.runs.directory import describe_task
from corl_bench.tasks.digest import rows_digest
from corl_bench.types import Budget, Problem

PROVIDER = "imported"
MODE = "import"
_LICENCE = "the source's"


def write_run(reading: Reading, judge: Judge, out: Path, *, command: Sequence[str]) -> Summary:
    """Writes a run directory.

    Args:
        reading: what an importer read.
        judge: how it is to be judged and priced.
        out: the directory, which must not hold anything yet.
        command: the command line, for the manifest.

    Returns:
        The summary that was written.

    Raises:
        ConfigError: something of the reading cannot be results; nothing was written.
        StorageError: the directory cannot be written; nothing is left of it.
    """
    reading = replace(reading, episodes=[judge.place(episode) for episode in reading.episodes])
    reading.check()
    records = [judge.record(episode) for episode in reading.episodes]
    manifest = _manifest(reading, judge, records, command)
    summary = _summarise(manifest, reading.episodes, records, judge)
    with staged(out) as part:
        part.mkdir()
        _write(part, reading.episodes, records, judge, manifest, summary)
    return summary


def ledger_lines(record: EpisodeRecord, judge: Judge) -> list[LedgerLine]:
    """The lines of an episode: one for each call and fee, none of them billed to us."""
    lines = [
        LedgerLine(
            call=f"{record.key}#{call.id}",
            attempt=1,
            expert=call.expert,
            model=call.model,
            price=price.row_id if (price := judge.prices.get(call.expert)) else "",
            status=call.status,
            usage=call.usage,
            list_cost_usd=call.list_cost_usd,
            settled=not call.unsettled_usd,
            unsettled_usd=call.unsettled_usd,
            stored=True,
            basis=call.basis,
        )
        for call in record.calls
    ]
    lines += (
        LedgerLine(
            call=f"{record.key}#{fee.id}",
            attempt=1,
            expert="",
            model="",
            price="",
            status="ok",
            list_cost_usd=fee.list_cost_usd,
            settled=not fee.unsettled_usd,
            unsettled_usd=fee.unsettled_usd,
            stored=True,
            basis=fee.basis,
            fee=fee.what,
        )
        for fee in record.charges
    )
    return lines


def _write(
    part: Path,
    episodes: Sequence[ReportedEpisode],
    records: Sequence[EpisodeRecord],
    judge: Judge,
    manifest: Mapping[str, Any],
    summary: Summary,
) -> None:
    rows = (
        {
            "task": episode.task,
            "id": episode.problem_id,
            "problem": episode.statement or "",
            "answer": episode.gold,
            "kind": episode.kind,
            "redistributable": manifest["tasks"][episode.task]["redistributable"],
        }
        for episode in _problems(episodes)
    )
    write_text(
        part / "problems.jsonl",
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
    )
    with LineFile.open(part / "episodes.jsonl") as file:
        file.append(encode_episode(record) for record in records)
    with LineFile.open(part / "ledger.jsonl") as file:
        file.append(line.encode() for record in records for line in ledger_lines(record, judge))
    write_json(part / MANIFEST_NAME, manifest)
    write_json(part / SUMMARY_NAME, encode_summary(summary))


def _problems(episodes: Iterable[ReportedEpisode]) -> list[ReportedEpisode]:
    """One episode of each problem, by task and in the order of the source."""
    first: dict[tuple[str, str], ReportedEpisode] = {}
    for episode in episodes:
        first.setdefault((episode.task, episode.problem_id), episode)
    return list(first.values())


def _manifest(
    reading: Reading, judge: Judge, records: Sequence[EpisodeRecord], command: Sequence[str]
) -> dict[str, Any]:
    tasks = _tasks(reading, judge)
    systems = _systems(reading.episodes, records)
    budgets = _budgets(reading.episodes)
    models = {call.expert: call for record in records for call in record.calls}
    experts = [
        {
            "name": name,
            "provider": PROVIDER,
            "model": call.model,
            "role": call.role,
            "sampling": {},
            "price": judge.prices[name].as_dict() if name in judge.prices else None,
        }
        for name, call in sorted(models.items())
    ]
    samples = 1 + max(record.sample for record in records)
    by_grader = judge.graded and judge.verdicts == "grader"
    grader = grading.GRADER_VERSION if by_grader else f"{reading.format}'s"
    imported = {
        "format": reading.format,
        "digest": reading.digest,
        "verdicts": judge.verdicts,
        "graded_here": judge.graded,
        "costs": judge.costs,
        "cost_bases": dict(sorted(Counter(record.cost_basis for record in records).items())),
        "price_date": judge.price_date.isoformat() if judge.price_date else None,
        "notes": _notes(reading, judge, records),
    }
    identity: dict[str, Any] = {
        "schema": EPISODE_SCHEMA,
        "tasks": {
            label: {"split": task["split"], "digest": task["digest"], "prompt": task["prompt"]}
            for label, task in tasks.items()
        },
        "limit": None,
        "pool": {
            "digest": _sha256_of(experts),
            "prices": {name: price.row_id for name, price in sorted(judge.prices.items())},
        },
        "systems": {system["name"]: "" for system in systems},
        "budgets": {budget.name: format_usd(budget.usd) for budget in budgets},
        "samples": samples,
        "seed": 0,
        "mode": MODE,
        "grader": grader,
        "imported": {name: imported[name] for name in ("format", "digest", "verdicts", "costs")},
    }
    return {
        **describe_origin(_sha256_of(identity)[:12], command),
        "seed": 0,
        "samples": samples,
        "limit": None,
        "mode": MODE,
        "grader": grader,
        "grader_digest": grading.grader_digest() if by_grader else None,
        "price_library": library_digest(),
        "tasks": tasks,
        "pool": {
            "name": reading.format,
            "digest": identity["pool"]["digest"],
            "simulated": any(episode.simulated for episode in reading.episodes)
            or (judge.pool is not None and judge.pool.simulated),
            "experts": experts,
        },
        "systems": systems,
        "budgets": identity["budgets"],
        "imported": imported,
        "identity": identity,
    }


def _tasks(reading: Reading, judge: Judge) -> dict[str, dict[str, Any]]:
    if (task := judge.task) is not None:
        asked = {episode.problem_id for episode in reading.episodes}
        return {task.label: describe_task(task, len(asked))}
    grouped: dict[str, list[Problem]] = {}
    for episode in _problems(reading.episodes):
        # Without a statement its id stands for a problem, so that two imports can be joined.
        problem = Problem(
            episode.problem_id, episode.statement or episode.problem_id, episode.gold or ""
        )
        grouped.setdefault(episode.task, []).append(problem)
    return {
        label: {
            "title": f"{label} (from {reading.format})",
            "split": "all",
            "source": reading.format,
            "digest": rows_digest(problems),
            "digest_status": "unpinned",
            "problems": len(problems),
            "total": len(problems),
            "licence": _LICENCE,
            "redistributable": False,
            "prompt": "",
        }
        for label, problems in grouped.items()
    }


def _systems(
    episodes: Sequence[ReportedEpisode], records: Sequence[EpisodeRecord]
) -> list[dict[str, Any]]:
    oracles = {episode.system for episode in episodes if episode.is_oracle}
    told: dict[str, set[bool]] = {}
    for record in records:
        told.setdefault(record.system, set()).add(record.budget is not None)
    for system, kinds in told.items():
        if len(kinds) > 1:
            raise ConfigError(
                f"{quoted(system)} has episodes with a budget and without: call them two systems"
            )
    return [
        {"name": system, "reads_budget": kinds == {True}, "is_oracle": system in oracles}
        for system, kinds in told.items()
    ]


def _budgets(episodes: Iterable[ReportedEpisode]) -> list[Budget]:
    """Those that systems were told, and those that others are scored at."""
    budgets: dict[str, Budget] = {}
    for episode in episodes:
        for budget in (episode.budget, *episode.scored_at):
            if budget is not None and budgets.setdefault(budget.name, budget) != budget:
                raise ConfigError(f"budget {quoted(budget.name)} is two amounts: give each a name")
    return sorted(budgets.values(), key=lambda budget: budget.usd)


def _notes(reading: Reading, judge: Judge, records: Sequence[EpisodeRecord]) -> list[str]:
    notes = [f"imported from {reading.format}: costs are its author's word", *reading.notes]
    opaque = sum(record.cost_basis == "opaque" for record in records)
    if opaque:
        notes.append(
            f"the cost of {opaque:,} of {len(records):,} episodes is unknown and stands at $0"
        )
    if judge.costs == "prices":
        notes.append("costs are its token counts at our prices")
    if judge.graded:
        notes.append(f"{judge.graded:,} verdicts are by our grader {grading.GRADER_VERSION}")
    if judge.ungraded:
        notes.append(f"{judge.ungraded:,} episodes have neither a verdict nor a gold: in error")
    return notes


def _summarise(
    manifest: Mapping[str, Any],
    episodes: Sequence[ReportedEpisode],
    records: Sequence[EpisodeRecord],
    judge: Judge,
) -> Summary:
    totals = Totals()
    for record in records:
        for line in ledger_lines(record, judge):
            totals.add(line)
    notes = manifest["imported"]["notes"]
    return summarise_run(manifest, records, totals, _budgets(episodes), notes=notes)


def _sha256_of(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
