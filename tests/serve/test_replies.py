"""Pieces of a stream."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from corl_bench.serve.replies import PIECE_CHARS, pieces

TEXTS = st.text(alphabet=st.sampled_from("ab é\n\t\N{SNOWMAN}"), max_size=400)


@settings(deadline=None)  # no test here depends on how fast the machine is
@given(TEXTS)
def test_pieces_are_the_text_and_none_is_long_or_empty(text: str) -> None:
    cut = list(pieces(text))
    assert "".join(cut) == text
    assert all(0 < len(piece) <= 3 * PIECE_CHARS for piece in cut)


def test_words_stay_whole() -> None:
    text = "The answer to the question is forty-two. " * 20
    assert all(piece.endswith(" ") for piece in pieces(text))
