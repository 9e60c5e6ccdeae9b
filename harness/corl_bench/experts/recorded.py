"""The provider `recorded`: an expert that exists in recordings alone.

Stored calls are found before a provider is asked (by `corl_bench.experts.caller`), so whatever
reaches this one was not found. It says what is missing, and never bills.

    [experts.gpt-4o]
    provider = "recorded"
    model = "gpt-4o-2024-08-06"
    price = "openai/gpt-4o-2024-08-06"
"""

from __future__ import annotations

from corl_bench.errors import ConfigError
from corl_bench.experts.base import CheckResult, ExpertSpec, ProviderError, Reply, Request
from corl_bench.experts.recording import problem_key


class RecordedProvider:
    """Answers nothing by itself; see the module."""

    async def send(self, request: Request) -> Reply:
        """Says which recording is missing.

        Raises:
            ProviderError: always, with status `not_recorded`; nothing was billed.
        """
        expert = request.expert
        raise ProviderError(
            "not_recorded",
            f"no recording of {expert.name} ({expert.model}) for this problem"
            f" (key {problem_key(request.problem_text)[:12]}), sample {request.sample}:"
            " import one, or name a live provider in the pool",
        )

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
