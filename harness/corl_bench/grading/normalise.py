r"""Brings the many ways of typing one formula to a single spelling, without reading it.

`fold` works on characters and LaTeX commands only: Unicode signs become LaTeX or ASCII, fonts,
sizes and thin spaces go, digit groups close up. It never changes what an answer says, and
every pattern is linear in the length of the text.

    >>> fold(r"\left(3,\,\dfrac{1}{2}\right)")
    '(3, \\frac{1}{2})'
    >>> fold("−1 234²")
    '-1234^{2}'
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from corl_bench.grading.vocabulary import DROPPED_COMMANDS, SPACE_COMMANDS, TEXT_COMMANDS
from corl_bench.patterns import regex

_SIGNS: Final[dict[str, str | None]] = {
    **dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014\ufe63", "-"),
    **dict.fromkeys("\u00b7\u22c5\u2219\u2022\u00d7\u2217", r"\cdot "),
    "÷": "/",
    "∕": "/",
    "⁄": "/",
    "π": r"\pi ",
    "θ": r"\theta ",
    "α": r"\alpha ",
    "β": r"\beta ",
    "γ": r"\gamma ",
    "λ": r"\lambda ",
    "μ": r"\mu ",
    "φ": r"\varphi ",
    "ω": r"\omega ",
    "∞": r"\infty ",
    "±": r"\pm ",
    "∓": r"\mp ",
    "°": "°",
    "º": "°",
    "˚": "°",
    "∪": r"\cup ",
    "∩": r"\cap ",
    "∈": r"\in ",
    "∅": r"\emptyset ",
    "≤": "<=",
    "≥": ">=",
    "⩽": "<=",
    "⩾": ">=",
    "≠": "!=",
    "≈": r"\approx ",
    "ℝ": r"\mathbb{R}",
    "…": r"\ldots ",
    "′": "'",
    "’": "'",
    "∠": r"\angle ",
    "⟨": "(",
    "⟩": ")",
    **dict.fromkeys("∎■□✓✔✅☑"),
    "⇒": r"\Rightarrow ",
    "→": r"\to ",
    "∴": r"\therefore ",
    "≡": r"\equiv ",
    "∧": r"\land ",
    "∨": r"\lor ",
    "∖": r"\setminus ",
    "ℤ": r"\mathbb{Z}",
    "⌊": r"\lfloor ",
    "⌋": r"\rfloor ",
    "⌈": r"\lceil ",
    "⌉": r"\rceil ",
    "\u00a0": " ",
    "\u2009": r"\,",
    "\u202f": r"\,",
    "\u2007": r"\,",
    "。": ".",
    "、": ",",
    "¢": r"\text{ cents}",
    "￥": "¥",
}
_SUPERSCRIPTS: Final = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True))
_SUBSCRIPTS: Final = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_FRACTIONS: Final = regex("[¼½¾⅐-⅞]")
_ROOT: Final = regex(r"([√∛])\s*(\d+(?:\.\d+)?|[A-Za-z]|(?=[({\\]))")
_SUPER_RUN: Final = regex(f"[{''.join(_SUPERSCRIPTS)}]+")
_SUB_RUN: Final = regex(f"[{''.join(_SUBSCRIPTS)}]+")
_TRANSLATION: Final = str.maketrans(_SIGNS)
"""Signs that are mapped to None end a proof, and say nothing."""

# JSON decoding turns \frac into a form feed and "rac"; a control sign before letters is
# therefore the backslash and letter that it replaced. A tab is white space that people type.
_DAMAGED: Final = regex("[\f\b](?=[a-z])")
_INVISIBLE: Final = regex("[\x00-\x08\x0e-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_DOUBLED: Final = regex(
    r"(?<!\\)\\\\(?=(?:[dtc]?frac|sqrt|text|math|left|right|boxed|pi|infty|cdot|times|le|ge|pm|cup"
    r"|begin|end|in|circ|ldots)(?![a-z]))"
)
_NAMES: Final = {
    **dict.fromkeys(("dfrac", "tfrac", "cfrac"), r"\frac"),
    **dict.fromkeys(("dbinom", "tbinom"), r"\binom"),
    **dict.fromkeys(("le", "leq", "leqq", "leqslant"), "<="),
    **dict.fromkeys(("ge", "geq", "geqq", "geqslant"), ">="),
    "lt": "<",
    "gt": ">",
    "ne": "!=",
    "neq": "!=",
    "lbrace": r"\{",
    "rbrace": r"\}",
    **dict.fromkeys(("times", "ast", "cdotp"), r"\cdot"),
    "div": "/",
    "degree": "°",
    "varnothing": r"\emptyset",
    "dotsc": r"\ldots",
    "dots": r"\ldots",
    "cdots": r"\ldots",
    "phi": r"\varphi",
    "colon": ":",
    "mid": "|",
    "langle": "(",
    "rangle": ")",
    "wedge": r"\land",
    "vee": r"\lor",
    "backslash": r"\setminus",
    "choose": r"\choose",
    "mod": r"\bmod",
    "dotsm": r"\ldots",
    "dotsb": r"\ldots",
    "epsilon": r"\varepsilon",
    "ell": "l",
    **dict.fromkeys(("lvert", "rvert", "vert"), "|"),
    "lbrack": "[",
    "rbrack": "]",
    **dict.fromkeys(SPACE_COMMANDS, " "),
    **dict.fromkeys(DROPPED_COMMANDS, ""),
    **dict.fromkeys(TEXT_COMMANDS, r"\text"),
}
_COMMAND: Final = regex(r"\\\\|\\(q?quad(?=[a-z]_)|[A-Za-z]+)\*?")
_SPACING: Final = regex(r"(?<!\\)\\[,;:> !]|~|&nbsp;")
_LONG_DIGITS: Final = r"(?=\d{3}(?!\d))"
_GROUPED: Final = regex(
    rf"(?<=\d)(?:\s?\{{,\s?\}}|,\\!|\\,|,(?=\\!)|\{{,\\!\}})\s*(?:\\!)?\s*{_LONG_DIGITS}"
)
_PLAIN_MIXED: Final = regex(r"(?<![\d.,)}\]])(\d{1,9}) (\d{1,9}) ?/ ?(\d{1,9})(?![\d.])")
_RECURRING: Final = regex(
    r"(?<![\d.])(\d{0,40})\.(\d{0,40})\s*(?:\\(?:overline|bar|dot)\s*\{?(\d{1,40})\}?|\((\d{1,40})\))"
)
_ENDLESS: Final = regex(
    r"(?<![\d.])(\d{0,40})\.(\d{0,20}?)(?:(\d)\3{2,40}|(\d{2,12}?)\4{1,20})(?:\.\.\.|\s?\\ldots)"
)
_CONJUGATE: Final = regex(r"\\(?:overline|bar)\s*\{([^{}]*[+-][^{}]*)\}")
_BARRED: Final = regex(r"\\(?:overline|bar)\s*(?:\{\s*([A-Za-z])\s*\}|([A-Za-z])(?![A-Za-z]))")
_UNSEEN: Final = regex(
    r"\\(?:text)?color\s*\{[a-zA-Z]+\}|\\[hv]?(?:phantom|space)\*?\s*\{[^{}]*\}|\\(?:tag|label)\s*\{[^{}]*\}"
    r"|\\(?:left|right)\s*\.|\\(?:blacksquare|qed)(?![a-z])"
)
_CHOOSE: Final = regex(r"\{?\s*([^{}\\+*/=,]{1,40}?)\s*\\choose\s*\{?([^{}\\+*/=,]{1,40})\}?")
_TIMES: Final = regex(r"(?<=\d)\s*[xX]\s*(?=10\s*(?:\^|\*\*))")
_APOSTROPHES: Final = regex(r"(?<=\d)'(?=\d{3}(?!\d))")
_CHOSEN: Final = regex(r"(?<![A-Za-z\\])C\((\w{1,20}), ?(\w{1,20})\)")
_CHOSEN_BELOW: Final = regex(r"(?:\{\}\s*)?[_^]\{?(\w{1,9})\}?\s*C_\{?(\w{1,9})\}?(?![\w}])")
_UNIT_FRACTION: Final = regex(
    r"\\frac\s*\{\s*\\text\s*\{([a-z ]+)\}\s*\}\s*\{\s*\\text\s*\{([a-z ]+)\}\s*\}"
)
_UPRIGHT: Final = regex(r"\\text\s*\{\s*([ie])\s*\}(?=\s*(?:[-+^*)}]|\\|$))")
_INFINITE: Final = regex(r"(?<![A-Za-z\\])(?:inf|infty|[Ii]nfinity)(?![A-Za-z])")
_BLACKBOARD: Final = regex(r"\\mathbb\s*\{?\s*([A-Z])\s*\}?")
_SPACED_GROUPS: Final = regex(r"(?<![\d.,])\d{1,3}(?: \d{3})+(?![\d])")
_DEGREE: Final = regex(
    r"\^\s*(?:\\circ(?![a-z])|\{\s*(?:\\circ|\\text\s*\{\s*o\s*\}|°)\s*\}|\\text\s*\{\s*o\s*\}|°)"
)
_CELSIUS: Final = regex(r"(?<=\d)\s*°\s*(?:\\text\s*\{\s*)?([CF])\b\s*\}?")
_WORD: Final = regex(
    r"\\text\s*\{\s*(percent|pct|percentage|[\d ,;.]*(?:and|or|if)?[\d ,;.]*)\s*\}"
)
_MODULO: Final = regex(r"(?<![A-Za-z\\])mod(?![A-Za-z])")
_TEXT_NAME: Final = regex(r"\\text\s*\{\s*(cis|lcm|gcd|Re|Im|arcsin|arccos|arctan)\s*\}")
_PERCENT: Final = regex(r"\\%|(?<=[\d)}$])\s*(?:percentage|percent|pct)\b(?! points?)")
_SPACES: Final = regex(r"[\s~]+")
_LOOSE_SPACE: Final = regex(r" (?![0-9A-Za-z])|(?<![0-9A-Za-z]) ")


def fold(text: str) -> str:
    r"""Returns `text` in the one spelling that the rest of grading reads.

    Spaces are single, `\left…\right`, fonts and delimiter sizes are gone, all text commands
    are `\text`, relations are `<= >= != < > =`, degrees are `°`, digit groups are closed up
    where a thin space, `{,}` or a space in every group of three says so. Commas are left to
    the reader, for whom `1,000` may be a number or a pair.
    """
    if not text.isascii():
        text = _SUPER_RUN.sub(
            lambda m: "^{" + "".join(map(_SUPERSCRIPTS.__getitem__, m[0])) + "}", text
        )
        text = _SUB_RUN.sub(
            lambda m: "_{" + "".join(map(_SUBSCRIPTS.__getitem__, m[0])) + "}", text
        )
        text = _ROOT.sub(_spell_root, text)
        text = _FRACTIONS.sub(_spell_fraction, text.translate(_TRANSLATION))
        text = unicodedata.normalize("NFKC", text).translate(_TRANSLATION)
    text = text.replace("{:}", ":")
    if "{," in text:
        text = _GROUPED.sub("", text)
    if "." in text:
        text = _RECURRING.sub(_spell_recurring, text)
    if "\\" in text or not text.isprintable():
        text = _DAMAGED.sub(lambda m: "\\" + {"\f": "f", "\b": "b"}[m[0]], text)
        text = _INVISIBLE.sub("", text)
        text = _DOUBLED.sub(r"\\", text)
        text = _BARRED.sub(r"\1\2_{bar}", text)
        text = _CONJUGATE.sub(r"\\conj(\1)", _UNSEEN.sub("", text))
        text = _COMMAND.sub(lambda m: _NAMES.get(m[1] or "", m[0]), text)
        text = _GROUPED.sub("", text)
        text = _SPACING.sub(" ", text)
        text = _BLACKBOARD.sub(r"\\mathbb{\1}", _WORD.sub(r" \1 ", text))
        text = _UNIT_FRACTION.sub(r"\\text{ \1/\2}", text)
        text = _UPRIGHT.sub(r"\1", _TEXT_NAME.sub(r"\\\1 ", text))
        if "choose" in text:
            text = _CHOOSE.sub(r"\\binom{\1}{\2}", text)
    if "..." in text or "\\ldots" in text:
        text = _ENDLESS.sub(_spell_recurring, text)
    text = _APOSTROPHES.sub("", text) if "'" in text else text
    text = _CHOSEN.sub(r"\\binom{\1}{\2}", text) if "C(" in text else text
    text = _CHOSEN_BELOW.sub(r"\\binom{\1}{\2}", text) if "C_" in text else text
    text = _TIMES.sub(r"\\cdot ", text) if "10" in text else text
    text = _MODULO.sub(r"\\bmod", text) if "mod" in text else text
    text = _INFINITE.sub(r"\\infty", text)
    text = _CELSIUS.sub(r"\\text{ °\1}", _PERCENT.sub("%", _DEGREE.sub("°", text)))
    text = _SPACES.sub(" ", text).strip()
    text = _PLAIN_MIXED.sub(_spell_mixed, text)
    return _SPACED_GROUPS.sub(lambda m: m[0].replace(" ", ""), text)


def spelling(folded: str) -> str:
    """The key under which two folded answers are the same text: spaces that part nothing go.

    A space between two letters or digits stays, so that `7 3` is not `73`.
    """
    return _LOOSE_SPACE.sub("", folded)


def _spell_fraction(match: re.Match[str]) -> str:
    r"""`½` becomes `\frac{1}{2}`."""
    above, _, below = unicodedata.normalize("NFKC", match[0]).partition("\u2044")
    return rf"\frac{{{above}}}{{{below}}}"


def _spell_recurring(match: re.Match[str]) -> str:
    r"""`0.1\overline{6}` and `0.1666...` become the fraction that they are."""
    whole, before = match[1] or "0", match[2]
    again = match[3] or match[4]
    above = int(whole + before + again) - int(whole + before)
    below = 10 ** len(before) * (10 ** len(again) - 1)
    return rf"\frac{{{above}}}{{{below}}}"


def _spell_mixed(match: re.Match[str]) -> str:
    r"""`3 1/2` becomes `3\frac{1}{2}`; `11 6/6` is no mixed number, nor a product."""
    whole, above, below = match.groups()
    return rf"{whole}\frac{{{above}}}{{{below}}}" if int(above) < int(below) else match[0]


def _spell_root(match: re.Match[str]) -> str:
    r"""`√12` becomes `\sqrt{12}`; before a bracket the command alone is enough."""
    command = r"\sqrt" if match[1] == "√" else r"\sqrt[3]"
    return f"{command}{{{match[2]}}}" if match[2] else command
