r"""Answers that a reply marks as such: boxes, the field of a JSON reply, an `<answer>` tag.

What stands in the mark is returned as it is, and a broken mark is read as far as it goes:
braces that do not match, JSON whose LaTeX was not escaped, a box cut off by the token limit.

    >>> [content for _, _, content in closed_boxes(r"\boxed{1} and \boxed{\frac{1}{2}}")]
    ['1', '\\frac{1}{2}']
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from corl_bench.patterns import regex

Place = Literal["box", "cut box", "json", "tag", "phrase", "hash", "bold", "bare", "ending"]


@dataclass(frozen=True, slots=True)
class Extraction:
    """An answer as it stands in the reply, and where it stood."""

    answer: str
    place: Place
    boxes: tuple[str, ...] = ()
    """The boxes that the reply ends in, where several stand close together."""


MAX_MARK_CHARS: Final = 20_000
"""A box that holds more is left unread, so that nested ones are copied in bounded time."""
_BRACE: Final = regex(r"\\[{}]|(?:\\?boxed|\\fbox|\\framebox)\s*\{|[{}]")
_FILLED: Final = regex(r"\s*[^\s}]")
_BARE_BOX: Final = regex(r"\\boxed\s*(-?\d+(?:\.\d+)?|[A-Za-z](?![A-Za-z]))")
_FIELD: Final = regex(r'["\'](?:final[_ ])?answer["\']\s*:\s*', re.IGNORECASE)
_STRING: Final = regex(r'"((?:[^"\\]|\\.)*)(?:"|$)', re.DOTALL)
_SCALAR: Final = regex(r"[^\s,}\]][^,}\n]*")
_ARRAY: Final = regex(r"\[[^\n]*\]")
_OBJECT: Final = regex(r"\{[^{}]{0,2000}\}")
_QUOTED: Final = regex(r"'(?:[^'\\\n]|\\.|'(?=\w))*'(?=\s*(?:[,}\]]|$))")
_VALUES: Final = (_QUOTED, _OBJECT, _ARRAY, _SCALAR)
_ONLY_MEMBER: Final = regex(r"\{\s*[\"'][^\"'{}]*[\"']\s*:\s*([^,{}\[\]]*)\}")
_ITEM: Final = regex(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s,\[\]\"'][^,\[\]\"']*")
_ESCAPE: Final = regex(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_TAG: Final = regex(r"<(/?)(?:final_)?answer>", re.IGNORECASE)


def closed_boxes(text: str) -> list[tuple[int, int, str]]:
    """All closed boxes that hold something, as (start, end, content), by their end."""
    if "boxed" not in text and "box{" not in text:
        return []
    found: list[tuple[int, int, str]] = []
    waiting: list[tuple[int, int]] = []  # where a brace opened, and its box or -1
    for match in _BRACE.finditer(text):
        sign = match[0]
        if sign[0] == "\\" and sign[1] in "{}":
            continue
        if sign == "}":
            if waiting:
                inside, box = waiting.pop()
                if box >= 0 and match.start() - inside <= MAX_MARK_CHARS:
                    content = text[inside : match.start()].strip()
                    if content.strip("_? .\\"):
                        found.append((box, match.end(), content))
        else:
            waiting.append((match.end(), match.start() if len(sign) > 1 else -1))
    found += [(m.start(), m.end(), m[1]) for m in _BARE_BOX.finditer(text)]
    found.sort(key=lambda box: box[1])
    return found


def box_answer(text: str, boxes: list[tuple[int, int, str]]) -> Extraction:
    """The last box, and those that stand close before it."""
    start, _, answer = boxes[-1]
    run = [answer]
    for box in reversed(boxes[:-1]):
        if box[0] >= start or box[1] > start:
            continue
        gap = text[box[1] : start]
        if len(gap) > 80 or "\n\n" in gap or ". " in gap:
            break
        if box[2] not in run:
            run.append(box[2])
        start = box[0]
    return Extraction(answer, "box", tuple(reversed(run)) if len(run) > 1 else ())


def cut_box(text: str) -> Extraction | None:
    """The one box that was opened and never closed: what follows it, to the end of the line."""
    starts = list(re.finditer(r"(?:\\boxed|\\fbox)\s*\{", text)) if "\\" in text else []
    open_ones = [m for m in starts if _FILLED.match(text, m.end())]
    if len(open_ones) != 1:
        return None
    content = re.split(r"\n|\$|\\\)|\\\]", text[open_ones[0].end() :], maxsplit=1)[0]
    return Extraction(content.strip(), "cut box")


def json_field(text: str) -> tuple[str, int] | None:
    """The last `"answer"` field as (text, position); broken JSON is read as far as it goes.

    The text is empty where all fields are.
    """
    if "nswer" not in text and "NSWER" not in text:
        return None
    matches = list(_FIELD.finditer(text))
    for match in reversed(matches):
        string = _STRING.match(text, match.end())
        if string is not None:
            value = _unescape(string[1]).strip()
        else:
            plain = next(filter(None, (form.match(text, match.end()) for form in _VALUES)), None)
            value = plain[0].strip().rstrip("`").strip() if plain else ""
        if value.strip("_ ") and value != "null":
            return value, match.start()
    return ("", matches[-1].start()) if matches else None


def _unescape(text: str) -> str:
    r"""Undoes JSON's escapes, and keeps the LaTeX of models that forgot to escape it.

    `\\frac` and the invalid `\frac` both mean `\frac`; a `\n` before a space is a new line.
    """

    def one(match: re.Match[str]) -> str:
        escaped = match[1]
        if escaped[0] == "u" and len(escaped) == 5:
            return chr(int(escaped[1:], 16))
        if escaped in '"\\/':
            return escaped
        following = text[match.end() : match.end() + 1]
        if escaped in "ntrbf" and not following.isalpha():
            return " "
        return "\\" + escaped

    return _ESCAPE.sub(one, text)


def answer_in_field(value: str) -> Extraction:
    """The text of an answer field, the box in it, or the one value of an object or an array."""
    inside = closed_boxes(value)
    if inside:
        inner = box_answer(value, inside)
        return Extraction(inner.answer, "json", inner.boxes)
    member = _ONLY_MEMBER.fullmatch(value)
    if member is not None:
        return Extraction(_plain(member[1]), "json")
    if value.startswith("[") and value.endswith("]") and "[" not in value[1:]:
        items = [_plain(item) for item in _ITEM.findall(value)]
        if len(items) == 1 and value[1:2] in "\"'":
            return Extraction(items[0], "json")
        return Extraction(value, "json", tuple(items) if len(items) > 1 else ())
    return Extraction(_plain(value), "json")


def _plain(value: str) -> str:
    """Without the quotes around a text."""
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return _unescape(value[1:-1]).strip()
    return value


def tags(text: str) -> list[tuple[int, str]]:
    """Where each `<answer>…</answer>` that holds something begins, and what it holds."""
    found: list[tuple[int, str]] = []
    if "nswer>" not in text.lower():
        return found
    opened: re.Match[str] | None = None
    for match in _TAG.finditer(text):
        if not match[1]:
            opened = match
        elif opened is not None:
            content = text[opened.end() : match.start()].strip()
            if content:
                found.append((opened.start(), content))
            opened = None
    return found


def tag_answer(content: str) -> Extraction:
    """The text of an answer tag, or the box in it."""
    inside = closed_boxes(content)
    return Extraction(inside[-1][2] if inside else content, "tag")
