"""Preflights: routers behind addresses prove themselves before they are paid.

Probes are calls like all others: reserved, journalled and on the ledger, under names that no
episode has. They are never taken from recordings, since they are about the server as it is now.
A router that fails ends the run, or the server, before its first episode.

    findings = await prove_systems(plan, asker, ledger, instance, systems={"endpoint:mf"})
"""

from __future__ import annotations

import uuid
from collections.abc import Collection

from corl_bench.episode import Episode, ExpertReply
from corl_bench.experts.attempts import Asker
from corl_bench.experts.base import ProviderError
from corl_bench.experts.caller import Caller
from corl_bench.experts.endpoint import CHECK_TIMEOUT_S
from corl_bench.experts.recording import Unkept
from corl_bench.experts.transport import HttpReply, Transport
from corl_bench.money.ledger import Ledger
from corl_bench.results.preflight import PREFLIGHT_CALLS, SKIPPED
from corl_bench.routers.endpoint import Endpoint
from corl_bench.routers.endpoint_preflight import REMEDY, PreflightError, prove
from corl_bench.runs.plan import Plan
from corl_bench.types import Message, Problem


async def prove_systems(
    plan: Plan,
    asker: Asker,
    ledger: Ledger,
    instance: str,
    *,
    systems: Collection[str],
    skip: bool = False,
) -> dict[str, str]:
    """Asks every endpoint among the systems, one after the other.

    Args:
        plan: what the run is.
        asker: sends the probes.
        ledger: where they are accounted for.
        instance: identifies the run's own recordings.
        systems: names of those that have episodes to make.
        skip: ask nothing, and say so.

    Returns:
        What was found, by system.

    Raises:
        PreflightError: nothing shows that one of them is at work, or something speaks against it.
        CapReachedError: the cap leaves no room for a probe.
    """
    findings = {}
    caller = Caller(asker, Unkept(), ledger, mode="live", run_id=instance)
    transport = Transport()
    try:
        for system in plan.systems:
            if isinstance(system, Endpoint) and system.name in systems:
                line = SKIPPED if skip else await _prove(system, caller, transport)
                findings[system.name] = line
    finally:
        await transport.aclose()
    return findings


async def _prove(system: Endpoint, caller: Caller, transport: Transport) -> str:
    own = system.own_model
    # A name of its own each time: what failed in an earlier preflight is no attempt of this one.
    occasion = f"{PREFLIGHT_CALLS}{system.name}|{uuid.uuid4().hex[:12]}"

    async def ask(prompt: str, max_output_tokens: int) -> ExpertReply:
        episode = Episode(
            key=occasion,
            problem=Problem("preflight", prompt, ""),
            prompt=[Message("user", prompt)],
            experts=[own],
            caller=caller,
            sample=next(samples),
            seed=0,
        )
        return await system.ask(episode, max_output_tokens=max_output_tokens)

    async def fetch(url: str) -> HttpReply:
        try:
            return await transport.exchange("GET", url, headers={}, timeout_s=CHECK_TIMEOUT_S)
        except ProviderError as error:
            raise PreflightError(f"the health page: {error.detail}; start it, {REMEDY}") from None

    samples = iter(range(1_000_000))
    try:
        return await prove(
            system.probes, asked_for=str(own.options["asks_for"]), ask=ask, fetch=fetch
        )
    except PreflightError as error:
        raise PreflightError(f"{system.name}: {error}") from None
