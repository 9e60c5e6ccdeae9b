"""The world of a recipe whose pools and budgets vary: what it draws them from.

Everything in it follows from the recipe, the pool and the training split: the family, the cards,
how experts err. A run that goes on finds the very same world.

    world = open_world(load_pool("sim"), load_task("synth:train"), table)
    pool, budget = world.draw_pool(rng), world.draw_budget(rng)
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

from corl_bench.errors import ConfigError
from corl_bench.experts.base import ExpertSpec, Pool
from corl_bench.experts.card_file import rounded as rounded_card
from corl_bench.experts.trials import Booth, SimulatedBooth, measure_cards
from corl_bench.money.amounts import format_usd, parse_usd
from corl_bench.tasks import LoadedTask
from corl_bench.types import Budget, Problem
from corl_train.config import VarietyTable
from corl_train.variety.family import draw_family, pool_of, repriced
from corl_train.variety.manners import Manners, manners_of

LEAST_SHARE = 1 / 4
"""Of the largest budget of a plan: below it a plan's ticks are too coarse."""
_COMPARED = 90
"""Problems on which experts are compared to know how they err."""
_DIGITS = 2


@dataclass(frozen=True, slots=True)
class World:
    """Where pools and budgets are drawn from."""

    table: VarietyTable
    base: Pool
    """The recipe's own pool, with cards."""
    family: tuple[ExpertSpec, ...]
    """With cards."""
    booth: Booth
    """Where all of them can be asked."""
    manners: Manners
    held_out_usd: frozenset[Decimal]

    def draw_pool(self, rng: Random) -> Pool:
        """A pool: how many experts, which, in which order, at which prices."""
        table, own = self.table, self.base.experts
        size = rng.randint(table.fewest, table.most)
        wanted = sum(rng.random() < table.base_rate for _ in range(size))
        # Of whom there are not enough, the others make up for.
        known = min(len(own), max(wanted, size - len(self.family)))
        chosen = [*rng.sample(own, known), *rng.sample(self.family, size - known)]
        rng.shuffle(chosen)
        span = math.log(table.price_factor)
        return pool_of(
            f"{self.base.name}, varied",
            [repriced(expert, math.exp(rng.uniform(-span, span))) for expert in chosen],
            self.base,
        )

    def draw_horizon(self, rng: Random) -> Decimal:
        """The largest budget of a plan, which serves budgets from `LEAST_SHARE` of it.

        Were it drawn like a budget, few plans would serve the largest ones; so it is drawn from a
        range that reaches beyond them, and cut to the recipe's.
        """
        largest = parse_usd(self.table.largest_usd)
        low = math.log(float(parse_usd(self.table.least_usd)))
        high = math.log(float(largest) / LEAST_SHARE)
        return min(largest, two_digits(math.exp(rng.uniform(low, high))))

    def draw_budget(self, rng: Random) -> Budget:
        """Dollars, as many decades as any: two digits, and none that are held out."""
        low = math.log(float(parse_usd(self.table.least_usd)))
        high = math.log(float(parse_usd(self.table.largest_usd)))
        while True:
            usd = two_digits(math.exp(rng.uniform(low, high)))
            if usd not in self.held_out_usd:
                return Budget(format_usd(usd), usd)


def open_world(pool: Pool, task: LoadedTask, table: VarietyTable) -> World:
    """The world of a recipe.

    Args:
        pool: the recipe's; all of its experts are simulated.
        task: the training split, on which cards are measured.
        table: how things vary.

    Raises:
        ConfigError: the pool is not simulated, or too small for pools of that size.
    """
    family = draw_family(pool, table.family, Random(f"family of {pool.digest}"))
    if len(pool.experts) + len(family) < table.most:
        raise ConfigError(
            f"variety.most: {table.most} experts a pool, and there are"
            f" {len(pool.experts) + len(family)}: raise variety.family"
        )
    everyone = pool_of(pool.name, [*pool.experts, *family], pool)
    booth = SimulatedBooth(everyone)
    carded = carded_pool(everyone, booth, task.problems, table.trials).experts
    names = [expert.name for expert in everyone.experts]
    return World(
        table=table,
        base=pool_of(pool.name, carded[: len(pool.experts)], pool),
        family=carded[len(pool.experts) :],
        booth=booth,
        manners=manners_of(booth, names[:12], task.problems[:: _every(task.problems)]),
        held_out_usd=frozenset(parse_usd(usd) for usd in table.held_out_usd),
    )


def carded_pool(pool: Pool, booth: Booth, problems: Sequence[Problem], trials: int) -> Pool:
    """A pool whose experts have cards; whoever has one keeps it.

    Args:
        pool: whose experts the booth knows.
        booth: where they are asked.
        problems: of the training split.
        trials: problems of each subject, the first ones of the split.
    """
    bare = [expert for expert in pool.experts if expert.card is None]
    if not bare:
        return pool
    by_subject: dict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        by_subject[problem.subject or ""].append(problem)
    asked = [problem for own in by_subject.values() for problem in own[:trials]]
    cards = measure_cards(replace(pool, experts=tuple(bare)), booth, asked)
    carded = [
        replace(expert, card=rounded_card(cards[expert.name])) if expert.card is None else expert
        for expert in pool.experts
    ]
    return pool_of(pool.name, carded, pool)


def two_digits(usd: float) -> Decimal:
    """Dollars in two digits that count."""
    return Decimal(f"{usd:.{_DIGITS - 1}e}")


def _every(problems: Sequence[Problem]) -> int:
    return max(1, len(problems) // _COMPARED)
