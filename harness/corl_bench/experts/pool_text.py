"""A pool as the text of a file: the way back of `pools.load_pool`.

Invariant: what is read from the text has the names, models, prices, cards, sampling and budgets of
what was written, so its digest, too: a run with either differs only in where its experts are asked.

    path.write_text(pool_text("p", [spec], price_date=None, budgets={}, note="written by …"))
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date

from corl_bench.experts.base import ExpertSpec
from corl_bench.experts.card_file import card_table
from corl_bench.money.prices import Price


def pool_text(
    name: str,
    experts: Iterable[ExpertSpec],
    *,
    price_date: date | None,
    budgets: Mapping[str, str],
    note: str,
    simulation: Mapping[str, object] | None = None,
    shared: Mapping[str, object] | None = None,
) -> str:
    """Writes a pool file.

    Args:
        name: of the pool.
        experts: each with the address at which it is asked. Options may be texts, numbers,
            truth values, and lists and tables of these.
        price_date: the day whose library prices hold.
        budgets: named ones, in dollars.
        note: the comment at the top, one line.
        simulation: the file's own table of that name; None: it has none.
        shared: likewise.
    """
    lines = [f"# {note}", f"name = {_value(name)}"]
    if price_date is not None:
        lines.append(f"price_date = {price_date.isoformat()}")
    if budgets:
        lines += ["", "[budgets]"]
        lines += [f"{_value(budget)} = {_value(usd)}" for budget, usd in budgets.items()]
    for title, table in (("shared", shared), ("simulation", simulation)):
        if table is not None:
            lines += ["", f"[{title}]"]
            lines += [f"{_value(key)} = {_value(value)}" for key, value in table.items()]
    for expert in experts:
        lines += ["", *_expert(expert)]
    return "\n".join(lines) + "\n"


def _expert(spec: ExpertSpec) -> Iterator[str]:
    yield f"[experts.{_value(spec.name)}]"
    yield f"provider = {_value(spec.provider)}"
    yield f"model = {_value(spec.model)}"
    for key in ("base_url", "key_env"):
        if (text := getattr(spec, key)) is not None:
            yield f"{key} = {_value(text)}"
    for key in ("key_over_http", "send_seed"):
        if getattr(spec, key):
            yield f"{key} = true"
    yield f"role = {_value(spec.role)}"
    yield f"description = {_value(spec.description)}"
    yield f"price = {_price(spec.price)}"
    sampling = spec.sampling.as_dict()
    for key, value in sampling.items():
        yield f"{key} = {_value(list(value) if isinstance(value, tuple) else value)}"
    yield f"timeout_s = {spec.timeout_s}"
    yield f"max_attempts = {spec.max_attempts}"
    yield f"max_concurrency = {spec.max_concurrency}"
    if spec.usage != "required":
        yield f"usage = {_value(spec.usage)}"
    if spec.options:
        yield f"options = {_value(spec.options)}"
    if spec.card is not None:
        yield f"card = {_value(card_table(spec.card))}"


def _price(price: Price) -> str:
    if price.from_library:
        return _value(price.model)
    amounts = [f"{key} = {_value(amount)}" for key, amount in price.figures().items()]
    day = f"effective_from = {price.effective_from.isoformat()}"
    return f"{{ {', '.join([*amounts, day, f'source = {_value(price.source)}'])} }}"


def _value(value: object) -> str:
    """A TOML value; JSON's texts, numbers, truth values and lists are TOML's as well."""
    if isinstance(value, Mapping):
        pairs = [f"{_value(str(key))} = {_value(item)}" for key, item in value.items()]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False)
