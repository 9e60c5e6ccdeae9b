"""What a run would need, before anything is sent: calls, time and dollars.

Calls come from the systems (`Predictable.call_counts`), tokens and latencies from the best
source there is for each expert: its stored replies, else its declared simulation, else a rule
of thumb that says so. The worst case is an upper bound: every input byte a token, every output
limit used; failed attempts and retries come on top of it. In modes `auto` and `record` the
systems of a run share replies, so a question that several of them ask is paid once. What a
controller asks is its own, and its model reads all that has been said before at each turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from corl_bench.episode import ExpertInfo
from corl_bench.experts.attempts import worst_case_usd
from corl_bench.experts.base import ExpertSpec, Request
from corl_bench.experts.simulation.draws import outcomes
from corl_bench.experts.simulation.optimum import cells_of
from corl_bench.experts.simulation.tables import read_simulation
from corl_bench.experts.store import RecordingStore
from corl_bench.money.amounts import display_usd, sum_usd
from corl_bench.routers.base import Predictable, own_models
from corl_bench.routers.controller import Controller
from corl_bench.routers.learning import Learning, trained_part
from corl_bench.routers.registry import by_price
from corl_bench.runs.plan import Plan
from corl_bench.tasks import render_prompt
from corl_bench.types import Message, Usage

BYTES_PER_TOKEN = 4
"""Of English text and LaTeX; a rule of thumb."""
RESULT_TOKENS = 128
"""What a controller reads around a reply: its tag and the figures in it."""
ASSUMED_OUTPUT_SHARE = 0.25
"""Of the output limit, where nothing is known of an expert."""


@dataclass(frozen=True, slots=True)
class TokenEstimate:
    """What one call of an expert is expected to use, and who says so."""

    input_tokens: float
    output_tokens: float
    latency_s: float | None
    source: str


@dataclass(frozen=True, slots=True)
class ExpertEstimate:
    """The calls to one expert over the whole run."""

    expert: str
    calls_low: int
    calls_expected: float
    calls_worst: int
    usd_low: Decimal
    usd_expected: Decimal
    usd_worst: Decimal
    time_s: float | None
    """Latencies of the expected calls added up, before they are made side by side."""
    source: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """The whole run."""

    episodes: int
    experts: tuple[ExpertEstimate, ...]
    unpredictable: tuple[str, ...]
    """Systems that do not say how many calls they make; they come on top."""
    concurrency: int
    learners: tuple[str, ...] = ()
    """Systems that ask an expert for each training row before the run; this comes on top, too."""
    learning_usd_worst: Decimal = Decimal(0)
    """Of one of them, with the dearest expert for every row."""

    @property
    def time_s(self) -> float | None:
        times = [expert.time_s for expert in self.experts if expert.calls_worst]
        if any(time_s is None for time_s in times):
            return None
        return sum(time_s for time_s in times if time_s is not None) / self.concurrency


def estimate(plan: Plan, recordings: Path | None, concurrency: int) -> Estimate:
    """Estimates a plan without sending anything.

    Args:
        plan: the run.
        recordings: a store whose replies tell how long replies are.
        concurrency: episodes at a time.
    """
    shared = plan.mode in ("auto", "record")
    problems = sum(len(task.problems) for task in plan.tasks)
    counts: dict[str, tuple[int, float, int]] = {}
    unpredictable = []
    episodes = 0
    for system in plan.systems:
        made = problems * plan.samples * len(plan.budgets_of(system))
        episodes += made
        if not isinstance(system, Predictable):
            unpredictable.append(system.name)
            continue
        for expert, (low, expected, worst) in system.call_counts().items():
            before = counts.get(expert, (0, 0.0, 0))
            now = (low * made, expected * made, worst * made)
            if shared and not own_models(system):
                counts[expert] = (
                    max(before[0], now[0]),
                    max(before[1], now[1]),
                    max(before[2], now[2]),
                )
            else:
                counts[expert] = (
                    before[0] + now[0],
                    before[1] + now[1],
                    before[2] + now[2],
                )
    prompts = _prompts(plan)
    stored = _stored_tokens(recordings, plan.models)
    tokens = _tokens(plan, prompts, stored)
    worst_usd = _mean_worst_case(plan, prompts)
    for system in plan.systems:
        if isinstance(system, Controller):
            name = system.own_model.name
            turn, worst_usd[name] = _turns(system, plan, tokens)
            tokens[name] = stored.get(name) or turn
    return Estimate(
        episodes=episodes,
        experts=tuple(
            _expert(
                expert,
                counts.get(expert.name, (0, 0.0, 0)),
                tokens[expert.name],
                worst_usd[expert.name],
                free=plan.mode == "replay",
            )
            for expert in plan.models
        ),
        unpredictable=tuple(unpredictable),
        concurrency=concurrency,
        learners=tuple(
            system.name for system in plan.systems if isinstance(trained_part(system), Learning)
        ),
        learning_usd_worst=_learning_worst(plan),
    )


def _learning_worst(plan: Plan) -> Decimal:
    if plan.training is None or plan.mode == "replay":
        return Decimal(0)
    rows = replace(plan, tasks=(plan.training,))
    worst = _mean_worst_case(rows, _prompts(rows))
    return max(worst[expert.name] for expert in by_price(plan.pool)) * len(plan.training.problems)


def _expert(
    expert: ExpertSpec,
    counts: tuple[int, float, int],
    tokens: TokenEstimate,
    worst_usd: Decimal,
    *,
    free: bool,
) -> ExpertEstimate:
    low, expected, worst = counts
    each_usd = expert.price.cost_usd(
        Usage(input_tokens=round(tokens.input_tokens), output_tokens=round(tokens.output_tokens))
    )
    paid = 0 if free else 1
    return ExpertEstimate(
        expert=expert.name,
        calls_low=low,
        calls_expected=expected,
        calls_worst=worst,
        usd_low=each_usd * low * paid,
        usd_expected=each_usd * round(expected) * paid,
        usd_worst=worst_usd * worst * paid,
        time_s=None if tokens.latency_s is None else tokens.latency_s * expected,
        source=tokens.source,
    )


def _turns(
    controller: Controller, plan: Plan, tokens: Mapping[str, TokenEstimate]
) -> tuple[TokenEstimate, Decimal]:
    """An expected turn of a controller's own model, and the worst case of one.

    Both are means over the turns of an episode: of the expected half of the calls, and of all
    that it may take. Replies are taken to have as many of its tokens as of their experts'.
    """
    own, protocol = controller.own_model, controller.protocol
    budget = next(iter(plan.budgets), None)
    infos = tuple(map(ExpertInfo.of, plan.pool.experts))
    openings = [
        controller.opening(problem.text, budget, infos)
        for task in plan.tasks
        for problem in task.problems
    ]
    said = protocol.max_turn_tokens * ASSUMED_OUTPUT_SHARE
    replies = [tokens[expert.name].output_tokens for expert in plan.pool.experts]
    heard = sum(replies) / len(replies)
    opening_bytes = sum(len(opening.encode()) for opening in openings) / max(len(openings), 1)
    calls_before = protocol.max_calls / 4  # of half of them, on average over the turns
    expected = TokenEstimate(
        opening_bytes / BYTES_PER_TOKEN + calls_before * (said + heard),
        said,
        None,
        "a quarter of the turn limit",
    )
    longest = max(expert.sampling.max_output_tokens or 0 for expert in plan.pool.experts)
    read = sum(
        Request(own, (Message("user", opening),), own.sampling, "").max_input_tokens()
        for opening in openings
    ) / max(len(openings), 1) + (controller.most_turns - 1) / 2 * (
        protocol.max_turn_tokens + longest + RESULT_TOKENS
    )
    return expected, own.price.worst_case_usd(round(read), protocol.max_turn_tokens)


def _tokens(
    plan: Plan, prompts: list[tuple[str, str]], stored: Mapping[str, TokenEstimate]
) -> dict[str, TokenEstimate]:
    simulated = _simulated_tokens(plan)
    prompt_bytes = sum(len(prompt.encode()) for _, prompt in prompts) / max(len(prompts), 1)
    prompt_tokens = prompt_bytes / BYTES_PER_TOKEN
    found = {}
    for expert in plan.models:
        known = stored.get(expert.name) or simulated.get(expert.name)
        limit = expert.sampling.max_output_tokens or 0
        found[expert.name] = known or TokenEstimate(
            prompt_tokens, limit * ASSUMED_OUTPUT_SHARE, None, "a quarter of the output limit"
        )
    return found


def _stored_tokens(
    recordings: Path | None, experts: Iterable[ExpertSpec]
) -> dict[str, TokenEstimate]:
    """Means of stored replies; of a model, or imported under an alias, as replies are found."""
    if recordings is None or not recordings.exists():
        return {}
    with RecordingStore.open(recordings, create=False, read_only=True) as store:
        stored = store.stats().experts
    found = {}
    for expert in experts:
        of_expert = [
            stats
            for stats in stored
            if stats.model == expert.model or (stats.imported and stats.expert == expert.name)
        ]
        if replies := sum(stats.calls - stats.errors for stats in of_expert):
            found[expert.name] = TokenEstimate(
                sum(stats.input_tokens for stats in of_expert) / replies,
                sum(stats.output_tokens for stats in of_expert) / replies,
                None,
                f"mean of {replies} stored replies",
            )
    return found


def _simulated_tokens(plan: Plan) -> dict[str, TokenEstimate]:
    if not plan.pool.simulated:
        return {}
    simulation = read_simulation(plan.pool)
    cells = cells_of(plan.pool, (p for task in plan.tasks for p in task.problems))
    weight = sum(cells.values())
    found = {}
    for expert in simulation.experts:
        output_tokens = sum(
            share * outcome.probability * outcome.output_tokens
            for cell, share in cells.items()
            for outcome in outcomes(expert, cell.level, simulation.token_quantum)
        ) / max(weight, 1)
        found[expert.name] = TokenEstimate(
            expert.input_tokens,
            output_tokens,
            expert.first_s + expert.per_token_s * output_tokens,
            "declared simulation",
        )
    return found


def _prompts(plan: Plan) -> list[tuple[str, str]]:
    """Statement and prompt of each problem."""
    return [
        (problem.text, render_prompt(task.spec, problem.text))
        for task in plan.tasks
        for problem in task.problems
    ]


def _mean_worst_case(plan: Plan, prompts: list[tuple[str, str]]) -> dict[str, Decimal]:
    """Mean over the problems of a plain call's worst case, by expert."""
    return {
        expert.name: sum_usd(
            worst_case_usd(Request(expert, (Message("user", prompt),), expert.sampling, text))
            for text, prompt in prompts
        )
        / max(len(prompts), 1)
        for expert in plan.models
    }


def render_estimate(estimate: Estimate, plan: Plan, cap_usd: Decimal | None) -> str:
    """The estimate as text for a terminal."""
    simulated = " (simulated: no real dollars)" if plan.pool.simulated else ""
    width = max(len(expert.expert) for expert in estimate.experts)
    lines = [
        f"{estimate.episodes} episodes in mode {plan.mode}{simulated}",
        f"{'expert':<{width}}  {'calls low..worst':>17}  {'expected':>9}  {'$ low':>10}"
        f"  {'$ expected':>10}  {'$ worst':>10}  tokens from",
    ]
    for expert in estimate.experts:
        calls = f"{expert.calls_low}..{expert.calls_worst}"
        lines.append(
            f"{expert.expert:<{width}}  {calls:>17}  {expert.calls_expected:>9.0f}"
            f"  {display_usd(expert.usd_low):>10}  {display_usd(expert.usd_expected):>10}"
            f"  {display_usd(expert.usd_worst):>10}  {expert.source}"
        )
    low, expected, worst = (
        sum_usd(amounts)
        for amounts in zip(
            *((e.usd_low, e.usd_expected, e.usd_worst) for e in estimate.experts), strict=True
        )
    )
    lines.append(
        f"total: {display_usd(low)} low, {display_usd(expected)} expected,"
        f" {display_usd(worst)} worst (one attempt a call; retries come on top)"
    )
    if estimate.time_s is not None:
        waited = "; simulated experts take it with --latency only" if plan.pool.simulated else ""
        lines.append(
            f"time: about {estimate.time_s:.0f} s of replies at {estimate.concurrency} at a time"
            f"{waited}"
        )
    else:
        lines.append("time: unknown, no latency is known of some expert")
    if estimate.unpredictable:
        lines.append(f"not counted, calls unknown: {', '.join(estimate.unpredictable)}")
    if estimate.learners and plan.training is not None:
        lines.append(
            f"on top: {', '.join(estimate.learners)} learn{'s' * (len(estimate.learners) == 1)}"
            f" from {len(plan.training.problems):,} rows of {plan.training.label}, a call for each:"
            f" at the worst {display_usd(estimate.learning_usd_worst)} a system"
        )
    if cap_usd is not None and worst > cap_usd:
        lines.append(
            f"the cap of {display_usd(cap_usd)} is below the worst case: the run may stop"
            " early with exit code 3"
        )
    return "\n".join(lines)
