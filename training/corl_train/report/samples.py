"""Rollouts to read: those of a few validations, with what is trained on told from what is not.

groups = shown_samples(read_samples(folder))
groups[-1].samples[0]["pieces"]     # of the last validation
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from corl_train.runs.files import Piece, Sample

MOST_GROUPS = 12
MOST_SAMPLES = 12
"""Of one validation."""
LONGEST_TEXT = 6_000
"""Characters of a piece; of a longer one the middle is left out, and the page says so."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rollouts of one validation."""

    iteration: int
    samples: tuple[Sample, ...]


def shown_samples(samples: Sequence[Sample]) -> list[Group]:
    """Some of the validations, the first and the last among them, in order."""
    by_iteration: dict[int, list[Sample]] = {}
    for sample in samples:
        by_iteration.setdefault(sample["iteration"], []).append(sample)
    return [
        Group(iteration, tuple(map(_fitted, by_iteration[iteration][:MOST_SAMPLES])))
        for iteration in spaced(sorted(by_iteration), MOST_GROUPS)
    ]


def spaced(items: Sequence[int], most: int) -> list[int]:
    """At most so many of them, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


def _fitted(sample: Sample) -> Sample:
    pieces = [Piece(text=_shortened(piece["text"]), own=piece["own"]) for piece in sample["pieces"]]
    return {**sample, "pieces": pieces}


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_TEXT:
        return text
    half = LONGEST_TEXT // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n[… {left_out:,} characters left out …]\n{text[-half:]}"
