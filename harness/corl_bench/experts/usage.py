"""Token counts of a reply: read with suspicion, or estimated where the pool says so.

Nothing is billed from a count that cannot be; a reply without counts is an error unless its
expert declares `usage = "estimate"`, and an estimate is marked as one for good.

    usage = settle_usage(parsed, request, text)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corl_bench.experts.base import ProviderError, Request
from corl_bench.experts.wire import malformed
from corl_bench.text import well_formed
from corl_bench.types import Usage

MAX_TOKENS = 1_000_000_000
"""More than this in one count is no count."""


def read_count(table: Mapping[str, Any], name: str) -> int:
    """A token count; absent or null is 0.

    Raises:
        ProviderError: `malformed`, billing unknown: it is no whole number of tokens.
    """
    value = table.get(name)
    if value is None:
        return 0
    # bool is an int to Python; NaN and 1e3 are floats: none of them is a count.
    if type(value) is not int or not 0 <= value <= MAX_TOKENS:
        raise impossible_usage(f"{name} is {ascii(value)[:40]}")
    return value


def read_table(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A nested table of counts; absent or null is empty."""
    value = table.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise impossible_usage(f"{name} is no table")
    return value


def impossible_usage(detail: str) -> ProviderError:
    """Counts that cannot be: nothing may be billed from them, and a retry brings the same."""
    return malformed(f"impossible usage: {detail}", retryable=False)


def settle_usage(usage: Usage | None, request: Request, text: str, hidden: str = "") -> Usage:
    """`usage` as it was counted, or what the expert's declaration says about its absence.

    A count of no input, or of no output although there is text, is no count either: servers
    that do not count send zeros.

    Args:
        usage: the parsed counts; None where the reply has none.
        request: what was sent.
        text: the reply.
        hidden: reasoning that came beside it.

    Raises:
        ProviderError: `missing_usage`, billing unknown, unless the expert declares an estimate.
    """
    if usage is not None and usage.total_input_tokens and (usage.output_tokens or not text):
        return usage
    if request.expert.usage == "estimate":
        return estimate_usage(request, text, hidden)
    raise ProviderError(
        "missing_usage",
        f"the reply has no token counts; usage = 'estimate' for expert {request.expert.name} "
        "would estimate them",
        billing="unknown",
    )


def estimate_usage(request: Request, text: str, hidden: str = "") -> Usage:
    """A token for every two bytes: deliberately more than English or LaTeX takes.

    Each message counts 8 tokens on top for its template. The output never exceeds the limit
    that the server was given. Reasoning that was not sent cannot be counted.
    """
    sent = sum(8 + half_of_bytes(message.content) for message in request.messages)
    reasoning = half_of_bytes(hidden)
    output = max(1, half_of_bytes(text) + reasoning)
    if (limit := request.sampling.max_output_tokens) is not None:
        output = min(output, limit)
    return Usage(
        input_tokens=sent,
        output_tokens=output,
        reasoning_tokens=min(reasoning, output),
        estimated=True,
    )


def half_of_bytes(text: str) -> int:
    """The estimate of a text's tokens: one for every two bytes of its UTF-8."""
    return (len(well_formed(text).encode()) + 1) // 2
