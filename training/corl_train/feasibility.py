"""Which calls a budget allows, known before anything is trained.

A reward that is zero whatever the controller does teaches nothing, so a budget is looked at
first: how often would one call, two calls, … of each expert fit into it? An expert's costs are
those of its stored replies, else the declared ones of a simulated expert, else, where it was never
asked, what the plain question costs at the worst. Beside them stands what the controller itself
costs at the least: a turn before each call and one for the answer, each of which reads the opening
again. A budget that fits no call is refused. Where only worst cases are known, real replies are
shorter: then it is refused if it fits not even the question, and said if it is below the cheapest
call as it is estimated. Nor does the table say whether what fits is ever right (`corl-bench pool
optimum` does, for simulated experts).

    table = require_feasible(pool, budgets, say=print)
    outlook = look_at(pool, budgets, task=task, controller=controller)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from corl_bench.episode import ExpertInfo
from corl_bench.errors import ConfigError
from corl_bench.experts.attempts import worst_case_usd
from corl_bench.experts.base import Pool, Request
from corl_bench.experts.simulation.draws import outcomes
from corl_bench.experts.simulation.optimum import declared_cells
from corl_bench.experts.simulation.spending import outcome_cost_usd
from corl_bench.experts.simulation.tables import read_simulation
from corl_bench.experts.store import RecordingStore
from corl_bench.money.amounts import format_usd
from corl_bench.routers.controller import Controller
from corl_bench.runs.estimate import ASSUMED_OUTPUT_SHARE, BYTES_PER_TOKEN
from corl_bench.tasks import LoadedTask, render_prompt
from corl_bench.types import Budget, Message, Usage

Costs = Sequence[tuple[Decimal, float]]
"""What one call costs in dollars, and how often it costs that."""


class InfeasibleError(ConfigError):
    """A budget allows no call to anyone, so that no controller could earn a reward at it."""

    def __init__(self, message: str, table: str) -> None:
        super().__init__(message)
        self.table = table
        """How often calls fit, budget by budget."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the budgets of a training run allow."""

    table: str
    """How often calls fit, budget by budget; empty where there is no budget."""
    refusal: str = ""
    """Which budgets fit not one call, and why; empty: each may."""


@dataclass(frozen=True, slots=True)
class Feasible:
    """How often calls of one expert fit into one budget."""

    budget: Budget
    expert: str
    shares: tuple[float, ...]
    """For one call, two calls, …: the share of calls whose cost, so many times, fits beside what
    the controller itself costs."""


def costs_of_simulation(pool: Pool) -> dict[str, Costs]:
    """Declared costs of simulated experts, every subject and level alike.

    Raises:
        ConfigError: the pool has no simulated experts.
    """
    simulation = read_simulation(pool)
    cells = declared_cells(pool)
    weight = sum(cells.values())
    return {
        expert.name: [
            (outcome_cost_usd(expert, outcome), outcome.probability * share / weight)
            for cell, share in cells.items()
            for outcome in outcomes(expert, cell.level, simulation.token_quantum)
        ]
        for expert in simulation.experts
    }


def costs_of_recordings(pool: Pool, store_path: Path) -> dict[str, Costs]:
    """Costs of stored replies at the pool's prices; experts without any are left out.

    Raises:
        ConfigError: there is no store.
    """
    costs: dict[str, list[Decimal]] = {expert.name: [] for expert in pool.experts}
    with RecordingStore.open(store_path, create=False, read_only=True) as store:
        for call in store.calls():
            if call.reply is None:
                continue
            for expert in pool.experts:
                # As `RecordingStore.draws` finds them: an alias alone is somebody else's, maybe.
                is_imported = call.origin == "imported" and call.expert == expert.name
                if call.model == expert.model or is_imported:
                    costs[expert.name].append(expert.price.cost_usd(call.reply.usage))
    return {
        name: [(cost, 1 / len(known)) for cost in known] for name, known in costs.items() if known
    }


def costs_at_worst(pool: Pool, task: LoadedTask) -> dict[str, Costs]:
    """Worst cases of a plain call on each problem, by prices and output limits."""
    prompts = [(p.text, render_prompt(task.spec, p.text)) for p in task.problems]
    return {
        expert.name: [
            (
                worst_case_usd(Request(expert, (Message("user", asked),), expert.sampling, text)),
                1 / len(prompts),
            )
            for text, asked in prompts
        ]
        for expert in pool.experts
    }


def costs_about(pool: Pool, task: LoadedTask, *, output_share: float) -> dict[str, Decimal]:
    """About what a plain call on the shortest problem costs, a token for every four bytes.

    Of a server that prices its calls itself nothing is known, and it counts as free.

    Args:
        pool: who is called.
        task: of its prompts the shortest.
        output_share: of the output limit that the reply takes; 0: what asking alone costs.
    """
    shortest = min(len(render_prompt(task.spec, p.text).encode()) for p in task.problems)
    return {
        expert.name: Decimal(0)
        if expert.tariff is not None
        else expert.price.cost_usd(
            Usage(
                input_tokens=shortest // BYTES_PER_TOKEN,
                output_tokens=round((expert.sampling.max_output_tokens or 0) * output_share),
            )
        )
        for expert in pool.experts
    }


def own_turn_usd(controller: Controller, pool: Pool, task: LoadedTask, budget: Budget) -> Decimal:
    """About what a turn of the controller costs at the least: the shortest opening, and a call.

    A token is taken for every four bytes, as `corl-bench run --dry-run` takes it, for it is not
    known yet how the policy cuts text into tokens.
    """
    protocol = controller.protocol
    infos = [ExpertInfo.of(expert) for expert in pool.experts]
    shortest = min((problem.text for problem in task.problems), key=len)
    opening = controller.opening(shortest, budget, infos)
    said = f'<{protocol.call_tag} expert=""></{protocol.call_tag}>'
    usage = Usage(
        input_tokens=len(opening.encode()) // BYTES_PER_TOKEN,
        output_tokens=len(said) // BYTES_PER_TOKEN,
    )
    return controller.own_model.price.cost_usd(usage)


def require_feasible(
    pool: Pool,
    budgets: Sequence[Budget],
    *,
    task: LoadedTask | None = None,
    controller: Controller | None = None,
    recordings: Path | None = None,
    max_calls: int = 3,
    say: Callable[[str], None] = lambda line: None,
) -> str:
    """Refuses budgets of a training run that allow no call, before it begins.

    Args:
        pool: as of `look_at`, and so are those that follow.
        budgets: amounts for one problem.
        task: whose prompts tell worst cases.
        controller: whose own turns count.
        recordings: stored replies.
        max_calls: how many columns the table has.
        say: is told the table, before anything is refused.

    Returns:
        The table; empty where there is no budget.

    Raises:
        InfeasibleError: a budget fits not one call, and that is more than a worst case.
        ConfigError: as `look_at`.
    """
    outlook = look_at(
        pool,
        budgets,
        task=task,
        controller=controller,
        recordings=recordings,
        max_calls=max_calls,
    )
    for line in outlook.table.splitlines():
        say(line)
    if outlook.refusal:
        raise InfeasibleError(outlook.refusal, outlook.table)
    return outlook.table


def look_at(
    pool: Pool,
    budgets: Sequence[Budget],
    *,
    task: LoadedTask | None = None,
    controller: Controller | None = None,
    recordings: Path | None = None,
    max_calls: int = 3,
    price_key: str = "policy.usd_per_mtok",
) -> Outlook:
    """Looks at the budgets of a training run.

    Args:
        pool: who may be called.
        budgets: amounts for one problem.
        task: of its prompts the worst case is taken where no cost is known.
        controller: whose own turns on `task` are counted; without it they cost nothing.
        recordings: stored replies; those of an expert go before anything declared.
        max_calls: how many columns the table has.
        price_key: the recipe's key that states the price of those turns.

    Raises:
        ConfigError: nothing is known of an expert, and there is no task to take worst cases of.
    """
    if not budgets:
        return Outlook("")
    costs, at_worst = _costs(pool, recordings, task)
    own_usd: dict[str, Decimal] = {}
    if controller is not None and task is not None:
        own_usd = {b.name: own_turn_usd(controller, pool, task, b) for b in budgets}
    rows = feasibility(budgets, costs, max_calls=max_calls, own_turn_usd=own_usd)
    asking: dict[str, Decimal] = {}
    expected_usd: dict[str, Decimal] = {}
    if at_worst and task is not None:
        asking = costs_about(pool, task, output_share=0)
        likely = costs_about(pool, task, output_share=ASSUMED_OUTPUT_SHARE)
        least_usd = min(likely[name] for name in at_worst)
        expected_usd = {b.name: least_usd + 2 * own_usd.get(b.name, Decimal(0)) for b in budgets}
    table = render(
        rows,
        simulated=recordings is None and pool.simulated and not at_worst,
        at_worst=at_worst,
        expected_usd=expected_usd,
    )
    least = {name: asking[name] if name in at_worst else _least(costs[name]) for name in costs}
    cheapest = min(costs, key=least.__getitem__)
    hopeless = [b for b in budgets if least[cheapest] + 2 * own_usd.get(b.name, Decimal(0)) > b.usd]
    if not hopeless:
        return Outlook(table)
    names = ", ".join(f"{budget.name} (${format_usd(budget.usd)})" for budget in hopeless)
    amount = f"${format_usd(least[cheapest])}"
    why = f"the cheapest call costs {amount}"
    if cheapest in at_worst:
        why = f"the question of the cheapest call alone costs about {amount}"
    if any(least[cheapest] <= budget.usd for budget in hopeless):
        dearest = max(2 * own_usd[budget.name] for budget in hopeless)
        why += f", and the controller's own two turns about ${format_usd(dearest)} by {price_key}"
    return Outlook(
        table,
        f"budget {names} fits not one call to any expert, so every reward would be zero:"
        f" {why}; raise the budget or leave it out",
    )


def _costs(
    pool: Pool, recordings: Path | None, task: LoadedTask | None
) -> tuple[dict[str, Costs], frozenset[str]]:
    """What is known of each expert's calls, in the pool's order; of whom only worst cases are."""
    known: dict[str, Costs] = {}
    if any(expert.provider == "simulated" for expert in pool.experts):
        known |= costs_of_simulation(pool)
    if recordings is not None:
        known |= costs_of_recordings(pool, recordings)
    unknown = [expert.name for expert in pool.experts if expert.name not in known]
    if unknown and task is None:
        missing = "is not simulated" if recordings is None else f"lacks replies in {recordings}"
        raise ConfigError(
            f"pool {pool.name!r}: expert {unknown[0]!r} {missing}: name stored replies of it with"
            " --recordings"
        )
    worst = costs_at_worst(pool, task) if unknown and task is not None else {}
    costs = {name: known.get(name) or worst[name] for name in (e.name for e in pool.experts)}
    return costs, frozenset(unknown)


def _least(costs: Costs) -> Decimal:
    return min(cost for cost, share in costs if share)


def fits_anything(rows: Sequence[Feasible], budget: Budget) -> bool:
    """Whether some call of some expert is ever within a budget."""
    return any(row.shares[0] for row in rows if row.budget == budget)


def feasibility(
    budgets: Sequence[Budget],
    costs: Mapping[str, Costs],
    *,
    max_calls: int = 3,
    own_turn_usd: Mapping[str, Decimal] | None = None,
) -> list[Feasible]:
    """The table: for each budget and expert, how often 1 … `max_calls` calls fit.

    Calls on one problem are taken to cost alike, which real replies to one problem nearly do.

    Args:
        budgets: amounts for one problem.
        costs: by expert.
        max_calls: how many columns the table has.
        own_turn_usd: by budget, what each of the controller's turns costs; None: nothing.
    """
    own_usd = own_turn_usd or {}
    return [
        Feasible(
            budget,
            expert,
            tuple(
                sum(
                    share
                    for cost, share in known
                    if cost * calls + own_usd.get(budget.name, Decimal(0)) * (calls + 1)
                    <= budget.usd
                )
                for calls in range(1, max_calls + 1)
            ),
        )
        for budget in budgets
        for expert, known in costs.items()
    ]


def render(
    rows: Sequence[Feasible],
    *,
    simulated: bool,
    at_worst: Collection[str] = frozenset(),
    expected_usd: Mapping[str, Decimal] | None = None,
) -> str:
    """The table as text; a budget that nothing fits is named.

    Args:
        rows: of `feasibility`.
        simulated: whether the costs are declared ones.
        at_worst: experts whose costs are worst cases.
        expected_usd: by budget, about what an episode of one call to the cheapest of these costs.
    """
    likely_usd = expected_usd or {}
    heads = {row.budget: f"{row.budget.name} (${row.budget.usd:f})" for row in rows}
    width = max(*(len(row.expert) + 2 for row in rows), *map(len, heads.values()))
    calls = range(1, len(rows[0].shares) + 1)
    header = "  ".join(f"{f'{n} call' if n == 1 else f'{n} calls':>7}" for n in calls)
    lines = ["simulated costs"] if simulated else []
    if at_worst:
        whose = "" if {row.expert for row in rows} <= set(at_worst) else _whose(rows, at_worst)
        lines.append(f"worst cases{whose}: every reply as long as its output limit lets it be")
    for budget, head in heads.items():
        of_budget = [row for row in rows if row.budget == budget]
        lines.append(f"{head:<{width}}  {header}")
        lines += [
            f"{'  ' + row.expert:<{width}}  " + "  ".join(f"{share:7.1%}" for share in row.shares)
            for row in of_budget
        ]
        if fits_anything(rows, budget):
            continue
        if not at_worst:
            lines.append("  nothing fits: every reward would be zero at this budget")
        elif (likely := likely_usd.get(budget.name, Decimal(0))) > budget.usd:
            lines.append(
                f"  no worst case fits, nor one call of about ${format_usd(likely)}, own turns"
                " included, with a quarter of the output limit: most rewards would be zero"
            )
        else:
            lines.append("  no worst case fits: shorter replies may")
    return "\n".join(lines)


def _whose(rows: Sequence[Feasible], experts: Collection[str]) -> str:
    names = dict.fromkeys(row.expert for row in rows if row.expert in experts)
    return f" of {', '.join(names)}"
