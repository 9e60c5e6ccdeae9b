"""A pool file that reaches the simulated experts over HTTP instead of in process.

Invariant: names, models, prices, limits and budgets are those of the pool that is served, so
that a run against the server differs from one in process only in the way that it takes.

    path.write_text(served_pool_toml(pool, "http://127.0.0.1:8123/v1"))
    corl-bench run --pool served.toml
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from corl_bench.experts.base import ExpertSpec, Pool
from corl_bench.experts.simulation.tables import read_simulation
from corl_bench.money.prices import Price


def served_pool_toml(pool: Pool, base_url: str) -> str:
    """Writes the pool file of a served simulation.

    Args:
        pool: the pool that the server was started with.
        base_url: the address that the server printed, with its `/v1`.

    Raises:
        ConfigError: the pool has no simulated experts.
    """
    simulation = read_simulation(pool)
    lines = [
        "# Simulated experts behind HTTP, written by `corl-bench pool serve`.",
        f"name = {_text(pool.name + '-served')}",
    ]
    if pool.price_date is not None:
        lines.append(f"price_date = {pool.price_date.isoformat()}")
    if pool.budgets:
        lines += ["", "[budgets]"]
        lines += [f"{_text(name)} = {_text(usd)}" for name, usd in pool.budgets.items()]
    lines += ["", "[simulation]", "served = true"]
    for expert in simulation.experts:
        lines += ["", *_expert(expert.spec, base_url)]
    return "\n".join(lines) + "\n"


def _expert(spec: ExpertSpec, base_url: str) -> Iterator[str]:
    sampling = spec.sampling
    yield f"[experts.{_text(spec.name)}]"
    yield 'provider = "openai"'
    yield f"model = {_text(spec.model)}"
    yield f"base_url = {_text(base_url)}"
    yield "send_seed = true"
    yield f"role = {_text(spec.role)}"
    yield f"description = {_text(spec.description)}"
    yield f"price = {_price(spec.price)}"
    for key in ("max_output_tokens", "temperature", "top_p"):
        if (value := getattr(sampling, key)) is not None:
            yield f"{key} = {value}"
    if sampling.reasoning_effort is not None:
        yield f"reasoning_effort = {_text(sampling.reasoning_effort)}"
    if sampling.stop:
        yield f"stop = [{', '.join(map(_text, sampling.stop))}]"
    yield f"timeout_s = {spec.timeout_s}"
    yield f"max_attempts = {spec.max_attempts}"
    yield f"max_concurrency = {spec.max_concurrency}"


def _price(price: Price) -> str:
    if price.from_library:
        return _text(price.model)
    amounts = [f"{key} = {_text(amount)}" for key, amount in price.figures().items()]
    day = f"effective_from = {price.effective_from.isoformat()}"
    return f"{{ {', '.join([*amounts, day, f'source = {_text(price.source)}'])} }}"


def _text(value: str) -> str:
    """A TOML basic string; JSON's escapes are a part of TOML's."""
    return json.dumps(value, ensure_ascii=False)
