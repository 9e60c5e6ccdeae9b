"""`corl-bench tasks overlap`: which problems of one set stand in others.

corl-bench tasks overlap deepscaler math500 aime24 --write train.jsonl
corl-bench tasks overlap mine.jsonl math500 --json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corl_bench.cli.options import data_dir_option

if TYPE_CHECKING:
    from corl_bench.tasks import LoadedTask
    from corl_bench.tasks.overlap import Match

SHOWN = 20


@click.command("overlap", short_help="Find the problems of one set that stand in others.")
@click.argument("first", metavar="A")
@click.argument("others", metavar="B...", nargs=-1, required=True)
@click.option(
    "--exact", "exact_only", is_flag=True, help="Look for the same words alone, not for other ones."
)
@click.option(
    "--write",
    "out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the problems of A that were not found, of any kind, as JSON lines.",
)
@data_dir_option
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON instead, with every id that was found."
)
def overlap_command(
    first: str,
    others: tuple[str, ...],
    exact_only: bool,
    out: Path | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Find the problems of A that stand in each of B: tasks, or JSONL files of problems.

    Typing does not count: white space, case, dollar signs, fonts, Unicode or LaTeX. A decimal
    point does. Each problem of A is found once in each B, as its surest match: the same words
    (exact; figure, where that was left out or drawn anew), the same numbers and gold in mostly
    the same words (reworded), or the same premises with another gold, which somebody should read.
    """
    from corl_bench.errors import ConfigError
    from corl_bench.files import is_same_file, write_text
    from corl_bench.tasks import load_task
    from corl_bench.tasks.overlap import find_overlap, without
    from corl_bench.tasks.rows import row_of_problem

    a, *several = (load_task(name, data_dir=data_dir) for name in (first, *others))
    if out is not None and any(is_same_file(out, Path(task.source)) for task in (a, *several)):
        raise ConfigError(f"--write {out}: it holds problems that are read: name another file")
    kept = a.problems
    reports: list[dict[str, Any]] = []
    for b in several:
        found = find_overlap(a.problems, b.problems, near=not exact_only)
        kept = without(kept, found)
        reports.append(_report(a, b, found))
        if not as_json:
            click.echo(_describe(reports[-1]))
    if out is not None:
        rows = (json.dumps(row_of_problem(p), ensure_ascii=False) + "\n" for p in kept)
        write_text(out, "".join(rows))
    if as_json:
        click.echo(json.dumps(reports, indent=2, ensure_ascii=False))
    elif out is not None:
        click.echo(f"{out}: {len(kept):,} of {len(a.problems):,} problems of {a.label}")


def _report(a: LoadedTask, b: LoadedTask, found: tuple[Match, ...]) -> dict[str, Any]:
    from dataclasses import asdict

    from corl_bench.tasks.overlap import count_kinds

    return {
        "a": {"task": a.label, "problems": len(a.problems), "digest": a.digest},
        "b": {"task": b.label, "problems": len(b.problems), "digest": b.digest},
        "counts": count_kinds(found),
        "found": [asdict(match) for match in found],
    }


def _describe(report: dict[str, Any]) -> str:
    from corl_bench.cli.columns import align
    from corl_bench.tasks.overlap import KINDS

    a, b, found = report["a"], report["b"], report["found"]
    counts = {kind: count for kind, count in report["counts"].items() if count}
    copies = len(found) - report["counts"]["premises"]
    lines = [
        f"{copies:,} of {a['problems']:,} problems of {a['task']} stand in {b['task']}"
        f" ({b['problems']:,})"
    ]
    lines += [f"  {count:,} {kind}: {KINDS[kind]}" for kind, count in counts.items()]
    order = sorted(found, key=lambda match: list(KINDS).index(match["kind"]))
    rows = [
        (f"  {match['kind']}", match["a"], match["b"], _shared(match)) for match in order[:SHOWN]
    ]
    if rows:
        lines.append(align(rows))
    if len(order) > SHOWN:
        lines.append(f"  and {len(order) - SHOWN:,} more; --json has them all")
    return "\n".join(lines)


def _shared(match: dict[str, Any]) -> str:
    if match["kind"] in ("exact", "figure"):
        return "" if match["same_gold"] else "other gold"
    return f"{match['shared']:.0%} of the words in runs"
