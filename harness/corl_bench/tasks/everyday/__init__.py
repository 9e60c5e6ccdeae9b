"""Our own questions that are no mathematics, with five choices each: words, calendars, logic.

They serve to see what a routing system does with another kind of question than it was made for.
Nothing in them is taken from anywhere; whoever knows English and the calendar can answer them.

Invariant: the set is a pure function of its seed, the same in every process and on every
platform; each question has exactly one right choice, each letter is right equally often, and no
two questions are alike.

    >>> problem = generate("test", count=1)[0]
    >>> problem.id, problem.kind, problem.answer in "ABCDE"
    ('everyday/test/000', 'choice', True)

A family is one function in `families`: it draws an instance and returns a `Question` with the
right choice and four or more wrong ones.
"""

from __future__ import annotations

import hashlib
from random import Random

from corl_bench.errors import ConfigError
from corl_bench.tasks.everyday.families import FAMILIES, Question
from corl_bench.types import Problem

LETTERS = "ABCDE"
EACH = 15
"""Questions of one family."""
COUNT = EACH * len(FAMILIES)
_VERSION = 1
"""Part of every seed: raise it when a change is meant to give other questions."""


def generate(split: str, *, seed: int = 0, count: int | None = None) -> list[Problem]:
    """The questions, families in turn.

    Args:
        split: `test`; there is no other, for nothing is to be trained on them.
        seed: another seed gives other questions.
        count: the first so many; None: all.

    Raises:
        ConfigError: there is no such split.
    """
    if split != "test":
        raise ConfigError(f"everyday has no split {split!r}; it has test")
    drawn = [_draw(family.name, seed) for family in FAMILIES]
    letters = _letters(seed)
    problems = []
    for place in range(COUNT):
        family = FAMILIES[place % len(FAMILIES)]
        question = drawn[place % len(FAMILIES)][place // len(FAMILIES)]
        right = letters[place]
        wrong = iter(question.wrong)
        choices = (question.right if letter == right else next(wrong) for letter in LETTERS)
        listed = "\n".join(f"({x}) {choice}" for x, choice in zip(LETTERS, choices, strict=True))
        problems.append(
            Problem(
                id=f"everyday/test/{place:03d}",
                text=f"{question.text}\n{listed}",
                answer=right,
                kind="choice",
                subject=family.subject,
                level=family.level,
                metadata={"family": family.name},
            )
        )
    return problems[:count]


def _draw(name: str, seed: int) -> list[Question]:
    """As many different questions of one family as are wanted."""
    family = next(family for family in FAMILIES if family.name == name)
    rng = _random(seed, name)
    questions: dict[tuple[str, str], Question] = {}
    while len(questions) < EACH:
        question = family.draw(rng)
        questions.setdefault((question.text, question.right), question)
    return list(questions.values())


def _letters(seed: int) -> str:
    """Which choice is right, question by question: each letter once in five."""
    rng = _random(seed, "letters")
    return "".join("".join(rng.sample(LETTERS, 5)) for _ in range(-(-COUNT // 5)))


def _random(seed: int, *parts: str) -> Random:
    text = "\x1f".join((f"corl-everyday-{_VERSION}", str(seed), *parts))
    return Random(int.from_bytes(hashlib.sha256(text.encode()).digest()))
