"""What a request is refused with: a status, and an error object as OpenAI's API words it.

Invariant: the message is written here, for whoever sent the request. It never repeats a key, an
address, or what a provider or a routing system said in its own words.

    raise Refusal(404, "there is no model 'x'", code="model_not_found", param="model")
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from corl_bench.serving import error_body

_KINDS = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}


class Refusal(Exception):
    """Ends a request.

    Args:
        status: of HTTP.
        message: one line for the client's user.
        code: for the client's program.
        param: the field of the request that is at fault.
        retry_after_s: when it may be worth another try; None: do not.
        ledger: what the request has cost all the same, as `replies.describe_costs` has it.
        request: its name, for whoever is to come back for its answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        retry_after_s: float | None = None,
        ledger: Mapping[str, Any] | None = None,
        request: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s
        self.ledger = ledger
        self.request = request

    @property
    def headers(self) -> dict[str, str]:
        """When to come back, where that helps; OpenAI's clients repeat 5xx of themselves."""
        named = {} if self.request is None else {"x-request-id": self.request}
        if self.retry_after_s is not None:
            return {"Retry-After": str(max(1, math.ceil(self.retry_after_s))), **named}
        return {"x-should-retry": "false", **named}

    def body(self) -> dict[str, Any]:
        """The error object, and the ledger where something was spent."""
        kind = _KINDS.get(
            self.status, "server_error" if self.status >= 500 else "invalid_request_error"
        )
        body = error_body(str(self), kind=kind, param=self.param, code=self.code)
        return body | ({} if self.ledger is None else {"corl": dict(self.ledger)})
