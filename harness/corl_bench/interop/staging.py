"""A file or folder that is there whole or not at all.

Invariant: until all went well nothing stands at the place that the user named, and what was made
on the way there, folders above it included, is gone again when something went wrong.

with staged(Path("out")) as part:
    part.mkdir()
    ...
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from corl_bench.errors import ConfigError, StorageError


def require_free(out: Path, option: str = "--out") -> Path:
    """The place that `out` names, where nothing is yet.

    Asked before long work as well, which a taken name would make worthless.

    Args:
        out: as the user wrote it.
        option: the option that named it, for the message.

    Raises:
        ConfigError: something is there already (an empty folder is nothing), or it is the
            working directory, which cannot be replaced under whoever stands in it.
        StorageError: it cannot be looked at, or lies below a file.
    """
    try:
        if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
            raise ConfigError(f"{out} is there already: name another place with {option}")
        place = out.resolve()
        if place == Path.cwd():
            raise ConfigError(f"{out} is the folder that you are in: name a new one with {option}")
        above = next(folder for folder in place.parents if folder.exists())
        if not above.is_dir():
            raise StorageError(f"cannot write {out}: {above} is no folder")
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error.strerror or error}") from error
    return place


@contextmanager
def staged(out: Path, option: str = "--out") -> Iterator[Path]:
    """A path beside `out` to write to; it becomes `out` when all went well.

    Raises:
        ConfigError: as `require_free`.
        StorageError: it cannot be written.
    """
    place = require_free(out, option)
    part = place.with_name(f".{place.name}.{os.getpid()}")
    made = [folder for folder in place.parents if not folder.exists()]
    is_done = False
    try:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            yield part
            if place.exists():
                place.rmdir()
            part.rename(place)
            is_done = True
        finally:
            if not is_done:
                _remove(part)
                for folder in made:
                    with suppress(OSError):
                        folder.rmdir()
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error.strerror or error}") from error


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
    else:
        with suppress(OSError):
            part.unlink()
