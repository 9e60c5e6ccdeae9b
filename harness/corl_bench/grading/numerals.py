r"""Numbers as prose gives them: with a currency, a unit, in words, as a list, as a formula.

Only text outside delimited maths is read; a sentence's number counts only where nothing else in
the sentence is a number or a formula.

    >>> stated_number("$1,200.50 a month")
    '$1,200.50 a month'
    >>> only_number("She sold 72 clips."), only_number("We divide by 72.")
    ('72', None)
"""

from __future__ import annotations

import re
from typing import Final

from corl_bench.grading.delimiters import HIDDEN
from corl_bench.grading.vocabulary import (
    ANSWER_WORDS,
    FUNCTIONS,
    LABELLING_WORDS,
    MEASURED_WORDS,
    NUMBER_WORDS,
    SCALES,
)
from corl_bench.patterns import regex

_SIGN: Final = "[-\u2212\u2010-\u2014]"
NUMBER: Final = (
    rf"(?:{_SIGN}\s?|±\s?)?(?:\\?[$€£¥]\s?)?{_SIGN}?(?:\d+(?:,\d+)*(?:\.\d+)?|\.\d+)(?:/\d+)?"
    r"(?:\s?(?:\\?%|€|¢|°[CF]?))?"
)
_WORD: Final = r"[A-Za-z][A-Za-z²³/’'.-]*"
_ABOUT: Final = r"(?:approximately |about |around |roughly |exactly |only |just |a total of )?"
QUANTITY: Final = regex(
    rf"{_ABOUT}({NUMBER}(?:[a-zA-Z]{{1,4}}\b[²³]?)?)((?: {_WORD}){{0,10}})[.!]?"
)
_JOIN: Final = r"(?:, and |, or |, | and | or )"
_QUANTITIES: Final = regex(rf"(?:{NUMBER}{_JOIN}){{1,8}}{NUMBER}")
_COMPLETE: Final = regex(r"(?:%|\d[a-zA-Z]+)$")
"""A share, a rank or a number with its unit takes no other."""
_GLUED: Final = regex(r"(\d)(?!(?:st|nd|rd|th)$)([a-zA-Z]+)$")
_LOOSE_WORDS: Final = regex(
    r" (?:and|or|in|on|of|for|from|after|to|by|with|that|who|which|each|during|over|at|left"
    r"|satisf\w+|works?|yields?)\b.*"
)
_LONG_UNIT: Final = 4
STEP: Final = regex(
    r"\b(?:add|subtract|multipl(?:y|ied|ying)|divid(?:e|ed|ing)|calculate|compute|substitut(?:e|ing)"
    r"|round|consider|divisible|try|need to|to (?:find|get|determine|solve)|step|part|question"
    r"|problem|case|equation|example|page|line|method|adding|subtracting)\b",
    re.IGNORECASE,
)
_BOUNDED: Final = regex(
    r"\b(?:(?:less|fewer|more|greater|larger|smaller|other|rather) than|at (?:least|most)|between"
    r"|under|above|below|except|nearly|almost|until|or|maybe|perhaps|might|either"
    r"|than)\b|\d (?:is|are) an? (?:multiple|divisor|factor|power|root|prime|perfect|bound)\b",
    re.IGNORECASE,
)
_TIME_OF_DAY: Final = regex(r"\d{1,2}:\d\d(?::\d\d)?(?: ?[apAP]\.?[mM]\b\.?)?")
_FORMULA_UNIT: Final = regex(r"(.*[^A-Za-z\s])((?: [A-Za-z²³]{2,12}){1,3})")
_CLEAN: Final = regex(rf"{NUMBER}(?:g|kg|cm|mm|km|m|ml|L|lb|lbs|oz|ft|mph)?")
_TIME: Final = regex(
    r"\b(?:by|at|before|after|until|from|to|between|and) \d{1,2}(?::\d\d(?: ?[ap]\.?m\b\.?)?"
    r"| ?[ap]\.?m\b\.?)",
    re.IGNORECASE,
)
_DIRTY: Final = regex(rf"[\d√π∞^=+*×÷±<>≤≥|\\_{{}}{HIDDEN}]")
_CHANGES: Final = regex(
    r"\b(?:increas|decreas|ris|rose|fall|fell|gr[eo]w|drop|reduc|differ|exceed|chang|improv)"
    r"\w* by ",
    re.IGNORECASE,
)
_DASHES: Final = frozenset("-\u2212\u2010\u2011\u2012\u2013\u2014")
_LETTERS: Final = regex(r"[A-Za-z]{2,}")


def stated_number(text: str) -> str | None:
    """A number with its unit, where the whole text is one; None for other text."""
    quantity = QUANTITY.fullmatch(text)
    if quantity is None or _BOUNDED.search(quantity[2]):
        return None
    value = _GLUED.sub(r"\1 \2", quantity[1].replace("°C", "°").replace("°F", "°"))
    return value if _COMPLETE.search(quantity[1]) else value + _unit(quantity[2])


def is_answer(text: str) -> bool:
    """Whether text is an answer as it stands: a list, a formula, a time, a word such as "even"."""
    united = _FORMULA_UNIT.fullmatch(text)
    return (
        text in ANSWER_WORDS
        or _TIME_OF_DAY.fullmatch(text) is not None
        or _QUANTITIES.fullmatch(text) is not None
        or _is_formula(united[1] if united else text)
        or _is_number_in_words(text)
    )


def _unit(words: str) -> str:
    """The words after a number, as far as they can be its unit."""
    words = _LOOSE_WORDS.sub("", words)
    return "" if len(words.split()) >= _LONG_UNIT or "'" in words or "’" in words else words


def _is_number_in_words(text: str) -> bool:
    words = text.lower().replace("-", " ").split()
    return 0 < len(words) < 8 and all(
        word in NUMBER_WORDS or word in SCALES or (word == "and" and len(words) > 2)
        for word in words
    )


def _is_formula(text: str) -> bool:
    """Whether undelimited text is maths and no prose."""
    words = set(_LETTERS.findall(text)) - {"and", "or", "pi", "frac", "cdot", "times"}
    if re.search(r"\d \d+(?![\d/.])", text):
        return False  # two numbers side by side
    balanced = all(text.count(a) == text.count(b) for a, b in ("()", "{}"))
    maths = balanced and ":" not in text and re.search(r"[\d√π∞∅]", text) is not None
    return maths and words <= FUNCTIONS.keys()


def only_number(sentence: str) -> str | None:
    """The number in a sentence that holds exactly one, no maths, and no step of the working."""
    if STEP.search(sentence) or _BOUNDED.search(sentence):
        return None
    timeless = _TIME.sub("", sentence)
    sentence = timeless if re.search(r"\d", timeless) else sentence
    found: str | None = None
    before = ["", ""]
    for token in sentence.split():
        core = token.strip("\"'“”*_`").rstrip(",.;:!?。")
        if _CLEAN.fullmatch(core):
            of_what = before[-1] == "of" and before[-2] not in MEASURED_WORDS
            labelled = before[-1] in LABELLING_WORDS and not (
                before[-1] == "by" and _CHANGES.search(sentence)
            )
            if found is not None or of_what or labelled or before[-1] in _DASHES:
                return None
            found = core
        elif _DIRTY.search(core):
            return None
        before.append((core or token).lower())
    return found
