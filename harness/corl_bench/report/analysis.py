"""What a run's episodes amount to, task by task: everything that its report says beyond sums.

Derived from episodes and summary alone, in the summary's order, so that neither scheduling nor
the order of a file changes a digit. Systems of which every episode ended in error are not
compared; oracles are a bound and no competitor.

    analyses = analyse(summary, episodes, manifest)
    analyses["synth"].assessment.points
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.metrics.adherence import (
    Adherence,
    BudgetResponse,
    budget_response,
    measure_adherence,
)
from corl_bench.metrics.assessment import Assessment, Band, assess
from corl_bench.metrics.breakdown import (
    ChoiceOutcome,
    Slice,
    Spend,
    accuracy_by,
    choice_outcomes,
    spend_by_expert,
)
from corl_bench.metrics.collapse import (
    ITSELF,
    BudgetAttention,
    Choices,
    Diagnosis,
    attention_to_budget,
    collect_choices,
    diagnose,
)
from corl_bench.metrics.panel import Panel, make_panel
from corl_bench.metrics.window import window_of_budgets
from corl_bench.report.chart import spend_range
from corl_bench.report.drilldown import natural_order
from corl_bench.report.figures import TableRow, budgets_of, put_together
from corl_bench.results import EpisodeRecord, Summary
from corl_bench.results.outcomes import Outcomes, collect_outcomes, is_single
from corl_bench.types import Budget

RESAMPLES = 2_000
"""Enough for the ends of a 95 % interval to be steady to a tenth of its width."""


LEAST_PROBLEMS = 10
"""Fewer than these that all systems share are not resampled: they would all look alike."""


@dataclass(frozen=True, slots=True)
class TaskAnalysis:
    """One task of a run."""

    assessment: Assessment | None
    """None where there is nothing to compare: no two systems, or too few problems that all of
    them have."""
    band: Band | None
    """Of the frontier, over all spends that the picture shows."""
    adherence: tuple[Adherence, ...]
    """By budget, then system; oracles are left out."""
    responses: tuple[BudgetResponse, ...]
    attention: tuple[BudgetAttention, ...]
    diagnoses: tuple[Diagnosis, ...]
    subjects: tuple[Slice, ...]
    levels: tuple[Slice, ...]
    spends: tuple[Spend, ...]
    choices: tuple[ChoiceOutcome, ...]
    """Of routers: neither single experts nor oracles."""


def analyse(
    summary: Summary, episodes: Sequence[EpisodeRecord], manifest: Mapping[str, Any]
) -> dict[str, TaskAnalysis]:
    """Analyses each task that has an episode.

    Args:
        summary: of the run.
        episodes: of the run, in any order.
        manifest: says which experts were on offer; without it those that were called were.
    """
    budgets = _budgets(summary)
    offered = _on_offer(manifest)
    return {
        task: _analyse_task(rows, own, budgets, offered)
        for task, (rows, own) in _by_task(summary, episodes).items()
    }


def assess_tasks(summary: Summary, episodes: Sequence[EpisodeRecord]) -> dict[str, Assessment]:
    """The assessments alone, of the tasks that have something to compare.

    Args:
        summary: of the run.
        episodes: of the run, in any order.
    """
    found = {}
    for task, (rows, own) in _by_task(summary, episodes).items():
        panel = _panel(_compared(rows, collect_outcomes(own, _oracles(rows))))
        if panel is not None:
            found[task] = _assess(panel, _window(rows, _budgets(summary)))
    return found


def _by_task(
    summary: Summary, episodes: Sequence[EpisodeRecord]
) -> dict[str, tuple[list[TableRow], list[EpisodeRecord]]]:
    """Rows and episodes of each task that has any, episodes in an order of their own."""
    rows = put_together(summary.rows)
    rank = {
        (row.point.task, row.point.system, row.budget_label): place
        for place, row in enumerate(rows)
    }
    ordered = sorted(
        (e for e in episodes if (e.task, e.system, e.budget) in rank),
        key=lambda e: (rank[e.task, e.system, e.budget], natural_order(e.problem_id), e.sample),
    )
    found: dict[str, tuple[list[TableRow], list[EpisodeRecord]]] = {}
    for episode in ordered:
        if episode.task not in found:
            found[episode.task] = ([row for row in rows if row.point.task == episode.task], [])
        found[episode.task][1].append(episode)
    return found


def _analyse_task(
    rows: Sequence[TableRow],
    episodes: Sequence[EpisodeRecord],
    budgets: Sequence[Budget],
    offered: Collection[str],
) -> TaskAnalysis:
    oracles = _oracles(rows)
    outcomes = collect_outcomes(episodes, oracles)
    compared = _compared(rows, outcomes)
    panel = _panel(compared)
    contenders = [episode for episode in episodes if episode.system not in oracles]
    choices = collect_choices(contenders)
    called = {call.expert for e in episodes for call in e.calls if call.role == "expert"}
    own_models = {call.expert for e in episodes for call in e.calls if call.role != "expert"}
    told = _told_budgets(outcomes)
    calls_of = {(row.point.system, row.budget_label): row.point.expert_call_ratio for row in rows}
    return TaskAnalysis(
        assessment=None if panel is None else _assess(panel, _window(rows, budgets)),
        band=None if panel is None or panel.left_out else _assess(panel, spend_range(rows)).band,
        adherence=tuple(
            measure_adherence(point, budget)
            for budget in budgets
            for point in outcomes
            if not point.is_oracle and point.budget in (None, budget.name)
        ),
        responses=tuple(
            budget_response(
                points,
                {point.budget or "": calls_of[system, point.budget] for point in points},
            )
            for system, points in told.items()
        ),
        attention=_attention(choices),
        diagnoses=diagnose(
            choices,
            compared,
            on_offer=offered or called,
            own_model=min(own_models, default=ITSELF),
        ),
        subjects=accuracy_by(episodes, lambda episode: episode.subject),
        levels=accuracy_by(episodes, lambda e: None if e.level is None else f"Level {e.level}"),
        spends=spend_by_expert(episodes),
        choices=choice_outcomes(
            contenders, skip={e.system for e in contenders if is_single(e.system)}
        ),
    )


def _budgets(summary: Summary) -> tuple[Budget, ...]:
    return tuple(Budget(name, usd) for name, usd in budgets_of(summary).items())


def _oracles(rows: Sequence[TableRow]) -> set[str]:
    return {row.point.system for row in rows if row.point.oracle}


def _compared(rows: Sequence[TableRow], outcomes: Sequence[Outcomes]) -> list[Outcomes]:
    failed = {row.label for row in rows if row.point.errors == row.point.episodes}
    failed -= {row.label for row in rows if row.point.oracle}
    return [point for point in outcomes if point.label not in failed]


def _window(rows: Sequence[TableRow], budgets: Sequence[Budget]) -> tuple[float, float]:
    # A budget of $0 leaves no window on a log scale.
    return window_of_budgets(budget for budget in budgets if budget.usd) or spend_range(rows)


def _panel(points: Sequence[Outcomes]) -> Panel | None:
    if sum(point.is_ranked for point in points) < 2:
        return None
    try:
        panel = make_panel(points)
    except ConfigError:
        # An interrupted run may have no problem yet that every system has seen.
        return None
    return panel if len(panel.problems) >= LEAST_PROBLEMS else None


def _assess(panel: Panel, window_usd: tuple[float, float]) -> Assessment:
    # No pair is shown, so all are paired with one only.
    against = panel.labels[0]
    return assess(panel, window_usd=window_usd, against=against, resamples=RESAMPLES)


def _told_budgets(outcomes: Sequence[Outcomes]) -> dict[str, list[Outcomes]]:
    told: dict[str, list[Outcomes]] = {}
    for point in outcomes:
        if point.budget is not None and not point.is_oracle:
            told.setdefault(point.system, []).append(point)
    return {system: points for system, points in told.items() if len(points) > 1}


def _attention(choices: Sequence[Choices]) -> tuple[BudgetAttention, ...]:
    told: dict[str, list[Choices]] = {}
    for choice in choices:
        if choice.budget is not None:
            told.setdefault(choice.system, []).append(choice)
    return tuple(
        attention_to_budget(group)
        for group in told.values()
        if len(group) > 1 and set.intersection(*(set(choice.by_problem) for choice in group))
    )


def _on_offer(manifest: Mapping[str, Any]) -> frozenset[str]:
    pool = manifest.get("pool")
    experts = pool.get("experts") if isinstance(pool, Mapping) else None
    return frozenset(
        str(expert["name"])
        for expert in (experts if isinstance(experts, list) else ())
        if isinstance(expert, Mapping) and expert.get("name") and expert.get("role") == "expert"
    )
