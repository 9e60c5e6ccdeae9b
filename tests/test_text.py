from __future__ import annotations

import json

import pytest

from corl_bench.text import cut_at, is_well_formed, well_formed, without_keys


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("\N{GRINNING FACE} 6 × 7", "\N{GRINNING FACE} 6 × 7"),
        ("cut \ud83d", "cut \ufffd"),
        ("cut \ud83d here", "cut \ufffd here"),
        ("\ude00 first", "\ufffd first"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("\ud83d\ud83d!", "\ufffd\ufffd!"),
        ("\ud83d\ude00", "\N{GRINNING FACE}"),
        ("\ufeff\ud83d", "\ufeff\ufffd"),
    ],
)
def test_each_half_of_a_character_becomes_the_replacement_character(
    text: str, expected: str
) -> None:
    assert well_formed(text) == expected
    assert is_well_formed(expected)
    assert is_well_formed(text) == (text == expected)


def test_what_json_carries_can_be_written() -> None:
    text = json.loads('"\\ud83d and \\ud83d\\ude00"')
    assert well_formed(text).encode().decode() == "\ufffd and \N{GRINNING FACE}"


@pytest.mark.parametrize(
    "key",
    [
        *("sk-proj-abcdefgh", "sk-ant-api03-x_y-z", "sk-12***89", "pk-1234567", "xai-1234567"),
        *("gsk_1234567", "hf_abcdefgh", "AIzaSyA-1234567"),
    ],
)
def test_keys_are_struck_out_and_words_are_not(key: str) -> None:
    assert without_keys(f"Incorrect API key: {key}, sorry") == "Incorrect API key: ***, sorry"
    assert without_keys(f"Authorization: Bearer {key}") == "Authorization: Bearer ***"


@pytest.mark.parametrize(
    "words", ["a task-oriented risk-free sk-1", "desk-lamps", "Bearer of news"]
)
def test_ordinary_words_stay_unless_they_follow_bearer(words: str) -> None:
    assert without_keys(words) == words.replace("Bearer of", "Bearer ***")


@pytest.mark.parametrize(
    ("stops", "left"),
    [
        ((), "one two three"),
        (("two",), "one "),
        (("three", " t"), "one"),
        (("", "x"), "one two three"),
    ],
)
def test_the_first_stop_string_ends_the_text(stops: tuple[str, ...], left: str) -> None:
    assert cut_at("one two three", stops) == left
