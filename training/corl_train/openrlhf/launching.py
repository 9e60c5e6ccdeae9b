"""From a recipe to a job that can be submitted: prepare, check, describe, write.

Invariants: nothing is asked of an expert, and no GPU taken; a dry run leaves nothing behind. What
becomes of a job then is `running`'s.

    prepared = prepare_job(recipe, options)
    mistakes = check(prepared, options)
    write_prepared(prepared, options)
"""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from corl_bench.errors import ConfigError, CorlError, StorageError
from corl_bench.experts.pools import builtin_pools, load_pool
from corl_bench.experts.transport import is_loopback
from corl_bench.files import write_text
from corl_bench.money.amounts import format_usd
from corl_bench.routers.controller import Controller
from corl_bench.routers.protocol import parse_protocol, read_protocol
from corl_bench.runs.plan import parse_budgets
from corl_train.coverage import require_covered
from corl_train.experts import Experts, Where
from corl_train.feasibility import look_at
from corl_train.openrlhf.command import (
    AGENT,
    AGENT_NAME,
    DATA,
    ENTRY,
    RUNTIME_ENV_NAME,
    runtime_env,
)
from corl_train.openrlhf.data import Prepared, describe_rows, prepare_rows, write_rows
from corl_train.openrlhf.estimate import JobEstimate, describe_estimate, estimate_job
from corl_train.openrlhf.experts_server import LOOPBACK, POOL_NAME
from corl_train.openrlhf.job import Job, make_job, write_job
from corl_train.openrlhf.jobs import DEFAULT_ADDRESS
from corl_train.openrlhf.placement import memory_of
from corl_train.openrlhf.preflight import Setup, ask_experts, check_folder, check_recipe
from corl_train.openrlhf.recipe import JobRecipe
from corl_train.openrlhf.submission import SubmittedJob
from corl_train.setup import own_model, require_own_name, require_trainable

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
    address: str | None = None
    """Of Ray's job server; None: where the job was submitted last, else this machine's."""
    host: str | None = None
    """Where the experts' server listens, as the nodes reach this machine; None: where it did
    before, else on loopback."""
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
    job: Job
    """As workers will read it."""
    gaps: tuple[str, ...] = ()
    """What recordings lack of the problems, where nobody else answers; a line each."""


class PreflightError(CorlError):
    """The job would go wrong; `mistakes` says how, a line each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__(mistakes[0])
        self.mistakes = mistakes


def prepare_job(recipe: JobRecipe, options: Options) -> PreparedJob:
    """Loads what a recipe names, prepares its rows and estimates it. Nothing is written.

    Raises:
        ConfigError: something that it names is not there or cannot be used, or no worker could
            do this job.
    """
    pool = load_pool(recipe.data.pool)
    require_own_name(pool)
    protocol_text = read_protocol(recipe.data.protocol)
    protocol = parse_protocol(protocol_text, recipe.data.protocol)
    require_trainable(protocol)
    budgets = tuple(parse_budgets(recipe.data.budgets, pool, option="data.budgets"))
    if not budgets:
        raise ConfigError(f"pool {pool.name!r} names no budgets: set data.budgets=low=0.0005,…")
    experts = Experts(options.mode, options.recordings)
    experts.require_recordings(pool)
    own = own_model(recipe.name, recipe.model.usd_per_mtok, key="model.usd_per_mtok")
    controller = Controller(f"controller:{recipe.name}", own, protocol)
    rows = prepare_rows(recipe, budgets, seed=options.seed, data_dir=options.data_dir)
    gaps: list[str] = []
    require_covered(pool, (rows.task,), experts, say=gaps.append)
    setup = Setup(
        pool=pool,
        budgets=budgets,
        controller=controller,
        task=rows.task,
        outlook=look_at(
            pool,
            budgets,
            task=rows.task,
            controller=controller,
            recordings=options.recordings,
            max_calls=protocol.max_calls,
            price_key="model.usd_per_mtok",
        ),
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
    job = _job_of(recipe, setup, experts, seed=options.seed)
    return PreparedJob(recipe, setup, protocol_text, rows, estimated, job, tuple(gaps))


def _job_of(recipe: JobRecipe, setup: Setup, experts: Experts, *, seed: int) -> Job:
    """What workers will read.

    Raises:
        ConfigError: they could not work with it.
    """
    pool = setup.pool
    is_replay = len(experts.bound_to_recordings(pool)) == len(pool.experts)
    source = "gateway" if setup.is_billed else "replay" if is_replay else "simulated"
    named = recipe.data.pool if recipe.data.pool in builtin_pools() else _SOURCE_POOL_NAME
    store = None if setup.is_billed else experts.recordings
    return make_job(
        name=recipe.name,
        pool=POOL_NAME if setup.is_billed else named,
        protocol=_PROTOCOL_NAME,
        price_date=pool.price_date,
        budgets={budget.name: format_usd(budget.usd) for budget in setup.budgets},
        prompts={setup.task.label: setup.task.spec.prompt},
        usd_per_mtok=recipe.model.usd_per_mtok,
        reward=recipe.reward,
        seed=seed,
        experts=source,
        recordings=None if store is None else str(store.resolve()),
    )


def check(prepared: PreparedJob, options: Options) -> list[str]:
    """Every mistake that can be seen without a cluster, a line each."""
    mistakes = [
        *check_folder(options.folder),
        *check_recipe(prepared.recipe, prepared.setup, prepared.estimated, options.cap_usd),
    ]
    nodes, host = prepared.recipe.placement.nodes, options.host or LOOPBACK
    is_nowhere = host in ("0.0.0.0", "::") or (nodes > 1 and is_loopback(host))
    if prepared.setup.is_billed and is_nowhere:
        mistakes.append(
            f"{nodes} nodes cannot reach an experts' server on {host}: name an address of"
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
        *prepared.gaps,
        *prepared.setup.outlook.table.splitlines(),
        f"each GPU's {gpu:.0f} GiB: {memory.training_gib:.0f} to learn, of which"
        f" {memory.states_gib:.0f} states and {memory.activations_gib:.0f} activations;"
        f" {memory.generation_gib:.0f} to generate, with keys of {memory.kept_tokens} tokens",
        *describe_estimate(prepared.estimated, options.cap_usd, is_billed=prepared.setup.is_billed),
    ]


def dry_run(prepared: PreparedJob, options: Options) -> list[str]:
    """The runtime environment and the exact command, as lines for a terminal."""
    job = SubmittedJob(prepared.recipe, options.folder, options.seed, options.entry, options.python)
    words = job.command(options.address or DEFAULT_ADDRESS)
    return [
        f"{options.folder / RUNTIME_ENV_NAME}:",
        *runtime_env(options.folder).splitlines(),
        *_shell(words),
    ]


def write_prepared(prepared: PreparedJob, options: Options) -> None:
    """Writes the job's directory; `job.json` comes last, for with it the rest is there.

    Raises:
        StorageError: it cannot be written.
    """
    folder, recipe = options.folder, prepared.recipe
    write_rows(prepared.rows, folder / DATA)
    write_text(folder / _PROTOCOL_NAME, prepared.protocol_text)
    write_text(folder / AGENT_NAME, AGENT)
    named, kept = recipe.data.pool, folder / _SOURCE_POOL_NAME
    try:
        # A launch that was refused may have left another job's.
        kept.unlink(missing_ok=True)
        if named not in builtin_pools():
            shutil.copyfile(named, kept)
    except OSError as error:
        raise StorageError(f"cannot write {kept}: {error.strerror}") from error
    write_job(prepared.job, folder)


def source_pool(recipe: JobRecipe, folder: Path) -> str:
    """The pool that the experts' server asks: one that comes with the bench, or the job's copy."""
    named = recipe.data.pool
    return named if named in builtin_pools() else str(folder / _SOURCE_POOL_NAME)


def _shell(words: list[str]) -> list[str]:
    """A command as lines that a shell takes, an option each."""
    lines: list[str] = []
    for word in words:
        if lines and not word.startswith("--"):
            lines[-1] += f" {shlex.quote(word)}"
        else:
            lines.append(shlex.quote(word))
    return [" \\\n  ".join(lines)]
