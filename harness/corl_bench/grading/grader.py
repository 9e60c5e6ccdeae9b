r"""The verdict on one reply: find its answer, compare it with the gold, say which way it went.

Nothing that a reply holds makes these functions raise, run code, or run without bound.

    >>> grade("73", r"… so the answer is \boxed{073}.").status
    'correct'
    >>> is_correct(r"\frac{1}{2}", "0.5")
    True
"""

from __future__ import annotations

import hashlib
from collections import abc
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from corl_bench.grading.choices import (
    gold_letter,
    head_letter,
    names_several,
    rules_out,
    split_choice,
)
from corl_bench.grading.comparison import compare
from corl_bench.grading.extraction import find_answer
from corl_bench.grading.frames import unwrap
from corl_bench.grading.marks import Extraction
from corl_bench.grading.normalise import fold, spelling
from corl_bench.grading.quantities import is_grouped
from corl_bench.grading.structure import read
from corl_bench.grading.values import Meet, Scalar, Sequence, Union, Value, Without, Words
from corl_bench.grading.workers import Settlement
from corl_bench.patterns import regex
from corl_bench.types import AnswerKind, Verdict, VerdictStatus

GRADER_VERSION: Final = "3"
"""Raised whenever a verdict on some reply may change."""

Policy = Literal["strict", "lenient"]

MAX_ANSWER_CHARS: Final = 20_000
"""Longer texts equal only themselves; a gold may be a whole solution, and is never so long."""
_CACHED_CHARS: Final = 500
"""Longer texts are read anew each time, so that the caches stay small."""
_PLAIN: Final = regex(r"-?\d{1,18}")
_WHOLE: Final = regex(r"([-+]?)0*(\d+?)(?:\.0*)?")
_LAST_BRACE: Final = regex(r"(?<!\\)\}([\s$.]*)$")
_CAPITALS: Final = regex(r"[A-Z]{3,12}")
_BETWEEN_CAPITALS: Final = regex(r"\\text|\\cdot|[\s{}()*]")
_STATUS: Final[dict[Settlement, VerdictStatus]] = {
    "equal": "correct",
    "unequal": "wrong",
    "unknown": "wrong",
    "timeout": "timeout",
}


def grade(
    gold: str, response: str | None, *, kind: AnswerKind = "math", policy: Policy = "strict"
) -> Verdict:
    """Judges a model's reply to a problem.

    Args:
        gold: the right answer, as the task holds it.
        response: the whole reply; None or an empty one is `no_answer`.
        kind: how answers of this task are compared; see docs/grading.md.
        policy: `lenient` also forgives rounding, kinds of brackets and other units.

    Returns:
        The verdict with the answer that was found. `unparsable`: an answer is there that is
        no mathematics, where the gold is. `timeout`: the comparison ran out of its bounds.

    Raises:
        TypeError: the gold is no text.
    """
    _require_text(gold)
    found = _find(gold, response, kind)
    if found is None:
        return Verdict("no_answer")
    lenient = policy == "lenient"
    answer = found.answer
    outcome = _judge(gold, answer, kind, lenient)
    if outcome != "equal" and found.boxes and _is_list(gold):
        joined = _judge(gold, ", ".join(found.boxes), kind, lenient)
        if joined == "equal":
            return Verdict("correct", ", ".join(found.boxes), "several boxes")
    if outcome == "equal":
        return Verdict("correct", answer)
    if outcome == "unequal" and kind in ("math", "integer") and _is_prose(gold, answer):
        return Verdict("unparsable", answer, "the answer is no mathematics")
    detail = "not shown to be equal" if outcome == "unknown" else ""
    return Verdict(_STATUS[outcome], answer, detail)


def is_correct(gold: str, response: str | None) -> bool:
    """Whether a reply is right, by the strict policy; see `grade`."""
    return grade(gold, response).correct


def equivalent(gold: str, answer: str) -> bool:
    """Whether two bare answers are the same, by the strict policy; nothing is extracted."""
    _require_text(gold)
    _require_text(answer)
    return _judge(gold, answer, "math", False) == "equal"


def agreement_classes(answers: abc.Sequence[str | None]) -> list[int]:
    """Groups equal answers: the class of each, numbered by first appearance from 0.

    None (no answer was found) is equal to nothing, not even to another None.

        >>> agreement_classes(["1/2", "0.5", None, "3", None])
        [0, 0, 1, 2, 3]
    """
    classes: list[int] = []
    firsts: list[tuple[str, int]] = []
    count = 0
    for answer in answers:
        found = None
        if answer is not None:
            found = next((number for first, number in firsts if equivalent(first, answer)), None)
        if found is None:
            found, count = count, count + 1
            if answer is not None:
                firsts.append((answer, found))
        classes.append(found)
    return classes


@lru_cache(maxsize=1)
def grader_digest() -> str:
    """The sha256 of the grader's source files: verdicts of equal digests are comparable."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _require_text(answer: str) -> None:
    if not isinstance(answer, str):
        raise TypeError(f"an answer is compared as text: pass str(…), not {type(answer).__name__}")


def _find(gold: str, response: str | None, kind: AnswerKind) -> Extraction | None:
    found = find_answer(response, kind=kind)
    if kind != "math" or _is_beyond(gold) or not gold_letter(gold):
        return found
    if found is not None and names_several(found.answer):
        return found
    if found is None or (found.place in ("bare", "ending") and not _is_sum(found.answer)):
        return find_answer(response, kind="choice") or found
    return found


def _is_sum(answer: str) -> bool:
    r"""Whether an answer is algebra, in which a letter is no choice: `-(E)`, `A \cup B`."""
    if _is_beyond(answer):
        return False
    value = _value(_bare(answer))
    if isinstance(value, Union | Meet | Without):
        return True
    return isinstance(value, Scalar) and len(value.expression) > 1


def _judge(gold: str, answer: str, kind: AnswerKind, lenient: bool) -> Settlement:
    """Compares two bare answers, the plain cases first."""
    gold, answer = gold.strip(), answer.strip()
    if _is_beyond(gold, answer):
        return "equal" if gold.split() == answer.split() else "unequal"
    if kind == "choice":
        return _judge_choice(gold, answer, lenient)
    if gold == answer:
        return "equal" if gold else "unequal"
    if kind == "text":
        return "equal" if _flat(gold) == _flat(answer) else "unequal"
    if _PLAIN.fullmatch(gold) and _PLAIN.fullmatch(answer):
        return "equal" if int(gold) == int(answer) else "unequal"
    folded, other = _bare(gold), _bare(answer)
    if spelling(folded) == spelling(other) and is_grouped(folded) == is_grouped(other):
        return "equal" if folded else "unequal"
    whole, same = _WHOLE.fullmatch(folded), _WHOLE.fullmatch(other)
    if whole and same:
        sign, other_sign = whole[1] == "-" and whole[2] != "0", same[1] == "-" and same[2] != "0"
        return "equal" if sign == other_sign and whole[2] == same[2] else "unequal"
    word = _judge_capitals(folded, other)
    if word is not None:
        return word
    letter = _judge_letters(folded, other, lenient)
    if letter is not None:
        return letter
    return compare(_value(folded), _value(other), lenient=lenient)


def _judge_capitals(gold: str, answer: str) -> Settlement | None:
    """Three capitals and more that stand together are a word or an order, and no product."""
    if not (_CAPITALS.fullmatch(gold.strip("()")) or _CAPITALS.fullmatch(answer.strip("()"))):
        return None
    one, other = (_BETWEEN_CAPITALS.sub("", text) for text in (gold, answer))
    if not (one.isupper() and other.isupper() and one.isalpha() and other.isalpha()):
        return None
    return "equal" if one == other else "unequal"


def _judge_letters(gold: str, answer: str, lenient: bool) -> Settlement | None:
    """AMC choices: a letter with its value either way round; None where no letter is named."""
    one, other = split_choice(gold), split_choice(answer)
    if one is not None and gold == one[0] and answer == gold.lower():
        return "equal"
    if one is None and other is None:
        return None
    if (other is None and rules_out(answer)) or (one is None and rules_out(gold)):
        return "unequal"
    gold_letter, gold_value = one or (None, gold)
    letter, value = other or (None, answer)
    if gold_letter and letter:
        return "equal" if gold_letter == letter else "unequal"
    if gold_value and value:
        return compare(_value(gold_value), _value(value), lenient=lenient)
    return None


def _judge_choice(gold: str, answer: str, lenient: bool) -> Settlement:
    one, other = gold_letter(gold), head_letter(fold(answer))
    if one and other:
        return "equal" if one == other else "unequal"
    letters = _judge_letters(_bare(gold), _bare(answer), lenient)
    return letters if letters is not None else _judge(gold, answer, "math", lenient)


def _flat(text: str) -> str:
    return " ".join(unwrap(fold(text)).casefold().split())


def _bare(text: str) -> str:
    """The folded answer; one given as a whole solution is its boxes or its stated answer."""
    return _fold_bare(text) if len(text) <= _CACHED_CHARS else _fold_bare.__wrapped__(text)


@lru_cache(maxsize=2048)
def _fold_bare(text: str) -> str:
    if "boxed" in text or len(text) > 150 or "\n" in text or _is_stated(text):
        found = find_answer(text)
        if found is not None:
            text = ", ".join(found.boxes) if found.boxes else found.answer
    return unwrap(_without_stray_brace(fold(text)))


def _without_stray_brace(text: str) -> str:
    """Without a last closing brace that nothing opened; delimiters may follow it."""
    match = _LAST_BRACE.search(text)
    if match is None or text.count("}") != text.count("{") + 1:
        return text
    return text[: match.start()] + match[1]


def _is_stated(text: str) -> bool:
    """Whether a gold or an answer is a sentence, "the answer is 17", or ends in `#### 17`."""
    return ("nswer" in text and "\\text" not in text) or "####" in text


def _value(folded: str) -> Value:
    return _read(folded) if len(folded) <= _CACHED_CHARS else read(folded)


@lru_cache(maxsize=2048)
def _read(folded: str) -> Value:
    return read(folded)


def _is_beyond(*texts: str) -> bool:
    """Whether a text is too long to be read."""
    return any(len(text) > MAX_ANSWER_CHARS for text in texts)


def _is_list(gold: str) -> bool:
    if _is_beyond(gold):
        return False
    value = _value(_bare(gold.strip()))
    return isinstance(value, Sequence) and value.opening in ("", "{") and len(value.items) > 1


def _is_prose(gold: str, answer: str) -> bool:
    """Whether the answer cannot be read where the gold can."""
    if _is_beyond(gold, answer):
        return not _is_beyond(gold)
    value = _value(_bare(answer.strip()))
    if not isinstance(value, Words) or not value.text:
        return False
    reference = _value(_bare(gold.strip()))
    return isinstance(reference, Scalar) or not isinstance(reference, Words)
