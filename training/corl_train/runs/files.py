"""What a training run leaves in its folder, and how it is read without torch.

The trainer appends to `metrics.jsonl` and `samples.jsonl` and writes `config.json` once. A run
that was cut off repeats iterations when it goes on, so of lines that speak of the same thing the
last counts; a torn last line is none.

    lines = read_metrics(Path("runs/quickstart"))
    lines[-1]["train"][0]["reward"]
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, cast

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # what pydantic asks for, and brings, before Python 3.12

from corl_bench.errors import ConfigError, StorageError
from corl_bench.files import read_lines
from corl_bench.routers.controller_file import FILE_NAME

CONFIG_NAME = "config.json"
METRICS_NAME = "metrics.jsonl"
SAMPLES_NAME = "samples.jsonl"
INPUTS = "inputs"
"""Table of `config.json`: digests of what the recipe names, and on how many threads it began."""


class Score(TypedDict):
    """Episodes at one budget, as `evaluation.BudgetScore` is written."""

    budget: str
    episodes: int
    reward: float
    accuracy: float
    mean_cost_usd: float
    violation_rate: float
    calls: dict[str, float]
    invalid: float


class Found(TypedDict):
    """A finding, as `diagnosis.Finding` is written."""

    kind: str
    budget: NotRequired[str | None]
    what: str
    advice: str


class MetricsLine(TypedDict):
    """One iteration; iteration 0 is what the warm start has reached, with a validation alone.

    Figures that are not named here are allowed, and shown by name.
    """

    iteration: int
    cpu_s: float
    train: list[Score]
    validation: NotRequired[list[Score]]
    findings: NotRequired[list[Found]]


class Piece(TypedDict):
    """Tokens that follow each other and have the same mask, as text."""

    text: str
    own: bool
    """The controller said them: they are trained on."""


class Sample(TypedDict):
    """One rollout of a validation."""

    iteration: int
    budget: str
    budget_usd: NotRequired[str | float | None]
    problem: str
    verdict: str
    reward: float
    cost_usd: str | float
    pieces: list[Piece]


def read_config(folder: Path) -> dict[str, Any]:
    """The run's seed and configuration, as they were written.

    Raises:
        ConfigError: the folder holds no training run, or a broken one.
        StorageError: the file cannot be read.
    """
    path = folder / CONFIG_NAME
    try:
        config = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(f"{folder} holds no training run: {CONFIG_NAME} is missing") from None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not JSON ({error})") from None
    if not isinstance(config, dict) or not isinstance(config.get("data"), dict):
        raise ConfigError(f"{path}: not the configuration of a training run")
    return config


def require_controller(folder: Path) -> None:
    """Refuses a run that has not left a controller yet.

    Raises:
        ConfigError: it has none.
    """
    if not (folder / FILE_NAME).exists():
        raise ConfigError(
            f"{folder} holds no controller yet: a run leaves one when it ends or is interrupted;"
            " repeat its command"
        )


def recipe_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe in a run's configuration: all of it but the seed and what the run met with."""
    return {name: value for name, value in config.items() if name not in ("seed", INPUTS)}


def read_metrics(folder: Path) -> list[MetricsLine]:
    """The iterations of a run in their order; none where it has not made one yet.

    Raises:
        ConfigError: a line does not hold what the trainer writes.
        StorageError: the file cannot be read, or a line in its middle is not JSON.
    """
    rows = _read(folder / METRICS_NAME, TypeAdapter(MetricsLine))
    lines = {row["iteration"]: cast("MetricsLine", row) for row in rows}
    return [lines[iteration] for iteration in sorted(lines)]


def read_samples(folder: Path) -> list[Sample]:
    """The rollouts that were kept, in the order of their iterations; none where none were.

    Raises:
        ConfigError: a line does not hold what the trainer writes.
        StorageError: the file cannot be read, or a line in its middle is not JSON.
    """
    rows = _read(folder / SAMPLES_NAME, TypeAdapter(Sample))
    kept = {(row["iteration"], row["budget"], row["problem"]): cast("Sample", row) for row in rows}
    return sorted(kept.values(), key=lambda sample: sample["iteration"])


def _read(path: Path, shape: TypeAdapter[Any]) -> list[dict[str, Any]]:
    """Rows as they are written, each of this shape."""
    rows = []
    try:
        for number, row in enumerate(read_lines(path), 1):
            try:
                shape.validate_python(row, strict=True)
            except ValidationError as invalid:
                first = invalid.errors(include_url=False)[0]
                place = ".".join(map(str, first["loc"])) or "the line"
                raise ConfigError(f"{path}:{number}: {place}: {first['msg'].lower()}") from None
            rows.append(row)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    return rows
