"""Names, things and the small agreements of English that templates share.

No template uses a pronoun for a named person, so that names need no gender.

    >>> counted(1, "head"), counted(3, "head"), ordinal(12), listed(["Ada", "Chen", "Mei"])
    ('1 head', '3 heads', '12th', 'Ada, Chen, and Mei')
"""

from __future__ import annotations

NAMES = (
    *("Ada", "Amir", "Ana", "Bela", "Carla", "Chen", "Dalia", "Dmitri", "Elena", "Emeka"),
    *("Farah", "Felix", "Grace", "Hana", "Henrik", "Imani", "Ines", "Ivan", "Jamal", "Jonas"),
    *("Kaito", "Keira", "Lars", "Leila", "Lucia", "Marco", "Mei", "Nadia", "Nikhil", "Noor"),
    *("Olga", "Oscar", "Priya", "Quentin", "Ravi", "Rosa", "Samir", "Sofia", "Tariq", "Tess"),
    *("Uma", "Viktor", "Wanda", "Xavier", "Yara", "Yusuf", "Zara", "Zoltan"),
)
COLORS = ("red", "blue", "green", "yellow", "white", "black", "purple", "orange")
GOODS = (
    *("notebooks", "sandwiches", "posters", "plants", "candles", "puzzles", "scarves", "mugs"),
    *("tickets", "bracelets", "lanterns", "paperbacks", "umbrellas", "kites", "calendars"),
)


def counted(n: int, singular: str, plural: str | None = None) -> str:
    """The number with its noun, which agrees with it."""
    return f"{n} {singular if n == 1 else plural or singular + 's'}"


def ordinal(n: int) -> str:
    """`1st`, `22nd`, `13th`."""
    if n % 100 in (11, 12, 13):
        return f"{n}th"
    return f"{n}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th') }"


def listed(parts: list[str]) -> str:
    """`a, b, and c`."""
    if len(parts) < 3:
        return " and ".join(parts)
    return f"{', '.join(parts[:-1])}, and {parts[-1]}"
