"""The families of questions: each draws numbers, names or words, and says which choice is right.

Invariant: a `Question` has four wrong choices, different from each other and from the right one,
and a reader can tell why each of them is wrong.

    >>> from random import Random
    >>> FAMILIES[0].draw(Random(1)).text
    'Today is Friday. What day of the week was it 25 days ago?'
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from corl_bench.tasks.everyday.words import (
    ANALOGIES,
    CONFUSABLE,
    DAYS,
    DIRECTIONS,
    KINDS,
    MADE_UP,
    MONTHS,
    NAMES,
    OPPOSITES,
    SPELLINGS,
)


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its choices, before they have letters."""

    text: str
    right: str
    wrong: tuple[str, ...]
    """Four."""


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of question."""

    name: str
    subject: str
    level: int
    """1 to 5, our own estimate."""
    draw: Callable[[Random], Question]


def weekday(rng: Random) -> Question:
    days, today = rng.randint(8, 120), rng.randrange(7)
    ahead = rng.random() < 0.6
    when = f"will it be in {days} days" if ahead else f"was it {days} days ago"
    right = DAYS[(today + (days if ahead else -days)) % 7]
    text = f"Today is {DAYS[today]}. What day of the week {when}?"
    return Question(text, right, _others(rng, DAYS, right))


def month(rng: Random) -> Question:
    months, start = rng.randint(4, 40), rng.randrange(12)
    ahead = rng.random() < 0.6
    side = "after" if ahead else "before"
    right = MONTHS[(start + (months if ahead else -months)) % 12]
    text = f"Which month comes {months} months {side} {MONTHS[start]}?"
    return Question(text, right, _others(rng, MONTHS, right))


def clock(rng: Random) -> Question:
    start, lasts = 5 * rng.randint(12 * 8, 12 * 21), 5 * rng.randint(7, 43)
    what = rng.choice(("film", "concert", "meeting", "flight", "match"))
    end = start + lasts
    slips = {end + 60, end - 60, end + 40, end - 40, end + 20, end - 20}
    wrong = rng.sample([_time(slip) for slip in sorted(slips)], 4)
    text = f"A {what} begins at {_time(start)} and lasts {lasts} minutes. When does it end?"
    return Question(text, _time(end), tuple(wrong))


def turning(rng: Random) -> Question:
    facing = rng.randrange(8)
    said, at = [], facing
    for _ in range(rng.randint(3, 5)):
        eighths, words = rng.choice(((1, "45 degrees"), (2, "90 degrees"), (3, "135 degrees")))
        to_right = rng.random() < 0.5
        at += eighths if to_right else -eighths
        said.append(f"{words} to the {'right' if to_right else 'left'}")
    turns = f"{', then '.join(said)}"
    text = f"You face {DIRECTIONS[facing]} and turn {turns}. Which way do you face now?"
    right = DIRECTIONS[at % 8]
    return Question(text, right, _others(rng, DIRECTIONS, right))


def opposite(rng: Random) -> Question:
    one, other = rng.choice(OPPOSITES)
    if rng.random() < 0.5:
        one, other = other, one
    rest = [word for pair in OPPOSITES for word in pair if word not in (one, other)]
    return Question(f"Which word is the opposite of “{one}”?", other, _others(rng, rest, other))


def odd_one_out(rng: Random) -> Question:
    kind, other = rng.sample(sorted(KINDS), 2)
    while {kind, other} == CONFUSABLE:
        other = rng.choice([name for name in sorted(KINDS) if name != kind])
    right = rng.choice(KINDS[other])
    listed = tuple(rng.sample(KINDS[kind], 4))
    return Question(f"Four of these are {kind}. Which one is not?", right, listed)


def analogy(rng: Random) -> Question:
    pairs = ANALOGIES[rng.choice(sorted(ANALOGIES))]
    (a, b), (c, d) = rng.sample(pairs, 2)
    rest = [second for _, second in pairs if second not in (b, d)]
    text = f"“{a}” is to “{b}” as “{c}” is to which word?"
    return Question(text, d, _others(rng, rest, d))


def spelling(rng: Random) -> Question:
    right, wrong = rng.choice(SPELLINGS)
    return Question("Which of these is spelled correctly?", right, tuple(rng.sample(wrong, 4)))


def alphabet(rng: Random) -> Question:
    words = rng.sample([word for kind in sorted(KINDS) for word in KINDS[kind]], 5)
    place = rng.randrange(5)
    which = ("first", "second", "third", "fourth", "last")[place]
    right = sorted(words)[place]
    text = f"Which of these words comes {which} in alphabetical order?"
    return Question(text, right, tuple(word for word in words if word != right))


def ordering(rng: Random) -> Question:
    """Five people from the tallest to the shortest, told pair by pair."""
    people = rng.sample(NAMES, 5)
    said = [f"{one} is taller than {other}" for one, other in pairwise(people)]
    rng.shuffle(said)
    place = rng.randrange(5)
    which = ("the tallest", "the second tallest", "the third tallest", "the fourth tallest")
    asked = (*which, "the shortest")[place]
    right = people[place]
    wrong = tuple(rng.sample([name for name in people if name != right], 4))
    return Question(f"{'. '.join(said)}. Who is {asked}?", right, wrong)


def syllogism(rng: Random) -> Question:
    """Three forms, each with one choice that must be true."""
    a, b, c = rng.sample(MADE_UP, 3)
    premises, right, wrong = rng.choice(
        (
            (
                f"All {a} are {b}. All {b} are {c}.",
                f"All {a} are {c}",
                (f"All {c} are {a}", f"No {a} are {c}", f"All {c} are {b}", f"All {b} are {a}"),
            ),
            (
                f"No {a} are {b}. All {c} are {a}.",
                f"No {c} are {b}",
                (f"All {b} are {c}", f"Some {c} are {b}", f"All {a} are {c}", f"All {a} are {b}"),
            ),
            (
                f"Some {a} are {b}. All {b} are {c}.",
                f"Some {a} are {c}",
                (f"All {a} are {c}", f"No {a} are {c}", f"All {c} are {b}", f"All {b} are {a}"),
            ),
        )
    )
    text = f"{premises} Which of these must be true?"
    return Question(text, right, tuple(rng.sample(wrong, 4)))


def next_to(rng: Random) -> Question:
    """Five people in a row, each next one told from the one before."""
    row = rng.sample(NAMES, 5)
    start = rng.randrange(1, 4)
    said = [f"{row[start]} stands in place {start + 1} from the left"]
    said += [f"{row[k]} stands directly left of {row[k + 1]}" for k in reversed(range(start))]
    said += [f"{row[k]} stands directly right of {row[k - 1]}" for k in range(start + 1, 5)]
    rng.shuffle(said)
    place = rng.choice([k for k in range(5) if k != start])
    right = row[place]
    asked = ("at the left end", "second from the left", "in the middle")
    where = (*asked, "second from the right", "at the right end")[place]
    wrong = tuple(rng.sample([name for name in row if name != right], 4))
    return Question(f"Five people stand in a row. {'. '.join(said)}. Who is {where}?", right, wrong)


FAMILIES = (
    Family("weekday", "Calendars and clocks", 2, weekday),
    Family("opposite", "Words", 1, opposite),
    Family("ordering", "Orders", 3, ordering),
    Family("month", "Calendars and clocks", 2, month),
    Family("odd_one_out", "Words", 1, odd_one_out),
    Family("turning", "Orders", 4, turning),
    Family("clock", "Calendars and clocks", 3, clock),
    Family("analogy", "Words", 2, analogy),
    Family("next_to", "Orders", 4, next_to),
    Family("syllogism", "Conclusions", 5, syllogism),
    Family("spelling", "Words", 3, spelling),
    Family("alphabet", "Orders", 2, alphabet),
)
"""In the order in which their questions take turns."""


def _others(rng: Random, words: tuple[str, ...] | list[str], right: str) -> tuple[str, ...]:
    return tuple(rng.sample([word for word in words if word != right], 4))


def _time(minutes: int) -> str:
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"
