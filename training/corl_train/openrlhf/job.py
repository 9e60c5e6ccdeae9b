"""A job: what every rollout worker of one OpenRLHF run works with, as a file in its directory.

OpenRLHF imports the agent in processes of its own and hands it nothing. So the environment
variable `CORL_JOB` names a file, `job.json`, in a directory that all nodes see; beside it lie
the pool file and the protocol that it names. It holds no key: a pool names the variables in
which keys are.

    path = write_job(Job(name="corl-7b", pool="pool.toml", …), folder)
    os.environ[VARIABLE] = str(path)
    job, folder = job_of_environment(os.environ)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from corl_bench.errors import ConfigError, StorageError
from corl_bench.files import path_of, write_json
from corl_bench.money.amounts import DECIMALS, PRICE_DECIMALS, parse_usd
from corl_bench.types import Budget
from corl_train.config import GateTable, RewardTable

VARIABLE = "CORL_JOB"
"""Environment variable that names the job's file on every worker."""
FILE_NAME = "job.json"

Source = Literal["simulated", "replay", "gateway"]
"""Where experts' replies come from: drawn in the worker, behind recordings where some are named;
a recording store alone, which every worker reads; a gateway that owns store, cap and journal for
all workers."""


class Job(BaseModel):
    """What the agent's episodes are made with; paths are relative to the job's file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(min_length=1)
    """Of the recipe: the system is called `controller:NAME`."""
    pool: str = Field(min_length=1)
    """A pool file in the job's directory, or a pool that comes with the bench. Behind a gateway
    it is the file whose addresses are the gateway's."""
    protocol: str = Field(min_length=1)
    """A protocol file in the job's directory, or one that comes with the bench."""
    price_date: date | None = None
    """The day whose library prices hold; None: the pool's, which must then say one."""
    budgets: Mapping[str, str]
    """Dollars by name, in order: whoever is logged has his own columns."""
    prompts: Mapping[str, str] = Field(min_length=1)
    """Template of a plain call, with `{problem}`, by the task that a label names."""
    usd_per_mtok: str
    """Stated price of the controller's own tokens, read or said."""
    reward: RewardTable = GateTable()
    seed: int = 0
    """Of what simulated experts reply."""
    experts: Source = "simulated"
    recordings: str | None = None
    """The store, for `replay`, or before `simulated` experts."""
    episode_timeout_s: float = Field(default=3600.0, gt=0)
    """An episode that takes longer is ended and teaches nothing: the clock is not told to the
    controller, and is another one on every machine."""
    turn_timeout_s: float = Field(default=900.0, gt=0)
    """Of the engine: a turn that takes longer has failed."""

    @field_validator("budgets")
    @classmethod
    def _are_amounts(cls, budgets: Mapping[str, str]) -> Mapping[str, str]:
        for name, usd in budgets.items():
            _refuse(usd, f"budget {name}", DECIMALS)
        return budgets

    @field_validator("usd_per_mtok")
    @classmethod
    def _is_price(cls, usd: str) -> str:
        _refuse(usd, "usd_per_mtok", PRICE_DECIMALS)
        return usd

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.experts == "replay" and self.recordings is None:
            raise ValueError("experts = replay needs recordings")
        if self.experts == "gateway" and self.recordings is not None:
            raise ValueError("a gateway has recordings of its own: name none")
        if self.reward.kind == "percentile":
            # Its window would be another one in every worker, and gone with each of them.
            raise ValueError(
                "the percentile reward compares with the whole run's recent costs, which no"
                " worker knows: take gate, soft or linear"
            )
        if self.reward.kind == "mean":
            # Without prices it would be the right answers alone, at whatever cost.
            raise ValueError(
                "the mean reward takes prices of budgets from a warm start, which a job has not:"
                " take gate, soft or linear"
            )
        return self

    @property
    def named_budgets(self) -> tuple[Budget, ...]:
        """The budgets that are trained for, in order."""
        return tuple(Budget(name, parse_usd(usd)) for name, usd in self.budgets.items())


def make_job(**settings: Any) -> Job:
    """A job of settings that have been read elsewhere, from a recipe say.

    Raises:
        ConfigError: they make none; one line.
    """
    try:
        return Job(**settings)
    except ValidationError as invalid:
        raise ConfigError(_first_of(invalid)) from None


def write_job(job: Job, folder: Path) -> Path:
    """Writes `job.json`; what it names by relative path is for the caller to put beside it.

    Raises:
        StorageError: it cannot be written.
    """
    path = folder / FILE_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    write_json(path, job.model_dump(mode="json", exclude_none=True))
    return path


def read_job(path: Path) -> Job:
    """Reads a job's file; `pool`, `protocol` and `recordings` become paths where they are files.

    Raises:
        ConfigError: there is none, or it is none; one line.
    """
    try:
        job = Job.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read job {path}: {error}") from None
    except ValidationError as invalid:
        raise ConfigError(f"{path}: {_first_of(invalid)}") from None
    try:
        here = {
            field: str(path.parent / name)
            for field in ("pool", "protocol", "recordings")
            if (name := getattr(job, field)) is not None and (path.parent / name).is_file()
        }
    except OSError as error:  # a name that no file can have
        raise ConfigError(f"{path}: names no file: {error.strerror}") from None
    return job.model_copy(update=here)


def job_of_environment(environment: Mapping[str, str]) -> tuple[Job, Path]:
    """The job that the environment names, and its directory.

    Raises:
        ConfigError: it names none, or it cannot be read.
    """
    path = environment.get(VARIABLE, "")
    if not path:
        raise ConfigError(
            f"{VARIABLE} names no job: start the training with `corl-train launch`, or set it to"
            f" the {FILE_NAME} of the job's directory on every node"
        )
    file = path_of(path)
    return read_job(file), file.parent


def _first_of(invalid: ValidationError) -> str:
    """The first mistake as a line, with its place where it has one."""
    first = invalid.errors(include_url=False)[0]
    said = first["msg"].removeprefix("Value error, ")
    said = f"{said[:1].lower()}{said[1:]}"
    return ": ".join([".".join(map(str, first["loc"])), said]) if first["loc"] else said


def _refuse(usd: str, what: str, decimals: int) -> None:
    """Lets an amount of dollars pass, and nothing else."""
    try:
        parse_usd(usd, what=what, decimals=decimals)
    except ConfigError as error:
        raise ValueError(str(error)) from None
