"""Whether the experts of a pool would answer, asked of each of them without paying for anything.

Invariant: nobody is asked for a completion; a provider's check asks for its list of models at
most. An expert that cannot even be tried is a result like any other.

    results = asyncio.run(check_experts(load_pool("my-pool.toml")))
    [result.detail for result in results if not result.ready]
"""

from __future__ import annotations

import asyncio

from corl_bench.errors import CorlError
from corl_bench.experts.base import CheckResult, ExpertSpec, Pool
from corl_bench.experts.providers import ProviderContext, make_provider
from corl_bench.experts.transport import Transport


async def check_experts(pool: Pool) -> list[CheckResult]:
    """What each expert of a pool says, in its order; all are asked at the same time."""
    transport = Transport()
    context = ProviderContext(pool=pool, transport=transport)

    async def check_one(expert: ExpertSpec) -> CheckResult:
        try:
            provider = make_provider(expert, context)
        except CorlError as error:
            return CheckResult(reachable=None, detail=str(error), ready=False)
        try:
            return await provider.check()
        finally:
            await provider.aclose()

    try:
        return await asyncio.gather(*(check_one(expert) for expert in pool.experts))
    finally:
        await transport.aclose()
