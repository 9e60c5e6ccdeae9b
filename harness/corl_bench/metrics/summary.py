"""From episodes to operating points: one for each task, system and budget.

A system that reads its budget has its own episodes at each budget. A budget-blind one ran
once; its points share those episodes and differ in nothing but the violations. Points depend on the
episodes alone, not on the order in which they finished.

    points = summarise(
        episodes,
        tasks=["synth"],
        systems={"single:nano": SystemTraits(), "oracle": SystemTraits(is_oracle=True)},
        budgets=[Budget("low", Decimal("0.0005"))],
    )
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

from corl_bench.errors import ForeignEpisodeError
from corl_bench.metrics.adherence import violates
from corl_bench.metrics.inference.intervals import accuracy_interval
from corl_bench.metrics.latency import quantile
from corl_bench.money.amounts import sum_usd
from corl_bench.money.basis import CostBasis, weakest
from corl_bench.money.ledger import Totals
from corl_bench.results import EpisodeRecord, OperatingPoint, Summary
from corl_bench.types import VERDICT_STATUSES, Budget

_COST_STEP = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class SystemTraits:
    """What scoring has to know about a system, apart from its episodes."""

    reads_budget: bool = False
    """It is told the budget and has episodes at each; else it is only scored at each."""
    is_oracle: bool = False
    """It sees the gold answers."""


@dataclass(slots=True)
class _Tally:
    """Running sums over the episodes of one system on one task, at one budget if it reads it."""

    verdicts: Counter[str] = field(default_factory=Counter)
    correct_by_problem: Counter[str] = field(default_factory=Counter)
    samples_by_problem: Counter[str] = field(default_factory=Counter)
    costs_by_problem: dict[str, list[Decimal]] = field(default_factory=dict)
    latencies_s: list[float] = field(default_factory=list)
    unsettled_usd: list[Decimal] = field(default_factory=list)
    expert_calls: int = 0
    calls_by_expert: Counter[str] = field(default_factory=Counter)
    truncated: int = 0
    refused: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimated_calls: int = 0
    recorded_verdicts: int = 0
    recorded_correct: int = 0
    events: int = 0
    fees_usd: list[Decimal] = field(default_factory=list)
    bases: set[CostBasis] = field(default_factory=set)

    def add(self, episode: EpisodeRecord) -> None:
        self.verdicts[episode.verdict] += 1
        self.samples_by_problem[episode.problem_id] += 1
        self.correct_by_problem[episode.problem_id] += episode.verdict == "correct"
        self.costs_by_problem.setdefault(episode.problem_id, []).append(episode.list_cost_usd)
        self.latencies_s.append(episode.latency_s)
        self.unsettled_usd.append(episode.unsettled_usd)
        self.expert_calls += episode.expert_calls
        self.events += len(episode.events)
        self.fees_usd += [charge.list_cost_usd for charge in episode.charges]
        self.bases.add(episode.cost_basis)
        for call in episode.calls:
            self.calls_by_expert[call.expert] += 1
            self.truncated += call.finish == "length"
            self.refused += call.finish == "refusal"
            if call.usage is not None:
                self.input_tokens += call.usage.total_input_tokens
                self.output_tokens += call.usage.output_tokens
                self.reasoning_tokens += call.usage.reasoning_tokens
                self.estimated_calls += call.usage.estimated
        recorded = recorded_verdict(episode)
        if recorded is not None:
            self.recorded_verdicts += 1
            self.recorded_correct += recorded


def recorded_verdict(episode: EpisodeRecord) -> bool | None:
    """The verdict that the final response was imported with.

    None where the response is no single call's text, or that call came without a verdict, or
    several calls gave this text with different ones.
    """
    if episode.response is None:
        return None
    known = {call.source_correct for call in episode.calls if call.text == episode.response}
    return known.pop() if len(known) == 1 else None


def summarise(
    episodes: Sequence[EpisodeRecord],
    *,
    tasks: Sequence[str],
    systems: Mapping[str, SystemTraits],
    budgets: Sequence[Budget] = (),
) -> tuple[OperatingPoint, ...]:
    """The operating points of a run, as `summary.json` holds them.

    Args:
        episodes: of one run, at most one for each key, in any order.
        tasks: names of the run's tasks, in the order of the points.
        systems: by name, in the order of the points.
        budgets: of the run, in the order of the points; none gives points without a budget.

    Returns:
        Points by task, then system, then budget. What has no episode yet has none.

    Raises:
        ValueError: an episode belongs to no task, system or budget of the run.
    """
    scored_at: Sequence[Budget | None] = budgets or (None,)
    tallies: dict[tuple[str, str, str | None], _Tally] = {}
    for task in tasks:
        for system, traits in systems.items():
            for budget in scored_at:
                tallies[task, system, _told(budget, traits)] = _Tally()
    for episode in episodes:
        tally = tallies.get((episode.task, episode.system, episode.budget))
        if tally is None:
            raise ForeignEpisodeError(
                f"episode {episode.key!r} is not part of the run that is summarised: restore the"
                " run's manifest.json, or take the episode out"
            )
        tally.add(episode)

    points = []
    for task in tasks:
        for system, traits in systems.items():
            for budget in scored_at:
                scored = tallies[task, system, _told(budget, traits)]
                if scored.costs_by_problem:
                    points.append(_point(task, system, traits, budget, scored))
    return tuple(points)


def summarise_run(
    manifest: Mapping[str, Any],
    episodes: Sequence[EpisodeRecord],
    totals: Totals,
    budgets: Sequence[Budget],
    *,
    notes: Iterable[str],
    finished: bool | None = None,
) -> Summary:
    """The summary of a run that is known by its files alone.

    Args:
        manifest: of the run.
        episodes: all that there are.
        totals: of its ledger.
        budgets: that its systems were told.
        notes: what a reader of the figures must know.
        finished: None where it is when no episode is owed.
    """
    tasks, systems = manifest["tasks"], manifest["systems"]
    if finished is None:
        owed = sum(task["problems"] for task in tasks.values()) * manifest["samples"]
        owed *= sum(len(budgets) or 1 if system["reads_budget"] else 1 for system in systems)
        finished = len(episodes) == owed
    shown = ("title", "digest", "digest_status", "problems", "total", "redistributable")
    return Summary(
        run_id=manifest["run_id"],
        simulated=manifest["pool"]["simulated"],
        finished=finished,
        tasks={label: {name: task[name] for name in shown} for label, task in tasks.items()},
        rows=summarise(
            episodes,
            tasks=list(tasks),
            systems={
                system["name"]: SystemTraits(system["reads_budget"], system["is_oracle"])
                for system in systems
            },
            budgets=budgets,
        ),
        list_cost_usd=totals.list_cost_usd,
        billed_cost_usd=totals.billed_cost_usd,
        unsettled_usd=totals.unsettled_usd,
        unsettled_attempts=totals.unsettled_attempts,
        attempts=totals.attempts,
        notes=tuple(notes),
    )


def _told(budget: Budget | None, traits: SystemTraits) -> str | None:
    return budget.name if budget is not None and traits.reads_budget else None


def _point(
    task: str, system: str, traits: SystemTraits, budget: Budget | None, tally: _Tally
) -> OperatingPoint:
    episodes = tally.samples_by_problem.total()
    problems = len(tally.samples_by_problem)
    samples = max(tally.samples_by_problem.values())
    scores = [
        Fraction(tally.correct_by_problem[problem], count)
        for problem, count in tally.samples_by_problem.items()
    ]
    total_cost_usd = sum_usd(cost for costs in tally.costs_by_problem.values() for cost in costs)
    violations = 0
    violation_rate = None
    if budget is not None:
        above = [
            [violates(cost_usd, budget.usd) for cost_usd in costs]
            for costs in tally.costs_by_problem.values()
        ]
        violations = sum(map(sum, above))
        shares = [Fraction(sum(samples), len(samples)) for samples in above]
        violation_rate = float(sum(shares, Fraction(0)) / problems)
    latencies_s = sorted(tally.latencies_s)
    calls = tally.calls_by_expert.total()
    return OperatingPoint(
        task=task,
        system=system,
        budget=None if budget is None else budget.name,
        budget_usd=None if budget is None else budget.usd,
        told_budget=traits.reads_budget and budget is not None,
        oracle=traits.is_oracle,
        problems=problems,
        samples=samples,
        episodes=episodes,
        # Exact, so that an unfinished run weighs problems alike and order changes no digit.
        accuracy=float(sum(scores, Fraction(0)) / problems),
        accuracy_interval=accuracy_interval([float(score) for score in scores], samples),
        accuracy_as_recorded=(
            tally.recorded_correct / episodes if tally.recorded_verdicts == episodes else None
        ),
        verdicts={status: tally.verdicts[status] for status in VERDICT_STATUSES},
        mean_cost_usd=(total_cost_usd / episodes).quantize(_COST_STEP),
        total_cost_usd=total_cost_usd,
        unsettled_usd=sum_usd(tally.unsettled_usd),
        calls=calls,
        expert_calls=tally.expert_calls,
        self_calls=calls - tally.expert_calls,
        expert_call_ratio=tally.expert_calls / episodes,
        calls_by_expert=dict(sorted(tally.calls_by_expert.items())),
        violations=violations,
        violation_rate=violation_rate,
        truncated=tally.truncated,
        refused=tally.refused,
        errors=tally.verdicts["error"],
        input_tokens=tally.input_tokens,
        output_tokens=tally.output_tokens,
        reasoning_tokens=tally.reasoning_tokens,
        estimated_calls=tally.estimated_calls,
        latency_p50_s=quantile(latencies_s, 0.50),
        latency_p95_s=quantile(latencies_s, 0.95),
        events=tally.events,
        fees_usd=sum_usd(tally.fees_usd),
        cost_basis=weakest(tally.bases),
    )
