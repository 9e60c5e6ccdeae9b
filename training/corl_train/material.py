"""The problems that a run is trained and validated on: of some subjects, and in no set of a test.

Problems that stand in the recipe's own test set, or in those that `data.decontaminate` names, are
left out of the training ones, in whatever words they stand there. How many were, and of which
set, is part of what a run is: it stands in its `config.json`. A recipe may take training problems
for its validation set. Where validation chooses the controller, problems of the test set are left
out of it as well (`unseen`).

    material = gather(config.data)
    material.train.problems, material.left_out       # (LeftOut("math500", "sha256:…", {…}),)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from corl_bench.errors import ConfigError
from corl_bench.tasks import LoadedTask, load_task
from corl_bench.tasks.overlap import Kind, Match, count_kinds, find_overlap, without
from corl_bench.types import Problem
from corl_train.config import DataTable


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Problems that stand in one set."""

    task: str
    digest: str
    """Of the set."""
    counts: Mapping[Kind, int]
    """Of the problems that were left out for it; only the kinds that occur."""
    of: Literal["training", "validation"] = "training"
    """Which problems they were left out of."""

    def __str__(self) -> str:
        listed = ", ".join(f"{count:,} {kind}" for kind, count in self.counts.items())
        return f"left out of the {self.of} problems for {self.task}: {listed or 'none'}"

    def to_json(self) -> dict[str, Any]:
        """As it stands in `config.json`."""
        counts = {str(kind): count for kind, count in self.counts.items()}
        of = {} if self.of == "training" else {"of": self.of}
        return {"name": self.task, "digest": self.digest, **of, **counts}


@dataclass(frozen=True, slots=True)
class Material:
    """What is trained and validated on. Digests are those of the whole splits."""

    train: LoadedTask
    validation: LoadedTask
    left_out: tuple[LeftOut, ...]


def gather(data: DataTable) -> Material:
    """Loads the training and validation problems of a recipe.

    Raises:
        ConfigError: a set is not there, no problem of it has a subject that the recipe names, or
            nothing is left.
        DigestMismatchError: rows are not those that a task pins.
        MissingExtraError: the `datasets` library is needed and not installed.
    """
    train = _of_subjects(load_task(data.train), data)
    validation = _of_subjects(load_task(data.validation), data)
    named = (load_task(name) for name in dict.fromkeys((data.test, *data.decontaminate)))
    others = [other for other in named if not _is_apart(train, other)]
    kept, found = keep_apart(train.problems, others)
    left_out = []
    for other, matches in zip(others, found, strict=True):
        counts = {kind: count for kind, count in count_kinds(matches).items() if count}
        left_out.append(LeftOut(other.label, other.digest, counts))
    if not kept:
        listed = ", ".join(other.label for other in others)
        raise ConfigError(
            f"data.train {train.label}: every problem of it stands in {listed}, which it"
            " is tested on: name other problems"
        )
    return Material(replace(train, problems=kept), validation, tuple(left_out))


def keep_apart(
    problems: Sequence[Problem], others: Sequence[LoadedTask]
) -> tuple[tuple[Problem, ...], list[tuple[Match, ...]]]:
    """The problems that stand in none of some sets, in whatever words.

    Args:
        problems: to train on.
        others: sets that results are reported on.

    Returns:
        What is left of them, and for each set what was found in it. One may stand in several.
    """
    found = [find_overlap(problems, other.problems) for other in others]
    return without(problems, (match for matches in found for match in matches)), found


def unseen(material: Material, data: DataTable) -> Material:
    """The material without validation problems that stand in the test set, for where these choose.

    Args:
        material: of a recipe that keeps the best controller on the validation set.
        data: of the recipe.

    Raises:
        ConfigError: nothing is left of it.
    """
    validation, test = material.validation, load_task(data.test)
    if _is_apart(validation, test):
        return material
    kept, (found,) = keep_apart(validation.problems, [test])
    if not kept:
        raise ConfigError(
            f"data.validation {validation.label}: every problem of it stands in data.test"
            f" {test.label}, and the best controller on them would be kept: name other problems,"
            " or set schedule.keep=last"
        )
    if not found:
        return material
    counts = {kind: count for kind, count in count_kinds(found).items() if count}
    told = LeftOut(test.label, test.digest, counts, of="validation")
    return replace(
        material,
        validation=replace(validation, problems=kept),
        left_out=(*material.left_out, told),
    )


def _of_subjects(task: LoadedTask, data: DataTable) -> LoadedTask:
    if not (data.subjects or data.without_subjects):
        return task
    there = {problem.subject for problem in task.problems}
    if unknown := [s for s in (*data.subjects, *data.without_subjects) if s not in there]:
        listed = ", ".join(sorted(subject for subject in there if subject)) or "none at all"
        raise ConfigError(
            f"{task.label} has no subject {unknown[0]!r}, which data.subjects or"
            f" data.without_subjects names: it has {listed}"
        )
    problems = tuple(p for p in task.problems if data.has_subject(p.subject))
    if not problems:
        raise ConfigError(
            f"{task.label}: data.without_subjects leaves no problem: name fewer subjects"
        )
    return replace(task, problems=problems)


def _is_apart(one: LoadedTask, other: LoadedTask) -> bool:
    """Whether two splits are of one generator, which gives no problem to two of them.

    Its templates are alike by intention, down to the numbers now and then.
    """
    splits = (one.spec.splits.get(one.split), other.spec.splits.get(other.split))
    return (
        one.spec.name == other.spec.name
        and one.split != other.split
        and all(split is not None and split.generated for split in splits)
    )
