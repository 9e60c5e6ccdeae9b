"""Systems that decide without looking at any answer: one expert, any expert, a coin of two.

The coin is the yardstick of every comparison: mixing two systems at random reaches each point
on the line between them, so a router must lie above that line to be worth anything.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from corl_bench.episode import Episode
from corl_bench.routers.base import CallCounts
from corl_bench.types import Budget


@dataclass(frozen=True, slots=True)
class Single:
    """`single:<expert>`: always the same expert."""

    expert: str
    reads_budget: bool = False
    is_oracle: bool = False

    @property
    def name(self) -> str:
        return f"single:{self.expert}"

    async def solve(self, problem: str, budget: Budget | None, episode: Episode) -> str | None:
        return (await episode.call(self.expert)).text

    def call_counts(self) -> CallCounts:
        return {self.expert: (1, 1.0, 1)}


@dataclass(frozen=True, slots=True)
class Random:
    """`random`: an expert drawn anew for each problem, all alike."""

    experts: tuple[str, ...]
    name: str = "random"
    reads_budget: bool = False
    is_oracle: bool = False

    async def solve(self, problem: str, budget: Budget | None, episode: Episode) -> str | None:
        return (await episode.call(episode.rng.choice(self.experts))).text

    def call_counts(self) -> CallCounts:
        named = Counter(self.experts)
        certain = int(len(named) == 1)
        return {expert: (certain, n / len(self.experts), 1) for expert, n in named.items()}


@dataclass(frozen=True, slots=True)
class Mixture:
    """`mix:a,b@p`: expert `b` with probability `p`, else expert `a`."""

    first: str
    second: str
    second_share: float
    reads_budget: bool = False
    is_oracle: bool = False

    @property
    def name(self) -> str:
        # repr is the shortest text that reads back as this very share, so that two systems
        # never have one name.
        share = repr(self.second_share).removesuffix(".0")
        return f"mix:{self.first},{self.second}@{share}"

    async def solve(self, problem: str, budget: Budget | None, episode: Episode) -> str | None:
        second = episode.rng.random() < self.second_share
        return (await episode.call(self.second if second else self.first)).text

    def call_counts(self) -> CallCounts:
        if self.first == self.second:
            return {self.first: (1, 1.0, 1)}
        return {
            self.first: (0, 1 - self.second_share, 1),
            self.second: (0, self.second_share, 1),
        }
