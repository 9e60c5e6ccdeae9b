"""A stored run judged again by the grader of today.

What experts replied is a fact and stays, and so do all costs; only verdicts change. Choices that
systems made while they ran (a cascade that stopped, the oracle's pick) were made by the grader
of then and stay as well. Episodes in error have nothing to be judged and are left alone.

Nothing is overwritten: a changed verdict is a new line in `episodes.jsonl`, where the last line
of an episode counts, and the manifest lists each re-grading.

    for change in regrade(Path("runs/demo")).changes:
        print(change.episode.key, change.episode.verdict, "->", change.verdict.status)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from corl_bench import grading
from corl_bench.errors import ConfigError
from corl_bench.files import write_json
from corl_bench.metrics.summary import summarise_run
from corl_bench.money.amounts import parse_usd
from corl_bench.money.ledger import Totals, read_ledger
from corl_bench.results import (
    EpisodeRecord,
    Summary,
    encode_episode,
    encode_summary,
    read_episodes,
    read_manifest,
)
from corl_bench.results.decisions import decision_notes, read_decisions
from corl_bench.results.documents import read_document
from corl_bench.results.preflight import preflight_notes
from corl_bench.results.problems import read_problems
from corl_bench.runs.directory import RunDirectory
from corl_bench.runs.training import training_notes
from corl_bench.types import Budget, Verdict


UNDER_WAY_NAME = "regrading.json"
"""There while a re-grading is being written: what it comes to."""
UNDER_WAY_SCHEMA = "corl-bench/regrading@1"


@dataclass(frozen=True, slots=True)
class Grader:
    """Which grader judged."""

    version: str
    digest: str | None
    """Sha256 of its sources; None where the manifest is older than this field."""

    @classmethod
    def of_today(cls) -> Grader:
        return cls(grading.GRADER_VERSION, grading.grader_digest())

    @classmethod
    def of_run(cls, manifest: Mapping[str, Any]) -> Grader:
        return cls(manifest["grader"], manifest.get("grader_digest"))

    def encode(self) -> dict[str, Any]:
        return {"version": self.version, "digest": self.digest}

    def __str__(self) -> str:
        return f"{self.version} ({(self.digest or 'digest unknown')[:14]})"


@dataclass(frozen=True, slots=True)
class Change:
    """One episode that is judged otherwise than it was."""

    episode: EpisodeRecord
    """As it is stored."""
    gold: str
    verdict: Verdict

    @property
    def moved(self) -> bool:
        """Whether the verdict itself changed, not only the answer or the detail."""
        return self.episode.verdict != self.verdict.status

    @property
    def reason(self) -> str:
        """Why it changed, as far as the two verdicts tell."""
        before, after = self.episode.answer, self.verdict.answer
        if before == after:
            why = "the same answer is compared otherwise" if self.moved else "other detail"
        elif before is None:
            why = "an answer is found now"
        elif after is None:
            why = "that text is no longer taken for an answer"
        else:
            why = "another answer is found"
        return f"{why}: {self.verdict.detail}" if self.verdict.detail else why


@dataclass(frozen=True, slots=True)
class SystemCount:
    """Episodes of one system on one task, before and after."""

    task: str
    system: str
    episodes: int
    """Those in error included, as in the accuracy of a run."""
    correct_before: int
    correct_after: int
    moved: int


@dataclass(frozen=True, slots=True)
class Regrading:
    """What another judgement of a run comes to."""

    before: Grader
    after: Grader
    graded: int
    errors: int
    """Episodes in error, which are left as they are."""
    changes: tuple[Change, ...]
    systems: tuple[SystemCount, ...]

    @property
    def moved(self) -> int:
        """Episodes with another verdict."""
        return sum(change.moved for change in self.changes)

    @property
    def is_new(self) -> bool:
        """Whether there is anything to be written down."""
        return bool(self.changes) or self.before != self.after


def regrade(run_dir: Path, *, advance: Callable[[], None] = lambda: None) -> Regrading:
    """Judges the episodes of a stored run again; writes nothing.

    Args:
        run_dir: a run directory.
        advance: called after each episode.

    Raises:
        ConfigError: the directory holds no run, its manifest names no grader, problems.jsonl
            lacks one of its problems, or an episode has a verdict that there is not.
    """
    return _regrade(run_dir, read_manifest(run_dir), read_episodes(run_dir), advance)


def write_regrading(run_dir: Path, *, advance: Callable[[], None] = lambda: None) -> Regrading:
    """As `regrade`, and writes it down: new lines, the manifest's list, the summary.

    The lines come first and the manifest last: killed in between, the same call goes on from
    there, and what says that nothing is left to do stands only when that is so.

    Raises:
        ConfigError: as `regrade`, or another process is working in the directory.
        StorageError: a file cannot be written.
    """
    with RunDirectory.reopen(run_dir) as directory:
        episodes = read_episodes(run_dir)
        result = _regrade(run_dir, directory.manifest, episodes, advance)
        if result.is_new:
            entry = _begun(run_dir / UNDER_WAY_NAME, result)
            news = {change.episode.key: _judged(change) for change in result.changes}
            directory.episodes.append(encode_episode(record) for record in news.values())
            manifest = _noted(directory.manifest, result, entry)
            episodes = [news.get(record.key, record) for record in episodes]
            write_json(
                run_dir / "summary.json",
                encode_summary(_summary(run_dir, manifest, episodes)),
            )
            write_json(run_dir / "manifest.json", manifest)
            (run_dir / UNDER_WAY_NAME).unlink()
        return result


def regrading_notes(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """What a summary says about the re-gradings of its run: the last one, or nothing."""
    if not manifest.get("regraded"):
        return ()
    last = manifest["regraded"][-1]
    return (
        f"verdicts by grader {last['to']['version']}, re-graded on {last['at'][:10]};"
        " choices that systems made while they ran are those of the grader before it",
    )


def _regrade(
    run_dir: Path,
    manifest: Mapping[str, Any],
    episodes: Sequence[EpisodeRecord],
    advance: Callable[[], None],
) -> Regrading:
    if "grader" not in manifest:
        raise ConfigError(
            f"{run_dir / 'manifest.json'} does not say which grader judged: run it again with"
            " `corl-bench run`, or restore the manifest"
        )
    problems = {(row["task"], row["id"]): row for row in read_problems(run_dir)}
    # Systems often return the very same reply, and episodes of a problem stand close together.
    judge = lru_cache(maxsize=4096)(grading.grade)
    changes = []
    errors = 0
    for record in episodes:
        if record.verdict == "error":
            errors += 1
        else:
            problem = problems.get((record.task, record.problem_id))
            if problem is None or problem["answer"] is None:  # an import may know no gold
                raise ConfigError(
                    f"{run_dir / 'problems.jsonl'} lacks {record.problem_id} of {record.task}:"
                    " without its gold it cannot be graded"
                )
            verdict = judge(problem["answer"], record.response, kind=problem["kind"])
            if verdict != Verdict(record.verdict, record.answer, record.detail):
                changes.append(Change(record, problem["answer"], verdict))
        advance()
    return Regrading(
        before=Grader.of_run(manifest),
        after=Grader.of_today(),
        graded=len(episodes) - errors,
        errors=errors,
        changes=tuple(changes),
        systems=_count(episodes, changes),
    )


def _count(episodes: Sequence[EpisodeRecord], changes: Sequence[Change]) -> tuple[SystemCount, ...]:
    changed = {change.episode.key: change for change in changes}
    groups: dict[tuple[str, str], list[EpisodeRecord]] = {}
    for record in episodes:
        groups.setdefault((record.task, record.system), []).append(record)
    counts = []
    for (task, system), records in groups.items():
        before = [record.verdict == "correct" for record in records]
        after = [
            changed[record.key].verdict.correct if record.key in changed else was_correct
            for record, was_correct in zip(records, before, strict=True)
        ]
        moved = sum(record.key in changed and changed[record.key].moved for record in records)
        counts.append(SystemCount(task, system, len(records), sum(before), sum(after), moved))
    return tuple(counts)


def _judged(change: Change) -> EpisodeRecord:
    verdict = change.verdict
    return replace(
        change.episode, verdict=verdict.status, answer=verdict.answer, detail=verdict.detail
    )


def _begun(path: Path, result: Regrading) -> dict[str, Any]:
    """The manifest's entry; of a call that goes on, that of the one that was killed.

    Its lines may be written already, and would not count as changed any more.
    """
    entry = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "from": result.before.encode(),
        "to": result.after.encode(),
        "episodes": result.graded,
        "changed": len(result.changes),
        "verdicts_changed": result.moved,
    }
    if path.exists():
        before = read_document(path.parent, path.name, UNDER_WAY_SCHEMA)["entry"]
        if (before["from"], before["to"]) == (entry["from"], entry["to"]):
            return dict(before)
    write_json(path, {"schema": UNDER_WAY_SCHEMA, "entry": entry})
    return entry


def _noted(
    manifest: Mapping[str, Any], result: Regrading, entry: Mapping[str, Any]
) -> dict[str, Any]:
    """The manifest with this re-grading; the run is one of today's grader from here on."""
    return {
        **manifest,
        "grader": result.after.version,
        "grader_digest": result.after.digest,
        "identity": {**manifest["identity"], "grader": result.after.version},
        "regraded": [*manifest.get("regraded", []), entry],
    }


def _summary(
    run_dir: Path, manifest: Mapping[str, Any], episodes: Sequence[EpisodeRecord]
) -> Summary:
    """Made from the manifest: a run that was killed has no summary to start from."""
    totals = Totals()
    for line in read_ledger(run_dir):
        totals.add(line)
    budgets = [Budget(name, parse_usd(usd)) for name, usd in manifest["budgets"].items()]
    finished = None
    imported = manifest.get("imported", {}).get("notes", ())
    notes = [*imported, *regrading_notes(manifest)]
    if "until_decided" in manifest["identity"]:
        decisions = read_decisions(run_dir)
        finished = decisions is not None and decisions.is_over
        notes += () if decisions is None else decision_notes(decisions)
        notes.append("decided by the verdicts before the re-grading: its command decides again")
    notes += (*training_notes(run_dir)[0], *preflight_notes(run_dir)[0])
    return summarise_run(manifest, episodes, totals, budgets, notes=notes, finished=finished)
