from __future__ import annotations

from decimal import Decimal

from corl_bench.metrics.adherence import violates


def test_a_budget_is_kept_to_the_last_digit() -> None:
    budget = Decimal("0.0005")
    assert not violates(Decimal("0.0005"), budget)
    assert not violates(Decimal("0.00050000"), budget)
    assert violates(Decimal("0.0005000000000001"), budget)
