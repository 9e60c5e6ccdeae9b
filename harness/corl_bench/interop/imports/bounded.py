"""Reading files that strangers made: every read is bounded, every refusal is one line.

Invariants: no more than a bound is ever held of a line, a document, an archive or all files
together, whatever their headers promise; NaN and infinity never pass for numbers, and decimals
keep their digits. What is wrong is a `ConfigError` that begins with the file.

    for place, row in read_rows(Path("samples.jsonl")):
        ...
"""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile as plain_zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, Any

from corl_bench.errors import ConfigError
from corl_bench.experts.recording_columns import RowError, object_of

if sys.version_info >= (3, 14):
    import zipfile

    from compression import zstd
else:
    from backports import zstd
    from backports.zstd import zipfile

LINE_LIMIT_BYTES = 64 << 20
"""A longer line is refused before it is read whole."""
DOCUMENT_LIMIT_BYTES = 256 << 20
"""Of one JSON document, and of one member of an archive, unpacked."""
ARCHIVE_LIMIT_BYTES = 1 << 30
"""Of all members of an archive that are read, unpacked."""
MEMBER_LIMIT = 1_000_000
TABLE_LIMIT_BYTES = 2 << 30
"""Of a file that is read as one table."""

_BLOCK_BYTES = 1 << 20


class NotANumber:
    """Stands where a file has NaN or infinity; no reader of a number takes it for one."""

    def __repr__(self) -> str:
        return "NaN"


NOT_A_NUMBER = NotANumber()


@dataclass(slots=True)
class Reader:
    """Opens the files of one import and keeps the sha256 of all that was read."""

    _sha: Any = field(default_factory=hashlib.sha256)

    @property
    def digest(self) -> str:
        """`sha256:<hex>` over the bytes of all files read so far, in order."""
        return f"sha256:{self._sha.hexdigest()}"

    def rows(self, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        """Places (`file:line`) and JSON objects of a file of JSON lines; blank ones are skipped.

        Raises:
            ConfigError: a line is too long, no UTF-8 or no JSON object, or cut off.
        """
        for place, line in self.lines(path):
            if line.strip():
                yield place, require_object(parse_json(line, place), place)

    def lines(self, path: Path) -> Iterator[tuple[str, bytes]]:
        """Places and lines, none of them longer than `LINE_LIMIT_BYTES`.

        Raises:
            ConfigError: the file cannot be read, or a line is too long.
        """
        number = 0
        with self._opened(path) as stream:
            while line := stream.readline(LINE_LIMIT_BYTES + 1):
                number += 1
                place = f"{path}:{number}"
                if len(line) > LINE_LIMIT_BYTES:
                    raise ConfigError(f"{place}: a line of more than {LINE_LIMIT_BYTES >> 20} MiB")
                self._sha.update(line)
                yield place, line
        if not number:
            raise ConfigError(f"{path} is empty")

    def document(self, path: Path) -> Any:
        """The one JSON value in a file.

        Raises:
            ConfigError: it is too large, or no JSON.
        """
        return parse_json(self.read(path, DOCUMENT_LIMIT_BYTES), str(path))

    def read(self, path: Path, limit_bytes: int) -> bytes:
        """All bytes of a file, if they are no more than the limit.

        Raises:
            ConfigError: it cannot be read, is too large or empty.
        """
        with self._opened(path) as stream:
            data = stream.read(limit_bytes + 1)
        if len(data) > limit_bytes:
            raise ConfigError(f"{path}: more than {limit_bytes >> 20} MiB are not read")
        if not data.strip():
            raise ConfigError(f"{path} is empty")
        self._sha.update(data)
        return data

    def require_size(self, path: Path, limit_bytes: int) -> None:
        """Refuses a file for a reader that opens it itself, and takes its digest.

        Raises:
            ConfigError: it cannot be read, is too large or empty.
        """
        size = 0
        with self._opened(path) as stream:
            while block := stream.read(_BLOCK_BYTES):
                size += len(block)
                if size > limit_bytes:
                    raise ConfigError(f"{path}: more than {limit_bytes >> 20} MiB are not read")
                self._sha.update(block)
        if not size:
            raise ConfigError(f"{path} is empty")

    @contextmanager
    def archive(self, path: Path) -> Iterator[Archive]:
        """A zip archive whose members may be read as long as they stay within the bounds.

        Raises:
            ConfigError: it is no zip archive, or cut.
        """
        with self._opened(path) as stream:
            if not stream.read(1):
                raise ConfigError(f"{path} is empty")
        try:
            with _open_archive(path) as packed:
                self.require_size(path, TABLE_LIMIT_BYTES)
                if len(packed.namelist()) > MEMBER_LIMIT:
                    raise ConfigError(f"{path}: more than {MEMBER_LIMIT:,} members")
                yield Archive(path, packed)
        except (zipfile.BadZipFile, plain_zipfile.BadZipFile, EOFError) as error:
            raise ConfigError(f"{path}: no whole zip archive ({error})") from None
        except (zlib.error, zstd.ZstdError, NotImplementedError, RuntimeError) as error:
            raise ConfigError(f"{path}: cannot be unpacked ({error})") from None
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror or error}") from None

    @contextmanager
    def _opened(self, path: Path) -> Iterator[IO[bytes]]:
        try:
            if path.exists() and not path.is_file():
                raise ConfigError(f"{path} is no file")
            with path.open("rb") as stream:
                yield stream
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror or error}") from None


@dataclass(slots=True)
class Archive:
    """An open zip archive; `read_bytes` counts what was unpacked, not what headers promise."""

    path: Path
    _packed: zipfile.ZipFile
    read_bytes: int = 0

    @property
    def names(self) -> list[str]:
        return self._packed.namelist()

    def document(self, name: str) -> Any:
        """The JSON value in a member.

        Raises:
            ConfigError: it is missing, too large with those before it, or no JSON.
        """
        place = f"{self.path}:{name}"
        if name not in self._packed.NameToInfo:
            raise ConfigError(f"{self.path} has no {name}")
        room = min(DOCUMENT_LIMIT_BYTES, ARCHIVE_LIMIT_BYTES - self.read_bytes)
        blocks, size = [], 0
        with self._packed.open(name) as stream:
            while block := stream.read(_BLOCK_BYTES):
                size += len(block)
                if size > room:
                    raise ConfigError(f"{place}: unpacks to more than {room >> 20} MiB")
                blocks.append(block)
        self.read_bytes += size
        return parse_json(b"".join(blocks), place)


def parse_json(data: bytes, place: str) -> Any:
    """Parses JSON with decimals as `Decimal` and NaN as `NOT_A_NUMBER`.

    Raises:
        ConfigError: it is no JSON, or nothing this side of reason.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{place}: not UTF-8 text") from None
    try:
        return json.loads(
            text,
            parse_float=_decimal,
            parse_constant=lambda name: NOT_A_NUMBER,
            object_pairs_hook=object_of,
        )
    except RowError as error:
        raise ConfigError(f"{place}: {error}") from None
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{place}: no whole JSON: {error.msg}, line {error.lineno}, column {error.colno}"
        ) from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{place}: no JSON: a number too long or a nesting too deep") from None


def require_object(value: Any, place: str) -> dict[str, Any]:
    """The value, which must be a JSON object.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(value, dict):
        raise ConfigError(f"{place}: not a JSON object")
    return value


def find_files(path: Path, matches: Callable[[str], bool], what: str) -> list[Path]:
    """The file itself, or those below a folder whose names match, sorted.

    Raises:
        ConfigError: nothing is there, or nothing matches.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist")
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if matches(file.name) and file.is_file())
    if not found:
        raise ConfigError(f"{path}: no {what} in this folder")
    return found


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent of twenty digits
        raise RowError("a number beyond reason") from None
    if number and not -400 < number.adjusted() < 400:
        raise RowError("a number beyond reason")
    return number


def _open_archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except UnicodeError as error:  # a name that is marked as UTF-8 and is none
        raise zipfile.BadZipFile(str(error)) from error
