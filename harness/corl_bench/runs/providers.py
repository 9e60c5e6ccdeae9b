"""Who answers in a run: made and looked at before its directory is touched, closed behind it.

Some models cannot read just anything: a small controller knows its openings to the letter, one
for each budget that it was trained for. Asked at another one, it would fail in every episode, so
a run that would ask it there is refused while nothing has been written or sent.

    providers = await open_providers(plan, latency=False)
    require_readable(plan, providers.by_name)
    ...
    await providers.aclose()
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from corl_bench.episode import ExpertInfo
from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool, Provider, Selective
from corl_bench.experts.providers import ProviderContext, make_provider
from corl_bench.experts.simulation.book import ProblemBook
from corl_bench.experts.transport import Transport
from corl_bench.routers.base import Conversing
from corl_bench.runs.plan import Plan


@dataclass(frozen=True, slots=True)
class Providers:
    """Of every model in a run, with the connections that they share."""

    by_name: Mapping[str, Provider]
    transport: Transport

    async def aclose(self) -> None:
        """Lets go of whatever they hold."""
        for provider in self.by_name.values():
            await provider.aclose()
        await self.transport.aclose()


async def open_providers(plan: Plan, *, latency: bool) -> Providers:
    """The providers of a plan's models; a replay asks nobody and has none.

    Args:
        plan: what the run is.
        latency: let simulated experts take the time that they declare.

    Raises:
        ConfigError: a provider is not there, or refuses its model's settings.
    """
    transport = Transport()
    if plan.mode == "replay":
        return Providers({}, transport)
    context = ProviderContext(
        pool=_in_real_time(plan.pool) if latency else plan.pool,
        transport=transport,
        seed=plan.seed,
        book=ProblemBook(problem for task in plan.tasks for problem in task.problems),
    )
    made: dict[str, Provider] = {}
    try:
        for expert in plan.models:
            made[expert.name] = make_provider(expert, context)
    except BaseException:
        await Providers(made, transport).aclose()
        raise
    return Providers(made, transport)


def require_readable(plan: Plan, providers: Mapping[str, Provider]) -> None:
    """Refuses systems whose own models cannot read what they are going to be asked.

    Raises:
        ConfigError: one cannot; says what it could read.
    """
    for system in plan.systems:
        if not isinstance(system, Conversing):
            continue
        experts = [ExpertInfo.of(expert) for expert in plan.experts_of(system)]
        for model in system.own_models:
            provider = providers.get(model.name)
            if not isinstance(provider, Selective):
                continue
            for task in plan.tasks:
                for budget in plan.budgets_of(system) if task.problems else ():
                    # Openings differ by budget; of two problems' the frame is the same.
                    opening = system.opening(task.problems[0].text, budget, experts)
                    try:
                        provider.require_readable(opening)
                    except ConfigError as error:
                        raise ConfigError(f"{system.name}: {error}") from error


def _in_real_time(pool: Pool) -> Pool:
    """The pool with simulated experts that wait as long as they say they take."""
    simulation = {**pool.options.get("simulation", {}), "latency_scale": 1.0}
    return replace(pool, options={**pool.options, "simulation": simulation})
