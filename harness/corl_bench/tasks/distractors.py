r"""Plausible wrong answers to any problem: what a model that slips might have said.

Invariants: a problem has the same distractors in every process; each has the form of the gold
answer; none is mathematically equal to it or to another one, as far as `answer_values` can read
them (answers that it cannot read are kept apart as text).

Slips that a generated problem brings with it (`metadata["slips"]`) come first. Then the gold is
changed in the ways in which arithmetic goes wrong: a sign lost, coordinates swapped, a number off
by one, doubled or halved, its digits transposed.

    >>> from corl_bench.types import Problem
    >>> distractors(Problem("p", "What is 6 times 7?", "42"))
    ('43', '41', '84', '21', '44', '40', '52', '32')
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain, count, islice
from math import gcd, isqrt

from corl_bench.tasks.answer_values import Value, read, same
from corl_bench.types import Problem

MOST = 8
"""Distractors of a problem, where it is not multiple choice."""

_LETTERS = "ABCDE"
_LONGEST = 1000
"""Golds of more characters are no answers that a slip could vary."""
_TRIES = 400
"""Candidates looked at before a gold is given up as too rigid to vary in its own form."""

_CONTEST = re.compile(r"0|[1-9]\d{0,2}")
_INTEGER = re.compile(r"-?\d+|-?\d{1,3}(?:,\d{3})+")
_NUMBER = re.compile(r"(?<![_\d.])(?<!_\{)\d+(?:\.\d+)?")
_SIGN = re.compile(r" [+-] |(?<![\w})\]])-(?=[\d\\A-Za-z])(?!\\infty)")
_PAIR = re.compile(r"(?P<open>\\left\(|\()(?P<a>[^,()]+),(?P<b>[^,()]+?)(?P<close>\s*\\right\)|\))")
_FRACTION = re.compile(r"(-?\\[dt]?frac)\{(\d+)\}\{(\d+)\}")
_ROOT = re.compile(r"\\sqrt\{(\d+)\}")
_RATIO = re.compile(r"\\[dt]?frac\{(\d+)?(?:[^{}]|\{[^{}]*\})*\}\{(\d+)\}")
_UNTIDY = re.compile(
    r"(?<![\d.])[01](?:[A-Za-z]|\\sqrt|\\pi)|\^\{?[01]\}?(?!\d)|[+-] 0(?!\.|\d)|-0(?!\.|\d)|--"
    r"|(?:^|[({,\[ ])\d+ [+-] \d+(?![\d.\\A-Za-z])"
)
_WORDS = (
    ("even", "odd", "neither", "both", "zero", "undefined", "cannot be determined"),
    ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    ("yes", "no", "sometimes", "always", "never", "undefined", "cannot be determined"),
    ("circle", "ellipse", "parabola", "hyperbola", "line", "two lines", "point", "empty"),
    ("north", "east", "south", "west", "northeast", "northwest", "southeast", "southwest"),
)


def distractors(problem: Problem) -> tuple[str, ...]:
    """Wrong answers, the likeliest first: eight, or the four other letters of a choice.

    The gold may be anything a dataset holds: a number, LaTeX, a letter, a word. Where its form
    cannot be varied at all (a name, say), the distractors are small whole numbers.
    """
    gold = problem.answer.strip()
    if problem.kind == "choice" and gold in _LETTERS and len(gold) == 1:
        return tuple(letter for letter in _LETTERS if letter != gold)
    kept = _Kept(problem)
    variants = _variants(gold) if len(gold) <= _LONGEST else iter(())
    for candidate in islice(chain(_slips(problem), variants), _TRIES):
        kept.offer(candidate)
        if len(kept.answers) == MOST:
            return tuple(kept.answers)
    for candidate in _last_resorts(gold):
        kept.offer(candidate, strictly=False)
        if len(kept.answers) == MOST:
            break
    return tuple(kept.answers)


class _Kept:
    """The candidates that are neither the gold nor one another, in any form."""

    def __init__(self, problem: Problem) -> None:
        gold = problem.answer.strip()
        self.answers: list[str] = []
        self._integer = _INTEGER.fullmatch(gold) is not None
        self._contest = problem.kind == "integer" and _CONTEST.fullmatch(gold) is not None
        value = read(gold)
        self._gold = value
        self._known = [] if value is None else [value]
        self._texts = {_squeezed(gold)}
        self._interval = problem.metadata.get("answer_type") == "interval" or (
            value is not None and len(value.rows) == 2 and not {"[", "]"}.isdisjoint(value.shape)
        )

    def offer(self, candidate: str, *, strictly: bool = True) -> None:
        """Keeps the candidate if it is new; `strictly`, only if it has the form of the gold."""
        text = _squeezed(candidate)
        if text in self._texts or ((strictly or self._contest) and not self._fits(candidate)):
            return
        value = read(candidate)
        if self._gold is not None and value is None:
            return
        if value is not None:
            if strictly and self._gold is not None and not self._alike(self._gold, value):
                return
            if any(same(value, other) for other in self._known):
                return
            self._known.append(value)
        self._texts.add(text)
        self.answers.append(candidate)

    def _fits(self, candidate: str) -> bool:
        if self._contest:
            return _CONTEST.fullmatch(candidate) is not None
        if self._integer:
            return _INTEGER.fullmatch(candidate) is not None
        roots = (int(found[1]) for found in _ROOT.finditer(candidate))
        ratios = ((int(found[1] or 1), int(found[2])) for found in _RATIO.finditer(candidate))
        return (
            _UNTIDY.search(candidate) is None
            and all(isqrt(n) ** 2 != n for n in roots)
            and all(bottom > 1 and gcd(top, bottom) == 1 for top, bottom in ratios)
        )

    def _alike(self, gold: Value, value: Value) -> bool:
        bracketed = gold.shape[0] in "([" and value.shape[0] in "(["
        if not bracketed and gold.shape != value.shape:
            return False
        if self._interval:
            return value.rows[0] < value.rows[-1]
        return gold.shape[0] == "{" or len(gold.rows) == len(value.rows)


def _squeezed(answer: str) -> str:
    return re.sub(r"\\left|\\right|\s", "", answer)


def _slips(problem: Problem) -> list[str]:
    """What the generator left; a file of the user's may call something else by that name."""
    try:
        slips = json.loads(problem.metadata.get("slips", "[]"))
    except ValueError:
        return []
    return [slip for slip in slips if isinstance(slip, str)] if isinstance(slips, list) else []


def _variants(gold: str) -> Iterator[str]:
    """The gold with one thing changed, likely changes first."""
    if _INTEGER.fullmatch(gold):
        grouped = "," in gold
        n = int(gold.replace(",", ""))
        for m in _miscounted(n):
            if m >= 0 or n < 0:
                yield f"{m:,}" if grouped else str(m)
        return
    for sign in _SIGN.finditer(gold):
        flipped = {" + ": " - ", " - ": " + "}.get(sign[0], "")
        yield gold[: sign.start()] + flipped + gold[sign.end() :]
    pair = _PAIR.fullmatch(gold)
    if pair and r"\infty" not in gold:
        yield f"{pair['open']}{pair['b'].strip()}, {pair['a'].strip()}{pair['close']}"
    ratio = _FRACTION.fullmatch(gold)
    if ratio:
        top, bottom = int(ratio[2]), int(ratio[3])
        if top < bottom:
            yield f"{ratio[1]}{{{bottom - top}}}{{{bottom}}}"
        yield f"{ratio[1]}{{{bottom}}}{{{top}}}"
    changes = [(found, _changed(found[0])) for found in _NUMBER.finditer(gold)]
    while changes:
        for found, values in changes:
            value = next(values, None)
            if value is None:
                return
            yield gold[: found.start()] + value + gold[found.end() :]


def _changed(written: str) -> Iterator[str]:
    """The wrong values of a number without sign, written as it is (decimals kept)."""
    places = len(written.partition(".")[2])
    scaled = int(written.replace(".", ""))
    for n in _miscounted(scaled):
        if n >= 0:
            yield f"{n // 10**places}.{n % 10**places:0{places}d}" if places else str(n)


def _miscounted(n: int) -> Iterator[int]:
    yield from (n + 1, n - 1, 2 * n)
    if n % 2 == 0:
        yield n // 2
    yield from (n + 2, n - 2, n + 10, n - 10)
    yield int(str(abs(n))[::-1])
    yield -n
    for k in count(3):
        yield n + k
        yield n - k


def _last_resorts(gold: str) -> Iterator[str]:
    """For golds without a number to change: words, letters, multiples of a term, numbers."""
    word = re.fullmatch(r"(\\text\{)?(\(?)([A-Za-z ]+)(\)?)(\})?", gold)
    if word:
        before, inside, after = word[1] or "", word[3], word[5] or ""
        families = [family for family in (*_WORDS, tuple(_LETTERS)) if inside in family]
        for other in chain.from_iterable(families):
            yield f"{before}{word[2]}{other}{word[4]}{after}"
    if word is None or len(gold) == 1:
        yield from (f"-{gold}", f"2{gold}", f"{gold} + 1", f"{gold} - 1", f"3{gold}")
        yield from (rf"\frac{{{gold}}}{{2}}", f"{gold} + 2", f"4{gold}")
    for k in count(1):
        yield str(k)
