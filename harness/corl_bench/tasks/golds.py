r"""Gold answers in one form, however their source writes them.

AMC copies store 27 as the float 27.0, AIME copies write 73 as 073, GSM8K puts the number
behind `####`, MATH leaves it boxed in a worked solution. Everything downstream sees the form
that this module gives.

    >>> normalise_gold("073", "integer"), normalise_gold(27.0, "integer")
    ('73', '27')
    >>> gold_of_solution(r"Hence $x = \boxed{\frac{1}{2}}$.")
    '\\frac{1}{2}'
"""

from __future__ import annotations

import re
from decimal import Decimal

from corl_bench.types import AnswerKind

_INTEGER = re.compile(r"\$?\s*([+-]?)\s*\$?(\d+|\d{1,3}(?:,\d{3})+)(?:\.0*)?", re.ASCII)
_DRESS = (("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("$", "$"), ("(", ")"))
"""What may stand around a whole answer and say nothing."""
_WRAP = r"(?:\\(?:text|mathrm)[a-z]{0,2}\{\s*)?"
_UNIT = (
    r"(?![^\d]*\b(?:pi|sqrt|(?:times|plus|minus|over|power)\s+[B-Zb-z])\b)"
    r"(?:[CFgJKLmNsVWh](?![A-Za-z])|[A-Za-z][A-Za-z])"
    r"[A-Za-z /.'-]{0,39}\}?(?:\^?\{?[23²³]\}?)?"
)
"""A single letter is a unit that has one, and no unknown; words are units unless they reckon on."""
_WHOLE = re.compile(
    rf"(?:[A-Za-z]\s*=\s*)?{_WRAP}(?:\\?\$\s*)?[+-]?\s*(?:\\?\$)?"
    r"(?:\d+|\d{1,3}(?:(?:,|\{,\}|\\,)\d{3})+)(?:\.0*)?(?:\\[ ,;:!]|[\s~])*"
    rf"(?:\\?[%$]|°|\^\{{?\\circ\}}?|{_WRAP}{_UNIT})?\}}?",
    re.ASCII,
)
"""A number, and what may stand around it: who reads a unit for a number loses nothing by it."""
_LONGEST_WHOLE = 400
"""Characters: longer texts are no number with a unit, and would take long to tell."""
_PLAIN_NUMBER = re.compile(r"-?0*\d+(?:\.0+)?", re.ASCII)
_CHOICE = re.compile(
    r"(?:\\(?:text|textbf|mathrm|mathbf)\{)?\s*\(?\s*([A-Za-z])\s*\)?\s*\}?\s*\.?", re.ASCII
)
_BOX = re.compile(r"\\f?box(?:ed)?(?![a-zA-Z])\s*")
_HASHES = "####"


def normalise_gold(answer: object, kind: AnswerKind) -> str:
    """A gold answer as every later step expects it.

    Args:
        answer: text or a number, as the source has it; of a text with `####`, what follows
            the last one.
        kind: decides the form. `integer`: digits alone (`-7`, `1234`). `choice`: one capital
            letter. `math`: as it stands, but for white space around it and for plain numbers
            with a decimal zero or leading zeros. `text`: as it stands.

    Raises:
        ValueError: there is no answer, or it is not of that kind; the message says so.
    """
    text = _as_text(answer)
    if kind != "text" and _HASHES in text:
        text = text.rpartition(_HASHES)[2]
    text = text.strip()
    if not text:
        raise ValueError("the answer is empty")
    if kind == "integer":
        match = _INTEGER.fullmatch(text.replace("\u2212", "-"))
        if match is None:
            raise ValueError(f"the answer {text!r} is not an integer")
        sign, digits = match.groups()
        return _integer(sign, digits.replace(",", ""))
    if kind == "choice":
        match = _CHOICE.fullmatch(text)
        if match is None:
            raise ValueError(f"the answer {text!r} is not a letter")
        return match.group(1).upper()
    if kind == "math" and _PLAIN_NUMBER.fullmatch(text):
        sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
        return _integer(sign, digits.partition(".")[0])
    return text


def is_integer(answer: str) -> bool:
    """Whether an answer is a whole number: `-7`, `1,234`, `$18.00`, also `x = 7` and `18 cm`."""
    text = answer.strip().removesuffix(".").replace("\u2212", "-")
    for before, behind in _DRESS:
        if text.startswith(before) and text.endswith(behind) and len(text) > len(before + behind):
            text = text[len(before) : -len(behind)].strip()
    text = text.removeprefix("=").strip()
    return len(text) <= _LONGEST_WHOLE and _WHOLE.fullmatch(text) is not None


def gold_of_solution(solution: str) -> str:
    r"""What the last `\boxed{…}` or `\fbox{…}` of a worked solution holds.

    A box without braces (`\boxed 5`) holds what follows it, up to a dollar sign or a space.

    Raises:
        ValueError: there is no box, or it is never closed.
    """
    boxes = list(_BOX.finditer(solution))
    if not boxes:
        raise ValueError("the solution has no boxed answer")
    start = boxes[-1].end()
    if not solution.startswith("{", start):
        return re.split(r"[$\s]", solution[start:], maxsplit=1)[0]
    depth = 0
    for position in range(start, len(solution)):
        character = solution[position]
        if character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return solution[start + 1 : position]
    raise ValueError("the boxed answer of the solution is never closed")


def _as_text(answer: object) -> str:
    if isinstance(answer, str):
        return answer
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        raise ValueError(f"the answer must be a text or a number, not {answer!r}")
    return format(Decimal(repr(answer)), "f")


def _integer(sign: str, digits: str) -> str:
    digits = digits.lstrip("0") or "0"
    return f"-{digits}" if sign == "-" and digits != "0" else digits
