"""What lm-eval's requests came to in dollars: for its results file, and for people.

lm-eval asks its model what to say about it under `config` of a result; there this stands as
`config.corl`, beside accuracies that are lm-eval's. Amounts are exact decimals, as texts.

    costs_of(settings, questions, answers)["tasks"]["gsm8k"]["list_cost_usd"]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from corl_bench.interop.lm_eval.questions import Question
from corl_bench.interop.lm_eval.session import Answered, Answers
from corl_bench.interop.lm_eval.settings import Settings
from corl_bench.money.amounts import display_usd, format_usd, sum_usd
from corl_bench.money.basis import BASIS_WORDS, weakest

SCHEMA = 1


def costs_of(settings: Settings, questions: Sequence[Question], answers: Answers) -> dict[str, Any]:
    """What goes into a result; docs/lm-eval.md has every key."""
    plan, budget = settings.plan, settings.budget
    by_task: dict[str, list[Answered]] = {}
    for question, answered in zip(questions, answers.each, strict=True):
        by_task.setdefault(question.task, []).append(answered)
    return {
        "schema": SCHEMA,
        "system": settings.system.name,
        "pool": plan.pool.name,
        "pool_digest": plan.pool.digest,
        "simulated": plan.pool.simulated,
        "prices": {expert.name: expert.price.row_id for expert in plan.models},
        "budget": None if budget is None else budget.name,
        "budget_usd": None if budget is None else format_usd(budget.usd),
        "mode": plan.mode,
        "seed": plan.seed,
        "directory": str(settings.directory),
        **_sums(answers.each),
        "billed_cost_usd": format_usd(answers.billed_cost_usd),
        "tasks": {
            task: _of_task(each, None if budget is None else budget.usd)
            for task, each in by_task.items()
        },
        "failures": dict(Counter(a.failure for a in answers.each if a.failure).most_common(3)),
    }


def cost_lines(costs: Mapping[str, Any]) -> list[str]:
    """The same for a terminal, a line a task; figures of simulated experts say that they are."""
    simulated = ", simulated" if costs["simulated"] else ""
    lines = [f"{costs['system']} on pool {costs['pool']}{simulated}:"]
    for task, sums in costs["tasks"].items():
        basis = "" if sums["cost_basis"] == "metered" else f" ({BASIS_WORDS[sums['cost_basis']]})"
        parts = [
            f"{sums['requests']} requests",
            f"list cost {display_usd(Decimal(sums['list_cost_usd']))}{basis},"
            f" {display_usd(Decimal(sums['mean_list_cost_usd']))} each",
        ]
        if sums["over_budget"] is not None:
            parts.append(f"{sums['over_budget']} above the budget of ${costs['budget_usd']}")
        if Decimal(sums["unsettled_usd"]):
            parts.append(f"{display_usd(Decimal(sums['unsettled_usd']))} unsettled at the most")
        if sums["failed"]:
            parts.append(f"{sums['failed']} failed, which lm-eval counts as wrong")
        lines.append(f"  {task}: {'; '.join(parts)}")
    billed = display_usd(Decimal(costs["billed_cost_usd"]))
    lines.append(f"  billed by this command: {billed}; the ledger is in {costs['directory']}")
    return lines


def _of_task(each: Sequence[Answered], budget_usd: Decimal | None) -> dict[str, Any]:
    total_usd = sum_usd(answered.list_cost_usd for answered in each)
    return {
        "requests": len(each),
        "failed": sum(bool(answered.failure) for answered in each),
        "expert_calls": sum(answered.calls for answered in each),
        **_sums(each),
        "mean_list_cost_usd": format_usd(total_usd / len(each)),
        "over_budget": (
            None
            if budget_usd is None
            else sum(answered.list_cost_usd > budget_usd for answered in each)
        ),
    }


def _sums(each: Sequence[Answered]) -> dict[str, str]:
    return {
        "list_cost_usd": format_usd(sum_usd(answered.list_cost_usd for answered in each)),
        "unsettled_usd": format_usd(sum_usd(answered.unsettled_usd for answered in each)),
        "cost_basis": weakest(answered.basis for answered in each),
    }
