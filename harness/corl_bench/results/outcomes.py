"""What a system came to, problem by problem: all that statistics need of a run.

`Outcomes` keeps the verdict and the exact list cost of every sample, nested in its problem, and
nothing of texts or calls. A `ResultSet` holds those of one run with the digests that say what
they may be compared with.

    results = read_result_set(Path("runs/demo"))
    {outcomes.label: outcomes.accuracy for outcomes in results.outcomes}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.money.amounts import parse_usd, sum_usd
from corl_bench.money.basis import CostBasis, is_known, weakest
from corl_bench.results.episodes import EpisodeRecord, read_episodes
from corl_bench.results.manifest import MANIFEST_NAME, read_manifest
from corl_bench.types import Budget

_COST_STEP = Decimal("1e-12")
_SINGLE = "single:"


def is_single(system: str) -> bool:
    """Whether a system is one expert alone, by its name: `single:<expert>`."""
    return system.startswith(_SINGLE)


def expert_of(system: str) -> str | None:
    """The expert of a system that is one alone; None of any other."""
    return system.removeprefix(_SINGLE) if is_single(system) else None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Verdicts and costs of one system on one task, at the budget that it was told."""

    task: str
    system: str
    budget: str | None
    """Name of the budget that the system was told; None for none and for budget-blind ones."""
    budget_usd: Decimal | None
    is_oracle: bool
    right: Mapping[str, tuple[bool, ...]]
    """By problem id, in sorted order: whether each sample is correct."""
    costs_usd: Mapping[str, tuple[Decimal, ...]]
    """By the same ids: list cost of each sample."""
    errors: int = 0
    """Samples whose verdict is `error`; they count as wrong."""
    cost_basis: CostBasis = "metered"
    """That of the least sure of its costs."""

    @property
    def is_ranked(self) -> bool:
        """Whether it is compared with others: it sees no golds, and what it cost is known."""
        return not self.is_oracle and is_known(self.cost_basis)

    @property
    def label(self) -> str:
        """`system`, or `system@budget` where the system was told one."""
        return self.system if self.budget is None else f"{self.system}@{self.budget}"

    @property
    def episodes(self) -> int:
        return sum(map(len, self.right.values()))

    @property
    def accuracy(self) -> float:
        """Mean over samples, then over problems."""
        by_samples = Counter[int]()  # of problems with as many samples: nearly always all of them
        for right in self.right.values():
            by_samples[len(right)] += sum(right)
        shares = (Fraction(right, samples) for samples, right in by_samples.items())
        return float(sum(shares, Fraction(0)) / len(self.right))

    @property
    def total_cost_usd(self) -> Decimal:
        return sum_usd(cost for costs in self.costs_usd.values() for cost in costs)

    @property
    def mean_cost_usd(self) -> Decimal:
        """List cost per episode, rounded to 12 decimals."""
        return (self.total_cost_usd / self.episodes).quantize(_COST_STEP)


@dataclass(frozen=True, slots=True)
class ResultSet:
    """The outcomes of one run, and what they are outcomes of."""

    name: str
    """Of the run's directory, for people."""
    run_id: str
    task_digests: Mapping[str, str]
    pool_digest: str
    prices: Mapping[str, str]
    """By expert: the id of its price row."""
    grader: str
    budgets: tuple[Budget, ...]
    """All of the run, also those that only blind systems are scored at."""
    simulated: bool
    outcomes: tuple[Outcomes, ...] = field(repr=False)

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.task_digests)

    def of_task(self, task: str) -> tuple[Outcomes, ...]:
        return tuple(outcomes for outcomes in self.outcomes if outcomes.task == task)


def collect_outcomes(
    episodes: Iterable[EpisodeRecord], oracles: Iterable[str] = ()
) -> tuple[Outcomes, ...]:
    """Groups episodes by task, system and told budget, in the order of first appearance.

    Args:
        episodes: of one run, at most one for each key, in any order.
        oracles: names of the systems that see golds.
    """
    groups: dict[tuple[str, str, str | None], dict[str, list[EpisodeRecord]]] = {}
    for episode in episodes:
        group = groups.setdefault((episode.task, episode.system, episode.budget), {})
        group.setdefault(episode.problem_id, []).append(episode)
    blind = frozenset(oracles)
    collected = []
    for (task, system, budget), by_problem in groups.items():
        samples = {
            problem: sorted(by_problem[problem], key=lambda episode: episode.sample)
            for problem in sorted(by_problem)
        }
        first = next(iter(samples.values()))[0]
        collected.append(
            Outcomes(
                task=task,
                system=system,
                budget=budget,
                budget_usd=first.budget_usd,
                is_oracle=system in blind,
                right={
                    problem: tuple(episode.verdict == "correct" for episode in drawn)
                    for problem, drawn in samples.items()
                },
                costs_usd={
                    problem: tuple(episode.list_cost_usd for episode in drawn)
                    for problem, drawn in samples.items()
                },
                errors=sum(
                    episode.verdict == "error" for drawn in samples.values() for episode in drawn
                ),
                cost_basis=weakest(
                    episode.cost_basis for drawn in samples.values() for episode in drawn
                ),
            )
        )
    return tuple(collected)


def read_result_set(run_dir: Path) -> ResultSet:
    """The result set of a run directory, in the manifest's order of tasks, systems, budgets.

    Raises:
        ConfigError: no run is there, or one of its files is broken.
    """
    manifest = read_manifest(run_dir)
    try:
        described = _described(run_dir, manifest)
        oracles = [system["name"] for system in manifest["systems"] if system["is_oracle"]]
        systems = {system["name"]: place for place, system in enumerate(manifest["systems"])}
    except (KeyError, TypeError, AttributeError, ConfigError) as error:
        raise ConfigError(
            f"{run_dir / MANIFEST_NAME} is broken ({error!r}): restore it, or make the run anew"
        ) from error
    tasks = {name: place for place, name in enumerate(described.task_digests)}
    budgets = {budget.name: place for place, budget in enumerate(described.budgets)}

    def place(point: Outcomes) -> tuple[int, int, int]:
        return (
            tasks.get(point.task, len(tasks)),
            systems.get(point.system, len(systems)),
            -1 if point.budget is None else budgets.get(point.budget, len(budgets)),
        )

    outcomes = collect_outcomes(read_episodes(run_dir), oracles)
    return replace(described, outcomes=tuple(sorted(outcomes, key=place)))


def _described(run_dir: Path, manifest: Mapping[str, Any]) -> ResultSet:
    """What a manifest says of a run; without outcomes."""
    pool = manifest["identity"]["pool"]
    return ResultSet(
        name=run_dir.resolve().name,
        run_id=manifest["run_id"],
        task_digests=texts({name: task["digest"] for name, task in manifest["tasks"].items()}),
        pool_digest=pool["digest"],
        prices=texts(pool["prices"]),
        grader=manifest["grader"],
        budgets=tuple(
            Budget(name, parse_usd(usd, what=f"budget {name}"))
            for name, usd in manifest["budgets"].items()
        ),
        simulated=manifest["pool"]["simulated"],
        outcomes=(),
    )


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """The same by name; results are held against each other by such values.

    Raises:
        TypeError: one of them is no text.
    """
    for name, value in values.items():
        if not isinstance(value, str):
            raise TypeError(f"{name}: {value!r} is no text")
    return dict(values)
