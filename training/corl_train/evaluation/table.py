"""An evaluation as a table for a terminal: what `corl-train evaluate` prints.

Every budget has its reward with its interval, its spend, and, on a simulated pool, how much of
the exact optimum that is and what policies earn that need no learning.

    print(describe(evaluate(environment, budgets, samples=12)))
"""

from __future__ import annotations

import math

from corl_train.evaluation.judgement import Evaluation, Judged
from corl_train.evaluation.regret import LOSSES


def describe(evaluation: Evaluation) -> str:
    """The evaluation as a table for a terminal."""
    lines = [
        f"{evaluation.task} · pool {evaluation.pool} · greedy ·"
        f" {evaluation.budgets[0].score.episodes:,} episodes a budget"
    ]
    for judged in evaluation.budgets:
        lines += ["", *_describe_budget(judged)]
    if evaluation.contrasts:
        lines += ["", "Mean reward less that of what needs no learning [95%]:"]
        lines += [
            f"  {c.budget:<8} {c.difference:+.3f} [{c.interval[0]:+.3f}, {c.interval[1]:+.3f}]"
            f"  {c.against}"
            for c in evaluation.contrasts
        ]
    return "\n".join(lines)


def _describe_count(judged: Judged) -> list[str]:
    """What was played beside what is counted, and what the decisions lose."""
    count, yardstick = judged.counted, judged.yardstick
    if yardstick is None:
        return []
    if count is None:
        return ["  as played: the optimum's plan does not know all that the experts did here"]
    if not count.holds:
        apart = abs(count.luck) / count.luck_error if count.luck_error else math.inf
        return [
            "  as played: counted by its decisions it would be"
            f" {yardstick.fraction(count.reward):.1%}, {apart:.0f} standard errors from it, so this"
            " controller knows more of the answers than its replies tell"
        ]
    low, high = judged.played_interval
    lost = {kind: yardstick.fraction(loss) for kind, loss in count.losses.items()}
    ranked = sorted(lost, key=lambda kind: -lost[kind])
    told = ", ".join(f"{LOSSES[kind]} {lost[kind]:.1%}" for kind in ranked if lost[kind] >= 5e-4)
    return [
        f"  counted by its decisions; with the luck of these replies {judged.played_fraction:.1%}"
        f" [{yardstick.fraction(low):.1%}, {yardstick.fraction(high):.1%}] were played",
        f"  lost: {told or 'nothing'}",
    ]


def _describe_budget(judged: Judged) -> list[str]:
    score, yardstick = judged.score, judged.yardstick
    low, high = judged.reward_interval
    lines = [
        f"{score.budget}: reward {judged.reward:.3f} [{low:.3f}, {high:.3f}], right"
        f" {score.accuracy:.1%}, ${score.mean_cost_usd:.6f} a problem, over the budget"
        f" {score.violation_rate:.1%}"
    ]
    if yardstick is not None and judged.interval is not None and judged.fraction is not None:
        best = yardstick.optimum
        low, high = judged.interval
        lines.append(
            f"  {judged.fraction:.1%} [{low:.1%}, {high:.1%}] of the optimum"
            f" ({best.reward:.3f}, ${best.mean_cost_usd:.6f}, over {best.violation_rate:.1%})"
        )
        lines += _describe_count(judged)
    calls = ", ".join(f"{name} {number:.2f}" for name, number in score.calls.items())
    strong = "" if judged.strong_share is None else f"; strong {judged.strong_share:.1%}"
    lines.append(f"  calls a problem: {calls}{strong}")
    if score.invalid:
        lines.append(f"  invalid turns a problem: {score.invalid:.3f}")
    if yardstick is not None:
        shares = ", ".join(
            f"{policy.policy} {yardstick.fraction(policy.reward):.0%}"
            for policy in yardstick.trivial
        )
        lines.append(f"  without learning, of the optimum: {shares}")
    return lines
