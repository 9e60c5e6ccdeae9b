"""The oracle: the cheapest expert that is right, which no real system can know beforehand.

It bounds what any router that calls one expert could reach with this pool. It sees golds and
stored replies, and everything that prints it says so. Only the call that it chooses is billed.
"""

from __future__ import annotations

from dataclasses import dataclass

from corl_bench.episode import Episode
from corl_bench.errors import ConfigError
from corl_bench.routers.base import CallCounts
from corl_bench.types import Budget


@dataclass(frozen=True, slots=True)
class Oracle:
    """`oracle`: of the experts that are right the one whose reply cost least.

    Where none is right it takes the cheapest reply. Replies must be stored: by a recording,
    or by `single:` systems of the same run.
    """

    name: str = "oracle"
    reads_budget: bool = False
    is_oracle: bool = True

    async def solve(self, problem: str, budget: Budget | None, episode: Episode) -> str | None:
        stored = []
        for position, expert in enumerate(episode.experts):
            reply = episode.stored_reply(expert.name)
            if reply is None:
                raise ConfigError(
                    f"the oracle has no stored reply of {expert.name}: add"
                    " --system 'single:*' to the run, or replay recordings"
                )
            right = (await episode.verdict_on(reply.text)).correct
            stored.append((not right, reply.cost_usd, position, expert.name))
        chosen = min(stored)[-1]
        return (await episode.call(chosen)).text

    def call_counts(self) -> CallCounts:
        return {}
