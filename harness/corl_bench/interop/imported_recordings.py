"""Replies that somebody else got, as recordings that any router can be played on.

A reply needs the statement of its problem, its model and its token counts; without counts it has
no cost, so a source that has none is refused, unless estimates are asked for, and these are
marked as such for good. Everything is stored, or nothing.

    report = store_replies(reading, judge, Path("store.sqlite"), label="theirs")
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from corl_bench.errors import ConfigError, CorlError
from corl_bench.experts.base import Reply
from corl_bench.experts.recording import Attempt, RecordedCall, problem_key
from corl_bench.experts.recording_columns import quoted
from corl_bench.experts.store import RecordingStore
from corl_bench.experts.usage import half_of_bytes
from corl_bench.files import write_text
from corl_bench.interop.judging import Judge
from corl_bench.interop.reported import Reading, ReportedEpisode
from corl_bench.types import Usage


@dataclass(frozen=True, slots=True)
class Stored:
    """What an import into a store did."""

    added: int
    known: int
    """Replies that were there already, or in the file more than once."""
    failed: int
    """Episodes without a reply, which are left out."""
    by_expert: Mapping[str, int]
    """Replies of each, those that were there already included."""


def store_replies(
    reading: Reading, judge: Judge, path: Path, *, label: str, estimate: bool = False
) -> Stored:
    """Stores the replies of a reading; a new store that gets none is removed again.

    Args:
        reading: what an importer read.
        judge: brings the problems of a task.
        path: the store, made where it is missing.
        label: says where the replies come from.
        estimate: where a reply has no token counts, estimate them, and mark them so.

    Raises:
        ConfigError: an episode is no single reply, or has no statement or token counts; or two
            replies contradict each other. Nothing was stored.
    """
    episodes = [judge.place(episode) for episode in reading.episodes]
    replace(reading, episodes=episodes).check()
    is_new = not path.exists()
    try:
        with RecordingStore.open(path) as store, store.transaction():
            return _store(episodes, store, label, estimate)
    except CorlError:
        if is_new:
            path.unlink(missing_ok=True)
        raise


def write_task(reading: Reading, judge: Judge, path: Path) -> int:
    """Writes the problems with their golds, as a task of one's own.

    Returns:
        How many there are.

    Raises:
        ConfigError: a problem has no statement or no gold.
    """
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for episode in map(judge.place, reading.episodes):
        if episode.statement is None or episode.gold is None:
            raise ConfigError(
                f"{episode.place}: no {'gold' if episode.statement else 'statement'}, without"
                " which it is no problem of a task"
            )
        rows[episode.task, episode.problem_id] = {
            "id": episode.problem_id,
            "problem": episode.statement,
            "answer": episode.gold,
            "kind": episode.kind or judge.kind,
        }
    if len({row["id"] for row in rows.values()}) < len(rows):
        for (task, problem), row in rows.items():
            row["id"] = f"{task}/{problem}"
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows.values())
    write_text(path, "".join(lines))
    return len(rows)


def _store(
    episodes: list[ReportedEpisode], store: RecordingStore, label: str, estimate: bool
) -> Stored:
    added = known = failed = 0
    by_expert: Counter[str] = Counter()
    for episode in episodes:
        call = _recorded(episode, label, estimate)
        if call is None:
            failed += 1
            continue
        store.add_problem(call.problem_key, episode.statement or "")
        if store.add(call):
            added += 1
        else:
            _expect_same(store, call, episode.place)
            known += 1
        by_expert[call.expert] += 1
    if not added + known:
        raise ConfigError("nothing to store: no episode has a reply")
    return Stored(added, known, failed, dict(sorted(by_expert.items())))


def _recorded(episode: ReportedEpisode, label: str, estimate: bool) -> RecordedCall | None:
    if episode.carried is not None:
        raise ConfigError(
            f"{episode.place}: an export of a run of ours: take the run's own recordings"
        )
    if len(episode.calls) != 1:
        raise ConfigError(
            f"{episode.place}: {len(episode.calls)} calls; only a single reply to a problem can"
            " become a recording: import it as results with --out"
        )
    (call,) = episode.calls
    if call.status != "ok" or call.text is None:
        return None
    if episode.statement is None:
        raise ConfigError(
            f"{episode.place}: no statement of {quoted(episode.problem_id)}: name the task with"
            " --task, or import it as results with --out"
        )
    usage = call.usage
    if usage is None and estimate:
        usage = Usage(
            input_tokens=8 + half_of_bytes(episode.statement),
            output_tokens=max(1, half_of_bytes(call.text)),
            estimated=True,
        )
    if usage is None:
        raise ConfigError(
            f"{episode.place}: no token counts, without which a reply has no cost: estimate them"
            " with --estimate-tokens, or import it as results with --out"
        )
    reply = Reply(
        text=call.text,
        usage=usage,
        finish=call.finish or "stop",
        model=call.model,
        latency_s=call.latency_s,
        source_correct=episode.correct,
    )
    return RecordedCall(
        request_key="",
        sample=episode.sample,
        occurrence=0,
        expert=call.expert,
        model=call.model,
        problem_key=problem_key(episode.statement),
        attempts=(Attempt("ok", usage, latency_s=call.latency_s),),
        reply=reply,
        run_id=label,
        origin="imported",
    )


def _expect_same(store: RecordingStore, call: RecordedCall, place: str) -> None:
    """A second reply of a model to a problem must be the same; how long it took may differ."""
    there = store.find_same(call)
    if there is None or there.reply is None or call.reply is None:
        raise ConfigError(f"{place}: it is in {store.path} as a failed call: use a new store")
    if (there.reply.text, there.reply.usage) != (call.reply.text, call.reply.usage):
        raise ConfigError(
            f"{place}: another reply of {quoted(call.expert)} to this problem (sample"
            f" {call.sample}) is in {store.path} or above: use a new store, or import it as"
            " results with --out"
        )
