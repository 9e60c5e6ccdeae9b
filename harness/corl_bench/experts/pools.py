"""Pools: which experts a run may call, read from a file or taken from those built in.

A pool that could be loaded is complete: every expert has a price in force on one day, from the
price library or from the file, so no request is ever made whose cost is not known. The file's
keys are described in `docs/pools.md`.

    >>> pool = load_pool("sim", price_date=date(2026, 8, 21))
    >>> pool.simulated
    True
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError, UnpricedModelError
from corl_bench.experts.base import ExpertSpec, Pool, Sampling, SharedPool
from corl_bench.experts.card_file import read_card, read_cards, with_cards
from corl_bench.experts.pool_file import ExpertTable, SharedTable, read_pool_file, read_price_table
from corl_bench.experts.providers import why_unknown
from corl_bench.money.price_library import price_at
from corl_bench.money.prices import Price

_BUILT_IN = Path(__file__).with_name("pools")

_OWN_KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
"""Sent to the provider's own address only; an expert with a `base_url` names its variable."""


def builtin_pools() -> Mapping[str, Path]:
    """The files of the pools that come with the bench, by name."""
    return {path.stem: path for path in sorted(_BUILT_IN.glob("*.toml"))}


def load_pool(name_or_file: str, *, price_date: date | None = None) -> Pool:
    """Loads a pool with the prices of one day.

    Args:
        name_or_file: the name of a built-in pool, else the path of a pool file.
        price_date: the day whose library prices hold; None: the file's `price_date`, else
            today. Prices that the file gives itself hold on any day.

    Raises:
        ConfigError: there is no such pool, or its file is not usable.
        UnpricedModelError: an expert has no price on that day.
    """
    path = builtin_pools().get(name_or_file)
    if path is None:
        path = Path(name_or_file)
        if not path.is_file():
            raise ConfigError(_no_pool(name_or_file))
    table = read_pool_file(path)
    on = price_date or table.price_date or date.today()
    experts = tuple(
        make_expert(name, expert, on=on, file=path.name) for name, expert in table.experts.items()
    )
    if table.cards is not None:
        experts = with_cards(experts, read_cards(path.parent / table.cards))
    if table.shared is not None:
        experts = tuple(_through(table.shared, expert) for expert in experts)
    pool = Pool(
        name=table.name or path.stem,
        experts=experts,
        budgets=table.budgets,
        options={} if table.simulation is None else {"simulation": table.simulation},
        price_date=on,
    )
    pool = replace(pool, digest=pool_digest(pool))
    if table.shared is not None and pool.digest != table.shared.pool:
        raise ConfigError(
            f"{path.name}: its experts or their prices are not those of the shared pool any more:"
            " take the file as `corl-bench pool share --pool-out` writes it, at its own price date"
        )
    return pool


def _through(server: SharedTable, expert: ExpertSpec) -> ExpertSpec:
    return replace(
        expert,
        base_url=server.base_url,
        key_env=server.key_env,
        key_over_http=server.key_over_http,
        timeout_s=server.timeout_s,
        max_attempts=server.max_attempts,
        shared=SharedPool(server.pool, server.seed),
    )


def pool_digest(pool: Pool) -> str:
    """sha256 of what shapes the replies, what routers read of the experts, and what calls cost.

    Two pools with one digest are interchangeable in a stored run. Addresses, keys, timeouts,
    limits, named budgets and the prices' sources and dates are no part of it.
    """
    text = json.dumps(
        {"experts": [figures_of(expert) for expert in pool.experts], "options": pool.options},
        ensure_ascii=False,
        separators=(",", ":"),
        sort_keys=True,
        default=str,
    )
    return hashlib.sha256(text.encode()).hexdigest()


def figures_of(expert: ExpertSpec) -> dict[str, Any]:
    """What of an expert shapes its replies, the routers that read of it, and its costs."""
    return {
        "name": expert.name,
        "provider": expert.provider,
        "model": expert.model,
        "description": expert.description,
        "role": expert.role,
        "sampling": expert.sampling.as_dict(),
        "usage": expert.usage,
        "send_seed": expert.send_seed,
        "options": expert.options,
        "price": expert.price.figures(),
        # Digests of pools without cards are as they were before there were any.
        **({} if expert.card is None else {"card": asdict(expert.card)}),
    }


def make_expert(
    name: str, table: ExpertTable, *, on: date, file: str, where: tuple[str, ...] = ()
) -> ExpertSpec:
    """An expert as a file declares it, with its price in force on a day.

    Args:
        name: its alias.
        table: what the file says.
        on: the day.
        file: name of the file, for messages.
        where: keys that lead to the table, for messages; empty: those of a pool file.

    Raises:
        ConfigError: its price or its provider cannot be used.
        UnpricedModelError: it has no price on that day.
    """
    key_env = table.key_env
    if key_env is None and table.base_url is None:
        key_env = _OWN_KEYS.get(table.provider)
    simulation = {} if table.simulation is None else {"simulation": table.simulation}
    return ExpertSpec(
        name=name,
        provider=table.provider,
        model=table.model or name,
        price=_price(name, table, on=on, file=file, where=where or ("experts", name)),
        description=table.description,
        role=table.role,
        sampling=Sampling(
            max_output_tokens=table.max_output_tokens,
            temperature=table.temperature,
            top_p=table.top_p,
            reasoning_effort=table.reasoning_effort,
            stop=tuple(table.stop),
        ),
        base_url=table.base_url,
        key_env=key_env,
        key_over_http=table.key_over_http,
        timeout_s=table.timeout_s,
        max_attempts=table.max_attempts,
        max_concurrency=table.max_concurrency,
        usage=table.usage,
        send_seed=table.send_seed,
        options={**table.options, **simulation},
        card=None
        if table.card is None
        else read_card(table.card, file=file, where=(*(where or ("experts", name)), "card")),
    )


def _price(name: str, table: ExpertTable, *, on: date, file: str, where: tuple[str, ...]) -> Price:
    model_id = f"{table.provider}/{table.model or name}"
    if isinstance(table.price, dict):
        return read_price_table(table.price, model_id, file=file, where=(*where, "price"))
    try:
        return price_at(table.price or model_id, on)
    except UnpricedModelError as error:
        if unknown := why_unknown(table.provider):  # so of course the library has no price
            raise ConfigError(f"{file}: {'.'.join(where)}.provider: {unknown}") from None
        raise UnpricedModelError(f"{file}: {'.'.join(where)}.price: {error}") from None


def _no_pool(name: str) -> str:
    names = builtin_pools()
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"no pool {name!r}: neither a file nor built in (built in: {', '.join(names)}{hint})"
