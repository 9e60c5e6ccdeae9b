"""What text is printed on: its width, whether it has colours, which characters it knows.

Names come from users and models' files, so whatever is printed goes through `visible`: control
characters are written out and none of them acts. Without UTF-8 everything is ASCII.

    screen = Screen.of(sys.stdout)
    console = screen.console(buffer, width=80)
    sys.stdout.write(screen.finished(buffer.getvalue()))
"""

from __future__ import annotations

import os
import shutil
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Screen:
    """A terminal, or a pipe or file in place of one."""

    width: int | None = None
    """Columns; None takes what is needed."""
    colour: bool = False
    encoding: str = "utf-8"

    @classmethod
    def of(cls, stream: TextIO) -> Screen:
        """What a stream is; NO_COLOR is heeded."""
        terminal = stream.isatty()
        return cls(
            width=shutil.get_terminal_size().columns if terminal else None,
            colour=terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb",
            encoding=stream.encoding or "ascii",
        )

    @property
    def is_ascii(self) -> bool:
        """Whether it knows no characters beyond ASCII that could be relied on."""
        return self.encoding.lower().replace("-", "").replace("_", "") not in ("utf8", "utf8sig")

    def console(self, buffer: TextIO, width: int) -> Console:
        """A console that writes plain text and styles into a buffer, and guesses nothing."""
        from rich.console import Console

        return Console(
            file=buffer,
            width=width,
            force_terminal=self.colour,
            color_system="standard" if self.colour else None,
            no_color=not self.colour,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
            _environ={},
        )

    def finished(self, text: str) -> str:
        """The text without blanks at the ends of lines, in characters that the screen knows."""
        lines = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
        return _to_ascii(lines) if self.is_ascii else lines


def visible(text: str) -> str:
    """Text with control and formatting characters written out, so that none acts."""
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char)[0] == "C" else char
        for char in text
    )


_ASCII = str.maketrans(
    {
        "·": "|",
        "–": "-",
        "—": "-",
        "…": "...",
        "×": "x",
        "─": "-",
        "≤": "<=",
        "≥": ">=",
        "−": "-",
        "∞": "inf",
        "†": "+",
        "‡": "++",
        "§": "?",
    }
)


def _to_ascii(text: str) -> str:
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")
