"""Splits: disjoint, balanced, deterministic in every process, pinned by digest."""

from __future__ import annotations

import doctest
import json
import os
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from itertools import islice
from random import Random

import pytest

import corl_bench.tasks.synth
from corl_bench.errors import ConfigError
from corl_bench.tasks.synth import (
    DEFAULT_COUNTS,
    FAMILIES,
    SLOTS,
    SPLITS,
    SUBJECTS,
    Draft,
    Family,
    generate,
    iterate,
)
from corl_bench.tasks.synth.stream import _Source
from corl_bench.types import Problem

# The problems of seed 0. A change here changes what every stored run was about.
DIGESTS = {
    "train": "sha256:b800aa445e21e4ec8998a77ab179ca36362cb80f05ac30a941cd073754c029ea",
    "validation": "sha256:648b11d4e840ba9896b99b197203dff8cea7d4422aa9e1a006473610d10ed252",
    "test": "sha256:23311c2303b2fbdc188a45d3bbfa5844d2f2ba8e172dbe198519702ad8f634ab",
}
LONG = 6_000


def rows_digest(problems: list[Problem]) -> str:
    """Written out once more here, so that a slip in the library's own shows."""
    rows = (
        json.dumps([p.text, p.answer], ensure_ascii=False, separators=(",", ":")) + "\n"
        for p in problems
    )
    return "sha256:" + sha256("".join(rows).encode()).hexdigest()


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Problem]]:
    return {split: generate(split, count=LONG) for split in SPLITS}


@pytest.mark.parametrize("split", SPLITS)
def test_the_default_splits_are_pinned(split: str) -> None:
    assert rows_digest(generate(split)) == DIGESTS[split]


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_another_process_and_hash_seed_give_the_same_problems(
    hash_seed: str, splits: dict[str, list[Problem]]
) -> None:
    program = (
        "import json; from corl_bench.tasks.synth import generate, SPLITS\n"
        "print(json.dumps({s: [[p.id, p.text, p.answer, p.subject, p.level, p.kind,"
        " dict(p.metadata)] for p in generate(s)] for s in reversed(SPLITS)}))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    theirs = json.loads(done.stdout)
    for split in SPLITS:
        ours = [
            [p.id, p.text, p.answer, p.subject, p.level, p.kind, dict(p.metadata)]
            for p in splits[split][: DEFAULT_COUNTS[split]]
        ]
        assert theirs[split] == ours


def test_a_longer_split_begins_with_the_shorter_one() -> None:
    for split in SPLITS:
        assert generate(split, count=500)[:123] == generate(split, count=123)
        assert list(islice(iterate(split), 50)) == generate(split, count=50)
    assert generate("test", count=0) == []


def test_another_seed_gives_other_problems_of_the_same_split(
    splits: dict[str, list[Problem]],
) -> None:
    first, second = generate("test"), generate("test", seed=1)
    shared = {p.text for p in first} & {p.text for p in second}
    assert len(shared) < 0.1 * len(first)
    others = {p.text for split in ("train", "validation") for p in splits[split]}
    assert not others & {p.text for p in second}


def test_splits_share_no_text_and_repeat_none(splits: dict[str, list[Problem]]) -> None:
    texts = {split: [p.text for p in problems] for split, problems in splits.items()}
    for split in SPLITS:
        assert len(set(texts[split])) == LONG
    assert not set(texts["train"]) & set(texts["validation"])
    assert not set(texts["train"]) & set(texts["test"])
    assert not set(texts["validation"]) & set(texts["test"])


def test_default_splits_are_balanced_over_subjects_and_levels() -> None:
    for split in ("validation", "test"):
        problems = generate(split)
        assert len(problems) == DEFAULT_COUNTS[split] == 360
        assert Counter(p.subject for p in problems) == dict.fromkeys(SUBJECTS, 40)
        cells = Counter((p.subject, p.level) for p in problems)
        assert cells == {slot: 8 * n for slot, n in Counter(SLOTS).items()}
        assert {p.metadata["family"] for p in problems} == {f.name for f in FAMILIES}


def test_problems_carry_what_the_bench_needs() -> None:
    problems = generate("validation")
    assert [p.id for p in problems] == [f"synth/validation/{k:05d}" for k in range(360)]
    by_name = {f.name: f for f in FAMILIES}
    for problem in problems:
        source = by_name[problem.metadata["family"]]
        assert (problem.subject, problem.level) == (source.subject, source.level)
        assert problem.metadata["answer_type"] == source.answer_type
        kind = {"AMC": "choice", "AIME": "integer"}.get(source.subject, "math")
        assert problem.kind == kind
        assert "$" not in problem.answer


def test_the_right_letter_is_no_habit(splits: dict[str, list[Problem]]) -> None:
    letters = Counter(p.answer for p in splits["train"] if p.kind == "choice")
    expected = sum(letters.values()) / 5
    assert set(letters) == set("ABCDE")
    assert all(0.75 * expected < n < 1.25 * expected for n in letters.values())


def test_a_family_that_is_used_up_begins_again() -> None:
    """A family with few instances repeats them rather than ending or blocking the stream."""

    def few(rng: Random) -> Draft:
        n = rng.randint(1, 40)
        return Draft(f"What is ${n} + 1$?", n + 1, params=(n,))

    source = _Source(Family("few", "Prealgebra", 1, "integer", few), "train", Random(1))
    texts = [source.next_draft().text for _ in range(100)]
    once = len(set(texts))
    assert 10 < once <= 40
    assert len(set(texts[:once])) == once
    assert set(texts[once : 2 * once]) == set(texts)


def test_an_unknown_split_is_named_in_one_line() -> None:
    with pytest.raises(ConfigError, match="synth has no split 'dev'; it has train, validation"):
        iterate("dev")
    with pytest.raises(ConfigError, match="cannot generate -1 problems"):
        generate("test", count=-1)


def test_the_recipe_in_the_package_docstring_is_true() -> None:
    outcome = doctest.testmod(corl_bench.tasks.synth, extraglobs={"generate": generate})
    assert outcome.attempted > 0
    assert outcome.failed == 0
