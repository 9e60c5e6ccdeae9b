"""Training runs that take a second: their recipe, and what two of them are compared by."""

from __future__ import annotations

import json
from pathlib import Path

from corl_train.config import Config, load_recipe
from corl_train.runs.files import read_metrics

TINY = (
    *("policy.width=16", "policy.depth=1", "policy.heads=2", "policy.words=50"),
    *("training.episodes=16", "training.iterations=3", "training.epochs=1"),
    *("warm_start.episodes=64", "warm_start.bare_epochs=1", "warm_start.epochs=1"),
    "warm_start.rehearsals=0",
    *("schedule.validation_problems=4", "schedule.validate_every=2"),
    "schedule.checkpoint_every=1",
)
_TIMED = ("cpu_s", "tokens_per_s")


def recipe(*settings: str) -> Config:
    """`quickstart`, as small as it can be, with these settings on top."""
    return load_recipe("quickstart", settings=[*TINY, *settings])


def figures(folder: Path) -> list[str]:
    """What was measured, but for times; as text, for NaN is not equal to itself."""
    return [
        json.dumps({name: value for name, value in line.items() if name not in _TIMED})
        for line in read_metrics(folder)
    ]


def weights(folder: Path) -> dict[str, bytes]:
    """The controller that a run has left, by file."""
    return {path.name: path.read_bytes() for path in (folder / "weights").iterdir()}
