"""Checked columns of one row of a recordings file, whoever wrote it.

Every reader here gives a value of the promised type and range or raises a `RowError` that says
in a few words what is wrong; values are quoted in it such that no terminal takes harm.

    >>> Row({"n": 3}).index("n")
    3
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from corl_bench.text import well_formed

MAX_COUNT = 10**12
"""Of tokens, or of anything else that is counted."""
MAX_NAME_CHARACTERS = 300


class RowError(ValueError):
    """What is wrong with a row; the reader of the file adds its place."""


class Row:
    """A row's columns by our names; remembers which of them were of use.

    Args:
        values: the row as it was parsed.
        columns: our names of columns and those of the file, where they differ.
    """

    def __init__(self, values: Mapping[str, Any], columns: Mapping[str, str] | None = None) -> None:
        self._values = values
        self._columns = columns or {}
        self._used: set[str] = set()

    def take(self, *names: str) -> Any:
        """The value of the first of these columns that is there and not null; None without."""
        for name in names:
            theirs = self._columns.get(name, name)
            if theirs != name and theirs not in self._values:
                raise RowError(f"no column {quoted(theirs)}, which --column names for {name}")
            if theirs in self._values:
                self._used.add(theirs)
                if (value := self._values[theirs]) is not None:
                    return value
        return None

    def need(self, *names: str) -> Any:
        """As `take`, but a value there must be."""
        value = self.take(*names)
        if value is None:
            raise RowError(f"no {' or '.join(names)}")
        return value

    def ignored(self) -> frozenset[str]:
        """Columns that nothing was read from."""
        return frozenset(self._values) - self._used

    def index(self, name: str) -> int:
        """A whole number from 0; 0 where the column is missing."""
        value = self.take(name)
        return 0 if value is None else read_count(value, name)


def parse_object(line: str) -> dict[str, Any]:
    """Parses a line that must hold one JSON object.

    Raises:
        RowError: it holds something else, or NaN or Infinity.
    """
    try:
        row = _parse(line)
    except RowError:
        raise
    except json.JSONDecodeError as error:
        raise RowError(f"no JSON: {error.msg}, column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise RowError("no JSON: a number too long or a nesting too deep") from error
    if not isinstance(row, dict):
        raise RowError("not a JSON object")
    return row


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object as it is parsed: Python would let the last of two equal keys win.

    Raises:
        RowError: a key stands there twice.
    """
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RowError(f"an object has a key twice: {quoted(twice)}")
    return made


def read_count(value: object, what: str) -> int:
    """A whole number from 0 to `MAX_COUNT`; 3.0 and true are none."""
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise RowError(f"{what} must be a whole number from 0, not {quoted(value)}")
    return value


def read_seconds(value: object, what: str) -> float:
    """A finite number from 0; 0 for None."""
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise RowError(f"{what} must be a number from 0, not {quoted(value)}")
    return float(min(value, MAX_COUNT))


def read_flag(value: object, what: str) -> bool:
    if not isinstance(value, bool):
        raise RowError(f"{what} must be true or false, not {quoted(value)}")
    return value


def read_label(value: object, what: str) -> str:
    """A short text, maybe empty, of printable characters."""
    if not isinstance(value, str) or not value.isprintable() or len(value) > MAX_NAME_CHARACTERS:
        raise RowError(f"{what} must be a short printable text, not {quoted(value)}")
    return value


def read_name(value: object, what: str) -> str:
    """A short printable text that is not empty."""
    name = read_label(value, what)
    if not name.strip():
        raise RowError(f"{what} is empty")
    return name


def read_text(value: object, what: str) -> str:
    """Any text. Half a surrogate pair, which no file takes, becomes the replacement character."""
    if not isinstance(value, str):
        raise RowError(f"{what} must be text, not {quoted(value)}")
    return well_formed(value)


def read_statement(value: object) -> str:
    text = read_text(value, "problem")
    if not text.strip():
        raise RowError("problem is empty")
    return text


def read_problem_id(value: object) -> str:
    """Text, or a whole number as text."""
    if type(value) not in (str, int) or value == "":
        raise RowError(f"problem_id must be text or a whole number, not {quoted(value)}")
    return str(value)


def read_digest(value: object, what: str) -> str:
    """64 hexadecimal digits in lower case."""
    if not isinstance(value, str) or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise RowError(f"{what} must be a sha256 in hexadecimal, not {quoted(value)}")
    return value


def quoted(value: object) -> str:
    """A value from a file, safe and short enough for a message on a terminal."""
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _refuse_constant(name: str) -> None:
    raise RowError(f"{name} is no number")


# One decoder for all lines: `json.loads` would make one a line.
_decoder = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=object_of)


def _parse(line: str) -> Any:
    text = line.strip(" \t\r\n")  # what JSON takes for white space
    with suppress(json.JSONDecodeError):
        value, end = _decoder.raw_decode(text)
        if end == len(text):
            return value
    return _decoder.decode(line)  # for the place in the line as it stands
