"""Options behind an `@` in the text of a system: `python:my.router:score@share=0.3,strong=big`.

A shell leaves such text alone, so nothing needs quotes. What a family does not know is refused,
never ignored.

    >>> read_options("share=0.3,learns", "exec:…", {"share", "learns"})
    {'share': '0.3', 'learns': ''}
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from decimal import Decimal
from difflib import get_close_matches

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.money.amounts import parse_usd


def read_options(text: str, system: str, known: Collection[str]) -> dict[str, str]:
    """Options by name; one that stands alone (`learns`) has an empty value.

    Args:
        text: what stands behind the `@`.
        system: the whole text of the system, for messages.
        known: names that its family reads.

    Raises:
        ConfigError: a name that is unknown, missing or there twice.
    """
    options: dict[str, str] = {}
    for part in text.split(",") if text else ():
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
            raise ConfigError(f"{system!r}: no option {name!r}; {hint}")
        if name in options:
            raise ConfigError(f"{system!r}: option {name!r} stands there twice")
        options[name] = value
    return options


def read_number(
    options: Mapping[str, str], name: str, system: str, *, least: float, most: float, what: str
) -> float | None:
    """The number that an option gives; None where it is not given.

    Raises:
        ConfigError: it gives something else, or a number out of range.
    """
    if name not in options:
        return None
    try:
        value = float(options[name])
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise ConfigError(f"{system!r}: {name}={options[name]!r} is not {what}")
    return value


def read_expert(options: Mapping[str, str], name: str, system: str, pool: Pool) -> str | None:
    """The expert that an option names; None where it is not given.

    Raises:
        ConfigError: the pool has no such expert.
    """
    if name not in options:
        return None
    known = [expert.name for expert in pool.experts if expert.role == "expert"]
    value = options[name]
    if value not in known:
        near = get_close_matches(value, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
        raise ConfigError(f"{system!r}: no expert {value!r} in pool {pool.name!r}; {hint}")
    return value


def read_fee(options: Mapping[str, str], system: str) -> Decimal:
    """Dollars that a decision costs as the user states it with `fee`; 0 where it is not given.

    Raises:
        ConfigError: it is no amount.
    """
    return parse_usd(options["fee"], what=f"{system!r}: fee") if "fee" in options else Decimal(0)


def read_flag(options: Mapping[str, str], name: str, system: str) -> bool:
    """Whether an option stands there, alone.

    Raises:
        ConfigError: it is given a value.
    """
    if options.get(name):
        raise ConfigError(f"{system!r}: option {name!r} takes no value")
    return name in options
