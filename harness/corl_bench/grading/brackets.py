r"""What stands between brackets: pairs, intervals, sets, ratios, and the two values of a `±`.

Each reader takes folded text and `read_part`, which reads a part of it, and returns None for what
is not its own.

    >>> split_top("(1,2),3", ",")
    ['(1,2)', '3']
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from corl_bench.grading.expression import parse
from corl_bench.grading.quantities import is_unit
from corl_bench.grading.tokens import ParseError
from corl_bench.grading.values import Meet, Scalar, Sequence, Value
from corl_bench.patterns import regex

ReadPart = Callable[[str], Value]
"""Reads a part of the text, one level deeper."""

MAX_ITEMS: Final = 10_000
RELATION: Final = regex(
    r"<=|>=|(?<!!)!=|<|>|=|\\in(?![a-z])|\\approx(?![a-z])|\\sim(?![a-z])|\\equiv(?![a-z])"
)
INEQUALITY: Final = regex(r"[<>]|(?<!!)!=|\\in(?![a-z])")
_MEASURED: Final = regex(
    r"([(\[][^a-zA-Z]{1,80}[)\]])\s*(?:\\text\s*\{([^{}]{1,40})\}|([A-Za-z][A-Za-z ]{0,30}))\s*\.?"
)
_SET_SIGN: Final = regex(r"\\(?:cup|cap|setminus)(?![a-z])")
PLUS_MINUS: Final = regex(r"\\(pm|mp)(?![a-z])")
_SET_BUILDER: Final = regex(
    r"\\?\{\s*([a-z](?:\s*\\in\s*\\mathbb\{R\})?|[a-z]\s*[<>][^|:]{1,40}?)\s*[|:]\s*(.+?)\\?\}",
    re.DOTALL,
)
_DOTS: Final = frozenset(("\\ldots", "..."))
_SMALL_INTEGER: Final = regex(r"-?\d{1,9}")
_MAX_SPREAD: Final = 1000
"""Longest progression that is written out."""


def split_top(text: str, separators: str) -> list[str]:
    """Splits at separators that stand inside no bracket."""
    parts: list[str] = []
    depth = start = 0
    for position, sign in enumerate(text):
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        elif depth == 0 and sign in separators and text[position - 1 : position] != "\\":
            parts.append(text[start:position])
            start = position + 1
    parts.append(text[start:])
    return parts


def is_balanced(text: str) -> bool:
    return all(text.count(o) == text.count(c) for o, c in ("()", "[]", "{}")) or (
        text.count("{") == text.count("}")
        and text.count("(") + text.count("[") == text.count(")") + text.count("]")
    )


def closes_at_end(text: str) -> bool:
    """Whether the bracket that opens `text` closes at its very end, mixed kinds allowed."""
    nesting = 0
    for position, sign in enumerate(text):
        if sign in "([{":
            nesting += 1
        elif sign in ")]}":
            nesting -= 1
            if nesting == 0:
                return position == len(text) - 1
    return False


def read_brackets(text: str, read_part: ReadPart) -> Value | None:
    """Pairs, intervals, sets and ratios; brackets that only group are read as what they hold."""
    if (builder := _SET_BUILDER.fullmatch(text)) is not None and INEQUALITY.search(builder[2]):
        condition = read_part(builder[2])
        if not re.search("[<>]", builder[1]):
            return condition
        return Meet((read_part(builder[1]), condition))
    if (measured := _MEASURED.fullmatch(text)) is not None and closes_at_end(measured[1]):
        unit = (measured[2] or measured[3]).strip().lower()
        value = read_part(measured[1])
        if isinstance(value, Sequence) and is_unit(unit.split(" ")[0]):
            return _with_unit(value, unit)
    if text.startswith("\\{") and text.endswith("\\}"):
        opening, inner, closing = "{", text[2:-2], "}"
        if not closes_at_end(text):
            return None
    elif text[0] in "([{" and text[-1] in ")]}" and closes_at_end(text):
        opening, inner, closing = text[0], text[1:-1], text[-1]
    elif text[0] == "]" and text[-1] == "[" and len(split_top(text[1:-1], ",;")) == 2:
        return read_part(f"({text[1:-1]})")  # open ends as the French write them
    elif ":" in text:
        return read_ratio(text, read_part)
    else:
        return None
    if not inner.strip():
        return Sequence(opening, closing, ())
    parts = spread(split_top(inner, ",;"))
    if len(parts) > 1 and opening + closing in ("()", "[]"):
        signs = [match[1] for match in PLUS_MINUS.finditer(inner)]
        if signs == ["pm"] or {*signs} == {"pm", "mp"}:
            return two_signs(text, read_part)
    if len(parts) == 1:
        if opening == "(" and closing == ")":
            grouped = RELATION.search(inner) or _SET_SIGN.search(inner)
            return read_part(inner) if grouped else None
        if opening != "{" and closing != "]":
            return None
        if opening == "[" and _is_plain_algebra(inner):
            return Sequence("[", "]", (read_part(inner),))
    if len(parts) > MAX_ITEMS or (opening + closing) not in ("()", "[]", "{}", "(]", "[)"):
        return None
    if len(parts) > 1 and not parts[-1].strip():
        parts.pop()
    items: list[Value] = []
    for part in parts:
        value = read_part(part)
        if opening == "{" and isinstance(value, Sequence) and not value.opening:
            items += value.items
        else:
            items.append(value)
    return Sequence(opening, closing, tuple(items))


def _with_unit(value: Sequence, unit: str) -> Sequence:
    """`[1,2] cm` is an interval of centimetres."""
    items = tuple(
        Scalar(i.expression, unit) if isinstance(i, Scalar) and not i.unit else i
        for i in value.items
    )
    return Sequence(value.opening, value.closing, items)


def _is_plain_algebra(text: str) -> bool:
    try:
        parse(text)
    except ParseError:
        return False
    return True


def read_ratio(text: str, read_part: ReadPart) -> Value | None:
    parts = split_top(text, ":")
    if len(parts) < 2 or not all(p.strip() for p in parts):
        return None
    return Sequence(":", ":", tuple(read_part(p) for p in parts))


def two_signs(text: str, read_part: ReadPart) -> Value:
    r"""The value with the upper signs of all `\pm` and `\mp`, and the one with the lower."""
    upper = PLUS_MINUS.sub(lambda m: "+" if m[1] == "pm" else "-", text)
    lower = PLUS_MINUS.sub(lambda m: "-" if m[1] == "pm" else "+", text)
    return Sequence("", "", (read_part(upper), read_part(lower)))


def spread(parts: list[str]) -> list[str]:
    r"""The items of `1, 2, \ldots, 10` written out; others as they are."""
    dots = [i for i, part in enumerate(parts) if part.strip() in _DOTS]
    if len(dots) != 1 or not 2 <= dots[0] < len(parts) - 1:
        return parts
    given = [part.strip() for part in parts if part.strip() not in _DOTS]
    if not all(map(_SMALL_INTEGER.fullmatch, given)):
        return parts
    numbers = [int(part) for part in given]
    step, end = numbers[1] - numbers[0], numbers[-1]
    if step == 0 or abs(end - numbers[0]) > _MAX_SPREAD * abs(step):
        return parts
    full = list(range(numbers[0], end + (1 if step > 0 else -1), step))
    rest = len(numbers) - dots[0]
    steady = full[: dots[0]] == numbers[: dots[0]] and full[-rest:] == numbers[-rest:]
    return [str(number) for number in full] if steady else parts
