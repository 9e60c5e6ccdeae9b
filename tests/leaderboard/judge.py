"""Systems whose decisions cost something beside their calls."""

from __future__ import annotations

from decimal import Decimal

from corl_bench.episode import Episode
from corl_bench.money.basis import CostBasis
from corl_bench.types import Budget


class Judge:
    """Asks one expert, and has paid somebody for the advice."""

    name = "judge"
    reads_budget = False
    is_oracle = False
    basis: CostBasis = "stated"

    async def solve(self, problem: str, budget: Budget | None, episode: Episode) -> str | None:
        episode.charge(Decimal("0.0001"), f"advice on {problem}", basis=self.basis)
        return (await episode.call("nano")).text


class Boaster(Judge):
    """Says himself what the advice has cost."""

    name = "boaster"
    basis: CostBasis = "self_reported"
