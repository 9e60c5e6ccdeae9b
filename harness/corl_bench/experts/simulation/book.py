r"""The problems that simulated experts know, found by their statement or inside a message.

Invariant: of several known statements that a message contains, the longest is meant; white
space never matters, and nothing else is folded (`tan 225` and `tan 22.5` are two problems).

    >>> book = ProblemBook([Problem(id="1", text="What is 2 + 2?", answer="4")])
    >>> book.find("Solve this:  What is 2 +\n2? Box the answer.").answer
    '4'
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from corl_bench.types import Problem

_ANCHOR = 24
"""Characters by which statements are looked for in a message; shorter ones count whole."""

_START = re.compile(r"(?<!\w)\S")
_GOES_ON = re.compile(r"(?<=\w)(?:\w|\.\d)")
"""After a statement that ends in `tan 22`: it is none of `tan 225` and `tan 22.5`."""


class ProblemBook:
    """Known problems with their gold answers; only the simulation may look into it."""

    def __init__(self, problems: Iterable[Problem] = ()) -> None:
        self._exact: dict[str, Problem] = {}
        self._folded: dict[str, Problem] = {}
        self._anchors: dict[int, dict[str, list[str]]] = {}
        self._distractors: dict[str, tuple[str, ...]] = {}
        self.add(problems)

    def __len__(self) -> int:
        return len(self._folded)

    def add(self, problems: Iterable[Problem]) -> None:
        """Adds problems; a statement that is known already keeps its first problem."""
        for problem in problems:
            folded = _fold(problem.text)
            if not folded or folded in self._folded:
                continue
            self._folded[folded] = problem
            self._exact.setdefault(problem.text, problem)
            anchor = folded[:_ANCHOR]
            by_anchor = self._anchors.setdefault(len(anchor), {})
            by_anchor.setdefault(anchor, []).append(folded)

    def find(self, text: str) -> Problem | None:
        """The problem whose statement is the text, else the longest that the text contains."""
        known = self._exact.get(text)
        if known is not None:
            return known
        folded = _fold(text)
        known = self._folded.get(folded)
        if known is not None:
            return known
        longest = max(self._contained(folded), key=len, default=None)
        return None if longest is None else self._folded[longest]

    def distractors(self, problem: Problem) -> tuple[str, ...]:
        """Wrong answers to one of its problems, found once for all experts of all rounds."""
        known = self._distractors.get(problem.text)
        if known is None:
            from corl_bench.tasks.distractors import distractors

            known = self._distractors[problem.text] = distractors(problem)
        return known

    def _contained(self, text: str) -> Iterator[str]:
        starts = [match.start() for match in _START.finditer(text)]
        for length, by_anchor in self._anchors.items():
            for start in starts:
                for candidate in by_anchor.get(text[start : start + length], ()):
                    end = start + len(candidate)
                    if text.startswith(candidate, start) and not _GOES_ON.match(text, end):
                        yield candidate


def _fold(text: str) -> str:
    return " ".join(text.split())
