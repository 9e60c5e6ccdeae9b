"""What a server does, counted for Prometheus.

Names and labels are bounded by the configuration: keys, experts, models and statuses that are
known, never what a client made up. Money is a float here; the ledger is the exact one.

    metrics = Metrics(accounts, cap)
    metrics.request("alice", "corl-low", 200, seconds=2.1)
    metrics.text("alice")       # what one key may read; metrics.text() is all
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from corl_bench.extras import require
from corl_bench.results import CallRecord, ChargeRecord

if TYPE_CHECKING:
    from corl_bench.money.cap import SpendingCap
    from corl_bench.serve.accounts import Account

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500)


class Metrics:
    """Counters and gauges of one server.

    Args:
        accounts: whose spending is shown.
        cap: the server's.

    Raises:
        MissingExtraError: prometheus_client is not installed.
    """

    def __init__(self, accounts: Mapping[str, Account], cap: SpendingCap) -> None:
        library = require("prometheus_client", extra="serve", why="corl-bench serve")
        self._library = library
        self._registry = registry = library.CollectorRegistry()
        library.ProcessCollector(registry=registry)
        self._requests = library.Counter(
            "corl_requests",
            "Requests that have ended, by status.",
            ["key", "model", "status"],
            registry=registry,
        )
        self._seconds = library.Histogram(
            "corl_request_seconds",
            "How long a completion took until its answer or error was known.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._calls = library.Counter(
            "corl_calls", "Calls to experts.", ["expert", "status"], registry=registry
        )
        self._tokens = library.Counter(
            "corl_tokens", "Tokens of experts.", ["expert", "kind"], registry=registry
        )
        self._cost = library.Counter(
            "corl_cost_usd", "List cost of calls.", ["expert"], registry=registry
        )
        self._fees = library.Counter("corl_fees_usd", "Fees beside calls.", registry=registry)
        self.in_flight = library.Gauge(
            "corl_requests_in_flight", "Requests under way.", registry=registry
        )
        spent = library.Gauge(
            "corl_spent_usd",
            "Committed in this directory, unsettled calls included.",
            ["key"],
            registry=registry,
        )
        limit = library.Gauge("corl_cap_usd", "Spending cap.", ["key"], registry=registry)
        caps = {name: account.cap for name, account in accounts.items()} | {"": cap}
        for name, shown in caps.items():
            spent.labels(name).set_function(lambda shown=shown: float(shown.spent_usd))
            if shown.limit_usd is not None:
                limit.labels(name).set(float(shown.limit_usd))

    def request(self, key: str, model: str, status: int, *, seconds: float) -> None:
        """Counts a completion that has been answered or refused."""
        self._requests.labels(key, model, str(status)).inc()
        self._seconds.observe(seconds)

    def costs(self, calls: Iterable[CallRecord], charges: Iterable[ChargeRecord]) -> None:
        """Counts what an episode has cost."""
        for call in calls:
            self._calls.labels(call.expert, call.status).inc()
            self._cost.labels(call.expert).inc(float(call.list_cost_usd))
            if call.usage is not None:
                tokens = self._tokens.labels
                tokens(call.expert, "input").inc(call.usage.total_input_tokens)
                tokens(call.expert, "output").inc(call.usage.output_tokens)
        for charge in charges:
            self._fees.inc(float(charge.list_cost_usd))

    def text(self, key: str | None = None) -> bytes:
        """Prometheus' text format.

        Args:
            key: whose lines alone there are; None: everybody's, and the server's.
        """
        shown = self._registry if key is None else _LinesOf(self._registry, key)
        page: bytes = self._library.generate_latest(shown)
        return page


@dataclass(frozen=True, slots=True)
class _LinesOf:
    """A registry as one key may see it: the lines that name it."""

    registry: Any
    key: str

    def collect(self) -> Iterator[Any]:
        for family in self.registry.collect():
            family.samples = [s for s in family.samples if s.labels.get("key") == self.key]
            if family.samples:
                yield family
