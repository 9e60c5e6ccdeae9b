r"""One value as people write it: a number, digits in a base, money, a unit, a time, a percentage.

`read_quantity` takes folded text without any list or relation in it; what it cannot read is
`Words`. Words that are no measure are dropped ("18 eggs" is 18), a known unit is kept.

    >>> read_quantity(r"12\text{ cm}").unit
    'cm'
    >>> read_quantity("twenty-one") == read_quantity("21")
    True
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from corl_bench.grading.approximation import letters
from corl_bench.grading.expression import Expression, Step, parse
from corl_bench.grading.frames import unwrap
from corl_bench.grading.tokens import ParseError, is_run
from corl_bench.grading.values import Based, Clock, Scalar, Series, Words
from corl_bench.grading.vocabulary import (
    CHANGING,
    COUNTED,
    FRACTION_WORDS,
    FUNCTIONS,
    NUMBER_WORDS,
    SCALES,
    SYMBOLS,
    UNITS,
)
from corl_bench.patterns import regex

MAX_UNIT_CHARS: Final = 300
"""A quantity with its unit is not longer; the patterns for units are not linear."""
MAX_DEPTH: Final = 8
MAX_NUMBER_WORDS: Final = 8

Quantity = Words | Scalar | Based | Clock | Series

_INTEGER: Final = regex(r"-?\d{1,2000}")
_DECIMAL: Final = regex(r"([-+]?)(\d{0,2000}(?:\.\d{1,2000})?)\.?")
_THOUSANDS: Final = regex(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")
_BASED: Final = regex(
    r"(?:\(\s*|\\text\{\s*)?(-?[0-9A-Za-z]{1,200})\s*[)}]?\s*"
    r"_\s*(?:\{(?:\\text\{|\()?\s*(\d{1,2}|[a-z]+)\s*[})]?\}|(\d{1,2}))"
)
_NAMED_BASE: Final = regex(r"(?:\(\s*)?(-?\d{1,200})\s*\)?\s*_\s*\{?b\}?")
_BASE_PHRASE: Final = regex(r"([0-9A-Fa-f]{1,200}),? (?:in )?base[ -](\d{1,2}|[a-z]+)")
_PREFIXED: Final = regex(r"0x([0-9A-Fa-f]{1,200})|0b([01]{1,200})")
_CLOCK: Final = regex(
    r"(\d{1,2})(?: ?: ?([0-5]\d)(?::00)?)?(?: o'clock)?\s*"
    r"(?:\\text\{)?\s*(?:([apAP])\.?\s?[mM]\b\.?)?\s*\}?\.?"
)
_TEXT_UNIT: Final = regex(
    r"(.*?[^\s\\])\s*\\text\s*\{([^{}]*)\}\s*(\^\s*\{?\s*([23])\s*\}?)?\s*\.?", re.DOTALL
)
_PLAIN_UNIT: Final = regex(
    r"(-?(?:\\?\$)?[\d,]*\.?\d+(?:/\d+)?%?|\S.*?[\d})i])(\s*)"
    r"([A-Za-z][A-Za-z/. -]*[A-Za-z]|[A-Za-z])\.?\s*(\^\s*\{?([23])\}?)?\.?"
)
_MONEY: Final = regex(r"\\?([$€£¥₹])|\b(USD|EUR|GBP|INR|JPY|CNY)\b|\b(Rs)\b\.?")
_BELOW_ZERO: Final = regex(r"(.{1,60}\S) below (?:zero|0)")
_TEXT: Final = regex(r"\\text\s*\{([^{}]*)\}")
_COMPOUND_PART: Final = regex(r"(\d{1,9}(?:\.\d{1,9})?) ?([A-Za-z]{1,12}|'{1,2}|\")")
_COMPOUND: Final = regex(rf"(?:{_COMPOUND_PART.pattern}\.?(?:,? and|,)? *){{2,4}}")
_MARKED_UNITS: Final = {"'": "foot", "''": "inch", '"': "inch"}
_MARKED_LENGTH: Final = regex(r"(\d+(?:\.\d+)?)\s*('{1,2}|\")")
_HEDGE: Final = regex(
    r"(?:the (?:number|value|integer|fraction)|approximately|approx\.?|about|around|roughly"
    r"|exactly|only|just|over|(?:a )?total of|\\approx|\\sim)\s+(?=[-\\$\d.])",
    re.IGNORECASE,
)
_ASIDE: Final = regex(r"(\S{1,60}) \([A-Za-z][A-Za-z ,-]{3,60}\)")
_RATE: Final = regex(r"(?<=\d) ?/ ?(?=[a-z]{3,}$)")
_ORDINAL: Final = regex(r"(\d+)\s*(?:\^\s*\{?\s*)?(?:\\text\s*\{\s*)?(?:st|nd|rd|th)\s*[}\s]*")
_DATE: Final = regex(r"[12]\d{3}-[01]\d-[0-3]\d")
_ANGLES: Final = regex(r"-?\d{1,9}(?:\.\d{1,9})?°(?: ?[-+] ?\d{1,9}(?:\.\d{1,9})?°)+")
_ANGLE_FUNCTION: Final = regex(r"sin|cos|tan|cot|sec|csc|cis")
_WORD: Final = regex(r"[A-Za-z]{3,}|[Nn]o|NO")
_NUMBER_PHRASE: Final = regex(r"[A-Za-z]+(?:[ -][A-Za-z]+){0,9}")


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


def is_grouped(text: str) -> bool:
    """Whether text is one number with thousands separators: `1,234`, but not `1, 234`."""
    return "," in text and _THOUSANDS.fullmatch(text.strip("$\\ ")) is not None


def read_quantity(text: str, depth: int = 0) -> Quantity:
    """Reads one value; see the module."""
    text = unwrap(text) if depth else text
    number = plain_number(text)
    if number is not None:
        return Scalar(number)
    if depth > MAX_DEPTH or not text:
        return Words(text)
    if (named := _NAMED_BASE.fullmatch(text)) is not None:
        text = named[1]  # a base that is a letter says no more than one left out
    if _DATE.fullmatch(text):
        return Words(text)  # no difference of three numbers
    special = _read_based(text) or read_clock(text) or read_words(text)
    if special is not None:
        return special
    if (aside := _ASIDE.fullmatch(text)) is not None:
        return read_quantity(aside[1], depth + 1)
    if (hedge := _HEDGE.match(text)) is not None:
        return read_quantity(text[hedge.end() :], depth + 1)
    if (cold := _BELOW_ZERO.fullmatch(text)) is not None:
        value = read_quantity(cold[1], depth + 1)
        if isinstance(value, Scalar) and not letters(value.expression):
            return replace(value, expression=(*value.expression, Step("neg", "", 1)))
    if (length := _MARKED_LENGTH.fullmatch(text)) is not None:
        return Scalar((Step("num", length[1]),), _MARKED_UNITS[length[2]])
    currencies = {next(filter(None, marks)) for marks in _MONEY.findall(text)}
    money = _MONEY.sub("", text) if len(currencies) == 1 and text.count("$") < 2 else ""
    if money.strip():
        value = read_quantity(money, depth + 1)
        if isinstance(value, Scalar) and not value.unit:
            return replace(value, unit=UNITS[currencies.pop().lower()])
        return value if not isinstance(value, Words) else Words(text)
    if text.endswith("%"):
        value = read_quantity(text[:-1], depth + 1)
        return Scalar(value.expression, "", True) if isinstance(value, Scalar) else Words(text)
    if _ANGLES.fullmatch(text) or (text.endswith("°") and not _ANGLE_FUNCTION.search(text)):
        value = read_quantity(text.replace("°", ""), depth + 1)
        if isinstance(value, Scalar):
            return Scalar(value.expression, "", False, True)
    return _read_unit(text, depth) or _read_algebra(text)


def _read_algebra(text: str) -> Quantity:
    if _WORD.fullmatch(text):
        return Words(text)
    try:
        return Scalar(parse(text))
    except ParseError:
        return Series(text) if "\\sum" in text or "\\prod" in text else Words(text)


def _read_based(text: str) -> Based | None:
    match = _BASED.fullmatch(text) or _BASE_PHRASE.fullmatch(text)
    if (prefixed := _PREFIXED.fullmatch(text)) is not None:
        return Based(
            (prefixed[1] or prefixed[2]).upper().lstrip("0") or "0", 16 if prefixed[1] else 2
        )
    if match is None or not any(c.isdigit() for c in match[1]):
        return None
    name = match[2] or match[3]
    base = int(name) if name.isdigit() else NUMBER_WORDS.get(name, 0)
    if 2 <= base <= 36 and (match[1].lstrip("-").isdigit() or base > 10):
        return Based(match[1].upper().lstrip("0") or "0", base)
    return None


def read_clock(text: str) -> Clock | None:
    """A time such as `2:30 pm`, `14:05` or `2 pm`; None for other text."""
    if not text[0].isdigit() or not (":" in text or text.rstrip(" .}")[-1:] in "mMk"):
        return None
    match = _CLOCK.fullmatch(text)
    if match is None or not (match[2] or match[3] or "o'clock" in text) or int(match[1]) > 23:
        return None
    return Clock(int(match[1]), int(match[2] or 0), (match[3] or "").lower())


def read_words(text: str) -> Scalar | None:
    """Numbers in words, and ordinals; None for other text."""
    if (match := _ORDINAL.fullmatch(text)) is not None:
        return Scalar((Step("num", match[1]),))
    if not _NUMBER_PHRASE.fullmatch(text):
        return None
    words = text.lower().replace("-", " ").split()
    if words[0] not in NUMBER_WORDS and words[0] not in ("a", "an"):
        return None
    numbers = [word for word in words if word not in ("and", "a", "an")]
    if not numbers or len(words) > MAX_NUMBER_WORDS:
        return None
    below = FRACTION_WORDS.get(numbers[-1])
    if below and len(numbers) > 1 and (whole := _count(numbers[:-1])) is not None:
        return Scalar((Step("num", str(whole)), Step("num", str(below)), Step("div", "", 2)))
    while numbers:
        count = _count(numbers)
        if count is not None:
            rest = " ".join(words[len(words) - words[::-1].index(numbers[-1]) :])
            return Scalar((Step("num", str(count)),), rest)
        numbers.pop()
    return None


def _count(words: list[str]) -> int | None:
    """`two hundred five` is 205; None where a word is no number or stands in a wrong place."""
    total = part = 0
    last = 10**12
    for word in words:
        if word in SCALES:
            if part == 0:
                return None
            part *= SCALES[word]
            if SCALES[word] >= 1000:
                total, part = total + part, 0
            last = SCALES[word]
            continue
        if word not in NUMBER_WORDS:
            return None
        number = NUMBER_WORDS[word]
        size = 10 if number >= 20 else 1
        if size >= last or (last == 10 and number >= 10):
            return None
        part, last = part + number, size
    return total + part


def is_unit(word: str) -> bool:
    """Whether a word is a unit of measure, singular or plural, or is counted like one."""
    return word in UNITS or word in COUNTED


def split_compound(text: str) -> list[str]:
    """The parts of `3 hours 20 minutes` and `5'6"`; empty for other text."""
    text = " ".join(_TEXT.sub(r" \1 ", text).split())
    if not _COMPOUND.fullmatch(text):
        return []
    parts = _COMPOUND_PART.findall(text)
    names = {_MARKED_UNITS.get(unit) or UNITS.get(unit.lower()) for _, unit in parts}
    if None in names or len(names) < len(parts):
        return []
    return [f"{number} {unit}" for number, unit in parts]


def unit_name(text: str) -> str | None:
    """The canonical name of a unit of measure with its power, `cm2`; None for other words."""
    words = text.replace("squared", "2").replace("cubed", "3").replace(".", "").split()
    if "per" in words or "/" in text:
        parts = re.split(r"\s*/\s*|\s+per\s+", " ".join(words))
        names = [unit_name(part) for part in parts] if len(parts) > 1 else [None]
        return None if None in names else "/".join(name for name in names if name)
    power = ""
    if words and words[0] in ("square", "sq", "cubic", "cu"):
        power = "2" if words[0].startswith("s") else "3"
        words = words[1:]
    if len(words) == 2 and words[1] in "23":
        power, words = words[1], words[:1]
    if len(words) != 1:
        return None
    name = words[0]
    if name[-1:] in "23":
        name, power = name[:-1], name[-1]
    if power and name in ("unit", "units"):
        return "unit" + power
    canonical = UNITS.get(name)
    return canonical + power if canonical else None


def _read_unit(text: str, depth: int) -> Scalar | None:
    if len(text) > MAX_UNIT_CHARS:
        return None
    text = _RATE.sub(" per ", text)
    match = _TEXT_UNIT.fullmatch(text)
    if match is not None:
        value, unit = read_quantity(match[1], depth + 1), match[2].strip()
        unit = SYMBOLS.get(unit, unit.lower())
        power = match[4] or ""
        if unit.partition(" ")[0] in CHANGING or " than " in unit:
            return None
        if isinstance(value, Scalar) and letters(value.expression) and unit_name(unit) is None:
            first = unit.split()[:1]
            if not first or not is_unit(first[0]):
                return None  # a statement about a letter, "x is even"
        if isinstance(value, Scalar) and (words := unit.split())[:1] and words[0] in SCALES:
            scale = (Step("num", str(SCALES[words[0]])), Step("mul", "", 2))
            return Scalar((*value.expression, *scale), " ".join(words[1:]))
    else:
        match = _PLAIN_UNIT.fullmatch(text)
        if match is None:
            return None
        unit, power = match[3].strip(), match[5] or ""
        unit = SYMBOLS.get(unit, unit.lower()) if match[2] else unit.lower()
        number = plain_number(re.sub(r"\\?\$|%$", "", match[1]))
        words = unit.replace("/", " ").replace(".", " ").split()
        spelt = len(words[0]) > 3 or "/" in unit
        plain = number is not None or (match[1][-1] == "}" and spelt and match[2])
        if not _is_counted(words, match[2], power, plain=bool(plain)):
            return None
        if words[0] in SCALES and number is not None:
            scale = (Step("num", str(SCALES[words[0]])), Step("mul", "", 2))
            return Scalar((*number, *scale), " ".join(words[1:]))
        value = read_quantity(match[1], depth + 1)
        if len(words[0]) == 1 and isinstance(value, Scalar) and letters(value.expression):
            return None  # one letter more, as in the volume of a cylinder of height h
    if not isinstance(value, Scalar):
        return None
    if unit == "deg" or unit.startswith("degree"):
        return Scalar(value.expression, "", value.percent, True)
    return Scalar(value.expression, unit + power, value.percent, value.degrees)


def _is_counted(words: list[str], gap: str, power: str, *, plain: bool) -> bool:
    """Whether the words after a number are its unit rather than letters multiplied to it.

    A known unit needs a space where it is a single letter (`3 m`, but `3m` is three times m).
    Unknown words count after a plain number only, and need a space where they could be letters.
    """
    if is_unit(words[0]) and (len(words[0]) > 1 or gap or power):
        return not power or len(words) > 1 or words[0] != "g"  # no cubic grams
    if (
        not plain
        or len(words) > 6
        or words[0] in FUNCTIONS
        or words[0] in CHANGING
        or "than" in words
        or words[0] == "pi"
    ):
        return False
    if is_run(words[0]) and (not gap or words[0][-1] in "xyz"):
        return False  # 3sinx; "3 tanks" are counted
    if any(len(word) < 2 and not is_unit(word) for word in words):
        return len(words) > 2 and len(words[0]) > 2
    return len(words[0]) > 3 or (bool(gap) and (len(words[0]) > 2 or len(words) > 1))
