"""The registry of providers: a name in a pool file, and the factory behind it.

A factory is `make(spec: ExpertSpec, context: ProviderContext) -> Provider`. The bench's own are
in `PROVIDERS`; other distributions add theirs by an entry point of the group
`corl_bench.providers` whose name is the provider's and whose object is such a factory. A
provider's module is imported when a pool first names it.

    context = ProviderContext(pool=pool, transport=Transport(), seed=0)
    provider = make_provider(pool["nano"], context)
"""

from __future__ import annotations

import difflib
import importlib
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from corl_bench.errors import ConfigError
from corl_bench.experts.base import ExpertSpec, Pool, Provider

if TYPE_CHECKING:
    from corl_bench.experts.transport import Transport

ENTRY_POINT_GROUP = "corl_bench.providers"

PROVIDERS: dict[str, str] = {
    "openai": "corl_bench.experts.openai:make",
    "routed": "corl_bench.experts.routed:make",
    "anthropic": "corl_bench.experts.anthropic:make",
    "recorded": "corl_bench.experts.recorded:make",
    "simulated": "corl_bench.experts.simulation.provider:make",
}
OFFLINE_PROVIDERS = frozenset({"recorded", "simulated"})
"""Those that send nothing anywhere, and no bill."""


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What a run hands to the factories of its providers."""

    pool: Pool
    transport: Transport
    """Shared by all; whoever made it closes it."""
    seed: int = 0
    """Of the run; the simulated experts draw from it."""
    book: Any = None
    """Golds of the problems, which only the simulation may look up; None without one."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    """Where keys are read, at each request, and never kept."""


Factory = Callable[[ExpertSpec, ProviderContext], Provider]


def why_unknown(provider: str) -> str | None:
    """One line about a provider of which nothing is known; None where there is one."""
    if provider in PROVIDERS or provider in _registered():
        return None
    known = [*PROVIDERS, *sorted(_registered())]
    near = difflib.get_close_matches(provider, known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"unknown provider {provider!r}{hint}; known are {', '.join(known)}"


def make_provider(spec: ExpertSpec, context: ProviderContext) -> Provider:
    """The provider of one expert; for one of a shared pool, the way to its server.

    Raises:
        ConfigError: no provider of that name is known, or it refuses the expert's settings.
    """
    if spec.shared is not None:
        from corl_bench.experts.shared import SharedProvider

        return SharedProvider(spec, context.transport, context.environment)
    if target := PROVIDERS.get(spec.provider):
        module, _, name = target.partition(":")
        own: Factory = getattr(importlib.import_module(module), name)
        return own(spec, context)
    if unknown := why_unknown(spec.provider):
        raise ConfigError(f"expert {spec.name}: {unknown}")
    try:
        factory: Factory = _registered()[spec.provider].load()
    except Exception as error:
        raise ConfigError(
            f"expert {spec.name}: provider {spec.provider!r} cannot be loaded "
            f"({type(error).__name__}); repair or uninstall the distribution that brings it"
        ) from error
    return factory(spec, context)


def missing_keys(
    experts: Iterable[ExpertSpec], environment: Mapping[str, str] = os.environ
) -> list[tuple[str, str]]:
    """(expert, variable) for every expert whose key is declared but not set, in their order."""
    return [
        (expert.name, expert.key_env)
        for expert in experts
        if expert.key_env is not None and not environment.get(expert.key_env, "").strip()
    ]


def require_keys(experts: Iterable[ExpertSpec], stored: Collection[str] = ()) -> None:
    """Refuses experts that would fail at their first request.

    Args:
        experts: who may be asked.
        stored: aliases and models of which replies are stored: a key is needed only where one
            is missing, which shows when it is asked for.

    Raises:
        ConfigError: a key is declared and not set; all that are missing are named.
    """
    asked = [e for e in experts if e.name not in stored and e.model not in stored]
    wanting: dict[str, list[str]] = {}
    for expert, key in missing_keys(asked):
        wanting.setdefault(key, []).append(expert)
    if wanting:
        named = "; ".join(f"{key} (for {', '.join(names)})" for key, names in wanting.items())
        raise ConfigError(f"no key in {named}: set the variable, or use --mode replay")


def _registered() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
