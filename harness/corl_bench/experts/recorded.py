"""The provider `recorded`: an expert that exists in recordings alone.

Its calls are answered, or named as missing, by `corl_bench.experts.caller` before any provider
is asked. Whoever sends something here all the same gets an error that was never billed.

    [experts.gpt-4o]
    provider = "recorded"
    model = "gpt-4o-2024-08-06"
    price = "openai/gpt-4o-2024-08-06"
"""

from __future__ import annotations

from corl_bench.errors import ConfigError
from corl_bench.experts.base import CheckResult, ExpertSpec, ProviderError, Reply, Request


class RecordedProvider:
    """Answers nothing by itself; see the module."""

    async def send(self, request: Request) -> Reply:
        """Refuses.

        Raises:
            ProviderError: always, with status `not_recorded`; nothing was billed.
        """
        raise ProviderError("not_recorded", f"{request.expert.name} answers from recordings only")

    async def check(self) -> CheckResult:
        return CheckResult(None, "answers from recordings only")

    async def aclose(self) -> None:
        return None


def make(spec: ExpertSpec, context: object) -> RecordedProvider:
    """Makes the provider of one expert.

    Raises:
        ConfigError: the expert has options, of which this provider knows none.
    """
    if spec.options:
        names = ", ".join(sorted(spec.options))
        raise ConfigError(f"expert {spec.name}: provider 'recorded' has no options; remove {names}")
    return RecordedProvider()
