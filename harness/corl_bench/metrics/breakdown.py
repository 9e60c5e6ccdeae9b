"""A run taken apart: by subject and level, by expert and budget, by what the router chose.

Every table here is a sum over episodes, so the parts add up to the run: dollars to its list
cost, episodes to its episodes.

    for spend in spend_by_expert(episodes):
        print(spend.system, spend.budget, spend.by_expert)
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from corl_bench.metrics.collapse import chosen, label_of
from corl_bench.metrics.inference.intervals import accuracy_interval
from corl_bench.money.amounts import sum_usd
from corl_bench.results.episodes import EpisodeRecord
from corl_bench.results.outcomes import is_single
from corl_bench.types import VerdictStatus

ARROW = " → "
FEES = "fees"
"""What was charged beside the calls, among the experts that were paid."""
Column = tuple[str, str | None]
"""A system and the budget that it was told."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Accuracy of one system on one group of a task's problems."""

    task: str
    system: str
    budget: str | None
    group: str
    problems: int
    accuracy: float
    """Mean over samples, then over problems."""
    interval: tuple[float, float]


def accuracy_by(
    episodes: Iterable[EpisodeRecord],
    group_of: Callable[[EpisodeRecord], str | None],
    *,
    confidence: float = 0.95,
) -> tuple[Slice, ...]:
    """Accuracy by task, system, told budget and group, in order of appearance.

    Args:
        episodes: of one run, at most one for each key.
        group_of: names the group of an episode's problem; None leaves it out.
        confidence: of the intervals, two-sided.
    """
    groups: dict[tuple[str, str, str | None, str], dict[str, list[bool]]] = {}
    for episode in episodes:
        group = group_of(episode)
        if group is not None:
            key = (episode.task, episode.system, episode.budget, group)
            right = groups.setdefault(key, {}).setdefault(episode.problem_id, [])
            right.append(episode.verdict == "correct")
    slices = []
    for (task, system, budget, group), by_problem in groups.items():
        scores = [statistics.fmean(right) for right in by_problem.values()]
        slices.append(
            Slice(
                task=task,
                system=system,
                budget=budget,
                group=group,
                problems=len(scores),
                accuracy=statistics.fmean(scores),
                interval=accuracy_interval(scores, max(map(len, by_problem.values())), confidence),
            )
        )
    return tuple(slices)


@dataclass(frozen=True, slots=True)
class Spend:
    """Where one system's list cost went."""

    task: str
    system: str
    budget: str | None
    episodes: int
    by_expert: Mapping[str, Decimal]
    """Exact list cost, failed attempts included; the dearest share first."""

    @property
    def total_usd(self) -> Decimal:
        return sum_usd(self.by_expert.values())


def spend_by_expert(episodes: Iterable[EpisodeRecord]) -> tuple[Spend, ...]:
    """List cost by task, system, told budget and expert, in order of appearance.

    What was charged beside the calls stands under `FEES`.

    The controller's own model is one of the experts here: its tokens are paid for too.
    """
    amounts: dict[tuple[str, str, str | None], dict[str, list[Decimal]]] = {}
    counts: Counter[tuple[str, str, str | None]] = Counter()
    for episode in episodes:
        key = (episode.task, episode.system, episode.budget)
        counts[key] += 1
        by_expert = amounts.setdefault(key, {})
        for call in episode.calls:
            by_expert.setdefault(call.expert, []).append(call.list_cost_usd)
        for charge in episode.charges:
            by_expert.setdefault(FEES, []).append(charge.list_cost_usd)
    spends = []
    for key, by_expert in amounts.items():
        sums = {expert: sum_usd(costs) for expert, costs in by_expert.items()}
        ordered = dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))
        spends.append(Spend(*key, episodes=counts[key], by_expert=ordered))
    return tuple(spends)


@dataclass(frozen=True, slots=True)
class ChoiceOutcome:
    """What came of one choice of a router: the experts that it called, in order."""

    task: str
    system: str
    budget: str | None
    choice: str
    """Names joined by `ARROW`; an expert that is called again in a row stands there once."""
    verdicts: Mapping[VerdictStatus, int]
    """Of these episodes; what did not occur is not there."""
    cost_usd: Decimal
    """List cost of these episodes, exact."""
    recoverable: int
    """Of the episodes that were not right, those on problems that another system of the run got
    right in at least half of its samples; oracles do not count."""
    recovered_by: str | None
    """The system that was most often the cheapest of those."""

    @property
    def episodes(self) -> int:
        return sum(self.verdicts.values())

    @property
    def correct(self) -> int:
        return self.verdicts.get("correct", 0)

    @property
    def missed(self) -> int:
        return self.episodes - self.correct


def choice_outcomes(
    episodes: Sequence[EpisodeRecord], *, skip: Collection[str] = (), most: int = 6
) -> tuple[ChoiceOutcome, ...]:
    """Choices of each system by falling number; rare ones are put together.

    Args:
        episodes: of one run, at most one for each key.
        skip: systems that have no rows of their own, single experts say, though they count
            among those that got a problem right; oracles do neither, so leave them out of
            `episodes`.
        most: choices of one system that are listed; the rest are one row, `other`.
    """
    solvers = _solvers(episodes)
    groups: dict[tuple[str, str, str | None], dict[str, list[EpisodeRecord]]] = {}
    for episode in episodes:
        if episode.system not in skip:
            group = groups.setdefault((episode.task, episode.system, episode.budget), {})
            group.setdefault(choice_of(episode), []).append(episode)
    outcomes = []
    for key, by_choice in groups.items():
        ordered = sorted(by_choice.items(), key=lambda item: (-len(item[1]), item[0]))
        listed, rest = ordered[:most], ordered[most:]
        if len(rest) == 1:
            listed, rest = ordered, []
        if rest:
            others = [episode for _, group in rest for episode in group]
            listed = [*listed, (f"other ({len(rest)} choices)", others)]
        outcomes += [_choice_outcome(key, choice, made, solvers) for choice, made in listed]
    return tuple(outcomes)


def choice_of(episode: EpisodeRecord) -> str:
    """The experts of an episode in order, without immediate repetition."""
    names = chosen(episode)
    kept = [name for place, name in enumerate(names) if place == 0 or names[place - 1] != name]
    return ARROW.join(kept)


def _choice_outcome(
    key: tuple[str, str, str | None],
    choice: str,
    episodes: Sequence[EpisodeRecord],
    solvers: Mapping[tuple[str, str], Sequence[Column]],
) -> ChoiceOutcome:
    task, system, budget = key
    recovered: Counter[str] = Counter()
    for episode in episodes:
        if episode.verdict != "correct":
            others = (
                label_of(*column)
                for column in solvers.get((task, episode.problem_id), ())
                if column[0] != system
            )
            cheapest = next(others, None)
            if cheapest is not None:
                recovered[cheapest] += 1
    # Ties go to the name, so that the order of episodes does not matter.
    by = min(recovered, key=lambda name: (-recovered[name], name), default=None)
    return ChoiceOutcome(
        task=task,
        system=system,
        budget=budget,
        choice=choice,
        verdicts=Counter(episode.verdict for episode in episodes),
        cost_usd=sum_usd(episode.list_cost_usd for episode in episodes),
        recoverable=recovered.total(),
        recovered_by=by,
    )


def _solvers(episodes: Iterable[EpisodeRecord]) -> dict[tuple[str, str], list[Column]]:
    """By task and problem, who is right in at least half of the samples, the cheapest first."""
    scores: dict[tuple[str, str], dict[Column, tuple[list[bool], list[Decimal]]]] = {}
    for episode in episodes:
        columns = scores.setdefault((episode.task, episode.problem_id), {})
        right, costs = columns.setdefault((episode.system, episode.budget), ([], []))
        right.append(episode.verdict == "correct")
        costs.append(episode.list_cost_usd)
    solvers = {}
    for problem, columns in scores.items():
        able = [
            # Of equally cheap ones (they share replies) the expert alone says most.
            ((sum_usd(costs) / len(costs), not is_single(column[0]), label_of(*column)), column)
            for column, (right, costs) in columns.items()
            if 2 * sum(right) >= len(right)
        ]
        solvers[problem] = [column for _, column in sorted(able, key=lambda item: item[0])]
    return solvers
