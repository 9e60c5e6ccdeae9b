"""Checkpoints: everything that a run needs to go on as if nothing had happened.

All randomness of a run follows from its seed and the number of the iteration, so a checkpoint
is weights, the optimiser's state and that number. A checkpoint is written beside the old one
and takes its place in one step.

    Checkpoint.load(folder)  # None where there is none yet
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, is_zipfile

import torch

from corl_bench.errors import ConfigError, StorageError

NAME = "checkpoint.pt"
HALFWAY_NAME = "warmstart.pt"


@dataclass(slots=True)
class Checkpoint:
    """The state of a run between two iterations."""

    run: str
    """Which run it is of; see `directory.identity_of`."""
    iteration: int
    policy: dict[str, Any]
    reference: dict[str, Any]
    optimiser: dict[str, Any]
    best: dict[str, Any]
    """Weights of the policy that did best on the validation split."""
    best_iteration: int
    best_reward: float
    recent_usd: list[Any]
    """What the percentile reward looks back on; empty for the others."""
    warm_start_s: float
    cpu_s: float
    prices: dict[str, float] = field(default_factory=dict)
    """By the dollars of a budget; see `Learner.prices`."""

    def save(self, folder: Path) -> None:
        """Writes it.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        _write(folder / NAME, {name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def load(cls, folder: Path, *, run: str | None = None) -> Checkpoint | None:
        """The last checkpoint of a run; None where there is none yet.

        All tensors come to the CPU, whatever they were on: where they are wanted they are copied.

        Args:
            folder: of the run.
            run: which one goes on; None: whichever it is of.

        Raises:
            ConfigError: it is broken, another run's, or another version's.
            StorageError: it cannot be read.
        """
        path = folder / NAME
        state = _read(path)
        if state is None:
            return None
        try:
            kept = cls(**state)
        except TypeError as error:
            raise ConfigError(
                f"{path} is of another version of corl-train: go on with that one, or name another"
                " directory with --out"
            ) from error
        if run is not None:
            _require_own(path, kept.run, run)
        return kept


@dataclass(slots=True)
class Halfway:
    """A warm start that takes long, and where it has come to: one that is cut goes on there.

    Args:
        folder: of the run.
        run: which one it is.
        cpu_s: CPU seconds that it has taken so far.
    """

    folder: Path
    run: str
    cpu_s: Callable[[], float]

    def save(self, state: Mapping[str, Any]) -> None:
        """Keeps a state: numbers, tensors and tables of them.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        _write(self.folder / HALFWAY_NAME, {"run": self.run, "cpu_s": self.cpu_s(), **state})

    def load(self) -> dict[str, Any] | None:
        """The last state, with the `cpu_s` that it took to come to it; None where there is none.

        Raises:
            ConfigError: it is broken, or another run's.
            StorageError: it cannot be read.
        """
        path = self.folder / HALFWAY_NAME
        state = _read(path)
        if state is not None:
            _require_own(path, state.get("run"), self.run)
        return state

    def forget(self) -> None:
        """The warm start is over: its checkpoint stands."""
        (self.folder / HALFWAY_NAME).unlink(missing_ok=True)


def _write(path: Path, state: Mapping[str, Any]) -> None:
    beside = path.with_suffix(".new")
    try:
        torch.save(dict(state), beside)
        beside.replace(path)
    except (OSError, RuntimeError) as error:
        # Half a checkpoint would keep a full disk full.
        with suppress(OSError):
            beside.unlink()
        raise StorageError(f"cannot write {path}: {' '.join(str(error).split())}") from error


_OF_MEMORY = ("alloc", "out of memory")
_UNLOADABLE = (
    *(pickle.UnpicklingError, struct.error, EOFError, LookupError, ValueError, AttributeError),
    *(TypeError, ArithmeticError, AssertionError, BadZipFile),
)


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        with path.open("rb") as file:
            whole = is_zipfile(file)  # a torn archive lacks its end
        if not whole:
            raise _broken(path, BadZipFile())
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except _UNLOADABLE as error:
        # What is no pickle at all is unpickled to whatever error its bytes come to.
        raise _broken(path, error) from error
    except RuntimeError as error:
        # Torch has one type for a torn archive and for a lack of memory: advice to remove a
        # checkpoint is for the former alone.
        if any(words in str(error) for words in _OF_MEMORY):
            raise
        raise _broken(path, error) from error
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    return state


def _require_own(path: Path, kept: object, run: str) -> None:
    if kept != run:
        raise ConfigError(f"{path} is another run's: put back its own, or remove it to begin again")


def _broken(path: Path, error: Exception) -> ConfigError:
    return ConfigError(f"{path} is broken ({type(error).__name__}): remove it to begin again")
