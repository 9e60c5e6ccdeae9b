"""What a JSON document of ours must look like before anything is computed from it.

A file of a run may have been edited, cut or sent by a stranger. A shape says which keys an object
must have and of which kind their values are; what it does not name is left alone, so older and
newer files are read as they were. Invariant: a value in which `find_fault` finds nothing can be
indexed and computed with as its shape says, and its numbers are finite.

    >>> find_fault({"n": True}, {"n": int})
    "n is True and should be a whole number"
    >>> find_fault({"rows": [{"usd": "0.5"}]}, {"rows": [{"usd": AMOUNT, "note?": str}]}) is None
    True

A shape is a type (`int` is no truth value, `float` takes whole numbers as well), `AMOUNT`, a
tuple of shapes of which one fits (None stands for null), a list of the shape of its members, or
an object: of named keys (`key?` may be missing), or of any keys, as `{str: shape}`. Where many
values are held against one, it is taken apart once, as a `Shape`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

AMOUNT: Final = "an amount of dollars in digits"
"""The shape of dollars: a text of plain digits, as `money.amounts.format_usd` writes it."""

_AMOUNT = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?", re.ASCII)
_LARGEST: Final = 2**63
_NAMES: Final[Mapping[Any, str]] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    dict: "an object",
    list: "a list",
    None: "null",
}
_MISSING: Final = object()


def find_fault(value: Any, shape: Any) -> str | None:
    """The first thing that is not as the shape says, in words; None where all of it is.

    Args:
        value: as it was parsed.
        shape: see above.
    """
    return Shape(shape).find_fault(value)


class Shape:
    """A shape that many values are held against.

    Args:
        shape: see above.
    """

    def __init__(self, shape: Any) -> None:
        self._node = _node(shape)

    def find_fault(self, value: Any) -> str | None:
        """The first thing that is not as the shape says, in words; None where all of it is."""
        if self._node.fits(value):
            return None
        fault = self._node.fault(value)
        return f"{fault.place or 'the document'} {fault.what}"


@dataclass(slots=True)
class _Fault:
    """What is wrong with a part of a document. The place grows on the way out."""

    what: str
    place: str = ""

    def below(self, key: str) -> _Fault:
        """The same as seen from one level further out."""
        self.place = f"{key}.{self.place}" if self.place else key
        return self


@dataclass(frozen=True, slots=True)
class _Node:
    """A shape taken apart: whether a value fits, and what is wrong with one that does not.

    Nearly all values fit, and lines are many: nothing is put into words before it has to be.
    """

    fits: Callable[[Any], bool]
    fault: Callable[[Any], _Fault]


def _node(shape: Any) -> _Node:
    if isinstance(shape, dict):
        return _of_any_keys(_node(shape[str])) if str in shape else _of_named_keys(shape)
    if isinstance(shape, list):
        return _of_list(_node(shape[0]))
    if isinstance(shape, tuple):
        return _of_options(shape)
    return _Node(_fitting(shape), _wanting(_name(shape)))


def _of_named_keys(shape: dict[str, Any]) -> _Node:
    members = tuple(
        (key.removesuffix("?"), key.endswith("?"), _node(inner)) for key, inner in shape.items()
    )
    tests = tuple((key, optional, node.fits) for key, optional, node in members)

    def fits(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        for key, optional, member_fits in tests:
            member = value.get(key, _MISSING)
            if not (optional if member is _MISSING else member_fits(member)):
                return False
        return True

    def fault(value: Any) -> _Fault:
        if not isinstance(value, dict):
            return _wrong(value, _NAMES[dict])
        for key, optional, node in members:
            if key not in value:
                if not optional:
                    return _Fault(f"lacks {key}")
            elif not node.fits(value[key]):
                return node.fault(value[key]).below(key)
        raise AssertionError(value)

    return _Node(fits, fault)


def _of_any_keys(inner: _Node) -> _Node:
    def fits(value: Any) -> bool:
        return isinstance(value, dict) and all(map(inner.fits, value.values()))

    def fault(value: Any) -> _Fault:
        if not isinstance(value, dict):
            return _wrong(value, _NAMES[dict])
        key = next(key for key, member in value.items() if not inner.fits(member))
        return inner.fault(value[key]).below(_short(key))

    return _Node(fits, fault)


def _of_list(inner: _Node) -> _Node:
    def fits(value: Any) -> bool:
        return isinstance(value, list) and all(map(inner.fits, value))

    def fault(value: Any) -> _Fault:
        if not isinstance(value, list):
            return _wrong(value, _NAMES[list])
        number = next(n for n, member in enumerate(value) if not inner.fits(member))
        return inner.fault(value[number]).below(str(number))

    return _Node(fits, fault)


def _of_options(shape: tuple[Any, ...]) -> _Node:
    options = tuple(_node(option).fits for option in shape)

    def fits(value: Any) -> bool:
        for option_fits in options:  # noqa: SIM110 - a generator for `any` costs more than the tests
            if option_fits(value):
                return True
        return False

    return _Node(fits, _wanting(" or ".join(map(_name, shape))))


def _fitting(shape: Any) -> Callable[[Any], bool]:
    """Whether a value is of a kind that has no parts."""
    if shape is None:
        return lambda value: value is None
    if shape is AMOUNT:
        return lambda value: isinstance(value, str) and _AMOUNT.fullmatch(value) is not None
    if shape is int:
        return lambda value: type(value) is int and abs(value) < _LARGEST
    if shape is float:
        return lambda value: (
            type(value) in (int, float) and abs(value) < _LARGEST and math.isfinite(value)
        )
    return lambda value: isinstance(value, shape)


def _name(shape: Any) -> str:
    """A shape in words."""
    return _NAMES[type(shape)] if isinstance(shape, dict | list) else _NAMES.get(shape, str(shape))


def _wanting(wanted: str) -> Callable[[Any], _Fault]:
    return lambda value: _wrong(value, wanted)


def _wrong(value: Any, wanted: str) -> _Fault:
    return _Fault(f"is {_short(value)} and should be {wanted}")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) and value.isidentifier() else ascii(value)
    return text if len(text) <= 40 else text[:37] + "..."
