"""The data behind a report's problem-by-problem view, as JSON that a page can carry.

A small index holds every verdict; what was said stands in parts, one for every few problems,
that the page reads only when one of its problems is opened. A reply that several systems share
is held once. Statements, golds and replies of tasks that may not be redistributed stay out,
unless asked for.

    index, parts = drill_down(summary, episodes, problems, golds)
    embeddable(index)       # safe inside <script type="application/json">
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from corl_bench.metrics.adherence import violates
from corl_bench.money.amounts import format_usd
from corl_bench.money.basis import BASIS_WORDS
from corl_bench.report.figures import budgets_of, put_together
from corl_bench.results import CallRecord, ChargeRecord, EpisodeRecord, Summary
from corl_bench.types import VERDICT_STATUSES

PROBLEMS_PER_PART = 20
LONGEST_TEXT = 24_000
"""Characters of one reply; of a longer one the middle is left out, and the page says so."""
LONGEST_DETAIL = 1_000
LONGEST_PROTECTED_ANSWER = 60
"""Characters; what is longer is no answer but prose, and may hold the statement."""

ProblemTexts = Mapping[tuple[str, str], str]
"""A text by (task, problem id)."""


def shown_tasks(summary: Summary, *, include_restricted: bool) -> dict[str, bool]:
    """By task, whether its texts may stand in the report; a task that does not say may not."""
    tasks = list(dict.fromkeys([*summary.tasks, *(point.task for point in summary.rows)]))
    return {
        task: include_restricted or summary.tasks.get(task, {}).get("redistributable") is True
        for task in tasks
    }


def drill_down(
    summary: Summary,
    episodes: Sequence[EpisodeRecord],
    problems: ProblemTexts,
    golds: ProblemTexts,
    *,
    include_restricted: bool = False,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The index and the parts of the view. Episodes that the summary leaves out stay out.

    Returns:
        The index (tasks, columns of the matrix, problems, and of each episode its problem,
        column, sample and verdict), and the parts: texts, and of each episode in index order
        its figures and calls.
    """
    shown = shown_tasks(summary, include_restricted=include_restricted)
    tasks = list(shown)
    columns = list(
        dict.fromkeys((row.point.system, row.budget_label) for row in put_together(summary.rows))
    )
    budgets = budgets_of(summary)
    oracles = {point.system for point in summary.rows if point.oracle}
    rank_of_task = {task: rank for rank, task in enumerate(tasks)}
    rank_of_column = {column: rank for rank, column in enumerate(columns)}
    # The order of the episodes' file depends on scheduling, that of the report must not.
    ordered = sorted(
        (
            episode
            for episode in episodes
            if episode.task in rank_of_task and (episode.system, episode.budget) in rank_of_column
        ),
        key=lambda episode: (
            rank_of_task[episode.task],
            natural_order(episode.problem_id),
            rank_of_column[episode.system, episode.budget],
            episode.sample,
        ),
    )
    index_of_problem: dict[tuple[str, str], int] = {}
    problem_rows: list[list[Any]] = []
    table: dict[str, list[int]] = {"problem": [], "column": [], "sample": [], "verdict": []}
    parts: list[Part] = []
    for episode in ordered:
        key = (episode.task, episode.problem_id)
        open_text = shown[episode.task]
        if key not in index_of_problem:
            index_of_problem[key] = len(problem_rows)
            problem_rows.append(
                [
                    rank_of_task[episode.task],
                    episode.problem_id,
                    episode.subject,
                    episode.level,
                    problems.get(key) if open_text else None,
                    golds.get(key) if open_text else None,
                ]
            )
            if (len(problem_rows) - 1) % PROBLEMS_PER_PART == 0:
                parts.append(Part())
        table["problem"].append(index_of_problem[key])
        table["column"].append(rank_of_column[episode.system, episode.budget])
        table["sample"].append(episode.sample)
        table["verdict"].append(VERDICT_STATUSES.index(episode.verdict))
        parts[-1].add(episode, budgets, open_text=open_text)
    index = {
        "tasks": [{"name": task, "shown": shown[task]} for task in tasks],
        "columns": [
            {"system": system, "budget": budget, "oracle": system in oracles}
            for system, budget in columns
        ],
        "budgets": [[name, format_usd(usd)] for name, usd in budgets.items()],
        "verdicts": list(VERDICT_STATUSES),
        "problemsPerPart": PROBLEMS_PER_PART,
        "problems": problem_rows,
        "episodes": table,
    }
    return index, [{"texts": part.texts, "episodes": part.episodes} for part in parts]


class Part:
    """Texts and episodes of a few problems; equal texts are held once."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.episodes: list[dict[str, Any]] = []
        self._index_of_text: dict[str, int] = {}

    def add(
        self, episode: EpisodeRecord, budgets: Mapping[str, Decimal], *, open_text: bool
    ) -> None:
        # Reasons may quote the gold answer or, from a provider, the request; so may long answers.
        answer = episode.answer
        if not open_text and answer is not None and len(answer) > LONGEST_PROTECTED_ANSWER:
            answer = f"{len(answer):,} characters, not shown"
        row: dict[str, Any] = {
            "answer": _shortened(answer, LONGEST_DETAIL),
            "detail": _shortened(episode.detail, LONGEST_DETAIL) if open_text else "",
            "cost": format_usd(episode.list_cost_usd),
            "over": _over(episode, budgets),
            "latency": round(episode.latency_s, 3),
            "response": self._text(episode.response) if open_text else None,
            "calls": [self._call(call, open_text=open_text) for call in episode.calls],
        }
        if episode.events and open_text:
            row["events"] = list(episode.events)
        if episode.charges:
            row["charges"] = [_charge(charge, open_text=open_text) for charge in episode.charges]
        self.episodes.append(row)

    def _call(self, call: CallRecord, *, open_text: bool) -> dict[str, Any]:
        row: dict[str, Any] = {
            "expert": call.expert,
            "model": call.model,
            "status": call.status,
            "finish": call.finish,
            "cost": format_usd(call.list_cost_usd),
            "latency": round(call.latency_s, 3),
            "text": self._text(call.text) if open_text else None,
        }
        if call.usage is not None:
            row["usage"] = {
                "input": call.usage.total_input_tokens,
                "cached": call.usage.cached_input_tokens,
                "output": call.usage.output_tokens,
                "reasoning": call.usage.reasoning_tokens,
                "estimated": call.usage.estimated,
            }
        if call.role != "expert":
            row["role"] = call.role
        if call.attempts != 1:
            row["attempts"] = call.attempts
        if call.unsettled_usd:
            row["unsettled"] = format_usd(call.unsettled_usd)
        if call.basis != "metered":
            row["basis"] = BASIS_WORDS[call.basis]
        if call.source_correct is not None:
            row["recorded"] = call.source_correct
        if call.detail and open_text:
            row["detail"] = _shortened(call.detail, LONGEST_DETAIL)
        return row

    def _text(self, text: str | None) -> int | None:
        if text is None:
            return None
        index = self._index_of_text.setdefault(text, len(self.texts))
        if index == len(self.texts):
            self.texts.append(_shortened(text, LONGEST_TEXT) or "")
        return index


def _charge(charge: ChargeRecord, *, open_text: bool) -> dict[str, Any]:
    row = {
        "what": charge.what if open_text else "fee",
        "cost": format_usd(charge.list_cost_usd),
        "basis": BASIS_WORDS[charge.basis],
    }
    if charge.unsettled_usd:
        row["unsettled"] = format_usd(charge.unsettled_usd)
    return row


def _over(episode: EpisodeRecord, budgets: Mapping[str, Decimal]) -> list[str]:
    """Budgets that the episode broke: of the one it was told, or of all when it was told none."""
    if episode.budget is not None:
        budgets = {episode.budget: budgets[episode.budget]} if episode.budget in budgets else {}
    cost_usd = episode.list_cost_usd
    return [name for name, budget_usd in budgets.items() if violates(cost_usd, budget_usd)]


def _shortened(text: str | None, longest: int) -> str | None:
    """The text without its middle where it is too long: an answer stands at the end."""
    if text is None or len(text) <= longest:
        return text
    head, tail = longest // 3, longest - longest // 3
    left_out = len(text) - head - tail
    mark = (
        f"\n\n[… {left_out:,} characters left out here; the whole stands in episodes.jsonl …]\n\n"
    )
    return text[:head] + mark + text[-tail:]


def natural_order(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sorting key by which `p9` comes before `p10`."""
    return tuple(
        (0, int(piece), "") if piece.isdecimal() else (1, 0, piece)
        for piece in re.split(r"(\d+)", text)
        if piece
    )


_UNSAFE_IN_SCRIPT = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def embeddable(data: Any) -> str:
    """JSON that neither ends nor opens anything in the HTML around it.

    `<`, `>`, `&`, the two line separators and lone surrogates are written as escapes, which
    `JSON.parse` reads back as what they were.
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return _UNSAFE_IN_SCRIPT.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
