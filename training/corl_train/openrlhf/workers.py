"""The first thing that every process of a job does: OpenRLHF is corrected, a key fetched.

Ray shows a job's runtime environment to everyone and writes it into logs. So the key of the
experts' server is no part of it: it lies beside the job's file, in one that its owner alone can
read, and Ray's setup hook puts it into the environment of each process of the job. Keys of
providers never come here: the experts' server has them.

    write_key(folder, "…")      # runs/corl-paper/worker.env, mode 600
    enter()                     # in a worker: os.environ["CORL_EXPERTS_KEY"]
"""

from __future__ import annotations

import os
from pathlib import Path

from corl_bench.errors import StorageError
from corl_train.openrlhf.corrections import install
from corl_train.openrlhf.job import VARIABLE

KEY_VARIABLE = "CORL_EXPERTS_KEY"
FILE_NAME = "worker.env"


def enter() -> None:
    """Installs `corrections`, and sets the key of the job; for the driver, and as Ray's setup hook.

    The job's own file goes before what the environment says: a cluster that was started, or a job
    that was submitted, from another job's shell has that one's key there. It raises nothing: a
    process without a key has refused calls, and says so there.
    """
    install()
    job = os.environ.get(VARIABLE)
    if job and (key := read_key(Path(job).parent)) is not None:
        os.environ[KEY_VARIABLE] = key


def write_key(folder: Path, key: str) -> None:
    """Writes the file that `enter` reads; it is never open to others, not even for a moment.

    Raises:
        StorageError: it cannot be written.
    """
    path = folder / FILE_NAME
    partial = folder / f".{FILE_NAME}.{os.getpid()}"
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{KEY_VARIABLE}={key}\n")
        partial.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def read_key(folder: Path) -> str | None:
    """The key that a job has, if it has one already and this user may read it."""
    try:
        lines = (folder / FILE_NAME).read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    named = [line.partition("=") for line in lines]
    return next((value for name, _, value in named if name == KEY_VARIABLE and value), None)
