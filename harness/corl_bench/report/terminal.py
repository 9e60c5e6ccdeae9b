"""The summary of a run as a table in the terminal.

Nothing is left out for want of room: where one table is too wide it becomes two, one above the
other, and names that would fill a narrow terminal are shortened there and listed below. Names
come from users and models' files, so they are printed as plain text, control characters shown;
without UTF-8 everything is ASCII.

    print(render_table(summary, Screen(width=80)))
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TextIO

from corl_bench.money.amounts import display_usd, format_usd
from corl_bench.report.figures import (
    NOT_DOMINATED,
    SIMULATED,
    TableRow,
    budgets_of,
    cost_words,
    counted,
    digest_flag,
    interval,
    legend,
    percent,
    problems_of,
    put_together,
    rough_percent,
    seconds,
)
from corl_bench.report.screen import Screen, visible
from corl_bench.results import Summary

if TYPE_CHECKING:
    from rich.table import Table

    from corl_bench.metrics.assessment import Assessment

_MIN_WIDTH = 60
_MIN_NAME_WIDTH = 24
"""Names up to this length are never shortened."""
_MAX_TEXT_WIDTH = 100
"""Sentences are set no wider than this, for lines longer than that read badly."""


@dataclass(frozen=True, slots=True)
class _Column:
    heading: str
    cell: Callable[[TableRow], str]
    is_name: bool = False
    """Names what a row is about: set to the left, and repeated in every table."""


def render_table(
    summary: Summary, screen: Screen, assessments: Mapping[str, Assessment] | None = None
) -> str:
    """The table with its header, totals and footnotes.

    Args:
        summary: what to print.
        screen: what it is printed on.
        assessments: by task; they say of each router whether it beats the coin.
    """
    from rich.padding import Padding
    from rich.text import Text

    width = screen.width
    rows = put_together(summary.rows)
    short: dict[str, str] = {}
    packed = _packed(_columns(summary, rows, short), rows, width)
    if width is not None and len(packed) > 1:
        room = max(_MIN_NAME_WIDTH, width // 3)
        short = _shortened(
            (row.point.system for row in rows), room, "..." if screen.is_ascii else "…"
        )
        packed = _packed(_columns(summary, rows, short), rows, width)
    tables = [_table(columns, rows) for columns in packed]
    # Figures are never cut or folded: a table that still does not fit overhangs.
    table_width = max(_natural_width(table) for table in tables)
    text_width = max(_MIN_WIDTH, min(width or table_width, _MAX_TEXT_WIDTH))
    buffer = io.StringIO()
    console = screen.console(buffer, max(text_width, table_width))

    def paragraph(text: str, style: str = "", indent: int = 0) -> None:
        console.print(
            Padding(Text(visible(text), style=style), (0, 0, 0, indent)), width=text_width
        )

    def sentence(text: str) -> None:
        hanging = Text(visible(text), style="dim")
        console.print(Padding(hanging, (0, 0, 0, 1)), width=text_width)

    paragraph(f"corl-bench · run {summary.run_id}", "bold")
    if summary.simulated:
        paragraph(SIMULATED, "bold yellow")
    if not summary.finished:
        paragraph("NOT FINISHED: the figures cover the episodes done so far.", "bold yellow")
    for fact in _facts(summary):
        paragraph(fact)
    for table in tables:
        console.print()
        console.print(table)
    if short:
        console.print()
    for name, shown in short.items():
        paragraph(f"{shown} is {name}", indent=1)
    against = _against_the_coin(rows, assessments or {})
    if against is not None:
        console.print()
        paragraph("Against the coin at the same spend, in percentage points [95%]:")
        console.print(against)
    console.print()
    for total in _totals(summary):
        paragraph(total, "bold" if "nsettled" in total else "")
    console.print()
    if any(row.on_frontier for row in rows):
        sentence(NOT_DOMINATED)
    if against is not None:
        mixed = {label for found in (assessments or {}).values() for label in found.coin}
        sentence(
            f"The coin: the best random mix of {_coin_of(mixed)}, and of not answering for $0,"
            " at the mean spend of the system."
        )
    for text in (*legend(summary), *summary.notes):
        sentence(text)
    return screen.finished(buffer.getvalue())


def write_table(
    summary: Summary, stream: TextIO, assessments: Mapping[str, Assessment] | None = None
) -> None:
    """Prints the table to a stream, fitted to it."""
    stream.write(render_table(summary, Screen.of(stream), assessments))


def _facts(summary: Summary) -> list[str]:
    facts = []
    for name, task in summary.tasks.items():
        points = [point for point in summary.rows if point.task == name]
        problems = task.get("problems", max((point.problems for point in points), default=0))
        flag = digest_flag(summary, name)
        shown = f" · digest {flag}" if flag else ""
        facts.append(f"{name}: {problems_of(problems, task.get('total'))}{shown}")
    budgets = budgets_of(summary)
    if budgets:
        listing = ", ".join(f"{name} ${format_usd(value)}" for name, value in budgets.items())
        facts.append(f"Budgets for a problem: {listing}")
    return facts


def _totals(summary: Summary) -> list[str]:
    stored = summary.billed_cost_usd < summary.list_cost_usd
    totals = [
        f"{counted(summary.attempts, 'attempt')} · list cost {display_usd(summary.list_cost_usd)}"
        f" · billed {display_usd(summary.billed_cost_usd)}"
        f"{' (stored replies bill nothing again)' if stored else ''}"
    ]
    if summary.unsettled_attempts:
        totals.append(
            f"Unsettled: at most {display_usd(summary.unsettled_usd)} more, for"
            f" {counted(summary.unsettled_attempts, 'attempt')} whose bill nobody knows;"
            " in no other figure."
        )
    return totals


def _columns(
    summary: Summary, rows: tuple[TableRow, ...], short: Mapping[str, str]
) -> list[_Column]:
    """The columns that the summary has figures for; `short` has shorter names of systems."""

    def name(row: TableRow) -> str:
        return short.get(row.point.system, row.point.system) + (" *" if row.on_frontier else "")

    columns = [_Column("system", name, True)]
    if any(row.budget_label for row in rows):
        columns.append(_Column("budget", lambda row: row.budget_label or "–", True))
    columns.append(
        _Column(
            "accuracy [95%]",
            lambda row: f"{percent(row.point.accuracy)} {interval(row.point.accuracy_interval)}",
        )
    )
    columns.append(_Column("$/problem", lambda row: cost_words(row.point)))
    columns += [
        _Column(f"> {name}", partial(_violations, budget=name)) for name in budgets_of(summary)
    ]
    if any(row.point.accuracy_as_recorded is not None for row in rows):
        columns.append(_Column("as recorded", _as_recorded))
    columns += [
        _Column("expert calls", lambda row: f"{row.point.expert_call_ratio:.2f}"),
        _Column("p50", lambda row: seconds(row.point.latency_p50_s)),
        _Column("p95", lambda row: seconds(row.point.latency_p95_s)),
        _Column("truncated", lambda row: f"{row.point.truncated:,}"),
        _Column("refused", lambda row: f"{row.point.refused:,}"),
        _Column("errors", lambda row: f"{row.point.errors:,}"),
    ]
    if any(row.point.events for row in rows):
        columns.append(_Column("events", lambda row: f"{row.point.events:,}"))
    if any(row.point.unsettled_usd for row in rows):
        columns.append(_Column("unsettled", lambda row: display_usd(row.point.unsettled_usd)))
    return columns


def _shortened(names: Iterable[str], width: int, gap: str) -> dict[str, str]:
    """Short forms of the names above a width, all different: head and tail around a gap."""
    short: dict[str, str] = {}
    for name in dict.fromkeys(names):
        if len(name) <= width:
            continue
        tail = (width - len(gap)) // 2
        form, number = name[: width - len(gap) - tail] + gap + name[-tail:], 1
        while form in short.values():
            number += 1
            mark = f"{gap}({number})"
            form = name[: width - len(mark)] + mark
        short[name] = form
    return short


def _as_recorded(row: TableRow) -> str:
    value = row.point.accuracy_as_recorded
    return "–" if value is None else percent(value)


def _violations(row: TableRow, budget: str) -> str:
    rate = row.violation_rates.get(budget)
    return "–" if rate is None else rough_percent(rate)


def _packed(
    columns: list[_Column], rows: tuple[TableRow, ...], width: int | None
) -> list[list[_Column]]:
    """The columns, dealt in their order to as few tables as fit; each begins with the names."""
    names = [column for column in columns if column.is_name]
    tables: list[list[_Column]] = [names]
    for column in columns[len(names) :]:
        wider = [*tables[-1], column]
        fits = width is None or _natural_width(_table(wider, rows)) <= width
        if fits or tables[-1] == names:
            tables[-1] = wider
        else:
            tables.append([*names, column])
    return tables


def _natural_width(table: Table) -> int:
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(file=io.StringIO(), width=10_000, _environ={})
    return Measurement.get(console, console.options, table).maximum


def _table(columns: list[_Column], rows: tuple[TableRow, ...]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )
    for column in columns:
        table.add_column(
            Text(visible(column.heading)),
            justify="left" if column.is_name else "right",
            no_wrap=True,
        )
    groups = {task: [row for row in rows if row.point.task == task] for task in _tasks(rows)}
    for task, group in groups.items():
        if len(groups) > 1:
            table.add_row(Text(visible(task), style="bold"))
        for row in group:
            name, *cells = (visible(column.cell(row)) for column in columns)
            indent = "  " if len(groups) > 1 else ""
            emphasis = "bold" if row.on_frontier else ""
            table.add_row(
                Text(indent + name, style=emphasis),
                *map(Text, cells),
                style="" if row.point.is_ranked else "dim",
                end_section=row is group[-1],
            )
    return table


_VERDICTS = {"beats": "beats it", "loses": "loses to it", "same": "indistinguishable"}


def _against_the_coin(
    rows: tuple[TableRow, ...], assessments: Mapping[str, Assessment]
) -> Table | None:
    """A line for each router, and a heading for each task where there are several."""
    from rich.table import Table
    from rich.text import Text

    from corl_bench.report.coin import coin_table

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for justify in ("left", "right", "left"):
        table.add_column(justify=justify, no_wrap=True)
    for task, assessment in assessments.items():
        apart = {row.label for row in rows if row.point.task == task and not row.point.is_ranked}
        found = coin_table(assessment, apart)
        routers = [row for row in found.rows if row.is_router] if found else []
        if routers and len(assessments) > 1:
            table.add_row(Text(visible(task), style="bold"))
        for row in routers:
            style = {"beats": "bold green", "loses": "bold red"}.get(row.verdict, "")
            name = Text(f"  {visible(row.label)}")
            table.add_row(name, Text(row.gain), Text(_VERDICTS[row.verdict], style=style))
    return table if table.row_count else None


def _coin_of(mixed: set[str]) -> str:
    from corl_bench.results.outcomes import is_single

    return "single experts" if all(map(is_single, mixed)) else "the other systems"


def _tasks(rows: tuple[TableRow, ...]) -> list[str]:
    return list(dict.fromkeys(row.point.task for row in rows))
