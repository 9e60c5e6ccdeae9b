r"""The label: what travels beside each prompt through OpenRLHF, as one line of JSON.

OpenRLHF hands a rollout two strings, the prompt and the label. The prompt is the problem's
statement, as `Problem.text` has it and without any template; everything else that an episode
takes is in the label. Of it the controller is told the budget and nothing else.

    row = {"input": problem.text, "label": label_of("math:train", problem, budget).to_text()}
    label = Label.from_text(row["label"])
    label.problem("What is $1 + 1$?").answer
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from corl_bench.errors import ConfigError
from corl_bench.money.amounts import format_usd, parse_usd
from corl_bench.types import AnswerKind, Budget, Problem

_DRAWS = 1_000_000
"""More draws of one reply than anyone takes; see `Request.draw_seed`."""


class LabelError(ConfigError):
    """A text that is no label."""


@dataclass(frozen=True, slots=True)
class Label:
    """What an episode takes beside the problem's statement."""

    task: str
    """As `LoadedTask.label` has it: `deepscaler`, `math:train`."""
    problem_id: str
    gold: str
    kind: AnswerKind = "math"
    budget: Budget | None = None
    subject: str | None = None
    """With level and metadata what simulated experts go by."""
    level: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    draws: int | None = None
    """How many draws of experts' replies its rollouts meet. Those of a worker take them in turn,
    from 0 on, and begin again when all are through. With as many as a step has samples, all of
    which OpenRLHF gives to one worker, each step meets the same draws, whichever worker that is.
    None: each rollout of a worker meets another one."""

    def problem(self, text: str) -> Problem:
        """The problem whose statement the prompt is."""
        return Problem(
            id=self.problem_id,
            text=text,
            answer=self.gold,
            kind=self.kind,
            subject=self.subject,
            level=self.level,
            metadata=self.metadata,
        )

    def draw(self, rollout: int) -> int:
        """The draw that a rollout meets.

        Args:
            rollout: of this label in this worker, from 0.
        """
        return rollout if self.draws is None else rollout % self.draws

    def to_text(self) -> str:
        """One line of JSON; the same label always has the same text."""
        line = _Line(
            task=self.task,
            problem=self.problem_id,
            gold=self.gold,
            kind=self.kind,
            budget=None if self.budget is None else self.budget.name,
            usd=None if self.budget is None else format_usd(self.budget.usd),
            subject=self.subject,
            level=self.level,
            metadata=dict(self.metadata),
            draws=self.draws,
        )
        return json.dumps(
            line.model_dump(exclude_defaults=True), ensure_ascii=False, sort_keys=True
        )

    @classmethod
    def from_text(cls, text: object) -> Label:
        """Reads a label.

        Raises:
            LabelError: it is none; one line.
        """
        try:
            said = _Line.model_validate_json(text if isinstance(text, str) else "")
            budget = None
            if said.budget is not None and said.usd is not None:
                budget = Budget(said.budget, parse_usd(said.usd))
        except (ValidationError, ConfigError) as error:
            raise LabelError(f"no label of corl-train: {_first_line(error)}") from None
        return cls(
            task=said.task,
            problem_id=said.problem,
            gold=said.gold,
            kind=said.kind,
            budget=budget,
            subject=said.subject,
            level=said.level,
            metadata=said.metadata,
            draws=said.draws,
        )


def label_of(
    task: str, problem: Problem, budget: Budget | None, *, draws: int | None = None
) -> Label:
    """The label of a problem at a budget.

    Args:
        task: `LoadedTask.label` of its task.
        problem: with its gold.
        budget: what it may cost; None: anything.
        draws: see `Label`.
    """
    return Label(
        task=task,
        problem_id=problem.id,
        gold=problem.answer,
        kind=problem.kind,
        budget=budget,
        subject=problem.subject,
        level=problem.level,
        metadata=problem.metadata,
        draws=draws,
    )


class _Line(BaseModel):
    """The JSON of a label."""

    model_config = ConfigDict(extra="forbid", strict=True)

    task: str = Field(min_length=1)
    problem: str = Field(min_length=1)
    gold: str = Field(min_length=1)
    kind: AnswerKind = "math"
    budget: str | None = None
    usd: str | None = None
    subject: str | None = None
    level: int | None = None
    metadata: dict[str, str] = {}
    draws: int | None = Field(default=None, ge=1, lt=_DRAWS)

    @model_validator(mode="after")
    def _names_budget(self) -> Self:
        if (self.budget is None) != (self.usd is None):
            raise ValueError("a budget has a name and usd")
        return self


def _first_line(error: ValidationError | ConfigError) -> str:
    if isinstance(error, ConfigError):
        return str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    said = first["msg"].removeprefix("Value error, ")
    return f"{place}: {said}" if place else said
