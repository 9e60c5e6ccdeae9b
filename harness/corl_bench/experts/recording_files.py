"""Recordings as text: whole files and folders of JSON lines into a store, and a store out again.

Invariants: an import is stored completely or not at all; importing again changes nothing; what
an export writes, an import into another store reads back call by call. Whatever is wrong with a
file is one line that begins with `file:line`.

    with RecordingStore.open(Path("store.sqlite")) as store:
        report = import_files(store, [Path("answers.jsonl")])
        export_calls(store, sys.stdout)
"""

from __future__ import annotations

import io
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TextIO, cast

from corl_bench.errors import ConfigError
from corl_bench.experts.recording import RecordedCall
from corl_bench.experts.recording_columns import RowError, quoted
from corl_bench.experts.recording_rows import (
    COLUMNS,
    DEFAULT_LABEL,
    ReadRow,
    RowRules,
    read_problem,
    read_row,
    write_row,
)
from corl_bench.experts.store import RecordingStore

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LINE_LIMIT_BYTES = 64 * 2**20
"""A longer line is refused before it is read whole; the longest replies have a few MB."""

SUFFIXES = (".jsonl", ".jsonl.zst")
PROBLEM_FILES = ("problems.jsonl", "problems.jsonl.zst")
"""Files of these names hold statements wherever they lie."""

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


@dataclass(slots=True)
class ImportedExpert:
    """What was read of one expert, rows that were in the store already included."""

    expert: str
    rows: int = 0
    problems: set[str] = field(default_factory=set)
    samples: set[int] = field(default_factory=set)
    input_tokens: int = 0
    output_tokens: int = 0
    estimated: int = 0
    """Rows whose token counts are estimates."""
    judged: int = 0
    """Rows that came with a verdict of their source."""
    judged_correct: int = 0


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did."""

    files: int
    added: int
    known: int
    """Rows that were there already, word for word."""
    ignored: tuple[str, ...]
    """Columns that nothing was read from."""
    experts: tuple[ImportedExpert, ...]


def import_files(
    store: RecordingStore,
    paths: Sequence[Path],
    *,
    problems: Iterable[Path] = (),
    expert: str | None = None,
    columns: Mapping[str, str] | None = None,
    label: str = DEFAULT_LABEL,
) -> ImportReport:
    """Imports files of recordings, all of them or nothing.

    Args:
        store: where to.
        paths: `.jsonl` or `.jsonl.zst` files, or folders, which are searched for them.
        problems: files with the statements of rows that name their problem by its id; files
            among `paths` that are called `problems.jsonl` or `problems.jsonl.zst` are more.
        expert: name of the expert of rows without a column `expert`.
        columns: our names of columns and those of the files, where they differ.
        label: says where the answers come from, where the rows do not.

    Raises:
        ConfigError: a file cannot be read, or a row of it cannot be used; or a row contradicts
            another one or the store.
    """
    for name in columns or ():
        if name not in COLUMNS:
            raise ConfigError(
                f"--column {quoted(name)}: no column of ours; those are {', '.join(COLUMNS)}"
            )
    answers, statement_files = _sort_paths(paths, problems)
    statements = _read_statements(statement_files)
    rules = RowRules(statements, expert, columns or {}, label)
    experts: dict[str, ImportedExpert] = {}
    ignored: set[str] = set()
    added = known = 0
    with store.transaction():
        for path in answers:
            for number, row in _read_rows(path, rules):
                if row.statement is not None:
                    store.add_problem(row.call.problem_key, row.statement)
                if store.add(row.call):
                    added += 1
                else:
                    _expect_same(store, row.call, f"{path}:{number}")
                    known += 1
                _count(experts, row.call)
                ignored |= row.ignored
        if not added + known:
            raise ConfigError(f"{answers[0]} holds no row, nor does any other file given")
    return ImportReport(
        files=len(answers),
        added=added,
        known=known,
        ignored=tuple(sorted(ignored)),
        experts=tuple(experts[name] for name in sorted(experts)),
    )


def export_calls(store: RecordingStore, out: TextIO, *, experts: Collection[str] = ()) -> int:
    """Writes calls as JSON lines, in the order in which they were stored.

    Args:
        store: where from.
        out: where to.
        experts: only calls of these; empty: of all.

    Returns:
        The number of lines.

    Raises:
        ConfigError: the store has no call of one of `experts`, or is damaged.
    """
    known = {stats.expert for stats in store.stats().experts}
    for name in experts:
        if name not in known:
            raise ConfigError(
                f"{store.path} has no recording of {quoted(name)}; it has "
                + (", ".join(sorted(known)) or "none at all")
            )
    lines = 0
    for call in store.calls():
        if not experts or call.expert in experts:
            out.write(write_row(call, store.problem_text(call.problem_key)) + "\n")
            lines += 1
    return lines


@contextmanager
def open_export(path: Path) -> Iterator[TextIO]:
    """A text file to export into, compressed if it is called `.zst`; complete or not there.

    Raises:
        ConfigError: the file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as plain:
            if path.suffix == ".zst":
                with zstd.open(plain, "wt", encoding="utf-8", newline="\n") as packed:
                    yield cast(TextIO, packed)
            else:
                with io.TextIOWrapper(plain, encoding="utf-8", newline="\n") as text:
                    yield text
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def _sort_paths(paths: Iterable[Path], problems: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Files of answers and files of statements, folders searched, each in a fixed order."""
    statement_files = list(problems)
    answers: list[Path] = []
    for path in paths:
        files = [path]
        if path.is_dir():
            files = sorted(f for f in path.rglob("*") if f.name.endswith(SUFFIXES) and f.is_file())
            if not files:
                raise ConfigError(f"{path}: no {' or '.join(SUFFIXES)} file in this folder")
        for file in files:
            (statement_files if file.name in PROBLEM_FILES else answers).append(file)
    if not answers:
        raise ConfigError("nothing to import: all files given hold problems, none holds answers")
    return answers, statement_files


def _read_statements(paths: Iterable[Path]) -> dict[str, str]:
    statements: dict[str, str] = {}
    for path in paths:
        for number, line in _read_lines(path):
            try:
                name, statement = read_problem(line)
            except RowError as error:
                raise ConfigError(f"{path}:{number}: {error}") from error
            if statements.setdefault(name, statement) != statement:
                raise ConfigError(
                    f"{path}:{number}: problem_id {quoted(name)} stands for another problem "
                    "already: import the two sets one after the other"
                )
    return statements


def _read_rows(path: Path, rules: RowRules) -> Iterator[tuple[int, ReadRow]]:
    for number, line in _read_lines(path):
        try:
            row = read_row(line, rules)
        except RowError as error:
            raise ConfigError(f"{path}:{number}: {error}") from error
        yield number, row


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines that are not blank."""
    number = 0
    try:
        with _open(path) as stream:
            while line := stream.readline(LINE_LIMIT_BYTES + 1):
                number += 1
                if len(line) > LINE_LIMIT_BYTES:
                    raise ConfigError(
                        f"{path}:{number}: a line of more than {LINE_LIMIT_BYTES >> 20} MiB"
                    )
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                if text:
                    yield number, text
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}:{number}: not UTF-8 text") from error
    except (zstd.ZstdError, EOFError) as error:
        raise ConfigError(f"{path}:{number + 1}: damaged or cut zstd file ({error})") from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked if it begins like a zstd file, whatever its name."""
    with path.open("rb") as plain:
        if plain.peek(len(_ZSTD_MAGIC))[: len(_ZSTD_MAGIC)] != _ZSTD_MAGIC:
            yield plain
            return
        with zstd.open(plain, "rb") as packed:
            yield cast(IO[bytes], packed)


def _expect_same(store: RecordingStore, call: RecordedCall, place: str) -> None:
    """A second row for the same place must say the same; its label may differ."""
    there = store.find_same(call)
    if there is None or replace(there, run_id=call.run_id) != call:
        raise ConfigError(
            f"{place}: another answer of {call.expert} to this problem (sample {call.sample}) is "
            f"in {store.path} or above: give it another sample or expert, or use a new store"
        )


def _count(experts: dict[str, ImportedExpert], call: RecordedCall) -> None:
    expert = experts.setdefault(call.expert, ImportedExpert(call.expert))
    expert.rows += 1
    expert.problems.add(call.problem_key)
    expert.samples.add(call.sample)
    if (reply := call.reply) is not None:
        expert.input_tokens += reply.usage.total_input_tokens
        expert.output_tokens += reply.usage.output_tokens
        expert.estimated += reply.usage.estimated
        expert.judged += reply.source_correct is not None
        expert.judged_correct += reply.source_correct is True
