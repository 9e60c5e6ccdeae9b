r"""Cuts the closing sentence out of a reply, and the main clause out of a sentence.

What only gives a reason, a condition or a purpose is left out, so that no number in it is taken
for the answer; each pattern reads the sentence once.

    >>> closing_sentence("First 3 + 4 = 7.\\n2. Next, 7 * 2. So the total is 14.")
    'So the total is 14.'
    >>> main_clause("Since 3 < 5, the minimum is 2, which occurs when x = 1")
    'the minimum is 2'
"""

from __future__ import annotations

import re
from typing import Final

from corl_bench.grading.delimiters import HIDDEN, masked
from corl_bench.grading.numerals import NUMBER
from corl_bench.patterns import regex

MAX_TAIL_CHARS: Final = 3000
"""A closing sentence is not longer."""
STATES: Final = regex(
    r"\b(?:is|are|was|were|be|equals?|becomes?|remains?|gives?(?: us)?|yields?|leaves?|makes?"
    r"|totals?|gets?|obtain|has|have|had|given by|(?:rounds|converts|comes|amounts|equal|simplifies"
    r"|reduces|evaluates|adds? up|sums) to)\b"
    r"|(?:it|that|there|answer)['’]s\b|(?<![<>!=≤≥])[=≈](?!=)|[:：](?!\d)|→|⇒"
)
QUOTES: Final = "\"'“”*_` "
_LIST_MARK: Final = regex(
    r"\s*(?:[-*•>#+]+\s+|\(?\d{1,2}[.)]\s+|(?:step|part|case) \d{1,2}\s?[:.)]\s*)+", re.IGNORECASE
)
_SENTENCE_END: Final = regex(rf"(?<=[.!?])[\"”)]?\s+(?=[A-Z*({HIDDEN}])|(?<=[。！？])")
_CONTINUED: Final = regex(r"(?:[:,=]|\b(?:is|are|equals|gives|get|and|of|the|be|to))$")
_CONCLUDED: Final = regex(
    r"\b(?:So|Therefore|Thus|Hence|Final Answer)\b|(?<=[,;] )(?:so|therefore|thus|hence)\b"
)
_EQUATION: Final = regex(
    rf"((?:[A-Za-z](?:_\w)?'? ?= ?{NUMBER}, )*[A-Za-z](?:_\w)?'?) ?= ?{NUMBER}[.,;]?"
)
_OPENING_WORDS: Final = regex(
    r"\W*(?:(?:so|therefore|thus|hence|finally|now|and|but|also|consequently"
    r"|in conclusion)\b[\s,:]*)+",
    re.IGNORECASE,
)
_SUBORDINATE: Final = regex(
    r"\W*(?:as|since|because|if|when|given|although|though|while|whereas|unless|suppose|assuming"
    r"|let|for|after|before|once|using|by|to|with|recall|in order|in \d+|on day)\b",
    re.IGNORECASE,
)
_ADVERBIAL: Final = regex(r"\W*(?:for|after|before|once|using|by|to|with|in)\b", re.IGNORECASE)
_MAIN_CLAUSE: Final = regex(
    rf", (?!and |or |then \d)(?=[a-zA-Z{HIDDEN}$\\])|: | (?=we (?:get|find|obtain|have)\b)"
)
_HEADING: Final = regex(r"[A-Za-z][^.:=\d]{1,40}: +(?=\S)")
_CONDITION: Final = regex(
    r"[,;]? \(?(?:because|since|whenever|when|where|unless|given that|so that|if|provided)\b"
    r"|,? which (?!(?:is|are|equals?|gives?|makes?|means|leaves?|was|totals?|rounds?|converts?"
    r"|simplifies|comes?|amounts?|contains?)\b)|, (?:as|not)\b|, for (?:all|every|any|some)\b"
    r"| as \S{1,12} (?:varies|ranges|runs)"
)
_WITHIN_SUBJECT: Final = regex(r" (?:when|where|if)")
_LATER_CLAUSE: Final = regex(
    r", (?:the|he|she|it|they|we|you|there|each|this|that|his|her|their|[A-Z][a-z]+)\b"
)
_PURPOSE: Final = regex(
    r"\b(?:needs?|must|has to|have to|requires?|takes?|took)\b[^.]{0,80}?\d[^.]{0,80}?"
    r"( to [a-z]+ .{0,40}\d)"
)
_IN_BRACKETS: Final = regex(r"\s\([^()]*\)$")


def closing_sentence(text: str) -> str:
    """The last sentence of a reply: of its last line, without the mark of a list."""
    text = _in_one_line(text[-MAX_TAIL_CHARS:].rstrip())
    veiled = masked(text)
    start = veiled.rfind("\n") + 1
    for _ in range(3):
        before = veiled[:start].rstrip()
        line = veiled[before.rfind("\n") + 1 : len(before)]
        current = veiled[start:].lstrip()
        if not before or not _CONTINUED.search(line) or not current:
            break
        start = before.rfind("\n") + 1
    mark = _LIST_MARK.match(veiled, start)
    start = mark.end() if mark else start
    for match in _SENTENCE_END.finditer(veiled, start):
        if match.end() < len(veiled):
            start = match.end()
    for match in reversed(list(_CONCLUDED.finditer(veiled, start))):
        if match[0][0].isupper() or STATES.search(veiled, match.end()):
            start = match.start()
            break
    return text[start:]


def _in_one_line(text: str) -> str:
    """With the last lines `x = 3` and `y = 4` joined by a comma, which then answer together."""
    lines = text.split("\n")
    while len(lines) > 1:
        one, other = (_EQUATION.fullmatch(line.strip(" *•")) for line in lines[-2:])
        if one is None or other is None or one[1] == other[1][:1]:
            break
        lines[-2:] = [f"{one[0].rstrip('.,;')}, {other[0]}"]
    return "\n".join(lines)


def main_clause(sentence: str) -> str:
    """Without the words of conclusion, and the clauses that only give a reason or a condition."""
    for _ in range(3):
        opening = _OPENING_WORDS.match(sentence)
        sentence = sentence[opening.end() :] if opening else sentence
        veiled = masked(sentence)
        label = _HEADING.match(veiled)
        if label is not None and _SUBORDINATE.match(veiled, label.end()):
            sentence, veiled = sentence[label.end() :], veiled[label.end() :]
        if _SUBORDINATE.match(veiled):
            comma = _MAIN_CLAUSE.search(veiled)
            if comma is None:
                return sentence if "=" in veiled and _ADVERBIAL.match(veiled) else ""
            sentence = sentence[comma.end() :]
            continue
        purpose = _PURPOSE.search(veiled)
        if purpose is not None:
            sentence, veiled = sentence[: purpose.start(1)], veiled[: purpose.start(1)]
        condition = _CONDITION.search(veiled)
        subject = condition is not None and not STATES.search(veiled[: condition.start()])
        if condition is None or (subject and _WITHIN_SUBJECT.fullmatch(condition[0])):
            return sentence  # "the remainder when 17 is divided by 5 is 2"
        if not STATES.search(veiled, condition.end()) or not _LATER_CLAUSE.search(
            veiled, condition.end()
        ):
            return sentence[: condition.start()]
        sentence = sentence[condition.start() :].lstrip(" ,;(")
    return sentence


def without_aside(sentence: str) -> str:
    """Without the working in brackets that ends a sentence: "he has 9 (7 + 2 = 9)"."""
    aside = _IN_BRACKETS.search(masked(sentence))
    if aside is None or not re.search(r"(?:\d|[A-Za-z]{3})\W?$", sentence[: aside.start()]):
        return sentence
    inside = sentence[aside.start() :]
    if re.search(r"[=*×÷/+-]|[A-Za-z]{2}", inside):
        return sentence[: aside.start()].rstrip(QUOTES + ".!")
    return sentence
