"""What `compare` and `frontier` share: their options, and runs made into assessments.

@click.command()
@board_options
def command(**options: Any) -> None:
    chosen = BoardOptions(**options)
    board, assessments = assess_runs(chosen)
    show("frontier", board, assessments, frontier_blocks, chosen)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corl_bench.cli.options import Decorated

if TYPE_CHECKING:
    from corl_bench.metrics.assessment import Assessment
    from corl_bench.metrics.joining import JoinedBoard
    from corl_bench.metrics.panel import Panel
    from corl_bench.report.plain import Block

ALL_PAIRS_UP_TO = 6
"""Points; beyond, only pairs with the most accurate one are shown, of all that are tested."""

_OPTIONS: tuple[Callable[[Callable[..., Any]], Callable[..., Any]], ...] = (
    click.argument(
        "runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path)
    ),
    click.option(
        "--task", "-t", "tasks", multiple=True, metavar="TASK", help="Only this task; repeatable."
    ),
    click.option(
        "--resamples",
        type=click.IntRange(min=100, max=1_000_000),
        default=10_000,
        show_default=True,
        help="Of the bootstrap over problems.",
    ),
    click.option(
        "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables."),
    click.option(
        "--markdown",
        type=click.Path(dir_okay=False, path_type=Path),
        default=None,
        metavar="FILE",
        help="Write the same as Markdown too.",
    ),
)


@dataclass(frozen=True, slots=True)
class BoardOptions:
    """The options of both verbs, as click hands them over."""

    runs: tuple[Path, ...]
    tasks: tuple[str, ...]
    resamples: int
    seed: int
    as_json: bool
    markdown: Path | None


def board_options(function: Decorated) -> Decorated:
    """Adds the options that both verbs have."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def assess_runs(
    options: BoardOptions,
    *,
    coin: Sequence[str] | None = None,
    window_usd: tuple[float, float] | None = None,
    needs_window: bool = False,
    against: str | None = None,
    all_pairs: bool = False,
) -> tuple[JoinedBoard, list[Assessment]]:
    """Reads and joins the runs, and assesses each task.

    Args:
        options: of the command line.
        coin: labels of the systems that the coin may mix; None takes the single experts.
        window_usd: of areas; None takes the budgets of the runs.
        needs_window: areas are shown, and one over other spends would depend on who is there.
        against: the label that all others are paired with.
        all_pairs: show all pairs, however many there are.

    Raises:
        ConfigError: a run is none, or runs or options do not fit together.
    """
    from corl_bench.errors import ConfigError
    from corl_bench.metrics.assessment import assess
    from corl_bench.metrics.joining import join
    from corl_bench.metrics.window import window_of_budgets, window_of_spends
    from corl_bench.results.baseline import read_results

    board = join([read_results(run) for run in options.runs], tasks=options.tasks)
    window_usd = window_usd or window_of_budgets(board.budgets)
    if window_usd is None and needs_window:
        raise ConfigError(
            "the runs name no budget: state the window of areas, --window 0.0005,0.02"
        )
    assessments = []
    for panel in board.panels.values():
        shows_all = against is not None or all_pairs or len(panel.labels) <= ALL_PAIRS_UP_TO
        assessments.append(
            assess(
                panel,
                window_usd=window_usd or window_of_spends(panel),
                coin=None if coin is None else tuple(coin),
                against=against,
                shown_against=None if shows_all else _most_accurate(panel),
                resamples=options.resamples,
                seed=options.seed,
            )
        )
    return board, assessments


def _most_accurate(panel: Panel) -> str:
    competitors = [index for index, point in enumerate(panel.points) if point.is_ranked] or [0]
    best = max(competitors, key=lambda index: float(panel.accuracy[:, index].mean()))
    return panel.labels[best]


def show(
    title: str,
    board: JoinedBoard,
    assessments: Sequence[Assessment],
    blocks_of: Callable[[Assessment], list[Block]],
    options: BoardOptions,
    *,
    leave_out: Collection[str] = (),
) -> None:
    """Prints assessments as tables or JSON, and writes the Markdown that was asked for.

    Args:
        title: what was done to which runs.
        board: the runs, joined.
        assessments: of its tasks.
        blocks_of: makes one of them into tables.
        options: of the command line.
        leave_out: fields of an assessment that this verb's JSON does not have.
    """
    import json

    from corl_bench.files import write_text
    from corl_bench.report.assessments import encode_assessment
    from corl_bench.report.figures import SIMULATED
    from corl_bench.report.plain import Heading, Paragraph, render_markdown, write_blocks

    blocks: list[Block] = [Heading(title)]
    if board.simulated:
        blocks.append(Paragraph(SIMULATED, "bold yellow"))
    warnings = [*board.warnings, *_stopped(options.runs)]
    blocks += [Paragraph(warning, "bold yellow") for warning in warnings]
    for assessment in assessments:
        blocks += blocks_of(assessment)
    if options.markdown is not None:
        write_text(options.markdown, render_markdown(blocks))
    if options.as_json:
        document = {
            "schema": "corl-bench/assessment@1",
            "simulated": board.simulated,
            "warnings": warnings,
            "tasks": [encode_assessment(assessment, leave_out) for assessment in assessments],
        }
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        write_blocks(blocks, sys.stdout)


def _stopped(runs: Sequence[Path]) -> list[str]:
    """A sentence for each run that ended when its figures were at an extreme."""
    from corl_bench.results.decisions import read_decisions

    found = ((run, read_decisions(run)) for run in runs if run.is_dir())
    return [
        f"{run.resolve().name} stopped when it was decided: its figures stand on the problems that"
        " were asked until then, and exaggerate what decided it."
        for run, decisions in found
        if decisions is not None and decisions.stopped_early
    ]
