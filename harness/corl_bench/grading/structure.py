r"""What kind of thing an answer is: a number, a pair, an interval, a set, an equation, words.

`read` turns folded text into the tree of `values`. It decides nothing, and what cannot be
read as mathematics becomes `Words`, so reading never fails on any text.

    >>> pair = read("(1,2]")
    >>> pair.opening, pair.closing, len(pair.items)
    ('(', ']', 2)
    >>> type(read("x>1 and x<3")).__name__
    'Meet'
"""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from corl_bench.grading.brackets import (
    INEQUALITY,
    RELATION,
    ReadPart,
    is_balanced,
    read_brackets,
    read_ratio,
)
from corl_bench.grading.expression import Step, parse
from corl_bench.grading.frames import unwrap
from corl_bench.grading.layouts import read_matrix
from corl_bench.grading.lists import read_list
from corl_bench.grading.normalise import spelling
from corl_bench.grading.quantities import (
    plain_number,
    read_clock,
    read_quantity,
    read_words,
    split_compound,
)
from corl_bench.grading.tokens import ParseError
from corl_bench.grading.values import (
    Congruence,
    Meet,
    Relation,
    Scalar,
    Sequence,
    Union,
    Value,
    Without,
    Words,
)
from corl_bench.patterns import regex

MAX_DEPTH: Final = 12
MAX_CHARS: Final = 60_000

_CONGRUENT: Final = regex(
    r"(?:[a-zA-Z]\s*(?:\\equiv|=)\s*)?([^=<>,;]{1,60}?)\s*"
    r"(?:\\pmod\s*(?:\{([^{}]{1,40})\}|(\w))|\(\s*\\bmod\s*([^()]{1,40})\)|,?\s*\\bmod\s*(\w+))"
)
_REALS: Final = regex(
    r"(?:[a-z]\s*\\in\s*)?\\mathbb\{R\}|(?:\\text\s*\{)?\s*(?:all|any|every) reals?(?: numbers?)?"
    r"(?: \$?[a-z]\$?)?\s*\}?",
    re.IGNORECASE,
)
_REALS_BUT: Final = regex(
    r"(?:\\text\s*\{)?\s*all reals?(?: numbers?)?(?: x)?,? (?:except|other than|but)"
    r"(?: for)?\s*\}?(.{1,60})",
    re.IGNORECASE,
)
_HALF_LINE: Final = regex(
    r"(?:[a-z]\s*\\in\s*)?\\mathbb\{R\}\s*(?:[\^_]\s*\{?\s*([+-])\s*\}?|_\s*\{\s*([<>]=?)\s*0\s*\})"
)
_NOTHING: Final = regex(
    r"\\emptyset|\{\}|\\\{ ?\\\}"
    r"|(?:\\text\s*\{)?\s*(?:there (?:is|are) )?no (?:real |integer )?solutions?\s*\}?"
    r"|(?:\\text\s*\{)?\s*(?:the )?empty set\s*\}?",
    re.IGNORECASE,
)
_POINT: Final = regex(r"[A-Z]\s*(\([^()]*,[^()]*\))")
_QUALIFIER: Final = regex(
    r"\s*(?:[,;(]|\\text\s*\{[^{}]*\}|where|for|with|(?=\\forall))"
    r"\s*(?:\\text\s*\{[^{}]*\}|where|for|with)?\s*(?:\\forall\s*)?[a-z](?:\s*,\s*[a-z])*"
    r"\s*\\in\s*\\mathbb\{[ZNRQ]\}(?:\^\{?\+\}?)?\s*\)?$"
)
_FOR_ALL: Final = regex(r"\s*(?:\\text\s*\{\s*for all\s*\}|\\forall|for all)\s*[a-z]$")
_RELATION_NAMES: Final = {"\\in": "in", "\\approx": "approx", "\\sim": "approx", "\\equiv": "="}
_JOINED: Final[dict[type[Union | Meet], re.Pattern[str]]] = {
    Union: regex(r"(?<![A-Za-z\\])or(?![A-Za-z])|\\lor(?![a-z])"),
    Meet: regex(r"(?<![A-Za-z\\])and(?![A-Za-z])|\\land(?![a-z])|&&?"),
}
_RATIO_WORDS: Final = regex(r"(-?\d+) ?(?:to|\\text ?\{ ?to ?\}) ?(-?\d+)")
_SPACED_NUMBERS: Final = regex(r"-?\d{1,40}(?: -?\d{1,40})+")
_EVERYTHING: Final = Sequence(
    "(",
    ")",
    (Scalar((Step("const", "oo"), Step("neg", "", 1))), Scalar((Step("const", "oo"),))),
)


def _half_line(sign: str) -> Sequence:
    r"""`\mathbb{R}^+`, `\mathbb{R}_{\ge 0}`: the positive numbers, those from zero on."""
    low, high = _EVERYTHING.items
    zero, closed = Scalar((Step("num", "0"),)), sign.endswith("=")
    if sign[0] in "+>":
        return Sequence("[" if closed else "(", ")", (zero, high))
    return Sequence("(", "]" if closed else ")", (low, zero))


def read(text: str, depth: int = 0) -> Value:
    """Reads folded text; see the module."""
    if "\\mathbb" in text:
        if _REALS.fullmatch(text.strip(" $.")):
            return _EVERYTHING
        if (half := _HALF_LINE.fullmatch(text.strip(" $."))) is not None:
            return _half_line(half[1] or half[2])
        text = _QUALIFIER.sub("", text)
    if "all" in text:
        text = _FOR_ALL.sub("", text)
    text = unwrap(text)
    number = plain_number(text)
    if number is not None:
        return Scalar(number)
    if depth > MAX_DEPTH or len(text) > MAX_CHARS or not text:
        return Words(text)
    read_part = partial(read, depth=depth + 1)
    for reader in _READERS:
        value = reader(text, read_part)
        if value is not None:
            return value
    return read_quantity(text)


def _read_special(text: str, read_part: ReadPart) -> Value | None:
    """The real line, the empty set, congruences and numbers parted by spaces."""
    if (clock := read_clock(text)) is not None:
        return clock
    if " and " in text and (number := read_words(text)) is not None and not number.unit:
        return number  # two hundred and five
    if _REALS.fullmatch(text):
        return _EVERYTHING
    if (match := _REALS_BUT.fullmatch(text)) is not None:
        removed = read_part(match[1])
        items = removed.items if isinstance(removed, Sequence) else (removed,)
        return Without(_EVERYTHING, Sequence("{", "}", items))
    if _NOTHING.fullmatch(text):
        return Sequence("{", "}", ())
    if "mod" in text and (match := _CONGRUENT.fullmatch(text)) is not None:
        plain = match[5] is not None
        if plain and "\\equiv" not in text and "=" not in text:
            return None  # an operation, not a class: 17 mod 5 is 2
        modulus = match[2] or match[3] or match[4] or match[5]
        try:
            return Congruence(parse(match[1]), parse(modulus))
        except ParseError:
            return None
    if (match := _POINT.fullmatch(text)) is not None:
        return read_part(match[1])
    if (match := _RATIO_WORDS.fullmatch(text)) is not None:
        return read_ratio(f"{match[1]}:{match[2]}", read_part)
    if len(compound := split_compound(text)) > 1:
        return Sequence("", "", tuple(read_part(part) for part in compound))
    if _SPACED_NUMBERS.fullmatch(text):
        return Sequence("", "", tuple(read_part(part) for part in text.split()))
    return None


def _read_conditions(text: str, read_part: ReadPart) -> Value | None:
    """Inequalities joined by `or` and `and`, of which `and` binds closer."""
    if not INEQUALITY.search(text):
        return None
    for kind, word in _JOINED.items():
        parts = [part.strip(" ,;") for part in word.split(text)]
        if len(parts) < 2 or len(parts) > 20 or not all(map(RELATION.search, parts)):
            continue
        if all(is_balanced(part) for part in parts):
            return kind(tuple(read_part(part) for part in parts))
    return None


def _read_union(text: str, read_part: ReadPart) -> Value | None:
    r"""Sets joined by signs outside all brackets: the last `\setminus` first, then unions."""
    if not ("\\cup" in text or "\\cap" in text or "\\setminus" in text):
        return None
    if (match := re.match(r"[a-z]\s*\\in(?![a-z])", text)) is not None:
        return read_part(text[match.end() :])
    for sign in ("\\setminus", "\\cup", "\\cap"):
        parts = re.split(re.escape(sign) + r"(?![a-z])", text)
        if len(parts) < 2 or "=" in parts[0] or not all(map(is_balanced, parts)):
            continue
        if sign == "\\setminus":
            whole = read_part(sign.join(parts[:-1]))
            return Without(whole, read_part(parts[-1]))
        values = tuple(read_part(part) for part in parts)
        return Union(values) if sign == "\\cup" else Meet(values)
    return None


def _read_relation(text: str, read_part: ReadPart) -> Value | None:
    if not RELATION.search(text):
        return None
    sides: list[str] = []
    signs: list[str] = []
    start = nesting = 0
    for match in re.finditer(r"\\[{}]|[([{]|[)\]}]|" + RELATION.pattern, text):
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
        if signs[0] not in ("=", "approx", "in"):
            return None
        sides, signs = sides[1:], signs[1:]
        if not signs:
            return read_part(sides[0])
    values = tuple(read_part(side) for side in sides)
    return Relation(values, tuple(signs), tuple(spelling(unwrap(side)) for side in sides))


_READERS: Final = (
    _read_special,
    read_matrix,
    _read_conditions,
    read_list,
    _read_union,
    _read_relation,
    read_brackets,
)
