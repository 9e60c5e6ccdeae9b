"""A job for OpenRLHF's agent, of simulated experts or of whatever a test names."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from corl_bench.tasks import load_task
from corl_bench.types import Budget, Problem
from corl_train.openrlhf.job import Job
from corl_train.openrlhf.label import label_of

TASK = "synth:validation"
LOW, HIGH = Budget("low", Decimal("0.0005")), Budget("high", Decimal("0.05"))


def a_job(**changes: Any) -> Job:
    given: dict[str, Any] = {
        "name": "small",
        "pool": "sim",
        "protocol": "digest",
        "budgets": {"low": "0.0005", "high": "0.05"},
        "prompts": {TASK: "{problem}\n\nBox the answer."},
        "usd_per_mtok": "0.01",
    }
    return Job(**(given | changes))


def problems(count: int) -> list[Problem]:
    return list(load_task(TASK, limit=count).problems)


def label(problem: Problem, budget: Budget | None = HIGH, **changes: Any) -> str:
    return label_of(TASK, problem, budget, **changes).to_text()


def changed(text: str, **changes: Any) -> str:
    """A label with other keys."""
    return json.dumps(json.loads(text) | changes)
