"""The CSV files of the site: the board's rows, and an entry's episodes, with all their digits.

Dollars of episodes are exact; estimates have twelve digits that count. A cell that a spreadsheet
would take for a formula is quoted with an apostrophe, which is why a text here may begin with
one; numbers and the answers that are numbers are left alone.

    board_csv(standings).splitlines()[0].split(",")[:3]     # ['kind', 'task', 'rank']
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from corl_bench.leaderboard.site.wording import LONGEST_PROSE, printable
from corl_bench.leaderboard.standings import Standings, TaskStanding
from corl_bench.metrics.inference.estimate import Estimate
from corl_bench.money.amounts import format_usd
from corl_bench.report.drilldown import LONGEST_PROTECTED_ANSWER
from corl_bench.results import EpisodeRecord
from corl_bench.text import as_cell

_ESTIMATES = ("accuracy", "cost_usd", "gain_over_coin", "area_linear", "area_log")
BOARD_COLUMNS = (
    "kind",
    "task",
    "rank",
    "rank_low",
    "rank_high",
    "system",
    "budget",
    "budget_usd",
    *(f"{name}{end}" for name in _ESTIMATES for end in ("", "_low", "_high")),
    "against_the_coin",
    "not_dominated",
    "violation_rates",
    "expert_calls",
    "problems",
    "samples",
    "oracle",
    "costs",
    "openness",
    "checks",
    "submitter",
    "date",
    "entry",
    "source",
    "url",
    "note",
)
EPISODE_COLUMNS = (
    "task",
    "problem_id",
    "subject",
    "level",
    "budget",
    "budget_usd",
    "sample",
    "verdict",
    "answer",
    "list_cost_usd",
    "unsettled_usd",
    "calls",
    "expert_calls",
    "input_tokens",
    "output_tokens",
    "latency_s",
)


def board_csv(standings: Standings) -> str:
    """Every measured row in the board's order, then every figure that is only reported."""
    rows: list[dict[str, Any]] = []
    for row in standings.rows:
        best, last = row.rank_interval or (None, None)
        cells: dict[str, Any] = {
            "kind": "measured",
            "task": row.task,
            "rank": row.rank,
            "rank_low": best,
            "rank_high": last,
            "system": row.system,
            "budget": row.budget,
            "budget_usd": None if row.budget_usd is None else format_usd(row.budget_usd),
            "against_the_coin": row.coin_words,
            "not_dominated": row.on_frontier,
            "violation_rates": "; ".join(
                f"{name} {rate:.12g}" for name, rate in row.violation_rates.items()
            ),
            "expert_calls": row.expert_calls,
            "problems": row.problems,
            "samples": row.samples,
            "oracle": row.oracle,
            "costs": row.cost_mark,
            "openness": row.system_mark,
            "checks": row.status,
            "submitter": row.submitter,
            "date": row.date.isoformat(),
            "entry": row.entry,
        }
        for name in _ESTIMATES:
            cells |= _estimate_cells(name, getattr(row, name))
        rows.append(cells)
    rows += [
        {
            "kind": "reported",
            "task": figure.task,
            "system": figure.system,
            "accuracy": figure.accuracy,
            "cost_usd": None if figure.cost_usd is None else format_usd(figure.cost_usd),
            "date": figure.date.isoformat(),
            "source": figure.source,
            "url": figure.url,
            "note": figure.note,
        }
        for figure in standings.reported
    ]
    return _csv(BOARD_COLUMNS, rows)


def episodes_csv(episodes: Iterable[EpisodeRecord], tasks: Mapping[str, TaskStanding]) -> str:
    """A line an episode. Of tasks that must not be shown, answers that may be prose stay out."""
    rows = []
    for episode in episodes:
        answer = episode.answer
        protected = not tasks[episode.task].redistributable
        if answer is not None and protected and len(answer) > LONGEST_PROTECTED_ANSWER:
            answer = None
        usages = [call.usage for call in episode.calls if call.usage is not None]
        rows.append(
            {
                "task": episode.task,
                "problem_id": episode.problem_id,
                "subject": episode.subject,
                "level": episode.level,
                "budget": episode.budget,
                "budget_usd": None
                if episode.budget_usd is None
                else format_usd(episode.budget_usd),
                "sample": episode.sample,
                "verdict": episode.verdict,
                "answer": answer,
                "list_cost_usd": format_usd(episode.list_cost_usd),
                "unsettled_usd": format_usd(episode.unsettled_usd),
                "calls": len(episode.calls),
                "expert_calls": episode.expert_calls,
                "input_tokens": sum(usage.total_input_tokens for usage in usages),
                "output_tokens": sum(usage.output_tokens for usage in usages),
                "latency_s": round(episode.latency_s, 6),
            }
        )
    return _csv(EPISODE_COLUMNS, rows)


def _estimate_cells(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    if estimate is None:
        return {}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.12g}"
    return as_cell(printable(str(value), LONGEST_PROSE))
