r"""Text from outside: half characters replaced, keys struck out, cut where a stop string begins.

Invariant: `well_formed` gives text that UTF-8 can encode, `without_keys` text in which nothing
looks like a key, and `cut_at` text without any of the stop strings. Each is the one rule for the
whole bench.

    >>> well_formed("cut \ud83d here") == "cut \N{REPLACEMENT CHARACTER} here"
    True
    >>> without_keys("Incorrect API key provided: sk-proj-1234567")
    'Incorrect API key provided: ***'
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# What OpenAI, Anthropic, xAI, Groq, Hugging Face and Google begin their keys with, and whatever
# follows the word that comes before a key in a header.
_KEY_LIKE = re.compile(r"\b(?:sk-|pk-|xai-|gsk_|hf_|AIza)[\w*.-]{6,}|(?<=Bearer )\S+")


_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_SIGNED_NUMBER = re.compile(r"[-+]?[0-9][0-9,]*(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", re.ASCII)


def is_well_formed(text: str) -> bool:
    """False where half of a surrogate pair keeps the text from being encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def well_formed(text: str) -> str:
    """The text with each half of a surrogate pair replaced by U+FFFD.

    JSON can carry such halves, as when a provider cuts a reply in the middle of a character.
    Two halves that belong together are joined.
    """
    if is_well_formed(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def without_keys(text: str) -> str:
    """The text with `***` for everything that looks like a key."""
    return _KEY_LIKE.sub("***", text)


def as_cell(text: str) -> str:
    """The text as a cell of CSV that no spreadsheet takes for a formula.

    One that begins like a formula and is no number gets an apostrophe in front of it, which is how
    spreadsheets themselves mark a text.

    >>> as_cell("=1+1"), as_cell("-3.5"), as_cell("x=1")
    ("'=1+1", '-3.5', 'x=1')
    """
    is_formula = text.startswith(_BEGINS_FORMULA) and not _SIGNED_NUMBER.fullmatch(text)
    return f"'{text}" if is_formula else text


def cut_at(text: str, stops: Sequence[str]) -> str:
    """The text in front of the first stop string, as a model that was given them ends it.

    An empty one stops nothing.
    """
    ends = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text
