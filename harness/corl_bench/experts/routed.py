"""Servers that route by themselves behind the chat-completions API, asked like any model.

What goes out is what `corl_bench.experts.openai` sends. Of what comes back, this client takes
down who has answered and what is said to be paid for it, as `RoutedCall`s; what that comes to in
dollars is decided by `corl_bench.experts.costs`. It reads, the first that is there:

1. a `corl` ledger, as `corl-bench serve` sends: every call with its model and tokens;
2. a `router_metadata` object that states a total: the tokens beside it are of no single call
   (xRouter's server estimates them from characters), so only the total is kept;
3. the model in a header, in `router_metadata`, or echoed as `model`, with `usage` as its tokens
   and `usage.cost` (OpenRouter) or a header as what the server says that it cost.

    provider = RoutedProvider(spec, transport, environment)
    (await provider.send(request)).routed
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from corl_bench.errors import ConfigError
from corl_bench.experts.base import ExpertSpec, Provider, Reply, Request
from corl_bench.experts.openai import OpenAIProvider, parse_usage, read_completion
from corl_bench.experts.tariff import RoutedCall
from corl_bench.experts.transport import HttpReply, Transport
from corl_bench.experts.usage import read_count, settle_usage
from corl_bench.experts.wire import clean_detail, malformed
from corl_bench.money.amounts import DECIMALS, format_usd, parse_json_usd, parse_usd
from corl_bench.types import Usage

if TYPE_CHECKING:
    from corl_bench.experts.providers import ProviderContext

_MODEL_KEYS = ("model_used", "selected_model", "model")
_TOTAL_KEYS = ("total_cost", "total_cost_usd", "cost_usd", "cost")
MOST_CALLS = 1000
"""Calls of one reply that a ledger may hold."""


def make(spec: ExpertSpec, context: ProviderContext) -> Provider:
    """The factory that `corl_bench.experts.providers` registers."""
    return RoutedProvider(spec, context.transport, context.environment)


class RoutedProvider(OpenAIProvider):
    """One router behind one OpenAI-compatible address.

    Options beside those of an OpenAI expert: `asks_for`, the model id that is sent, and
    `model_header` and `cost_header`, names of headers that say who answered and what it cost.
    """

    known_options = ("parameters", "asks_for", "model_header", "cost_header")

    def __init__(
        self, spec: ExpertSpec, transport: Transport, environment: Mapping[str, str]
    ) -> None:
        super().__init__(spec, transport, environment)
        if spec.tariff is None:
            raise ConfigError(
                f"expert {spec.name}: provider 'routed' has no fixed price: name the server as a"
                " system, --system endpoint:URL"
            )
        extra = self._options.extra
        self._asks_for = str(extra.get("asks_for", spec.model))
        self._model_header = str(extra.get("model_header", ""))
        self._cost_header = str(extra.get("cost_header", ""))

    def payload(self, request: Request) -> dict[str, Any]:
        """The body of the request, as a table."""
        return {**super().payload(request), "model": self._asks_for}

    def parse(self, reply: HttpReply, request: Request, key: str | None) -> Reply:
        """The answer to a request, with the calls that it says it took.

        Raises:
            ProviderError: there is no usable reply in it.
        """
        said = read_completion(reply, self._spec, key)
        counted = parse_usage(said.answer.get("usage"))
        usage = settle_usage(counted, request, said.text, said.hidden)
        routed = self._routed(reply.headers, said.answer, None if usage.estimated else usage, key)
        return Reply(
            text=said.text,
            usage=usage,
            finish="refusal" if said.refused else said.finish,
            model=", ".join(dict.fromkeys(call.model for call in routed if call.model))[:200],
            latency_s=reply.latency_s,
            routed=routed,
        )

    def _routed(
        self,
        headers: Mapping[str, str],
        answer: Mapping[str, Any],
        usage: Usage | None,
        key: str | None,
    ) -> tuple[RoutedCall, ...]:
        ledger = answer.get("corl")
        if isinstance(ledger, Mapping) and isinstance(ledger.get("calls"), list):
            return _calls_of(ledger, key)
        metadata = answer.get("router_metadata")
        metadata = metadata if isinstance(metadata, Mapping) else {}
        named = [headers.get(self._model_header) if self._model_header else None]
        named += [metadata.get(name) for name in _MODEL_KEYS]
        named.append(answer.get("model"))
        model = next((_name(name, key) for name in named if isinstance(name, str) and name), "")
        total_usd = _first_amount(metadata, _TOTAL_KEYS)
        if total_usd is not None:
            return (RoutedCall(model, None, total_usd),)
        table = answer.get("usage")
        cost_usd = _first_amount(table if isinstance(table, Mapping) else {}, ("cost",))
        if cost_usd is None and self._cost_header:
            cost_usd = _first_amount(headers, (self._cost_header,))
        return (RoutedCall(model, usage, cost_usd),)


def _calls_of(ledger: Mapping[str, Any], key: str | None) -> tuple[RoutedCall, ...]:
    """The calls and fees of a `corl` ledger; a call that cost nothing is left out."""
    lines, fees = ledger["calls"], ledger.get("charges") or []
    if not isinstance(fees, list) or len(lines) + len(fees) > MOST_CALLS:
        raise malformed("the ledger of the reply is no list of calls", retryable=False)
    calls = []
    for line in (*lines, *fees):
        if not isinstance(line, Mapping):
            raise malformed("a line of the reply's ledger is no object", retryable=False)
        cost_usd = _first_amount(line, ("cost_usd",))
        is_open = bool(_first_amount(line, ("unsettled_usd",)))
        # Tokens are of the last attempt alone, so of several attempts only the cost is known.
        is_single = read_count(line, "attempts") <= 1 and not is_open
        usage = _usage_of(line.get("usage")) if is_single else None
        if usage is None and cost_usd == 0 and not is_open:
            continue
        model = _name(line["model"], key) if isinstance(line.get("model"), str) else ""
        calls.append(RoutedCall(model, usage, None if is_open else cost_usd))
    return tuple(calls) or (RoutedCall("", None, _first_amount(ledger, ("cost_usd",))),)


def _usage_of(table: object) -> Usage | None:
    """The counts of a call; None where nothing was counted, which zeros say as well."""
    if not isinstance(table, Mapping):
        return None
    counts = {name: read_count(table, name) for name in Usage.__slots__ if name != "estimated"}
    usage = Usage(**counts, estimated=table.get("estimated") is True)
    return usage if usage.total_input_tokens else None


def _name(text: str, key: str | None) -> str:
    return clean_detail(text, key)


def _first_amount(table: Mapping[str, Any], names: tuple[str, ...]) -> Decimal | None:
    """The first amount of dollars that is there under one of several names.

    Raises:
        ProviderError: `malformed`, billing unknown: it is none.
    """
    for name in names:
        value = table.get(name)
        if value is not None:
            return _amount(value, name)
    return None


def _amount(value: object, name: str) -> Decimal:
    """An amount as a server writes it, rounded to the last decimal that the ledger carries."""
    try:
        if isinstance(value, str):  # a float that somebody has made a text of: 1.2e-05
            return parse_usd(format_usd(round(Decimal(value), DECIMALS)))
        return parse_json_usd(value)
    except (ConfigError, ArithmeticError, ValueError):
        # Nothing is booked from it, and a retry brings the same.
        what = f"impossible cost: {name} is {ascii(value)[:40]}"
        raise malformed(what, retryable=False) from None
