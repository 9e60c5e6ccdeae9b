"""Where a training run's figures go besides `metrics.jsonl`: TensorBoard, Weights & Biases.

Nothing is sent or written unless it is asked for by name. Names of scalars are flat paths:
`train/low/reward`, `validation/high/calls/mini`, `update/kl`. A run that goes on continues the
same TensorBoard folder and the same W&B run, and what an interrupted one had logged beyond its
checkpoint is not shown twice.

    with open_sinks(["tensorboard"], folder, config, first_iteration=1) as sink:
        sink.log(line)
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from corl_bench.errors import ConfigError
from corl_bench.extras import require
from corl_bench.files import Closing, write_json

TENSORBOARD_FOLDER = "tensorboard"
WANDB_NAME = "wandb.json"
WANDB_PROJECT = "corl-train"
_PARTS = ("train", "validation")


class Sink(Protocol):
    """Takes the lines of a run as they are made."""

    def log(self, line: Mapping[str, Any]) -> None:
        """Notes one iteration; see `runs.files.MetricsLine`."""
        ...

    def close(self) -> None:
        """Writes or sends what it still has."""
        ...


class Sinks(Closing):
    """Several as one; none is one that does nothing.

    `metrics.jsonl` has all figures, so no sink is worth a run: one that fails is left out from
    then on, which is said once.
    """

    def __init__(self, sinks: Mapping[str, Sink], say: Callable[[str], None]) -> None:
        self._sinks = dict(sinks)
        self._say = say

    def log(self, line: Mapping[str, Any]) -> None:
        for name, sink in list(self._sinks.items()):
            try:
                sink.log(line)
            except Exception as error:  # whatever a library makes of a disk or a network
                del self._sinks[name]
                self._say(
                    f"  ! {name}: {_reason(error)}; it gets no more figures from here on,"
                    " metrics.jsonl has them all"
                )
                self._close(name, sink)

    def close(self) -> None:
        for name, sink in self._sinks.items():
            self._close(name, sink)

    def _close(self, name: str, sink: Sink) -> None:
        try:
            sink.close()
        except Exception as error:
            self._say(f"  ! {name} could not be closed: {_reason(error)}")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def open_sinks(
    names: Sequence[str],
    folder: Path,
    config: Mapping[str, Any],
    *,
    first_iteration: int,
    say: Callable[[str], None] = lambda line: None,
) -> Sinks:
    """Opens what is asked for.

    Args:
        names: of `SINKS`.
        folder: the run's directory.
        config: seed and configuration, shown beside the figures.
        first_iteration: the number of the first line that will come; points of this run from
            there on, which an interrupted one has left, are dropped.
        say: told when one fails later on.

    Raises:
        ConfigError: there is no sink of that name, or it cannot be opened.
        MissingExtraError: its package is not installed.
    """
    for name in names:
        if name not in SINKS:
            raise ConfigError(f"no sink {name!r} for figures: there are {', '.join(SINKS)}")
    with ExitStack() as opened:
        sinks: dict[str, Sink] = {}
        for name in dict.fromkeys(names):
            sinks[name] = SINKS[name](folder, config, first_iteration)
            opened.callback(sinks[name].close)
        opened.pop_all()
    return Sinks(sinks, say)


def scalars(line: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The figures of a line with their names; those that are not finite numbers are left out."""
    for name, value in line.items():
        if name in _PARTS:
            for score in value:
                yield from _numbers(f"{name}/{score['budget']}", score)
        elif name != "iteration":
            yield from _numbers("update", {name: value})


def _numbers(path: str, values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _numbers(f"{path}/{name}", value)
        elif isinstance(value, int | float) and math.isfinite(value):
            yield f"{path}/{name}", float(value)


class _TensorBoard:
    def __init__(self, folder: Path, config: Mapping[str, Any], first_iteration: int) -> None:
        why = "logging to TensorBoard"
        require("tensorboard", extra="tensorboard", why=why)
        writing = require("torch.utils.tensorboard", extra="tensorboard", why=why)
        place = folder / TENSORBOARD_FOLDER
        goes_on = place.exists()
        try:
            self._writer = writing.SummaryWriter(
                str(place), purge_step=first_iteration if goes_on else None
            )
        except OSError as error:
            raise ConfigError(f"cannot write {place}: {error.strerror}") from error
        if not goes_on:
            indented = json.dumps(config, indent=2).replace("\n", "\n    ")
            self._writer.add_text("config", f"    {indented}", 0)

    def log(self, line: Mapping[str, Any]) -> None:
        for name, value in scalars(line):
            self._writer.add_scalar(name, value, line["iteration"])
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    """Only figures and configuration go out: no code, console, git state, packages or machine."""

    def __init__(self, folder: Path, config: Mapping[str, Any], first_iteration: int) -> None:
        wandb = require("wandb", extra="wandb", why="logging to Weights & Biases")
        kept = folder / WANDB_NAME
        known = json.loads(kept.read_bytes())["id"] if kept.exists() else None
        try:
            self._run = wandb.init(
                project=WANDB_PROJECT,
                name=folder.resolve().name,
                id=known,
                resume="allow",
                dir=str(folder),
                config=dict(config),
                settings=wandb.Settings(
                    silent=True,
                    console="off",
                    save_code=False,
                    disable_code=True,
                    disable_git=True,
                    x_disable_meta=True,
                    x_disable_stats=True,
                    x_save_requirements=False,
                ),
            )
        except (wandb.errors.Error, OSError) as error:
            said = " ".join(str(error).split())
            raise ConfigError(
                f"Weights & Biases: {said}; run `wandb login`, or set WANDB_MODE=offline"
            ) from error
        write_json(kept, {"id": self._run.id})

    def log(self, line: Mapping[str, Any]) -> None:
        # A step that a resumed run has gone back behind is refused by W&B and stays as it was,
        # which is what it would be again.
        self._run.log(dict(scalars(line)), step=line["iteration"])

    def close(self) -> None:
        self._run.finish()


SINKS: Mapping[str, Callable[[Path, Mapping[str, Any], int], Sink]] = {
    "tensorboard": _TensorBoard,
    "wandb": _Wandb,
}
