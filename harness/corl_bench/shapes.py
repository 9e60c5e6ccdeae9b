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
an object: of named keys (`key?` may be missing), or of any keys, as `{str: shape}`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
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


def find_fault(value: Any, shape: Any) -> str | None:
    """The first thing that is not as the shape says, in words; None where all of it is.

    Args:
        value: as it was parsed.
        shape: see above.
    """
    fault = _fault(value, shape)
    return None if fault is None else f"{fault.place or 'the document'} {fault.what}"


@dataclass(slots=True)
class _Fault:
    """What is wrong with a part of a document. The place grows on the way out: most have none."""

    what: str
    place: str = ""

    def below(self, key: str) -> _Fault:
        """The same as seen from one level further out."""
        self.place = f"{key}.{self.place}" if self.place else key
        return self


def _fault(value: Any, shape: Any) -> _Fault | None:
    if isinstance(shape, dict):
        return _fault_of_object(value, shape)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return _wrong(value, "a list")
        for number, member in enumerate(value):
            if fault := _fault(member, shape[0]):
                return fault.below(str(number))
        return None
    if isinstance(shape, tuple):
        if any(
            _fits(value, option) if _named(option) else _fault(value, option) is None
            for option in shape
        ):
            return None
        return _wrong(value, " or ".join(map(_name, shape)))
    return None if _fits(value, shape) else _wrong(value, _name(shape))


def _fault_of_object(value: Any, shape: dict[Any, Any]) -> _Fault | None:
    if not isinstance(value, dict):
        return _wrong(value, "an object")
    if (inner := shape.get(str)) is not None:
        for key, member in value.items():
            if fault := _fault(member, inner):
                return fault.below(_short(key))
        return None
    for name, inner in shape.items():
        key = name.removesuffix("?")
        if key in value:
            if fault := _fault(value[key], inner):
                return fault.below(key)
        elif key == name:
            return _Fault(f"lacks {key}")
    return None


def _named(shape: Any) -> bool:
    return not isinstance(shape, dict | list)


def _name(shape: Any) -> str:
    """A shape in words."""
    return _NAMES.get(shape, str(shape)) if _named(shape) else _NAMES[type(shape)]


def _fits(value: Any, shape: Any) -> bool:
    if shape is None:
        return value is None
    if shape is AMOUNT:
        return isinstance(value, str) and _AMOUNT.fullmatch(value) is not None
    if shape is int:
        return type(value) is int and abs(value) < _LARGEST
    if shape is float:
        return type(value) in (int, float) and abs(value) < _LARGEST and math.isfinite(value)
    return isinstance(value, shape)


def _wrong(value: Any, wanted: str) -> _Fault:
    return _Fault(f"is {_short(value)} and should be {wanted}")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) and value.isidentifier() else ascii(value)
    return text if len(text) <= 40 else text[:37] + "..."
