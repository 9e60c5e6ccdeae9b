"""The protocol of a routing system.

A system sees the problem's text and a budget, and reaches experts through the episode alone:

    class Cheapest:
        name = "cheapest"
        reads_budget = False
        is_oracle = False

        async def solve(self, problem, budget, episode):
            expert = min(episode.experts, key=lambda e: e.price.output_usd_per_mtok)
            reply = await episode.call(expert.name)
            return reply.text
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from corl_bench.types import Budget

if TYPE_CHECKING:
    from corl_bench.episode import Episode, ExpertInfo
    from corl_bench.experts.base import ExpertSpec

CallCounts = Mapping[str, tuple[int, float, int]]
"""By expert: how many calls an episode makes at least, on average, and at the most."""


@runtime_checkable
class Router(Protocol):
    """Anything that turns a problem and a budget into an answer by calling experts."""

    @property
    def name(self) -> str:
        """As the table shows it; unique in a run."""
        ...

    @property
    def reads_budget(self) -> bool:
        """False: the system runs once and is scored at each budget."""
        ...

    @property
    def is_oracle(self) -> bool:
        """True: it sees golds and stored replies, and is shown as such."""
        ...

    async def solve(self, problem: str, budget: Budget | None, episode: Episode) -> str | None:
        """Answers one problem.

        Returns:
            The text to grade, usually the reply of an expert; None: no answer.
        """
        ...


@runtime_checkable
class BringsModels(Protocol):
    """A system with models of its own, beside the experts of the pool: a controller, say."""

    @property
    def own_models(self) -> tuple[ExpertSpec, ...]:
        """With role `self` and names that no expert of the pool has."""
        ...


def own_models(system: Router) -> tuple[ExpertSpec, ...]:
    """The models that a system brings; most bring none."""
    models: tuple[ExpertSpec, ...] = getattr(system, "own_models", ())
    return models


@runtime_checkable
class Conversing(BringsModels, Protocol):
    """A system that talks with its own models, and knows how it will begin."""

    def opening(self, problem: str, budget: Budget | None, experts: Sequence[ExpertInfo]) -> str:
        """The first message.

        Args:
            problem: the statement.
            budget: what the system is told.
            experts: everything that it may ask, its own models among them.
        """
        ...


@runtime_checkable
class Fitted(Protocol):
    """A system that was fitted on rows of a task, which prove nothing about it."""

    @property
    def fitted_on(self) -> str:
        """Digest of those rows."""
        ...


@runtime_checkable
class Predictable(Protocol):
    """A system that knows how many calls it will make, for `--dry-run`."""

    def call_counts(self) -> CallCounts: ...
