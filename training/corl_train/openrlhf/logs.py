"""What a rollout reports: the same numbers under the same names, whatever has happened.

OpenRLHF 0.11.2 puts each `extra_logs` into a tensor of its sample and batches them by the names
of a batch's first sample (`make_experience_batch` in trainer/ppo_utils/experience.py): a name that
one sample lacks ends the training, and a new one is lost. It logs the mean over all samples. A
figure at a budget is therefore 0 in the rollouts at other budgets, and what it is on average at
that budget is its logged mean divided by the logged `share`:

    accuracy at budget low  =  corl/low/accuracy ÷ corl/low/share
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from corl_bench.money.amounts import format_usd
from corl_bench.results import EpisodeRecord
from corl_bench.routers.controller import INVALID_TURN
from corl_bench.types import Budget
from corl_train.openrlhf.label import Label

Bad = Literal["", "label", "cap", "time", "error", "failed"]
"""Why a rollout teaches nothing, or empty: its label is none; the spending cap has cut it short;
its time was up; its verdict is `error`; something has gone wrong that should not."""

PREFIX = "corl"
_OF_ALL = ("bad", "cap", "errors", "too_long", "invalid_turns", "failed_calls", "turns", "tokens")
_OF_EACH = ("reward", "accuracy", "cost_usd", "calls", "violations")


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
    record: EpisodeRecord | None
    """None where the rollout is bad before it is an episode."""
    bad: Bad = ""
    detail: str = ""
    """Why it is bad, in a line."""

    @property
    def breaks_budget(self) -> bool:
        """Whether it has cost more than it might."""
        if self.record is None or self.budget is None:
            return False
        return self.record.list_cost_usd > self.budget.usd


def names(budgets: Iterable[str]) -> list[str]:
    """The names of all figures, in order.

    Args:
        budgets: names of the job's.
    """
    groups = [PREFIX, *(f"{PREFIX}/{budget}" for budget in budgets)]
    by_group = [f"{group}/{name}" for group in groups for name in _OF_EACH]
    shares = [f"{group}/share" for group in groups[1:]]
    return [*by_group, *shares, *(f"{PREFIX}/{name}" for name in _OF_ALL)]


def figures(outcome: Outcome, budgets: Iterable[str]) -> dict[str, float]:
    """The figures of a rollout, under `names`.

    Args:
        outcome: of the rollout.
        budgets: names of the job's; one that is at another budget, or at none, counts in the
            totals alone.
    """
    record = outcome.record
    values = dict.fromkeys(names(budgets), 0.0)
    each = {
        "reward": outcome.reward,
        "accuracy": 0.0 if record is None else float(record.verdict == "correct"),
        "cost_usd": 0.0 if record is None else float(record.list_cost_usd),
        "calls": 0.0 if record is None else float(record.expert_calls),
        "violations": float(outcome.breaks_budget),
    }
    values |= {f"{PREFIX}/{name}": value for name, value in each.items()}
    at = "" if outcome.budget is None else f"{PREFIX}/{outcome.budget.name}"
    if f"{at}/share" in values:
        values |= {f"{at}/{name}": value for name, value in each.items()} | {f"{at}/share": 1.0}
    calls = () if record is None else record.calls
    events = () if record is None else record.events
    of_all = {
        "bad": float(bool(outcome.bad)),
        "cap": float(outcome.bad == "cap"),
        "errors": float(record is not None and record.verdict == "error"),
        "too_long": float(any(call.status == "too_long" for call in calls if call.role == "self")),
        "invalid_turns": float(sum(event.startswith(INVALID_TURN) for event in events)),
        "failed_calls": float(sum(c.role == "expert" and c.status != "ok" for c in calls)),
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
        "list_cost_usd": None if record is None else format_usd(record.list_cost_usd),
        "calls": 0 if record is None else record.expert_calls,
        "turns": outcome.turns,
        "tokens": outcome.tokens,
        "seconds": round(seconds, 3),
    }
    if outcome.bad:
        line |= {"bad": outcome.bad, "detail": outcome.detail}
    elif record is not None and record.detail:
        line["detail"] = record.detail
    return line
