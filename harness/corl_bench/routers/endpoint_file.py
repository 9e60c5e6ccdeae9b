"""`endpoint:…`: which server is meant, what it is asked for, and what its calls may cost.

    name = "routellm-mf"

    [model]                                   # as a pool file declares an expert, without a price
    base_url = "http://127.0.0.1:6060/v1"
    model = "router-mf-0.11593"

    [cost]
    worst_case_usd = "0.02"                   # of one request, whatever the server makes of it
    fee_usd_per_call = "0.0001"

    [models]                                  # names of the server = experts of the pool
    "gpt-4-1106-preview" = "strong"

What follows `endpoint:` is such a file, or an address with the model's id behind a `#`. Models
that the server names are priced as experts of the pool, by alias or model id, then by their whole
id in the price library. `docs/routers-endpoints.md` tells it to users.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field

from corl_bench.errors import ConfigError, UnpricedModelError
from corl_bench.experts.base import ExpertSpec, Pool
from corl_bench.experts.pool_file import Amount, ExpertTable, StrictTable, Text, validate
from corl_bench.experts.pools import make_expert
from corl_bench.experts.tariff import Fees, Rate, Tariff
from corl_bench.files import path_of
from corl_bench.money.price_library import price_at
from corl_bench.money.prices import FIGURES, Price
from corl_bench.routers.base import Router
from corl_bench.routers.endpoint import Endpoint
from corl_bench.routers.endpoint_preflight import PROMPTS, Probes
from corl_bench.toml import parse_toml

PROVIDER = "routed"
_TABLES = ("name", "model", "cost", "models", "preflight")


class CostTable(StrictTable):
    """`[cost]`."""

    worst_case_usd: Amount | None = None
    fee_usd_per_call: Amount = Decimal(0)
    fee_usd_per_mtok: Amount = Decimal(0)
    model_header: Text | None = None
    cost_header: Text | None = None


class PreflightTable(StrictTable):
    """`[preflight]`."""

    prompts: list[Text] = Field(default=list(PROMPTS), max_length=50)
    repeats: int = Field(default=3, ge=1, le=20)
    easy: str = ""
    hard: str = ""
    health_url: str = ""
    health_expects: str = ""
    max_output_tokens: int = Field(default=64, ge=1)


def make_endpoints(rest: str, pool: Pool) -> list[Router]:
    """The family behind `endpoint:`; see `read_endpoint`."""
    return [read_endpoint(rest, pool)]


def read_endpoint(rest: str, pool: Pool) -> Endpoint:
    """The endpoint that is meant; nothing is sent to it.

    Args:
        rest: a file, or an address and behind a `#` the model's id.
        pool: whose experts the server may name, and the day whose library prices hold.

    Raises:
        ConfigError: there is none, or it cannot be used.
        UnpricedModelError: a model of the price library is named that has no price on that day.
    """
    if rest.startswith(("http://", "https://")):
        address, _, model = rest.partition("#")
        if not model:
            # Without the address: it may hold a password.
            raise ConfigError(
                "'endpoint:URL': name the model to ask for behind a #: endpoint:URL#MODEL"
            )
        given: dict[str, Any] = {"model": {"base_url": address.rstrip("/"), "model": model}}
        return _endpoint(f"endpoint:{model}", model, given, pool, "--system endpoint")
    if not rest:
        raise ConfigError("'endpoint:': name a TOML file, or an address as endpoint:URL#MODEL")
    path = path_of(rest)
    data = _read(path)
    if unknown := sorted(set(data) - set(_TABLES)):
        raise ConfigError(f"{path}: unknown key {unknown[0]!r}; it has {', '.join(_TABLES)}")
    name = data.get("name", path.stem)
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(f"{path}: name is a text")
    return _endpoint(f"endpoint:{name}", name, data, pool, str(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        return parse_toml(path.read_text(encoding="utf-8-sig"), parse_float=Decimal)
    except FileNotFoundError:
        raise ConfigError(
            f"'endpoint:{path}': there is no such file; name it, or an address as"
            " endpoint:URL#MODEL"
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: no TOML: {error}") from None


def _endpoint(system: str, name: str, data: Mapping[str, Any], pool: Pool, file: str) -> Endpoint:
    on = pool.price_date or date.today()
    cost = validate(CostTable, data.get("cost", {}), file=file, where=("cost",))
    rates = _rates(pool, data.get("models", {}), on, file)
    table = _server_table(data.get("model"), _dearest(pool, rates.values(), on), pool, file)
    expert = make_expert(name, table, on=on, file=file, where=("model",))
    options = {
        **expert.options,
        "asks_for": expert.model,
        **({"model_header": cost.model_header} if cost.model_header else {}),
        **({"cost_header": cost.cost_header} if cost.cost_header else {}),
    }
    own = replace(
        expert,
        # Recordings know a request by its model: two routers may both be asked for `auto`.
        model=f"{name}/{expert.model}",
        role="self",
        usage="estimate",
        options=options,
        tariff=Tariff(
            rates=rates,
            on=on,
            worst_case_usd=cost.worst_case_usd,
            fees=Fees(cost.fee_usd_per_call, cost.fee_usd_per_mtok),
        ),
    )
    return Endpoint(system, own, _probes(data.get("preflight", {}), own, file))


def _server_table(data: object, bound: Price, pool: Pool, file: str) -> ExpertTable:
    """`[model]`, completed by what a pool file would say and this one must not."""
    if not isinstance(data, Mapping):
        raise ConfigError(f"{file}: declare the server as a table, [model]")
    for key, why in (
        ("price", "models are priced when they answer, from the pool and [models]"),
        ("provider", "a server that routes is asked as an OpenAI-compatible one"),
        ("role", "a server that routes is no expert"),
        ("usage", "replies without token counts are never priced"),
    ):
        if key in data:
            raise ConfigError(f"{file}: model.{key}: leave it out; {why}")
    for key in ("base_url", "model"):
        if key not in data:
            raise ConfigError(f"{file}: model.{key}: missing")
    limits = [e.sampling.max_output_tokens for e in pool.experts if e.sampling.max_output_tokens]
    completed = {
        **({"max_output_tokens": max(limits)} if limits else {}),
        **data,
        "provider": PROVIDER,
        "price": {
            **bound.figures(),
            "effective_from": bound.effective_from,
            "source": bound.source,
        },
    }
    return validate(ExpertTable, completed, file=file, where=("model",))


def _rates(pool: Pool, aliases: object, on: date, file: str) -> dict[str, Rate | None]:
    """Prices by every name of a model: of the pool, then as the file says."""
    rates: dict[str, Rate | None] = {}
    for expert in pool.experts:
        if expert.role == "expert":
            rate = Rate(expert.price, expert.name, expert.model)
            for name in dict.fromkeys((expert.name, expert.model)):
                known = rates.setdefault(name, rate)
                if known is not None and known.price.figures() != expert.price.figures():
                    rates[name] = None  # one name, two prices
    if not isinstance(aliases, Mapping):
        raise ConfigError(f"{file}: models: write a table of the server's names and ours")
    experts = {expert.name: expert for expert in pool.experts if expert.role == "expert"}
    for theirs, ours in aliases.items():
        if not isinstance(ours, str):
            raise ConfigError(f"{file}: models.{theirs}: name an expert, or an id of the library")
        if (named := experts.get(ours)) is not None:
            rates[theirs] = Rate(named.price, named.name, named.model)
            continue
        try:
            rates[theirs] = Rate(price_at(ours, on))
        except UnpricedModelError:
            raise UnpricedModelError(
                f"{file}: models.{theirs}: {ours!r} is no expert of pool {pool.name!r}"
                f" ({', '.join(experts)}), and the price library has no price of it on {on}"
            ) from None
    return rates


def _dearest(pool: Pool, rates: Iterable[Rate | None], on: date) -> Price:
    """The dearest figure of every kind: what a single call to any known model stays below."""
    known = [rate.price for rate in rates if rate is not None]
    known += [expert.price for expert in pool.experts]
    figures: dict[str, Any] = {}
    for name in FIGURES:
        amounts = [usd for price in known if (usd := getattr(price, name)) is not None]
        figures[name] = max(amounts, default=None)
    return Price(
        model=pool.name,
        effective_from=max((price.effective_from for price in known), default=on),
        source=f"the dearest figures among the models of pool {pool.name}, as a bound",
        **figures,
    )


def _probes(data: object, own: ExpertSpec, file: str) -> Probes:
    table = validate(PreflightTable, data, file=file, where=("preflight",))
    if bool(table.easy) != bool(table.hard):
        raise ConfigError(f"{file}: preflight: easy and hard go together")
    url = table.health_url
    if url.startswith("/"):
        parts = urlsplit(own.base_url or "")
        url = f"{parts.scheme}://{parts.netloc}{url}"
    elif url and not url.startswith(("http://", "https://")):
        raise ConfigError(f"{file}: preflight.health_url: write /health, or a whole address")
    if "@" in urlsplit(url).netloc:
        raise ConfigError(f"{file}: preflight.health_url: must not hold a user or a password")
    return Probes(**{**table.model_dump(), "prompts": tuple(table.prompts), "health_url": url})
