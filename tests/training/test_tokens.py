"""The tokeniser: every text comes back, and no text can spell a mark."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

from corl_bench.errors import ConfigError
from corl_train.policies.tokens import SPECIALS, Tokens, learn_tokens

TOKENS = learn_tokens(
    ["How many multiples of $5$ are there?", "How many primes are there below 100?"],
    phrases=['<call expert="', '"></call>', "</call>", "\n\nBudget: "],
    words=6,
)
PROTOCOL = st.text() | st.sampled_from([*SPECIALS, *TOKENS.phrases, *TOKENS.words])


@given(st.lists(PROTOCOL, max_size=6).map("".join))
def test_every_text_comes_back_and_has_no_marks(text: str) -> None:
    ids = TOKENS.encode(text)
    assert TOKENS.decode(ids) == text
    assert all(len(SPECIALS) <= token < len(TOKENS) for token in ids)


def test_phrases_are_one_token_and_the_longest_wins() -> None:
    assert len(TOKENS.encode('<call expert="')) == 1
    assert len(TOKENS.encode('"></call>')) == 1
    assert len(TOKENS.encode("</call>")) == 1


def test_words_are_the_commonest_that_occur_twice() -> None:
    assert "How" in TOKENS.words and " there" in TOKENS.words
    assert " primes" not in TOKENS.words
    assert len(TOKENS.encode(" primes")) == len(" primes")


def test_marks_are_silent_and_broken_bytes_are_shown() -> None:
    ids = TOKENS.encode("é")
    assert TOKENS.decode([0, 1, *ids, 2, 3]) == "é"
    assert TOKENS.decode(ids[:1]) == "\ufffd"


def test_a_vocabulary_can_be_kept(tmp_path: Path) -> None:
    TOKENS.save(tmp_path / "tokens.json")
    assert Tokens.load(tmp_path / "tokens.json") == TOKENS


@pytest.mark.parametrize("text", ["", "[]", '{"phrases": []}', '{"phrases": 3, "words": []}'])
def test_what_is_no_vocabulary_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        Tokens.load(path)
    assert "no vocabulary" in str(refused.value) and "\n" not in str(refused.value)


def test_a_piece_may_not_stand_there_twice() -> None:
    with pytest.raises(ValueError, match="twice"):
        Tokens(("a",), ("a",))


def test_equal_vocabularies_are_one_key_and_spell_alike(tmp_path: Path) -> None:
    tokens = learn_tokens(["one two one two"], phrases=["<call>"], words=9)
    tokens.save(tmp_path / "tokens.json")
    loaded = Tokens.load(tmp_path / "tokens.json")
    assert len({tokens, loaded, learn_tokens(["one one"], phrases=["<call>"], words=9)}) == 2
    ids = tokens.encode("<call>one \N{SNOWMAN}")
    assert b"".join(map(loaded.spelled, ids)) == "<call>one \N{SNOWMAN}".encode()
    assert not any(map(tokens.spelled, range(len(SPECIALS))))
