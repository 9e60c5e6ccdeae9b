"""A file or folder that is there whole or not at all.

with staged(Path("out")) as part:
    part.mkdir()
    ...
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from corl_bench.errors import ConfigError, StorageError


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A path beside `out` to write to; it becomes `out` when all went well.

    Raises:
        ConfigError: something is at `out` already (an empty folder is nothing).
        StorageError: it cannot be written.
    """
    try:
        if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
            raise ConfigError(f"{out} is there already: name another place with --out")
        part = out.with_name(f".{out.name}.{os.getpid()}")
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            if out.exists():
                out.rmdir()
            part.rename(out)
        finally:
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error.strerror or error}") from error
