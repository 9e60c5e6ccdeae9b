"""What a job would need, before it begins: steps, expert calls, dollars, hours.

Calls and tokens are estimated as `corl-bench run --dry-run` does it; here are added the episodes
of training and of its validations, and the time. Hours come from a roofline, and are a guess to
plan by: nothing here has been measured on a GPU. With P parameters, T tokens in the episodes of a
step, N GPUs:

- learning: 22·P·T floating-point operations, over N GPUs at `PEAK_FLOPS` and `UTILISATION`. Of a
  token 2·P forwards and 4·P backwards (Kaplan et al., 2020, arXiv 2001.08361, section 2.1), and
  2·P more where activations are made again; policy and critic learn, and policy, critic and
  reference score first.
- generating: each token of an engine reads the weights once for all conversations that it has in
  flight, 2·P bytes at `BANDWIDTH`.
- waiting: rounds of an episode follow each other, so a step waits at least for the slowest chain
  of expert calls, and where experts take fewer calls at a time than a step makes, for their turns.

    estimated = estimate_job(recipe, task, pool, budgets, controller, validation_rows=192)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from corl_bench.experts.base import Pool
from corl_bench.money.amounts import display_usd, sum_usd
from corl_bench.routers.controller import Controller
from corl_bench.runs.estimate import RESULT_TOKENS, ExpertEstimate, estimate
from corl_bench.runs.plan import Plan
from corl_bench.tasks import LoadedTask
from corl_bench.tasks.loading import sample
from corl_bench.types import Budget
from corl_train.openrlhf.placement import memory_of
from corl_train.openrlhf.recipe import JobRecipe

PEAK_FLOPS = 312e12
"""Of an A100 in bfloat16, dense: NVIDIA A100 datasheet. An H100 has some three times as many."""
BANDWIDTH = 2.0e12
"""Bytes a second of an A100 80 GB's memory: NVIDIA A100 datasheet."""
UTILISATION = 0.35
"""Of the peak that training reaches: a guess on the safe side of what is published for 7B."""
ENGINE_EFFICIENCY = 0.5
"""Of the bandwidth that generation reaches: a guess."""
ASSUMED_LATENCY_S = 30.0
"""Of an expert's call where nobody knows it."""
_FLOPS_PER_TOKEN = 22
_SAMPLED = 500


@dataclass(frozen=True, slots=True)
class JobEstimate:
    """The whole job."""

    steps: int
    """Of making episodes and learning from them."""
    episodes: int
    """Of training, in all passes. A pass meets the replies of the one before it where it asks the
    same; this counts as if it never did."""
    validations: int
    validation_episodes: int
    """Of all of them. They meet the same replies each time; this counts as if they did not."""
    experts: tuple[ExpertEstimate, ...]
    """Calls and dollars over everything, without the controller's own model."""
    tokens_per_step: float
    learning_s: float
    """A step's."""
    generating_s: float
    waiting_s: float

    @property
    def usd_expected(self) -> Decimal:
        return sum_usd(expert.usd_expected for expert in self.experts)

    @property
    def usd_worst(self) -> Decimal:
        return sum_usd(expert.usd_worst for expert in self.experts)

    @property
    def usd_per_step(self) -> Decimal:
        """Expected, validations included."""
        return self.usd_expected / max(1, self.steps)

    @property
    def hours(self) -> float:
        """Of all steps; validations, checkpoints and loading come on top."""
        return self.steps * (self.learning_s + self.generating_s + self.waiting_s) / 3600


def estimate_job(
    recipe: JobRecipe,
    task: LoadedTask,
    pool: Pool,
    budgets: Sequence[Budget],
    controller: Controller,
    *,
    validation_rows: int,
    recordings: Path | None = None,
) -> JobEstimate:
    """Estimates a job without asking anybody.

    Args:
        recipe: what is trained.
        task: with the problems that are trained on.
        pool: the experts, as whoever pays for them asks them.
        budgets: what is trained for.
        controller: with the recipe's protocol and price.
        validation_rows: of one validation.
        recordings: stored replies that tell how long replies are.
    """
    training = recipe.training
    problems = len(task.problems)
    steps = problems // training.prompts * training.passes
    episodes = problems * training.samples * training.passes
    validations = steps // recipe.schedule.validate_every if validation_rows else 0
    validation_episodes = validations * validation_rows
    some = sample(task.problems, min(_SAMPLED, problems), seed=0)
    plan = Plan(
        tasks=(replace(task, problems=some),),
        pool=pool,
        systems=(replace(controller, experts=tuple(e.name for e in pool.experts)),),
        budgets=tuple(budgets[:1]),
        samples=1,
        seed=0,
        limit=None,
        mode="live",
    )
    at_a_time = sum(expert.max_concurrency for expert in pool.experts)
    of_sample = estimate(plan, recordings, at_a_time)
    often = (episodes + validation_episodes) / len(some)
    own = controller.own_model.name
    experts = tuple(_times(e, often) for e in of_sample.experts if e.expert != own)
    calls = sum(expert.calls_expected for expert in of_sample.experts if expert.expert != own)
    turns = next(e.calls_expected for e in of_sample.experts if e.expert == own)
    said = turns / len(some) * controller.protocol.max_turn_tokens / 4
    read = calls / len(some) * (RESULT_TOKENS + controller.protocol.max_turn_tokens)
    tokens = training.episodes * min(training.context, said + read + RESULT_TOKENS)
    each_s = _latency_s(of_sample.experts, own)
    rounds = calls / len(some)
    waves = max(1.0, training.episodes / max(1, at_a_time))
    return JobEstimate(
        steps=steps,
        episodes=episodes,
        validations=validations,
        validation_episodes=validation_episodes,
        experts=experts,
        tokens_per_step=tokens,
        learning_s=_learning_s(recipe, tokens),
        generating_s=_generating_s(recipe, said, tokens),
        waiting_s=rounds * each_s * waves,
    )


def _times(expert: ExpertEstimate, often: float) -> ExpertEstimate:
    exactly = Decimal(often)
    return replace(
        expert,
        calls_low=round(expert.calls_low * often),
        calls_expected=expert.calls_expected * often,
        calls_worst=round(expert.calls_worst * often),
        usd_low=expert.usd_low * exactly,
        usd_expected=expert.usd_expected * exactly,
        usd_worst=expert.usd_worst * exactly,
        time_s=None if expert.time_s is None else expert.time_s * often,
    )


def _latency_s(experts: Sequence[ExpertEstimate], own: str) -> float:
    """Of a call, on average."""
    known = [
        expert.time_s / expert.calls_expected
        for expert in experts
        if expert.expert != own and expert.time_s is not None and expert.calls_expected
    ]
    return sum(known) / len(known) if known else ASSUMED_LATENCY_S


def _learning_s(recipe: JobRecipe, tokens: float) -> float:
    operations = _FLOPS_PER_TOKEN * recipe.model.parameters * tokens * recipe.training.epochs
    return operations / (recipe.placement.gpus * PEAK_FLOPS * UTILISATION)


def _generating_s(recipe: JobRecipe, said: float, tokens: float) -> float:
    """Own tokens of an engine's conversations, as many at a time as it has room for."""
    placement = recipe.placement
    engines = placement.gpus / placement.tensor_parallel
    conversations = recipe.training.episodes / engines
    length = tokens / recipe.training.episodes
    room = max(1.0, memory_of(recipe).kept_tokens / max(1.0, length))
    passes = said * max(1.0, conversations / room)
    read_bytes = 2 * recipe.model.parameters / placement.tensor_parallel
    return passes * read_bytes / (BANDWIDTH * ENGINE_EFFICIENCY)


def describe_estimate(
    estimated: JobEstimate, cap_usd: Decimal | None, *, is_billed: bool = True
) -> list[str]:
    """The estimate as lines for a terminal.

    Args:
        estimated: of `estimate_job`.
        cap_usd: what may be spent.
        is_billed: whether somebody sends a bill; else dollars are those of the price list.
    """
    cap = "none" if cap_usd is None else display_usd(cap_usd)
    width = max(len(expert.expert) for expert in estimated.experts)
    lines = [
        f"{estimated.steps} steps, {estimated.episodes} episodes of training and"
        f" {estimated.validation_episodes} of {estimated.validations} validations",
        f"{'expert':<{width}}  {'calls expected':>14}  {'$ expected':>12}  {'$ worst':>12}"
        "  tokens from",
    ]
    lines += [
        f"{e.expert:<{width}}  {e.calls_expected:>14.0f}  {display_usd(e.usd_expected):>12}"
        f"  {display_usd(e.usd_worst):>12}  {e.source}"
        for e in estimated.experts
    ]
    lines.append(
        f"experts: {display_usd(estimated.usd_expected)} expected"
        f" ({display_usd(estimated.usd_per_step)} a step), {display_usd(estimated.usd_worst)} at"
        f" the worst; {f'cap {cap}' if is_billed else 'at list prices, which nobody bills'}"
    )
    lines.append(
        f"time: about {estimated.hours:.0f} h, a guess: of a step {estimated.generating_s:.0f} s"
        f" generate, {estimated.waiting_s:.0f} s wait for experts, {estimated.learning_s:.0f} s"
        " learn"
    )
    return lines
