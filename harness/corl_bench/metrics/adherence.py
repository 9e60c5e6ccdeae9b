"""Budget adherence: whether an episode kept to what it was given to spend.

A budget is dollars of list cost for one problem, whoever pays them. Costs are compared as exact
decimals, so the last digit decides.

    >>> violates(Decimal("0.0005"), Decimal("0.0005"))
    False
"""

from __future__ import annotations

from decimal import Decimal


def violates(list_cost_usd: Decimal, budget_usd: Decimal) -> bool:
    """Whether an episode broke its budget: it cost more; exactly the budget is kept."""
    return list_cost_usd > budget_usd
