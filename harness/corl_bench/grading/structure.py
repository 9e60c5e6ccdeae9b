r"""What kind of thing an answer is: a number, a pair, an interval, a set, an equation, words.

`read` turns folded text into a small tree of frozen values. It keeps what the writer wrote
(the brackets, the unit, the base, the name before an equals sign) and decides nothing; which
differences matter is `comparison`'s business. What cannot be read as mathematics becomes
`Words`, so reading never fails on any text.

    >>> pair = read("(1,2]")
    >>> pair.opening, pair.closing, len(pair.items)
    ('(', ']', 2)
    >>> read(r"12\text{ cm}").unit
    'cm'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from corl_bench.grading.expression import Expression, ParseError, Step, parse
from corl_bench.grading.normalise import spelling
from corl_bench.grading.vocabulary import BASE_WORDS, COUNTED, NUMBER_WORDS, SCALES, UNITS

MAX_DEPTH: Final = 12
MAX_ITEMS: Final = 10_000
MAX_UNIT_CHARS: Final = 300
"""A quantity with its unit is not longer; the patterns for units are not linear."""


@dataclass(frozen=True, slots=True)
class Words:
    """Text that is no mathematics, or mathematics beyond this reader."""

    text: str


@dataclass(frozen=True, slots=True)
class Scalar:
    """One expression, with the unit or sign that followed it."""

    expression: Expression
    unit: str = ""
    percent: bool = False
    degrees: bool = False


@dataclass(frozen=True, slots=True)
class Based:
    """Digits in a number base, `1011_2`."""

    digits: str
    base: int


@dataclass(frozen=True, slots=True)
class Sequence:
    """Items between brackets; `opening` is `(`, `[`, `{`, `:` for a ratio, or empty."""

    opening: str
    closing: str
    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Union:
    """Sets joined by a union sign."""

    parts: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """Two or more sides with `=`, `<`, `<=`, `>`, `>=`, `!=`, `in` or `approx` between them."""

    sides: tuple[Value, ...]
    signs: tuple[str, ...]
    names: tuple[str, ...]
    """The text of each side, for a side that is only a name (`AB`, `m+n`, `f(x)`)."""


Value = Words | Scalar | Based | Sequence | Union | Matrix | Relation

_INTEGER: Final = re.compile(r"-?\d{1,2000}")
_DECIMAL: Final = re.compile(r"([-+]?)(\d{0,2000}(?:\.\d{1,2000})?)\.?")
_THOUSANDS: Final = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")
_DIGIT_GROUPS: Final = re.compile(r"(?<![\d,.])[1-9]\d{0,2}(?:,\d{3})+(?!\d|,\d)")
_BASED: Final = re.compile(r"(-?[0-9A-Za-z]{1,200})_(?:\{(?:\\text\{)?(\d{1,2}|[a-z]+)\}?\}|(\d))")
_MATRIX: Final = re.compile(
    r"(?:\[|\(|\\\{)?\s*\\begin\{([pbvBV]?matrix|smallmatrix|array)\}(?:\{[lcr| ]*\})?(.*?)"
    r"\\end\{\1\}\s*(?:\]|\)|\\\})?",
    re.DOTALL,
)
_RELATION: Final = re.compile(
    r"<=|>=|!=|<|>|=|\\in(?![a-z])|\\approx(?![a-z])|\\sim(?![a-z])|\\equiv(?![a-z])"
)
_RELATION_NAMES: Final = {"\\in": "in", "\\approx": "approx", "\\sim": "approx", "\\equiv": "="}
_CONJUNCTION: Final = re.compile(r"(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])")
_TEXT_UNIT: Final = re.compile(
    r"(.*?[^\s\\])\s*\\text\s*\{([^{}]*)\}\s*(\^\s*\{?\s*([23])\s*\}?)?\s*\.?", re.DOTALL
)
_PLAIN_UNIT: Final = re.compile(
    r"(-?(?:\\\$)?[\d,]*\.?\d+(?:/\d+)?|\S.*?[\d})])\s*"
    r"([A-Za-z][A-Za-z/ ]*[A-Za-z]|[A-Za-z]|\")(\^\s*\{?([23])\}?)?\.?"
)
_MONEY: Final = re.compile(r"\\?\$")
_DOLLAR: Final = re.compile(r"(?<!\\)\$")
_PLUS_MINUS: Final = re.compile(r"\\(pm|mp)(?![a-z])")
_ANGLE_FUNCTION: Final = re.compile(r"sin|cos|tan|cot|sec|csc")
_WORD: Final = re.compile(r"[A-Za-z]{3,}|[Nn]o|NO")
_SET_BUILDER: Final = re.compile(
    r"\\\{\s*[a-z](?:\s*\\in\s*\\mathbb\{R\})?\s*[|:]\s*([^|]+)\\\}", re.DOTALL
)


def read(text: str, depth: int = 0) -> Value:
    """Reads folded text; see the module."""
    text = unwrap(text)
    number = plain_number(text)
    if number is not None:
        return Scalar(number)
    if depth > MAX_DEPTH or len(text) > 60_000 or not text:
        return Words(text)
    for reader in (_read_matrix, _read_list, _read_union, _read_relation, _read_brackets):
        value = reader(text, depth)
        if value is not None:
            return value
    return _read_scalar(text, depth)


def plain_number(text: str) -> Expression | None:
    """An integer or a decimal, with thousands separators, as an expression."""
    if _INTEGER.fullmatch(text):
        digits = text.lstrip("-")
    elif _THOUSANDS.fullmatch(text):
        digits = text.lstrip("+-").replace(",", "")
    elif (match := _DECIMAL.fullmatch(text)) and match[2]:
        digits = match[2]
    else:
        return None
    leaf = Step("num", digits)
    return (leaf, Step("neg", "", 1)) if text[0] == "-" else (leaf,)


def unwrap(text: str) -> str:
    r"""Takes off what only frames an answer: `$…$`, `\boxed{…}`, `\text{…}`, `**…**`."""
    for _ in range(8):
        text = text.strip()
        before = text
        text = text.rstrip("\\ ") if text.endswith(("\\", "\\ ")) else text
        if text.endswith((".", ",", ";", ":")) and not text.endswith(("..", "\\,", "\\;", "\\:")):
            text = text[:-1].rstrip()
        if text.startswith("**") and text.endswith("**") and len(text) > 4:
            text = text[2:-2]
        for left, right in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
            if (
                text.startswith(left)
                and text.endswith(right)
                and len(text) > len(left + right)
                and not text.endswith("\\$")
                and left not in text[len(left) : -len(right)]
            ):
                # Bare braces inside delimiters only group; `${1,3}$` is the list 1,3.
                inner = text[len(left) : -len(right)].strip()
                text = inner[1:-1] if _is_group(inner, 0) and "," in inner else inner
                break
        dollars = text.count("$") - text.count("\\$")
        if 0 < dollars < 20 and dollars % 2 == 0:
            text = _DOLLAR.sub("", text)
        for command in ("\\boxed", "\\fbox", "\\text", "\\mathbb"):
            if text.startswith(command) and _is_group(text, len(command)):
                text = text[text.index("{") + 1 : -1]
        if _is_group(text, 0) and "," not in text:
            text = text[1:-1]
        if text == before:
            break
    return text.strip()


def _is_group(text: str, start: int) -> bool:
    """Whether `text[start:]` is one `{…}` whose brace closes at the very end."""
    start += len(text[start:]) - len(text[start:].lstrip())
    if not (text[start : start + 1] == "{" and text.endswith("}") and not text.endswith("\\}")):
        return False
    depth = 0
    for position in range(start, len(text)):
        if text[position] in "{}" and text[position - 1 : position] != "\\":
            depth += 1 if text[position] == "{" else -1
            if depth == 0:
                return position == len(text) - 1
    return False


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


def _read_list(text: str, depth: int) -> Value | None:
    """Items parted by commas, semicolons, `and` or `or`, outside all brackets; also `a ± b`."""
    before = text
    if "and" in text or "or" in text:
        text = _CONJUNCTION.sub(",", text)
    if "," in text and not any(sign in text for sign in ("(", "[", "\\{")) and text[0] != "{":
        text = _DIGIT_GROUPS.sub(lambda m: m[0].replace(",", ""), text)
    if "," in text or ";" in text:
        groups = [g for g in split_top(text, ";") if g.strip()]
        if len(groups) > 1 and all("=" in g and len(split_top(g, ",")) > 1 for g in groups):
            # p=5, q=2; p=7, q=2: each group is one solution.
            return Sequence("", "", tuple(_as_tuple(read(g, depth + 1)) for g in groups))
        parts = [p for p in split_top(text, ",;") if p.strip(" $") and p.strip() != "\\text{}"]
        if len(parts) > 1 and len(parts) <= MAX_ITEMS:
            return _name_list([read(p, depth + 1) for p in parts])
        if len(parts) == 1 and parts[0] != text:
            return read(parts[0], depth + 1)
    elif text != before:
        return read(text, depth + 1)
    if _PLUS_MINUS.search(text) and not any(sign in text for sign in ",;=<>"):
        if text[0] in "([" and _closes_at_end(text):
            return None
        upper = _PLUS_MINUS.sub(lambda m: "+" if m[1] == "pm" else "-", text)
        lower = _PLUS_MINUS.sub(lambda m: "-" if m[1] == "pm" else "+", text)
        return Sequence("", "", (read(upper, depth + 1), read(lower, depth + 1)))
    return None


def _name_list(items: list[Value]) -> Value:
    """`x = 1, 2` names the whole list; a `±` among the items stands for two of them."""
    flat: list[Value] = []
    for item in items:
        if isinstance(item, Sequence) and not item.opening:
            flat += item.items
        elif (
            isinstance(item, Relation)
            and item.signs == ("=",)
            and isinstance(item.sides[1], Sequence)
            and not item.sides[1].opening
        ):
            flat += [
                Relation((item.sides[0], v), ("=",), (item.names[0], ""))
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


def _read_union(text: str, depth: int) -> Value | None:
    if "\\cup" not in text:
        return None
    parts = re.split(r"\\cup(?![a-z])", text)
    if any(p.count(o) != p.count(c) for p in parts for o, c in ("{}",)) or "=" in parts[0]:
        return None
    if re.search(r"\\in(?![a-z])", parts[0]):
        return None
    return Union(tuple(read(p, depth + 1) for p in parts))


def _read_relation(text: str, depth: int) -> Value | None:
    if not _RELATION.search(text):
        return None
    sides: list[str] = []
    signs: list[str] = []
    start = nesting = 0
    for match in re.finditer(r"\\[{}]|[([{]|[)\]}]|" + _RELATION.pattern, text):
        sign = match[0]
        if sign[-1] in "([{":
            nesting += 1
        elif sign[-1] in ")]}":
            nesting -= 1
        elif nesting == 0:
            sides.append(text[start : match.start()])
            signs.append(_RELATION_NAMES.get(sign, sign))
            start = match.end()
    sides.append(text[start:])
    if not signs or not sides[-1].strip() or len(signs) > 20:
        return None
    if not sides[0].strip():
        sides, signs = sides[1:], signs[1:]
        if not signs:
            return read(sides[0], depth + 1)
    values = tuple(read(side, depth + 1) for side in sides)
    return Relation(values, tuple(signs), tuple(spelling(unwrap(side)) for side in sides))


def _closes_at_end(text: str) -> bool:
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


def _read_brackets(text: str, depth: int) -> Value | None:
    if text in ("\\emptyset", "{}", "\\{\\}", "\\{ \\}"):
        return Sequence("{", "}", ())
    if text.startswith("\\{") and text.endswith("\\}"):
        opening, inner, closing = "{", text[2:-2], "}"
        if not _closes_at_end(text):
            return None
        if (builder := _SET_BUILDER.fullmatch(text)) is not None:
            return read(builder[1], depth + 1)
    elif text[0] in "([{" and text[-1] in ")]}" and _closes_at_end(text):
        opening, inner, closing = text[0], text[1:-1], text[-1]
    elif ":" in text:
        return _read_ratio(text, depth)
    else:
        return None
    if not inner.strip():
        return Sequence(opening, closing, ())
    parts = split_top(inner, ",;")
    if len(parts) == 1:
        if opening == "(" and closing == ")":
            return None if not _RELATION.search(inner) else read(inner, depth + 1)
        if opening != "{" and closing not in "]":
            return None
        if opening == "[" and _is_plain_algebra(inner):
            return Sequence("[", "]", (read(inner, depth + 1),))
    if len(parts) > MAX_ITEMS or (opening + closing) not in ("()", "[]", "{}", "(]", "[)"):
        return None
    if len(parts) > 1 and not parts[-1].strip():
        parts.pop()
    items: list[Value] = []
    for part in parts:
        value = read(part, depth + 1)
        if opening == "{" and isinstance(value, Sequence) and not value.opening:
            items += value.items
        else:
            items.append(value)
    return Sequence(opening, closing, tuple(items))


def _is_plain_algebra(text: str) -> bool:
    try:
        parse(text)
    except ParseError:
        return False
    return True


def _read_ratio(text: str, depth: int) -> Value | None:
    parts = split_top(text, ":")
    if len(parts) < 2 or not all(p.strip() for p in parts):
        return None
    return Sequence(":", ":", tuple(read(p, depth + 1) for p in parts))


def _read_matrix(text: str, depth: int) -> Value | None:
    match = _MATRIX.fullmatch(text)
    if match is None or "\\begin" in match[2]:
        return None
    body = match[2].strip().removesuffix("\\\\").removesuffix("\\hline")
    rows = [row.split("&") for row in body.split("\\\\") if row.strip()]
    if sum(map(len, rows)) > MAX_ITEMS:
        return None
    return Matrix(tuple(tuple(read(cell, depth + 1) for cell in row) for row in rows))


def _read_scalar(text: str, depth: int) -> Value:
    match = _BASED.fullmatch(text)
    if match and any(c.isdigit() for c in match[1]):
        name = match[2] or match[3]
        base = int(name) if name.isdigit() else BASE_WORDS.get(name, 0)
        if 2 <= base <= 36 and (match[1].lstrip("-").isdigit() or base > 10):
            return Based(match[1].upper().lstrip("0") or "0", base)
    money = _MONEY.sub("", text) if text.count("$") == 1 else text
    if money != text and money.strip():
        value = read(money, depth + 1)
        if isinstance(value, Scalar) and not value.unit:
            return Scalar(value.expression, "$", value.percent, value.degrees)
        return value if not isinstance(value, Words) else Words(text)
    if text.endswith("%"):
        value = read(text[:-1], depth + 1)
        return Scalar(value.expression, "", True) if isinstance(value, Scalar) else Words(text)
    if text.endswith("°") and not _ANGLE_FUNCTION.search(text):
        value = read(text[:-1], depth + 1)
        if isinstance(value, Scalar):
            return Scalar(value.expression, "", False, True)
    united = _read_unit(text, depth)
    if united is not None:
        return united
    if _WORD.fullmatch(text):
        number = NUMBER_WORDS.get(text.lower())
        return Scalar((Step("num", number),)) if number else Words(text)
    try:
        return Scalar(parse(text))
    except ParseError:
        return Words(text)


def is_unit(word: str) -> bool:
    """Whether a word is a unit of measure, singular or plural, or is counted like one."""
    return word in UNITS or word.removesuffix("s") in UNITS or word in COUNTED


def _read_unit(text: str, depth: int) -> Scalar | None:
    if len(text) > MAX_UNIT_CHARS:
        return None
    match = _TEXT_UNIT.fullmatch(text)
    if match is not None:
        value, unit = read(match[1], depth + 1), match[2].strip().lower()
        power = match[4] or ""
    else:
        match = _PLAIN_UNIT.fullmatch(text)
        if match is None:
            return None
        unit, power = match[2].strip().lower(), match[4] or ""
        unit = "inch" if unit == '"' else unit
        words = unit.replace("/", " ").split()
        number = plain_number(match[1].replace("\\$", ""))
        spaced = len(words[0]) > 1 or match[1] + " " in text or bool(power)
        known = is_unit(words[0]) and spaced
        if number is None and not known:
            return None
        if not known and (len(words) > 5 or any(len(w) < 2 and not is_unit(w) for w in words)):
            return None
        if words[0] in SCALES and number is not None:
            scale = (Step("num", str(SCALES[words[0]])), Step("mul", "", 2))
            return Scalar((*number, *scale), " ".join(words[1:]))
        value = read(match[1], depth + 1)
    if not isinstance(value, Scalar):
        return None
    if unit.startswith("degree"):
        return Scalar(value.expression, "", value.percent, True)
    return Scalar(value.expression, unit + power, value.percent, value.degrees)
