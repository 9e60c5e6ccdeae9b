"""What an expert is, what one attempt asks of it, and what a provider must do.

A *provider* turns a `Request` into a `Reply` with exactly one attempt on the wire. It never
retries: retries, caps, journal and ledger belong to `corl_bench.experts.caller`, so that no
attempt escapes the books. What goes wrong is raised as a `ProviderError`, which says whether
trying again can help and whether the provider may have billed the attempt all the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal, Protocol, runtime_checkable

from corl_bench.experts.cards import Card
from corl_bench.experts.tariff import RoutedCall, Tariff
from corl_bench.money.prices import Price
from corl_bench.text import well_formed
from corl_bench.types import Message, Usage

FinishReason = Literal["stop", "length", "refusal"]
"""`length`: cut at the output limit; `refusal`: declined, or stopped by a content filter."""

Billing = Literal["none", "unknown"]

ErrorStatus = Literal[
    "rate_limited",  # 429
    "server_error",  # 5xx, or an overload reported in the body
    "bad_request",  # 4xx: another attempt would fail alike
    "too_long",  # 400 and 413: prompt and output limit exceed the model's context
    "auth",  # 401 and 403
    "unreachable",  # no connection: nothing was sent
    "timeout",  # no full answer in time
    "cut",  # the connection ended in the middle of the answer
    "malformed",  # an answer that is not what the protocol promises
    "missing_usage",  # an answer without token counts
    "wrong_model",  # an answer by another model than the one asked for
    "not_recorded",  # replay: there is no such recording
    "cap_reached",  # the spending cap of a server of ours leaves no room: nothing was asked
]


@dataclass(frozen=True, slots=True)
class Sampling:
    """Parameters of a request that shape the reply. `None` leaves the provider's default."""

    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning_effort: str | None = None
    stop: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in given.items() if value not in (None, ())}


@dataclass(frozen=True, slots=True)
class SharedPool:
    """The pool of a `corl-bench pool share` that an expert is asked through."""

    digest: str
    """Of the pool that is shared, so of this one; a server that shares another one refuses."""
    seed: int = 0
    """The server's, which decides what its simulated experts reply."""


@dataclass(frozen=True, slots=True)
class ExpertSpec:
    """An expert as its pool declares it: where it is, what it costs, how it is asked."""

    name: str
    """Alias in the pool, the name that routers use."""
    provider: str
    """`openai`, `anthropic`, `recorded`, `simulated`, or a registered one."""
    model: str
    """The provider's model id."""
    price: Price
    description: str = ""
    """One line for routers that read a listing of the pool."""
    role: Literal["expert", "self"] = "expert"
    """`self`: the controller's own model; billed, but not counted as a call to an expert."""
    sampling: Sampling = field(default_factory=Sampling)
    base_url: str | None = None
    key_env: str | None = None
    """Name of the environment variable that holds the key; None: no key is sent."""
    key_over_http: bool = False
    """Whether the key may travel unencrypted to another machine, in a network that is trusted."""
    timeout_s: float = 600.0
    max_attempts: int = 5
    max_concurrency: int = 64
    usage: Literal["required", "estimate"] = "required"
    """What a reply without token counts is: an error, or estimated and marked so."""
    send_seed: bool = False
    """Send the draw's number as `seed` (self-hosted and simulated servers honour it)."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The provider's own tables, validated by the provider."""
    tariff: Tariff | None = None
    """Of a server that chooses its model itself: what its calls cost. `price` is then the dearest
    that is known, a bound for a call whose worst case nobody states."""
    card: Card | None = None
    """What has been measured of it; routers read it."""
    shared: SharedPool | None = None
    """Asked under its alias at the server of a shared pool; `base_url` and `key_env` are the
    server's. All else is as where the pool itself is asked."""

    @property
    def pricing(self) -> Price | Tariff:
        """What decides the cost of its calls."""
        return self.tariff or self.price


@dataclass(frozen=True, slots=True)
class Pool:
    """The experts on offer in one run, in the order of their file."""

    name: str
    experts: tuple[ExpertSpec, ...]
    budgets: Mapping[str, str] = field(default_factory=dict)
    """Named budgets in dollars, as written."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Tables that concern several experts at once (the simulation's, say)."""
    digest: str = ""
    """sha256 of what shapes replies and prices; addresses and keys are no part of it."""
    price_date: date | None = None
    """The day whose library prices the experts have."""

    @property
    def simulated(self) -> bool:
        """Whether any expert is simulated, in process or behind a served pool's address."""
        return self.served or any(expert.provider == "simulated" for expert in self.experts)

    @property
    def served(self) -> bool:
        """Whether this is the file of a served simulation: all experts are simulated over HTTP."""
        return bool(self.options.get("simulation", {}).get("served", False))

    @property
    def own(self) -> tuple[str, ...]:
        """Names of a controller's own models among the experts: calls to them are attempts."""
        return tuple(expert.name for expert in self.experts if expert.role == "self")

    def __getitem__(self, name: str) -> ExpertSpec:
        for expert in self.experts:
            if expert.name == name:
                return expert
        raise KeyError(name)


_REPETITION = 1_000_000
"""What makes the draw of a repeated request another number than any sample's."""


def draw_of(seed: int) -> tuple[int, int]:
    """The sample and the occurrence behind a `Request.draw_seed`.

    A sample from a million on comes out as a repetition of a smaller one. It stands for the same
    seed, so it is the same draw to whoever has only that.
    """
    occurrence, sample = divmod(seed, _REPETITION)
    return sample, occurrence


_CANONICAL = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)

CANONICAL_PARTS = frozenset({"provider", "model", "messages", "sampling", "seed", "body"})
"""Keys that `Request.canonical` can hold; an imported request has no others."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to one expert: what is sent, and which draw of the reply is wanted."""

    expert: ExpertSpec
    messages: tuple[Message, ...]
    sampling: Sampling
    """The expert's parameters with the caller's on top."""
    problem_text: str
    """The statement that the episode is about; it finds simulated and imported replies."""
    sample: int = 0
    occurrence: int = 0
    """How often this very request was made before in this episode."""
    seed: int = 0
    """The run's. It decides what simulated experts reply, and nothing else."""
    _line: str = field(default="", init=False, repr=False, compare=False)
    """The canonical request once it was wanted."""
    _key: str = field(default="", init=False, repr=False, compare=False)
    """Likewise."""

    @property
    def draw_seed(self) -> int:
        """The sample index, made different for repeated requests of one episode."""
        return self.sample + _REPETITION * self.occurrence

    def redrawn(self, *, sample: int, occurrence: int) -> Request:
        """The same question, of which another draw is wanted; its key stays."""
        other = replace(self, sample=sample, occurrence=occurrence)
        object.__setattr__(other, "_line", self._line)
        object.__setattr__(other, "_key", self._key)
        return other

    def canonical(self) -> str:
        """What decides the reply, as one line of JSON; no address, key or alias in it."""
        if not self._line:
            object.__setattr__(self, "_line", self._canonical())
        return self._line

    def _canonical(self) -> str:
        asked: dict[str, Any] = {
            "provider": self.expert.provider,
            "model": self.expert.model,
            "messages": [message.as_dict() for message in self.messages],
            "sampling": self.sampling.as_dict(),
        }
        if self.expert.provider == "simulated":
            shared = self.expert.shared
            asked["seed"] = self.seed if shared is None else shared.seed
        # Weights that run in this process: trained again under the same name they are others.
        if weights := self.expert.options.get("sha256"):
            asked["weights"] = weights
        # Fields of the body that the pool adds (an extended-thinking budget, say).
        if body := self.expert.options.get("body"):
            asked["body"] = body
        return well_formed(_CANONICAL.encode(asked))  # as it is sent, and as files can hold it

    def key(self) -> str:
        """sha256 of the canonical request, in hexadecimal."""
        if not self._key:
            key = hashlib.sha256(self.canonical().encode()).hexdigest()
            object.__setattr__(self, "_key", key)
        return self._key

    def max_input_tokens(self) -> int:
        """An upper bound for any byte-level tokeniser: a token is at least one byte.

        Chat templates add a few tokens a message; 32 each and 64 in all covers those known.
        """
        return 64 + sum(32 + len(m.content.encode()) for m in self.messages)


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer of an expert."""

    text: str
    usage: Usage
    finish: FinishReason = "stop"
    model: str = ""
    """The model that the provider says has answered."""
    latency_s: float = 0.0
    source_correct: bool | None = None
    """The verdict that came with an imported recording, where one did."""
    routed: tuple[RoutedCall, ...] = ()
    """The calls that a server which routes by itself has made for this reply."""


class ProviderError(Exception):
    """An attempt that brought no usable reply."""

    def __init__(
        self,
        status: ErrorStatus,
        detail: str,
        *,
        retryable: bool = False,
        billing: Billing = "none",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retryable = retryable
        self.billing = billing
        """`unknown`: the provider may have billed it, so it stands at its worst case."""
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What `corl-bench pool check` found out about one expert."""

    reachable: bool | None
    """None: nothing to reach (simulated, recorded), or nothing to try it with (no key)."""
    detail: str = ""
    ready: bool = True
    """False: a call would fail; `detail` says why."""


class Provider(Protocol):
    """One attempt at a time; instances are shared by all episodes of a run."""

    async def send(self, request: Request) -> Reply:
        """Asks once.

        Raises:
            ProviderError: there is no usable reply.
        """
        ...

    async def check(self) -> CheckResult:
        """Finds out, without spending anything, whether the expert would answer."""
        ...

    async def aclose(self) -> None: ...


@runtime_checkable
class Selective(Protocol):
    """A provider that cannot read just anything, and can tell without being asked."""

    def require_readable(self, opening: str) -> None:
        """Refuses a conversation that it would fail at.

        Args:
            opening: its first message.

        Raises:
            ConfigError: the message is none that it knows; says which it does.
        """
        ...
