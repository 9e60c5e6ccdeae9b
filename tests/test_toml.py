"""TOML from outside: one kind of error, one line, and no key that takes seconds."""

from __future__ import annotations

import tomllib

import pytest

from corl_bench.toml import MOST_LEVELS, parse_toml


@pytest.mark.parametrize(
    "text",
    [
        ".".join("a" * 3000) + " = 1",
        " . ".join(["'a b'"] * 3000) + " = 1",
        "[" + ".".join("a" * 3000) + "]",
        "[[" + ".".join("a" * 3000) + "]]",
        "x = { y = 1, " + ".".join("a" * 3000) + " = 1 }",
        "x = " + "[" * 300 + "]" * 300,
        "x = " + "[" * 100_000,
        "x = " + "{y=" * 300 + "1" + "}" * 300,
    ],
    ids=["dotted", "quoted", "table", "tables", "inline", "brackets", "open brackets", "braces"],
)
def test_what_is_nested_too_deeply_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError, match="nested too deeply"):
        parse_toml(text)


def test_levels_are_counted_alike_however_they_are_written() -> None:
    levels = MOST_LEVELS - 1
    table = parse_toml(".".join("a" * levels) + " = 1")
    assert table == parse_toml("[" + ".".join("a" * (levels - 1)) + "]\na = 1")
    assert str(table).count("{") == levels


def test_long_texts_with_dots_are_texts() -> None:
    prose = "one.two. three . " * 200
    assert parse_toml(f'x = "{prose}"\ny = ["{prose}", "a"]') == {"x": prose, "y": [prose, "a"]}


def test_other_mistakes_are_one_line_too() -> None:
    for text in ("x = " + "9" * 5000, "x = '\n'", "\x00", "x"):
        with pytest.raises(tomllib.TOMLDecodeError) as caught:
            parse_toml(text)
        assert "\n" not in str(caught.value)
