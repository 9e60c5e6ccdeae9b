"""What the workers of a run are to play, as one run gives it to all of them.

It holds the plan with its problems and golds, so no task file has to be on their machines. Systems
travel as they were written after `--system`: each worker makes them again from the same files,
and `facts_of` says what came of it, so that a run can refuse a worker whose systems are others.

    data = pack(plan, folder=os.getcwd())
    plan = unpack(data)                      # ConfigError: a system's file is not here
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import corl_bench
from corl_bench.routers.decision_file import match_decisions
from corl_bench.routers.registry import parse_systems
from corl_bench.runs.plan import Job, Plan


@dataclass(frozen=True, slots=True)
class _Assignment:
    plan: Plan
    """Without systems, and without what only the run has to know."""
    folder: str | None
    """Where relative paths begin; None: wherever the worker is started."""


class _Pickler(pickle.Pickler):
    def reducer_override(self, found: Any) -> Any:
        if isinstance(found, MappingProxyType):
            return _read_only, (dict(found),)
        return NotImplemented


def _read_only(table: dict[str, Any]) -> Mapping[str, Any]:
    """A read-only table, whose own class pickle cannot name."""
    return MappingProxyType(table)


def pack(plan: Plan, folder: str | None) -> bytes:
    """The plan for workers.

    Args:
        plan: with systems that were written.
        folder: the directory in which they were read; None where files are shipped.
    """
    file = io.BytesIO()
    bare = replace(plan, systems=(), training=None, stopping=None)
    _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(_Assignment(bare, folder))
    return file.getvalue()


def unpack(data: bytes) -> Plan:
    """The plan, with its systems made anew; relative paths begin in its folder if that is here.

    The data must be a run's own of the same version: to read it is to run it.

    Raises:
        ConfigError: a system cannot be made here.
    """
    assignment: _Assignment = pickle.loads(data)
    plan = assignment.plan
    if assignment.folder is not None and Path(assignment.folder).is_dir():
        os.chdir(assignment.folder)
    systems = parse_systems(plan.written, plan.pool)
    matched = tuple(match_decisions(system, plan.tasks, plan.budgets) for system in systems)
    return replace(plan, systems=matched)


def program() -> dict[str, str]:
    """What must be equal on all machines for episodes to be the same."""
    return {
        "corl-bench": f"{corl_bench.__version__} ({_source_digest()[:12]})",
        "Python": ".".join(platform.python_version_tuple()[:2]),
    }


def facts_of(plan: Plan) -> dict[str, dict[str, str | None]]:
    """What tells systems of one name apart: their code, and the prices of their models."""
    identity = plan.identity()
    return {"systems": identity["systems"], "prices": identity["pool"]["prices"]}


def difference(ours: dict[str, Any], theirs: Any) -> str:
    """The first thing that a worker has otherwise, for a message; empty where there is none."""
    for what, mine in ours.items():
        found = theirs.get(what) if isinstance(theirs, dict) else None
        if found == mine:
            continue
        if isinstance(mine, dict):
            return difference(mine, found) or f"more {what}"
        return f"{what} {str(found)[:32]} where this run has {str(mine)[:32]}"
    return ""


class Numbered:
    """Jobs as short rows: a task's number, a problem's, the system, a budget's number, the sample.

    Args:
        plan: the same on both sides.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._systems = {system.name: system for system in plan.systems}
        self._problems = {
            (task.label, problem.id): (t, p)
            for t, task in enumerate(plan.tasks)
            for p, problem in enumerate(task.problems)
        }
        self._budgets = {budget.name: b for b, budget in enumerate(plan.budgets)}

    def write(self, job: Job) -> list[Any]:
        """The row of a job."""
        task, problem = self._problems[job.task.label, job.problem.id]
        budget = None if job.budget is None else self._budgets[job.budget.name]
        return [task, problem, job.system.name, budget, job.sample]

    def read(self, row: list[Any]) -> Job:
        """The job of a row."""
        t, p, system, b, sample = row
        task = self._plan.tasks[t]
        budget = None if b is None else self._plan.budgets[b]
        return Job(task, task.problems[p], self._systems[system], budget, sample)


@lru_cache(maxsize=1)
def _source_digest() -> str:
    """sha256 of the bench's source, which a version alone does not say of a checkout."""
    digest = hashlib.sha256()
    root = Path(corl_bench.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
