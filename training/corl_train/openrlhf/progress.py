"""Where a job is, read from what OpenRLHF prints.

OpenRLHF 0.11.2 logs a line a step (`PPOTrainer.fit` in trainer/ppo_trainer.py): a dictionary of
figures, those of `corl_train.openrlhf.logs` among them. Its words may change; then there is no
progress to be seen, and nothing else is lost.

    step = read_step(line)
    print(describe_step(step, steps=312))
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_STEP = re.compile(r"Global step (\d{1,12}): \{(.*)\}", re.ASCII)
_FIGURE = re.compile(
    r"'([^']+)': (-?(?:inf|nan|(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?))(?![\d.])",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of learning."""

    number: int
    figures: dict[str, float]
    """Numbers that are finite, by OpenRLHF's names."""


def read_step(line: str) -> Step | None:
    """The step that a line of the log tells of; None where it tells of none."""
    found = _STEP.search(line)
    if found is None:
        return None
    figures = {
        name: number
        for name, text in _FIGURE.findall(found.group(2))
        if math.isfinite(number := float(text))
    }
    return Step(int(found.group(1)), figures)


def describe_step(step: Step, steps: int) -> str:
    """A line for a terminal: how far, how good, how dear, how long still.

    Args:
        step: the last one.
        steps: of the whole job.
    """
    figures = step.figures
    parts = [f"step {step.number} of {steps}"]
    for name, key, form in (
        ("reward", "rollout/reward_mean", ".3f"),
        ("accuracy", "corl/accuracy", ".3f"),
        ("calls", "corl/calls", ".2f"),
        ("$ an episode", "corl/cost_usd", ".5f"),
        ("over budget", "corl/violations", ".1%"),
        ("bad", "corl/bad", ".1%"),
        ("kl", "kl", ".4f"),
    ):
        if key in figures:
            parts.append(f"{name} {figures[key]:{form}}")
    if (seconds := figures.get("timing/step_total")) is not None:
        left_h = seconds * max(0, steps - step.number) / 3600
        parts.append(f"{seconds:.0f} s, {left_h:.1f} h to go")
    return "  ".join(parts)
