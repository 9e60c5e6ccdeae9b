"""Experts behind a shared pool's server, asked so that nothing differs from asking them oneself.

What goes out is an OpenAI chat completion with the expert's alias, the draw as its `seed`, and the
digest of the pool that is meant: a server that shares another pool refuses before anything is
spent. What comes back is the reply with the model, the tokens and the latency that the server has
recorded, so a reply has the same figures here, in the server's store and in a run that asks the
expert itself.

A request waits for as long as the server says that it is still asking. What is lost on the way is
no open bill of this side: the server has journalled what it has sent, and the same draw is asked
for again at no further cost.

    provider = SharedProvider(spec, transport, environment)     # spec.shared is set
    (await provider.send(request)).model                        # the provider's own id
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.experts.base import CheckResult, ExpertSpec, ProviderError, Reply, Request
from corl_bench.experts.endpoint import CHECK_TIMEOUT_S, read_base_url, read_key
from corl_bench.experts.openai import read_completion
from corl_bench.experts.transport import HttpReply, Transport
from corl_bench.experts.usage import read_count, read_table
from corl_bench.experts.wire import (
    encode,
    error_codes,
    malformed,
    status_error,
)
from corl_bench.types import Usage

POOL_HEADER = "X-Corl-Pool"
"""Digest of the pool that the asker means."""
REQUEST_HEADER = "X-Request-Id"
"""Names a request at the server: who sends it waits on for that one."""
STILL_ASKING = "still_asking"
"""Code of a refusal that is none: the reply is not there yet."""


class SharedProvider:
    """One expert of a shared pool.

    Args:
        spec: with `shared`.
        transport: of the run.
        environment: where the server's key is.
    """

    def __init__(
        self, spec: ExpertSpec, transport: Transport, environment: Mapping[str, str]
    ) -> None:
        assert spec.shared is not None
        self._spec = spec
        self._digest = spec.shared.digest
        self._transport = transport
        self._environment = environment
        self.base_url = read_base_url(spec, "")

    async def send(self, request: Request) -> Reply:
        """Asks once, however long it takes; see `corl_bench.experts.base.Provider`."""
        key = read_key(self._spec, self._environment)
        body = encode(self._payload(request))
        try:
            reply = await self._exchange("POST", "/chat/completions", key, body=body)
            while STILL_ASKING in error_codes(reply):  # which takes the server its time to say
                name = reply.headers.get(REQUEST_HEADER, "")
                reply = await self._exchange("POST", "/chat/completions", key, name, body=body)
            if reply.status >= 300:
                raise status_error(reply, self._spec, key)
            return self._parse(reply, key)
        except ProviderError as error:
            # Whatever it was, what it costs is in the server's books.
            raise ProviderError(
                error.status,
                error.detail,
                retryable=error.retryable,
                retry_after_s=error.retry_after_s,
            ) from error

    async def check(self) -> CheckResult:
        """Whether the server is there and shares the pool that is meant; costs nothing."""
        try:
            key = read_key(self._spec, self._environment)
        except ProviderError as error:
            return CheckResult(reachable=None, detail=error.detail, ready=False)
        try:
            reply = await self._exchange("GET", "/models", key, timeout_s=CHECK_TIMEOUT_S)
        except ProviderError as error:
            return CheckResult(reachable=False, detail=error.detail, ready=False)
        if reply.status >= 300:
            detail = status_error(reply, self._spec, key).detail
            return CheckResult(reachable=True, detail=detail, ready=False)
        return CheckResult(reachable=True, detail="reachable, shares this pool")

    async def require_pool(self) -> None:
        """Refuses a server that would refuse every request; one that is not there may come.

        Raises:
            ConfigError: with what it says.
        """
        found = await self.check()
        if found.reachable and not found.ready:
            raise ConfigError(f"shared pool at {self.base_url}: {found.detail}")

    async def aclose(self) -> None:
        """Nothing: the transport belongs to the run."""

    async def _exchange(
        self,
        method: str,
        path: str,
        key: str | None,
        name: str = "",
        *,
        body: bytes | None = None,
        timeout_s: float | None = None,
    ) -> HttpReply:
        headers = {"Content-Type": "application/json", POOL_HEADER: self._digest}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        if name:
            headers[REQUEST_HEADER] = name
        return await self._transport.exchange(
            method,
            f"{self.base_url}{path}",
            headers=headers,
            body=body,
            timeout_s=self._spec.timeout_s if timeout_s is None else timeout_s,
        )

    def _payload(self, request: Request) -> dict[str, Any]:
        """The request; all of its sampling travels, whatever the expert's provider takes of it."""
        sampling = request.sampling.as_dict()
        if (limit := sampling.pop("max_output_tokens", None)) is not None:
            sampling["max_tokens"] = limit
        return {
            "model": self._spec.name,
            "messages": [message.as_dict() for message in request.messages],
            "seed": request.draw_seed,
            **sampling,
        }

    def _parse(self, reply: HttpReply, key: str | None) -> Reply:
        said = read_completion(reply, self._spec, key)
        facts = read_table(said.answer, "corl")
        model, latency_s = facts.get("model"), facts.get("latency_s")
        if not isinstance(model, str) or not isinstance(latency_s, (int, float)):
            raise malformed(
                f"{self.base_url} is no shared pool's server: nothing is told of the call",
                retryable=False,
            )
        return Reply(
            text=said.text,
            usage=_usage(read_table(facts, "usage")),
            finish="refusal" if said.refused else said.finish,
            model=model,
            latency_s=float(latency_s),
        )


def _usage(table: Mapping[str, Any]) -> Usage:
    counts = {name: read_count(table, name) for name in Usage.__slots__ if name != "estimated"}
    return Usage(**counts, estimated=table.get("estimated") is True)
