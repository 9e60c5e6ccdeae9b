r"""The tiny controller's tokeniser: whole phrases of the protocol, words, and bytes for the rest.

A text is cut into phrases (what the protocol says again and again), words, pairs of digits and runs
of signs. What a policy says is exact: a cut that is in the vocabulary is one token, any other is
spelled in bytes, and `decode(encode(text)) == text`. What it reads is short: whatever stands
between known words, formulas above all, is one `<other>`. A policy that routes has to know what
kind of problem it has, not to compute. No outside text (see `frames`) is ever read as a phrase.

    tokens = learn_tokens(texts, phrases=['<call expert="', '"></call>'], words=800)
    tokens.decode(tokens.encode("How many multiples of $5$?"))
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from corl_bench.errors import ConfigError
from corl_train.policies.frames import Frames

SPECIALS = ("<pad>", "<other>", "<turn>", "<end>")
"""Padding, what was read but is in no vocabulary, the start of the controller's turn, its end.
They are no text: nothing that is encoded can contain them."""
PAD, OTHER, TURN, END = range(len(SPECIALS))
_BYTES = len(SPECIALS)
_PIECES = _BYTES + 256

_CUTS = r" ?\\?[A-Za-z]+| ?\d{1,2}| ?[^\sA-Za-z\d]+|\s"

_PLAIN = re.compile(_CUTS)

_WORD = re.compile(r"[A-Za-z]{2}")


@dataclass(frozen=True)
class Tokens:
    """A vocabulary; ids 0 to 3 are `SPECIALS`, then 256 bytes, then phrases, then words."""

    phrases: tuple[str, ...]
    words: tuple[str, ...]
    frames: Frames | None = field(default=None, hash=False)
    """What messages look like; None takes any, and nothing in it for outside text."""
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)
    _word_ids: dict[str, int] = field(init=False, repr=False, compare=False)
    _cut: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pieces = (*self.phrases, *self.words)
        if len(set(pieces)) < len(pieces) or "" in pieces:
            raise ValueError("a piece is empty or stands there twice")
        # Asked for at every text that is encoded, and a vocabulary is long. The same in every
        # process, as a vocabulary may travel from one to another.
        digest = hashlib.sha256("\0".join(pieces).encode("utf-8", "surrogatepass")).digest()
        object.__setattr__(self, "_hash", int.from_bytes(digest[:7], "big"))
        ids = {piece: _PIECES + i for i, piece in enumerate(pieces)}
        object.__setattr__(self, "_ids", ids)
        object.__setattr__(self, "_word_ids", {word: ids[word] for word in self.words})
        longest_first = sorted(self.phrases, key=len, reverse=True)
        pattern = "|".join([*map(re.escape, longest_first), _CUTS])
        object.__setattr__(self, "_cut", re.compile(pattern))

    def __hash__(self) -> int:
        return self._hash

    def __len__(self) -> int:
        return _PIECES + len(self._ids)

    def encode(self, text: str) -> list[int]:
        """Ids of a text; never a special one."""
        return list(_encode(self, text))

    def read(self, text: str, *, opening: bool) -> list[int]:
        """Ids of a message that is read: known pieces, and an `OTHER` for what is between them.

        Args:
            text: the message.
            opening: whether it is the first one.

        Raises:
            ConfigError: the frames know no such message.
        """
        stretches = (
            [(text, False)] if self.frames is None else self.frames.cut(text, opening=opening)
        )
        ids: list[int] = []
        for stretch, is_outside in stretches:
            pattern, known = (_PLAIN, self._word_ids) if is_outside else (self._cut, self._ids)
            for cut in pattern.findall(stretch):
                token = known.get(cut, OTHER)
                if token != OTHER or ids[-1:] != [OTHER]:
                    ids.append(token)
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids; special ones are silent, broken UTF-8 becomes U+FFFD."""
        return b"".join(map(self.spelled, ids)).decode("utf-8", "replace")

    def spelled(self, token: int) -> bytes:
        """The bytes of one id; none of a special one."""
        return self._spelled[token]

    @cached_property
    def _spelled(self) -> list[bytes]:
        pieces = (piece.encode() for piece in (*self.phrases, *self.words))
        return [*[b""] * _BYTES, *(bytes([byte]) for byte in range(256)), *pieces]

    def save(self, path: Path) -> None:
        """Writes the vocabulary as JSON."""
        frames = None if self.frames is None else self.frames.encode()
        data = {"phrases": self.phrases, "words": self.words, "frames": frames}
        path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Tokens:
        """Reads a vocabulary.

        Raises:
            ConfigError: there is none.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            frames = None if data["frames"] is None else Frames.decode(data["frames"])
            return cls(tuple(data["phrases"]), tuple(data["words"]), frames)
        except (OSError, ValueError, KeyError, TypeError, re.error, RecursionError) as error:
            raise ConfigError(f"{path} is no vocabulary: {error}") from None


def learn_tokens(
    texts: Iterable[str], *, phrases: Sequence[str], words: int, frames: Frames | None = None
) -> Tokens:
    """The commonest words of some texts, beside given phrases.

    Args:
        texts: outside text that the policy will read.
        phrases: whole strings that are one token each, wherever the bench or the policy itself
            has written them.
        words: how many words of the texts to learn, those of two letters or more that occur
            twice or more; ties in the order of the alphabet.
        frames: what messages look like.
    """
    fixed = tuple(dict.fromkeys(phrases))
    count = Counter(cut for text in texts for cut in _PLAIN.findall(text))
    known = set(fixed)
    learned = sorted(
        (cut for cut, n in count.items() if n > 1 and _WORD.search(cut) and cut not in known),
        key=lambda cut: (-count[cut], cut),
    )
    return Tokens(fixed, tuple(learned[:words]), frames)


@lru_cache(maxsize=16384)
def _encode(tokens: Tokens, text: str) -> tuple[int, ...]:
    ids: list[int] = []
    for cut in tokens._cut.findall(text):
        known = tokens._ids.get(cut)
        if known is not None:
            ids.append(known)
        else:
            ids.extend(_BYTES + byte for byte in cut.encode())
    return tuple(ids)
