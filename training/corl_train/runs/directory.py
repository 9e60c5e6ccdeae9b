"""A training run's directory: who may write into it, and which run it holds.

What decides the figures of a run is more than its recipe: files that the recipe names can be
edited, prices change from day to day, and replies come from recordings or do not. Digests of all
that stand in `config.json` beside the recipe, and a run goes on only where they are the same.

    with claim(folder, setup, experts, seed=0) as config:
        write_json(folder / CONFIG_NAME, config)
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import torch

from corl_bench.errors import ConfigError, StorageError
from corl_bench.files import path_of, remove_partials
from corl_bench.results.manifest import MANIFEST_NAME
from corl_bench.runs.directory import lock_directory
from corl_train.experts import Experts
from corl_train.runs.files import CONFIG_NAME, INPUTS, read_config
from corl_train.setup import Setup, digest_of

_THREADS = "threads"


def price_date_of(folder: Path) -> date | None:
    """The day whose prices the run in a directory has; None where there is no run yet.

    Raises:
        ConfigError: the directory holds a broken run.
        StorageError: it cannot be read.
    """
    if not (folder / CONFIG_NAME).exists():
        return None
    day = read_config(folder).get(INPUTS, {}).get("price_date")
    return None if day is None else date.fromisoformat(day)


@contextmanager
def claim(folder: Path, setup: Setup, experts: Experts, *, seed: int) -> Iterator[dict[str, Any]]:
    """Keeps other processes out of a directory that is new, or holds this very run.

    Args:
        folder: made where it is missing.
        setup: what the run works with.
        experts: where its replies come from. A cap is no part of what a run is.
        seed: of everything random.

    Yields:
        What `config.json` says, or shall say.

    Raises:
        ConfigError: another process works there, or it holds another run or one of corl-bench.
        StorageError: it cannot be written.
    """
    with locked(folder):
        is_new = not (folder / CONFIG_NAME).exists()
        if is_new and (folder / MANIFEST_NAME).exists():
            raise ConfigError(
                f"{folder} holds a run of corl-bench, whose books are its own: name another"
                " directory with --out"
            )
        ours = {
            "seed": seed,
            **setup.config.model_dump(mode="json"),
            INPUTS: _inputs(setup, experts),
        }
        yield ours if is_new else _kept(folder, ours)


def identity_of(config: Mapping[str, Any]) -> str:
    """sha256 of what decides the figures of a run: seed, settings and inputs.

    Args:
        config: what `config.json` says.
    """
    inputs = {name: value for name, value in config[INPUTS].items() if name != _THREADS}
    decisive = json.dumps({**config, INPUTS: inputs}, sort_keys=True)
    return hashlib.sha256(decisive.encode()).hexdigest()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes out of a directory, which is made where it is missing.

    Raises:
        ConfigError: another process works there.
        StorageError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror}") from error
    lock = lock_directory(folder)
    try:
        remove_partials(folder)
        yield
    finally:
        os.close(lock)


def _inputs(setup: Setup, experts: Experts) -> dict[str, Any]:
    policy = setup.config.policy
    model = policy.path if policy.kind == "huggingface" else None
    return {
        "pool": setup.pool.digest,
        "price_date": None if setup.pool.price_date is None else setup.pool.price_date.isoformat(),
        "train": setup.train.digest,
        "validation": setup.validation.digest,
        "left_out": [one.to_json() for one in setup.left_out],
        "protocol": hashlib.sha256(setup.protocol_text.encode()).hexdigest(),
        "model": None if model is None else digest_of(path_of(model)),
        "mode": experts.mode,
        "recordings": None if experts.recordings is None else _digest(experts.recordings),
        _THREADS: torch.get_num_threads(),
    }


def _kept(folder: Path, ours: dict[str, Any]) -> dict[str, Any]:
    """The configuration of the run that is there, if it is ours."""
    kept = read_config(folder)
    if {**kept, INPUTS: None} != {**ours, INPUTS: None}:
        raise ConfigError(
            f"{folder} holds a training run with other settings: name another directory with"
            " --out, or repeat its own command"
        )
    before, now = kept.get(INPUTS, {}), ours[INPUTS]
    # Sums in another order differ in their last digits: that is the user's to decide.
    if changed := [name for name in now if name != _THREADS and before.get(name) != now[name]]:
        raise ConfigError(
            f"{folder} holds a training run with another {', '.join(changed)}: put back what it"
            " was begun with, or name another directory with --out"
        )
    return kept


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
