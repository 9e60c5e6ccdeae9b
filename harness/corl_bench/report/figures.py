"""Figures as people read them, and operating points put together for reading.

Files keep exact decimals; what is printed here is rounded for the eye and never parsed again.

    >>> percent(0.7123), interval((0.671, 0.7503)), seconds(1.44)
    ('71.2%', '[67.1, 75.0]', '1.4 s')
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol

from corl_bench.metrics.frontier import non_dominated
from corl_bench.money.amounts import display_usd
from corl_bench.money.basis import COST_BASES, CostBasis
from corl_bench.results import OperatingPoint, Summary

SIMULATED = "SIMULATED: these experts are a declared simulation, not real models."
"""Stands above every figure of a simulated run."""
COST_MARKS: Mapping[CostBasis, str] = dict(zip(COST_BASES, ("", "†", "‡", "§"), strict=True))
"""What stands behind a cost that is not metered."""
NOT_DOMINATED = (
    "* Not dominated: no other system is as accurate for less, or more accurate for as much"
    " (point estimates; oracles stay out)."
)
"""What the star beside a system's name says."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a table and one mark of a chart.

    A system that is told its budget has a row for each; a budget-blind system has one row,
    since its operating points differ in the violation rates alone.
    """

    point: OperatingPoint
    """The first of those that the row stands for."""
    violation_rates: Mapping[str, float]
    """By the name of the budget."""
    on_frontier: bool
    """No other system of its task dominates it; oracles stay out of the comparison, and so do
    systems all of whose episodes ended in error, and those whose costs nobody has checked."""

    @property
    def competes(self) -> bool:
        """Whether it is one to compare: no oracle, a known cost, and something else than errors."""
        return self.point.is_ranked and self.point.errors < self.point.episodes

    @property
    def label(self) -> str:
        """`system`, or `system@budget` where the system was told one."""
        budget = self.budget_label
        return self.point.system if budget is None else f"{self.point.system}@{budget}"

    @property
    def budget_label(self) -> str | None:
        """The budget that the system was told."""
        return self.point.budget if self.point.told_budget else None


class Costing(Protocol):
    """What is known of a system's costs; a row of a summary, or outcomes."""

    @property
    def system(self) -> str: ...

    @property
    def mean_cost_usd(self) -> Decimal: ...

    @property
    def cost_basis(self) -> CostBasis: ...


def cost_words(point: Costing) -> str:
    """What a row costs a problem, with a mark where the figure is not metered."""
    amount, mark = display_usd(point.mean_cost_usd), COST_MARKS[point.cost_basis]
    if point.cost_basis == "opaque":
        # Whatever is known of it, the rest is not.
        amount = f"≥ {amount}" if point.mean_cost_usd else "opaque"
    return f"{amount} {mark}".rstrip()


def put_together(points: Iterable[OperatingPoint]) -> tuple[TableRow, ...]:
    """Table rows in the order of their first points."""
    groups: dict[tuple[str, str, str | None], list[OperatingPoint]] = {}
    for point in points:
        told = point.budget if point.told_budget else None
        groups.setdefault((point.task, point.system, told), []).append(point)
    rows = [
        TableRow(
            point=group[0],
            violation_rates={
                point.budget: point.violation_rate
                for point in group
                if point.budget is not None and point.violation_rate is not None
            },
            on_frontier=False,
        )
        for group in groups.values()
    ]
    for task in {key[0]: None for key in groups}:
        rivals = [
            place for place, row in enumerate(rows) if row.point.task == task and row.competes
        ]
        costs = [(rows[place].point.mean_cost_usd, rows[place].point.accuracy) for place in rivals]
        for index in non_dominated(costs):
            rows[rivals[index]] = replace(rows[rivals[index]], on_frontier=True)
    return tuple(rows)


def budgets_of(summary: Summary) -> dict[str, Decimal]:
    """Dollars of each budget by its name, in the order of the rows."""
    return {
        point.budget: point.budget_usd
        for point in summary.rows
        if point.budget is not None and point.budget_usd is not None
    }


def cost_sentences(points: Iterable[Costing]) -> list[str]:
    """What the marks at costs mean, and whose costs they are."""
    systems: dict[CostBasis, list[str]] = {}
    for point in points:
        if point.system not in systems.setdefault(point.cost_basis, []):
            systems[point.cost_basis].append(point.system)
    meant = {
        "stated": "holds fees that the user states, for routing decisions or a router",
        "self_reported": "is what the system says of itself: it is not metered, and the system is"
        " neither on the frontier nor compared at equal spend",
        "opaque": "is unknown: nobody says what every call cost, and the system is neither on the"
        " frontier nor compared at equal spend",
    }
    return [
        f"{COST_MARKS[basis]} The cost of {', '.join(systems[basis])} {words}."
        for basis, words in meant.items()
        if basis in systems
    ]


def percent(share: float) -> str:
    """A share of 1 as a percentage with one decimal."""
    return f"{100 * share:.1f}%"


def digest_flag(summary: Summary, task: str) -> str | None:
    """What to say about a task's digest: nothing when it is the one that the task pins."""
    status = summary.tasks.get(task, {}).get("digest_status")
    return None if status in (None, "", "pinned") else str(status)


def rough_percent(share: float) -> str:
    """A share of 1 in two digits, for columns that are compared at a glance; 0% is none."""
    if 0 < share < 0.0995:
        return f"{max(0.1, 100 * share):.1f}%"
    return "99.9%" if 0.995 <= share < 1 else f"{100 * share:.0f}%"


def interval(bounds: tuple[float, float]) -> str:
    """Both ends of an interval of shares, in per cent."""
    low, high = bounds
    return f"[{100 * low:.1f}, {100 * high:.1f}]"


def seconds(value: float) -> str:
    """Seconds with the digits that matter: 0.012 s, 1.4 s, 87 s.

    Nothing takes no time: recordings that came without times have zeros, shown as a dash.
    """
    if value == 0:
        return "–"
    if value < 0.0995:
        return f"{value:.3f} s"
    return f"{value:.1f} s" if value < 9.95 else f"{value:,.0f} s"


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 problem, 1,319 problems."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def problems_of(number: int, total: object) -> str:
    """How many problems a run has, and of how many where it has a sample of them."""
    if isinstance(total, int) and total > number:
        return f"{number:,} of {counted(total, 'problem')}, drawn by the seed"
    return counted(number, "problem")


def samples_sentence(summary: Summary) -> str:
    """How many samples the accuracy is the mean of."""
    numbers = sorted({point.samples for point in summary.rows})
    if numbers in ([], [1]):
        return "Accuracy is pass@1, one sample a problem; 95% intervals (Agresti-Coull)."
    span = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
    return (
        f"Accuracy is pass@1, the mean over {span} samples a problem;"
        " 95% intervals (Agresti-Coull) count samples as nested in problems."
    )


def legend(summary: Summary) -> tuple[str, ...]:
    """The sentences under a table: what its figures mean, as far as it has them."""
    sentences = [samples_sentence(summary)]
    sentences += [
        "$/problem is the mean list cost: all calls and failed attempts, by price list.",
        "Expert calls are per problem; p50 and p95 are of an episode's latency;"
        " truncated and refused count replies, errors episodes.",
    ]
    if any(point.events for point in summary.rows):
        sentences.append(
            "Events are what a system noted: a router's reasons, or turns of a controller that"
            " were neither a call nor an answer, say. The report shows them with their episodes."
        )
    sentences += cost_sentences(summary.rows)
    if budgets_of(summary):
        sentences.append("> NAME is the share of episodes whose list cost is above that budget.")
        if any(not point.told_budget for point in summary.rows):
            sentences.append(
                "A system without a budget in its row is budget-blind:"
                " it ran once and is scored at each budget."
            )
    oracles = sorted({point.system for point in summary.rows if point.oracle})
    if oracles:
        verb = "sees" if len(oracles) == 1 else "see"
        sentences.append(
            f"{', '.join(oracles)} {verb} the gold answers: a bound on what routing can reach,"
            " no competitor."
        )
    if any(point.accuracy_as_recorded is not None for point in summary.rows):
        sentences.append("As recorded: by the verdicts that came with imported recordings.")
    if any(point.estimated_calls for point in summary.rows):
        number = sum(row.point.estimated_calls for row in put_together(summary.rows))
        sentences.append(
            f"{counted(number, 'call')} with estimated token counts: so is what they cost."
        )
    return tuple(sentences)
