"""Endpoints: OpenAI-compatible servers that route by themselves, scored as one system.

The server is asked with the task's prompt and its reply is the answer; which model it takes, and
how many it asks, is its own business. It is reached through the episode like any model, so every
attempt is journalled, capped and on the ledger. A reply whose model has a price is booked as a
call to that model; what the server says of itself is marked as such, and what it keeps to itself
is opaque (see `corl_bench.experts.costs`). A fee that the user states for each call or token is a
ledger line of its own.

    endpoint = Endpoint("endpoint:routellm-mf", own_model=spec, probes=Probes())
    text = await endpoint.solve(problem, budget, episode)
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from corl_bench.episode import Episode, ExpertReply
from corl_bench.experts.base import ExpertSpec
from corl_bench.experts.pools import figures_of
from corl_bench.experts.tariff import Tariff
from corl_bench.money.amounts import format_usd
from corl_bench.routers.base import CallCounts
from corl_bench.routers.decisions import FEE
from corl_bench.routers.endpoint_preflight import Probes
from corl_bench.types import Budget


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A routing system behind an address."""

    name: str
    own_model: ExpertSpec
    """The server, with the tariff of its calls and the router's fees."""
    probes: Probes = field(default_factory=Probes)
    reads_budget: bool = False
    is_oracle: bool = False

    @property
    def own_models(self) -> tuple[ExpertSpec, ...]:
        """Experts that it brings to the pool."""
        return (self.own_model,)

    @property
    def digest(self) -> str:
        """sha256 of what it is asked for, what its calls cost and what it takes; no address."""
        tariff = self._tariff
        made_of = {
            "server": figures_of(self.own_model),
            "rates": {
                name: None if rate is None else [rate.price.row_id, rate.price.figures()]
                for name, rate in sorted(tariff.rates.items())
            },
            "fees": [format_usd(tariff.fees.usd_per_call), format_usd(tariff.fees.usd_per_mtok)],
        }
        text = json.dumps(made_of, ensure_ascii=False, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def call_counts(self) -> CallCounts:
        """One request a problem; what the server makes of it is part of its worst case."""
        return {self.own_model.name: (1, 1.0, 1)}

    async def solve(self, problem: str, budget: Budget | None, episode: Episode) -> str | None:
        """Asks the server once.

        Returns:
            Its reply; None where it could not be asked.
        """
        return (await self.ask(episode)).text

    async def ask(self, episode: Episode, max_output_tokens: int | None = None) -> ExpertReply:
        """Asks the server once and books its fee; None takes its own output limit."""
        reply = await episode.call(self.own_model.name, max_output_tokens=max_output_tokens)
        if reply.text is not None and reply.usage is not None:
            usage = reply.usage
            fee_usd = self._tariff.fees.due(usage.total_input_tokens + usage.output_tokens)
            if fee_usd:
                episode.charge(fee_usd, FEE, of=reply)
        return reply

    @property
    def _tariff(self) -> Tariff:
        assert self.own_model.tariff is not None
        return self.own_model.tariff
