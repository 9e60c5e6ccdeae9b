r"""Which problems of one set stand in another: before training, and before two scores are added.

Invariant: what is called a copy is one as far as words, numbers and golds can tell. `exact` and
`figure` have the same words (`statements`), `reworded` the same numbers and gold in mostly the
same words. `premises` is kept apart: the same premises with another gold, which may be the same
problem with its answer asked for in another form (AIME asks for m + n where MATH asks for the
fraction) or another question about the same triangle.

    found = find_overlap(load_task("deepscaler").problems, load_task("math500").problems)
    kept = without(problems, found)

How often these kinds are right on published sets: `docs/decontamination.md`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from corl_bench.tasks.statements import Statement, normalise, read_statement
from corl_bench.types import Problem

Kind = Literal["exact", "figure", "reworded", "premises"]
KINDS: dict[Kind, str] = {
    "exact": "the same words and figures",
    "figure": "the same words and gold, the figure left out or drawn anew",
    "reworded": "mostly the same words, the same numbers and gold",
    "premises": "mostly the same words and the same numbers, another gold: read these",
}
"""What is found, surest first."""
COPIES: tuple[Kind, ...] = ("exact", "figure", "reworded")

GRAM = 5
"""Words of one n-gram."""
SHARED_REWORDED = 0.6
"""Of the shorter statement's n-grams, how many the longer one has at least."""
SHARED_PREMISES = 0.75
LEAST_WORDS = 10
LEAST_NUMBERS = 3
"""Different ones in the shorter statement, without which premises say little: templates that
collections use again (`Convert the point … to polar coordinates`) have their own numbers."""
_COMMONEST = 50
"""Statements that may have an n-gram in common before it stops proposing pairs."""


@dataclass(frozen=True, slots=True)
class Match:
    """A problem of the first set and the problem of the second that is nearest to it."""

    a: str
    """Its id."""
    b: str
    kind: Kind
    shared: float
    """Of the shorter statement's n-grams, how many the longer one has; 1 for the same words."""
    same_gold: bool


def find_overlap(
    a: Iterable[Problem], b: Sequence[Problem], *, near: bool = True
) -> tuple[Match, ...]:
    """The problems of `a` that stand in `b`, in the order of `a`, each once.

    Args:
        a: problems to look at.
        b: problems to look for.
        near: look for other words too; False finds `exact` and `figure`, and `premises` of the
            same words.
    """
    index = _Index(b, near=near)
    return tuple(found for problem in a if (found := index.find(problem)) is not None)


def without(
    problems: Iterable[Problem], found: Iterable[Match], *, kinds: Collection[Kind] = tuple(KINDS)
) -> tuple[Problem, ...]:
    """The problems whose ids are not among those found (of some kinds)."""
    ids = {match.a for match in found if match.kind in kinds}
    return tuple(problem for problem in problems if problem.id not in ids)


def count_kinds(found: Iterable[Match]) -> dict[Kind, int]:
    """How many are of each kind, in the order of `KINDS`."""
    counts = Counter(match.kind for match in found)
    return {kind: counts[kind] for kind in KINDS}


_Grams = frozenset[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Read:
    """A problem as it is compared."""

    id: str
    gold: str
    statement: Statement

    @classmethod
    def of(cls, problem: Problem) -> _Read:
        # An AIME answer may be written 072, and 000 is an answer.
        gold = normalise(problem.answer)
        return cls(problem.id, gold.lstrip("0") or gold[:1], read_statement(problem.text))

    @property
    def words(self) -> tuple[str, ...]:
        return self.statement.words

    def grams(self) -> _Grams:
        count = max(1, len(self.words) - GRAM + 1)
        return frozenset(self.words[place : place + GRAM] for place in range(count))

    def numbers(self) -> Counter[str]:
        return Counter(word for word in self.words if word[0].isdigit())


class _Index:
    """Problems that can be found by their words and by their n-grams."""

    def __init__(self, problems: Iterable[Problem], *, near: bool) -> None:
        self._all = [_Read.of(problem) for problem in problems]
        self._near = near
        self._by_words: dict[tuple[str, ...], list[_Read]] = defaultdict(list)
        for read in self._all:
            self._by_words[read.words].append(read)
        self._grams: list[_Grams] = [read.grams() for read in self._all] if near else []
        self._places: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for place, grams in enumerate(self._grams):
            for gram in grams:
                self._places[gram].append(place)

    def find(self, problem: Problem) -> Match | None:
        """The surest match of a problem; of equal ones, what comes first in the set."""
        read = _Read.of(problem)
        order = list(KINDS)
        matches = [
            Match(read.id, other.id, _kind_of_same_words(read, other), 1.0, read.gold == other.gold)
            for other in self._by_words.get(read.words, ())
        ]
        if self._near and not matches:
            matches = self._near_ones(read)
        return min(
            matches, key=lambda match: (order.index(match.kind), -match.shared), default=None
        )

    def _near_ones(self, read: _Read) -> list[Match]:
        grams, numbers = read.grams(), read.numbers()
        proposed = {
            place
            for gram in grams
            if len(places := self._places.get(gram, ())) <= _COMMONEST
            for place in places
        }
        matches = []
        for place in sorted(proposed):
            other = self._all[place]
            theirs = self._grams[place]
            shared = len(grams & theirs) / min(len(grams), len(theirs))
            if shared < SHARED_REWORDED:
                continue
            fewer, more = numbers, other.numbers()
            if len(read.words) > len(other.words):
                fewer, more = more, fewer
            if fewer - more or min(len(read.words), len(other.words)) < LEAST_WORDS:
                continue
            same_gold = read.gold == other.gold
            kind = _kind_of_other_words(read.gold, same_gold, len(fewer), shared)
            if kind is not None:
                matches.append(Match(read.id, other.id, kind, shared, same_gold))
        return matches


def _kind_of_same_words(one: _Read, other: _Read) -> Kind:
    if one.statement.figures == other.statement.figures:
        return "exact"
    # "What is the value of x in the diagram?" is asked of many diagrams.
    return "figure" if one.gold == other.gold else "premises"


def _kind_of_other_words(gold: str, same_gold: bool, numbers: int, shared: float) -> Kind | None:
    # A letter or a word (`neither`) is the answer to many questions of one template.
    if same_gold and numbers and any(character.isdigit() for character in gold):
        return "reworded"
    return "premises" if shared >= SHARED_PREMISES and numbers >= LEAST_NUMBERS else None
