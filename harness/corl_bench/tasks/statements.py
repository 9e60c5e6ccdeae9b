r"""One spelling for the many ways of typing the same problem, so that copies can be told.

Two statements are spelled alike where they differ in typing alone: white space, case, dollar
signs, fonts and sizes of LaTeX, `\dfrac` for `\frac`, Unicode for LaTeX, punctuation. Whatever
could make another problem of it stays: digits with their decimal point, signs, exclamation marks
(factorials), case in the names of commands, and what braces group. Figures are kept apart, for
some collections leave them out.

    >>> normalise(r"What is $\dfrac12 + \tan 22.5^\circ$?")
    'what is \\frac 1 2 + tan 22.5 °'
    >>> normalise("tan 225") == normalise("tan 22.5")
    False
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

_FIGURE: Final = re.compile(
    r"\[asy\](.*?)(?:\[/asy\]|\Z)"
    r"|\\begin\{asy\}(.*?)(?:\\end\{asy\}|\Z)"
    r"|\\begin\{tikzpicture\}(.*?)(?:\\end\{tikzpicture\}|\Z)"
    r"|\\includegraphics(?:\[[^\]]*\])?\{([^{}]*)\}"
    r"|!\[[^\]\n]*\]\(([^()\s]*)\)",
    re.DOTALL,
)
_SIGNS: Final = str.maketrans(
    {
        **dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014\ufe63", "-"),
        **dict.fromkeys("\u2018\u2019\u2032", "'"),
        **dict.fromkeys("\u201c\u201d", '"'),
        **dict.fromkeys("\u200b\u200c\u200d\ufeff\xad", ""),
        **dict.fromkeys("\u00b7\u22c5\u2219", r"\cdot "),
        **dict.fromkeys("\u2044\u2215", "/"),
        **dict.fromkeys("\u00ba\u02da", "°"),
        **{superscript: f"^{{{n}}}" for n, superscript in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
        **dict(zip("½⅓⅔¼¾", (rf"\frac{n}" for n in ("12", "13", "23", "14", "34")), strict=True)),
        "×": r"\times ",
        "÷": r"\div ",
        "≤": r"\leq ",
        "≥": r"\geq ",
        "≠": r"\neq ",
        "±": r"\pm ",
        "∞": r"\infty ",
        "√": r"\sqrt ",
        "∠": r"\angle ",
        "△": r"\triangle ",
        "…": r"\dots ",
        "π": r"\pi ",
        "θ": r"\theta ",
        "α": r"\alpha ",
        "β": r"\beta ",
        "γ": r"\gamma ",
        "λ": r"\lambda ",
        "ω": r"\omega ",
    }
)
_UNSEEN: Final = re.compile(
    r"\\(?:[hv]space\*?|h?phantom)\{[^{}]*\}"  # room
    r"|[_^]\s*\{\s*\}"  # scripts without anything in them
    r"|``|''(?=[\s.,;?!)]|$)"  # quotation marks of LaTeX; a prime is followed by no space
    r"|(?<=[^\W\d_]):(?=\s|$)"  # the colon behind a word; that of a ratio stays
)
_BARE_FRACTION: Final = re.compile(  # of single characters, as TeX takes them: \frac12, \frac mn
    r"(\\[dtc]?frac|\\[dt]?binom)(?:\s+|(?=\d))([A-Za-z\d])\s*([A-Za-z\d])"
)
_DOTS: Final = re.compile(r"\.{3,}")
_THOUSANDS: Final = re.compile(r"(?<=\d)(?=(?:\d{3})+(?!\d))")
"""Where a whole number is parted: 1000 is 1 and 000, as `1,000` is without its comma. To join the
latter instead would join the coordinates of `(100,200)` as well."""
_TOKEN: Final = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\.\d+|[^\W\d_]+|\S", re.DOTALL)

_TYPING: Final = r"""
    \left \right \middle \big \Big \bigg \Bigg \bigl \bigr \Bigl \Bigr \biggl \biggr \Biggl \Biggr
    \quad \qquad \displaystyle \textstyle \limits \nolimits \allowbreak \small \tiny \footnotesize
    \noindent \indent \, \; \: \! \> \/ \( \) \[ \] \$ $ ~ ` " . , ; ?
"""
_FONT_COMMANDS: Final = r"""
    \text \textbf \textit \textrm \textsf \textnormal \texttt \emph \mbox \mathrm \mathbf \mathit
    \mathsf \bold \boldsymbol \bf \it \rm \cal \mathcal \operatorname \mathop
"""
_FUNCTION_NAMES: Final = """
    sin cos tan cot sec csc arcsin arccos arctan log ln exp gcd lcm max min det deg lim arg
"""
_DROPPED: Final = frozenset({*_TYPING.split(), "\\ ", "\\\n"})
_FONTS: Final = frozenset(_FONT_COMMANDS.split())
_FUNCTIONS: Final = frozenset(_FUNCTION_NAMES.split())
_SAME: Final = {
    **dict.fromkeys((r"\dfrac", r"\tfrac", r"\cfrac"), r"\frac"),
    **dict.fromkeys((r"\dbinom", r"\tbinom"), r"\binom"),
    **dict.fromkeys((r"\le", r"\leqslant"), r"\leq"),
    **dict.fromkeys((r"\ge", r"\geqslant"), r"\geq"),
    **dict.fromkeys((r"\ldots", r"\cdots", r"\dotsc", r"\dotsb", r"\dotsm", r"\dotso"), r"\dots"),
    **dict.fromkeys((r"\circ", r"\degree"), "°"),
    **dict.fromkeys((r"\lvert", r"\rvert", r"\vert", r"\mid"), "|"),
    **{rf"\{sign}": sign for sign in "%&#_"},
    r"\ne": r"\neq",
    r"\to": r"\rightarrow",
    r"\lbrace": r"\{",
    r"\rbrace": r"\}",
    r"\prime": "'",
    r"\colon": ":",
    r"\ast": "*",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """A problem's statement without what its typing adds."""

    words: tuple[str, ...]
    """Words, numbers, signs and commands, in their order."""
    figures: tuple[str, ...]
    """The code or the address of each figure, without white space."""


def read_statement(text: str) -> Statement:
    """The words and figures of a problem's text, whatever it holds."""
    figures: list[str] = []

    def set_aside(found: re.Match[str]) -> str:
        figures.append("".join("".join(filter(None, found.groups())).split()))
        return " "

    return Statement(_words(_FIGURE.sub(set_aside, text)), tuple(figures))


def normalise(text: str) -> str:
    """The words of a statement with a space between them; figures are left out."""
    return " ".join(read_statement(text).words)


def _words(text: str) -> tuple[str, ...]:
    # Twice: what compatibility forms fold to (a full-width sign, say) may be a sign of ours.
    text = unicodedata.normalize("NFKC", text.translate(_SIGNS)).translate(_SIGNS)
    text = _DOTS.sub(r"\\dots ", _UNSEEN.sub(" ", text))
    text = _BARE_FRACTION.sub(r"\1 \2 \3 ", text)
    words: list[str] = []
    open_braces: list[tuple[int, bool]] = []
    is_font = False
    for token in _TOKEN.findall(text):
        if token in _DROPPED:
            continue
        if token in _FONTS:
            is_font = True
            continue
        if token == "{":
            open_braces.append((len(words), is_font))
            words.append(token)
        elif token == "}" and open_braces:
            place, was_font = open_braces.pop()
            # A font groups nothing, and neither does a brace around a single word.
            if was_font or len(words) - place <= 2:
                del words[place]
            else:
                words.append(token)
        elif token[0].isdecimal():
            whole, point, decimals = token.partition(".")
            *groups, last = _THOUSANDS.split(whole)
            words += [*groups, last + point + decimals]
        else:
            words.append(_spelled(token))
        if words[-2:] == ["^", "°"]:
            del words[-2]
        is_font = False
    return tuple(words)


def _spelled(token: str) -> str:
    token = _SAME.get(token, token)
    if token[0] == ".":
        return f"0{token}"
    if token[0] != "\\":
        return token.casefold()
    return token[1:] if token[1:] in _FUNCTIONS else token
