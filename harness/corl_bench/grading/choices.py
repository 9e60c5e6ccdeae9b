r"""Letters of multiple choice: told from names, articles and units, and from what is ruled out.

A letter is chosen where it stands alone, in brackets, or behind a word that chooses ("option
C", "the answer is C", "I choose C"). One that a clause rejects or only weighs is not; where
two are left, none is.

    >>> chosen("It's not A, so I choose B."), chosen("Vitamin C is in it.")
    ('B', None)
    >>> split_choice("12 (C)"), split_choice("f(C)")
    (('C', '12'), None)
"""

from __future__ import annotations

import re
from typing import Final

from corl_bench.grading.clauses import closing_sentence, main_clause
from corl_bench.grading.frames import unwrap
from corl_bench.grading.normalise import fold
from corl_bench.grading.structure import read
from corl_bench.grading.values import Words
from corl_bench.patterns import regex

MAX_CHOICE_CHARS: Final = 400
"""A reply that begins with a bare letter is no longer, unless a full stop or colon follows it."""
_STATED_CHARS: Final = 200
"""Behind "the answer is" a letter stands no further off."""
_COLON: Final = r":(?!\s*[A-Z](?![A-Za-z]))"  # A:B is a ratio
_GOLD: Final = regex(
    r"(?:\\text\s*\{\s*)?(?:\(([A-Ja-j])\)\s*\}?(?:\s.*)?"
    rf"|([A-J])\s*\}}?(?:(?:[.)]|{_COLON})\s*\}}?.*)?)",
    re.DOTALL,
)
_LETTER_FIRST: Final = regex(
    rf"(?:\\text\s*\{{\s*)?(?:\(([A-J])\)|([A-J])(?:[).]|{_COLON}|(?<=\{{\w)\s*\}}))"
    r"\s*\}?[\s:.~]*((?![*/^_+!]|\\cdot)\S.*)",
    re.DOTALL,
)
_LETTER_LAST: Final = regex(
    r"(.*?[^\s\\\-+*/=^_<>(,|])(?:(?<![A-Za-z])\s*|\s+)(?:\\text\s*\{\s*)?\(([A-J])\)\s*\}?",
    re.DOTALL,
)
"""A letter that touches the bracket makes it an argument or a factor: `f(A)`."""
_LONE_NAME: Final = regex(r"\\?[A-Za-z]+")
_FRAMED: Final = regex(r"\(\\text\s*\{\s*([A-J])\s*\}\s*\)|(?<![a-z ])\{\(([A-J])\)\}")
_CHOICE_WORD: Final = regex(r"(?:option|choice)\s+(?=\(?[A-J]\b)", re.IGNORECASE)
_LETTER: Final = regex(r"[A-J]|\(?[a-j]\)")
_SEVERAL: Final = regex(r"\(?[A-J]\)?(?: ?(?:,|;|&|,? and) ?\(?[A-J]\)?)+\.?")
_HEAD: Final = regex(
    r"^[\s$*({\[]*(?:\\(?:text|textbf|mathrm|mathbf|rm|bf)\s*\{)?\s*\(?([A-J])\)?(?=$|[\s.,:;)\\}*$。，：；不])"
)
_EITHER: Final = regex(r"\(?\b[A-J]\)? or \(?[A-J]\b")
_WORD_BEHIND: Final = regex(
    r"[$*\s]+(?!(?:is|because|since|as|for|with)\b)[a-z]"
    r"|[$*\s]+(?:is|are) (?:an?|the) (?!\w* ?(?:answer|option|choice))"
)
"""After a bare letter: it is an article, a pronoun or the name of something."""
_FRAME: Final = r"[\s\"'“*_$({\[]*(?:\\(?:text|textbf|mathrm|mathbf|boxed)\s*\{\s*\(?)?"
_CHOSEN: Final = regex(
    r"(?:(?<![A-Za-z0-9}])\((?P<framed>[A-J])\)"
    r"|(?i:\b(?:option|choice|answer|letter|choose|chose|pick|select|is|be|it['’]s|that['’]s"
    r"|go with|goes with|going with|correct|right)|[:：=])"
    rf"{_FRAME}(?P<named>[A-J])\b(?!['’°]))(?=$|[\s.,:;!)\]\\}}*_$\"”])"
)
_CLAUSE: Final = regex(r"[,;.]\s+(?:and |but |so )?|\s(?:but|so|therefore|hence|thus)\s")
_RULED_OUT: Final = regex(
    r"\b(?:not|never|neither|nor|cannot|eliminat\w*|exclud\w*|reject\w*|rul(?:e|es|ed|ing) out"
    r"|except|all but|both|either|between|wrong|incorrect|unlike|than|instead of|if|whether)\b"
    r"|n['’]t\b",
    re.IGNORECASE,
)
_DISMISSED: Final = regex(
    r"\W{0,4}(?:is|are|was|were|can be|must be|seems?|looks?)"
    r" (?:wrong|incorrect|false|not|never|out|eliminated|excluded|ruled out)\b"
    r"|\W{0,4}(?:isn|wasn|can|does)(?:['’]t|not)\b| \((?:wrong|incorrect)\)",
    re.IGNORECASE,
)
_ADVERBS: Final = regex(
    r"(?:(?:for sure|indeed|clearly|therefore|thus|simply|definitely|the|option|choice|letter)\b"
    r"[\s:,]*)*",
    re.IGNORECASE,
)


def gold_letter(gold: str) -> str | None:
    """The letter of a gold that is a choice: `C`, `(c)`, `C. 12`."""
    match = _GOLD.fullmatch(unwrap(fold(gold)))
    return (match[1] or match[2]).upper() if match else None


def head_letter(text: str) -> str | None:
    r"""The letter that a choice such as `(C)`, `\textbf{(C) } 12` or `C. 12` begins with."""
    match = _HEAD.match(text)
    return match[1] if match else None


def names_several(answer: str) -> bool:
    """Whether an answer lists letters, and so chooses none: `A, C`."""
    return _SEVERAL.fullmatch(answer) is not None


def rules_out(text: str) -> bool:
    """Whether a text holds a word after which a letter is not chosen: "all but (D)"."""
    return _RULED_OUT.search(text) is not None


def split_choice(text: str) -> tuple[str, str] | None:
    """`(C) 12`, `C. 12`, `12 (C)` and `(C)` as letter and value."""
    if len(text) > 300 or not _LETTER.search(text):
        return None
    text = _CHOICE_WORD.sub("", _FRAMED.sub(lambda m: f"({m[1] or m[2]})", text))
    bare = text.strip("() .")
    if len(bare) == 1 and (bare in "ABCDEFGHIJ" or (bare in "abcdefghij" and text != bare)):
        return bare.upper(), ""
    if (match := _LETTER_FIRST.fullmatch(text)) is not None:
        return match[1] or match[2], match[3]
    match = _LETTER_LAST.fullmatch(text)
    if (
        match is None
        or _LONE_NAME.fullmatch(match[1])
        or rules_out(match[1])
        or isinstance(read(match[1]), Words)
    ):
        return None  # `P (A)` is an argument, and "all but (D)" is no value
    return match[2], match[1]


def chosen(text: str, stated: str | None = None) -> str | None:
    """The letter that a reply chooses.

    Args:
        text: the reply.
        stated: what follows its last "the answer is", where it says so.
    """
    if stated is not None and (letter := _stated_letter(stated[:_STATED_CHARS])):
        return letter
    head = None if _EITHER.match(text) else _HEAD.match(text)
    if head is not None:
        if _DISMISSED.match(text, head.end()) or names_several(text):
            return None
        bracketed = text[: head.end()].rstrip().endswith(")")
        named = bracketed or not _WORD_BEHIND.match(text, head.end())
        if named and (len(text) < MAX_CHOICE_CHARS or text[head.end() : head.end() + 1] in ".):"):
            return head[1]
    return _only_choice(main_clause(closing_sentence(text)))


def _stated_letter(stated: str) -> str | None:
    """The letter at the beginning of what is stated, or the first that is chosen in it."""
    line = stated.partition("\n")[0]
    start = _ADVERBS.match(line)
    rest = line[start.end() :] if start else line
    if _EITHER.match(rest):
        return None
    head = _HEAD.match(rest)
    if head is not None and not (
        _DISMISSED.match(rest, head.end()) or re.match(r" [a-z]", rest[head.end() :])
    ):
        return None if re.match(r"\)? (?:and|&) \(?[A-J]\b", rest[head.end() :]) else head[1]
    return _only_choice(line)


def _only_choice(sentence: str) -> str | None:
    """The one letter that a sentence chooses, leaving out those that its clauses reject."""
    found: set[str] = set()
    start = 0
    for clause in (*_CLAUSE.finditer(sentence), None):
        end = len(sentence) if clause is None else clause.start()
        part = sentence[start:end]
        for match in _CHOSEN.finditer(part) if not _EITHER.search(part) else ():
            if match["named"] in ("A", "I") and _WORD_BEHIND.match(part, match.end()):
                continue
            if not rules_out(part[: match.end()]) and not _DISMISSED.match(part, match.end()):
                found.add(match["framed"] or match["named"])
        start = end if clause is None else clause.end()
    return found.pop() if len(found) == 1 else None
