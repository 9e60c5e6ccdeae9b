r"""TOML from outside: what is no TOML is said in one way, whatever Python meets on its way to it.

Invariant: `parse_toml` gives a table that is nested no deeper than `MOST_LEVELS`, or raises
`tomllib.TOMLDecodeError` of one line. `tomllib` itself lets other errors through:
of recursion at brackets that are never closed, of numbers with more digits than Python converts.
And it takes seconds for a key of some thousand parts, in proportion to their square.

    >>> parse_toml("a = 1")
    {'a': 1}
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from typing import Any

MOST_LEVELS = 100
"""Of tables and lists in each other; dotted keys make levels that no bracket shows."""

_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')"""
_ENDLESS_KEY = re.compile(
    rf"(?:^|[\[{{,])[ \t]*(?:{_PART}[ \t]*\.[ \t]*){{{MOST_LEVELS}}}", re.MULTILINE
)


def parse_toml(text: str, *, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """The table that a text holds.

    Args:
        text: of the file.
        parse_float: for its decimals, as `tomllib.loads` takes it.

    Raises:
        tomllib.TOMLDecodeError: it holds none, or one that is nested too deeply.
    """
    if _ENDLESS_KEY.search(text):
        raise tomllib.TOMLDecodeError("nested too deeply")
    try:
        table = tomllib.loads(text, parse_float=parse_float)
    except tomllib.TOMLDecodeError as error:
        # Python 3.11 quotes a character as it is, which may be the end of a line.
        raise tomllib.TOMLDecodeError(" ".join(str(error).split())) from None
    except RecursionError:
        raise tomllib.TOMLDecodeError("nested too deeply") from None
    except (ValueError, ArithmeticError) as error:
        raise tomllib.TOMLDecodeError(" ".join(str(error).split())) from None
    _require_shallow(table)
    return table


def _require_shallow(table: dict[str, Any]) -> None:
    level: list[Any] = [table]
    for _ in range(MOST_LEVELS):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise tomllib.TOMLDecodeError("nested too deeply")
