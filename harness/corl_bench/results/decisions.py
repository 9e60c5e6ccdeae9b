"""`decisions.json`: what a run that stops when it is decided has decided.

It is derived from the episodes and the baseline, and can be made again from them. The figures of
such a run stand on the problems that were asked, and a run stops when they are at an extreme:
whoever compares them needs this file to say so.

    decisions = read_decisions(Path("runs/demo"))
    [decision.label for decision in decisions.arms if decision.verdict == "loss"]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from corl_bench.errors import ConfigError
from corl_bench.money.amounts import format_usd
from corl_bench.results.documents import read_document
from corl_bench.shapes import AMOUNT, Shape

DECISIONS_NAME = "decisions.json"
DECISIONS_SCHEMA = "corl-bench/decisions@1"

DecisionVerdict = Literal["loss", "no_loss", "undecided"]


@dataclass(frozen=True, slots=True)
class Decision:
    """One arm: a system on a task at the budget that it was told."""

    task: str
    system: str
    budget: str | None
    """Name of the budget that the system was told; None for none and for budget-blind ones."""
    verdict: DecisionVerdict
    problems: int
    """Problems that the verdict stands on."""
    problems_at_hand: int
    e_value: float
    """Of the verdict; where there is none, that of a loss."""
    e_value_needed: float
    effect: float
    """The loss that `no_loss` speaks against, in accuracy."""
    loss_interval: tuple[float, float]
    """Losses of accuracy at matched cost that are not refuted. Each end is wrong with a chance of
    at most `alpha`, over all arms and all looks together."""
    clipped: int
    """Problems whose score was cut at an end of its range."""
    errors: int
    """Episodes in error among those it stands on; they count as wrong."""
    episodes: int
    episodes_saved: int
    """That were not made, of the whole plan."""
    calls_saved: float
    """Estimate: mean calls of an episode times the episodes that were not made."""
    saved_usd: Decimal
    """Estimate: mean list cost of an episode times the episodes that were not made."""
    gate_p_value: float | None = None
    """Of a loss beyond the margin, by the gate's test of this arm on all problems; where the
    problems ran out without a verdict."""

    @property
    def label(self) -> str:
        """`system`, or `system@budget` where the system was told one."""
        return self.system if self.budget is None else f"{self.system}@{self.budget}"

    @property
    def is_over(self) -> bool:
        """It has a verdict, or no problem is left."""
        return self.verdict != "undecided" or self.problems == self.problems_at_hand


@dataclass(frozen=True, slots=True)
class Decisions:
    """All arms of a run, and what they are held against."""

    baseline: str
    baseline_run_id: str
    baseline_digest: str
    """sha256 over the baseline's verdicts and costs that the tests use."""
    margin_accuracy: float
    alpha: float
    """Chance of a false alarm in any arm."""
    beta: float
    """Chance, in an arm, that a loss as large as its effect is passed."""
    arms: tuple[Decision, ...]

    @property
    def is_over(self) -> bool:
        return all(arm.is_over for arm in self.arms)

    @property
    def stopped_early(self) -> bool:
        """Whether some arm's figures stand on fewer problems than there were."""
        return any(arm.problems < arm.problems_at_hand for arm in self.arms)

    @property
    def lost(self) -> tuple[Decision, ...]:
        return tuple(arm for arm in self.arms if arm.verdict == "loss")


def encode_decisions(decisions: Decisions) -> dict[str, Any]:
    """The JSON object of `decisions.json`; dollars are strings."""
    document = asdict(decisions)
    arms = [
        {**arm, "saved_usd": format_usd(arm["saved_usd"]), "loss_interval": [*arm["loss_interval"]]}
        for arm in document.pop("arms")
    ]
    return {"schema": DECISIONS_SCHEMA, **document, "over": decisions.is_over, "arms": arms}


def decode_decisions(document: Mapping[str, Any]) -> Decisions:
    """The inverse of `encode_decisions`.

    Raises:
        KeyError: a field is missing.
    """
    fields = {name: document[name] for name in Decisions.__slots__ if name != "arms"}
    arms = []
    for arm in document["arms"]:
        low, high = arm["loss_interval"]
        arms.append(
            Decision(
                **{**arm, "saved_usd": Decimal(arm["saved_usd"]), "loss_interval": (low, high)}
            )
        )
    return Decisions(**fields, arms=tuple(arms))


_SHAPE = Shape(
    {
        "baseline": str,
        "baseline_run_id": str,
        "baseline_digest": str,
        "margin_accuracy": float,
        "alpha": float,
        "beta": float,
        "arms": [
            {
                "task": str,
                "system": str,
                "budget": (str, None),
                "verdict": str,
                "problems": int,
                "problems_at_hand": int,
                "clipped": int,
                "errors": int,
                "episodes": int,
                "episodes_saved": int,
                "calls_saved": float,
                "effect": float,
                "loss_interval": [float],
                "saved_usd": AMOUNT,
                "gate_p_value?": (float, None),
            }
        ],
    }
)


def read_decisions(run_dir: Path) -> Decisions | None:
    """The decisions of a run; None for a run that asks all its problems.

    Raises:
        ConfigError: the file is broken.
        StorageError: it cannot be read.
    """
    if not (run_dir / DECISIONS_NAME).exists():
        return None
    document = read_document(run_dir, DECISIONS_NAME, DECISIONS_SCHEMA)
    try:
        if fault := _SHAPE.find_fault(document):
            raise ValueError(fault)
        return decode_decisions(document)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise ConfigError(
            f"{run_dir / DECISIONS_NAME} is broken ({error!r}): the run's own command makes it"
            " again"
        ) from error


def decision_notes(decisions: Decisions) -> tuple[str, ...]:
    """What a summary says about a run that stops when it is decided.

    >>> decision_notes(decisions)  # doctest: +SKIP
    ('stopped when decided: router@low on 84 of 500 problems; ...',)
    """
    if not decisions.stopped_early:
        return ()
    early = [arm for arm in decisions.arms if arm.problems < arm.problems_at_hand]
    tasks = len({arm.task for arm in decisions.arms})
    shares = ", ".join(
        f"{arm.label}{f' on {arm.task}' if tasks > 1 else ''}:"
        f" {arm.problems:,} of {arm.problems_at_hand:,}"
        for arm in early
    )
    return (
        f"stops when it is decided against {decisions.baseline}, so figures stand on the first"
        f" problems of a random order ({shares}) and lean to the side of the verdict:"
        f" {DECISIONS_NAME} has intervals that hold",
    )
