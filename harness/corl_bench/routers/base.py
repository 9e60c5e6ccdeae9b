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

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from corl_bench.types import Budget

if TYPE_CHECKING:
    from corl_bench.episode import Episode


@runtime_checkable
class Router(Protocol):
    """Anything that turns a problem and a budget into an answer by calling experts."""

    name: str
    """As the table shows it; unique in a run."""
    reads_budget: bool
    """False: the system runs once and is scored at each budget."""
    is_oracle: bool
    """True: it sees the gold answer and stored replies, and is shown as such."""

    async def solve(self, problem: str, budget: Budget | None, episode: Episode) -> str | None:
        """Answers one problem.

        Returns:
            The text to grade, usually the reply of an expert; None: no answer.
        """
        ...
