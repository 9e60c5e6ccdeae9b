"""`corl-bench recordings import | export | stats`: stored replies in and out of text.

A *store* is the one file that `corl-bench run --recordings` names. Example:

    corl-bench recordings import answers.sqlite answers.jsonl --problems problems.jsonl
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from corl_bench.cli.columns import align
from corl_bench.errors import ConfigError, CorlError

if TYPE_CHECKING:
    from corl_bench.experts.recording_files import ImportReport

PATH = click.Path(path_type=Path)
STORE = click.argument("store", type=PATH)
NAME_COLUMNS = ("expert", "model")


@click.group("recordings")
def command() -> None:
    """Import, export and count stored replies of experts."""


@command.command("import", short_help="Import answers from files or folders into STORE.")
@STORE
@click.argument("files", type=PATH, nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--problems",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="Statements of rows that give a problem_id alone; problems.jsonl among FILE is found.",
)
@click.option("--expert", metavar="NAME", help="The expert, for rows without such a column.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="OURS=THEIRS",
    help="Read our column OURS from theirs, for example response=completion; repeatable.",
)
@click.option("--label", default="import", metavar="TEXT", help="Says where the rows come from.")
def import_(
    store: Path,
    files: tuple[Path, ...],
    problems: tuple[Path, ...],
    expert: str | None,
    columns: tuple[str, ...],
    label: str,
) -> None:
    """Import answers from FILE... (JSON lines, plain or .zst, or folders of them) into STORE.

    STORE is made if it is missing. All rows are stored, or none if one of them is wrong.
    """
    from corl_bench.experts.recording_files import import_files
    from corl_bench.experts.store import RecordingStore

    names = _parse_columns(columns)
    is_new, is_empty = not store.exists(), False
    try:
        with RecordingStore.open(store) as target:
            try:
                report = import_files(
                    target, files, problems=problems, expert=expert, columns=names, label=label
                )
            finally:
                is_empty = not target.stats().calls
    except CorlError:
        if is_new and is_empty:
            store.unlink()
        raise
    _print_import(store, report)


@command.command("export")
@STORE
@click.option("--out", type=PATH, metavar="FILE", help="Write here; compressed if it ends in .zst.")
@click.option("--expert", "experts", multiple=True, metavar="NAME", help="Only these; repeatable.")
def export(store: Path, out: Path | None, experts: tuple[str, ...]) -> None:
    """Write STORE as JSON lines that `import` reads back."""
    from corl_bench.experts.recording_files import export_calls, open_export
    from corl_bench.experts.store import RecordingStore
    from corl_bench.files import is_same_file

    if out is not None and is_same_file(out, store):
        raise ConfigError(f"--out {out} is the store itself: name another file")
    with RecordingStore.open(store, read_only=True) as source:
        if out is None:
            if isinstance(sys.stdout, io.TextIOWrapper):  # whatever the terminal's locale is
                sys.stdout.reconfigure(encoding="utf-8")
            export_calls(source, sys.stdout, experts=experts)
            return
        with open_export(out) as stream:
            lines = export_calls(source, stream, experts=experts)
    click.echo(f"wrote {_plural(lines, 'call')} to {out}")


@command.command("stats")
@STORE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stats(store: Path, as_json: bool) -> None:
    """Count what STORE holds, expert by expert."""
    from dataclasses import asdict

    from corl_bench.experts.store import RecordingStore

    with RecordingStore.open(store, read_only=True) as source:
        found = source.stats()
    if as_json:
        summary = asdict(found) | {"path": str(found.path), "calls": found.calls}
        click.echo(json.dumps(summary, indent=2))
        return
    click.echo(
        f"{found.path}: {_plural(found.calls, 'call')}, {found.size_bytes:,} bytes, "
        f"schema {found.schema_version}"
    )
    _print_table(
        [
            *("expert", "model", "calls", "imported", "problems", "samples", "errors"),
            *("input", "output", "reasoning", "judged"),
        ],
        [
            [
                expert.expert,
                "" if expert.model == expert.expert else expert.model,
                *(f"{count:,}" for count in (expert.calls, expert.imported, expert.problems)),
                *(f"{count:,}" for count in (expert.samples, expert.errors)),
                *(
                    f"{tokens:,}{'~' if expert.estimated else ''}"
                    for tokens in (expert.input_tokens, expert.output_tokens)
                ),
                f"{expert.reasoning_tokens:,}",
                _share(expert.judged_correct, expert.judged),
            ]
            for expert in found.experts
        ],
    )
    _print_legend(any(expert.estimated for expert in found.experts))


def _parse_columns(options: Iterable[str]) -> dict[str, str]:
    columns = {}
    for option in options:
        ours, equals, theirs = option.partition("=")
        if not (ours and equals and theirs):
            raise ConfigError(f"--column {option}: write it as OURS=THEIRS, as response=completion")
        columns[ours] = theirs
    return columns


def _print_import(store: Path, report: ImportReport) -> None:
    rows = report.added + report.known
    if report.added == 0:
        click.echo(f"nothing new: {store} has all {_plural(rows, 'row')} already")
    else:
        known = f", {report.known:,} were there already" if report.known else ""
        files = _plural(report.files, "file")
        click.echo(f"imported {_plural(report.added, 'row')} from {files} into {store}{known}")
    _print_table(
        ["expert", "rows", "problems", "samples", "input", "output", "judged"],
        [
            [
                expert.expert,
                f"{expert.rows:,}",
                f"{len(expert.problems):,}",
                f"{len(expert.samples):,}",
                *(
                    f"{tokens:,}{'~' if expert.estimated else ''}"
                    for tokens in (expert.input_tokens, expert.output_tokens)
                ),
                _share(expert.judged_correct, expert.judged),
            ]
            for expert in report.experts
        ],
    )
    _print_legend(any(expert.estimated for expert in report.experts))
    if report.ignored:
        names = ", ".join(ascii(name)[1:-1] for name in report.ignored[:12])
        more = ", …" if len(report.ignored) > 12 else ""
        click.echo(f"columns not needed: {names}{more}")


def _print_legend(estimated: bool) -> None:
    click.echo(
        "input, output, reasoning: tokens of replies"
        + (" (~ estimated, not counted by a provider)" if estimated else "")
        + "; judged: correct by the verdicts that came with the answers"
    )


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Names to the left, figures to the right; a column without content is left out."""
    columns = [column for column in zip(head, *rows, strict=True) if any(column[1:])]
    figures = [place for place, column in enumerate(columns) if column[0] not in NAME_COLUMNS]
    click.echo(align(list(zip(*columns, strict=True)), right=figures))


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} % of {whole:,}" if whole else "-"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
