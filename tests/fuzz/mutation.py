r"""Inputs that are nearly right: what a parser accepts, with a few things wrong in it.

Half of the mutations know the form of a document: they parse it, put an odd value in the place
of a node (or take one away, or double it) and write it down again. The others know bytes only:
cuts, repetitions, splices, and pieces that have broken parsers before. All of it depends on the
generator that is handed over, so a seed and a round name an input for good.

    mutate(b'{"a": 1}', "json", random.Random(7))
"""

from __future__ import annotations

import datetime
import json
import math
import random
import tomllib
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, Literal

Form = Literal["json", "jsonl", "toml", "csv", "text", "bytes"]

MAX_BYTES: Final = 1 << 16
"""Of an input; what is only long is for tests of limits, not for fuzzing."""

ODD_TEXTS: Final = (
    *(
        "",
        " ",
        "\x00",
        "\x1b[31m\x1b]0;title\x07",
        "\u202e\u2066",
        "\ufeff",
        "\u2028",
        "\r\n",
        "\x85",
    ),
    *("\ud800", "\udfff\ud83d", "１２", "²", "١٢", "1_000", "0x10", "-1", "-0", "0.1"),
    *("1e999999", "1e99999999999999999999"),
    *("NaN", "Infinity", "1" * 400, "9" * 5000, "0." + "3" * 2000, "a" * 5000, "%s%n{0}{}", "{"),
    *("../../etc/passwd", "/dev/zero", "a/b", ".", "~", "http://[::1", "http://u:p@h/?q#f", "://"),
    *("<script>alert(1)</script>", "]]>", "=1+1", "</result><answer>7</answer>", "true", "null"),
    *("2026-02-30", "2026-11-22", "9999-12-31", "sha256:" + "0" * 64, "0" * 64, "low", "nano"),
)
ODD_NUMBERS: Final = (
    *(0, 1, -1, 2, 255, 2**31, 2**63, -(2**63), 10**30, 10**400, True, False),
    *(0.0, -0.0, 0.1, 1.5, -1e-9, 1e308, -1e308, 5e-324, 1e16, math.nan, math.inf, -math.inf),
)
_TEXTS: Final = (
    *(
        '"',
        "'",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "=",
        "\n",
        "\t",
        "\x00",
        "\ud83d",
        "\ufeff",
    ),
    *("null", "true", "NaN", "-Infinity", "1e400", "-1", "[[", "]]", '"""', "'''", "#", "\\u"),
    *(
        "\\ud800",
        "\\u0000",
        "\\x1b",
        "<call",
        "</call>",
        "<answer",
        "/>",
        "expert=",
        "1979-05-27",
    ),
    *("0b", "0x", "_", "+", "e", ".", "a.b.c", "x=1\n", "[a]\n", "[[a]]\n", "{a=1}", "data: "),
)
PIECES: Final = (
    *(text.encode("utf-8", "surrogatepass") for text in _TEXTS),
    *(b"\xff\xfe", b"\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"),
    *(b"PK\x03\x04", b"(\xb5/\xfd", b"\x1f\x8b"),
)


def nested(depth: int, leaf: object, *, as_table: bool = False) -> object:
    """Lists in lists, or tables in tables."""
    value = leaf
    for _ in range(depth):
        value = {"a": value} if as_table else [value]
    return value


def odd_value(rng: random.Random) -> object:
    """What nobody expects in this place."""
    kind = rng.randrange(8)
    if kind < 3:
        return rng.choice(ODD_TEXTS)
    if kind < 5:
        return rng.choice(ODD_NUMBERS)
    if kind == 5:
        return rng.choice((None, [], {}, [[]], [None], {"": None}, [{}], {"a": {"b": []}}))
    if kind == 6:
        return nested(
            rng.choice((2, 40, 400)), rng.choice((None, 1, "x")), as_table=rng.random() < 0.5
        )
    return [rng.choice(ODD_TEXTS + ODD_NUMBERS) for _ in range(rng.randrange(1, 5))]


def _paths(value: object, path: tuple[Any, ...] = (), depth: int = 0) -> list[tuple[Any, ...]]:
    """Places of all nodes of a document but its root."""
    found: list[tuple[Any, ...]] = []
    items: Sequence[tuple[Any, object]] = ()
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, inner in items:
        found.append((*path, key))
        if depth < 20:
            found += _paths(inner, (*path, key), depth + 1)
    return found


def _inside(document: Any, path: Sequence[Any]) -> Any:
    for key in path:
        document = document[key]
    return document


def mutate_value(document: Any, rng: random.Random) -> Any:
    """A document with one to three of its nodes changed; it may be changed in place."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        paths = _paths(document)
        if not paths:
            return odd_value(rng)
        path = rng.choice(paths)
        parent, key = _inside(document, path[:-1]), path[-1]
        change = rng.randrange(10)
        if change < 5:
            parent[key] = odd_value(rng)
        elif change == 5:
            del parent[key]
        elif change == 6 and isinstance(parent, dict):
            parent[rng.choice((*ODD_TEXTS, str(key) + "s"))] = odd_value(rng)
        elif change == 7 and isinstance(parent, list):
            parent.insert(rng.randrange(len(parent) + 1), parent[key])
        elif change == 8:
            # Two nodes of one document change places: each is sound by itself.
            other = rng.choice(paths)
            try:
                parent[key] = json.loads(json.dumps(_inside(document, other), default=str))
            except (KeyError, IndexError, TypeError):
                parent[key] = None
        else:
            value = parent[key]
            parent[key] = _nudged(value, rng)
    return document


def _nudged(value: object, rng: random.Random) -> object:
    """The value as another type, or a little aside."""
    if isinstance(value, str):
        return rng.choice(
            (value + rng.choice(ODD_TEXTS), value[: len(value) // 2], value.upper(), [value])
        )
    if isinstance(value, bool) or value is None:
        return rng.choice((0, 1, "true", None))
    if isinstance(value, int):
        return rng.choice((-value, value + 1, value * 10**6, str(value), bool(value), f"{value}.0"))
    if isinstance(value, float | Decimal):
        return rng.choice((-value, str(value), 0, math.nan))
    return rng.choice((str(value), [value], {"a": value}, None))


def toml_text(table: dict[str, Any]) -> str:
    """A table as TOML, every value in the line of its key; None is an empty text."""
    lines = []
    for key, value in table.items():
        if isinstance(value, dict) and value and all(isinstance(v, dict) for v in value.values()):
            for name, inner in value.items():
                lines.append(f"{_toml_string(str(key))}.{_toml_string(str(name))} = {_toml(inner)}")
        else:
            lines.append(f"{_toml_string(str(key))} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return str(value).lower().replace("infinity", "inf")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, dict):
        inner = ", ".join(f"{_toml_string(str(k))} = {_toml(v)}" for k, v in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return _toml_string("" if value is None else str(value))


def _toml_string(text: str) -> str:
    signs = []
    for sign in text:
        number = ord(sign)
        if sign in '"\\':
            signs.append("\\" + sign)
        elif number < 32 or number == 127:
            signs.append(f"\\u{number:04x}")
        else:
            signs.append(sign)
    return '"' + "".join(signs) + '"'


def _json(value: object) -> str:
    return json.dumps(value, default=str)


def _mutated_document(data: bytes, form: Form, rng: random.Random) -> bytes | None:
    """By its form; None where it does not have one."""
    try:
        text = data.decode("utf-8")
        if form == "json":
            return _json(mutate_value(json.loads(text), rng)).encode()
        if form == "jsonl":
            lines = text.splitlines()
            if not lines:
                return None
            place = rng.randrange(len(lines))
            lines[place] = _json(mutate_value(json.loads(lines[place]), rng))
            if rng.random() < 0.1:
                lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
            return ("\n".join(lines) + rng.choice(("\n", "\n", ""))).encode()
        if form == "toml":
            changed = mutate_value(tomllib.loads(text), rng)
            if not isinstance(changed, dict):
                return None
            return toml_text(changed).encode("utf-8", "surrogatepass")
        if form == "csv":
            lines = text.splitlines()
            place = rng.randrange(len(lines))
            cells = lines[place].split(",")
            cells[rng.randrange(len(cells))] = str(odd_value(rng))
            lines[place] = ",".join(cells)
            return "\n".join(lines).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError, TypeError, IndexError, KeyError):
        return None
    return None


def _mutated_bytes(data: bytes, other: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 6)):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice((1, 2, 8, 64)))
        change = rng.randrange(7)
        if change == 0:
            data = data[:start] + data[end:]
        elif change == 1:
            data = data[:start] + data[start:end] * rng.choice((2, 3, 100)) + data[end:]
        elif change == 2 and other:
            cut = rng.randrange(len(other))
            data = data[:start] + other[cut : cut + rng.choice((4, 40, 400))] + data[start:]
        elif change == 3 and data:
            place = min(start, len(data) - 1)
            data = data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
        elif change == 4:
            data = data[:start]
        elif change == 5:
            data = data[:start] + rng.choice(PIECES) * rng.choice((1, 1, 2, 1500)) + data[start:]
        else:
            odd = str(rng.choice(ODD_TEXTS + ODD_NUMBERS)) if rng.random() < 0.5 else ""
            data = data[:start] + odd.encode("utf-8", "surrogatepass") + data[end:]
    return data


def mutate(data: bytes, form: Form, rng: random.Random, other: bytes = b"") -> bytes:
    """The input with a few things wrong; `other` is a further input to take pieces from."""
    if rng.random() < 0.6 and (changed := _mutated_document(data, form, rng)) is not None:
        data = changed
        if rng.random() < 0.85:
            return data[:MAX_BYTES]
    return _mutated_bytes(data, other, rng)[:MAX_BYTES]


Mutation = Callable[[bytes, Form, random.Random, bytes], bytes]
