"""The declared behaviour of simulated experts, read from a pool's `simulation` tables.

Invariant: a `Simulation` that could be built is complete: every expert has a probability for
every subject and level, and every probability lies in [0, 1].

    simulation = read_simulation(pool)
    simulation.experts[0].right_probability("Geometry", 3)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from corl_bench.errors import ConfigError
from corl_bench.experts.base import ExpertSpec, Pool
from corl_bench.types import Problem

LEVELS = (1, 2, 3, 4, 5)
WRONG_ANSWERS = 6
"""How many wrong answers a problem has that experts can give."""
WRONG_LETTERS = 4
"""The same where the answer is one of five letters."""
MAX_INPUT_TOKENS = 96
"""What `Request.max_input_tokens` grants even an empty message, so that the worst case holds."""

Probability = Annotated[float, Field(ge=0, le=1)]
Tokens = Annotated[int, Field(ge=0)]
ByLevel = Annotated[list[Tokens], Field(min_length=5, max_length=5)]
ProbabilityByLevel = Annotated[list[Probability], Field(min_length=5, max_length=5)]
_Parsed = TypeVar("_Parsed", bound=BaseModel)
Length = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=2, max_length=2)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _LatencyTable(_Table):
    first_s: float = Field(default=0.0, ge=0)
    per_token_s: float = Field(default=0.0, ge=0)


class _ExpertTable(_Table):
    strong: bool = False
    input_tokens: int = Field(ge=1, le=MAX_INPUT_TOKENS)
    answer_tokens: ByLevel
    reasoning_tokens: ByLevel = [0, 0, 0, 0, 0]
    lengths: Annotated[list[Length], Field(min_length=1)]
    refusal: Probability = 0.0
    truncated: Probability = 0.0
    no_answer: Probability = 0.0
    trap: Probability
    consistency: Probability
    latency: _LatencyTable = _LatencyTable()
    right: Annotated[dict[str, ProbabilityByLevel], Field(min_length=1)]

    @model_validator(mode="after")
    def _sums(self) -> _ExpertTable:
        if abs(sum(share for _, share in self.lengths) - 1) > 1e-9:
            raise ValueError("the probabilities of `lengths` must sum to 1")
        if self.refusal + self.truncated + self.no_answer > 1:
            raise ValueError("refusal + truncated + no_answer must not exceed 1")
        return self


class _Fallback(_Table):
    subject: str
    level: int = Field(ge=1, le=5)


class _SimulationTable(_Table):
    token_quantum: int = Field(default=1, ge=1)
    included_bytes: int = Field(default=2000, ge=0)
    latency_scale: float = Field(default=0.0, ge=0)
    fallback: _Fallback


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """All that the declared probabilities depend on, and all that the optimum is told."""

    subject: str
    level: int
    wrong_answers: int = WRONG_ANSWERS
    """How many different wrong answers the problem has."""


@dataclass(frozen=True, slots=True)
class SimulatedExpert:
    """One expert's declared behaviour."""

    spec: ExpertSpec
    strong: bool
    """Counted in the share of strong experts among calls."""
    input_tokens: int
    """Input that a reply reports for a message of up to `Simulation.included_bytes`."""
    answer_tokens: tuple[int, ...]
    """Typical visible output by level."""
    reasoning_tokens: tuple[int, ...]
    """Typical hidden output by level."""
    lengths: tuple[tuple[float, float], ...]
    """(factor on the typical output, probability)."""
    refusal: float
    truncated: float
    no_answer: float
    trap: float
    """Of its wrong answers, how many are the one that misleads every expert."""
    consistency: float
    """Probability that an answer is the expert's fixed opinion instead of a fresh draw."""
    first_s: float
    per_token_s: float
    right: Mapping[str, tuple[float, ...]]

    @property
    def name(self) -> str:
        return self.spec.name

    def right_probability(self, subject: str, level: int) -> float:
        """Probability that an answer (not a visible failure) is right."""
        return self.right[subject][level - 1]


@dataclass(frozen=True, slots=True)
class Simulation:
    """The simulated experts of a pool, in its order, and what they share."""

    experts: tuple[SimulatedExpert, ...]
    token_quantum: int
    """Output tokens are whole multiples of it (at least one), so that spend is a grid."""
    included_bytes: int
    """Message bytes that an expert's `input_tokens` cover; each four more cost a token."""
    latency_scale: float
    """How much of the declared latency is really waited; 0: none, 1: all of it."""
    fallback: Cell

    @property
    def subjects(self) -> tuple[str, ...]:
        return tuple(self.experts[0].right)

    def cell(self, problem: Problem) -> Cell:
        """The cell of a problem; a subject or level that the tables do not know falls back.

        Where a task declares subject and level for problems that carry none, they already
        stand in its problems when they are loaded.
        """
        known = problem.subject in self.experts[0].right
        return Cell(
            subject=problem.subject if known and problem.subject else self.fallback.subject,
            level=problem.level if problem.level in LEVELS else self.fallback.level,
            wrong_answers=WRONG_LETTERS if problem.kind == "choice" else WRONG_ANSWERS,
        )


def read_simulation(pool: Pool) -> Simulation:
    """Validates the `simulation` tables of a pool.

    Raises:
        ConfigError: a table is missing, or a key in it is; the line names it.
    """
    specs = [spec for spec in pool.experts if spec.provider == "simulated"]
    if not specs:
        raise ConfigError(f"pool {pool.name}: no expert has provider = 'simulated'")
    shared = _parse(_SimulationTable, pool.options.get("simulation"), f"{pool.name}: [simulation]")
    experts = tuple(_read_expert(pool.name, spec) for spec in specs)
    subjects = set(experts[0].right)
    for expert in experts:
        if set(expert.right) != subjects:
            odd = ", ".join(sorted(subjects ^ set(expert.right)))
            raise ConfigError(
                f"{pool.name}: [experts.{expert.name}.simulation.right]: every expert must list"
                f" the same subjects; compare {odd}"
            )
    fallback = shared.fallback
    if fallback.subject not in subjects:
        raise ConfigError(
            f"{pool.name}: [simulation] fallback.subject: {fallback.subject!r} is not one of"
            f" {', '.join(sorted(subjects))}"
        )
    return Simulation(
        experts=experts,
        token_quantum=shared.token_quantum,
        included_bytes=shared.included_bytes,
        latency_scale=shared.latency_scale,
        fallback=Cell(fallback.subject, fallback.level),
    )


def _read_expert(pool_name: str, spec: ExpertSpec) -> SimulatedExpert:
    where = f"{pool_name}: [experts.{spec.name}.simulation]"
    table = _parse(_ExpertTable, spec.options.get("simulation"), where)
    if spec.sampling.max_output_tokens is None:
        raise ConfigError(f"{pool_name}: [experts.{spec.name}] max_output_tokens is missing")
    return SimulatedExpert(
        spec=spec,
        strong=table.strong,
        input_tokens=table.input_tokens,
        answer_tokens=tuple(table.answer_tokens),
        reasoning_tokens=tuple(table.reasoning_tokens),
        lengths=tuple((factor, share) for factor, share in table.lengths),
        refusal=table.refusal,
        truncated=table.truncated,
        no_answer=table.no_answer,
        trap=table.trap,
        consistency=table.consistency,
        first_s=table.latency.first_s,
        per_token_s=table.latency.per_token_s,
        right={subject: tuple(row) for subject, row in table.right.items()},
    )


def _parse(model: type[_Parsed], table: object, where: str) -> _Parsed:
    if table is None:
        raise ConfigError(f"{where} is missing")
    try:
        return model.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{where} {key}: {first['msg']}".replace("  ", " ")) from None
