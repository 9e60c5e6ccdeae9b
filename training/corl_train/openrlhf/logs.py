"""What a rollout reports: the same numbers under the same names, whatever has happened.

OpenRLHF 0.11.2 puts each `extra_logs` into a tensor of its sample and batches them by the names
of a batch's first sample (`make_experience_batch` in trainer/ppo_utils/experience.py): a name that
one sample lacks ends the training, and a new one is lost. It logs the mean over all samples. A
figure at a budget is therefore 0 in the rollouts at other budgets, and what it is on average at
that budget is its logged mean divided by the logged `share`:

    accuracy at budget low  =  corl/low/accuracy ÷ corl/low/share

Calls and costs are of all calls that a rollout has made, also where it is cut short by its time or
by a defect: somebody has paid for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from corl_bench.money.amounts import format_usd, sum_usd
from corl_bench.results import EpisodeRecord
from corl_bench.routers.controller import INVALID_TURN
from corl_bench.types import Budget
from corl_train.openrlhf.label import Label

Bad = Literal["", "label", "cap", "time", "error", "failed"]
"""Why a rollout teaches nothing, or empty: its label is none; the spending cap has cut it short;
its time was up; its verdict is `error`; something has gone wrong that should not."""

PREFIX = "corl"
OF_EXPERTS = f"{PREFIX}/experts"
"""What an expert's own figures are under, by its name: `calls`, and how many `failed`."""
_OF_ALL = ("bad", "cap", "errors", "too_long", "invalid_turns", "failed_calls", "turns", "tokens")
_OF_EACH = ("reward", "accuracy", "cost_usd", "calls", "violations")
_OF_EXPERT = ("calls", "failed")


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a rollout, to an expert or to the engine, as far as it went."""

    expert: str
    is_own: bool
    """Whether it is a turn of the controller itself."""
    status: str
    cost_usd: Decimal
    """At list price; 0 where the rollout ended before the call did."""

    @property
    def has_failed(self) -> bool:
        """Whether an expert has not done what it was asked; a question without end is not its."""
        return not self.is_own and self.status not in ("ok", "too_long")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of a rollout when it is over."""

    reward: float
    score: float
    """1 for a right answer within the budget, else 0, whatever the reward."""
    budget: Budget | None
    turns: int
    tokens: int
    """Of its own."""
    calls: tuple[Call, ...]
    """All that it has made, whatever became of it."""
    record: EpisodeRecord | None
    """None where the rollout is bad before it is an episode."""
    bad: Bad = ""
    detail: str = ""
    """Why it is bad, in a line."""

    @property
    def cost_usd(self) -> Decimal:
        """Of its calls at list price, its own turns included."""
        return sum_usd(call.cost_usd for call in self.calls)

    @property
    def expert_calls(self) -> int:
        """How often it has asked experts."""
        return sum(not call.is_own for call in self.calls)

    @property
    def breaks_budget(self) -> bool:
        """Whether it has cost more than it might."""
        return self.budget is not None and self.cost_usd > self.budget.usd


def names(budgets: Iterable[str], experts: Iterable[str]) -> list[str]:
    """The names of all figures, in order.

    Args:
        budgets: names of the job's.
        experts: names of those in its pool.
    """
    groups = [PREFIX, *(f"{PREFIX}/{budget}" for budget in budgets)]
    by_group = [f"{group}/{name}" for group in groups for name in _OF_EACH]
    shares = [f"{group}/share" for group in groups[1:]]
    of_experts = [f"{OF_EXPERTS}/{expert}/{name}" for expert in experts for name in _OF_EXPERT]
    return [*by_group, *shares, *(f"{PREFIX}/{name}" for name in _OF_ALL), *of_experts]


def figures(
    outcome: Outcome, budgets: Collection[str], experts: Collection[str]
) -> dict[str, float]:
    """The figures of a rollout, under `names`.

    Args:
        outcome: of the rollout.
        budgets: names of the job's; one that is at another budget, or at none, counts in the
            totals alone.
        experts: names of those in its pool.
    """
    record = outcome.record
    values = dict.fromkeys(names(budgets, experts), 0.0)
    is_right = not outcome.bad and record is not None and record.verdict == "correct"
    each = {
        "reward": outcome.reward,
        "accuracy": float(is_right),
        "cost_usd": float(outcome.cost_usd),
        "calls": float(outcome.expert_calls),
        "violations": float(outcome.breaks_budget),
    }
    values |= {f"{PREFIX}/{name}": value for name, value in each.items()}
    at = "" if outcome.budget is None else f"{PREFIX}/{outcome.budget.name}"
    if f"{at}/share" in values:
        values |= {f"{at}/{name}": value for name, value in each.items()} | {f"{at}/share": 1.0}
    for call in outcome.calls:
        if f"{OF_EXPERTS}/{call.expert}/calls" in values:
            values[f"{OF_EXPERTS}/{call.expert}/calls"] += 1
            values[f"{OF_EXPERTS}/{call.expert}/failed"] += call.has_failed
    events = () if record is None else record.events
    of_all = {
        "bad": float(bool(outcome.bad)),
        "cap": float(outcome.bad == "cap"),
        "errors": float(record is not None and record.verdict == "error"),
        "too_long": float(any(call.is_own and call.status == "too_long" for call in outcome.calls)),
        "invalid_turns": float(sum(event.startswith(INVALID_TURN) for event in events)),
        "failed_calls": float(sum(call.has_failed for call in outcome.calls)),
        "turns": float(outcome.turns),
        "tokens": float(outcome.tokens),
    }
    return values | {f"{PREFIX}/{name}": value for name, value in of_all.items()}


def diary_line(label: Label | None, outcome: Outcome, *, seconds: float) -> dict[str, Any]:
    """A rollout as a line of its worker's diary.

    Args:
        label: None where it was none.
        outcome: of the rollout.
        seconds: that it took.
    """
    record = outcome.record
    line: dict[str, Any] = {
        "task": None if label is None else label.task,
        "problem_id": None if label is None else label.problem_id,
        "budget": None if outcome.budget is None else outcome.budget.name,
        "verdict": None if record is None else record.verdict,
        "reward": outcome.reward,
        "list_cost_usd": format_usd(outcome.cost_usd),
        "calls": outcome.expert_calls,
        "turns": outcome.turns,
        "tokens": outcome.tokens,
        "seconds": round(seconds, 3),
    }
    if outcome.bad:
        line |= {"bad": outcome.bad, "detail": outcome.detail}
    elif record is not None and record.detail:
        line["detail"] = record.detail
    return line
