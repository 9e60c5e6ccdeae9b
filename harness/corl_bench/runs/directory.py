"""The directory of a run: who may write into it, what it is a run of, what is done already.

`episodes.jsonl`, `ledger.jsonl` and `journal.jsonl` grow; `problems.jsonl` is written once, and
so is `manifest.json`, but for what a re-grading adds to it; `summary.json` and `report.html` are
derived and replaced. A lock held while a process works here keeps a second one out.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from corl_bench import grading
from corl_bench.errors import ConfigError, StorageError
from corl_bench.files import Closing, LineFile, remove_partials, write_json, write_text
from corl_bench.money.amounts import format_usd
from corl_bench.money.price_library import library_digest
from corl_bench.results import MANIFEST_NAME, describe_origin, episode_key, read_manifest
from corl_bench.results.episodes import read_episode_lines
from corl_bench.runs.plan import Plan
from corl_bench.tasks import LoadedTask


@dataclass
class RunDirectory(Closing):
    """A locked run directory that fits its plan."""

    path: Path
    manifest: dict[str, Any]
    episodes: LineFile
    _lock: int

    @classmethod
    def open(cls, path: Path, plan: Plan, command: Sequence[str]) -> Self:
        """Makes or reopens the directory and locks it.

        Raises:
            ConfigError: another process works here, or it holds a run of other settings.
            StorageError: it cannot be written.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}") from error
        return cls._locked(path, lambda: _claim(path, plan, command))

    @classmethod
    def reopen(cls, path: Path) -> Self:
        """Locks the directory of a stored run, whatever its plan was.

        Raises:
            ConfigError: another process works here, or it holds no run.
            StorageError: it cannot be written.
        """
        read_manifest(path)
        return cls._locked(path, lambda: read_manifest(path))

    @classmethod
    def _locked(cls, path: Path, manifest: Callable[[], dict[str, Any]]) -> Self:
        lock = lock_directory(path)
        try:
            remove_partials(path)
            return cls(path, manifest(), LineFile.open(path / "episodes.jsonl"), lock)
        except BaseException:
            os.close(lock)
            raise

    @property
    def instance(self) -> str:
        """Names this run among all others, those with the same settings included."""
        return str(self.manifest["instance"])

    def verdicts(self) -> dict[str, str]:
        """Verdicts of the episodes that are written, by key; the last line of a key counts.

        Raises:
            StorageError: a line is no episode.
        """
        return dict(read_episode_lines(self.path / "episodes.jsonl", _verdict_of))

    def close(self) -> None:
        self.episodes.close()
        os.close(self._lock)


def _verdict_of(row: Mapping[str, Any]) -> tuple[str, str]:
    key = episode_key(row["task"], row["problem_id"], row["system"], row["budget"], row["sample"])
    return key, row["verdict"]


def lock_directory(path: Path, *, who: Literal["run", "server"] = "run") -> int:
    """Keeps every other process out of a directory until the descriptor is closed.

    Args:
        path: an existing directory.
        who: works there: a run, which ends by itself, or a server, which does not.

    Returns:
        A descriptor; the system closes it when this process ends, however it ends.

    Raises:
        ConfigError: another process works here.
        StorageError: it cannot be written.
    """
    try:
        lock = os.open(path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    try:
        _lock_or_refuse(lock, path, who)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _lock_or_refuse(lock: int, path: Path, who: Literal["run", "server"]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "?"
        raise ConfigError(
            f"another {who} (process {holder}) is working in {path}:"
            f" {'stop' if who == 'server' else 'wait for'} it, or work in another directory"
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _claim(path: Path, plan: Plan, command: Sequence[str]) -> dict[str, Any]:
    """Writes the manifest of a new run, or makes sure that the old one is of the same."""
    if not (path / MANIFEST_NAME).exists():
        foreign = sorted(p.name for p in path.iterdir() if p.name != ".lock")
        if any(name in ("episodes.jsonl", "ledger.jsonl") for name in foreign):
            raise ConfigError(f"{path} has results but no {MANIFEST_NAME}: name another --out")
        _write_problems(path / "problems.jsonl", plan)
        manifest = describe(plan, command)
        write_json(path / MANIFEST_NAME, manifest)
        return manifest
    manifest = read_manifest(path)
    theirs, ours = manifest["identity"], plan.identity()
    if theirs != ours:
        differing = [name for name in ours if theirs.get(name) != ours[name]]
        if differing == ["grader"]:
            raise ConfigError(
                f"{path} was graded by grader {theirs.get('grader')}, this is grader"
                f" {ours['grader']}: bring its verdicts up to date with"
                f" `corl-bench regrade {path} --write`, or name another directory with --out"
            )
        raise ConfigError(
            f"{path} holds a run with other settings ({', '.join(differing)}): name another"
            " directory with --out, or repeat the command in its manifest.json"
        )
    return manifest


def _write_problems(path: Path, plan: Plan) -> None:
    rows = (
        {
            "task": task.label,
            "id": problem.id,
            "problem": problem.text,
            "answer": problem.answer,
            "kind": problem.kind,
            "redistributable": task.spec.redistributable,
        }
        for task in plan.tasks
        for problem in task.problems
    )
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def describe_task(task: LoadedTask, problems: int) -> dict[str, Any]:
    """A task as manifests have it.

    Args:
        task: what was asked.
        problems: how many of its rows.
    """
    return {
        "title": task.spec.title,
        "split": task.split,
        "source": task.source,
        "digest": task.digest,
        "digest_status": task.digest_status,
        "problems": problems,
        "total": task.total,
        "licence": task.spec.licence,
        "redistributable": task.spec.redistributable,
        "prompt": task.spec.prompt,
    }


def describe(plan: Plan, command: Sequence[str]) -> dict[str, Any]:
    """The manifest: enough to know what a run was and to make it again."""
    return {
        **describe_origin(plan.run_id, command),
        "seed": plan.seed,
        "samples": plan.samples,
        "limit": plan.limit,
        "mode": plan.mode,
        "grader": grading.GRADER_VERSION,
        "grader_digest": grading.grader_digest(),
        "price_library": library_digest(),
        "tasks": {task.label: describe_task(task, len(task.problems)) for task in plan.tasks},
        "pool": {
            "name": plan.pool.name,
            "digest": plan.pool.digest,
            "simulated": plan.pool.simulated,
            "experts": [
                {
                    "name": expert.name,
                    "provider": expert.provider,
                    "model": expert.model,
                    "role": expert.role,
                    "sampling": expert.sampling.as_dict(),
                    "price": expert.price.as_dict(),
                }
                for expert in plan.models
            ],
        },
        "systems": [
            {"name": s.name, "reads_budget": s.reads_budget, "is_oracle": s.is_oracle}
            for s in plan.systems
        ],
        "budgets": {budget.name: format_usd(budget.usd) for budget in plan.budgets},
        "identity": plan.identity(),
    }
