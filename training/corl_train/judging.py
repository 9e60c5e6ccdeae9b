"""Who says that an answer is right, and what a budget holds for.

Recorded replies may come with the verdicts of whoever published them. Training and measuring by
those makes figures comparable with theirs; an answer that is no such reply's is judged by our
grader, whose verdict stands in the episode either way.

    Judging(verdicts="recorded", spend="mean").of(record)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from corl_bench.experts.verdicts import Judge, is_right
from corl_bench.metrics.summary import recorded_verdict
from corl_bench.results import EpisodeRecord
from corl_bench.results.episodes import CallRecord
from corl_bench.types import Problem
from corl_train.config import DataTable


@dataclass(frozen=True, slots=True)
class Judging:
    """What a recipe says of it."""

    verdicts: Judge = "ours"
    spend: Literal["each", "mean"] = "each"

    @classmethod
    def of_recipe(cls, data: DataTable) -> Judging:
        return cls(data.verdicts, data.spend)

    def of(self, episode: EpisodeRecord) -> bool:
        """Whether an episode's answer is right."""
        recorded = recorded_verdict(episode) if self.verdicts == "recorded" else None
        return episode.verdict == "correct" if recorded is None else recorded

    def of_reply(self, problem: Problem, answer: str | None, call: CallRecord) -> bool:
        """Whether a reply is right.

        Args:
            problem: with its answer.
            answer: that the reply states, or all of its text; None: it states none.
            call: that brought it.
        """
        return is_right(problem, answer, call.source_correct, by=self.verdicts)


OURS = Judging()
"""Our grader's verdicts, and budgets that hold for each episode."""
