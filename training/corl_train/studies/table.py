"""A study as blocks of plain text: a table for each part.

write_blocks(describe(study), sys.stdout)
"""

from __future__ import annotations

from corl_bench.money.amounts import display_usd
from corl_bench.report.figures import SIMULATED, counted, interval, percent, rough_percent
from corl_bench.report.plain import Block, Grid, Heading, Paragraph
from corl_train.studies.study import Part, Row, Study


def describe(study: Study) -> list[Block]:
    """The study for a terminal or as Markdown; see `corl_bench.report.plain`."""
    blocks: list[Block] = [
        Paragraph(f"{study.run} · recipe {study.recipe} · pool {study.pool}", "bold"),
        Paragraph(study.question),
    ]
    if study.simulated:
        blocks.append(Paragraph(SIMULATED, "dim"))
    for part in study.parts:
        blocks.append(Heading(part.title))
        if part.about:
            blocks.append(Paragraph(part.about, "dim"))
        blocks.append(_grid(part))
    if study.notes:
        blocks.append(Heading("Notes"))
        blocks += [Paragraph(note) for note in study.notes]
    return blocks


def sampled(study: Study) -> str:
    """How the episodes were made, in a sentence."""
    return (
        f"Greedy episodes, {counted(study.samples, 'episode')} of each problem at each budget,"
        f" replies drawn with seed {study.seed}."
    )


def of_optimum(row: Row) -> str:
    """The share of the optimum with its interval, or that nobody knows it."""
    if row.fraction is None or row.interval is None:
        return "–"
    return f"{percent(row.fraction)} {interval(row.interval)}"


def called(row: Row) -> str:
    """Whom it called: experts by calls an episode, those that it hardly called left out."""
    often = [f"{name} {number:.2f}" for name, number in row.calls.items() if number >= 0.005]
    return ", ".join(often) or "nobody"


def _grid(part: Part) -> Grid:
    has_notes = any(row.note for row in part.rows)
    columns = (
        *("", "budget", "problems", "of the optimum [95%]", "reward", "right", "$/problem", "over"),
        "calls an episode",
        *(("",) if has_notes else ()),
    )
    rows = [
        (
            row.name,
            row.budget,
            f"{row.problems:,}",
            of_optimum(row),
            f"{row.reward:.3f}",
            percent(row.accuracy),
            display_usd(row.mean_cost_usd),
            rough_percent(row.violation_rate),
            called(row),
            *((row.note,) if has_notes else ()),
        )
        for row in part.rows
    ]
    return Grid(columns, rows, names=2, words=(8, 9) if has_notes else (8,))
