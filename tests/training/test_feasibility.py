from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pytest

from corl_bench.experts.pools import load_pool
from corl_bench.types import Budget
from corl_train.feasibility import Feasible, costs_of_simulation, feasibility, render

COMMAND = [sys.executable, "-m", "corl_train.cli", "feasibility"]


def test_declared_costs_are_a_distribution() -> None:
    costs = costs_of_simulation(load_pool("sim"))
    for known in costs.values():
        assert sum(share for _, share in known) == pytest.approx(1)
        assert all(cost > 0 for cost, _ in known)


def test_a_share_counts_the_calls_that_fit() -> None:
    costs = {"a": [(Decimal("0.1"), 0.25), (Decimal("0.3"), 0.75)]}
    (row,) = feasibility([Budget("b", Decimal("0.3"))], costs, max_calls=4)
    assert row.shares == (1.0, 0.25, 0.25, 0)


def test_a_larger_budget_never_fits_less() -> None:
    costs = costs_of_simulation(load_pool("sim"))
    budgets = [Budget(str(n), Decimal(n) / 1000) for n in (0, 1, 5, 20, 100)]
    rows = feasibility(budgets, costs)
    for small, large in zip(rows, rows[len(costs) :], strict=False):
        assert small.expert == large.expert
        assert all(a <= b + 1e-12 for a, b in zip(small.shares, large.shares, strict=True))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 0, "simulated costs"),
        (("--budget", "tiny=0.000001"), 1, "nothing fits"),
        (("--pool", "nosuch"), 2, "nosuch"),
        (("--budget", "none"), 2, "name a budget"),
        (("--recordings", "nosuch.sqlite"), 2, "nosuch.sqlite"),
    ],
)
def test_the_command(arguments: tuple[str, ...], code: int, said: str) -> None:
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr


def test_heads_stand_over_their_columns() -> None:
    rows = [
        Feasible(Budget(name, Decimal(usd)), expert, (1.0, 0.5, 0.0))
        for name, usd in (("a-budget-of-a-long-name", "0.0000001"), ("b", "1"))
        for expert in ("x", "an-expert-of-a-long-name")
    ]
    lines = render(rows, simulated=False).splitlines()
    assert len({len(line) for line in lines}) == 1
    heads = [line for line in lines if "call" in line]
    assert len({line.index("1 call") for line in heads}) == 1
