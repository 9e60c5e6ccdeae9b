"""The environment: the evaluation loop itself, with a policy in the controller's place.

An episode here is made by the code that makes the episodes of `corl-bench run`: the same
`solve`, the same calls, the same ledger, the same verdict. What is added is that many are made
at once, that the policy answers them in batches, and that their tokens are kept. The policy
waits until every episode that is under way has asked for its next turn, so a batch depends on
no clock: with the same weights, seed and replies the same tokens come out, bit for bit. The
price is that the slowest expert of a round holds up the others.

    with Environment(pool, task, problems, controller, policy, seed=0) as environment:
        rollouts = environment.roll_out(errands, temperature=1.0)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from random import Random
from types import TracebackType
from typing import Self

from corl_bench.episode import ExpertInfo
from corl_bench.errors import CapReachedError
from corl_bench.experts.base import Pool, Provider, Request
from corl_bench.experts.caller import Answering, CallOutcome
from corl_bench.experts.providers import ProviderContext, make_provider
from corl_bench.experts.simulation.book import ProblemBook
from corl_bench.experts.transport import Transport
from corl_bench.money.basis import CostBasis
from corl_bench.results import EpisodeRecord
from corl_bench.routers.controller import Controller
from corl_bench.runs.execute import GRADING_THREADS, make_episode
from corl_bench.runs.plan import Job, Plan
from corl_bench.tasks import LoadedTask
from corl_bench.types import Budget, Problem
from corl_train.experts import ANY_EXPERTS, Experts
from corl_train.judging import OURS, Judging
from corl_train.policies.base import Player
from corl_train.rollouts import Rollout
from corl_train.speaker import Opening, Speaker


@dataclass(frozen=True, slots=True)
class Errand:
    """One episode that is wanted."""

    problem: Problem
    budget: Budget | None
    sample: int
    group: int = 0
    task: LoadedTask | None = None
    """Whose prompt and name hold; None: the environment's."""
    opening: int = 0
    """Its first turns that the opener says instead of the policy."""
    replies: int | None = None
    """The sample whose replies it meets; None: its own. Experts that are asked live are asked
    for each sample."""
    pool: Pool | None = None
    """Whom it may call; None: the environment's."""


class Environment:
    """Makes episodes of one task with one pool.

    Args:
        pool: the experts.
        task: whose prompt and grading hold.
        problems: golds for the simulation.
        controller: the system; its own model is what the policy plays.
        policy: what speaks.
        experts: where replies come from: simulated, recorded, or live under a cap.
        seed: of simulated replies and of the policy's draws.
        judging: who says that an answer is right, and what a budget holds for.

    Raises:
        ConfigError: experts that cannot be asked like this; nothing was sent.
    """

    def __init__(
        self,
        pool: Pool,
        task: LoadedTask,
        problems: Sequence[Problem],
        controller: Controller,
        policy: Player,
        *,
        experts: Experts = ANY_EXPERTS,
        seed: int = 0,
        judging: Judging = OURS,
    ) -> None:
        self.pool, self.task, self.controller, self.policy = pool, task, controller, policy
        self.seed, self.judging = seed, judging
        self.desk = experts.open(pool)
        self._book = ProblemBook(problems)
        self._threads = ThreadPoolExecutor(GRADING_THREADS, thread_name_prefix="grading")
        self._billed = experts.billed(pool)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown()
        self.desk.__exit__(kind, error, trace)

    def roll_out(
        self,
        errands: Sequence[Errand],
        *,
        temperature: float,
        policy: Player | None = None,
        opener: Player | None = None,
        controller: Controller | None = None,
        after: Callable[[EpisodeRecord], None] = lambda record: None,
    ) -> list[Rollout]:
        """Makes the episodes, all at once.

        Args:
            errands: what is wanted; no two are the same problem, budget and sample.
            temperature: of the policy.
            policy: who speaks instead of the environment's own policy.
            opener: who says the turns that errands leave to an opener.
            controller: whose protocol holds instead of the environment's own controller's.
            after: told of each episode as it ends.

        Returns:
            A rollout for each errand, in their order, without rewards.

        Raises:
            CapReachedError: the spending cap leaves no room; calls that were in flight have
                come to their end, and what they brought is stored.
            StorageError: the run's books cannot be written.
            Exception: whatever went wrong inside the policy.
        """
        speaker = policy or self.policy
        system = controller or self.controller
        return asyncio.run(self._roll_out(errands, system, speaker, opener, temperature, after))

    async def _roll_out(
        self,
        errands: Sequence[Errand],
        controller: Controller,
        policy: Player,
        opener: Player | None,
        temperature: float,
        after: Callable[[EpisodeRecord], None],
    ) -> list[Rollout]:
        jobs = [
            Job(e.task or self.task, e.problem, controller, e.budget, e.sample) for e in errands
        ]
        if len({job.key for job in jobs}) < len(jobs):
            raise ValueError("two errands are the same problem, budget and sample")
        own = controller.own_model
        active = len(jobs)
        speaker = Speaker(
            policy,
            temperature=temperature,
            seed=self.seed,
            opener=opener,
            openings={
                e.sample: Opening(e.opening, e.sample if e.replies is None else e.replies)
                for e in errands
                if e.opening
            },
            # More of its turns than its limit allows are never wanted at a time.
            expected=lambda: min(active, own.max_concurrency),
            remembered=len(jobs),
        )
        transport = Transport()
        if self._billed:
            transport.open()
        shared = {e.sample: e.replies for e in errands if e.replies is not None}
        pools = {id(pool): pool for pool in (e.pool or self.pool for e in errands)}
        offers = {
            key: self._offer(pool, controller, speaker, transport, shared)
            for key, pool in pools.items()
        }

        @cache  # the episodes of a group begin alike
        def opening_of(text: str, budget: Budget | None, pool: int) -> str:
            return controller.opening(text, budget, offers[pool].infos)

        async def make(errand: Errand, job: Job) -> Rollout:
            nonlocal active
            pool = id(errand.pool or self.pool)
            offer = offers[pool]
            try:
                record, call_ids = await make_episode(job, offer.plan, offer.caller, self._threads)
            finally:
                active -= 1
                speaker.consider()
            self.desk.forget(call_ids)
            after(record)
            opening = opening_of(errand.problem.text, errand.budget, pool)
            turns = [c.text for c in record.calls if c.expert == own.name and c.text is not None]
            return Rollout(
                episode=record,
                transcript=speaker.take(opening, errand.sample, turns),
                budget_usd=None if errand.budget is None else errand.budget.usd,
                group=errand.group,
                opening=errand.opening,
                judged=self.judging.of(record),
                on_average=self.judging.spend == "mean",
            )

        try:
            # All of them to their end: a call in flight when the cap is reached is paid for.
            made = await asyncio.gather(*map(make, errands, jobs), return_exceptions=True)
        finally:
            for offer in offers.values():
                for provider in offer.providers.values():
                    await provider.aclose()
            await transport.aclose()
        if speaker.failure is not None:
            raise speaker.failure
        return _whole(made)

    def _offer(
        self,
        pool: Pool,
        controller: Controller,
        speaker: Speaker,
        transport: Transport,
        shared: Mapping[int, int],
    ) -> _Offer:
        own = controller.own_model.name
        context = ProviderContext(pool=pool, transport=transport, seed=self.seed, book=self._book)
        providers: dict[str, Provider] = {
            expert.name: make_provider(expert, context) for expert in pool.experts
        }
        providers[own] = speaker
        apart = {own, *(expert.name for expert in self._billed)}
        return _Offer(
            plan=Plan(
                tasks=(self.task,),
                pool=pool,
                systems=(controller,),
                budgets=(),
                samples=1,
                seed=self.seed,
                limit=None,
                mode="live",
            ),
            providers=providers,
            caller=SharedReplies(self.desk.answering(providers, own), shared, apart),
            infos=[ExpertInfo.of(expert) for expert in pool.experts],
        )


@dataclass(frozen=True, slots=True)
class _Offer:
    """One of the pools that episodes are made with."""

    plan: Plan
    providers: Mapping[str, Provider]
    caller: Answering
    infos: Sequence[ExpertInfo]


@dataclass(frozen=True, slots=True)
class SharedReplies:
    """Lets episodes meet the replies of another sample."""

    caller: Answering
    samples: Mapping[int, int]
    """Whose replies each sample meets; it may change while episodes are under way."""
    apart: Collection[str]
    """Who is asked anew for each."""

    async def call(self, request: Request, *, call_id: str, episode: str) -> CallOutcome:
        return await self.caller.call(self._of(request), call_id=call_id, episode=episode)

    def stored(self, request: Request) -> CallOutcome | None:
        return self.caller.stored(self._of(request))

    def charge(
        self, name: str, what: str, usd: Decimal, basis: CostBasis, *, of: str | None
    ) -> None:
        self.caller.charge(name, what, usd, basis, of=of)

    def _of(self, request: Request) -> Request:
        sample = self.samples.get(request.sample)
        if sample is None or request.expert.name in self.apart:
            return request
        return request.redrawn(sample=sample, occurrence=request.occurrence)


def draw_errands(
    problems: Sequence[Problem],
    budgets: Sequence[Budget],
    episodes: int,
    samples: int,
    *,
    first_sample: int,
    rng: Random,
    weights: Sequence[int] = (),
    share_replies: bool = False,
    opening_rate: float = 0.0,
    longest_opening: int = 0,
) -> list[Errand]:
    """Problems at random, budgets in turn, each `samples` times.

    Args:
        problems: drawn with replacement.
        budgets: the groups get them in turn.
        episodes: how many errands.
        samples: errands of one group: a problem at a budget.
        first_sample: number of the first one; every errand has its own.
        rng: draws the problems.
        weights: how many groups in turn get each budget; one where there is none.
        share_replies: whether the errands of a group meet the same replies.
        opening_rate: share of the groups whose first turns are an opener's.
        longest_opening: how many turns at most; the group's is drawn from 1 to it. 0: none are.
    """
    often = [*weights, *[1] * len(budgets)]
    turns = [b for b, weight in zip(budgets, often, strict=False) for _ in range(weight)]
    may_open = opening_rate > 0 and longest_opening > 0
    errands: list[Errand] = []
    for group in range(-(-episodes // samples)):
        problem = rng.choice(problems)
        budget = turns[group % len(turns)]
        is_opened = may_open and rng.random() < opening_rate
        opening = rng.randint(1, longest_opening) if is_opened else 0
        first = first_sample + len(errands)
        # Numbered as groups are, so that all that is recorded of an expert comes up in turn.
        replies = 1 + (first_sample - 1) // samples + group if share_replies else None
        errands += [
            Errand(problem, budget, sample, group, opening=opening, replies=replies)
            for sample in range(first, first + min(samples, episodes - len(errands)))
        ]
    return errands


def _whole(made: Sequence[Rollout | BaseException]) -> list[Rollout]:
    """The rollouts, if all of them are; of several errors the cap's is the one to be told."""
    errors = [ending for ending in made if isinstance(ending, BaseException)]
    errors.sort(key=lambda error: not isinstance(error, CapReachedError))
    if errors:
        raise errors[0]
    return [ending for ending in made if isinstance(ending, Rollout)]
