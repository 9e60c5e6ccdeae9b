"""What a controller has said in one turn: a call, an answer, or neither.

`read_turn` never raises. The first opening tag of a turn counts, and its content; what follows
was paid for and does nothing. A closing tag that a server's stop string has swallowed is
missed by nobody; one that is missing because the turn was cut at its limit makes it invalid.
Only the controller's own text is read here: nothing that an expert replies can be a call or an
answer.

    >>> read_turn('I ask. <call expert="nano">What is 2:3?</call>', load_protocol("corl"), ["nano"])
    Call(expert='nano', query='What is 2:3?')
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from corl_bench.routers.protocol import Protocol
from corl_bench.routers.tags import closing, opening


@dataclass(frozen=True, slots=True)
class Call:
    """A call to an expert."""

    expert: str
    query: str
    """Empty: the problem as it stands."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of an episode."""

    text: str
    """Empty where it points at a reply."""
    points_at: int | str | None = None
    """Number of the call whose reply is the answer, or the expert whose last reply it is."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """Neither a call nor an answer; an event, not an error."""

    reason: str


Turn = Call | Answer | Invalid

_ATTRIBUTE = re.compile(r"""\s*([A-Za-z_]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>/]+))""")


def read_turn(
    text: str, protocol: Protocol, experts: Collection[str], *, cut: bool = False
) -> Turn:
    """Reads one turn of a controller.

    Args:
        text: what it has written, with or without the stop string that ended it.
        protocol: whose tags count.
        experts: names that may be called, as the controller knows them.
        cut: whether the turn was ended by its limit rather than by the controller.
    """
    found = _first_tag(text, protocol)
    if found is None:
        return Invalid("it was cut before any whole tag" if cut else "it has no tag")
    tag, attributes, body, is_whole = found
    if attributes is None:
        return Invalid(f"the attributes of <{tag}> cannot be read")
    if cut and not is_whole:
        return Invalid(f"it was cut before </{tag}>")
    if tag == protocol.answer_tag:
        return _answer(body, attributes, experts)
    if protocol.naming == "prefix":
        return _named_call(body, experts)
    expert = attributes.get("expert", "")
    return Call(expert, body) if expert in experts else _nobody(expert, experts)


def closed(text: str, protocol: Protocol) -> str:
    """The turn with the closing tag that a stop string has taken from it, if one has.

    A controller reads its own turns again, and should find them as it would write them.
    """
    found = _first_tag(text, protocol)
    return text if found is None or found[3] else f"{text}</{found[0]}>"


def _first_tag(
    text: str, protocol: Protocol
) -> tuple[str, dict[str, str] | None, str, bool] | None:
    """Name, attributes, content and whether it is closed."""
    start = opening((protocol.call_tag, protocol.answer_tag)).search(text)
    if start is None:
        return None
    tag, attributes = start[1], _attributes(start[2])
    if start[3]:
        return tag, attributes, "", True
    end = closing(tag).search(text, start.end())
    body = text[start.end() :] if end is None else text[start.end() : end.start()]
    return tag, attributes, body.strip(), end is not None


def _named_call(body: str, experts: Collection[str]) -> Turn:
    """A call that is written `name: query`; only the first colon is no part of the query.

    Capitals do not matter in the name: weights that were trained with one spelling keep to it.
    """
    name, colon, query = body.partition(":")
    said = name.strip()
    if not colon:
        return Invalid("the call has no colon behind the name of an expert")
    for expert in experts:
        if expert.casefold() == said.casefold():
            return Call(expert, query.strip())
    return _nobody(said, experts)


def _nobody(expert: str, experts: Collection[str]) -> Invalid:
    named = f"{expert[:40]!r} is no expert" if expert else "the call names no expert"
    return Invalid(f"{named}; there are {', '.join(experts)}")


def _answer(body: str, attributes: dict[str, str], experts: Collection[str]) -> Turn:
    source = attributes.get("from")
    if source is None:
        return Answer(body) if body else Invalid("the answer is empty")
    if source in experts:
        return Answer("", points_at=source)
    if not (source.isascii() and source.isdigit()) or len(source) > 3:
        return Invalid(f"from={source[:40]!r} is neither the number of a call nor an expert")
    return Answer("", points_at=int(source))


def _attributes(text: str) -> dict[str, str] | None:
    found: dict[str, str] = {}
    place = 0
    while text[place:].strip():
        match = _ATTRIBUTE.match(text, place)
        if match is None:
            return None
        found.setdefault(match[1], next(value for value in match.groups()[1:] if value is not None))
        place = match.end()
    return found
