"""Files that survive `kill -9` at any moment: those that grow, and those that are replaced.

A `LineFile` of JSON lines only grows. Every append is one `write` on a descriptor opened with
`O_APPEND`, so a killed process leaves complete lines and at most one torn line at the end,
which the next opening cuts off. What must stand or fall together (the ledger lines of one call)
is appended in one go. `write_bytes`, `write_text`
and `write_json` replace a whole file in one step. Nothing is
synced to disk a line at a time: a power cut may lose the last seconds, a killed process loses
nothing.

    >>> with LineFile.open(Path("/tmp/lines.jsonl")) as lines:
    ...     lines.append([{"a": 1}])
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from corl_bench.errors import ConfigError, StorageError
from corl_bench.text import well_formed

Record = TypeVar("Record")

_REPLACED = (".json", ".jsonl", ".html")
"""Endings of files that are replaced as a whole in the folders of runs and servers."""


def path_of(text: str) -> Path:
    """A path as its user writes it: `~` is a home.

    Raises:
        ConfigError: nobody knows that home, or no file can have such a name.
    """
    shown = repr(text) if len(text) <= 60 else f"{text[:60]!r}…"
    try:
        path = Path(text).expanduser()
        os.lstat(path)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"{shown} names no file: {str(error).rstrip('.')}") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ConfigError(f"{shown} names no file: {error.strerror}") from None
        # Whoever reads the file says what it is for, and why it cannot be read.
    return path


class Closing(ABC):
    """Something with a `close` that `with` calls."""

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class LineFile(Closing):
    """A file of JSON lines, open for appending."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path) -> Self:
        """Opens `path`, creating it where it is missing and cutting off a torn last line.

        Raises:
            StorageError: the file cannot be written.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}") from error
        os.ftruncate(descriptor, _end_of_complete_lines(descriptor))
        return cls(path, descriptor)

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Appends the rows as one write.

        Raises:
            StorageError: the disk is full or the file has become unwritable.
        """
        text = "".join(_line(row) + "\n" for row in rows)
        data = well_formed(text).encode()
        start = os.lseek(self._descriptor, 0, os.SEEK_END)
        try:
            written = os.write(self._descriptor, data)
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError as error:
            # What is appended next (the lines of calls that are dropped now) must not land
            # behind half a line: that could never be read again.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, start)
            raise StorageError(
                f"cannot write {self.path}: {error.strerror}; make room and run the same"
                " command again, it goes on where it stopped"
            ) from error

    def close(self) -> None:
        os.close(self._descriptor)


# One encoder for all lines: `json.dumps` would make one a line, for the same text.
_line = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file; not where either is missing or cannot be looked at."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Complete JSON lines of an append-only file; a torn last line is left out.

    Raises:
        StorageError: a line is no JSON object; the message names file and line.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                what = f"not JSON: {error.msg}, column {error.colno}"
                raise StorageError(f"{path}:{number}: {what}") from error
            except ValueError as error:
                raise StorageError(f"{path}:{number}: not JSON ({error})") from error
            except RecursionError as error:
                raise StorageError(f"{path}:{number}: nested too deeply to be read") from error
            if not isinstance(row, dict):
                raise StorageError(f"{path}:{number}: not a JSON object")
            yield row


def read_records(
    path: Path, decode: Callable[[dict[str, Any]], Record], *, what: str, advice: str
) -> Iterator[Record]:
    """As `read_lines`, each line decoded.

    Args:
        path: of the file.
        decode: a line's object.
        what: a line is, for the message.
        advice: what to do about one that is none.

    Raises:
        StorageError: a line cannot be decoded, or is a newer version's.
    """
    for number, row in enumerate(read_lines(path), 1):
        try:
            record = decode(row)
        except ConfigError as error:
            raise StorageError(f"{path}:{number}: {error}") from error
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            why = str(error) if type(error) is ValueError else repr(error)
            raise StorageError(f"{path}:{number} is no {what} ({why}): {advice}") from error
        yield record


def write_bytes(path: Path, data: bytes) -> None:
    """Replaces a file in one step, so that a reader sees the old or the new one, never half.

    Raises:
        StorageError: it cannot be written; the old one is still there, and nothing beside it.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            partial.write_bytes(data)
            partial.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def write_text(path: Path, text: str) -> None:
    """As `write_bytes`, for text in UTF-8.

    Raises:
        StorageError: as `write_bytes`.
    """
    write_bytes(path, well_formed(text).encode())


def write_json(path: Path, data: Any) -> None:
    """As `write_text`, for a JSON document that people may read, too."""
    write_text(path, json.dumps(data, ensure_ascii=False, indent=2) + "\n")


def remove_partials(folder: Path) -> None:
    """Takes away what killed processes have left half written beside the files of a folder.

    For whoever keeps all others out of the folder: the process that a partial file is named
    after may still be writing it elsewhere.
    """
    for partial in folder.glob(".*.*"):
        name, _, writer = partial.name[1:].rpartition(".")
        if Path(name).suffix in _REPLACED and writer.isdecimal() and not _is_alive(int(writer)):
            with contextlib.suppress(OSError):
                partial.unlink()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # another user's, or no number of a process
    return True


def _end_of_complete_lines(descriptor: int) -> int:
    """Offset behind the last newline."""
    position = os.lseek(descriptor, 0, os.SEEK_END)
    block = 1 << 16
    while position > 0:
        start = max(0, position - block)
        newline = os.pread(descriptor, position - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        position = start
    return 0
