"""`corl-bench tasks`: what there is to be solved, where it comes from, and whether it is sound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corl_bench.cli.options import data_dir_option
from corl_bench.cli.overlap import overlap_command

if TYPE_CHECKING:
    from corl_bench.tasks import TaskSpec
    from corl_bench.tasks.spec import Source, Split

FAULTS_SHOWN = 10

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")


@click.group("tasks")
def command() -> None:
    """List, show, validate and compare tasks."""


command.add_command(overlap_command)


@command.command("list", short_help="List every built-in task and split.")
@json_option
def list_command(as_json: bool) -> None:
    """Every built-in task and split: how many problems, licence, pinned or not."""
    from corl_bench.cli.columns import align
    from corl_bench.tasks import label_of, list_tasks
    from corl_bench.tasks.loading import splits_of

    specs = list_tasks()
    if as_json:
        click.echo(json.dumps([_as_json(spec) for spec in specs], indent=2, ensure_ascii=False))
        return
    rows = [
        (
            label_of(spec, name),
            "?" if split.count is None else f"{split.count:,}",
            spec.kind,
            _digest_status(split),
            "yes" if spec.redistributable else "no",
            spec.licence,
        )
        for spec in specs
        for name, split in splits_of(spec)
    ]
    head = ("task", "problems", "answers", "digest", "publishable", "licence")
    click.echo(align([head, *rows], right=(1,)))


@command.command("show")
@click.argument("name")
@json_option
def show_command(name: str, as_json: bool) -> None:
    """Source, prompt, digest, licence and known errata of one task."""
    from corl_bench.tasks.loading import spec_of, splits_of

    spec = spec_of(name)
    if as_json:
        click.echo(json.dumps(_as_json(spec), indent=2, ensure_ascii=False))
        return
    click.echo(f"{spec.name}: {spec.title}")
    click.echo(f"answers:     {spec.kind}")
    click.echo(f"licence:     {spec.licence}")
    if not spec.redistributable:
        click.echo("publishing:  statements stay out of everything that is published")
    if spec.difficulty:
        click.echo(
            f"difficulty:  {spec.difficulty.subject}, level {spec.difficulty.level} "
            "(declared, for the simulated pool)"
        )
    for split_name, split in splits_of(spec):
        default = " (default)" if split_name == spec.default_split else ""
        count = "unknown" if split.count is None else f"{split.count:,}"
        click.echo(f"\nsplit {split_name}{default}")
        click.echo(f"  problems:  {count}")
        click.echo(f"  digest:    {split.digest or 'unpinned'}")
        click.echo(f"  source:    {_origin(split)}")
        if split.source and not split.source.same_rows:
            click.echo("             not known to hold the pinned rows: loaded as unpinned")
        if split.how_to_get:
            click.echo(f"  to get:    {split.how_to_get}")
    click.echo("\nprompt")
    for line in spec.prompt.splitlines():
        click.echo(f"  | {line}")
    if spec.errata:
        click.echo("\nerrata")
    for erratum in spec.errata:
        click.echo(f"  - {erratum.what}\n    mended: {erratum.mended}")


@command.command("validate", short_help="Check rows, ids and gold answers of tasks.")
@click.argument("names", nargs=-1, metavar="[NAME[:SPLIT] | FILE]...")
@click.option(
    "--all",
    "all_tasks",
    is_flag=True,
    help="Every split of every built-in task; so it is without names.",
)
@data_dir_option
@json_option
@click.pass_context
def validate_command(
    context: click.Context,
    names: tuple[str, ...],
    all_tasks: bool,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Check that rows are the pinned ones, ids unique, and each gold grades correct.

    A name without a split means all splits of the task. Ends with 1 when a check fails. Without
    names every built-in task is checked; a split whose rows are not to be had here is then
    skipped and named.
    """
    if names and all_tasks:
        raise click.UsageError("give names of tasks or files, or --all, not both")
    all_tasks = not names
    from corl_bench.errors import ConfigError, MissingExtraError
    from corl_bench.grading import grade
    from corl_bench.tasks import list_tasks, load_task
    from corl_bench.tasks.validation import find_faults

    targets = (
        [f"{spec.name}:{split}" for spec in list_tasks() for split in spec.splits]
        if all_tasks
        else [target for name in names for target in _with_splits(name)]
    )
    reports: list[dict[str, Any]] = []
    for target in targets:
        try:
            task = load_task(target, data_dir=data_dir, allow_digest_mismatch=True)
        except (ConfigError, MissingExtraError) as error:
            if not all_tasks:
                raise
            report: dict[str, Any] = {"task": target, "skipped": str(error), "faults": []}
        else:
            report = {
                "task": target,
                "problems": task.total,
                "digest": task.digest,
                "digest_status": task.digest_status,
                "source": task.source,
                "faults": find_faults(task, grade),
            }
        reports.append(report)
        if not as_json:
            _print_report(report)
    if as_json:
        click.echo(json.dumps(reports, indent=2, ensure_ascii=False))
    if any(report["faults"] for report in reports):
        context.exit(1)


def _with_splits(name: str) -> list[str]:
    from corl_bench.tasks.loading import spec_of
    from corl_bench.tasks.locate import task_files

    if name in task_files() or name.endswith(".toml"):
        return [f"{name}:{split}" for split in spec_of(name).splits]
    return [name]


def _print_report(report: dict[str, Any]) -> None:
    if "skipped" in report:
        click.echo(f"skip  {report['task']}: {report['skipped']}")
        return
    faults = report["faults"]
    mark = "FAIL" if faults else "ok  "
    status = {
        "unpinned": f"{report['digest']} (unpinned)",
        "mismatch-allowed": "not the pinned one",
    }.get(report["digest_status"], report["digest_status"])
    click.echo(
        f"{mark}  {report['task']}: {report['problems']:,} problems, digest {status}, "
        f"from {report['source']}"
    )
    for fault in faults[:FAULTS_SHOWN]:
        click.echo(f"      {fault}")
    if len(faults) > FAULTS_SHOWN:
        click.echo(f"      and {len(faults) - FAULTS_SHOWN} more")


def _digest_status(split: Split) -> str:
    return "pinned" if split.digest else "unpinned"


def _origin(split: Split) -> str:
    if split.generated:
        return "generated"
    if split.source is None:
        return "a local file (--data-dir)"
    return _source_text(split.source)


def _source_text(source: Source) -> str:
    parts = [
        source.dataset,
        f"({', '.join(source.configurations)})" if source.configurations else "",
        "+".join(source.splits),
        f"revision {source.revision or 'unpinned'}",
    ]
    return " ".join(part for part in parts if part)


def _as_json(spec: TaskSpec) -> dict[str, Any]:
    from dataclasses import asdict

    splits = {
        name: {
            **{field: getattr(split, field) for field in ("count", "digest", "generated")},
            "digest_status": _digest_status(split),
            "source": asdict(split.source) if split.source else None,
            "how_to_get": split.how_to_get,
        }
        for name, split in spec.splits.items()
    }
    return {
        "name": spec.name,
        "title": spec.title,
        "kind": spec.kind,
        "default_split": spec.default_split,
        "licence": spec.licence,
        "redistributable": spec.redistributable,
        "prompt": spec.prompt,
        "difficulty": asdict(spec.difficulty) if spec.difficulty else None,
        "splits": splits,
        "errata": [asdict(erratum) for erratum in spec.errata],
        "mends": [asdict(mend) for mend in spec.mends],
    }
