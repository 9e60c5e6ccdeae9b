r"""Where outside text stands in what a controller reads: problem statements, replies, errors.

A tiny policy reads the heads of results and the lines of the pool as single tokens. Outside text
may hold the same characters, a reply that ends in `" number="2" agrees="1">` for one, and must
not come out as these tokens: it would forge an agreement. So a message is laid against the
protocol's own templates first, and what fills a place from outside is read as mere words.

Openings are known to the letter, one for each budget that the controller is trained for. One
that is none of them would read like another, with `<other>` for its budget; it is refused.

    frames = frames_of(protocol, infos, budgets)
    frames.cut("budget low\n…\nHow many?\n", opening=True)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter
from typing import TYPE_CHECKING, Any

from corl_bench.errors import ConfigError
from corl_bench.types import Budget

if TYPE_CHECKING:
    from corl_bench.episode import ExpertInfo
    from corl_bench.routers.protocol import Protocol

_OUTSIDE = frozenset({"reply", "failure", "reason"})
"""Places of notes that others than the bench fill."""
_MARK = "\0"
"""Stands for a statement; no template and no description holds it."""


@dataclass(frozen=True, slots=True)
class Frames:
    """Patterns of whole messages, whose groups are outside text."""

    openings: tuple[tuple[str, str], ...]
    """Names of budgets, and the first message at each."""
    notes: tuple[str, ...]
    """What comes back of turns."""
    _openings: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)
    _notes: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        compiled = tuple(re.compile(pattern, re.DOTALL) for _, pattern in self.openings)
        object.__setattr__(self, "_openings", compiled)
        notes = tuple(re.compile(pattern, re.DOTALL) for pattern in self.notes)
        object.__setattr__(self, "_notes", notes)

    def cut(self, text: str, *, opening: bool) -> Iterator[tuple[str, bool]]:
        """The stretches of a message in turn, and whether they come from outside.

        Args:
            text: the message.
            opening: whether it is the first one.

        Raises:
            ConfigError: a message that these frames do not know.
        """
        patterns = self._openings if opening else self._notes
        read = next(filter(None, (pattern.fullmatch(text) for pattern in patterns)), None)
        if read is None:
            raise ConfigError(self._refusal(text, opening))
        behind = 0
        for start, end in read.regs[1:]:
            yield text[behind:start], False
            yield text[start:end], True
            behind = end
        yield text[behind:], False

    def encode(self) -> dict[str, Any]:
        """What `decode` takes, for JSON."""
        return {"openings": self.openings, "notes": self.notes}

    @classmethod
    def decode(cls, data: Mapping[str, Any]) -> Frames:
        openings = tuple((name, pattern) for name, pattern in data["openings"])
        return cls(openings, tuple(data["notes"]))

    def _refusal(self, text: str, opening: bool) -> str:
        begins = " ".join(text[:200].split())[:60]
        if not opening:
            return (
                f"the controller knows no message {begins!r}…: run it with the protocol that it"
                " was trained with"
            )
        return (
            "the controller was trained for the budgets"
            f" {', '.join(name for name, _ in self.openings)} of its own pool and protocol and"
            f" cannot tell what {begins!r}… means: run it at these, or train one for yours"
        )


def frames_of(
    protocol: Protocol, experts: Sequence[ExpertInfo], budgets: Sequence[Budget]
) -> Frames:
    """The messages of a protocol, with a pool at its budgets.

    Raises:
        ConfigError: at two budgets the first message is the same.
    """
    openings: dict[str, str] = {}
    for budget in budgets:
        parts = protocol.opening(_MARK, budget, experts).split(_MARK)
        pattern = "(.*)".join(map(re.escape, parts))
        if pattern in openings:
            raise ConfigError(
                f"protocol {protocol.name!r} writes the budgets {openings[pattern]} and"
                f" {budget.name} alike: name them otherwise, or train for one of them"
            )
        openings[pattern] = budget.name
    return Frames(tuple((name, pattern) for pattern, name in openings.items()), _notes_of(protocol))


def open_frames_of(protocol: Protocol) -> Frames:
    """The messages of a protocol that names experts by letters, with any pool at any budget.

    Where the statement comes first it reaches as far as it can: a listing inside of it is part of
    it, for the bench's own is the last thing that is said. Where the listing comes first it ends
    as soon as it can.
    """
    texts = protocol.texts
    lines = [_inside(texts[name]) for name in ("budget_named", "budget_dollars", "budget_none")]
    line = _inside(texts["listing"])
    places = {
        "budget": f"(?:{'|'.join(lines)})",
        "listing": f"{line}(?:\\n{line})*?",
        "cards": r"[^\n<>]*?(?:\n[^\n<>]*?)*?",
        "max_calls": r"\d+",
        "problem": "(.*)",
    }
    pattern = "".join(
        re.escape(literal) + ("" if place is None else places[place])
        for literal, place, _, _ in Formatter().parse(texts["instructions"].lstrip("\n"))
    )
    return Frames((("any", pattern),), _notes_of(protocol))


def _inside(template: str) -> str:
    """A line that the bench writes itself: figures, letters, subjects."""
    return "".join(
        re.escape(literal) + ("" if place is None else r"[^\n<>]*?")
        for literal, place, _, _ in Formatter().parse(template)
    )


def _notes_of(protocol: Protocol) -> tuple[str, ...]:
    notes = []
    last = re.escape("\n" + protocol.texts["last_turn"].format())
    for name in ("result", "failure", "invalid"):
        note = "".join(_pattern(protocol.texts[name]))
        # The longer one first: a reply that ends its message would swallow the last line.
        notes += [note + last, note]
    return tuple(notes)


def _pattern(template: str) -> Iterator[str]:
    for literal, place, _, _ in Formatter().parse(template):
        yield re.escape(literal)
        if place is not None:
            # What the bench fills in itself is a name or a number: one word.
            # So it is but for a list of several, in which no sign of a tag stands either.
            yield "(.*)" if place in _OUTSIDE else r'[^\n"<>]*' if place == "left" else r'[^\s"<>]*'
