"""From a recipe to a job that runs: prepare, look before anything is paid for, submit, follow.

Invariants: nothing is asked of an expert, and no GPU taken, before every check has passed; a dry
run leaves nothing behind; a job that was begun is never prepared again, so what it goes on with
is what it began with.

    prepared = prepare_job(recipe, options)
    mistakes = check(prepared, options)
    ending = run_job(recipe, options, say=print)
"""

from __future__ import annotations

import json
import shlex
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from corl_bench.errors import ConfigError, CorlError
from corl_bench.experts.pools import builtin_pools, load_pool
from corl_bench.files import write_text
from corl_bench.money.amounts import format_usd
from corl_bench.routers.controller import Controller
from corl_bench.routers.protocol import parse_protocol, read_protocol
from corl_bench.runs.plan import parse_budgets
from corl_train.experts import Experts, Where
from corl_train.openrlhf.command import (
    AGENT,
    AGENT_NAME,
    DATA,
    ENTRY,
    RUNTIME_ENV_NAME,
    runtime_env,
)
from corl_train.openrlhf.data import (
    REPORT_NAME,
    Prepared,
    describe_rows,
    prepare_rows,
    write_rows,
)
from corl_train.openrlhf.estimate import JobEstimate, describe_estimate, estimate_job
from corl_train.openrlhf.experts_server import POOL_NAME, ExpertsServer
from corl_train.openrlhf.job import FILE_NAME, Job, read_job, write_job
from corl_train.openrlhf.jobs import JobServer
from corl_train.openrlhf.placement import memory_of
from corl_train.openrlhf.preflight import (
    Setup,
    ask_experts,
    check_cluster,
    check_folder,
    check_recipe,
)
from corl_train.openrlhf.recipe import JobRecipe
from corl_train.openrlhf.submission import (
    Ending,
    SubmittedJob,
    is_locked,
    open_job,
    under_way,
)
from corl_train.openrlhf.survey import digest_of_file, read_survey
from corl_train.setup import own_model, require_own_name, require_trainable

_POLL_S = 0.5
_PROTOCOL_NAME = "protocol.toml"
_SOURCE_POOL_NAME = "experts.toml"
"""The pool that the experts' server asks, where it is none that comes with the bench."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says beside the recipe."""

    folder: Path
    """Of the job; absolute."""
    seed: int = 0
    data_dir: Path | None = None
    mode: Where = "auto"
    recordings: Path | None = None
    cap_usd: Decimal | None = None
    address: str = "http://127.0.0.1:8265"
    """Of Ray's job server."""
    host: str = "127.0.0.1"
    """Where the experts' server listens, as the nodes reach this machine."""
    retries: int = 2
    """How often a job that has failed is gone on with by itself."""
    is_asking_experts: bool = True
    """Whether each expert is asked, for nothing, if it would answer."""
    entry: str = ENTRY
    python: str = "python"


@dataclass(frozen=True, slots=True)
class PreparedJob:
    """What a recipe comes to, in memory."""

    recipe: JobRecipe
    setup: Setup
    protocol_text: str
    rows: Prepared
    estimated: JobEstimate


class PreflightError(CorlError):
    """The job would go wrong; `mistakes` says how, a line each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__(mistakes[0])
        self.mistakes = mistakes


def prepare_job(recipe: JobRecipe, options: Options) -> PreparedJob:
    """Loads what a recipe names, prepares its rows and estimates it. Nothing is written.

    Raises:
        ConfigError: something that it names is not there or cannot be used.
    """
    pool = load_pool(recipe.data.pool)
    require_own_name(pool)
    protocol_text = read_protocol(recipe.data.protocol)
    protocol = parse_protocol(protocol_text, recipe.data.protocol)
    require_trainable(protocol)
    budgets = tuple(parse_budgets(recipe.data.budgets, pool))
    if not budgets:
        raise ConfigError(f"pool {pool.name!r} names no budgets: set data.budgets=low=0.0005,…")
    experts = Experts(options.mode, options.recordings)
    own = own_model(recipe.name, recipe.model.usd_per_mtok)
    rows = prepare_rows(recipe, budgets, seed=options.seed, data_dir=options.data_dir)
    setup = Setup(
        pool=pool,
        budgets=budgets,
        controller=Controller(f"controller:{recipe.name}", own, protocol),
        task=rows.task,
        recordings=options.recordings,
        is_billed=bool(experts.billed(pool)),
    )
    estimated = estimate_job(
        recipe,
        rows.task,
        pool,
        budgets,
        setup.controller,
        validation_rows=len(rows.validation),
        recordings=options.recordings,
    )
    return PreparedJob(recipe, setup, protocol_text, rows, estimated)


def check(prepared: PreparedJob, options: Options) -> list[str]:
    """Every mistake that can be seen without a cluster, a line each."""
    mistakes = [
        *check_folder(options.folder),
        *check_recipe(prepared.recipe, prepared.setup, prepared.estimated, options.cap_usd),
    ]
    nodes = prepared.recipe.placement.nodes
    if nodes > 1 and prepared.setup.is_billed and options.host in ("127.0.0.1", "localhost"):
        mistakes.append(
            f"{nodes} nodes cannot reach an experts' server on {options.host}: name an address of"
            " this machine that they reach with --host"
        )
    if prepared.setup.is_billed and options.is_asking_experts:
        mistakes += ask_experts(prepared.setup.pool)
    return mistakes


def describe(prepared: PreparedJob, options: Options) -> list[str]:
    """Data, memory, calls, dollars and hours, as lines for a terminal."""
    memory = memory_of(prepared.recipe)
    gpu = prepared.recipe.placement.gpu_memory_gib
    return [
        describe_rows(prepared.rows.report),
        f"each GPU's {gpu:.0f} GiB: {memory.training_gib:.0f} to learn, of which"
        f" {memory.states_gib:.0f} states and {memory.activations_gib:.0f} activations;"
        f" {memory.generation_gib:.0f} to generate, with keys of {memory.kept_tokens} tokens",
        *describe_estimate(prepared.estimated, options.cap_usd, is_billed=prepared.setup.is_billed),
    ]


def dry_run(prepared: PreparedJob, options: Options) -> list[str]:
    """The runtime environment and the exact command, as lines for a terminal."""
    job = SubmittedJob(prepared.recipe, options.folder, options.seed, options.entry, options.python)
    words = job.command(options.address)
    return [
        f"{options.folder / RUNTIME_ENV_NAME}:",
        *runtime_env(options.folder).splitlines(),
        *_shell(words),
    ]


def run_job(recipe: JobRecipe, options: Options, *, say: Callable[[str], None]) -> Ending:
    """Begins a job, goes on with it, or follows it where it is under way.

    Args:
        recipe: what is trained.
        options: of the command line.
        say: told what goes on.

    Raises:
        PreflightError: it would go wrong; nothing was paid for.
        ConfigError: Ray or the experts' server cannot be reached, or the directory holds another
            job.
        StorageError: the directory cannot be written.
    """
    server = JobServer(options.address)
    with open_job(
        recipe, options.folder, seed=options.seed, entry=options.entry, python=options.python
    ) as job:
        if job.is_finished:
            say(f"{options.folder}: this job is finished")
            return "finished"
        if not job.attempts:
            if mistakes := check_folder(options.folder):
                raise PreflightError(mistakes)
            prepared = prepare_job(recipe, options)
            for line in describe(prepared, options):
                say(line)
            if mistakes := check(prepared, options):
                raise PreflightError(mistakes)
            _write(prepared, options)
        server.require()
        steps = _steps(recipe, options.folder)
        running = job.settle(server)
        experts = _open_experts(recipe, options)
        try:
            if running is None:
                _survey(job, server, experts, steps)
            return _follow(job, server, experts, steps, options, say, running)
        finally:
            # Ctrl-C, or a head node that is gone, leaves the job where it is, and this with it.
            if experts is not None and job.current is None:
                experts.stop()


def stop_job(recipe: JobRecipe, options: Options) -> None:
    """Ends a job that is under way, and its experts' server; the same command goes on with it.

    Whoever follows the job is told, and then ends the experts' server himself.

    Raises:
        ConfigError: there is no job, Ray cannot be reached, or it holds another job.
    """
    server = JobServer(options.address)
    name = under_way(options.folder)
    if name is not None:
        server.stop(name)
        while not server.state(name).is_over:
            time.sleep(_POLL_S)
    if is_locked(options.folder):
        return
    with open_job(recipe, options.folder, seed=options.seed) as job:
        job.settle(server)
        ExpertsServer(options.folder).stop()


def _follow(
    job: SubmittedJob,
    server: JobServer,
    experts: ExpertsServer | None,
    steps: int,
    options: Options,
    say: Callable[[str], None],
    running: str | None,
) -> Ending:
    left = options.retries
    while True:
        is_new = running is None
        if is_new:
            name = job.submit(server)
            say(f"{name} is submitted; `ray job logs {name}` shows all that it prints")
        else:
            say(f"{running} is under way")
        ending = job.follow(server, steps=steps, experts=experts, say=say, is_new=is_new)
        if ending != "failed" or left == 0:
            return ending
        left -= 1
        running = None
        say(f"attempt {len(job.attempts)} has failed: going on from its last checkpoint")


def _write(prepared: PreparedJob, options: Options) -> None:
    """The job's directory; `job.json` comes last, for with it the rest is there."""
    folder, recipe, setup = options.folder, prepared.recipe, prepared.setup
    write_rows(prepared.rows, folder / DATA)
    write_text(folder / _PROTOCOL_NAME, prepared.protocol_text)
    write_text(folder / AGENT_NAME, AGENT)
    named = recipe.data.pool
    if named not in builtin_pools():
        shutil.copyfile(named, folder / _SOURCE_POOL_NAME)
        named = _SOURCE_POOL_NAME
    spec = prepared.rows.task.spec
    is_replay = not setup.is_billed and not setup.pool.simulated
    write_job(
        Job(
            name=recipe.name,
            pool=POOL_NAME if setup.is_billed else named,
            protocol=_PROTOCOL_NAME,
            price_date=setup.pool.price_date,
            budgets={budget.name: format_usd(budget.usd) for budget in setup.budgets},
            prompts={prepared.rows.task.label: spec.prompt},
            usd_per_mtok=recipe.model.usd_per_mtok,
            reward=recipe.reward,
            seed=options.seed,
            experts="gateway" if setup.is_billed else "replay" if is_replay else "simulated",
            recordings=str(options.recordings.resolve())
            if is_replay and options.recordings is not None
            else None,
        ),
        folder,
    )


def _open_experts(recipe: JobRecipe, options: Options) -> ExpertsServer | None:
    """Starts the experts' server, or finds it at work; None where nobody bills."""
    job = read_job(options.folder / FILE_NAME)
    if job.experts != "gateway":
        return None
    if options.cap_usd is None:
        raise ConfigError("this job asks live experts: repeat its --max-cost, or name a higher one")
    own = options.folder / _SOURCE_POOL_NAME
    experts = ExpertsServer(options.folder)
    experts.start(
        str(own) if own.is_file() else recipe.data.pool,
        cap_usd=options.cap_usd,
        host=options.host,
        recordings=options.recordings,
        price_date=None if job.price_date is None else job.price_date.isoformat(),
    )
    return experts


def _survey(
    job: SubmittedJob, server: JobServer, experts: ExpertsServer | None, steps: int
) -> None:
    """Looks at the cluster from its own nodes.

    Raises:
        PreflightError: it will not do.
        ConfigError: it could not be looked at.
    """
    folder = job.folder
    write_text(folder / RUNTIME_ENV_NAME, runtime_env(folder))
    name = f"survey-{job.next_name}-{time.time_ns():x}"
    server.submit(
        [
            *("ray", "job", "submit", "--address", server.address, "--submission-id", name),
            *("--runtime-env", str(folder / RUNTIME_ENV_NAME), "--no-wait", "--", job.python),
            *("-m", "corl_train.openrlhf.survey", str(folder)),
            *(digest_of_file(folder / FILE_NAME), "--model", job.recipe.model.path),
            *(() if experts is None else ("--health-url", experts.health_url)),
        ]
    )
    while not (state := server.state(name)).is_over:
        time.sleep(_POLL_S)
    if state.status != "SUCCEEDED":
        raise ConfigError(
            "the cluster could not be surveyed: pip install 'corl-bench[openrlhf]' in the"
            f" environment of Ray on every node ({state.message[-300:]})"
        )
    if mistakes := check_cluster(job.recipe, read_survey(folder), steps):
        raise PreflightError(mistakes)


def _steps(recipe: JobRecipe, folder: Path) -> int:
    """Of the whole job, by its rows."""
    path = folder / DATA / REPORT_NAME
    try:
        trained = int(json.loads(path.read_bytes())["trained"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not what `corl-train launch` writes ({error})") from None
    return trained // recipe.training.prompts * recipe.training.passes


def _shell(words: list[str]) -> list[str]:
    """A command as lines that a shell takes, an option each."""
    lines: list[str] = []
    for word in words:
        if lines and not word.startswith("--"):
            lines[-1] += f" {shlex.quote(word)}"
        else:
            lines.append(shlex.quote(word))
    return [" \\\n  ".join(lines)]
