r"""Takes off what only frames an answer: delimiters, boxes, text commands, emphasis, quotes.

>>> unwrap(r"$\boxed{\text{17}}$.")
'17'
"""

from __future__ import annotations

import re
from typing import Final

from corl_bench.patterns import regex

_DOLLAR: Final = regex(r"(?<!\\)\$")
_PAIRS: Final = ("**", "__", "*", "_", "`", '"', "'")
_ANNOUNCED: Final = regex(
    r"\\text\s*\{[^{}]*(?:\b(?:is|are|be|equals?)|[:=])\s*\}\s*[:=]?\s*(?=\S)", re.IGNORECASE
)


def unwrap(text: str) -> str:
    r"""Takes off what only frames an answer: `$…$`, `\boxed{…}`, `\text{…}`, `**…**`."""
    for _ in range(8):
        text = text.strip()
        before = text
        text = text.rstrip("\\ ") if text.endswith(("\\", "\\ ")) else text
        if text.endswith((".", ",", ";", ":")) and not text.endswith(("..", "\\,", "\\;", "\\:")):
            text = text[:-1].rstrip()
        for mark in _PAIRS:
            inner = text[len(mark) : -len(mark)]
            if text.startswith(mark) and text.endswith(mark) and inner and mark[0] not in inner:
                text = inner
                break
        for mark in ("=>", "\\Rightarrow", "\\to ", "\\therefore"):
            text = text.removeprefix(mark)
        announced = _ANNOUNCED.match(text) if text.startswith("\\text") else None
        text = text[announced.end() :] if announced else text
        for left, right in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
            if (
                text.startswith(left)
                and text.endswith(right)
                and len(text) > len(left + right)
                and not text.endswith("\\$")
                and left not in text[len(left) : -len(right)]
            ):
                # Bare braces inside delimiters only group; `${1,3}$` is the list 1,3.
                inner = text[len(left) : -len(right)].strip()
                text = inner[1:-1] if _is_group(inner, 0) and "," in inner else inner
                break
        dollars = text.count("$") - text.count("\\$")
        if 0 < dollars < 20 and dollars % 2 == 0:
            text = _DOLLAR.sub("", text)
        for command in ("\\boxed", "\\fbox", "\\framebox", "\\text"):
            if text.startswith(command) and _is_group(text, len(command)):
                text = text[text.index("{") + 1 : -1]
        if _is_group(text, 0) and "," not in text:
            text = text[1:-1]
        if text == before:
            break
    return text.strip()


def _is_group(text: str, start: int) -> bool:
    """Whether `text[start:]` is one `{…}` whose brace closes at the very end."""
    start += len(text[start:]) - len(text[start:].lstrip())
    if not (text[start : start + 1] == "{" and text.endswith("}") and not text.endswith("\\}")):
        return False
    depth = 0
    for position in range(start, len(text)):
        if text[position] in "{}" and text[position - 1 : position] != "\\":
            depth += 1 if text[position] == "{" else -1
            if depth == 0:
                return position == len(text) - 1
    return False
