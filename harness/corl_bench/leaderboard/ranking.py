"""From a board to its standings: who is ranked where, and with what certainty.

Invariant: everything here is derived, from the board's rules and from entries that were verified
just now; nothing is taken over from a figure that an entry states about itself. An entry whose
verification failed has no row: it is listed with what was found, and not ranked.

    standings = make_standings(read_board(Path("leaderboards/sim")))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from corl_bench import grading
from corl_bench.errors import ConfigError
from corl_bench.leaderboard.board import Board
from corl_bench.leaderboard.case import Bench, Case
from corl_bench.leaderboard.checks import is_fixed_expert
from corl_bench.leaderboard.entry import prices_digest, read_entry
from corl_bench.leaderboard.findings import Status
from corl_bench.leaderboard.raw import EPISODES_SUFFIX
from corl_bench.leaderboard.standings import (
    NOT_METERED,
    Entrant,
    ReportedRow,
    Row,
    Standings,
    TaskStanding,
)
from corl_bench.leaderboard.verification import Verification, verify_board
from corl_bench.metrics.adherence import violates
from corl_bench.metrics.assessment import Assessment, CurveAssessment, assess
from corl_bench.metrics.frontier import CoinFrontier
from corl_bench.metrics.panel import Panel, make_panel
from corl_bench.results import EpisodeRecord
from corl_bench.results.outcomes import Outcomes, collect_outcomes

CONFIDENCE = 0.95
RESAMPLES = 10_000


def make_standings(
    board: Board,
    *,
    data_dir: Path | None = None,
    text_folders: Iterable[Path] = (),
    resamples: int = RESAMPLES,
) -> Standings:
    """Verifies a board and derives what is shown of it.

    Args:
        board: with its entries on disk.
        data_dir: folder with the rows of published tasks.
        text_folders: where texts lie that are not on the board.
        resamples: of the bootstrap behind intervals of gains, areas and ranks.

    Raises:
        ConfigError: the board's pool is not the one that it pins.
    """
    bench = Bench.of(board, data_dir, text_folders=text_folders)
    opened: dict[Path, Case] = {}
    verified = verify_board(bench, opened=opened)
    ranked = [opened[found.path] for found in verified if found.status != "failed"]
    statuses = {found.entry_id: found.status for found in verified}
    assessed = {
        name: found
        for name in board.tasks
        if (found := _assess_task(board, name, ranked, statuses, resamples)) is not None
    }
    rows = [
        row
        for found in assessed.values()
        for row in sorted(_rows(board, found, statuses), key=_place)
    ]
    return Standings(
        name=board.name,
        title=board.title,
        description=board.description.strip(),
        rules=board.rules.strip(),
        simulated=board.pool_name is not None and board.pool.simulated,
        price_date=board.price_date,
        pool=board.pool_name,
        window_usd=board.window_usd,
        budgets=board.budgets,
        samples=board.samples,
        confidence=CONFIDENCE,
        digests=_digests(board),
        tasks=tuple(_task_standing(bench, name, assessed.get(name)) for name in board.tasks),
        rows=tuple(rows),
        entries=tuple(_entrant(found, bench) for found in verified),
        reported=tuple(
            ReportedRow(
                task=figure.task,
                system=figure.system,
                accuracy=figure.accuracy,
                source=figure.source,
                url=figure.url,
                date=figure.date,
                cost_usd=figure.cost_usd,
                note=figure.note,
            )
            for figure in board.reported
        ),
    )


@dataclass(frozen=True, slots=True)
class _AssessedTask:
    """The points of one task, in the panel's order, with the cases that they are of."""

    panel: Panel
    cases: tuple[Case, ...]
    assessment: Assessment
    curves: Mapping[str, CurveAssessment]
    """By system; oracles, which the assessment compares with nobody, included."""


def _assess_task(
    board: Board, task: str, ranked: Sequence[Case], statuses: Mapping[str, Status], resamples: int
) -> _AssessedTask | None:
    """Assesses the points of one task.

    Those of entries that nobody could check, or whose costs are not all metered, stand apart, as
    those of oracles do: they are neither ranked nor mixed, and move no other.
    """
    named = Counter(case.entry.system.name for case in ranked)
    points: list[Outcomes] = []
    labels: list[str] = []
    cases: list[Case] = []
    for case in ranked:
        system = case.entry.system
        name = system.name if named[system.name] == 1 else f"{system.name} ({case.entry.id})"
        own = sorted((e for e in case.public if e.task == task), key=_order(board))
        apart = system.oracle or not _is_known(statuses, case)
        for outcomes in collect_outcomes(own, [system.name] if apart else []):
            points.append(outcomes)
            labels.append(name if outcomes.budget is None else f"{name}@{outcomes.budget}")
            cases.append(case)
    window_usd = board.window_usd
    if not points or window_usd is None:
        return None
    panel = make_panel(points, labels)
    coin = tuple(
        label
        for label, case in zip(labels, cases, strict=True)
        if is_fixed_expert(case) and _is_known(statuses, case)
    )

    def assessed(panel: Panel, coin: tuple[str, ...]) -> Assessment:
        return assess(
            panel,
            window_usd=window_usd,
            coin=coin or None,
            confidence=CONFIDENCE,
            resamples=resamples,
        )

    assessment = assessed(panel, coin)
    curves = {curve.system: curve for curve in assessment.curves}
    oracles = [place for place, point in enumerate(points) if point.is_oracle]
    if oracles:
        # Their areas are shown, beside those of systems that they are not compared with.
        alone = [replace(points[place], is_oracle=False, cost_basis="metered") for place in oracles]
        by_itself = assessed(make_panel(alone, [labels[place] for place in oracles]), ())
        curves |= {curve.system: curve for curve in by_itself.curves}
    return _AssessedTask(panel, tuple(cases), assessment, curves)


def _is_known(statuses: Mapping[str, Status], case: Case) -> bool:
    """Whether somebody could grade and price the entry: its own word alone gives it no rank."""
    return statuses[case.entry.id] != "unchecked" and _is_priced(case)


def _is_priced(case: Case) -> bool:
    """Whether all costs are tokens at the board's prices: fees are somebody's statement."""
    return all(episode.cost_basis == "metered" for episode in case.public)


def _order(board: Board) -> Callable[[EpisodeRecord], int]:
    """Sorts episodes by budget in the board's order, so that points come in it."""
    places = {budget.name: place for place, budget in enumerate(board.budgets)}
    return lambda episode: -1 if episode.budget is None else places.get(episode.budget, len(places))


def _rows(board: Board, task: _AssessedTask, statuses: Mapping[str, Status]) -> Iterator[Row]:
    for label, outcomes, case, point in zip(
        task.panel.labels, task.panel.points, task.cases, task.assessment.points, strict=True
    ):
        entry, known = case.entry, _is_known(statuses, case)
        own = [e for e in case.public if (e.task, e.budget) == (outcomes.task, outcomes.budget)]
        calls = Counter(c.expert for e in own for c in e.calls if c.role == "expert")
        told = "" if outcomes.budget is None else f"@{outcomes.budget}"
        curve = task.curves[label.removesuffix(told)]
        yield Row(
            entry=entry.id,
            task=outcomes.task,
            system=entry.system.name,
            label=label,
            budget=outcomes.budget,
            budget_usd=outcomes.budget_usd,
            rank=None if outcomes.is_oracle else point.rank,
            rank_interval=None if outcomes.is_oracle else point.rank_interval,
            accuracy=point.accuracy,
            cost_usd=point.cost_usd,
            gain_over_coin=point.gain_over_coin if known else None,
            coin_words=point.coin_words
            if known
            else "unchecked"
            if _is_priced(case)
            else NOT_METERED,
            area_linear=curve.area_linear,
            area_log=curve.area_log,
            on_frontier=point.on_frontier,
            violation_rates={
                budget.name: sum(violates(e.list_cost_usd, budget.usd) for e in own) / len(own)
                for budget in board.budgets
                if outcomes.budget in (None, budget.name)
            },
            expert_calls=calls.total() / len(own),
            calls_by_expert=dict(sorted(calls.items())),
            problems=len(outcomes.right),
            samples=board.samples,
            oracle=entry.system.oracle,
            cost_mark=entry.cost,
            system_mark=entry.system.mark,
            submitter=entry.submitter,
            date=entry.date,
            status=statuses[entry.id],
        )


def _place(row: Row) -> tuple[bool, bool, int, float, str]:
    return row.oracle, row.rank is None, row.rank or 0, -row.accuracy.value, row.label


def _task_standing(bench: Bench, name: str, found: _AssessedTask | None) -> TaskStanding:
    task = bench.tasks.get(name)
    public = task is not None and task.spec.redistributable
    coin, assessment = None, None if found is None else found.assessment
    if found is not None and assessment is not None:
        columns = [found.panel.column(label) for label in assessment.coin]
        coin = CoinFrontier.of(
            found.panel.cost_usd[:, columns].mean(axis=0),
            found.panel.accuracy[:, columns].mean(axis=0),
        )
    return TaskStanding(
        name=name,
        title=name if task is None else task.spec.title,
        digest=bench.board.tasks[name],
        licence="" if task is None else task.spec.licence,
        redistributable=public,
        n_problems=len(found.panel.problems) if found else len(task.problems) if task else 0,
        problems={problem.id: problem for problem in task.problems} if task and public else {},
        frontier=None if assessment is None else assessment.frontier,
        band=None if assessment is None else assessment.band,
        coin=coin,
        coin_labels=() if assessment is None else assessment.coin,
        absent=bench.absent.get(name, ""),
    )


def _digests(board: Board) -> dict[str, str]:
    digests = {f"task {name}": digest for name, digest in board.tasks.items()}
    if board.pool_name is not None:
        digests["pool"] = f"sha256:{board.pool.digest}"
        digests["prices"] = prices_digest({e.name: e.price for e in board.pool.experts})
        digests["grader"] = f"sha256:{grading.grader_digest()}"
    return digests


def _entrant(found: Verification, bench: Bench) -> Entrant:
    """The entry as it is listed; of one that cannot be read, its id and what was found."""
    file = found.path.with_name(f"{found.entry_id}{EPISODES_SUFFIX}")
    try:
        entry = read_entry(found.path)
    except ConfigError:
        return Entrant(
            id=found.entry_id,
            system="unreadable",
            submitter="unknown",
            url=None,
            date=None,
            cost_mark="opaque",
            system_mark="closed",
            oracle=False,
            reads_budget=False,
            status=found.status,
            findings=found.findings,
            digests={},
            made_with={},
            place="nowhere",
            has_texts=False,
            file=None,
        )
    facts = entry.episodes
    digests = {f"task {name}": digest for name, digest in entry.digests.tasks.items()}
    return Entrant(
        id=entry.id,
        system=entry.system.name,
        submitter=entry.submitter,
        url=entry.url,
        date=entry.date,
        cost_mark=entry.cost,
        system_mark=entry.system.mark,
        oracle=entry.system.oracle,
        reads_budget=entry.system.reads_budget,
        status=found.status,
        findings=found.findings,
        digests={
            **digests,
            "pool": f"sha256:{entry.digests.pool}",
            "prices": entry.digests.prices,
            "grader": f"sha256:{entry.digests.grader}" if entry.digests.grader else "unknown",
            "episodes": facts.sha256,
            "ledger": entry.ledger.sha256,
            "entry": entry.digest,
        },
        made_with={
            "corl-bench": entry.run.corl_bench,
            "grader": entry.run.grader,
            "run": entry.run.run_id,
            "seed": str(entry.run.seed),
            "mode": entry.run.mode,
        },
        place=facts.place or f"entries/{file.name}",
        has_texts=not facts.withheld,
        file=file if file.is_file() else None,
    )
