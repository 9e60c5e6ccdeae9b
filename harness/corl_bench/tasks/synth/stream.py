"""From families to problems: the splits, their order, and the seed.

Invariants:

* An instance (family and parameters, whatever its wording) belongs to exactly one split, by a
  hash of itself; no seed can move it.
* A stream depends on nothing but (split, seed): `generate(count=n)` is a prefix of
  `generate(count=m)` for n < m. Every block of 45 problems holds each slot of `SLOTS` once.
* Within a split no instance, hence no text, comes twice, until a family has used up the
  instances that its numbers allow; then that family begins again.

    >>> [p.id for p in generate("test", count=2)]
    ['synth/test/00000', 'synth/test/00001']
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count as count_from
from itertools import islice
from random import Random

from corl_bench.errors import ConfigError
from corl_bench.tasks.synth import (  # noqa: F401 - each registers its families
    aime,
    algebra,
    amc,
    counting,
    geometry,
    intermediate_algebra,
    number_theory,
    prealgebra,
    precalculus,
)
from corl_bench.tasks.synth.families import SUBJECTS, Draft, Family, registered
from corl_bench.tasks.synth.latex import shown
from corl_bench.types import AnswerKind, Problem

FAMILIES = registered()
SPLITS = ("train", "validation", "test")
DEFAULT_COUNTS = {"train": 3600, "validation": 360, "test": 360}
"""Whole blocks of `SLOTS`, so that the default splits are balanced exactly."""
SLOTS: tuple[tuple[str, int], ...] = (
    *((subject, level) for subject in SUBJECTS[:7] for level in range(1, 6)),
    *(("AMC", level) for level in (3, 3, 4, 4, 5)),
    *(("AIME", level) for level in (3, 4, 4, 5, 5)),
)
"""(subject, level) of the problems of one block; the contests have no easy half."""

_VERSION = 1
"""Part of every seed: raise it when a change is meant to give other problems."""
_KINDS: dict[str, AnswerKind] = {"AMC": "choice", "AIME": "integer"}
_PATIENCE = 2000
"""Draws in a row without a new instance after which a family counts as used up. A fifth of the
draws fall into the smaller splits, so an unlucky run of this length does not occur before."""


def generate(split: str, *, seed: int = 0, count: int | None = None) -> list[Problem]:
    """The first problems of a split.

    Args:
        split: `train`, `validation` or `test`.
        seed: another seed gives other problems of the same split.
        count: how many; the split's default where it is not given.

    Raises:
        ConfigError: there is no such split, or `count` is negative.
    """
    problems = iterate(split, seed)
    wanted = DEFAULT_COUNTS[split] if count is None else count
    if wanted < 0:
        raise ConfigError(f"synth: cannot generate {wanted} problems; ask for 0 or more")
    return list(islice(problems, wanted))


def iterate(split: str, seed: int = 0) -> Iterator[Problem]:
    """The problems of a split without end, in the order of `generate`.

    Raises:
        ConfigError: there is no such split.
    """
    if split not in SPLITS:
        raise ConfigError(f"synth has no split {split!r}; it has {', '.join(SPLITS)}")
    return _stream(split, seed)


def split_of(family: str, params: tuple[object, ...]) -> str:
    """The one split that an instance belongs to: 60 % train, 20 % validation, 20 % test.

    The order of the parameters does not count, so that no swap of addends, points or sides can
    carry what is in truth the same instance into another split.
    """
    place = _digest(family, *sorted(_flattened(params)))[0]
    return "test" if place < 51 else "validation" if place < 102 else "train"


@dataclass(slots=True)
class _Source:
    """The instances of one family that lie in one split, each once."""

    family: Family
    split: str
    rng: Random
    used: set[bytes] = field(default_factory=set)

    def next_draft(self) -> Draft:
        fruitless = 0
        while True:
            draft = self.family.draft(self.rng)
            if draft is None or split_of(self.family.name, draft.params) != self.split:
                continue
            key = _digest(repr(draft.params))[:8]
            if key not in self.used:
                self.used.add(key)
                return draft
            fruitless += 1
            if fruitless == _PATIENCE:
                self.used.clear()


def _stream(split: str, seed: int) -> Iterator[Problem]:
    cells: dict[tuple[str, int], list[_Source]] = {slot: [] for slot in SLOTS}
    for family in FAMILIES:
        source = _Source(family, split, _random(seed, split, family.name))
        cells[family.subject, family.level].append(source)
    visits = dict.fromkeys(cells, 0)
    order = _random(seed, split, "order")
    index = 0
    for _ in count_from():
        block = list(SLOTS)
        order.shuffle(block)
        for slot in block:
            sources = cells[slot]
            source = sources[visits[slot] % len(sources)]
            visits[slot] += 1
            yield _problem(f"synth/{split}/{index:05d}", source.family, source.next_draft())
            index += 1


def _problem(name: str, family: Family, draft: Draft) -> Problem:
    metadata = {"family": family.name, "answer_type": family.answer_type}
    if draft.slips:
        metadata["slips"] = json.dumps([shown(slip) for slip in draft.slips])
    return Problem(
        id=name,
        text=draft.text,
        answer=shown(draft.answer),
        kind=_KINDS.get(family.subject, "math"),
        subject=family.subject,
        level=family.level,
        metadata=metadata,
    )


def _flattened(params: tuple[object, ...]) -> Iterator[str]:
    for value in params:
        if isinstance(value, tuple):
            yield from _flattened(value)
        else:
            yield str(value)


def _digest(*parts: str) -> bytes:
    return sha256("\x1f".join(parts).encode()).digest()


def _random(seed: int, *parts: str) -> Random:
    """A generator of its own for each use, so that none disturbs another."""
    return Random(int.from_bytes(_digest(f"corl-synth-{_VERSION}", str(seed), *parts)))
