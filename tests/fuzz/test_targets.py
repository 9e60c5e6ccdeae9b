"""Every parser of outside data gives a value or refuses in one line, whatever it is fed.

What runs here is a sample, the same every time; `fuzz_parsers.py` goes on for as long as it is
let. A parser that is in no target fails the last test.
"""

from __future__ import annotations

import ast
import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fuzz import material
from fuzz.mutation import mutate
from fuzz.targets import TARGETS, TRUSTED, Target, check

EXAMPLES = int(os.environ.get("CORL_FUZZ_EXAMPLES", "40"))
"""A parser; whole commands get a twentieth."""

DECODERS = frozenset(
    {
        *("parse_toml", "parse_json", "parse_object", "read_object", "read_lines", "read_document"),
        *("loads", "model_validate", "model_validate_json", "validate_json", "fromstring"),
        *("safe_load", "ParquetFile", "Unpickler"),
    }
)
"""Names of functions that make values of bytes or texts; whoever calls one is a parser."""


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_sound_input_is_read(target: Target, tmp_path: Path) -> None:
    accepted = 0
    for seed in target.seeds():
        try:
            target.run(bytes(seed), tmp_path)
            accepted += 1
        except (*target.refuses(), Exception):
            continue
    assert accepted, "the fuzzing begins with nothing that this parser takes"


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_hostile_input_is_a_value_or_one_line(target: Target, tmp_path: Path) -> None:
    seeds = [bytes(seed) for seed in target.seeds()]

    @settings(
        max_examples=max(1, EXAMPLES // 20) if target.is_command else EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**40))
    def feed(number: int) -> None:
        rng = random.Random(f"{target.name} {number}")
        data = mutate(rng.choice(seeds), target.form, rng, rng.choice(seeds))
        check(target, data, tmp_path)

    feed()


def test_every_module_that_decodes_is_in_a_target() -> None:
    decoding = set()
    for root in ("harness", "training"):
        for path in sorted((material.CHECKOUT / root).rglob("*.py")):
            if path.is_relative_to(material.CHECKOUT / "training" / "scripts"):
                continue
            calls = {
                name
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.Call)
                for name in [getattr(node.func, "attr", getattr(node.func, "id", ""))]
            }
            if calls & DECODERS:
                place = path.relative_to(material.CHECKOUT / root).with_suffix("")
                decoding.add(".".join(place.parts).removesuffix(".__init__"))
    covered = {name for target in TARGETS for name in target.reads}
    nowhere = decoding - covered - set(TRUSTED)
    assert not nowhere, "add a line to tests/fuzz/targets.py"
    assert not set(TRUSTED) & covered
    idle = set(TRUSTED) - decoding
    assert not idle, "no longer decodes anything"
