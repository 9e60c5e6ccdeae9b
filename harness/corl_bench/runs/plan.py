"""What a run is to do: tasks × problems × systems × budgets × samples, fixed before it starts.

A plan is known by its identity: everything that decides verdicts and list costs. The same
identity means the same episodes, so a directory that holds a run of another identity is
refused rather than mixed, and the directory's default name is derived from it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from corl_bench import grading
from corl_bench.errors import ConfigError
from corl_bench.experts.base import ExpertSpec, Pool
from corl_bench.experts.recording import problem_key
from corl_bench.money.amounts import format_usd, parse_usd
from corl_bench.results import EPISODE_SCHEMA, episode_key
from corl_bench.routers.base import Fitted, Router, own_models
from corl_bench.routers.decision_file import match_decisions
from corl_bench.routers.learning import trained_part
from corl_bench.routers.registry import baselines, code_digest, parse_systems
from corl_bench.runs.stopping import StoppingRule
from corl_bench.tasks import LoadedTask, load_task
from corl_bench.types import Budget, Mode, Problem

UNBILLED_PROVIDERS = frozenset({"recorded"})
"""Providers that never bill, so that their experts need no output limit."""


@dataclass(frozen=True, slots=True)
class Job:
    """One episode to be made."""

    task: LoadedTask
    problem: Problem
    system: Router
    budget: Budget | None
    sample: int

    @property
    def key(self) -> str:
        return episode_key(
            self.task.label,
            self.problem.id,
            self.system.name,
            None if self.budget is None else self.budget.name,
            self.sample,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides what the episodes of a run are."""

    tasks: tuple[LoadedTask, ...]
    pool: Pool
    systems: tuple[Router, ...]
    budgets: tuple[Budget, ...]
    samples: int
    seed: int
    limit: int | None
    mode: Mode
    stopping: StoppingRule | None = None
    """Ends each arm when it is decided; None makes every episode."""
    training: LoadedTask | None = None
    """Rows for the systems that learn."""
    written: tuple[str, ...] = ()
    """The systems as they were named, from which another process makes them again."""

    def jobs(self) -> Iterator[Job]:
        """Episodes in the order in which they are made: problem by problem, oracles last.

        Oracles read the replies that the other systems have stored, so they wait for them.
        With a stopping rule problems come in its random order, and not all of them are made.
        """
        for oracles in (False, True):
            systems = [system for system in self.systems if system.is_oracle == oracles]
            for task in self.tasks if systems else ():
                for problem in self.ordered_problems(task):
                    for sample in range(self.samples):
                        for system in systems:
                            for budget in self.budgets_of(system):
                                yield Job(task, problem, system, budget, sample)

    @property
    def all_tasks(self) -> tuple[LoadedTask, ...]:
        """The tasks that are scored, and the training rows."""
        return self.tasks if self.training is None else (*self.tasks, self.training)

    @property
    def models(self) -> tuple[ExpertSpec, ...]:
        """Everything that can be asked: the pool's experts, then what systems bring along."""
        brought = (model for system in self.systems for model in own_models(system))
        return (*self.pool.experts, *brought)

    def experts_of(self, system: Router) -> tuple[ExpertSpec, ...]:
        """What one system may ask: the pool's experts and its own models, nobody else's."""
        return (*self.pool.experts, *own_models(system))

    def budgets_of(self, system: Router) -> Sequence[Budget | None]:
        """Budgets that a system is told: each, or none at all where it would not look."""
        return self.budgets if system.reads_budget and self.budgets else (None,)

    def ordered_problems(self, task: LoadedTask) -> tuple[Problem, ...]:
        """The problems of a task in the order in which they are asked."""
        if self.stopping is None:
            return task.problems
        return self.stopping.ordered(task)

    def identity(self) -> dict[str, Any]:
        """What must be equal for two runs to be the same run."""
        stopping = {} if self.stopping is None else {"until_decided": self.stopping.identity()}
        training = {} if self.training is None else {"training": _identity_of(self.training)}
        return {
            "schema": EPISODE_SCHEMA,
            "tasks": {task.label: _identity_of(task) for task in self.tasks},
            "limit": self.limit,
            "pool": {
                "digest": self.pool.digest,
                "prices": {e.name: e.price.row_id for e in self.models},
            },
            "systems": {system.name: code_digest(system) for system in self.systems},
            "budgets": {budget.name: format_usd(budget.usd) for budget in self.budgets},
            "samples": self.samples,
            "seed": self.seed,
            "mode": self.mode,
            "grader": grading.GRADER_VERSION,
            **stopping,
            **training,
        }

    @property
    def run_id(self) -> str:
        """Twelve hexadecimal digits that stand for the identity, but for the grader.

        With another grader the same command finds its directory again, and the replies that
        were paid for, instead of starting afresh; see `corl_bench.runs.regrading`.
        """
        decisive = {name: value for name, value in self.identity().items() if name != "grader"}
        text = json.dumps(decisive, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def default_directory(self) -> Path:
        names = "+".join(task.label for task in self.tasks).replace("/", "-").lstrip(".-")
        return Path("runs") / f"{names}-{self.pool.name}-{self.run_id[:8]}"


def make_plan(
    *,
    tasks: Sequence[str],
    pool: Pool,
    systems: Sequence[str],
    budget: str | None,
    samples: int,
    seed: int,
    limit: int | None,
    mode: Mode,
    data_dir: Path | None,
    allow_digest_mismatch: bool = False,
    with_oracle: bool = True,
    train: str | None = None,
) -> Plan:
    """Loads what the options name and refuses what cannot work, before anything is sent.

    `with_oracle` says whether an oracle is among the systems of a run that names none, `train`
    names the task on whose rows the systems learn that do.

    Raises:
        ConfigError: an unknown name, data that is not there, an expert that cannot be asked.
    """
    loaded = tuple(
        load_task(
            name,
            data_dir=data_dir,
            seed=seed,
            limit=limit,
            allow_digest_mismatch=allow_digest_mismatch,
        )
        for name in tasks
    )
    loaded = _told_apart(loaded)
    default = [name for name in baselines(pool, mode) if with_oracle or name != "oracle"]
    budgets = parse_budgets(budget, pool)
    made = parse_systems(systems or default, pool)
    rows = None
    if train is not None:
        rows = load_task(
            train,
            data_dir=data_dir,
            seed=seed,
            allow_digest_mismatch=allow_digest_mismatch,
        )
    _check_training(made, rows, loaded)
    _check_held_out(made, loaded)
    plan = Plan(
        tasks=loaded,
        pool=pool,
        systems=tuple(match_decisions(system, loaded, budgets) for system in made),
        budgets=budgets,
        samples=samples,
        seed=seed,
        limit=limit,
        mode=mode,
        training=rows,
        written=tuple(systems or default),
    )
    names = Counter(expert.name for expert in plan.models)
    if twice := [name for name, count in names.items() if count > 1]:
        raise ConfigError(
            f"a system brings a model called {twice[0]!r}, and so is an expert of the pool or"
            " another system's: rename one of them"
        )
    if mode == "live" and any(system.is_oracle for system in plan.systems):
        raise ConfigError(
            "an oracle reads stored replies, which mode live does not share:"
            " use --mode auto, record or replay"
        )
    if mode != "replay":
        for expert in plan.models:
            require_output_limit(expert)
    return plan


def _identity_of(task: LoadedTask) -> dict[str, Any]:
    return {"split": task.split, "digest": task.digest, "prompt": task.spec.prompt}


def _check_training(
    systems: Sequence[Router], rows: LoadedTask | None, tasks: Sequence[LoadedTask]
) -> None:
    """Refuses rows that nobody learns from, learners without rows, and rows that are scored, too.

    Raises:
        ConfigError: one of these.
    """
    learners = [system.name for system in systems if trained_part(system) is not None]
    if learners and not tasks:
        raise ConfigError(
            f"{learners[0]!r} learns from training rows, which only corl-bench run has: name a"
            " system that has been fitted"
        )
    if learners and rows is None:
        raise ConfigError(f"{learners[0]!r} learns first: name rows with --train, say math:train")
    if rows is None:
        return
    if not learners:
        raise ConfigError(f"--train {rows.label}: none of the systems learns; drop it")
    scored = {problem_key(problem.text): task for task in tasks for problem in task.problems}
    shared = [problem for problem in rows.problems if problem_key(problem.text) in scored]
    if shared:
        task = scored[problem_key(shared[0].text)]
        raise ConfigError(
            f"--train {rows.label}: {len(shared):,} of its problems are scored in {task.label}"
            f" (the first is {shared[0].id!r}); name rows that are held out"
        )


def _check_held_out(systems: Sequence[Router], tasks: Sequence[LoadedTask]) -> None:
    """Refuses systems that were fitted on what is scored.

    Raises:
        ConfigError: one was.
    """
    for system in systems:
        for task in tasks:
            if isinstance(system, Fitted) and system.fitted_on == task.digest:
                raise ConfigError(
                    f"{system.name!r} was fitted on these rows of {task.label}: name a split that"
                    " is held out"
                )


def _told_apart(tasks: Sequence[LoadedTask]) -> tuple[LoadedTask, ...]:
    """The tasks, files of one name called by their paths.

    Raises:
        ConfigError: a task stands there twice.
    """
    if len({(task.label, task.source) for task in tasks}) < len(tasks):
        raise ConfigError("a task is named twice; each --task counts once")
    count = Counter(task.label for task in tasks)
    return tuple(
        replace(task, spec=replace(task.spec, name=task.source)) if count[task.label] > 1 else task
        for task in tasks
    )


def parse_budgets(text: str | None, pool: Pool, *, option: str = "--budget") -> tuple[Budget, ...]:
    """Budgets as written after `--budget`; None means those that the pool names.

    Examples: `low=0.0005,high=0.01`, `low,high` (named by the pool), `0.002`, `none`.

    Args:
        text: what was written.
        pool: names some budgets, maybe.
        option: where it was written.

    Raises:
        ConfigError: a name that the pool does not know, an amount that is none or zero, or
            `none` beside others.
    """
    if text is None:
        return tuple(Budget(name, parse_usd(usd)) for name, usd in pool.budgets.items())
    parts = [part.strip() for part in text.split(",")]
    if "none" in parts and "none" not in pool.budgets:
        if len(parts) > 1:
            raise ConfigError(
                f"{option} {text!r}: none stands alone, for no budget at all; systems that are"
                " blind to budgets run once and are scored at each"
            )
        return ()
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d*)?", text.strip()):
        raise ConfigError(
            f"{option} {text!r}: a comma separates budgets; write {text.strip().replace(',', '')}"
            " for one amount, or give each a name: low=0.0005,high=0.01"
        )
    budgets: dict[str, Budget] = {}
    for part in parts:
        name, equals, amount = (piece.strip() for piece in part.partition("="))
        if not equals and name in pool.budgets:
            amount = pool.budgets[name]
        elif not equals:
            amount = name
        try:
            usd = parse_usd(amount)
        except ConfigError as error:
            known = ", ".join(pool.budgets) or "none"
            raise ConfigError(
                f"{option} {part!r}: neither dollars nor a budget of pool"
                f" {pool.name!r} (it names {known}); write low=0.0005,high=0.01"
            ) from error
        if usd == 0:
            raise ConfigError(f"{option} {part!r}: a budget of $0 allows no call; name more")
        if not name or name in budgets:
            raise ConfigError(f"{option} {text!r}: each budget needs a name of its own")
        budgets[name] = Budget(name, usd)
    return tuple(budgets.values())


def require_output_limit(expert: ExpertSpec) -> None:
    """Refuses an expert that can be billed and of which nobody can say how much.

    Raises:
        ConfigError: it has no output limit.
    """
    if expert.provider not in UNBILLED_PROVIDERS and not expert.sampling.max_output_tokens:
        raise ConfigError(
            f"expert {expert.name!r} needs max_output_tokens in its pool file: without it"
            " nobody can say what a call costs at the worst"
        )


def require_worst_cases(plan: Plan) -> None:
    """Refuses a spending cap over servers of which nobody says what a call can cost.

    Raises:
        ConfigError: one of the models is such a server.
    """
    for expert in plan.models:
        if expert.tariff is not None and expert.tariff.worst_case_usd is None:
            raise ConfigError(
                f"no spending cap can be kept: {expert.name} chooses its models itself, so state"
                ' what one request may cost at the worst, worst_case_usd = "…" under [cost] of its'
                " file"
            )
