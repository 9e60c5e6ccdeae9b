"""An evaluation as a table for a terminal: what `corl-train evaluate` prints.

Every budget has its reward with its interval, its spend, and, on a simulated pool, how much of
the exact optimum that is and what policies earn that need no learning.

    print(describe(evaluate(environment, budgets, samples=12)))
"""

from __future__ import annotations

from corl_train.evaluation.judgement import Evaluation, Judged


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


def _describe_budget(judged: Judged) -> list[str]:
    score, yardstick = judged.score, judged.yardstick
    low, high = judged.reward_interval
    lines = [
        f"{score.budget}: reward {score.reward:.3f} [{low:.3f}, {high:.3f}], right"
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
