"""What a run and its workers say to each other: lines of JSON over one connection a worker.

Invariant: what an episode is told of a call is, to the last digit, what it would have been told in
the run's own process. Amounts travel as decimals in text, times as JSON's numbers, which are exact
both ways. Text is not escaped and may hold half a character (a lone surrogate), as Python's may.

    run → worker    build (or refuse), play, answer, drop, end
    worker → run    hello, ready (or cannot), call, leave, charge, done, failed

    >>> read_outcome(outcome_row(outcome)) == outcome  # doctest: +SKIP
"""

from __future__ import annotations

import json
import socket
from asyncio import BaseTransport
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from corl_bench.errors import CorlError
from corl_bench.experts.base import ExpertSpec, Reply, Request, Sampling
from corl_bench.experts.caller import CallOutcome
from corl_bench.types import Message, Usage

PATH = "/v1/work"
"""Where workers connect."""

_KEEPALIVE = {
    "TCP_KEEPIDLE": 30,
    "TCP_KEEPINTVL": 10,
    "TCP_KEEPCNT": 6,
    "TCP_USER_TIMEOUT": 120_000,  # in milliseconds
}


def write(do: str, **more: Any) -> bytes:
    """A message as it is sent."""
    line = json.dumps({"do": do, **more}, separators=(",", ":"), ensure_ascii=False)
    return line.encode("utf-8", "surrogatepass")


def read(line: bytes) -> dict[str, Any]:
    """The inverse of `write`."""
    said: dict[str, Any] = json.loads(line.decode("utf-8", "surrogatepass"))
    return said


def keep_alive(transport: BaseTransport | None) -> None:
    """Has the system find out that the other machine is gone, after two minutes at the most.

    The system answers for a process that is busy, so a router that computes for an hour is not
    taken for a dead one.
    """
    bound = None if transport is None else transport.get_extra_info("socket")
    if bound is None:
        return
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            bound.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def request_row(request: Request) -> dict[str, Any]:
    """A request, without what the run knows by itself: problem, sample, seed and the expert."""
    return {
        "expert": request.expert.name,
        "messages": [[message.role, message.content] for message in request.messages],
        "sampling": request.sampling.as_dict(),
        "occurrence": request.occurrence,
    }


def read_request(
    row: Mapping[str, Any], expert: ExpertSpec, *, problem_text: str, sample: int, seed: int
) -> Request:
    """The request that a worker has made.

    Args:
        row: of `request_row`.
        expert: as the run knows it.
        problem_text: of the episode.
        sample: of the episode.
        seed: of the run.
    """
    sampling = dict(row["sampling"])
    return Request(
        expert=expert,
        messages=tuple(Message(role, content) for role, content in row["messages"]),
        sampling=Sampling(**{**sampling, "stop": tuple(sampling.get("stop", ()))}),
        problem_text=problem_text,
        sample=sample,
        occurrence=row["occurrence"],
        seed=seed,
    )


def outcome_row(outcome: CallOutcome) -> dict[str, Any]:
    """All that an episode is told of a call."""
    reply = outcome.reply
    return {
        "status": outcome.status,
        "reply": None
        if reply is None
        else {
            "text": reply.text,
            "usage": reply.usage.as_dict(),
            "finish": reply.finish,
            "model": reply.model,
            "latency_s": reply.latency_s,
            "source_correct": reply.source_correct,
        },
        "attempts": outcome.attempts,
        "list_cost_usd": str(outcome.list_cost_usd),
        "unsettled_usd": str(outcome.unsettled_usd),
        "latency_s": outcome.latency_s,
        "detail": outcome.detail,
        "basis": outcome.basis,
        "expert": outcome.expert,
        "model": outcome.model,
    }


def fault_row(error: Exception) -> dict[str, Any]:
    """What a call has raised."""
    kind = type(error).__name__
    return {"kind": kind, "said": str(error), "is_ours": isinstance(error, CorlError)}


def read_fault(row: Mapping[str, Any]) -> Exception:
    """An error that says the same, of a class of the same name."""
    base = CorlError if row["is_ours"] else Exception
    fault: Exception = type(row["kind"], (base,), {})(row["said"])
    return fault


def read_outcome(row: Mapping[str, Any]) -> CallOutcome:
    """The inverse of `outcome_row`, but for the calls that a routing server has made."""
    reply = row["reply"]
    amounts = {name: Decimal(row[name]) for name in ("list_cost_usd", "unsettled_usd")}
    return CallOutcome(
        **{
            **row,
            **amounts,
            "reply": None
            if reply is None
            else Reply(**{**reply, "usage": Usage(**reply["usage"])}),
        }
    )
