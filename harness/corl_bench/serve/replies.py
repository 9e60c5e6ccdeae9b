r"""What a client gets back: completions, chunks of a stream, and what it all has cost.

Invariant: every amount of money is a text of plain digits, the exact decimal of the ledger, and
`usage` adds up the tokens of all calls, failed and dropped ones as far as they are known.

    completion = Completion("req-1", "corl-low", created=0, text="42", finish="stop", costs=costs)
    completion.whole()
    b"".join(completion.chunks(include_usage=True))     # ends in b"data: [DONE]\n\n"
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from corl_bench.money.amounts import format_usd, sum_usd
from corl_bench.money.basis import weakest
from corl_bench.results import CallRecord, ChargeRecord
from corl_bench.types import Budget

Finish = Literal["stop", "length", "content_filter"]

PIECE_CHARS = 48
"""About how much text a chunk of a stream carries: it is there all at once in any case."""

KEEP_ALIVE = b": working\n\n"
"""A comment of an event stream, which clients pass over and proxies take for life."""

DONE = b"data: [DONE]\n\n"

_WORD = re.compile(rf"\S{{1,{PIECE_CHARS}}}\s{{0,{PIECE_CHARS}}}|\s{{1,{PIECE_CHARS}}}")


@dataclass(frozen=True, slots=True)
class Costs:
    """What an episode has cost."""

    request_id: str
    system: str
    budget: Budget | None
    calls: Sequence[CallRecord]
    charges: Sequence[ChargeRecord]
    events: Sequence[str]
    latency_s: float

    @property
    def list_cost_usd(self) -> Decimal:
        """At the price list, fees included."""
        return sum_usd(line.list_cost_usd for line in self._lines)

    @property
    def _lines(self) -> list[CallRecord | ChargeRecord]:
        return [*self.calls, *self.charges]

    def usage(self) -> dict[str, Any]:
        """Tokens of all calls, in the shape of OpenAI's `usage`."""
        known = [call.usage for call in self.calls if call.usage is not None]
        read = sum(usage.total_input_tokens for usage in known)
        output = sum(usage.output_tokens for usage in known)
        cached = sum(usage.cached_input_tokens for usage in known)
        reasoning = sum(usage.reasoning_tokens for usage in known)
        return {
            "prompt_tokens": read,
            "completion_tokens": output,
            "total_tokens": read + output,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }

    def ledger(self) -> dict[str, Any]:
        """The `corl` object of a reply: the total, and a line for each call and fee."""
        total_usd = self.list_cost_usd
        unsettled_usd = sum_usd(line.unsettled_usd for line in self._lines)
        budget = None
        if self.budget is not None:
            budget = {
                "name": self.budget.name,
                "usd": format_usd(self.budget.usd),
                "kept": total_usd <= self.budget.usd,
            }
        return {
            "request": self.request_id,
            "system": self.system,
            "cost_usd": format_usd(total_usd),
            "unsettled_usd": format_usd(unsettled_usd),
            "basis": weakest(line.basis for line in self._lines),
            "budget": budget,
            "calls": [_call(call) for call in self.calls],
            "charges": [_charge(charge) for charge in self.charges],
            "events": list(self.events),
            "latency_s": round(self.latency_s, 3),
        }


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer."""

    model: str
    """As it was asked for."""
    created: int
    """Unix time in seconds."""
    text: str
    finish: Finish
    costs: Costs

    def whole(self) -> dict[str, Any]:
        """The body of a reply that is not streamed."""
        message = {"role": "assistant", "content": self.text, "refusal": None}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": self.finish,
        }
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": self.costs.usage(),
            "corl": self.costs.ledger(),
        }

    def chunks(self, *, include_usage: bool) -> Iterator[bytes]:
        """The events of a stream, `[DONE]` included.

        The ledger comes with the last chunk. Without `include_usage` that is the one with the
        reason to finish, as clients that have not asked for it expect a choice in every chunk.
        """
        yield self._chunk({"role": "assistant", "content": ""})
        for piece in pieces(self.text):
            yield self._chunk({"content": piece})
        ledger = {"corl": self.costs.ledger()}
        if include_usage:
            yield self._chunk({}, self.finish)
            body = {**self._head("chat.completion.chunk"), "choices": []}
            yield event({**body, "usage": self.costs.usage(), **ledger})
        else:
            yield self._chunk({}, self.finish, ledger)
        yield DONE

    def _chunk(
        self,
        delta: Mapping[str, Any],
        finish: Finish | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return event({**self._head("chat.completion.chunk"), "choices": [choice], **(more or {})})

    def _head(self, kind: str) -> dict[str, Any]:
        name = f"chatcmpl-{self.costs.request_id}"
        return {"id": name, "object": kind, "created": self.created, "model": self.model}


def event(body: Mapping[str, Any]) -> bytes:
    """An event of a stream: one line of JSON and an empty one."""
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


def pieces(text: str) -> Iterator[str]:
    """The text in pieces that end between words where they can; joined they are the text."""
    piece = ""
    for word in _WORD.finditer(text):
        piece += word[0]
        if len(piece) >= PIECE_CHARS:
            yield piece
            piece = ""
    if piece:
        yield piece


def _call(call: CallRecord) -> dict[str, Any]:
    line: dict[str, Any] = {
        "expert": call.expert,
        "model": call.model,
        "role": call.role,
        "status": call.status,
        "usage": None if call.usage is None else call.usage.as_dict(),
        "cost_usd": format_usd(call.list_cost_usd),
        "attempts": call.attempts,
        "latency_s": round(call.latency_s, 3),
    }
    if call.unsettled_usd:
        line["unsettled_usd"] = format_usd(call.unsettled_usd)
    if call.basis != "metered":
        line["basis"] = call.basis
    return line


def _charge(charge: ChargeRecord) -> dict[str, Any]:
    return {
        "what": charge.what,
        "cost_usd": format_usd(charge.list_cost_usd),
        "basis": charge.basis,
    }
