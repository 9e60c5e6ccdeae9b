"""What a study is: parts of rows, each a controller's episodes at one budget beside the optimum.

Invariant: every row of a study is measured alike (`measuring`), greedy and with the gate's reward,
so rows of all studies can be compared. Rows know neither how they are printed nor how they were
made.

    rows = measure(environment, budgets, samples=4).rows("Geometry", problems)
    Study("transfer", ..., parts=(Part("Not trained on", "", rows),)).to_json()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from corl_train.experts import ANY_EXPERTS, Experts


@dataclass(frozen=True, slots=True)
class Options:
    """How a study is made. The first four are for the studies whose `TAKES` names them."""

    tasks: tuple[str, ...] = ()
    """Other problems than those that the study chooses by itself."""
    budgets: str | None = None
    """Other budgets than those that it chooses, as after `--budget`."""
    only: tuple[str, ...] = ()
    """Rows whose names begin so; none: all."""
    pools: tuple[str, ...] = ()
    """Files of pools that somebody has changed."""
    samples: int = 4
    """Episodes of each problem at each budget."""
    limit: int | None = None
    """Problems of each task at most, as a sample."""
    seed: int = 0
    """Of the experts' replies."""
    experts: Experts = ANY_EXPERTS
    say: Callable[[str], None] = lambda line: None
    """Told what is under way, a line at a time."""
    note: Callable[[str], None] = lambda line: None
    """Told what a reader has to know, such as what recordings lack; it becomes a note."""


@dataclass(frozen=True, slots=True)
class Row:
    """Some problems at one budget."""

    name: str
    """What is special about it: a subject, an amount, a change of the pool."""
    budget: str
    problems: int
    episodes: int
    reward: float
    reward_interval: tuple[float, float]
    optimum: float | None
    """Reward of the best possible policy; None where nobody knows it."""
    fraction: float | None
    """Reward as a share of the optimum."""
    interval: tuple[float, float] | None
    """Of the fraction, 95 %."""
    accuracy: float
    mean_cost_usd: Decimal
    violation_rate: float
    calls: Mapping[str, float]
    """By expert: calls an episode."""
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """The row with its mean cost as a string."""
        return {**asdict(self), "mean_cost_usd": format(self.mean_cost_usd, "f")}


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that belong together."""

    title: str
    about: str
    """A sentence or two; may be empty."""
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "about": self.about,
            "rows": [row.to_json() for row in self.rows],
        }


@dataclass(frozen=True, slots=True)
class Study:
    """What a study found."""

    name: str
    question: str
    run: str
    """Name of the training run."""
    recipe: str
    pool: str
    simulated: bool
    seed: int
    """Of the experts' replies."""
    samples: int
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()
    """What a reader has to know; whole sentences."""

    def to_json(self) -> dict[str, Any]:
        """As `corl-train study NAME RUN --json` prints it."""
        return {
            "study": self.name,
            "question": self.question,
            "run": self.run,
            "recipe": self.recipe,
            "pool": self.pool,
            "simulated": self.simulated,
            "seed": self.seed,
            "samples": self.samples,
            "parts": [part.to_json() for part in self.parts],
            "notes": list(self.notes),
        }
