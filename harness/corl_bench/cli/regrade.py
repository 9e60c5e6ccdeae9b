"""`corl-bench regrade RUN`: a stored run judged again by the grader of today."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from corl_bench.runs.regrading import Change, Regrading

LONGEST_ANSWER = 60
"""Characters of an answer in the listing; `--json` has all of it."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--write",
    is_flag=True,
    help="Write it down: new lines in episodes.jsonl, an entry in the manifest, a new summary"
    " and report.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def command(run: Path, write: bool, as_json: bool) -> None:
    """Judge the episodes of the stored run RUN again and print what changes, and why.

    Nothing is asked or billed, and without --write nothing is written. Costs stay, and so do
    the choices that systems made while they ran. Episodes in error are left as they are.
    """
    import json

    from corl_bench.cli.counting import counting
    from corl_bench.report.html import write_report
    from corl_bench.runs.regrading import regrade, write_regrading

    with counting("episodes graded") as advance:
        result = (write_regrading if write else regrade)(run, advance=advance)
    written = write and result.is_new
    if write:
        write_report(run)  # also where a call that was killed has left an old one
    if as_json:
        click.echo(json.dumps(_encode(result, written), ensure_ascii=False, indent=2))
        return
    _print(result)
    if written:
        click.echo(f"Written: {run}")
    elif result.is_new:
        click.echo("Nothing was written; --write keeps these verdicts.")


def _print(result: Regrading) -> None:
    from corl_bench.cli.columns import align
    from corl_bench.report.figures import counted, percent

    same = " (the same)" if result.before == result.after else ""
    click.echo(f"graded by grader {result.before}, now by grader {result.after}{same}")
    visible = [change for change in result.changes if change.moved or _reads_otherwise(change)]
    if visible:
        head = ("task", "problem", "system", "budget", "sample", "verdict", "answer", "why")
        table = align([head, *(_cells(change) for change in visible)])
        click.echo(f"\n{table}")
        rows = [("task", "system", "episodes", "changed", "accuracy before", "after")]
        rows += [
            (
                count.task,
                count.system,
                f"{count.episodes:,}",
                f"{count.moved:,}",
                percent(count.correct_before / count.episodes),
                percent(count.correct_after / count.episodes),
            )
            for count in result.systems
        ]
        click.echo(f"\n{align(rows, right=(2, 3, 4, 5))}\n")
    parts = [
        f"{counted(result.graded, 'episode')} graded again",
        f"{counted(result.moved, 'verdict')} changed",
    ]
    if other := len(visible) - result.moved:
        parts.append(f"{other:,} with another answer and the same verdict")
    if hidden := len(result.changes) - len(visible):
        parts.append(f"{hidden:,} with another detail alone")
    if result.errors:
        parts.append(f"{result.errors:,} in error left as they are")
    click.echo(", ".join(parts))


def _reads_otherwise(change: Change) -> bool:
    return change.episode.answer != change.verdict.answer


def _cells(change: Change) -> tuple[str, ...]:
    episode = change.episode
    verdict: str = episode.verdict
    answer = _clip(episode.answer)
    if change.moved:
        verdict = f"{verdict} → {change.verdict.status}"
    if _reads_otherwise(change):
        answer = f"{answer} → {_clip(change.verdict.answer)}"
    return (
        episode.task,
        episode.problem_id,
        episode.system,
        episode.budget or "–",
        str(episode.sample),
        verdict,
        answer,
        f"{change.reason}; gold {_clip(change.gold)}",
    )


def _clip(answer: str | None) -> str:
    if answer is None:
        return "–"
    line = " ".join(answer.encode("utf-8", "replace").decode().split())
    return line if len(line) <= LONGEST_ANSWER else f"{line[: LONGEST_ANSWER - 1]}…"


def _encode(result: Regrading, written: bool) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "schema": "corl-bench/regraded@1",
        "from": result.before.encode(),
        "to": result.after.encode(),
        "graded": result.graded,
        "errors": result.errors,
        "verdicts_changed": result.moved,
        "written": written,
        "systems": [asdict(count) for count in result.systems],
        "changes": [
            {
                "task": change.episode.task,
                "problem_id": change.episode.problem_id,
                "system": change.episode.system,
                "budget": change.episode.budget,
                "sample": change.episode.sample,
                "gold": change.gold,
                "before": {
                    "verdict": change.episode.verdict,
                    "answer": change.episode.answer,
                    "detail": change.episode.detail,
                },
                "after": {
                    "verdict": change.verdict.status,
                    "answer": change.verdict.answer,
                    "detail": change.verdict.detail,
                },
                "reason": change.reason,
            }
            for change in result.changes
        ],
    }
