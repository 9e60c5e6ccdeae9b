"""`corl-bench grade FILE`: judges a file of answers, and compares with labels that it brings."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from corl_bench.answer_files import GradedRow, Score

LONGEST_SHOWN = 160
"""Characters of one text in `--show`; of a reply the end matters, of the rest the beginning."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--gold", metavar="COLUMN", help="The right answer. [default: gold, answer, target]")
@click.option(
    "--response",
    metavar="COLUMN",
    help="The reply to judge. [default: response, pred, prediction, completion, output, text,"
    " response_text]",
)
@click.option(
    "--label",
    metavar="COLUMN",
    help="A verdict to compare with: true, false, 1 or 0."
    " [default: label, correct, correct_by_source_grader, where a row has one]",
)
@click.option(
    "--kind",
    type=click.Choice(["math", "integer", "choice", "text"]),
    help="How all answers are compared. [default: the row's `kind`, or math]",
)
@click.option(
    "--policy",
    type=click.Choice(["strict", "lenient"]),
    default="strict",
    show_default=True,
    help="Whose verdict counts; both are reported.",
)
@click.option(
    "--show",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Show up to N rows that differ from their label or, without one, are not correct.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write each row with verdict, answer and detail; compressed if it ends in"
    " .zst. A column of yours with one of these names becomes own_<name>.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def command(
    file: Path,
    gold: str | None,
    response: str | None,
    label: str | None,
    kind: str | None,
    policy: str,
    show: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Judge the answers in FILE: JSON lines (or .jsonl.zst) with a gold and a response each.

    Prints accuracy with a 95 % interval, counts by verdict, and where rows bring labels how
    often ours agree: a false accept is an answer that we take and the label does not.
    """
    import json
    from typing import cast

    from corl_bench.answer_files import Columns, Score, grade_rows, read_rows
    from corl_bench.cli.counting import counting
    from corl_bench.errors import ConfigError
    from corl_bench.experts.recording_files import open_export
    from corl_bench.files import is_same_file
    from corl_bench.grading import GRADER_VERSION, Policy, grader_digest
    from corl_bench.types import AnswerKind

    if out is not None and is_same_file(out, file):
        raise ConfigError(f"--out {out} is the file to be graded: name another")
    columns = Columns(gold, response, label, cast("AnswerKind | None", kind))
    score = Score(cast(Policy, policy))
    shown: list[GradedRow] = []
    with (
        open_export(out) if out is not None else nullcontext() as written,
        counting("rows graded") as advance,
    ):
        for graded in grade_rows(read_rows(file, columns)):
            score.add(graded)
            advance()
            if len(shown) < show and score.differs(graded):
                shown.append(graded)
            if written is not None:
                line = json.dumps(graded.encode(score.policy), ensure_ascii=False)
                written.write(line.encode("utf-8", "replace").decode() + "\n")
        if not score.rows:
            raise ConfigError(f"{file}: no rows")
    if as_json:
        report = {
            "schema": "corl-bench/graded@1",
            "file": str(file),
            "grader": {"version": GRADER_VERSION, "digest": grader_digest()},
            **score.encode(),
            "shown": [{"line": graded.row.line, **graded.encode(score.policy)} for graded in shown],
        }
        click.echo(json.dumps(report, ensure_ascii=False, indent=2))
        return
    _print_score(file, score)
    for graded in shown:
        _print_row(graded, score)


def _print_score(file: Path, score: Score) -> None:
    from corl_bench.report.figures import counted, interval, percent

    def accuracy(correct: int) -> str:
        from corl_bench.metrics.inference.intervals import agresti_coull_interval

        ends = interval(agresti_coull_interval(correct, score.rows))
        return f"{percent(correct / score.rows)} {ends}, {correct:,} of {score.rows:,}"

    click.echo(f"{file}: {counted(score.rows, 'row')}, {score.policy} policy")
    click.echo(f"strict    {accuracy(score.strict_correct)}")
    click.echo(f"lenient   {accuracy(score.lenient_correct)}")
    verdicts = ", ".join(f"{count:,} {verdict}" for verdict, count in score.verdicts.most_common())
    click.echo(f"verdicts  {verdicts}")
    agreement = score.agreement
    if agreement.rows:
        click.echo(
            f"labels    {percent(agreement.agreed / agreement.rows)} of"
            f" {counted(agreement.rows, 'label')} agree;"
            f" {counted(agreement.false_accepts, 'false accept')},"
            f" {counted(agreement.false_rejects, 'false reject')}"
        )
    if agreement.unread:
        click.echo(
            f"labels    {counted(agreement.unread, 'row')} not compared: the label is not true,"
            " false, 1 or 0"
        )


def _print_row(graded: GradedRow, score: Score) -> None:
    row, verdict = graded.row, graded.verdict(score.policy)
    said = "" if row.label is None else f", label {'correct' if row.label else 'not correct'}"
    detail = f" ({verdict.detail})" if verdict.detail else ""
    click.echo(f"\nline {row.line}: {verdict.status}{detail}{said}")
    click.echo(f"  gold      {_one_line(row.gold)}")
    click.echo(f"  answer    {'–' if verdict.answer is None else _one_line(verdict.answer)}")
    if row.response is not None and row.response != verdict.answer:
        click.echo(f"  response  {_one_line(row.response, end=True)}")


def _one_line(text: str, *, end: bool = False) -> str:
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    if len(line) <= LONGEST_SHOWN:
        return line
    return f"…{line[1 - LONGEST_SHOWN :]}" if end else f"{line[: LONGEST_SHOWN - 1]}…"
