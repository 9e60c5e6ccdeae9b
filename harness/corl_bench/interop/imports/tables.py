"""Tables as rows: CSV, Parquet (with the extra `parquet`), and pickled frames.

A row is a mapping from column to cell; the cells of a CSV file are texts. What a file is shows
in its name, not in its first bytes. All reads are bounded, see `bounded`.

    for place, row in read_table(Path("routerbench.csv"), Reader()):
        row["sample_id"]
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.experts.recording_columns import quoted
from corl_bench.extras import require
from corl_bench.interop.imports.bounded import LINE_LIMIT_BYTES, TABLE_LIMIT_BYTES, Reader
from corl_bench.interop.reported import EPISODE_LIMIT

SUFFIXES = (".csv", ".parquet", ".pkl", ".pickle")
_BATCH_ROWS = 256


def read_table(path: Path, reader: Reader) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Places (`file:row`, the first being 1) and rows of a table.

    Raises:
        ConfigError: it is no table of these kinds, or broken.
        MissingExtraError: pyarrow is needed and not installed.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist")
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path}: a table is a file {', '.join(SUFFIXES)}")
    if path.suffix == ".csv":
        return _read_csv(path, reader)
    reader.require_size(path, TABLE_LIMIT_BYTES)
    if path.suffix == ".parquet":
        return _read_parquet(path)
    return _read_pickle(path)


def _read_csv(path: Path, reader: Reader) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with _wide_fields():
        rows = csv.reader(_texts(path, reader), strict=True)
        number = 0
        try:
            head = next(rows, [])
            if len(set(head)) < len(head):
                raise ConfigError(f"{path}: two columns have one name")
            for number, cells in enumerate(rows, 1):
                if len(cells) != len(head):
                    raise ConfigError(
                        f"{path}:{number}: {len(cells)} cells where there are {len(head)} columns"
                    )
                yield f"{path}:{number}", dict(zip(head, cells, strict=True))
        except csv.Error as error:
            raise ConfigError(f"{path}:{number + 1}: no whole CSV row ({error})") from None


def _texts(path: Path, reader: Reader) -> Iterator[str]:
    encoding = "utf-8-sig"
    for place, line in reader.lines(path):
        try:
            yield line.decode(encoding)
        except UnicodeDecodeError:
            raise ConfigError(f"{place}: not UTF-8 text") from None
        encoding = "utf-8"


@contextmanager
def _wide_fields() -> Iterator[None]:
    """The csv module refuses long fields by a bound of the whole process; it is put back."""
    before = csv.field_size_limit(LINE_LIMIT_BYTES)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _read_parquet(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    parquet = require("pyarrow.parquet", extra="parquet", why="reading Parquet")
    arrow = require("pyarrow", extra="parquet", why="reading Parquet")
    number = size = 0
    try:
        with parquet.ParquetFile(path) as table:
            names = table.schema_arrow.names
            if len(set(names)) < len(names):
                raise ConfigError(f"{path}: two columns have one name")
            if table.metadata.num_rows > EPISODE_LIMIT:
                raise ConfigError(f"{path}: more than {EPISODE_LIMIT:,} rows")
            for batch in table.iter_batches(batch_size=_BATCH_ROWS):
                size += batch.nbytes
                if size > TABLE_LIMIT_BYTES:
                    raise ConfigError(f"{path}: unpacks to more than {TABLE_LIMIT_BYTES >> 20} MiB")
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}:{number}", row
    except arrow.ArrowException as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"{path}: no whole Parquet file ({quoted(why)})") from None
    except (OSError, UnicodeDecodeError, MemoryError) as error:
        raise ConfigError(f"{path}: no whole Parquet file ({quoted(str(error))})") from None


def _read_pickle(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    from corl_bench.interop.imports.pickles import read_frame

    columns = read_frame(path)
    for number, cells in enumerate(zip(*columns.values(), strict=True), 1):
        yield f"{path}:{number}", dict(zip(columns, cells, strict=True))
