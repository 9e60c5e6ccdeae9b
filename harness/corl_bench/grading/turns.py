r"""Cuts a raw completion down to what the model says last: no thinking, headers or later turns.

Chat templates leave marks in replies that were not decoded with care. A reply is the model's
first turn; of a turn with channels only the final one counts; and what stands in a thinking
block is not said, also where the block never ends.

    >>> spoken("<think>7, no, 8</think>It is 9.<|im_end|><|im_start|>user And 10?")
    'It is 9.'
    >>> spoken("<|channel|>analysis<|message|>Is it 7?<|end|><|channel|>final<|message|>It is 9.")
    'It is 9.'
"""

from __future__ import annotations

import re
from typing import Final

from corl_bench.patterns import regex

_THINKING: Final = r"(?:think(?:ing)?|thoughts?|reasoning|analysis|reflection|scratchpad)"
_BLOCK: Final = regex(
    rf"(?:<(?P<end>/)?(?:\w{{1,9}}:)?{_THINKING}>"  # <think>, <seed:think>
    rf"|\[(?P<end1>/)?{_THINKING}\]"
    r"|◁(?P<end2>/)?think▷"
    rf"|<\|(?:(?P<end3>end)|begin|start)_(?:of_)?{_THINKING}\|>)",
    re.IGNORECASE,
)
_HEADER: Final = regex(
    r"<\|start_header_id\|>(\w+)<\|end_header_id\|>"
    r"|<\|(?:im_start|start)\|>(\w+)|<\|(system|user|assistant)\|>",
    re.IGNORECASE,
)
_CHANNEL: Final = regex(r"<\|channel\|>\s*(\w+)[^<]*<\|message\|>", re.IGNORECASE)
_MARK: Final = regex(r"<\|[a-z_]{2,20}\|>|</s>", re.IGNORECASE)


def spoken(text: str) -> str:
    """The reply itself; empty where the model only thought."""
    if "<|channel|>" in text:
        text = _final_channel(text)
    text = without_thinking(text)
    if "<|" in text or "</s>" in text:
        text = _first_turn(text)
    return text


def without_thinking(text: str) -> str:
    """What follows the last thinking block; nothing, if the last one never ended."""
    said = 0
    for match in _BLOCK.finditer(text):
        if match["end"] or match["end1"] or match["end2"] or match["end3"]:
            said = match.end()
    opened = _BLOCK.search(text, said)
    return text[said : opened.start()] if opened else text[said:]


def _final_channel(text: str) -> str:
    """What the last final channel says: analysis and commentary are thinking."""
    final = [match for match in _CHANNEL.finditer(text) if match[1].lower() == "final"]
    return text[final[-1].end() :] if final else ""


def _first_turn(text: str) -> str:
    """The assistant's first turn, without the header that names its role."""
    header = _HEADER.match(text.lstrip())
    if header is not None:
        headers = list(_HEADER.finditer(text))
        roles = [(next(filter(None, found.groups())).lower(), found) for found in headers]
        own = [found for role, found in roles if role == "assistant"] or headers
        text = text[own[0].end() :]
    return next((part for part in _MARK.split(text) if part.strip()), "")
