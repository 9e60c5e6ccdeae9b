"""`corl-train launch`: a recipe for OpenRLHF on a cluster of GPUs.

corl-train launch corl-paper --max-cost 7000 --dry-run
corl-train launch corl-paper --max-cost 7000 --out /shared/corl-paper
corl-train launch --out /shared/corl-paper --stop
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from corl_bench.cli.options import data_dir_option
from corl_train.cli.options import experts_options

if TYPE_CHECKING:
    from corl_train.experts import Where

INTERRUPTED = 130
_HOST_NAME = re.compile(r"[\w-]+(\.[\w-]+)*\.?", re.ASCII)
_EXIT_CODES = {"finished": 0, "failed": 1, "stopped": INTERRUPTED, "cap": 3}


def _job_server(context: click.Context, parameter: click.Parameter, url: str | None) -> str | None:
    """An address of a job server, refused before anything is asked of it."""
    from corl_train.openrlhf.jobs import JobServer

    return None if url is None else JobServer(url).address


def _machine(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:
    """An address or a name of a machine, without a port."""
    from ipaddress import ip_address

    if name is None or _HOST_NAME.fullmatch(name):
        return name
    try:
        return str(ip_address(name))
    except ValueError:
        raise click.BadParameter(
            f"{name!r} is neither an address nor the name of a machine: write 10.0.0.1"
        ) from None


@click.command()
@click.argument("recipe", required=False)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The job's directory, on a file system that all nodes share; the same command again goes"
    " on there.  [default: runs/RECIPE-SEED]",
)
@click.option("--nodes", type=click.IntRange(1), help="Instead of the recipe's placement.nodes.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="TABLE.KEY=VALUE",
    help="Change a setting of the recipe; repeatable. `corl-train recipes NAME` shows them.",
)
@click.option(
    "--address",
    envvar=["RAY_API_SERVER_ADDRESS"],
    show_envvar=True,
    callback=_job_server,
    help="Of Ray's job server.  [default: where the job was submitted, else http://127.0.0.1:8265]",
)
@click.option(
    "--host",
    callback=_machine,
    help="Address of this machine that the nodes reach, for the experts' server.  [default: the"
    " job's of before, else 127.0.0.1]",
)
@click.option(
    "--retries",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    help="How often a job that has failed is gone on with by itself.",
)
@data_dir_option
@experts_options("this job")
@click.option(
    "--skip-expert-check",
    is_flag=True,
    help="Do not ask the experts whether they would answer (lists of models; it costs nothing).",
)
@click.option("--dry-run", is_flag=True, help="Check, estimate, and show the command; no more.")
@click.option(
    "--stop",
    is_flag=True,
    help="End the job and its experts' server, and nothing else; it takes --out, or RECIPE where"
    " the job is in its default directory. The job's own command goes on.",
)
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def command(
    recipe: str | None,
    out: Path | None,
    nodes: int | None,
    seed: int,
    settings: tuple[str, ...],
    address: str | None,
    host: str | None,
    retries: int,
    data_dir: Path | None,
    mode: Where,
    recordings: Path | None,
    max_cost: str | None,
    skip_expert_check: bool,
    dry_run: bool,
    stop: bool,
    quiet: bool,
) -> int:
    """Train a controller from RECIPE with OpenRLHF, on the Ray cluster of this machine.

    Prepares the data, checks recipe, cluster and experts before anything is paid for, submits
    the job and follows it. Ctrl-C stops following, not the job; the same command follows it
    again, or goes on from its last checkpoint where it has crashed or was stopped. A recorded
    call (the same question, the same draw) is never paid for again; what the controller asks in
    other words when it makes episodes anew since the checkpoint is paid for.
    """
    from corl_bench.money.amounts import parse_usd
    from corl_train.openrlhf.launching import (
        Options,
        PreflightError,
        check,
        describe,
        prepare_job,
    )
    from corl_train.openrlhf.launching import dry_run as show
    from corl_train.openrlhf.recipe import load_job_recipe
    from corl_train.openrlhf.running import run_job, stop_job

    if stop and out is not None:
        stop_job(out.absolute(), address=address, say=click.echo)
        return 0
    if recipe is None:
        raise click.UsageError(
            "--stop: name the job's directory with --out" if stop else "Missing argument 'RECIPE'."
        )
    if nodes is not None:
        settings = (*settings, f"placement.nodes={nodes}")
    loaded = load_job_recipe(recipe, settings=settings)
    folder = out or Path("runs") / f"{loaded.name}-{seed}"
    options = Options(
        folder=folder.absolute(),
        seed=seed,
        data_dir=data_dir,
        mode=mode,
        recordings=recordings,
        cap_usd=None if max_cost is None else parse_usd(max_cost, what="--max-cost"),
        address=address,
        host=host,
        retries=retries,
        is_asking_experts=not skip_expert_check,
    )
    if stop:
        stop_job(options.folder, address=address, say=click.echo)
        return 0
    try:
        if dry_run:
            prepared = prepare_job(loaded, options)
            for line in describe(prepared, options):
                click.echo(line)
            if mistakes := check(prepared, options):
                raise PreflightError(mistakes)
            for line in show(prepared, options):
                click.echo(line)
            return 0
        ending = run_job(loaded, options, say=(lambda line: None) if quiet else click.echo)
    except PreflightError as refused:
        for mistake in refused.mistakes:
            click.echo(f"corl-train: {mistake}", err=True)
        return refused.exit_code
    except KeyboardInterrupt:
        click.echo(f"the job goes on; follow it with the same command: {folder}", err=True)
        return INTERRUPTED
    if ending == "finished":
        click.echo(f"{folder}: finished\n  corl-train export {folder} {folder}/export")
    elif ending == "cap":
        click.echo(f"{folder}: stopped by the spending cap; a higher --max-cost goes on", err=True)
    else:
        click.echo(
            f"{folder}: {ending}; see {folder}/logs, and repeat the command to go on", err=True
        )
    return _EXIT_CODES[ending]
