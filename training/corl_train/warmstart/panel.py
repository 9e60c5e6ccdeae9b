"""Panels: which experts of a large pool a plan counts on.

The states of a conversation explode with the number of experts, not with what they are good for:
of a dozen some are no better than a cheaper one, and some agree with others whatever they say. So
each budget has a panel, which grows one by one, each time by whoever adds most to what the jury
takes a plan to be worth: right answers, less what it spends at about the price that the budget
will have. That price comes from a plan with few calls to everybody. All of it is worked out on
training problems.

    (panel,) = choose_panels(jury, costs_usd, 8, budgets_usd=[0.002], sightings=whole)
    plan = Plan(jury, costs_usd, 8, panel)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from corl_train.warmstart.difficulty import Jury, Sighting
from corl_train.warmstart.planning import Plan, count_states, largest_panel

Panel = tuple[int, ...]
"""Places of experts, in their order."""

_ROUGH_STATES = 20_000
"""Of the plan that gives prices."""
_ROUGH_CALLS = 4
"""That plans look ahead by which members are chosen; later ones take most of the states."""


def choose_panels(
    jury: Jury,
    costs_usd: Sequence[float],
    most_calls: int,
    *,
    budgets_usd: Sequence[float],
    sightings: Sequence[Sighting],
) -> list[Panel]:
    """The experts that plans are made for.

    Args:
        jury: what is known of all experts.
        costs_usd: of a call to each.
        most_calls: of a conversation.
        budgets_usd: mean dollars a problem.
        sightings: of training problems, of all experts.

    Returns:
        Of each budget: all of them where all states can be worked out; otherwise as many as can.
    """
    everybody = tuple(range(len(costs_usd)))
    size = largest_panel(len(everybody), most_calls)
    if size == len(everybody):
        return [everybody] * len(budgets_usd)
    rough = Plan(jury, costs_usd, _calls_to_all(len(everybody), most_calls))

    @cache
    def plan_of(panel: Panel) -> Plan:
        return Plan(jury, costs_usd, min(_ROUGH_CALLS, most_calls), panel)

    def grown(panel: Panel, price: float) -> Panel:
        larger = [tuple(sorted((*panel, one))) for one in everybody if one not in panel]
        return max(larger, key=lambda panel: plan_of(panel).priced(price).value)

    panels = []
    for budget_usd in budgets_usd:
        price = rough.price_for(budget_usd, sightings).price
        panel: Panel = ()
        while len(panel) < size:
            panel = grown(panel, price)
        panels.append(panel)
    return panels


def _calls_to_all(experts: int, most_calls: int) -> int:
    """How many calls a plan for everybody can look ahead; one at the least."""
    ahead = range(1, min(_ROUGH_CALLS, most_calls) + 1)
    return max((n for n in ahead if count_states(experts, n) <= _ROUGH_STATES), default=1)
