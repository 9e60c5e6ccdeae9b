r"""Items side by side: parted by commas, `and`, `or`, dots; `x = 1, 2`; `a ± b`.

An item is whatever `read_part` makes of its text.

    >>> from corl_bench.grading.structure import read
    >>> len(read(r"1, 2, \ldots, 10").items)
    10
"""

from __future__ import annotations

from typing import Final

from corl_bench.grading.brackets import (
    MAX_ITEMS,
    PLUS_MINUS,
    ReadPart,
    closes_at_end,
    split_top,
    spread,
    two_signs,
)
from corl_bench.grading.relations import without_subscripts
from corl_bench.grading.values import Relation, Scalar, Sequence, Union, Value
from corl_bench.patterns import regex

_DIGIT_GROUPS: Final = regex(r"(?<![\d,.])[1-9]\d{0,2}(?:,\d{3})+(?!\d|,\d)")
_CONJUNCTION: Final = regex(
    r"(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])|(?<=[\d)])(?:and|or)(?=[A-Z(]|[a-z] ?=)"
)
_EITHER: Final = regex(r"(?<![A-Za-z\\])or(?![A-Za-z])")


def read_list(text: str, read_part: ReadPart) -> Value | None:
    """Items parted by commas, semicolons, `and` or `or`, outside all brackets; also `a ± b`."""
    before = text
    either = _EITHER.split(text) if "or" in text else []
    if "and" in text or either:
        text = _CONJUNCTION.sub(",", text)
    if "," in text and not any(sign in text for sign in ("(", "[", "\\{")) and text[0] != "{":
        text = _DIGIT_GROUPS.sub(lambda m: m[0].replace(",", ""), text)
    if "," in text or ";" in text:
        groups = [g for g in split_top(text, ";") if g.strip()]
        if len(either) > 1:
            groups = [_CONJUNCTION.sub(",", g) for g in either]
        if len(groups) > 1 and all("=" in g and len(split_top(g, ",")) > 1 for g in groups):
            # p=5, q=2; p=7, q=2: each group is one solution.
            return Sequence("", "", tuple(_as_tuple(read_part(g)) for g in groups))
        parts = [p for p in split_top(text, ",;") if p.strip(" $") and p.strip() != "\\text{}"]
        if len(parts) > 1 and len(parts) <= MAX_ITEMS:
            value = _name_list([read_part(p) for p in spread(parts)])
            return Union(value.items) if len(either) > 1 and _are_alternatives(value) else value
        if len(parts) == 1 and parts[0] != text:
            return read_part(parts[0])
    elif text != before:
        return read_part(text)
    if PLUS_MINUS.search(text) and not any(sign in text for sign in ",;=<>"):
        if text[0] in "([" and closes_at_end(text):
            return None
        return two_signs(text, read_part)
    return None


def _are_alternatives(value: Sequence) -> bool:
    """Whether items joined by "or" say something of different unknowns, and so are no list."""
    names = [without_subscripts(i.names[0]) for i in value.items if isinstance(i, Relation)]
    return len(set(names)) == len(value.items) > 1


def _name_list(items: list[Value]) -> Sequence:
    """`x = 1, 2` names the whole list; a `±` among the items stands for two of them."""
    flat: list[Value] = []
    first = items[0]
    if isinstance(first, Relation) and first.signs == ("!=",) and len(first.sides) == 2:
        # x != 1, 2 excludes both.
        items = [
            Relation((first.sides[0], i), ("!=",), (first.names[0], ""))
            if isinstance(i, Scalar)
            else i
            for i in items
        ]
    for item in items:
        if isinstance(item, Sequence) and not item.opening:
            flat += item.items
        elif (
            isinstance(item, Relation)
            and item.signs in (("=",), ("!=",))
            and isinstance(item.sides[1], Sequence)
            and not item.sides[1].opening
        ):
            flat += [
                Relation((item.sides[0], v), item.signs, (item.names[0], ""))
                for v in item.sides[1].items
            ]
        else:
            flat.append(item)
    return Sequence("", "", tuple(flat))


def _as_tuple(value: Value) -> Value:
    if isinstance(value, Sequence) and not value.opening:
        items = tuple(i.sides[-1] if isinstance(i, Relation) else i for i in value.items)
        return Sequence("(", ")", items)
    return value
