"""Decisions replayed on recorded episodes: looked up, not played again.

Where every expert's reply to every problem is recorded and judged (the episodes of `single:*`),
what a router that names one expert a problem would have come to is known without another
episode: the verdict and the exact dollars of the expert that it names, and its own fee on top.
Invariant: these are the outcomes of `corl-bench run --system decisions:FILE` on the same
recordings, verdict by verdict and digit by digit, at a few microseconds an episode instead of a
millisecond. A threshold can so be swept over a whole data set.

    experts = recorded_experts(read_episodes(Path("runs/demo")), task="synth")
    outcomes = experts.replay({problem: "nano" for problem in experts.problems}, system="mine")
    outcomes.accuracy, outcomes.total_cost_usd
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches

from corl_bench.errors import ConfigError
from corl_bench.money.amounts import EXACT
from corl_bench.money.basis import CostBasis, weakest
from corl_bench.results.episodes import EpisodeRecord
from corl_bench.results.outcomes import Outcomes, expert_of
from corl_bench.types import Budget


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one expert's samples on one problem came to."""

    right: tuple[bool, ...]
    costs_usd: tuple[Decimal, ...]
    errors: int
    basis: CostBasis


@dataclass(frozen=True, slots=True)
class RecordedExperts:
    """Experts of whom the reply to every problem of a task is recorded."""

    task: str
    by_expert: Mapping[str, Mapping[str, Recorded]]
    """By expert, then by problem id, both in sorted order; all have the same problems."""

    @property
    def experts(self) -> tuple[str, ...]:
        return tuple(self.by_expert)

    @property
    def problems(self) -> tuple[str, ...]:
        """Their ids, sorted."""
        return tuple(next(iter(self.by_expert.values())))

    def replay(
        self,
        choices: Mapping[str, str],
        *,
        system: str,
        budget: Budget | None = None,
        fees_usd: Mapping[str, Decimal] | None = None,
    ) -> Outcomes:
        """What a system would have come to that had asked these experts.

        Args:
            choices: by problem id, the expert that answers it; samples of a problem go the same
                way. Problems that are not recorded are passed over.
            system: its name.
            budget: that it was told, if it was told one.
            fees_usd: by problem id, what deciding cost for one sample, as the system itself says.

        Raises:
            ConfigError: a recorded problem without a choice, or an expert that is not recorded.
        """
        fees_usd = fees_usd or {}
        right: dict[str, tuple[bool, ...]] = {}
        costs_usd: dict[str, tuple[Decimal, ...]] = {}
        errors = 0
        bases: set[CostBasis] = {"self_reported"} if any(fees_usd.values()) else set()
        for problem in self.problems:
            try:
                recorded = self.by_expert[choices[problem]][problem]
            except KeyError:
                raise self._missing(problem, choices.get(problem)) from None
            right[problem] = recorded.right
            costs_usd[problem] = recorded.costs_usd
            if fee_usd := fees_usd.get(problem):
                costs_usd[problem] = tuple(EXACT.add(usd, fee_usd) for usd in recorded.costs_usd)
            errors += recorded.errors
            bases.add(recorded.basis)
        return Outcomes(
            task=self.task,
            system=system,
            budget=None if budget is None else budget.name,
            budget_usd=None if budget is None else budget.usd,
            is_oracle=False,
            right=right,
            costs_usd=costs_usd,
            errors=errors,
            cost_basis=weakest(bases),
        )

    def _missing(self, problem: str, expert: str | None) -> ConfigError:
        if expert is None:
            return ConfigError(f"no decision on problem {problem!r} of {self.task}: add one")
        near = get_close_matches(expert, self.experts, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(self.experts)}"
        return ConfigError(f"no recorded replies of expert {expert!r} to {self.task}; {hint}")


def recorded_experts(episodes: Iterable[EpisodeRecord], *, task: str) -> RecordedExperts:
    """The experts of whom a run has every reply: its systems `single:EXPERT`.

    Args:
        episodes: of a run, in any order; those of other systems and tasks are passed over.
        task: label of the task.

    Raises:
        ConfigError: there are none, or some lack samples of problems that others have.
    """
    drawn: dict[str, dict[str, list[EpisodeRecord]]] = {}
    for episode in episodes:
        expert = expert_of(episode.system)
        if expert is not None and episode.task == task:
            drawn.setdefault(expert, {}).setdefault(episode.problem_id, []).append(episode)
    if not drawn:
        raise ConfigError(
            f"the run has no replies of single experts to {task}: make one with --system 'single:*'"
        )
    shapes = {
        expert: {problem: sorted(e.sample for e in own) for problem, own in by_problem.items()}
        for expert, by_problem in drawn.items()
    }
    first = min(shapes)
    for expert, shape in shapes.items():
        if shape != shapes[first]:
            raise ConfigError(
                f"{first} and {expert} have not answered the same samples of {task}: finish the"
                " run with its own command"
            )
    return RecordedExperts(
        task,
        {
            expert: {problem: _recorded(drawn[expert][problem]) for problem in sorted(shape)}
            for expert, shape in sorted(shapes.items())
        },
    )


def _recorded(episodes: list[EpisodeRecord]) -> Recorded:
    episodes = sorted(episodes, key=lambda episode: episode.sample)
    return Recorded(
        right=tuple(episode.verdict == "correct" for episode in episodes),
        costs_usd=tuple(episode.list_cost_usd for episode in episodes),
        errors=sum(episode.verdict == "error" for episode in episodes),
        basis=weakest(episode.cost_basis for episode in episodes),
    )
