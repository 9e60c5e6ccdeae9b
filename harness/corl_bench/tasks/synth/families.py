"""What a template family is, and the registry that the subject modules fill.

A family is one small function that draws numbers and a wording from a `random.Random` and
returns a `Draft`. It belongs to exactly one (subject, level) cell, so that a reader who knows
the family from the text knows subject and level too. A family never looks anything up outside
its `random.Random`: the same state gives the same draft in every process.

    >>> from random import Random
    >>> from corl_bench.tasks.synth import FAMILIES
    >>> [f.name for f in FAMILIES if f.subject == "Algebra" and f.level == 1]
    ['linear_equation', 'substitution']
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from types import ModuleType
from typing import Literal, TypeAlias

AnswerType = Literal[
    "integer",
    "fraction",
    "radical",
    "pi",
    "interval",
    "tuple",
    "set",
    "matrix",
    "expression",
    "letter",
]
Answer: TypeAlias = str | int | Fraction
"""LaTeX without dollar signs, or an exact number still to be rendered."""

SUBJECTS = (
    "Prealgebra",
    "Algebra",
    "Intermediate Algebra",
    "Number Theory",
    "Counting & Probability",
    "Geometry",
    "Precalculus",
    "AMC",
    "AIME",
)


@dataclass(frozen=True, slots=True)
class Draft:
    """One instance of a family, before it has a place in a split."""

    text: str
    answer: Answer
    params: tuple[object, ...]
    """The instance without its wording: whole numbers, strings and tuples of them, sorted
    where their order does not matter. Equal parameters never reach two splits."""
    check: Callable[[], object] | None = None
    """The answer by a second route (brute force, numbers, another formula, sympy): a number, a
    LaTeX string, a sequence, a set, a sympy expression, or, where the answer is an interval, a
    predicate that holds exactly on it. Never called while problems are generated."""
    slips: tuple[Answer, ...] = ()
    """Wrong answers that typical mistakes lead to, the likeliest first. One that happens to
    equal the answer is dropped by whoever uses them."""


Drafter: TypeAlias = Callable[[Random], Draft | None]
"""Draws one instance, or `None` where the numbers drawn make no good problem."""


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    subject: str
    level: int
    """1 to 5, as in MATH."""
    answer_type: AnswerType
    draft: Drafter


_registry: dict[str, Family] = {}


def family(
    name: str, *, subject: str, level: int, answer: AnswerType
) -> Callable[[Drafter], Drafter]:
    """Registers the decorated function as the family `name`.

    Raises:
        ValueError: the name is taken, or there is no such cell.
    """

    def register(draft: Drafter) -> Drafter:
        if name in _registry:
            raise ValueError(f"two families are called {name!r}")
        if subject not in SUBJECTS or level not in range(1, 6):
            raise ValueError(f"family {name!r}: no cell {subject!r}, level {level}")
        _registry[name] = Family(name, subject, level, answer, draft)
        return draft

    return register


def registered() -> tuple[Family, ...]:
    """All families, in an order that does not depend on who was imported first."""
    return tuple(
        sorted(_registry.values(), key=lambda f: (SUBJECTS.index(f.subject), f.level, f.name))
    )


def nonzero(rng: Random, bound: int) -> int:
    """A whole number from -bound to bound that is not zero."""
    n = rng.randint(1, 2 * bound)
    return n if n <= bound else bound - n


def sympy() -> ModuleType:
    """sympy, for second routes only: importing it takes longer than generating a test split."""
    import sympy as module

    return module  # type: ignore[no-any-return, unused-ignore]
