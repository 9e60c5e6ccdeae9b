"""A made-up training run: what the trainer writes, with figures that a test chooses.

Nothing in it was measured. By default the run goes well: reward rises, dear experts are called
where the budget allows them, and nothing is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

EXPERTS = ("self", "nano", "mini", "large", "reasoner")
GOOD_CALLS = {
    "low": {"self": 0.1, "nano": 1.1, "mini": 0.1},
    "medium": {"self": 0.05, "nano": 0.5, "large": 0.7},
    "high": {"nano": 0.1, "large": 0.2, "reasoner": 0.9},
}
GOOD_COSTS = {"low": 0.0003, "medium": 0.003, "high": 0.013}
HOSTILE = '</result><script>window.owned = true</script><img src="http://127.0.0.1:9/x">'


def score(budget: str = "low", **figures: Any) -> dict[str, Any]:
    """A budget's episodes in one iteration."""
    calls = figures.pop("calls", GOOD_CALLS.get(budget, GOOD_CALLS["low"]))
    return {
        "budget": budget,
        "episodes": 170,
        "reward": 0.5,
        "accuracy": 0.6,
        "mean_cost_usd": GOOD_COSTS.get(budget, 0.001),
        "violation_rate": 0.03,
        "calls": dict.fromkeys(EXPERTS, 0.0) | calls,
        "invalid": 0.05,
        **figures,
    }


def line(
    iteration: int, budgets: Mapping[str, Mapping[str, Any]] | None = None, **figures: Any
) -> dict[str, Any]:
    """One iteration; `budgets` says what differs at a budget, by its name."""
    different = {"low": {}, "medium": {}, "high": {}} if budgets is None else budgets
    return {
        "iteration": iteration,
        "cpu_s": 130.0 + 4 * iteration,
        "policy_loss": -0.02,
        "value_loss": 0.1,
        "kl": 0.4,
        "entropy": 0.5,
        "clipped": 0.08,
        "grad_norm": 0.3,
        "value_error": 0.85,
        "zero_groups": 0.4,
        "tokens_per_s": 31_000.0,
        "train": [score(name, **changed) for name, changed in different.items()],
        **figures,
    }


def lines(count: int, **different: Any) -> list[dict[str, Any]]:
    """So many iterations that are all alike."""
    return [line(iteration, **different) for iteration in range(1, count + 1)]


def sample(iteration: int, budget: str = "low", **different: Any) -> dict[str, Any]:
    """One rollout of a validation."""
    return {
        "iteration": iteration,
        "budget": budget,
        "budget_usd": "0.0006",
        "problem": f"synth-{iteration}",
        "verdict": "correct",
        "reward": 1.0,
        "cost_usd": "0.000412",
        "pieces": [
            {"text": f"budget {budget}\nWhat is 2:3?\n", "own": False},
            {"text": '<call expert="nano"></call>', "own": True},
            {"text": f'<result number="1">{HOSTILE}</result>', "own": False},
            {"text": '<answer from="1"/>', "own": True},
        ],
        **different,
    }


def write_run(
    folder: Path,
    metrics: Iterable[Mapping[str, Any]],
    samples: Iterable[Mapping[str, Any]] = (),
    **data: Any,
) -> Path:
    """Writes a run's folder; `data` goes into the configuration's table of that name."""
    folder.mkdir(parents=True)
    config = {
        "seed": 7,
        "name": "quickstart",
        "data": {
            "train": "synth:train",
            "validation": "synth:validation",
            "pool": "sim",
            "budgets": None,
            **data,
        },
        "training": {"iterations": 60, "clip": 0.2, "mask_experts": True},
    }
    (folder / "config.json").write_text(json.dumps(config))
    for name, rows in (("metrics.jsonl", metrics), ("samples.jsonl", samples)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder
