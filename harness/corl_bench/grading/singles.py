"""Answers that are one thing: a sum up to n, a residue class, a time, digits in a base, words.

Each function takes the value of its kind first and anything as the second, and says by the
house rules whether they are the same; what belongs to no rule is unequal.

    >>> compare_clock(Clock(2, 30, "p"), Clock(14, 30, ""), False)
    'equal'
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from corl_bench.grading import relations
from corl_bench.grading.equality import compare_expressions, worst
from corl_bench.grading.expression import Expression, Step, parse
from corl_bench.grading.normalise import spelling
from corl_bench.grading.tokens import ParseError
from corl_bench.grading.values import (
    Based,
    Clock,
    Congruence,
    Scalar,
    Sequence,
    Series,
    Value,
    Words,
)
from corl_bench.grading.workers import Settlement
from corl_bench.patterns import regex

_SERIES_ENDS: Final = range(3, 9)
"""The values that the letters in the ends of a sum take, one after the other."""
_WORD_MARKS: Final = regex(r"\\text|\\mathbb|[^\w+\-*/=<>^.]+|_")
_MATHS: Final = regex(r"\\(?!text)[a-z]")
_LONE_END: Final = regex(r"([_^])\{(\w)\}")
_SIGNS: Final = regex(r"[()\[\]|'!]")
_ARTICLES: Final = frozenset(("a", "an", "the"))
_SYNONYMS: Final = {"dne": ["does", "not", "exist"]}
_BOUNDS: Final = regex(r"\\(?:sum|prod)\s*_\s*\{[^{}=]*=([^{}]*)\}\s*\^\s*(?:\{([^{}]*)\}|(\w))")
_LETTER: Final = regex(r"(?<![A-Za-z\\])[a-zA-Z](?![A-Za-z])")


def is_whole(expression: Expression) -> bool:
    """Whether an expression is a whole number as it stands."""
    return len(expression) == 1 and expression[0].value.isdigit()


def compare_series(gold: Series, answer: Value, lenient: bool) -> Settlement:
    """A sum up to `n` and a formula, or another such sum, at six values of `n`."""
    if isinstance(answer, Series) and spelling(gold.text) == spelling(answer.text):
        return "equal"
    names = {name for side in (gold, answer) if isinstance(side, Series) for name in _ends(side)}
    if not names or len(names) > 3:
        return "unequal"
    outcomes: list[Settlement] = []
    for number in _SERIES_ENDS:
        values = {name: number + shift for shift, name in enumerate(sorted(names))}
        one, other = _at_ends(gold, values), _at_ends(answer, values)
        if one is None or other is None:
            return "unequal"
        outcomes.append(compare_expressions(one, other, lenient=lenient))
        if outcomes[-1] == "unequal":
            return "unequal"
    return worst(outcomes)


def _ends(series: Series) -> Iterator[str]:
    """The letters in the ends of a sum."""
    for match in _BOUNDS.finditer(series.text):
        yield from _LETTER.findall(" ".join(bound or "" for bound in match.groups()))


def _at_ends(value: Value, values: dict[str, int]) -> Expression | None:
    """The value with whole numbers in place of its letters."""
    try:
        if isinstance(value, Series):
            return parse(value.text, values=values)
        if isinstance(value, Scalar):
            return relations.substituted(value.expression, values)
    except ParseError:
        return None
    return None


def compare_congruence(gold: Congruence, answer: Value, lenient: bool) -> Settlement:
    """One class modulo one number; its residue alone may stand for it."""
    if isinstance(answer, Scalar):
        return compare_expressions(gold.residue, answer.expression, lenient=lenient)
    if not isinstance(answer, Congruence):
        return "unequal"
    modulus = compare_expressions(gold.modulus, answer.modulus)
    if modulus != "equal":
        return modulus
    difference = (*gold.residue, *answer.residue, Step("sub", "", 2))
    rest = (*difference, *gold.modulus, Step("mod", "", 2))
    same = compare_expressions(gold.residue, answer.residue)
    return same if same == "equal" else compare_expressions(rest, (Step("num", "0"),))


def compare_clock(gold: Clock, answer: Value, lenient: bool) -> Settlement:
    """The same time; `pm` may be left out like a unit, and so may `:00`."""
    if isinstance(answer, Clock):
        if gold.minute != answer.minute:
            return "unequal"
        if gold.half and answer.half:
            return "equal" if _hour(gold) == _hour(answer) else "unequal"
        hours = {gold.hour, _hour(gold)} & {answer.hour, _hour(answer)}
        return "equal" if hours else "unequal"
    hour, minute = ((Step("num", str(part)),) for part in (gold.hour, gold.minute))
    if gold.minute == 0 and isinstance(answer, Scalar):
        return compare_expressions(hour, answer.expression, lenient=lenient)
    other = relations.ratio(answer) if isinstance(answer, Sequence) else None
    if isinstance(answer, Scalar) and not is_whole(answer.expression):
        other = answer.expression
    if other is None or gold.half:
        return "unequal"
    return compare_expressions((*hour, *minute, Step("div", "", 2)), other, lenient=lenient)


def _hour(clock: Clock) -> int:
    """The hour from 0 to 23, where the half of the day was said."""
    return clock.hour % 12 + 12 * (clock.half == "p") if clock.half else clock.hour


def compare_based(gold: Based, answer: Value, lenient: bool) -> Settlement:
    """The same digits in the same base; the base may be left out, as the question gives it."""
    if isinstance(answer, Based):
        return "equal" if gold == answer else "unequal"
    if isinstance(answer, Scalar) and not answer.unit and gold.digits.lstrip("-").isdigit():
        digits: Expression = (Step("num", gold.digits.lstrip("-")),)
        if gold.digits[0] == "-":
            digits = (*digits, Step("neg", "", 1))
        return compare_expressions(digits, answer.expression)
    return "unequal"


def compare_text(gold: Words, answer: Value, lenient: bool) -> Settlement:
    if isinstance(answer, Words):
        return _compare_words(gold.text, answer.text)
    if isinstance(answer, Scalar) and gold.text.isalpha():
        try:  # "abc" may be three letters, where the other side is a product
            return compare_expressions(parse(gold.text), answer.expression, lenient=lenient)
        except ParseError:
            return "unequal"
    return "unequal"


def _compare_words(gold: str, answer: str) -> Settlement:
    one, other = (_words(text) for text in (gold, answer))
    if one == other and one:
        return "equal"
    # Words fold their case; a single letter may be a variable and keeps it.
    if any(len(word) > 1 for word in one):
        folded = [[folded_word(word) for word in words] for words in (one, other)]
        if folded[0] == folded[1]:
            return "equal"
    return "equal" if spelling(gold) == spelling(answer) and gold else "unequal"


def _words(text: str) -> list[str]:
    if _MATHS.search(text):  # a formula beyond this reader: its brackets and primes count
        text = _SIGNS.sub(lambda m: f" <{ord(m[0])}> ", _LONE_END.sub(r"\1\2", text))
    words = _WORD_MARKS.sub(" ", text).split()
    if len(words) > 1 and words[0].lower() in _ARTICLES and len(words[1]) > 1:
        words = words[1:]
    return _SYNONYMS.get(words[0].lower(), words) if len(words) == 1 else words


def folded_word(word: str) -> str:
    """A word without case, and without the s of a plural."""
    word = word.casefold() if word.isalpha() else word
    return word[:-1] if len(word) > 4 and word.endswith("s") and word[-2] != "s" else word
