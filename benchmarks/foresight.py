"""How good is foresight itself: what a policy earns that does what cards and prices speak for.

It is the ceiling of the warm start of recipes whose pools and budgets vary. Foresight plays pools
that a world draws, knows what a controller is told and no more, and its decisions are counted
against the exact optimum of each pool, which knows the simulation's tables.

    python benchmarks/foresight.py --pools 8 --problems 80 --seed 0
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from decimal import Decimal
from random import Random

from corl_bench.episode import ExpertInfo
from corl_bench.experts.base import Pool
from corl_bench.experts.simulation.tables import Cell, read_simulation
from corl_bench.experts.simulation.values import State, Values, values_by_part
from corl_bench.experts.trials import Booth
from corl_bench.routers.outlook import card_of, costs_of, lettered
from corl_bench.tasks import load_task
from corl_bench.types import Budget, Problem
from corl_train.config import load_recipe
from corl_train.setup import prepare
from corl_train.variety.foresight import Foresight

MAX_CALLS = 4


def play(
    foresight: Foresight,
    aliases: Mapping[str, str],
    booth: Booth,
    pool: Pool,
    problem: Problem,
    cell: Cell,
    values: Values,
    budget: Budget,
    sample: int,
) -> tuple[float, float]:
    """One episode: what its decisions leave of the optimum, and the optimum."""
    seen: list[tuple[str, str | None]] = []
    told: list[tuple[str, str | None]] = []
    left_usd = budget.usd
    best = values.best(State(cell, (), left_usd))
    lost = 0.0
    while True:
        state = State(cell, tuple(seen), left_usd)
        worth = foresight.worth(problem.subject or "", told, float(left_usd))
        letter = max(worth, key=lambda name: (worth[name], name is None))
        if letter is None:
            answers = foresight.answers(problem.subject or "", told)
            name = max(answers, key=answers.__getitem__, default=None)
            answer = next((a for who, a in reversed(told) if who == name and a), None)
            return best - lost - (values.best(state) - values.of_answer(state, answer)), best
        alias = aliases[letter]
        lost += values.best(state) - values.of_call(state, alias)
        again = sum(name == letter for name, _ in told)
        heard = booth.ask(alias, problem, sample, again)
        assert heard is not None
        seen.append((alias, heard.answer))
        told.append((letter, heard.answer))
        left_usd -= pool[alias].price.cost_usd(heard.usage)


def main() -> None:
    """Prints the share of the optimum for each pool and budget, and the mean of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pools", type=int, default=8)
    parser.add_argument("--problems", type=int, default=80)
    parser.add_argument("--budgets", default="0.001,0.005")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    setup = prepare(load_recipe("general", settings=["variety.family=24"]))
    world = setup.world
    assert world is not None
    rng = Random(given.seed)
    problems = load_task("synth:test").problems
    problems = problems[:: max(1, len(problems) // given.problems)]
    budgets = [Budget(usd, Decimal(usd)) for usd in given.budgets.split(",")]
    subjects = sorted({problem.subject or "" for problem in setup.train.problems})
    shares = []
    for number in range(given.pools):
        pool = world.draw_pool(rng)
        simulation = read_simulation(pool)
        cells = {problem.id: simulation.cell(problem) for problem in problems}
        by_cell: dict[Cell, Values] = {}
        for values in values_by_part(pool, set(cells.values()), budgets, max_calls=MAX_CALLS):
            by_cell.update(dict.fromkeys(values.cells, values))
        letters = lettered(map(ExpertInfo.of, pool.experts))
        aliases = {letter: expert.name for letter, expert in letters.items()}
        for budget in budgets:
            foresight = Foresight(
                {letter: card_of(expert) for letter, expert in letters.items()},
                {letter: costs_of(expert) for letter, expert in letters.items()},
                subjects,
                world.manners,
                horizon_usd=float(budget.usd),
                max_calls=MAX_CALLS,
            )
            played = [
                play(
                    *(foresight, aliases, world.booth, pool, problem, cells[problem.id]),
                    *(by_cell[cells[problem.id]], budget, 1_000 + place),
                )
                for place, problem in enumerate(problems)
            ]
            shares.append(sum(got for got, _ in played) / sum(best for _, best in played))
            print(f"pool {number}, {len(pool.experts)} experts, ${budget.name}: {shares[-1]:.1%}")
    print(f"mean {sum(shares) / len(shares):.1%}, least {min(shares):.1%}")


if __name__ == "__main__":
    main()
