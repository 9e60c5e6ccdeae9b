"""A stored run as exporters need it: its arms, each with its episodes in order.

An *arm* is one system on one task at one budget, which is what other formats call a model's
result. Texts of tasks that may not be redistributed are withheld unless asked for; figures never
are.

    run = read_stored(Path("runs/demo"), include_restricted=False)
    [arm.label for arm in run.arms]
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.interop.carried import carry
from corl_bench.money.amounts import parse_usd
from corl_bench.results import (
    EpisodeRecord,
    OperatingPoint,
    Summary,
    read_episodes,
    read_manifest,
    read_summary,
)
from corl_bench.results.problems import read_problems


@dataclass(frozen=True, slots=True)
class Arm:
    """One system on one task at one told budget."""

    task: str
    system: str
    budget: str | None
    is_oracle: bool
    points: tuple[OperatingPoint, ...]
    """One; of a budget-blind system one for each budget that it is scored at."""
    problems: Mapping[str, tuple[EpisodeRecord, ...]]
    """By problem id, in sorted order: its samples."""

    @property
    def label(self) -> str:
        """`system`, or `system@budget` where it was told one."""
        return self.system if self.budget is None else f"{self.system}@{self.budget}"

    @property
    def episodes(self) -> list[EpisodeRecord]:
        return [record for samples in self.problems.values() for record in samples]


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run directory, read."""

    manifest: Mapping[str, Any]
    summary: Summary
    arms: tuple[Arm, ...]
    statements: Mapping[tuple[str, str], str]
    """By (task, problem id); empty where they are withheld or unknown."""
    golds: Mapping[tuple[str, str], str]

    @property
    def created(self) -> datetime:
        return datetime.fromisoformat(self.manifest["created"])

    def carried(self, arm: Arm, record: EpisodeRecord) -> dict[str, Any]:
        """An episode as it goes along in other formats, see `corl_bench.interop.carried`."""
        return carry(
            record,
            is_oracle=arm.is_oracle,
            simulated=self.summary.simulated,
            budgets=self.manifest["budgets"],
        )


def read_stored(
    run_dir: Path, *, include_restricted: bool, systems: Sequence[str] = ()
) -> StoredRun:
    """Reads a run directory.

    Args:
        run_dir: a run, finished or not.
        include_restricted: keep texts of tasks that may not be redistributed.
        systems: only these; none: all.

    Raises:
        ConfigError: no run is there, one of its files is broken, or it has no episode.
    """
    manifest, summary = read_manifest(run_dir), read_summary(run_dir)
    try:
        withheld = {
            label
            for label, task in manifest["tasks"].items()
            if not (include_restricted or task["redistributable"])
        }
        oracles = {s["name"] for s in manifest["systems"] if s["is_oracle"]}
        datetime.fromisoformat(manifest["created"])
        for usd in manifest["budgets"].values():
            parse_usd(usd)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{run_dir}/manifest.json is broken ({error!r}): restore it") from error
    episodes = read_episodes(run_dir)
    known = {episode.system for episode in episodes}
    for name in systems:
        if name not in known:
            raise ConfigError(
                f"{run_dir} has no system {name!r}; it has {', '.join(sorted(known))}"
            )
    groups: dict[tuple[str, str, str | None], dict[str, list[EpisodeRecord]]] = {}
    for episode in episodes:
        if systems and episode.system not in systems:
            continue
        if episode.task in withheld:
            episode = _withhold(episode)
        group = groups.setdefault((episode.task, episode.system, episode.budget), {})
        group.setdefault(episode.problem_id, []).append(episode)
    if not groups:
        raise ConfigError(f"{run_dir} has no episode yet")
    arms = [
        Arm(
            task=task,
            system=system,
            budget=budget,
            is_oracle=system in oracles,
            points=tuple(
                point
                for point in summary.rows
                if (point.task, point.system) == (task, system)
                and (budget is None or point.budget == budget)
            ),
            problems={
                problem: tuple(sorted(problems[problem], key=lambda episode: episode.sample))
                for problem in sorted(problems)
            },
        )
        for (task, system, budget), problems in groups.items()
    ]
    rows = {
        (row["task"], row["id"]): row
        for row in read_problems(run_dir)
        if row["task"] not in withheld
    }
    return StoredRun(
        manifest=manifest,
        summary=summary,
        arms=tuple(sorted(arms, key=lambda arm: (arm.task, arm.system, arm.budget or ""))),
        statements={key: row["problem"] for key, row in rows.items()},
        golds={key: row["answer"] for key, row in rows.items() if row["answer"] is not None},
    )


def _withhold(record: EpisodeRecord) -> EpisodeRecord:
    """The episode without anything that could hold a statement, a gold or a reply."""
    return replace(
        record,
        answer=None,
        response=None,
        detail="",
        events=("",) * len(record.events),
        calls=tuple(replace(call, text=None, detail="") for call in record.calls),
    )


def names_of_files(labels: Sequence[str]) -> dict[str, str]:
    """A name for files of each label, as lm-eval makes them and different from each other."""
    names: dict[str, str] = {}
    for label in labels:
        name = base = re.sub(r"[\"<>:/|\\?*\[\]\s]+", "__", label).strip(".") or "system"
        number = 2
        while name.casefold() in {known.casefold() for known in names.values()}:
            name, number = f"{base}-{number}", number + 1
        names[label] = name
    return names
