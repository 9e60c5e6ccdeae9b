"""Where an expert behind HTTP is asked, under which key, and whether it would answer.

What the pool file says is checked when a provider is made; keys are read from the environment
at each request, so that no object, message or file ever keeps one.

    options = read_options(spec)
    base_url = read_base_url(spec, "https://api.openai.com/v1")
    key = read_key(spec, environment)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from corl_bench.errors import ConfigError
from corl_bench.experts.base import CheckResult, ExpertSpec, ProviderError
from corl_bench.experts.transport import Transport
from corl_bench.experts.wire import clean_detail, is_same_model, read_object, status_error

CHECK_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """The `options` table of an expert behind HTTP."""

    answers_as: str | None = None
    """The model id that replies carry, where it is not the one asked for (a gateway's alias)."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """More top-level fields of the request, sent as they are: `chat_template_kwargs`, say."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What is left, for the provider that knows it."""


# What the clients write themselves from the expert's sampling, or what would change how many
# replies are paid for, or how they arrive.
_OWNED_FIELDS = frozenset(
    {
        *("model", "messages", "system", "seed", "stream", "n", "best_of"),
        *("max_tokens", "max_completion_tokens", "temperature", "top_p", "reasoning_effort"),
        *("stop", "stop_sequences"),
    }
)


def read_options(spec: ExpertSpec, *, known: Sequence[str] = ()) -> HttpOptions:
    """The expert's options, checked.

    Args:
        spec: the expert.
        known: names of further options that its provider understands.

    Raises:
        ConfigError: an option is unknown, of the wrong kind, or sets what the client owns.
    """
    options = dict(spec.options)
    answers_as = options.pop("answers_as", None)
    body = options.pop("body", {})
    names = ("answers_as", "body", *known)
    if unknown := sorted(set(options) - set(known)):
        raise ConfigError(
            f"expert {spec.name}: unknown option {unknown[0]!r}; provider {spec.provider} knows "
            + ", ".join(names)
        )
    if answers_as is not None and not isinstance(answers_as, str):
        raise ConfigError(f"expert {spec.name}: option answers_as must be a model id")
    try:
        json.dumps(body, allow_nan=False)
    except (TypeError, ValueError):
        body = None
    if not isinstance(body, Mapping):
        raise ConfigError(f"expert {spec.name}: option body must be a table of plain JSON values")
    if owned := sorted(_OWNED_FIELDS & set(body)):
        raise ConfigError(
            f"expert {spec.name}: option body must not set {owned[0]!r}; "
            "use the expert's sampling parameters"
        )
    return HttpOptions(answers_as=answers_as, body=body, extra=options)


def read_base_url(spec: ExpertSpec, default: str) -> str:
    """The address without a trailing slash.

    Raises:
        ConfigError: it is no http(s) address, or holds a password, a query or a fragment.
    """
    url = spec.base_url or default
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username or parts.query or parts.fragment:
        raise ConfigError(
            f"expert {spec.name}: base_url must look like https://host/v1, with no password or "
            "query in it; a key belongs into the environment variable that key_env names"
        )
    return url.rstrip("/")


def read_key(spec: ExpertSpec, environment: Mapping[str, str]) -> str | None:
    """The key of the expert, read anew each time so that no object keeps it.

    Raises:
        ProviderError: `auth`: the variable is unset, or holds what cannot be a key.
    """
    if spec.key_env is None:
        return None
    key = environment.get(spec.key_env, "").strip()
    if not key:
        raise ProviderError("auth", f"{spec.key_env} is not set; expert {spec.name} needs its key")
    if not (key.isascii() and key.isprintable()):
        raise ProviderError("auth", f"{spec.key_env} holds characters that no key has")
    return key


def check_model(answered: object, spec: ExpertSpec, options: HttpOptions) -> str:
    """The id that the reply carries, if it is the right one.

    Raises:
        ProviderError: `wrong_model`, billing unknown: another model has answered.
    """
    asked = options.answers_as or spec.model
    if isinstance(answered, str) and is_same_model(asked, answered):
        return answered
    shown = clean_detail(answered, None) if isinstance(answered, str) else "no model"
    raise ProviderError(
        "wrong_model",
        f"asked {asked}, answered by {shown or 'no model'}; if that is right, set the option "
        f"answers_as of expert {spec.name}",
        billing="unknown",
    )


async def check_listing(
    transport: Transport, url: str, headers: Mapping[str, str], spec: ExpertSpec, key: str | None
) -> CheckResult:
    """Asks for the list of models, which costs nothing, and looks for the expert's in it."""
    try:
        reply = await transport.exchange("GET", url, headers=headers, timeout_s=CHECK_TIMEOUT_S)
    except ProviderError as error:
        return CheckResult(reachable=False, detail=error.detail, ready=False)
    key_words = f"key in {spec.key_env} accepted" if spec.key_env else "no key sent"
    if reply.status in (404, 405):
        return CheckResult(reachable=True, detail="reachable; no list of models to check against")
    if reply.status >= 300:
        refused = status_error(reply, spec, key)
        return CheckResult(reachable=True, detail=refused.detail, ready=False)
    try:
        rows = read_object(reply).get("data")
    except ProviderError as error:
        return CheckResult(reachable=True, detail=error.detail, ready=False)
    rows = rows if isinstance(rows, list) else []
    names = [str(row.get("id")) for row in rows if isinstance(row, dict)]
    if any(is_same_model(spec.model, name) for name in names):
        return CheckResult(reachable=True, detail=f"reachable, {key_words}, model listed")
    return CheckResult(
        reachable=True,
        detail=f"reachable, {key_words}, but {spec.model} is not among {len(names)} models listed",
        ready=False,
    )
