r"""Tells the maths between delimiters from the rest of a reply, and from money.

One scan over the text pairs `$…$`, `$$…$$`, `\(…\)` and `\[…\]`; an amount such as `$5` opens
nothing. Spans do not overlap, are in order, and never cross an empty line after a single `$`.

    >>> text = r"He paid $96 / 3 = $32, that is \(2^5\)."
    >>> [text[span.start:span.end] for span in maths_spans(text)]
    ['\\(2^5\\)']
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from corl_bench.patterns import regex


class Span(NamedTuple):
    """Where delimited maths stands in a text, its delimiters included."""

    start: int
    end: int


HIDDEN: Final = "\ue000"
"""Stands for delimited maths in a masked text, which has the length of the text itself."""
_MARK: Final = regex(r"\\.|\$\$?|\n\s*\n", re.DOTALL)
_CLOSING: Final = {"\\(": "\\)", "\\[": "\\]", "$": "$", "$$": "$$"}
_TWO_WORDS: Final = regex(r"(?<![\\a-zA-Z{])[a-z]{2,} [a-z]{2,}")
MAX_SPAN_CHARS: Final = 2000
"""What is delimited further apart is taken for prose with stray marks."""


def maths_spans(text: str) -> list[Span]:
    """The delimited maths of a text, from left to right."""
    if "$" not in text and "\\" not in text:
        return []
    spans: list[Span] = []
    opened, start = "", 0
    for match in _MARK.finditer(text):
        mark, place = match[0], match.start()
        if opened and _CLOSING[opened] == mark and place - start <= MAX_SPAN_CHARS:
            if opened == "$" and _is_money(text, start, place):
                start = place  # the amount ends nothing; the next sign may be an amount, too
            elif place > start + len(opened):
                spans.append(Span(start, match.end()))
                opened = ""
        elif mark in ("\\(", "\\[", "$$"):
            opened, start = mark, place
        elif mark == "$" and not opened:
            if not text[place - 1 : place].isalnum():
                opened, start = mark, place
        elif mark[0] == "\n" and opened == "$":
            opened = ""
    return spans


def _is_money(text: str, start: int, end: int) -> bool:
    """Whether the dollar signs at `start` and `end` mark an amount rather than enclose maths."""
    inside = text[start + 1 : end]
    if not (inside[0].isdigit() or inside[0] == "."):
        return False
    return (
        inside[-1] in " \n(+-*/=×÷"
        or text[end + 1 : end + 2].isdigit()
        or _TWO_WORDS.search(inside) is not None
    )


def masked(text: str) -> str:
    """The text with its delimited maths hidden, character for character."""
    parts: list[str] = []
    last = 0
    for start, end in maths_spans(text):
        parts += (text[last:start], HIDDEN * (end - start))
        last = end
    return "".join(parts) + text[last:]
