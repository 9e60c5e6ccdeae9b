"""Systems that compare answers: the cascade, which stops at two that agree, and the vote.

Answers are equal where grading says so. Ties go to the cheaper expert, by output price, then
input price, then the order in which the system names them; prices are what is known before a
call, so that the choice does not depend on the length of one reply.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from corl_bench.episode import Episode, ExpertReply
from corl_bench.routers.base import CallCounts
from corl_bench.types import Budget


@dataclass(frozen=True, slots=True)
class Cascade:
    """`cascade:a>b>c`: asks the next expert until two replies agree."""

    experts: tuple[str, ...]
    reads_budget: bool = False
    is_oracle: bool = False

    @property
    def name(self) -> str:
        return "cascade:" + ">".join(self.experts)

    async def solve(self, problem: str, budget: Budget | None, episode: Episode) -> str | None:
        replies: list[ExpertReply] = []
        for expert in self.experts:
            replies.append(await episode.call(expert))
            groups = await episode.agreement(replies)
            if groups[-1] is not None and groups[-1] in groups[:-1]:
                break
        return await majority(episode, replies)

    def call_counts(self) -> CallCounts:
        # Two calls at least, all at the most; that half of the rest is needed is a guess.
        certain, possible = Counter(self.experts[:2]), Counter(self.experts[2:])
        return {
            expert: (
                certain[expert],
                certain[expert] + possible[expert] / 2,
                certain[expert] + possible[expert],
            )
            for expert in self.experts
        }


@dataclass(frozen=True, slots=True)
class Vote:
    """`vote:a,b,c`: asks everyone at once and takes the majority's answer."""

    experts: tuple[str, ...]
    reads_budget: bool = False
    is_oracle: bool = False

    @property
    def name(self) -> str:
        return "vote:" + ",".join(self.experts)

    async def solve(self, problem: str, budget: Budget | None, episode: Episode) -> str | None:
        replies = await asyncio.gather(*(episode.call(expert) for expert in self.experts))
        return await majority(episode, replies)

    def call_counts(self) -> CallCounts:
        counts = {expert: self.experts.count(expert) for expert in self.experts}
        return {expert: (count, float(count), count) for expert, count in counts.items()}


async def majority(episode: Episode, replies: Sequence[ExpertReply]) -> str | None:
    """The text of the cheapest reply in the largest group of equal answers.

    Without any answer it is the text of the cheapest reply that came at all, so that grading
    can say what is wrong with it.
    """
    price = {expert.name: expert.price for expert in episode.experts}

    def cheapness(position: int) -> tuple[object, ...]:
        row = price[replies[position].expert]
        return row.output_usd_per_mtok, row.input_usd_per_mtok, position

    groups: dict[int, list[int]] = {}
    for position, group in enumerate(await episode.agreement(replies)):
        if group is not None:
            groups.setdefault(group, []).append(position)
    if groups:
        largest = max(map(len, groups.values()))
        candidates = [p for group in groups.values() if len(group) == largest for p in group]
    else:
        candidates = [p for p, reply in enumerate(replies) if reply.text is not None]
    if not candidates:
        return None
    return replies[min(candidates, key=cheapness)].text
