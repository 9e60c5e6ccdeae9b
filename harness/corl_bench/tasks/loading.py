"""From a name or a file to problems: which rows, from where, and whether they are the pinned ones.

A built-in task comes from local JSONL where a data folder is given, else through the `datasets`
library; either way the same golds, the same mends and the same digest apply. Rows that are not
the pinned ones stop the load, unless the caller asks for them by name; rows that nothing pins
are loaded and said to be unpinned.

    task = load_task("math500", data_dir=Path("data"), limit=50, seed=1)
    task = load_task("math:train")
    task = load_task("mine/problems.jsonl.zst")
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from corl_bench.errors import ConfigError, DigestMismatchError
from corl_bench.tasks.digest import rows_digest
from corl_bench.tasks.locate import task_files
from corl_bench.tasks.rows import problem_of_row, read_jsonl
from corl_bench.tasks.spec import Mend, Split, TaskSpec
from corl_bench.types import Problem

DATA_DIR_VARIABLE = "CORL_DATA_DIR"
FILE_SUFFIXES = (".jsonl", ".jsonl.zst")

DigestStatus = Literal["pinned", "unpinned", "mismatch-allowed"]
"""`pinned`: the rows are those that the task names. `unpinned`: nothing says which rows they
should be. `mismatch-allowed`: they are others, and the caller said to go on."""


@dataclass(frozen=True, slots=True)
class LoadedTask:
    """The problems of one split, and how sure it is that they are the right ones."""

    spec: TaskSpec
    split: str
    problems: tuple[Problem, ...]
    """In the order of the rows; fewer than `total` where a limit was given."""
    digest: str
    """Of all rows, before any limit."""
    digest_status: DigestStatus
    source: str
    """The file, the dataset with its revision, or `generated`."""
    total: int
    """Rows before any limit."""

    @property
    def label(self) -> str:
        """The name under which the same problems load again: `gsm8k`, `math:train`."""
        return label_of(self.spec, self.split)


def label_of(spec: TaskSpec, split: str) -> str:
    """`task` for the default split, `task:split` for another."""
    return spec.name if split == spec.default_split else f"{spec.name}:{split}"


def list_tasks() -> list[TaskSpec]:
    """The built-in tasks, by name."""
    from corl_bench.tasks.schema import read_spec

    return [read_spec(path) for path in task_files().values()]


def spec_of(name: str) -> TaskSpec:
    """The spec of a built-in task or of a `task.toml`; `name:split` gives the whole task's.

    Raises:
        ConfigError: there is none, or `name` is a file of problems, which has no spec.
    """
    target, _ = _resolve(name, None)
    if isinstance(target, Path):
        raise ConfigError(f"{name} is a file of problems and declares nothing; name a task")
    return target


def load_task(
    name_or_file: str,
    *,
    split: str | None = None,
    data_dir: Path | None = None,
    seed: int = 0,
    limit: int | None = None,
    allow_digest_mismatch: bool = False,
) -> LoadedTask:
    """Loads the problems of a task.

    Args:
        name_or_file: a built-in task (`gsm8k`, `gsm8k:train`); a JSONL file of problems, plain
            or `.zst`, with `:split` for the rows whose `split` field says so; or a `task.toml`.
            A file is named after itself, and `problems.jsonl` after its folder; by its whole
            path where that would be the name of a built-in task.
            A built-in name wins over a file of that name.
        split: instead of the `:split` notation; None: the task's default, all rows of a file.
        data_dir: folder with `<task>_<split>.jsonl`, or `<task>.jsonl` for the default split.
            None: the environment's CORL_DATA_DIR; without either, the `datasets` library.
        seed: of the sample that `limit` takes; nothing else depends on it.
        limit: at most so many problems, as a sample: those whose ids hash lowest with the
            seed, in task order. A larger limit contains the smaller one's problems.
        allow_digest_mismatch: load rows that are not the pinned ones, and mark them so.

    Raises:
        ConfigError: no such task, split or file; no rows to be had; or a broken row.
        DigestMismatchError: the rows are not those that the task pins.
        MissingExtraError: the `datasets` library is needed and not installed.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"the limit must be at least 1, not {limit}")
    target, split = _resolve(name_or_file, split)
    if isinstance(target, Path):
        loaded = _load_file(target, split)
    else:
        folder = data_dir or (Path(d) if (d := os.environ.get(DATA_DIR_VARIABLE)) else None)
        loaded = _load_split(target, split or target.default_split, folder, allow_digest_mismatch)
    if limit is None or limit >= loaded.total:
        return loaded
    return replace(loaded, problems=sample(loaded.problems, limit, seed=seed))


def sample(problems: tuple[Problem, ...], count: int, *, seed: int) -> tuple[Problem, ...]:
    """The `count` problems whose ids hash lowest with `seed`, in their given order.

    The head of a file is no sample: sources are often sorted by subject, year or difficulty.
    """

    def rank(index: int) -> bytes:
        return hashlib.sha256(f"{seed}\n{problems[index].id}".encode()).digest()

    chosen = sorted(range(len(problems)), key=rank)[:count]
    return tuple(problems[index] for index in sorted(chosen))


def _resolve(name: str, split: str | None) -> tuple[TaskSpec | Path, str | None]:
    from corl_bench.tasks.schema import read_spec

    built_in = task_files()
    base, colon, suffix = name.rpartition(":")
    known = name in built_in or _is_file(name)
    if colon and not known and (base in built_in or _looks_like_file(base)):
        if split not in (None, suffix):
            raise ConfigError(f"{name} and split {split!r} name two splits: give one")
        name, split = base, suffix
    if name in built_in or name.endswith(".toml"):
        spec = read_spec(built_in.get(name, Path(name)))
        if split is not None and split not in spec.splits:
            raise ConfigError(
                f"task {spec.name} has no split {split!r}; it has {', '.join(spec.splits)}"
            )
        return spec, split
    if _looks_like_file(name):
        return Path(name), split
    near = difflib.get_close_matches(base or name, built_in, n=3, cutoff=0.5)
    listed = f"near: {', '.join(near)}" if near else f"there are {', '.join(built_in)}"
    raise ConfigError(f"no task or file {name!r}; {listed}; a file of problems is FILE.jsonl")


def _looks_like_file(name: str) -> bool:
    return name.endswith((*FILE_SUFFIXES, ".toml")) or os.sep in name or _is_file(name)


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # a folder on the way may not be read: opening the file will say so
        return False


def _load_file(path: Path, split: str | None) -> LoadedTask:
    name = path.name
    for suffix in FILE_SUFFIXES:
        name = name.removesuffix(suffix)
    if name == "problems":  # folders of recordings each hold a file of this name
        name = path.resolve().parent.name
    if name in task_files():  # these are not its rows, or nothing says that they are
        name = str(path)
    problems = _problems(read_jsonl(path), f"{path}:", TaskSpec.of_file(name))
    if split is not None:
        problems = tuple(p for p in problems if p.metadata.get("split") == split)
    if not problems:
        which = f"no row whose `split` is {split!r}" if split else "no rows"
        raise ConfigError(f"{path}: {which}")
    kinds = {problem.kind for problem in problems}
    spec = TaskSpec.of_file(name, kind=kinds.pop() if len(kinds) == 1 else "math")
    return LoadedTask(
        spec, split or "all", problems, rows_digest(problems), "unpinned", str(path), len(problems)
    )


def _load_split(
    spec: TaskSpec, split_name: str, data_dir: Path | None, allow_mismatch: bool
) -> LoadedTask:
    split = spec.splits[split_name]
    digest, count = split.digest, split.count
    if split.generated:
        problems, origin = _generate(spec.name, split_name), "generated"
    else:
        rows, where, origin = _rows(spec, split_name, data_dir)
        problems = _problems(rows, where, spec, skip_unanswered=split.skip_unanswered)
        if data_dir is None and split.source and not split.source.same_rows:
            digest, count = None, split.source.count or count
    found = rows_digest(problems)
    wrong = None
    if count is not None and len(problems) != count:
        wrong = f"{len(problems)} rows where {count} are expected (digest {found})"
    elif digest is not None and found != digest:
        wrong = f"digest {found} where {digest} is pinned"
    if wrong and not allow_mismatch:
        raise DigestMismatchError(
            f"{origin}: not the rows of {label_of(spec, split_name)}: {wrong}; get an unchanged "
            "copy (`corl-bench run` and `fit` go on with these rows, marked as others, with "
            "--allow-digest-mismatch)"
        )
    status: DigestStatus = "mismatch-allowed" if wrong else "pinned" if digest else "unpinned"
    return LoadedTask(spec, split_name, problems, found, status, origin, len(problems))


@cache
def _generate(task: str, split: str) -> tuple[Problem, ...]:
    """The problems of a split; a training loads each several times, and a split takes a second."""
    if task == "synth":
        from corl_bench.tasks import synth

        return tuple(synth.generate(split))
    if task == "everyday":
        from corl_bench.tasks import everyday

        return tuple(everyday.generate(split))
    raise ConfigError(f"task {task} has no generator: only synth and everyday are generated")


def _rows(
    spec: TaskSpec, split_name: str, data_dir: Path | None
) -> tuple[Iterable[tuple[int, Mapping[str, Any]]], str, str]:
    """Numbered rows, what to say before a number, and where the rows come from."""
    if data_dir is not None:
        path = _data_file(spec, split_name, data_dir)
        return read_jsonl(path), f"{path}:", str(path)
    source = spec.splits[split_name].source
    if source is None:
        raise ConfigError(_how_to_get(spec, split_name))
    from corl_bench.tasks.hub import read_source

    rows = enumerate(read_source(source, name=label_of(spec, split_name)))
    origin = f"{source.dataset}@{source.revision or 'unpinned'}"
    return rows, f"{source.dataset}, row ", origin


def _problems(
    rows: Iterable[tuple[int, Mapping[str, Any]]],
    where: str,
    spec: TaskSpec,
    *,
    skip_unanswered: bool = False,
) -> tuple[Problem, ...]:
    """Problems of numbered rows; what is wrong with one is said as `where` and its number."""
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for number, raw in rows:
        row = _mended(raw, spec.mends)
        if skip_unanswered and not str(row.get("answer", row.get("gold")) or "").strip():
            continue
        try:
            problem = problem_of_row(row, default_id=f"{spec.name}/{len(seen)}", kind=spec.kind)
        except ValueError as error:
            raise ConfigError(f"{where}{number}: {error}") from error
        if problem.id in seen:
            raise ConfigError(f"{where}{number}: id {problem.id!r} is row {seen[problem.id]}'s too")
        seen[problem.id] = number
        if spec.difficulty:
            difficulty = spec.difficulty
            problem = replace(problem, subject=difficulty.subject, level=difficulty.level)
        problems.append(problem)
    return tuple(problems)


def _mended(row: Mapping[str, Any], mends: Iterable[Mend]) -> Mapping[str, Any]:
    mended = dict(row)
    for mend in mends:
        statement = mended.get("problem", mended.get("question"))
        if mend.where and mend.where not in str(statement):
            continue
        aliases = ("problem", "question") if mend.field == "problem" else ("answer", "gold")
        for column in aliases:
            if isinstance(value := mended.get(column), str):
                if mend.find:
                    mended[column] = value.replace(mend.find, mend.replace)
                elif not value.strip():
                    mended[column] = mend.replace
    return mended


def _data_file(spec: TaskSpec, split: str, data_dir: Path) -> Path:
    stems = [f"{spec.name}_{split}"] + ([spec.name] if split == spec.default_split else [])
    for stem in stems:
        for suffix in FILE_SUFFIXES:
            path = data_dir / f"{stem}{suffix}"
            if path.is_file():
                return path
    wanted = " or ".join(f"{stem}.jsonl" for stem in stems)
    source = spec.splits[split].source
    other = f"; without a data folder it comes from {source.dataset}" if source else ""
    hint = spec.splits[split].how_to_get
    raise ConfigError(
        f"{data_dir} has no {wanted}, rows {{problem, answer}} of {label_of(spec, split)}"
        f"{other}{f'; {hint}' if hint else ''}"
    )


def _how_to_get(spec: TaskSpec, split_name: str) -> str:
    hint = spec.splits[split_name].how_to_get
    return (
        f"{label_of(spec, split_name)} is read from a local file only: put "
        f"{spec.name}_{split_name}.jsonl into a folder and pass --data-dir DIR (or "
        f"CORL_DATA_DIR){f'; {hint}' if hint else ''}"
    )


def splits_of(spec: TaskSpec) -> list[tuple[str, Split]]:
    """The splits of a task with the default one first, the rest as declared."""
    return sorted(spec.splits.items(), key=lambda item: item[0] != spec.default_split)
