"""What is told of an iteration: a line on the terminal, and rollouts to be looked at.

say(progress(line))
samples.append([sample(iteration, rollout)])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from corl_train.rollouts import Rollout


def progress(line: Mapping[str, Any]) -> str:
    """A line of `metrics.jsonl` as it is told while a run goes on."""
    rewards = " ".join(f"{score['reward']:.3f}" for score in line["train"])
    text = (
        f"{line['iteration']:4d}  reward {rewards}  kl {line['kl']:.3f}"
        f"  entropy {line['entropy']:.3f}  {line['cpu_s']:.0f} CPU-s"
    )
    if "validation" in line:
        text += "  validation " + " ".join(f"{s['reward']:.3f}" for s in line["validation"])
    return text


def sample(iteration: int, rollout: Rollout) -> dict[str, Any]:
    """A rollout as it is kept in `samples.jsonl`: messages in turn read and said."""
    episode = rollout.episode
    return {
        "iteration": iteration,
        "budget": episode.budget,
        "budget_usd": None if rollout.budget_usd is None else format(rollout.budget_usd, "f"),
        "problem": episode.problem_id,
        "verdict": episode.verdict,
        "reward": rollout.reward,
        "cost_usd": format(episode.list_cost_usd, "f"),
        "pieces": [
            {"text": text, "own": place % 2 == 1}
            for place, text in enumerate(rollout.transcript.texts)
        ],
    }


def zero_groups(rollouts: Sequence[Rollout]) -> float:
    """Share of the groups (a problem at a budget) in which nothing earned anything; 0 of none."""
    earned: dict[int, bool] = {}
    for rollout in rollouts:
        earned[rollout.group] = earned.get(rollout.group, False) or rollout.reward > 0
    return sum(not value for value in earned.values()) / max(1, len(earned))
