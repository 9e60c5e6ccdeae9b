"""What the HTTP providers have in common: reading answers that nobody vouches for.

Everything here takes what a server sent and gives either a value that can be trusted or a
`ProviderError` with a status, a detail of one line that holds no key, and what is known about
the bill. No exception of another kind leaves this module, whatever the bytes.

    >>> is_same_model("gpt-4.1", "gpt-4.1-2025-04-14")
    True
    >>> is_same_model("gpt-4.1", "gpt-4.1-mini")
    False
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from corl_bench.experts.base import Billing, ExpertSpec, ProviderError
from corl_bench.experts.transport import HttpReply
from corl_bench.text import well_formed, without_keys

MAX_DETAIL_CHARS = 200

# How OpenAI and those who follow it, and llama.cpp, call a prompt beyond the context; and what
# vLLM, SGLang and Anthropic say, who have no code for it.
_TOO_LONG_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_TOO_LONG_WORDS = re.compile(
    r"maximum (?:context|model) length|model's context length|prompt is too long", re.IGNORECASE
)

# How `corl-bench serve` and `corl-bench pool share` say that their cap is reached.
_CAP_CODES = frozenset({"server_cap_reached", "key_cap_reached"})

_DATE = re.compile(
    r"-(?:20\d\d-?)?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])"  # -2025-04-14, -20250414, -0613
)


def encode(payload: Mapping[str, Any]) -> bytes:
    """The request's body. A lone surrogate in a prompt becomes the replacement character."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return well_formed(text).encode()


def read_object(reply: HttpReply) -> dict[str, Any]:
    """The JSON object in the body of a reply of status 2xx.

    Raises:
        ProviderError: `malformed`, billing unknown: it is no UTF-8, no JSON, or no object.
    """
    try:
        value = json.loads(reply.body.decode("utf-8"))
    except UnicodeDecodeError:
        raise malformed("the reply is not UTF-8") from None
    except (ValueError, RecursionError):
        raise malformed("the reply is not JSON") from None
    if not isinstance(value, dict):
        raise malformed("the reply is not a JSON object")
    return value


def malformed(detail: str, *, retryable: bool = True) -> ProviderError:
    """A reply that breaks the protocol; nobody knows what was billed for it."""
    return ProviderError("malformed", detail, retryable=retryable, billing="unknown")


def status_error(
    reply: HttpReply, spec: ExpertSpec, key: str | None, *, status: int | None = None
) -> ProviderError:
    """What an answer of status 300 or more means.

    Args:
        reply: the answer.
        spec: the expert that was asked, named in the message.
        key: its key, so that it can be taken out of the message.
        status: what to go by where the body, not the header, holds the status.
    """
    in_body = status is not None
    status = reply.status if status is None else status
    words, codes = _error_words(reply.body)
    where = f"status {status} in the body" if in_body else f"status {status}"
    detail = f"{where}: {clean_detail(words, key)}" if words else where
    wait_s = retry_after_s(reply.headers)
    # A success that turned into an error was at work on the reply when it failed.
    billing: Billing = "unknown" if in_body else "none"
    if status in (401, 403):
        remedy = (
            f"check the key in {spec.key_env}"
            if spec.key_env
            else "the server wants a key: name its variable as key_env"
        )
        return ProviderError("auth", f"{detail}; {remedy}", billing=billing)
    if status == 402 and _CAP_CODES & codes:
        return ProviderError("cap_reached", clean_detail(words, key), billing=billing)
    if status == 429:
        # A spent quota answers 429 too, and no waiting mends it.
        mendable = "insufficient_quota" not in codes
        return ProviderError("rate_limited", detail, retryable=mendable, retry_after_s=wait_s)
    if 300 <= status < 400:
        try:
            target = urlsplit(reply.headers.get("Location", "")).netloc.rpartition("@")[2]
        except ValueError:
            target = ""
        where = f" to {clean_detail(target, key)}" if target else ""
        return ProviderError(
            "bad_request", f"status {status}: redirected{where}; set base_url to the final address"
        )
    if status == 408 or status == 409 or status >= 500:
        if status in (504, 524):
            # A gateway lost patience, which says nothing about the model behind it.
            billing = "unknown"
        return ProviderError(
            "timeout" if status == 408 else "server_error",
            detail,
            retryable=True,
            billing=billing,
            retry_after_s=wait_s,
        )
    if status in (400, 413) and _is_too_long(words, codes):
        return ProviderError("too_long", detail, billing=billing)
    return ProviderError("bad_request", detail, billing=billing)


def retry_after_s(headers: Mapping[str, str], now_s: float | None = None) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `Retry-After` (seconds or an HTTP date).

    A date is held against the answer's own `Date`: our clock may be wrong, or be set while we
    wait, and the server's is the one that its date is of.

    Args:
        headers: of the answer, case-insensitive.
        now_s: the present as a Unix time, where the answer has no date; None reads the clock.

    Returns:
        At least 0, finite; None where neither header says anything that makes sense.
    """
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            wait_s = float(headers.get(name, "")) / scale
        except ValueError:
            continue
        if math.isfinite(wait_s):
            return max(0.0, wait_s)
    at_s = _unix_time_s(headers.get("retry-after", ""))
    if at_s is None:
        return None
    said_s = _unix_time_s(headers.get("date", ""))
    if said_s is None:
        said_s = time.time() if now_s is None else now_s
    return max(0.0, at_s - said_s)


def _unix_time_s(date: str) -> float | None:
    """An HTTP date as a Unix time; None where it is none."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None


def is_same_model(asked: str, answered: str) -> bool:
    """Whether `answered` is the model that was asked for, or a dated snapshot of it.

    The rule, letter case apart: the same id; the same id followed by a date (`-2025-04-14`,
    `-20250414`, `-0613`); and for an asked `x-latest` or `x-0`, which name the newest snapshot
    of `x`, the id `x` alone or with a date. Nothing else, so `gpt-4.1-mini` is no `gpt-4.1`.
    """
    asked, answered = asked.casefold(), answered.casefold()
    if asked == answered:
        return True
    base = asked.removesuffix("-latest") if asked.endswith("-latest") else asked.removesuffix("-0")
    if not answered.startswith(base):
        return False
    tail = answered[len(base) :]
    return (tail == "" and base != asked) or _DATE.fullmatch(tail) is not None


def clean_text(value: object) -> str:
    """The text of a reply, fit for files and databases.

    Anything but a string is empty; a lone surrogate becomes the replacement character.
    """
    return well_formed(value) if isinstance(value, str) else ""


def clean_detail(words: str, key: str | None) -> str:
    """One short printable line without `key` or anything that looks like one."""
    # First what cannot be seen goes, lest taking it out later puts a key together again.
    words = "".join(c for c in words if c.isprintable() or c.isspace())
    if key:
        words = words.replace(key, "***")
    line = " ".join(without_keys(words).split())
    return line if len(line) <= MAX_DETAIL_CHARS else line[: MAX_DETAIL_CHARS - 1] + "…"


def error_codes(reply: HttpReply) -> frozenset[str]:
    """The machine-readable codes of a refusal; none in an answer of status 2xx."""
    return frozenset() if reply.status < 300 else _error_words(reply.body)[1]


def _error_words(body: bytes) -> tuple[str, frozenset[str]]:
    """The provider's message and its machine-readable codes, in any of the usual shapes."""
    try:
        value = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return body.decode("utf-8", "replace"), frozenset()
    error = value.get("error", value)
    if not isinstance(error, dict):
        return clean_text(error), frozenset()
    words = error.get("message") or value.get("message") or value.get("detail") or ""
    codes = {code for name in ("code", "type") if isinstance(code := error.get(name), str)}
    return words if isinstance(words, str) else json.dumps(words), frozenset(codes)


def _is_too_long(words: str, codes: frozenset[str]) -> bool:
    return bool(_TOO_LONG_CODES & codes) or _TOO_LONG_WORDS.search(words) is not None
