"""A tokenizer and its chat template, message by message.

The tokens of a conversation are those that the template would give it, although they are made
one message at a time and the controller's own are never made again. Text from outside is text:
a `<|im_end|>` that somebody has written ends nothing.

    chat = Chat.of(tokenizer, source="models/smollm2")
    ids = chat.read("user", "What is 6 × 7?")             # up to where the assistant speaks
    ids += chat.spell("<answer>42</answer>")              # or what was sampled
    ids += chat.read("user", "Are you sure?", behind=ids)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from corl_bench.errors import ConfigError

_ASKED, _SAID, _ASKED_AGAIN = "First question.", "Some answer.", "Second question."
"""What a template is shown to find out what it puts around messages."""


@dataclass(frozen=True)
class Chat:
    """What a chat template writes around the messages of a conversation."""

    tokenizer: Any
    """A `transformers` tokenizer."""
    opening: str
    """In front of the first message; a default system prompt, say."""
    between: str
    """From the end of what the assistant says to the next message."""
    turn: str
    """From the end of a message to where the assistant speaks."""
    lead: str
    """White space with which whatever the assistant says begins; empty in most templates."""
    trims: bool
    """Whether the template takes the white space off the ends of a message."""
    ends: frozenset[int]
    """Tokens that end a turn of the assistant."""
    end: int
    """The one that the template puts there."""
    never_said: tuple[int, ...]
    """Special tokens that are no end of a turn: nobody's speech contains them."""
    _marks: re.Pattern[str] = field(repr=False, compare=False)

    @classmethod
    def of(cls, tokenizer: Any, *, ends: Collection[int] = (), source: str) -> Chat:
        """Finds out how a tokenizer's template writes.

        Args:
            tokenizer: with a chat template.
            ends: tokens that end a turn, beside the tokenizer's own.
            source: where it comes from, for errors.

        Raises:
            ConfigError: there is no template, or it is none that goes on message by message.
        """
        if not tokenizer.chat_template:
            raise ConfigError(
                f"{source}: the tokenizer has no chat template: add a chat_template.jinja"
            )
        first = _render(tokenizer, source, _ASKED)
        second = _render(tokenizer, source, _ASKED, _SAID, _ASKED_AGAIN)
        opening, _, turn = first.partition(_ASKED)
        head, _, rest = second.partition(_SAID)
        between, _, tail = rest.partition(_ASKED_AGAIN)
        lead = head[len(first) :]
        if not head.startswith(first) or lead.strip() or tail != turn:
            raise ConfigError(
                f"{source}: its chat template writes a turn otherwise once the conversation has"
                " gone on: put one without that (without reasoning, say) into chat_template.jinja"
            )
        special = {
            token: str(added.content)
            for token, added in tokenizer.added_tokens_decoder.items()
            if added.special or added.content in opening + between + turn
        }
        marks = _pattern(special.values())
        by_text = {text: token for token, text in special.items()}
        known = {*ends, tokenizer.eos_token_id} - {None}
        closing = [by_text[mark[1]] for mark in marks.finditer(between)]
        end = next((token for token in closing if token in known), None)
        if end is None:
            end = closing[0] if closing else tokenizer.eos_token_id
        if end is None:
            raise ConfigError(f"{source}: nothing ends a turn: set eos_token in tokenizer_config")
        ended = frozenset({*known, end})
        return cls(
            tokenizer=tokenizer,
            opening=opening,
            between=between,
            turn=turn,
            lead=lead,
            trims=f"\t{_ASKED}\t" not in _render(tokenizer, source, f"\t{_ASKED}\t"),
            ends=ended,
            end=end,
            never_said=tuple(sorted(set(special) - ended)),
            _marks=marks,
        )

    def read(self, role: str, text: str, behind: Sequence[int] = ()) -> list[int]:
        """Tokens of a message, behind those of the conversation so far.

        Args:
            role: `user`: with all that leads to the assistant's turn; `assistant`: what it has
                said, its end left to what comes next.
            text: of the message.
            behind: the conversation so far; empty at its beginning. Where the assistant's last
                turn was ended by a stop string or by its limit, the end that the template
                wants is read with the next message, and is none of its own tokens.

        Raises:
            ConfigError: a system message, which this project's controllers never get.
        """
        if role == "assistant":
            return self.spell(text)
        if role != "user":
            raise ConfigError(f"a controller's conversation has no message of role {role!r}")
        before = self.opening
        if behind:
            before = self.between
            if behind[-1] in self.ends:
                mark = self.tokenizer.convert_ids_to_tokens(behind[-1])
                _, found, rest = before.partition(mark)
                before = rest if found else before
        return self._encode(before, text.strip() if self.trims else text, self.turn)

    def spell(self, text: str) -> list[int]:
        """Tokens of a text that the assistant says, without an end."""
        return self._encode(self.lead, text, "")

    def decode(self, ids: Sequence[int]) -> str:
        """What the assistant has said; ends of turns are silent."""
        said = [token for token in ids if token not in self.ends]
        text: str = self.tokenizer.decode(
            said, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text.removeprefix(self.lead)

    def __deepcopy__(self, memo: dict[int, Any]) -> Chat:
        return self  # Nothing in it changes, and a tokenizer is large.

    def _encode(self, before: str, text: str, after: str) -> list[int]:
        """Tokens as the template's whole would have them, but no mark of the text is one.

        A mark that any part of the text belongs to is cut behind its first character, and the
        pieces are tokenised apart: then no tokenizer can take it for one, special or not.
        """
        whole = before + text + after
        start, stop = len(before), len(before) + len(text)
        cuts = {
            max(mark.start() + 1, start)
            for mark in self._marks.finditer(whole)
            if mark.start() < stop and mark.end(1) > start
        }
        places = [0, *sorted(cuts), len(whole)]
        ids: list[int] = []
        for low, high in pairwise(places):
            ids += self.tokenizer(whole[low:high], add_special_tokens=False)["input_ids"]
        return ids


def _pattern(marks: Collection[str]) -> re.Pattern[str]:
    """Finds every place at which a mark begins, those inside others too; it is group 1."""
    longest_first = sorted((mark for mark in marks if len(mark) > 1), key=len, reverse=True)
    either = "|".join(map(re.escape, longest_first)) or r"(?!)"
    return re.compile(f"(?=({either}))")


def _render(tokenizer: Any, source: str, *texts: str) -> str:
    """The template's text of a conversation that the user begins, up to the assistant's turn."""
    messages = [
        {"role": ("user", "assistant")[place % 2], "content": text}
        for place, text in enumerate(texts)
    ]
    try:
        rendered: str = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
    except Exception as error:  # whatever a template raises
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"{source}: its chat template cannot be used: {reason}") from None
    return rendered
