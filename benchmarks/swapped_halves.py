"""Systems trained on one half and tested on the other, both ways, as one set of problems.

Two runs of `corl-bench run`, with the same systems fitted on opposite halves: together they test
each problem once, and nothing in a row of points was fitted or chosen on what it is tested on.
Verdicts are those that the recorded replies came with (`--verdicts recorded`), or our grader's. To
what the runs hold are added, chosen on the other half by its single experts' replies,

* the best single expert within each budget,
* the best vote and the best cascade (stops where two agree) among all sets of experts whose mean
  cost there is within the budget, asked from cheap to dear as they cost there.

Controllers that hear whole numbers alone (`data.answers = "golds"`) are to be held against votes
and cascades that do so, too: `--answers integer`.

    python benchmarks/swapped_halves.py runs/test-half runs/train-half --budgets 0.0005,0.001

Systems of the two runs are one where they have the same name, so name controllers alike: bench
`controller:seed-0` in a folder of each half. The last table holds the controllers against every
other system at exactly what that one has spent. Intervals are 95 %, paired over problems, as
`corl-bench compare` has them. That another seed would have trained another controller is not in
them: bench several, which have rows of their own and, at exactly some dollars, a row of their mean
with the least and the most of them. Nor is it in them that these mixes are weighed by what the
levels have spent on the very problems of the row.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corl_bench.grading import agreement_classes
from corl_bench.metrics import assess, make_panel
from corl_bench.metrics.inference.intervals import accuracy_interval, difference_interval
from corl_bench.metrics.panel import Panel
from corl_bench.metrics.summary import recorded_verdict
from corl_bench.results import EpisodeRecord, read_episodes
from corl_bench.results.outcomes import Outcomes, collect_outcomes, is_single
from corl_bench.tasks.golds import is_integer

TASK = "both halves"
_CONTROLLER = "controller:"


@dataclass(frozen=True, slots=True)
class Replies:
    """What single experts replied to one problem, from cheap to dear."""

    groups: tuple[int | None, ...]
    """Number of each reply's answer; None where it states none."""
    right: tuple[bool, ...]
    costs_usd: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True)
class Half:
    """A half that is tested, and the other one, on which everything is chosen."""

    experts: int
    """How many; in replies from cheap to dear on the other half."""
    own: Mapping[str, Replies]
    """By problem."""
    other: Sequence[Replies]


Policy = Callable[[Replies], tuple[bool, Decimal]]
"""From replies to a verdict and what it cost."""


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("runs", type=Path, nargs=2)
    parser.add_argument("--verdicts", choices=["recorded", "ours"], default="recorded")
    parser.add_argument("--answers", choices=["any", "integer"], default="any")
    parser.add_argument("--budgets", default="0.0005,0.001,0.002,0.005,0.01")
    parser.add_argument("--one-half", action="store_true", help="show the first run alone")
    parser.add_argument("--resamples", type=int, default=10_000)
    chosen = parser.parse_args()
    budgets = [Decimal(usd) for usd in chosen.budgets.split(",")]
    halves = [rejudged(read_episodes(run), chosen.verdicts) for run in chosen.runs]
    shown = halves[:1] if chosen.one_half else halves
    alone = [{episode.system for episode in half if is_single(episode.system)} for half in halves]
    if not alone[0] or alone[0] != alone[1]:
        parser.error("bench the same experts alone on both halves, --system 'single:*'")
    points = joined(shown)
    tests = [
        single_replies(own, other, chosen.answers)
        for own, other in zip(shown, reversed(halves), strict=False)
    ]
    for usd in budgets:
        for what, policies in families(tests[0].experts).items():
            points.append(tuned(f"{what} ≤ ${usd}", policies, tests, usd))
    panel = make_panel(points)
    singles = [point for point in points if is_single(point.system)]
    best = max(singles, key=lambda point: point.accuracy).label
    print_points(panel, best, chosen.resamples)
    print_mixes(panel, best, budgets)
    print_rivals(panel)


def rejudged(episodes: Iterable[EpisodeRecord], verdicts: str) -> list[EpisodeRecord]:
    """Episodes of one task, with the verdicts that are asked for."""
    found = []
    for episode in episodes:
        recorded = recorded_verdict(episode) if verdicts == "recorded" else None
        if recorded is not None:
            episode = replace(episode, verdict="correct" if recorded else "wrong")
        found.append(replace(episode, task=TASK))
    return found


def joined(halves: Sequence[Sequence[EpisodeRecord]]) -> list[Outcomes]:
    """The points that all halves have, on the problems of all."""
    keys = [{(e.system, e.budget) for e in half} for half in halves]
    both = set.intersection(*keys)
    oracles = {system for system, _ in both if system.startswith("oracle")}
    episodes = [e for half in halves for e in half if (e.system, e.budget) in both]
    return list(collect_outcomes(episodes, oracles))


def single_replies(
    tested: Sequence[EpisodeRecord], other: Sequence[EpisodeRecord], answers: str = "any"
) -> Half:
    """What single experts replied, in the order of what they cost on the other half.

    Args:
        tested: episodes of the half that is tested.
        other: of the half on which everything is chosen.
        answers: `any`, or `integer`: whoever states no whole number has no voice.
    """
    halves = [_by_problem(tested), _by_problem(other)]
    costs: dict[str, Decimal] = {}
    for episodes in halves[1].values():
        for system, episode in episodes.items():
            costs[system] = costs.get(system, Decimal(0)) + episode.list_cost_usd
    experts = sorted(costs, key=lambda system: (costs[system], system))
    arranged = [
        {
            problem: _replies([found[system] for system in experts], answers)
            for problem, found in half.items()
        }
        for half in halves
    ]
    return Half(len(experts), arranged[0], list(arranged[1].values()))


def _by_problem(half: Sequence[EpisodeRecord]) -> dict[str, dict[str, EpisodeRecord]]:
    found: dict[str, dict[str, EpisodeRecord]] = {}
    for episode in half:
        if is_single(episode.system):
            found.setdefault(episode.problem_id, {})[episode.system] = episode
    return found


def _replies(episodes: Sequence[EpisodeRecord], form: str) -> Replies:
    answers = [
        None
        if form == "integer" and episode.answer is not None and not is_integer(episode.answer)
        else episode.answer
        for episode in episodes
    ]
    groups = agreement_classes(answers)
    return Replies(
        groups=tuple(g if a is not None else None for g, a in zip(groups, answers, strict=True)),
        right=tuple(episode.verdict == "correct" for episode in episodes),
        costs_usd=tuple(episode.list_cost_usd for episode in episodes),
    )


def families(experts: int) -> dict[str, list[Policy]]:
    """What is chosen from: single experts, votes and cascades of all sets, from cheap to dear."""
    places = range(experts)
    sets = [c for size in range(2, experts + 1) for c in combinations(places, size)]
    return {
        "single": [partial(asked, order=(place,), stops=False) for place in places],
        "vote": [partial(asked, order=order, stops=False) for order in sets],
        "cascade": [partial(asked, order=order, stops=True) for order in sets],
    }


def asked(replies: Replies, *, order: tuple[int, ...], stops: bool) -> tuple[bool, Decimal]:
    """Asks in turn, until two agree where it stops; the majority's cheapest reply is the answer."""
    so_far: list[int] = []
    for place in order:
        so_far.append(place)
        told = [replies.groups[p] for p in so_far if replies.groups[p] is not None]
        if stops and replies.groups[place] is not None and told.count(replies.groups[place]) > 1:
            break
    cost = sum((replies.costs_usd[p] for p in so_far), Decimal(0))
    votes = Counter(replies.groups[p] for p in so_far if replies.groups[p] is not None)
    if not votes:
        return replies.right[so_far[0]], cost
    most = max(votes.values())
    believed = next(
        p for p in so_far if replies.groups[p] is not None and votes[replies.groups[p]] == most
    )
    return replies.right[believed], cost


def tuned(
    label: str,
    policies: Sequence[Policy],
    tests: Sequence[Half],
    budget_usd: Decimal,
) -> Outcomes:
    """Of each half what was best on the other one, within a budget on average there.

    Where nothing fits, the cheapest stands.
    """
    right: dict[str, tuple[bool, ...]] = {}
    costs: dict[str, tuple[Decimal, ...]] = {}
    for test in tests:
        scores = []
        for policy in policies:
            ends = [policy(r) for r in test.other]
            spend = sum((usd for _, usd in ends), Decimal(0)) / len(ends)
            fits = spend <= budget_usd
            scores.append((fits, sum(ok for ok, _ in ends) if fits else 0, -spend))
        policy = policies[max(range(len(policies)), key=lambda place: scores[place])]
        for problem, own in test.own.items():
            ok, usd = policy(own)
            right[problem], costs[problem] = (ok,), (usd,)
    order = sorted(right)
    return Outcomes(
        task=TASK,
        system=label,
        budget=None,
        budget_usd=None,
        is_oracle=False,
        right={problem: right[problem] for problem in order},
        costs_usd={problem: costs[problem] for problem in order},
    )


def print_points(panel: Panel, best: str, resamples: int) -> None:
    """Every point, against the best single expert and the coin."""
    low, high = panel.cost_usd.mean(axis=0).min(), panel.cost_usd.mean(axis=0).max()
    board = assess(panel, window_usd=(float(low), float(high)), resamples=resamples)
    rival = panel.accuracy[:, panel.column(best)].tolist()
    print(f"{len(panel.problems)} problems; the best single expert is {best}\n")
    print("| system | accuracy [95 %] | $ a problem | less the best single | less the coin |")
    print("|---|---|---|---|---|")
    for point in board.points:
        own = panel.accuracy[:, panel.column(point.label)].tolist()
        single = ""
        if point.label != best:
            low, high = difference_interval(own, rival, 1)
            single = _points(float(np.mean(own) - np.mean(rival)), low, high)
        coin = point.gain_over_coin
        told = "" if coin is None else _points(coin.value, coin.low, coin.high)
        a = point.accuracy
        print(
            f"| {point.label} | {a.value:.1%} [{a.low:.1%}, {a.high:.1%}] |"
            f" {point.cost_usd.value:.3g} | {single} | {told} |"
        )


def _points(value: float, low: float, high: float) -> str:
    """Points of accuracy with their interval."""
    return f"{100 * value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def print_mixes(panel: Panel, best: str, budgets: Sequence[Decimal]) -> None:
    """What coins between a system's own levels reach at exactly each budget's mean spend."""
    print(
        "\nAt exactly these mean dollars, by a coin between the two nearest levels of a system;\n"
        "above the dearest level, that level. Nothing is shown below the cheapest.\n"
    )
    print("| system | $ a problem | accuracy [95 %] | less the best single [95 %] |")
    print("|---|---|---|---|")
    rival = panel.accuracy[:, panel.column(best)]
    for system, levels in levels_of(panel).items():
        for usd in map(float, budgets):
            if usd >= levels.spends[0]:
                print(mix_row(system, min(usd, levels.spends[-1]), levels.at(usd), rival))
    controllers = controllers_of(panel)
    if len(controllers) < 2:
        return
    for usd in map(float, budgets):
        playing = [levels for levels in controllers if usd >= levels.spends[0]]
        if playing:
            several = [levels.at(usd) for levels in playing]
            means = [float(mixed.mean()) for mixed in several]
            spent = np.mean([min(usd, levels.spends[-1]) for levels in playing])
            label = f"{len(several)} controllers, {min(means):.1%} to {max(means):.1%}"
            print(mix_row(label, float(spent), np.mean(several, axis=0), rival))


def print_rivals(panel: Panel) -> None:
    """Every other system, and what the controllers reach at exactly its spend."""
    controllers = controllers_of(panel)
    if not controllers:
        return
    print(
        "\nThe mean of the controllers at exactly what each other system has spent, less that"
        " system.\n"
    )
    print("| system | $ a problem | accuracy | controllers there | they have more [95 %] |")
    print("|---|---|---|---|---|")
    least = max(levels.spends[0] for levels in controllers)
    for place, point in enumerate(panel.points):
        usd = float(panel.cost_usd[:, place].mean())
        if point.system.startswith(_CONTROLLER) or not point.is_ranked or usd < least:
            continue
        rival = panel.accuracy[:, place]
        mixed = np.mean([levels.at(usd) for levels in controllers], axis=0)
        low, high = difference_interval(mixed.tolist(), rival.tolist(), 1)
        more = _points(float(mixed.mean() - rival.mean()), low, high)
        print(f"| {point.label} | {usd:.3g} | {rival.mean():.1%} | {mixed.mean():.1%} | {more} |")


@dataclass(frozen=True, slots=True)
class Levels:
    """A system's budgets, from cheap to dear by what was spent."""

    accuracy: NDArray[Any]
    """(problems, levels)"""
    spends: NDArray[Any]
    """(levels,), mean dollars a problem."""

    def at(self, usd: float) -> NDArray[Any]:
        """How often it is right at exactly so many mean dollars, by problem; see `shares_at`."""
        right: NDArray[Any] = self.accuracy @ shares_at(usd, self.spends)
        return right


def levels_of(panel: Panel) -> dict[str, Levels]:
    """By system, of all that play to budgets."""
    found = {}
    for system in sorted({p.system for p in panel.points if p.budget is not None and p.is_ranked}):
        columns = [i for i, p in enumerate(panel.points) if p.system == system and p.budget]
        columns.sort(key=lambda i: panel.cost_usd[:, i].mean())
        found[system] = Levels(panel.accuracy[:, columns], panel.cost_usd.mean(axis=0)[columns])
    return found


def controllers_of(panel: Panel) -> list[Levels]:
    """Of all controllers."""
    levels = levels_of(panel)
    return [own for system, own in levels.items() if system.startswith(_CONTROLLER)]


def mix_row(label: str, usd: float, mixed: NDArray[Any], rival: NDArray[Any]) -> str:
    """A row of the table: how often a mix is right, problem by problem, against a rival."""
    low, high = accuracy_interval(mixed.tolist(), 1)
    less, more = difference_interval(mixed.tolist(), rival.tolist(), 1)
    gain = _points(float(mixed.mean() - rival.mean()), less, more)
    return f"| {label} | {usd:.3g} | {mixed.mean():.1%} [{low:.1%}, {high:.1%}] | {gain} |"


def shares_at(usd: float, spends: NDArray[Any]) -> NDArray[Any]:
    """How often each level is played, for so many dollars on average; the dearest alone above it.

    Args:
        usd: no less than the cheapest level spends.
        spends: of the levels, from cheap to dear.
    """
    return np.array([np.interp(usd, spends, row) for row in np.eye(len(spends))])


if __name__ == "__main__":
    main()
